//! Signatures as a receiver checks them: by the secret's text and what came over the wire, with another library than
//! the gateway's.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};
use wharf_support::{Recorded, wait_until};

use super::world::{CONTACT, NUMBER, WITHIN, World, id};

/// Whether one of the signatures is this secret's.
fn verifies(request: &Recorded, secret: &str) -> bool {
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").expect("the prefix"))
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let header = |name| request.header(name).expect("the header");
    let mut signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&request.body);
    header("webhook-signature").split(' ').any(|signature| {
        let tag = STANDARD
            .decode(signature.strip_prefix("v1,").expect("the version"))
            .unwrap();
        hmac::verify(&key, &signed, &tag).is_ok()
    })
}

/// Whether the signature in the manner of Meta is this secret's.
fn hub_verifies(request: &Recorded, secret: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, &request.body);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    request.header("x-hub-signature-256") == Some(&format!("sha256={hex}"))
}

fn signatures(request: &Recorded) -> usize {
    request
        .header("webhook-signature")
        .map_or(0, |header| header.split(' ').count())
}

fn secret(answer: &Value) -> String {
    answer["secret"].as_str().expect("a secret").to_owned()
}

/// A text on its way through everything, as the receiver got it.
async fn delivered(world: &World, text: &str) -> Recorded {
    let before = world.receiver.requests().len();
    world.text(text).await;
    wait_until("the message arrives", WITHIN, || async {
        world.receiver.requests().into_iter().nth(before)
    })
    .await
}

async fn rotate(world: &World, webhook: &str, body: Value) -> String {
    let path = format!("/api/webhooks/{webhook}/rotate-secret");
    let answer = world.api().post(&path, body).await.expect(StatusCode::OK);
    assert_eq!(id(&answer), webhook);
    secret(&answer)
}

async fn register(world: &World, more: Value) -> Value {
    let mut body = json!({"phone_number": NUMBER, "webhook_url": world.receiver.url("/ok")});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = world.api().post("/api/webhooks/register", body).await;
    answer.expect(StatusCode::CREATED)
}

/// Nowhere in the data directory, neither as text nor as bytes.
fn assert_not_kept(world: &World, secrets: &[&String]) {
    let mut seen = 0;
    for entry in std::fs::read_dir(world.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        seen += 1;
        for secret in secrets {
            let text = secret.strip_prefix("whsec_").unwrap();
            for needle in [text.as_bytes(), &STANDARD.decode(text).unwrap()] {
                let found = content.windows(needle.len()).any(|window| window == needle);
                assert!(!found, "a secret is in {}", path.display());
            }
        }
    }
    assert!(seen >= 2, "the database and the key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhooks_deliveries_are_signed_through_rotations_and_restarts() {
    let mut world = World::start().await;
    world.network.create_account(CONTACT).await.unwrap();
    let registered = register(&world, json!({})).await;
    let (webhook, first) = (id(&registered), secret(&registered));
    assert_eq!(registered["hub_signature"], false);
    world.link(NUMBER).await;

    let one = format!("/api/webhooks/{webhook}");
    for path in ["/api/webhooks/list", &one] {
        let shown = world.api().get(path).await;
        let text = String::from_utf8(shown.bytes).unwrap();
        assert!(!text.contains("secret") && !text.contains("whsec_"), "{text}");
    }
    let changed = world.api().patch(&one, json!({"max_retries": 4})).await;
    assert!(changed.expect(StatusCode::OK).get("secret").is_none());

    let request = delivered(&world, "one").await;
    assert!(verifies(&request, &first) && signatures(&request) == 1, "{request:?}");
    assert_eq!(request.header("x-hub-signature-256"), None);

    let second = rotate(&world, &webhook, json!({"overlap_hours": 1})).await;
    let request = delivered(&world, "two").await;
    assert!(verifies(&request, &first) && verifies(&request, &second), "{request:?}");
    assert_eq!(signatures(&request), 2);

    world.restart_gateway().await;
    let request = delivered(&world, "three").await;
    assert!(verifies(&request, &first) && verifies(&request, &second), "{request:?}");

    let third = rotate(&world, &webhook, json!({"overlap_hours": 0})).await;
    let request = delivered(&world, "four").await;
    assert!(verifies(&request, &third) && signatures(&request) == 1, "{request:?}");
    assert!(!verifies(&request, &first) && !verifies(&request, &second));

    assert_not_kept(&world, &[&first, &second, &third]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_come_from_meta_get_their_header() {
    let world = World::start().await;
    world.network.create_account(CONTACT).await.unwrap();
    let registered = register(&world, json!({"hub_signature": true})).await;
    let (webhook, first) = (id(&registered), secret(&registered));
    assert_eq!(registered["hub_signature"], true);
    world.link(NUMBER).await;

    let request = delivered(&world, "one").await;
    assert!(
        verifies(&request, &first) && hub_verifies(&request, &first),
        "{request:?}"
    );

    // No body: the overlap of a day.
    let path = format!("/api/webhooks/{webhook}/rotate-secret");
    let rotated = world.api().call(Method::POST, &path).await.expect(StatusCode::OK);
    let second = secret(&rotated);
    let request = delivered(&world, "two").await;
    assert!(hub_verifies(&request, &first), "until the overlap ends: {request:?}");
    assert!(verifies(&request, &second));
    rotate(&world, &webhook, json!({"overlap_hours": 0})).await;

    let off = json!({"hub_signature": false});
    let one = format!("/api/webhooks/{webhook}");
    let changed = world.api().patch(&one, off).await.expect(StatusCode::OK);
    assert_eq!(changed["hub_signature"], false);
    let request = wait_until("the patch has reached the delivery", WITHIN, || async {
        let request = delivered(&world, "again").await;
        request.header("x-hub-signature-256").is_none().then_some(request)
    })
    .await;
    assert_eq!(signatures(&request), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rotation_may_not_be() {
    let world = World::start().await;
    let webhook = id(&register(&world, json!({})).await);
    let path = format!("/api/webhooks/{webhook}/rotate-secret");
    for bad in [json!(-1), json!(169), json!(1.5), json!("24"), json!(null)] {
        let answer = world.api().post(&path, json!({"overlap_hours": bad})).await;
        let problem = answer.expect(StatusCode::BAD_REQUEST);
        assert_eq!(problem["errors"][0]["field"], "overlap_hours", "{problem}");
    }
    let other = world.add_client("other").await;
    other.post(&path, json!({})).await.expect(StatusCode::NOT_FOUND);
    world
        .api()
        .call(Method::DELETE, &format!("/api/webhooks/{webhook}"))
        .await;
    world.api().post(&path, json!({})).await.expect(StatusCode::NOT_FOUND);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_or_another_key_is_an_error_at_start() {
    let mut world = World::start().await;
    register(&world, json!({})).await;
    world.stop_gateway().await;
    let file = world.dir.path().join("secrets.key");
    let key = std::fs::read(&file).unwrap();

    std::fs::remove_file(&file).unwrap();
    let error = world.refusal().await;
    assert!(error.contains("secrets.key is missing"), "{error}");
    assert!(!file.exists(), "no new one is made");

    let other = STANDARD.encode([7; 32]);
    std::fs::write(&file, &other).unwrap();
    let error = world.refusal().await;
    assert!(error.contains("another key"), "{error}");
    assert!(!error.contains(&other), "{error}");

    std::fs::write(&file, &key).unwrap();
    world.start_gateway().await;
    world.stop().await;
}

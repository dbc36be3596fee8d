//! Delivery in real time: the retry table, manual retries, receivers that hang.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_support::{Reply, wait_until};

use super::world::{CONTACT, NUMBER, WITHIN, World, id};

fn seconds_between(earlier: &Value, later: &Value) -> f64 {
    let parse = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    (parse(later) - parse(earlier)).num_milliseconds() as f64 / 1000.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_receiver_is_asked_three_times_then_the_event_waits_for_a_person() {
    let world = World::start().await;
    let webhook = world.linked("/hook").await;
    world
        .receiver
        .script("/hook", [Reply::Status(503), Reply::Status(308), Reply::Status(500)]);
    world.text("hello").await;
    let event = world.api().wait_for_events(&webhook, "failed", 1).await.remove(0);
    let requests = world.receiver.requests();
    let waits: Vec<f64> = requests
        .windows(2)
        .map(|pair| (pair[1].at - pair[0].at).as_secs_f64())
        .collect();
    // How much later than that they come is the machine's affair; what was decided is looked at below.
    assert!(waits[0] > 4.9 && waits[1] > 9.9, "5 s and 10 s at least: {waits:?}");
    assert!(
        requests.iter().all(|request| request.body == requests[0].body),
        "the same bytes"
    );
    assert_eq!(
        (&event["attempt_count"], &event["http_status"]),
        (&json!(3), &json!(500))
    );
    assert_eq!(event["error"], "Server error (500)");
    let shown = world
        .api()
        .get(&format!("/api/webhooks/{webhook}"))
        .await
        .expect(StatusCode::OK);
    // The schedule's next time stays, for a person: 20 s after the third attempt, plus jitter.
    let wait = seconds_between(&shown["last_attempt_at"], &event["next_retry_at"]);
    assert!((20.0..=22.0).contains(&wait), "{wait}");
    assert_eq!(
        (&shown["status"], &shown["failure_count"]),
        (&json!("failed"), &json!(1))
    );
    assert_eq!(shown["last_error"], "Server error (500)");

    // By hand, it begins anew: attempt 4 now, attempt 5 about 5 s later.
    world.receiver.script("/hook", [Reply::Status(503)]);
    let path = format!("/api/webhooks/events/{}/retry", id(&event));
    let renewed = world.api().call(Method::POST, &path).await.expect(StatusCode::ACCEPTED);
    assert_eq!(renewed["id"], event["id"]);
    let event = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    assert_eq!(event["attempt_count"], 5);
    let requests = world.receiver.requests();
    let wait = (requests[4].at - requests[3].at).as_secs_f64();
    assert!(wait > 4.9, "{wait}");
    let shown = world
        .api()
        .get(&format!("/api/webhooks/{webhook}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&shown["status"], &shown["failure_count"]),
        (&json!("active"), &json!(0))
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manual_retry_in_each_state() {
    let world = World::start().await;
    let webhook = world.linked("/hook").await;
    let retry = |event: &Value, body: Option<Value>| {
        let api = world.api().clone();
        let request = api.request(Method::POST, &format!("/api/webhooks/events/{}/retry", id(event)));
        async move {
            api.send(body.map_or(request.try_clone().unwrap(), |body| request.json(&body)))
                .await
        }
    };
    // Pending with a timer: attempted now.
    world.receiver.script("/hook", [Reply::Status(503)]);
    world.text("1").await;
    let waiting = wait_until("a retry waits", WITHIN, || async {
        world
            .api()
            .events(&webhook)
            .await
            .into_iter()
            .find(|event| event["next_retry_at"].is_string())
    })
    .await;
    assert_eq!(waiting["status"], "pending");
    assert!(seconds_between(&waiting["created_at"], &waiting["next_retry_at"]) > 4.9);
    retry(&waiting, None).await.expect(StatusCode::ACCEPTED);
    let delivered = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    let attempts = format!("/api/webhooks/events/{}/attempts", id(&delivered));
    let attempts = world.api().get(&attempts).await.expect(StatusCode::OK);
    assert_eq!(attempts["data"][1]["manual"], true, "its timer was dropped: {attempts}");
    // Delivered: only by force.
    retry(&delivered, None).await.expect(StatusCode::CONFLICT);
    retry(&delivered, Some(json!({"force": false})))
        .await
        .expect(StatusCode::CONFLICT);
    retry(&delivered, Some(json!({"force": true})))
        .await
        .expect(StatusCode::ACCEPTED);
    world.receiver.wait_for(3, WITHIN).await;
    // While an attempt runs: taken, and no second one.
    world.receiver.script("/hook", [Reply::Hang]);
    world.text("2").await;
    world.receiver.wait_for(4, WITHIN).await;
    let running = world.api().events(&webhook).await.remove(0);
    retry(&running, None).await.expect(StatusCode::ACCEPTED);
    assert_eq!(world.receiver.count(), 4);
    // Inactive, and then deleted: refused.
    let path = format!("/api/webhooks/{webhook}");
    world
        .api()
        .patch(&path, json!({"is_active": false}))
        .await
        .expect(StatusCode::OK);
    retry(&delivered, Some(json!({"force": true})))
        .await
        .expect(StatusCode::CONFLICT);
    world
        .api()
        .call(Method::DELETE, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    retry(&delivered, Some(json!({"force": true})))
        .await
        .expect(StatusCode::CONFLICT);
    // Its history stays readable, the one that was running ended.
    let ended = world.api().wait_for_events(&webhook, "failed", 1).await.remove(0);
    assert_eq!(ended["error"], "webhook deleted");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_network_are_told_apart() {
    let world = World::start().await;
    world.network.create_account(CONTACT).await.unwrap();
    world.link(NUMBER).await;
    let port = wharf_support::ClosedPort::take();
    let closed = format!("http://127.0.0.1:{}/", port.number());
    let rows = [
        (closed, "ECONNREFUSED"),
        (world.receiver.url("/close"), "ECONNRESET"),
        (world.receiver.url("/garbage"), "EPROTO"),
        (world.receiver.url("/hang"), "Connection timeout"),
        (world.receiver.url("/status/404"), "Client error (404)"),
        (world.receiver.url("/status/410"), "Client error (410)"),
    ];
    let api = world.api();
    let register = json!({"phone_number": NUMBER, "webhook_url": rows[0].0, "max_retries": 1});
    let webhook = id(&api
        .post("/api/webhooks/register", register)
        .await
        .expect(StatusCode::CREATED));
    for (n, (url, error)) in rows.iter().enumerate() {
        api.patch(&format!("/api/webhooks/{webhook}"), json!({"webhook_url": url}))
            .await
            .expect(StatusCode::OK);
        world.text(error).await;
        let event = api.wait_for_events(&webhook, "failed", n + 1).await.remove(0);
        let told = event["error"].as_str().unwrap();
        assert!(
            told == *error || told.starts_with(&format!("{error}:")),
            "{url}: {told}"
        );
        let answered = told.starts_with("Client");
        assert_eq!(event["http_status"].is_number(), answered, "{told}");
        assert_eq!(event["next_retry_at"].is_null(), answered, "{told}");
    }
    world.stop().await;
}

/// How long a receiver may hang: as long as an owner may ask for, so that a slow machine is told from one that waits.
const HANG: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_hanging_receivers_leave_another_client_alone() {
    let world = World::start().await;
    let healthy = world.linked("/ok").await;
    let other = world.add_client("other").await;
    for n in 0..20 {
        let number = format!("55117000000{n:02}");
        let url = world.receiver.url(&format!("/hang/{n}"));
        let patient = json!({"phone_number": number, "webhook_url": url, "timeout_ms": HANG.as_millis() as u64});
        let registered = other.post("/api/webhooks/register", patient).await;
        registered.expect(StatusCode::CREATED);
        other
            .post("/api/whatsapp/connections", json!({"phone_number": number}))
            .await
            .expect(StatusCode::CREATED);
        world.network.create_account(&number).await.unwrap();
        let qr = other.wait_for_qr(&number).await;
        world.network.scan(&number, &qr).await.unwrap();
        other
            .wait_for_status(&format!("/api/whatsapp/connections/{number}"), "connected")
            .await;
    }
    let chats: Vec<String> = (0..6).map(|n| format!("55119000000{n:02}")).collect();
    for chat in &chats {
        world.network.create_account(chat).await.unwrap();
    }
    for n in 0..20 {
        for chat in &chats {
            world
                .network
                .send_text(chat, &format!("55117000000{n:02}"), "into the void")
                .await
                .unwrap();
        }
    }
    // All hang that may: half of the other client's slots. This client's messages pass at once.
    wait_until("the void is full", WITHIN, || async {
        world.receiver.open_connections() >= 32
    })
    .await;
    let mut slowest = Duration::ZERO;
    for n in 1..=10 {
        let sent = Instant::now();
        world.text(&format!("through {n}")).await;
        wait_until("it is delivered", WITHIN, || async {
            world
                .receiver
                .requests()
                .iter()
                .filter(|request| request.path == "/ok")
                .count()
                == n
        })
        .await;
        slowest = slowest.max(sent.elapsed());
    }
    world.api().wait_for_events(&healthy, "delivered", 10).await;
    assert!(
        slowest < HANG - Duration::from_secs(2),
        "none waited for one that hangs: {slowest:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_waits_survives_a_restart() {
    let mut world = World::start().await;
    let webhook = world.linked("/hook").await;
    world.receiver.always("/hook", Reply::Status(503));
    world.text("1").await;
    wait_until("a retry waits", WITHIN, || async {
        let events = world.api().events(&webhook).await;
        events.iter().any(|event| event["attempt_count"].as_u64() > Some(0))
    })
    .await;
    world.restart_gateway().await;
    world.receiver.always("/hook", Reply::Ok);
    let event = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    let requests = world.receiver.requests();
    assert_eq!(event["attempt_count"], requests.len());
    let waits: Vec<Duration> = requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let early = waits.iter().any(|wait| *wait < Duration::from_millis(4900));
    assert!(!waits.is_empty() && !early, "not before its time: {waits:?}");
    world.stop().await;
}

/// Ten seconds by CONTRACT.md section 5, where this webhook's owner wants its receiver waited for longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_outlasts_a_stop_is_not_made_again_under_its_number() {
    let mut world = World::start().await;
    let webhook = world.linked("/hook").await;
    let patient = json!({"timeout_ms": HANG.as_millis() as u64, "max_retries": 1});
    let path = format!("/api/webhooks/{webhook}");
    world.api().patch(&path, patient).await.expect(StatusCode::OK);
    world.receiver.script("/hook", [Reply::Hang]);
    world.text("1").await;
    wait_until("it is under way", WITHIN, || async {
        !world.receiver.requests().is_empty()
    })
    .await;
    world.restart_gateway().await;
    let event = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    let requests = world.receiver.requests();
    let numbers: Vec<_> = requests
        .iter()
        .filter_map(|request| request.header("webhook-attempt"))
        .collect();
    assert_eq!(numbers, ["1", "2"]);
    let path = format!("/api/webhooks/events/{}/attempts", id(&event));
    let attempts = world.api().get(&path).await.expect(StatusCode::OK)["data"].clone();
    assert_eq!(
        attempts[0]["error"], "Interrupted: Wharf stopped before the answer came",
        "{attempts}"
    );
    assert!(attempts[0]["duration_ms"].as_u64() >= Some(10_000), "{attempts}");
    world.stop().await;
}

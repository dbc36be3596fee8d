//! Messages in and out.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_support::wait_until;

use super::world::{CONTACT, NUMBER, WITHIN, World};

const SEND: &str = "/api/whatsapp/connections/5511888888888/messages";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_reaches_the_webhook_with_the_seven_keys() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let text = "Olá \"mundo\" \\ 🦀\nline two";
    let message_id = world.text(text).await;
    let request = world.receiver.wait_for(1, WITHIN).await.remove(0);
    let event = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    let body = std::str::from_utf8(&request.body).unwrap();
    let value: Value = serde_json::from_str(body).unwrap();
    let timestamp = value["timestamp"].as_str().unwrap();
    assert_eq!(
        body,
        format!(
            r#"{{"client_id":1,"message_id":"{message_id}","from":"{CONTACT}","to":"{NUMBER}","timestamp":"{timestamp}","type":"text","content":{}}}"#,
            serde_json::to_string(text).unwrap()
        )
    );
    assert!(timestamp.len() == 20 && timestamp.ends_with('Z'), "{timestamp}");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(
        request.header("user-agent"),
        Some(concat!("wharf/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(request.header("webhook-id"), event["id"].as_str());
    assert_eq!(request.header("webhook-attempt"), Some("1"));
    assert!(request.header("webhook-timestamp").unwrap().parse::<i64>().is_ok());
    assert_eq!(event["payload"], value);
    assert_eq!(
        (event["from"].as_str(), event["to"].as_str()),
        (Some(CONTACT), Some(NUMBER))
    );
    assert_eq!(
        (&event["attempt_count"], &event["http_status"], &event["error"]),
        (&json!(1), &json!(200), &Value::Null)
    );
    world.all_taken().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sent_text_is_decrypted_at_the_contacts_phone() {
    let world = World::start().await;
    world.linked("/ok").await;
    let api = world.api();
    let sent = api
        .post(
            SEND,
            json!({"to": "+55 11 99999-9999", "type": "text", "text": "hello there"}),
        )
        .await;
    let sent = sent.expect(StatusCode::CREATED);
    assert_eq!(
        (sent["to"].as_str(), sent["status"].as_str()),
        (Some(CONTACT), Some("sent"))
    );
    let arrived = wait_until("it arrives", WITHIN, || async {
        world.network.messages(CONTACT).await.unwrap().into_iter().next()
    })
    .await;
    assert_eq!((arrived.from.as_str(), arrived.text.as_str()), (NUMBER, "hello there"));
    assert_eq!(Some(arrived.id.as_str()), sent["message_id"].as_str());

    let refused = api
        .post(SEND, json!({"to": "5511000000000", "type": "text", "text": "nobody"}))
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    api.call(Method::POST, "/api/whatsapp/connections/5511888888888/disconnect")
        .await
        .expect(StatusCode::ACCEPTED);
    api.wait_for_status("/api/whatsapp/connections/5511888888888", "disconnected")
        .await;
    api.post(SEND, json!({"to": CONTACT, "type": "text", "text": "x"}))
        .await
        .expect(StatusCode::CONFLICT);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_sends_once() {
    let mut world = World::start().await;
    world.linked("/ok").await;
    let body = json!({"to": CONTACT, "type": "text", "text": "once"});
    let send = |key: &'static str, body: Value| {
        let api = world.api().clone();
        async move {
            api.send(
                api.request(Method::POST, SEND)
                    .header("idempotency-key", key)
                    .json(&body),
            )
            .await
        }
    };
    let first = send("k1", body.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(send("k1", body.clone()).await.expect(StatusCode::CREATED), first);
    send("k1", json!({"to": CONTACT, "type": "text", "text": "other"}))
        .await
        .expect(StatusCode::CONFLICT);
    let (one, two) = tokio::join!(send("k2", body.clone()), send("k2", body.clone()));
    let mut codes = [one.status.as_u16(), two.status.as_u16()];
    codes.sort_unstable();
    assert!(matches!(codes, [201, 201] | [201, 409]), "{codes:?}");
    world.restart_gateway().await;
    world
        .api()
        .wait_for_status("/api/whatsapp/connections/5511888888888", "connected")
        .await;
    let api = world.api().clone();
    let again = api
        .send(
            api.request(Method::POST, SEND)
                .header("idempotency-key", "k1")
                .json(&body),
        )
        .await;
    assert_eq!(again.expect(StatusCode::CREATED), first);
    wait_until("two texts arrived", WITHIN, || async {
        world.network.messages(CONTACT).await.unwrap().len() == 2
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_link_the_same_number_and_each_gets_its_own() {
    let world = World::start().await;
    let first = world.linked("/one").await;
    let other = world.add_client("other").await;
    let url = world.receiver.url("/two");
    let second = other
        .post(
            "/api/webhooks/register",
            json!({"phone_number": NUMBER, "webhook_url": url}),
        )
        .await;
    let second = super::world::id(&second.expect(StatusCode::CREATED));
    other
        .post("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
        .await
        .expect(StatusCode::CREATED);
    let qr = other.wait_for_qr(NUMBER).await;
    world.network.scan(NUMBER, &qr).await.unwrap();
    other
        .wait_for_status("/api/whatsapp/connections/5511888888888", "connected")
        .await;
    assert_eq!(world.network.devices(NUMBER).await.unwrap().len(), 2);
    world.text("for both").await;
    world.api().wait_for_events(&first, "delivered", 1).await;
    let event = other.wait_for_events(&second, "delivered", 1).await.remove(0);
    assert_eq!(event["payload"]["client_id"], 2);
    world.stop().await;
}

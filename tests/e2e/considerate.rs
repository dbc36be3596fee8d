//! What a webhook's owner and its receiver may ask for, over real sockets.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_support::{Reply, wait_until};

use super::world::{CONTACT, NUMBER, WITHIN, World};

/// A linked number whose webhook to `/hook` was changed so.
async fn asking(patch: Value) -> (World, String) {
    let world = World::start().await;
    let webhook = world.linked("/hook").await;
    let path = format!("/api/webhooks/{webhook}");
    world.api().patch(&path, patch).await.expect(StatusCode::OK);
    (world, webhook)
}

async fn shown(world: &World, webhook: &str) -> Value {
    let path = format!("/api/webhooks/{webhook}");
    world.api().get(&path).await.expect(StatusCode::OK)
}

fn busy(http_status: u16, seconds: &str) -> Reply {
    Reply::Answer(http_status, vec![("retry-after", seconds.to_owned())], Bytes::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_is_shown_changed_and_refused_by_name() {
    let world = World::start().await;
    let asked = json!({
        "phone_number": NUMBER, "webhook_url": world.receiver.url("/hook"), "max_in_flight": 2, "max_per_second": 5,
        "timeout_ms": 1500, "headers": {"Authorization": "Bearer hunter2"}, "ordering": "none",
        "retry_client_errors": [429, 408], "recovery": "auto",
    });
    let made = world.api().post("/api/webhooks/register", asked).await;
    assert!(!String::from_utf8_lossy(&made.bytes).contains("hunter2"));
    let made = made.expect(StatusCode::CREATED);
    let expected = json!({
        "max_in_flight": 2, "max_per_second": 5, "timeout_ms": 1500, "headers": {"authorization": "***"},
        "ordering": "none", "retry_client_errors": [408, 429], "recovery": "auto",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    let path = format!("/api/webhooks/{}", made["id"].as_str().unwrap());
    let patch = json!({"max_in_flight": null, "max_per_second": null, "headers": {}, "recovery": "manual"});
    let changed = world.api().patch(&path, patch).await.expect(StatusCode::OK);
    assert_eq!(
        [
            &changed["max_in_flight"],
            &changed["max_per_second"],
            &changed["headers"],
            &changed["timeout_ms"]
        ],
        [&json!(null), &json!(null), &json!({}), &json!(1500)]
    );
    for (field, value) in [
        ("max_in_flight", json!(0)),
        ("max_in_flight", json!(17)),
        ("max_per_second", json!(0)),
        ("timeout_ms", json!(999)),
        ("timeout_ms", json!(null)),
        ("ordering", json!("fifo")),
        ("retry_client_errors", json!([404, 410])),
        ("recovery", json!(true)),
        ("headers", json!({"webhook-id": "hunter2"})),
        ("headers", json!({"Host": "hunter2"})),
        ("headers", json!({"authorization": "***"})),
    ] {
        let refused = world.api().patch(&path, json!({field: value})).await;
        assert!(!String::from_utf8_lossy(&refused.bytes).contains("hunter2"));
        let problem = refused.expect(StatusCode::BAD_REQUEST);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_headers_are_sent_changed_and_found_nowhere_else() {
    let (mut world, webhook) = asking(json!({"headers": {"Authorization": "Bearer hunter2", "X-Pier": "2"}})).await;
    world.text("1").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let path = format!("/api/webhooks/{webhook}");
    let patch = json!({"headers": {"authorization": "Bearer hunter3", "x-pier": "2"}});
    world.api().patch(&path, patch).await.expect(StatusCode::OK);
    world.text("2").await;
    world.api().wait_for_events(&webhook, "delivered", 2).await;
    world.restart_gateway().await;
    world
        .api()
        .wait_for_status(&format!("/api/whatsapp/connections/{NUMBER}"), "connected")
        .await;
    world.text("3").await;
    world.api().wait_for_events(&webhook, "delivered", 3).await;
    let requests = world.receiver.requests();
    let sent: Vec<_> = requests.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(
        sent,
        [Some("Bearer hunter2"), Some("Bearer hunter3"), Some("Bearer hunter3")]
    );
    assert!(requests.iter().all(|request| request.header("x-pier") == Some("2")));
    world.stop_gateway().await;
    for file in ["wharf.db", "wharf.db-wal"] {
        let bytes = std::fs::read(world.dir.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(7).any(|part| part.starts_with(b"hunter")), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_for_a_pause_is_left_alone() {
    let (world, webhook) = asking(json!({})).await;
    world.receiver.script("/hook", [busy(429, "3")]);
    world.text("1").await;
    world.api().wait_for_events(&webhook, "failed", 1).await;
    let other = "5511777777777";
    world.network.create_account(other).await.unwrap();
    world.network.send_text(other, NUMBER, "2").await.unwrap();
    let requests = world.receiver.wait_for(2, WITHIN).await;
    let pause = requests[1].at - requests[0].at;
    assert!(pause >= Duration::from_millis(2900), "{pause:?}");
    // A 503 says when its own event goes on, too.
    world.receiver.script("/hook", [busy(503, "8")]);
    world.text("3").await;
    let requests = world.receiver.wait_for(4, WITHIN).await;
    let pause = requests[3].at - requests[2].at;
    assert!(pause >= Duration::from_millis(7900), "{pause:?}");
    assert_eq!(requests[2].header("webhook-id"), requests[3].header("webhook-id"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_switches_its_webhook_off() {
    let (world, webhook) = asking(json!({})).await;
    world.receiver.script("/hook", [Reply::Status(410)]);
    world.text("1").await;
    let path = format!("/api/webhooks/{webhook}");
    let off = world.api().wait_for_status(&path, "inactive").await;
    assert_eq!(off["is_active"], false);
    assert!(
        off["last_error"].as_str().unwrap().starts_with("Client error (410)"),
        "{off}"
    );
    let event = world.api().wait_for_events(&webhook, "failed", 1).await.remove(0);
    assert_eq!(
        (&event["error"], &event["next_retry_at"]),
        (&json!("Client error (410)"), &json!(null))
    );
    world.text("2").await;
    world.api().wait_for_events(&webhook, "pending", 1).await;
    world
        .api()
        .patch(&path, json!({"is_active": true}))
        .await
        .expect(StatusCode::OK);
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    assert_eq!(world.receiver.count(), 2, "nothing was posted while it was off");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_is_the_owners() {
    let (world, webhook) = asking(json!({"timeout_ms": 1000, "max_retries": 1})).await;
    world.receiver.always("/hook", Reply::Hang);
    world.text("1").await;
    let event = world.api().wait_for_events(&webhook, "failed", 1).await.remove(0);
    assert_eq!(event["error"], "Connection timeout");
    let attempts = format!("/api/webhooks/events/{}/attempts", event["id"].as_str().unwrap());
    let attempts = world.api().get(&attempts).await.expect(StatusCode::OK);
    let took = attempts["data"][0]["duration_ms"].as_u64().unwrap();
    assert!((1000..10_000).contains(&took), "the usual deadline is 10 s: {took}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_errors_are_tried_again_when_asked_for() {
    let (world, webhook) = asking(json!({"retry_client_errors": [408, 429]})).await;
    world.receiver.script("/hook", [Reply::Status(429)]);
    world.text("1").await;
    let event = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    assert_eq!(event["attempt_count"], 2);
    world.receiver.script("/hook", [Reply::Status(425)]);
    world.text("2").await;
    world.api().wait_for_events(&webhook, "failed", 1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_events_go_out_by_themselves_once_the_receiver_is_well() {
    let (world, webhook) = asking(json!({"max_retries": 1, "recovery": "auto"})).await;
    world.receiver.always("/hook", Reply::Status(503));
    for text in ["1", "2", "3"] {
        world.text(text).await;
    }
    world.api().wait_for_events(&webhook, "failed", 3).await;
    world.receiver.always("/hook", Reply::Ok);
    world.api().wait_for_events(&webhook, "delivered", 3).await;
    let requests = world.receiver.requests();
    // Probes come between, as many as the machine leaves time for; the last three are those that went out.
    let mut delivered: Vec<&str> = requests
        .iter()
        .rev()
        .filter_map(|one| one.header("webhook-id"))
        .collect();
    delivered.truncate(3);
    let events = world.api().events(&webhook).await;
    let newest_first: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(delivered, newest_first, "in the order of arrival");
    assert_eq!(shown(&world, &webhook).await["status"], "active");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_order_events_of_one_chat_do_not_wait() {
    let (world, webhook) = asking(json!({"ordering": "none"})).await;
    world.receiver.script("/hook", [Reply::Hang]);
    world.text("1").await;
    world.receiver.wait_for(1, WITHIN).await;
    world.text("2").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let first = world.api().events(&webhook).await.pop().unwrap();
    assert_eq!((&first["status"], &first["from"]), (&json!("pending"), &json!(CONTACT)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pace_is_kept() {
    let (world, webhook) = asking(json!({"max_per_second": 4, "ordering": "none"})).await;
    let path = format!("/api/webhooks/{webhook}");
    let toggle = async |on: bool| {
        let patched = world.api().patch(&path, json!({"is_active": on})).await;
        patched.expect(StatusCode::OK);
    };
    toggle(false).await;
    for n in 0..8 {
        world.text(&n.to_string()).await;
    }
    world.api().wait_for_events(&webhook, "pending", 8).await;
    // All are due at once. Up to the last one there are seven gaps of 250 ms, however late each of them arrives.
    let due = Instant::now();
    toggle(true).await;
    world.api().wait_for_events(&webhook, "delivered", 8).await;
    let all = world.receiver.requests()[7].at - due;
    assert!(all >= Duration::from_millis(1740), "{all:?}");
    wait_until("nothing is pending", WITHIN, || async {
        let pending = world
            .api()
            .get(&format!("/api/webhooks/{webhook}/events?status=pending"))
            .await;
        pending.body["data"].as_array().unwrap().is_empty()
    })
    .await;
    world.stop().await;
}

//! Trouble on the way to WhatsApp.

use std::time::Duration;

use serde_json::json;
use wharf_support::wait_until;

use super::world::{CONTACT, NUMBER, WITHIN, World};

const PATH: &str = "/api/whatsapp/connections/5511888888888";

/// Milliseconds: until the test ends the trouble itself.
const FOR_LONG: u32 = 600_000;

/// What is promised of a socket that is silent, and half of it again for a machine that is slow.
const A_MINUTE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_links_come_back_and_nothing_is_lost() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    for round in 1..=3 {
        let since = world.api().wait_for_status(PATH, "connected").await["connected_since"].clone();
        world.fault(json!({"kind": "drop", "phone": NUMBER})).await;
        world.text(&format!("round {round}")).await;
        world.api().wait_for_events(&webhook, "delivered", round).await;
        world
            .api()
            .wait_for(PATH, "it is connected anew", |shown| {
                shown["status"] == "connected" && shown["connected_since"] != since
            })
            .await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_error_is_no_end() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world
        .fault(json!({"kind": "stream_error", "phone": NUMBER, "code": "503"}))
        .await;
    world.text("after").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    world.api().wait_for_status(PATH, "connected").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusing_network_is_waited_for() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world
        .fault(json!({"kind": "refuse", "phone": NUMBER, "for_ms": FOR_LONG}))
        .await;
    world.fault(json!({"kind": "drop", "phone": NUMBER})).await;
    let shown = world.api().wait_for(PATH, "failed attempts are counted", |shown| {
        shown["status"] == "connecting" && shown["reconnect_attempts"].as_u64() > Some(0)
    });
    let shown = shown.await;
    assert!(shown["reason"].is_string());
    assert_eq!(shown["reason_code"], "link_lost");
    world
        .fault(json!({"kind": "refuse", "phone": NUMBER, "for_ms": 0}))
        .await;
    world.text("after").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let shown = world.api().wait_for_status(PATH, "connected").await;
    assert_eq!(shown["reconnect_attempts"], 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_makes_no_second_event() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world
        .fault(json!({"kind": "duplicate", "phone": NUMBER, "for_ms": 60000}))
        .await;
    for n in 1..=5 {
        world.text(&format!("{n}")).await;
    }
    world.api().wait_for_events(&webhook, "delivered", 5).await;
    world.all_taken().await;
    assert_eq!(world.api().events(&webhook).await.len(), 5);
    assert_eq!(world.receiver.count(), 5);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_socket_is_noticed_within_a_minute_and_healed() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    // Nobody closes the sockets meanwhile.
    world
        .fault(json!({"kind": "stall", "phone": NUMBER, "for_ms": FOR_LONG}))
        .await;
    wait_until("it is not called connected any more", A_MINUTE, || async {
        world.api().get(PATH).await.body["status"] != "connected"
    })
    .await;
    world.text("meanwhile").await;
    world
        .fault(json!({"kind": "stall", "phone": NUMBER, "for_ms": 0}))
        .await;
    world.api().wait_for_status(PATH, "connected").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_is_a_state_and_not_a_fight() {
    let mut world = World::start().await;
    world.linked("/ok").await;
    world
        .fault(json!({"kind": "stream_error", "phone": NUMBER, "code": "replaced"}))
        .await;
    let shown = world.api().wait_for_status(PATH, "failed").await;
    assert!(shown["reason"].as_str().unwrap().starts_with("replaced"), "{shown}");
    assert_eq!(
        (&shown["reason_code"], &shown["retry_at"]),
        (&json!("conflict"), &json!(null))
    );
    let before = world.network.stats().await.handshakes;
    world.restart_gateway().await;
    let shown = world.api().get(PATH).await.body;
    assert_eq!(
        (&shown["status"], &shown["reason_code"]),
        (&json!("failed"), &json!("conflict"))
    );
    assert_eq!(world.network.stats().await.handshakes, before, "it does not fight");
    world
        .api()
        .call(reqwest::Method::POST, &format!("{PATH}/connect"))
        .await
        .expect(reqwest::StatusCode::ACCEPTED);
    world.api().wait_for_status(PATH, "connected").await;
    world.stop().await;
}

fn time(shown: &serde_json::Value, key: &str) -> chrono::DateTime<chrono::Utc> {
    let text = shown[key].as_str().unwrap_or_else(|| panic!("no {key} in {shown}"));
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_temporary_ban_is_sat_out() {
    let mut world = World::start().await;
    let webhook = world.linked("/ok").await;
    let over = now() + chrono::Duration::seconds(25);
    world
        .fault(json!({"kind": "ban", "phone": NUMBER, "code": 104, "for_ms": 25_000}))
        .await;
    let shown = world.api().wait_for_status(PATH, "failed").await;
    assert_eq!(shown["reason_code"], "temporarily_banned", "{shown}");
    assert!(shown["reason"].as_str().unwrap().contains("104"), "{shown}");
    assert!(time(&shown, "retry_at") >= over, "{shown}");
    // Neither a request nor a restart of the program makes an attempt before.
    let before = world.network.stats().await.handshakes;
    let connect = format!("{PATH}/connect");
    let api = world.api();
    let asked = api.call(reqwest::Method::POST, &connect).await;
    assert_eq!(
        asked.expect(reqwest::StatusCode::ACCEPTED)["reason_code"],
        "temporarily_banned"
    );
    world.restart_gateway().await;
    let api = world.api();
    let shown = api
        .wait_for(PATH, "the wait goes on", |shown| shown["retry_at"].is_string())
        .await;
    assert_eq!(shown["reason_code"], "temporarily_banned", "{shown}");
    assert!(time(&shown, "retry_at") >= over, "{shown}");
    wait_until("the ban is nearly over", WITHIN, || async {
        let handshakes = world.network.stats().await.handshakes;
        let is_over = now() > over;
        assert!(is_over || handshakes == before, "an attempt before the end of the ban");
        is_over
    })
    .await;
    world.text("after").await;
    let shown = world.api().wait_for_status(PATH, "connected").await;
    assert_eq!(
        (&shown["reason_code"], &shown["retry_at"]),
        (&json!("online"), &json!(null))
    );
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_during_a_ban_does_not_log_in() {
    let world = World::start().await;
    world.linked("/ok").await;
    world
        .fault(json!({"kind": "ban", "phone": NUMBER, "for_ms": 600_000}))
        .await;
    let shown = world.api().wait_for_status(PATH, "failed").await;
    assert_eq!(shown["reason_code"], "temporarily_banned", "{shown}");
    let before = world.network.stats().await.handshakes;
    let gone = world.api().call(reqwest::Method::DELETE, PATH).await;
    gone.expect(reqwest::StatusCode::NO_CONTENT);
    assert_eq!(world.network.stats().await.handshakes, before);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_account_is_said() {
    let world = World::start().await;
    world.linked("/ok").await;
    world
        .fault(json!({"kind": "refuse", "phone": NUMBER, "code": 403, "for_ms": 60_000}))
        .await;
    world.fault(json!({"kind": "drop", "phone": NUMBER})).await;
    let shown = world.api().wait_for_status(PATH, "logged_out").await;
    assert_eq!(shown["reason_code"], "account_locked", "{shown}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outdated_client_tries_again_slowly() {
    let world = World::start().await;
    world.linked("/ok").await;
    let before = world.network.stats().await.handshakes;
    world
        .fault(json!({"kind": "outdated", "phone": NUMBER, "for_ms": FOR_LONG}))
        .await;
    world.fault(json!({"kind": "drop", "phone": NUMBER})).await;
    // What it says is there before its row, which has the time.
    let waits_long = |shown: &serde_json::Value| {
        shown["status"] == "failed"
            && (29..=61).contains(&(time(shown, "retry_at") - time(shown, "updated_at")).num_seconds())
    };
    let shown = world.api().wait_for(PATH, "it waits for long", waits_long).await;
    assert_eq!(shown["reason_code"], "outdated", "{shown}");
    assert_eq!(world.network.stats().await.handshakes, before + 1);
    world
        .fault(json!({"kind": "outdated", "phone": NUMBER, "for_ms": 0}))
        .await;
    let connect = format!("{PATH}/connect");
    world
        .api()
        .call(reqwest::Method::POST, &connect)
        .await
        .expect(reqwest::StatusCode::ACCEPTED);
    world.api().wait_for_status(PATH, "connected").await;
    world.stop().await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the gateway shows are times of the wall clock"
)]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// What is shown once it has this code.
async fn with_code(world: &World, code: &str) -> serde_json::Value {
    let what = format!("the reason is {code}");
    world
        .api()
        .wait_for(PATH, &what, |shown| shown["reason_code"] == code)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_connection_goes_through_is_said_by_its_codes() {
    let world = World::start().await;
    world.linked("/ok").await;
    assert_eq!(with_code(&world, "online").await["status"], "connected");
    world.ask("disconnect").await;
    let shown = with_code(&world, "requested").await;
    assert_eq!(
        (&shown["status"], &shown["retry_at"]),
        (&json!("disconnected"), &json!(null))
    );
    world.ask("connect").await;
    with_code(&world, "online").await;

    // Refused for now: later than after a socket that broke.
    world
        .fault(json!({"kind": "refuse", "phone": NUMBER, "code": 503, "for_ms": FOR_LONG}))
        .await;
    world.fault(json!({"kind": "drop", "phone": NUMBER})).await;
    let shown = with_code(&world, "refused").await;
    assert_eq!(shown["status"], "connecting", "{shown}");
    assert!(shown["reason"].as_str().unwrap().contains("503"), "{shown}");
    assert!(time(&shown, "retry_at") > time(&shown, "updated_at"), "{shown}");
    world
        .fault(json!({"kind": "refuse", "phone": NUMBER, "for_ms": 0}))
        .await;
    with_code(&world, "online").await;

    world.network.unlink(NUMBER, 1).await.unwrap();
    let shown = with_code(&world, "unlinked").await;
    assert_eq!(
        (&shown["status"], &shown["retry_at"]),
        (&json!("logged_out"), &json!(null))
    );
    world.ask("connect").await;
    let shown = with_code(&world, "waiting_for_phone").await;
    assert_eq!(
        (&shown["status"], &shown["jid"]),
        (&json!("awaiting_scan"), &json!(null))
    );
    let qr = world.api().wait_for_qr(NUMBER).await;
    // The scan may be answered before or after the device is thrown out again.
    let _ = world.network.scan(CONTACT, &qr).await;
    let shown = with_code(&world, "wrong_number").await;
    assert_eq!(shown["status"], "failed");
    wait_until("the other phone lists no device", WITHIN, || async {
        world.network.devices(CONTACT).await.unwrap().is_empty()
    })
    .await;
    world.stop().await;
}

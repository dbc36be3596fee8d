//! The history that a phone hands to a device which it links.

use reqwest::Method;
use serde_json::{Value, json};
use wharf_domain::{ClientId, ConnectionKey};
use wharf_store::{KeyKind, Store, StoreOptions};
use wharf_support::wait_until;

use super::world::{CONTACT, NUMBER, WITHIN, World};

const ON: [(&str, &str); 1] = [("WHARF_WHATSAPP__HISTORY_SYNC", "true")];
const PATH: &str = "/api/whatsapp/connections/5511888888888";

/// Contents of events with their mark, oldest first.
fn told(events: &[Value]) -> Vec<(&str, bool)> {
    let told = |event: &'_ Value| event["payload"]["history"] == json!(true);
    let mut all: Vec<(&str, bool)> = events
        .iter()
        .map(|event| (event["content"].as_str().unwrap(), told(event)))
        .collect();
    all.reverse();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_before_comes_once_and_what_came_live_never_again() {
    let world = World::start_with(&ON).await;
    for number in [NUMBER, CONTACT] {
        world.network.create_account(number).await.unwrap();
    }
    let members = [NUMBER.to_owned()];
    let group = world.network.create_group(CONTACT, "Harbour", &members).await.unwrap();
    let in_group = async |text: &str| {
        let sent = world.network.send_text(CONTACT, &group.id, text).await;
        sent.unwrap()
    };
    in_group("group before").await;
    world.text("before").await;
    world.network.send_text(NUMBER, CONTACT, "an answer").await.unwrap();
    let webhook = world.webhook(NUMBER, "/ok").await;
    world.link(NUMBER).await;
    assert_eq!(world.network.share_history(NUMBER).await.unwrap(), 3);
    let events = world.api().wait_for_events(&webhook, "delivered", 2).await;
    assert_eq!(told(&events), [("group before", true), ("before", true)]);
    let past = &events[1]["payload"];
    assert_eq!(
        (&past["group"]["subject"], &past["from"]),
        (&json!("Harbour"), &json!(CONTACT))
    );
    in_group("group live").await;
    world.text("live").await;
    world.api().wait_for_events(&webhook, "delivered", 4).await;

    // The number is linked anew: the history comes anew, and with it what nobody was there for.
    world.network.unlink(NUMBER, 1).await.unwrap();
    world.api().wait_for_status(PATH, "logged_out").await;
    in_group("group between").await;
    world.text("between").await;
    let connect = format!("{PATH}/connect");
    world.api().call(Method::POST, &connect).await;
    let qr = world.api().wait_for_qr(NUMBER).await;
    world.network.scan(NUMBER, &qr).await.unwrap();
    world.api().wait_for_status(PATH, "connected").await;
    assert_eq!(world.network.share_history(NUMBER).await.unwrap(), 7);
    // The last chat's last message is committed with or after everything else of the history.
    wait_until("the last message", WITHIN, || async {
        let events = world.api().events(&webhook).await;
        events.iter().any(|event| event["content"] == "between").then_some(())
    })
    .await;
    let events = world.api().wait_for_events(&webhook, "delivered", 6).await;
    let mut all = told(&events);
    all.sort_unstable();
    let expected = [
        ("before", true),
        ("between", true),
        ("group before", true),
        ("group between", true),
        ("group live", false),
        ("live", false),
    ];
    assert_eq!(all, expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_the_history_makes_no_events_and_tells_whom_the_account_may_write_to() {
    let world = World::start().await;
    for number in [NUMBER, CONTACT] {
        world.network.create_account(number).await.unwrap();
    }
    world.text("before").await;
    let webhook = world.webhook(NUMBER, "/ok").await;
    world.link(NUMBER).await;
    assert_eq!(world.network.share_history(NUMBER).await.unwrap(), 1);
    wait_until("the phone is told that its history arrived", WITHIN, || async {
        let receipts = world.network.receipts(NUMBER).await.unwrap();
        receipts.iter().any(|receipt| receipt.kind == "hist_sync").then_some(())
    })
    .await;
    let options = StoreOptions {
        url: format!("sqlite://{}", world.dir.path().join("wharf.db").display()),
        exclusive: false,
        readers: 1,
    };
    let store = Store::open(&options).await.unwrap();
    let key = ConnectionKey::new(ClientId(1), NUMBER.parse().unwrap());
    wait_until("the token for the other side", WITHIN, || async {
        let tokens = store.keys_of(&key, KeyKind::TrustToken, b"").await.unwrap();
        tokens.iter().any(|token| !token.value.is_empty()).then_some(())
    })
    .await;
    world.text("live").await;
    let events = world.api().wait_for_events(&webhook, "delivered", 1).await;
    assert_eq!(told(&events), [("live", false)]);
    world.stop().await;
}

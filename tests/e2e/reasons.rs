//! Why a connection is not connected, and what follows: rows of docs/SESSIONS.md, brought about on the wire. Those that other
//! tests meet on their way are in `faults` and `linking`.

use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_domain::{ClientId, ConnectionKey};
use wharf_store::{KeyChange, KeyKind, Store, StoreOptions, StoredKey};
use wharf_support::wait_until;

use super::world::{NUMBER, WITHIN, World};

const PATH: &str = "/api/whatsapp/connections/5511888888888";

/// A row of the table, and words of its `reason`.
struct Row {
    code: &'static str,
    status: &'static str,
    reason: &'static str,
    /// Whether an attempt follows by itself.
    retried: bool,
}

impl Row {
    /// Waits until it is shown, with the time of the next attempt if there will be one.
    async fn shown(&self, world: &World) -> Value {
        let page = include_str!("../../docs/SESSIONS.md");
        let row = format!("| `{}` | `{}` |", self.code, self.status);
        assert!(page.contains(&row), "docs/SESSIONS.md has no {row}");
        let what = format!("the reason is {}", self.code);
        let is = |shown: &Value| shown["reason_code"] == self.code && shown["retry_at"].is_string() == self.retried;
        let shown = world.api().wait_for(PATH, &what, is).await;
        assert_eq!(shown["status"], self.status, "{shown}");
        let reason = shown["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(self.reason), "{shown}");
        shown
    }

    /// Nothing is attempted, not by the next start of the program either.
    async fn lasts(&self, world: &mut World) {
        assert!(!self.retried);
        let before = world.network.stats().await.handshakes;
        world.restart_gateway().await;
        self.shown(world).await;
        assert_eq!(world.network.stats().await.handshakes, before, "an attempt was made");
    }
}

async fn is_online(world: &World) {
    let shown = world.api().wait_for_status(PATH, "connected").await;
    assert_eq!(
        (&shown["reason_code"], &shown["retry_at"]),
        (&json!("online"), &json!(null))
    );
}

/// A connection that shows a QR code: which.
async fn unlinked(world: &World) -> String {
    world.network.create_account(NUMBER).await.unwrap();
    let body = json!({"phone_number": NUMBER});
    world
        .api()
        .post("/api/whatsapp/connections", body)
        .await
        .expect(StatusCode::CREATED);
    world.api().wait_for_qr(NUMBER).await
}

/// `connect` shows another code than before, which links the number.
async fn links_after_connect(world: &World, before: &str) {
    world.ask("connect").await;
    let qr = world.api().wait_for_qr(NUMBER).await;
    assert_ne!(qr, before);
    world.network.scan(NUMBER, &qr).await.unwrap();
    is_online(world).await;
    assert_eq!(world.network.devices(NUMBER).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qr_expired() {
    const ROW: Row = Row {
        code: "qr_expired",
        status: "failed",
        reason: "no phone scanned",
        retried: false,
    };
    let mut world = World::start().await;
    let qr = unlinked(&world).await;
    world.fault(json!({"kind": "qr_expire"})).await;
    ROW.shown(&world).await;
    world
        .network
        .scan(NUMBER, &qr)
        .await
        .expect_err("the code is of no use any more");
    ROW.lasts(&mut world).await;
    links_after_connect(&world, &qr).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairing_failed() {
    const ROW: Row = Row {
        code: "pairing_failed",
        status: "failed",
        reason: "the phone's answer could not be accepted",
        retried: false,
    };
    let mut world = World::start().await;
    let qr = unlinked(&world).await;
    let spoiled = json!({"kind": "pair_corrupt", "phone": NUMBER});
    let spoiled = serde_json::from_value(spoiled).unwrap();
    world.network.fault_times(spoiled, Some(1)).await.unwrap();
    world.network.scan(NUMBER, &qr).await.expect_err("the device refuses");
    let shown = ROW.shown(&world).await;
    assert_eq!(shown["jid"], json!(null));
    assert!(world.network.devices(NUMBER).await.unwrap().is_empty());
    ROW.lasts(&mut world).await;
    links_after_connect(&world, &qr).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn banned() {
    const ROW: Row = Row {
        code: "banned",
        status: "failed",
        reason: "402",
        retried: false,
    };
    let mut world = World::start().await;
    world.linked("/ok").await;
    let ban = |for_ms: u32| json!({"kind": "ban", "phone": NUMBER, "code": "endless", "for_ms": for_ms});
    world.fault(ban(600_000)).await;
    let shown = ROW.shown(&world).await;
    assert!(shown["jid"].is_string(), "the pairing stays: {shown}");
    ROW.lasts(&mut world).await;
    // Without an end that is known, a person may try.
    let before = world.network.stats().await.handshakes;
    world.ask("connect").await;
    wait_until("an attempt", WITHIN, || async {
        world.network.stats().await.handshakes > before
    })
    .await;
    ROW.shown(&world).await;
    world.fault(ban(0)).await;
    world.ask("connect").await;
    is_online(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent() {
    const ROW: Row = Row {
        code: "silent",
        status: "connecting",
        reason: "WhatsApp was silent for",
        retried: true,
    };
    let mut world = World::start().await;
    world.linked("/ok").await;
    // Before the client itself pings, and then gives up.
    world
        .restart_gateway_with(&[("WHARF_SESSIONS__SILENCE_TIMEOUT_SECONDS", "2")])
        .await;
    let since = world.api().wait_for_status(PATH, "connected").await["connected_since"].clone();
    world
        .fault(json!({"kind": "stall", "phone": NUMBER, "for_ms": 600_000}))
        .await;
    let silent = |shown: &Value| shown["reason_code"] == "silent";
    world.api().wait_for(PATH, "the silence is noticed", silent).await;
    world
        .fault(json!({"kind": "stall", "phone": NUMBER, "for_ms": 0}))
        .await;
    // In this pause or in a later one: a link that idles is too silent for so little patience.
    ROW.shown(&world).await;
    let shown = world.api().wait_for_status(PATH, "connected").await;
    assert_ne!(shown["connected_since"], since, "another link");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer() {
    const ROW: Row = Row {
        code: "no_answer",
        status: "connecting",
        reason: "did not answer in time",
        retried: true,
    };
    let mut world = World::start().await;
    world.linked("/ok").await;
    world.ask("disconnect").await;
    world.api().wait_for_status(PATH, "disconnected").await;
    world
        .restart_gateway_with(&[("WHARF_SESSIONS__OPENING_TIMEOUT_SECONDS", "5")])
        .await;
    let stall = |for_ms: u32| json!({"kind": "stall", "phone": NUMBER, "for_ms": for_ms});
    world.fault(stall(600_000)).await;
    world.ask("connect").await;
    let shown = ROW.shown(&world).await;
    assert!(shown["reconnect_attempts"].as_u64() > Some(0), "{shown}");
    world.fault(stall(0)).await;
    is_online(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_failed() {
    const ROW: Row = Row {
        code: "open_failed",
        status: "connecting",
        reason: "cannot read the WhatsApp keys",
        retried: true,
    };
    let mut world = World::start().await;
    world.linked("/ok").await;
    world.ask("disconnect").await;
    world.api().wait_for_status(PATH, "disconnected").await;
    // A link that is being closed still writes its device.
    world.restart_gateway().await;
    let options = StoreOptions {
        url: format!("sqlite://{}", world.dir.path().join("wharf.db").display()),
        readers: 1,
        exclusive: false,
    };
    let store = Store::open(&options).await.unwrap();
    let device = exchange_device(&store, vec![7; 64]).await;
    world.ask("connect").await;
    let shown = ROW.shown(&world).await;
    assert!(shown["jid"].is_string(), "the pairing stays: {shown}");
    exchange_device(&store, device).await;
    is_online(&world).await;
    assert_eq!(world.network.devices(NUMBER).await.unwrap().len(), 1, "no new device");
    world.stop().await;
}

/// Writes another value into the row of the number's device; answers the one that was there.
async fn exchange_device(store: &Store, value: Vec<u8>) -> Vec<u8> {
    let of = ConnectionKey::new(ClientId(1), NUMBER.parse().unwrap());
    let row = store.key(&of, KeyKind::Device, b"").await.unwrap().expect("the device");
    let mut writer = store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    let put = KeyChange::Put(StoredKey { value, ..row.clone() });
    group.change_keys(&[(&of, &[put])]).await.unwrap();
    group.commit().await.unwrap();
    row.value
}

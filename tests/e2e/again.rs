//! What is asked for once more: messages that cannot be decrypted, of their sender and of the own phone, and files that
//! WhatsApp's hosts have forgotten.

use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_support::wait_until;
use wharf_testnet::{Fault, FaultKind, PhoneSettings, ReceiptRecord};

use super::{
    media::fetch,
    world::{CONTACT, NUMBER, WITHIN, World},
};

pub(super) const HERE: &str = "/api/whatsapp/connections/5511888888888";

/// A second after which a message that cannot be decrypted is reported.
const SOON: [(&str, &str); 1] = [("WHARF_WHATSAPP__UNDECRYPTABLE_WAIT_SECONDS", "1")];
/// Long enough for what comes after all, also on a machine that stands still for a moment: where no report is waited for.
pub(super) const LATE: [(&str, &str); 1] = [("WHARF_WHATSAPP__UNDECRYPTABLE_WAIT_SECONDS", "60")];
/// Long enough for what comes before a report, which is waited for.
pub(super) const A_WHILE: [(&str, &str); 1] = [("WHARF_WHATSAPP__UNDECRYPTABLE_WAIT_SECONDS", "20")];

impl World {
    /// So many messages for the linked number are spoilt on the way.
    pub(super) async fn spoil(&self, times: u32) {
        let fault = Fault {
            kind: FaultKind::Corrupt,
            phone: Some(NUMBER.to_owned()),
            code: None,
            for_ms: Some(600_000),
        };
        self.network.fault_times(fault, Some(times)).await.unwrap();
    }

    /// The linked number's phone is off: it gives its device nothing.
    pub(super) async fn phone_off(&self) {
        let off = PhoneSettings {
            answers_devices: Some(false),
            ..PhoneSettings::default()
        };
        self.network.set_phone(NUMBER, &off).await.unwrap();
    }

    /// How often the device asked for this message again. Each time is noted here when the sender has answered it.
    pub(super) async fn asked_for(&self, id: &str) -> Vec<ReceiptRecord> {
        let mut receipts = self.network.receipts(CONTACT).await.unwrap();
        receipts.retain(|receipt| receipt.id == id && receipt.kind == "retry");
        receipts
    }

    /// Waits until this message was asked for so often, and answered.
    pub(super) async fn answered(&self, id: &str, times: usize) -> Vec<ReceiptRecord> {
        wait_until(&format!("it is asked for {times} times"), WITHIN, || async {
            let asked = self.asked_for(id).await;
            (asked.len() >= times).then_some(asked)
        })
        .await
    }
}

fn of<'a>(events: &'a [Value], id: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["message_id"] == id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_decrypted_is_asked_for_with_keys_and_comes_once() {
    let world = World::start_with(&A_WHILE).await;
    let webhook = world.linked("/ok").await;
    world.phone_off().await;
    world.spoil(2).await;
    let id = world.text("worth saying twice").await;
    let events = world.api().wait_for_events(&webhook, "delivered", 1).await;
    assert_eq!(
        (&events[0]["message_id"], &events[0]["content"]),
        (&json!(id), &json!("worth saying twice"))
    );
    let asked = world.answered(&id, 2).await;
    let with_keys: Vec<bool> = asked.iter().map(|receipt| receipt.keys).collect();
    assert_eq!(
        with_keys,
        [false, true],
        "the second time it brings keys for a new session"
    );
    // One that never comes is reported, and by then a report of the first would have been due as well.
    world.spoil(1000).await;
    let lost = world.text("never heard").await;
    let events = world.api().wait_for_events(&webhook, "delivered", 2).await;
    assert_eq!(of(&events, &id).len(), 1, "{events:?}");
    let report = of(&events, &lost)[0];
    assert_eq!(
        (&report["message_type"], &report["payload"]["unknown"]["reason"]),
        (&json!("unknown"), &json!("undecryptable"))
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_its_report_is_an_event_of_its_own() {
    let world = World::start_with(&SOON).await;
    let webhook = world.linked("/ok").await;
    world.phone_off().await;
    // Five times the device asks; what is lost then comes with nothing that it does.
    world.spoil(1000).await;
    let id = world.text("late").await;
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    wait_until("the device has given up", WITHIN, || async {
        world.asked_for(&id).await.len() == 5
    })
    .await;
    world.spoil(0).await;
    let message = json!({"to": NUMBER, "text": "late", "id": id});
    assert_eq!(world.phone_sends(CONTACT, &message).await, id);
    let events = world.api().wait_for_events(&webhook, "delivered", 2).await;
    let kinds: Vec<&Value> = of(&events, &id).iter().map(|event| &event["message_type"]).collect();
    assert_eq!(kinds, [&json!("text"), &json!("unknown")], "newest first");
    world.stop().await;
}

/// Long enough for a restart in between.
const A_RESTART: [(&str, &str); 1] = [("WHARF_WHATSAPP__UNDECRYPTABLE_WAIT_SECONDS", "8")];

impl World {
    /// A message that cannot be decrypted however often it is asked for; it has been, and the gateway starts anew.
    async fn missed_before_a_restart(&mut self) -> String {
        self.phone_off().await;
        self.spoil(1000).await;
        let id = self.text("spoilt").await;
        self.answered(&id, 1).await;
        self.restart_gateway().await;
        self.api().wait_for_status(HERE, "connected").await;
        id
    }

    /// What was told of a message, newest first, once another one that is missed after it is reported: whatever of the
    /// first is still waited for would be reported before.
    async fn told_in_the_end(&self, webhook: &str, id: &str, told: usize) -> Vec<Value> {
        self.spoil(1000).await;
        let last = self.text("the last").await;
        let events = self.api().wait_for_events(webhook, "delivered", told + 1).await;
        assert_eq!(of(&events, &last).len(), 1, "{events:?}");
        let kinds = of(&events, id).into_iter().map(|event| event["message_type"].clone());
        kinds.collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missed_before_a_restart_is_reported_once_after_it() {
    let mut world = World::start_with(&A_RESTART).await;
    let webhook = world.linked("/ok").await;
    let id = world.missed_before_a_restart().await;
    let events = world.api().wait_for_events(&webhook, "delivered", 1).await;
    assert_eq!(events[0]["payload"]["unknown"]["reason"], "undecryptable", "{events:?}");
    world.restart_gateway().await;
    world.api().wait_for_status(HERE, "connected").await;
    assert_eq!(world.told_in_the_end(&webhook, &id, 1).await, ["unknown"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missed_before_a_restart_and_comes_after_it_is_not_reported() {
    let mut world = World::start_with(&A_WHILE).await;
    let webhook = world.linked("/ok").await;
    let id = world.missed_before_a_restart().await;
    world.spoil(0).await;
    let message = json!({"to": NUMBER, "text": "spoilt", "id": id});
    assert_eq!(world.phone_sends(CONTACT, &message).await, id);
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    // Not by the next process either.
    world.restart_gateway().await;
    world.api().wait_for_status(HERE, "connected").await;
    assert_eq!(world.told_in_the_end(&webhook, &id, 1).await, ["text"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_and_the_sender_both_give_a_message_and_it_comes_once() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world.spoil(1).await;
    let id = world.text("from two sides").await;
    // Until the sender has answered, the next spoilt message could be this one's second copy, and not the group's.
    world.answered(&id, 1).await;
    let group = [CONTACT, NUMBER].map(str::to_owned);
    let group = world
        .network
        .create_group(CONTACT, "Harbour", &group[1..])
        .await
        .unwrap();
    world.spoil(1).await;
    let in_group = world.network.send_text(CONTACT, &group.id, "here too").await.unwrap();
    world.api().wait_for_events(&webhook, "delivered", 2).await;
    world.answered(&in_group, 1).await;
    world.all_taken().await;
    world.text("after it").await;
    let events = world.api().wait_for_events(&webhook, "delivered", 3).await;
    // The client asks once for each copy that it cannot read, and there was one of each message.
    for id in [&id, &in_group] {
        assert_eq!(world.asked_for(id).await.len(), 1, "asked of the sender once");
    }
    assert_eq!(
        (of(&events, &id).len(), of(&events, &in_group).len()),
        (1, 1),
        "{events:?}"
    );
    assert_eq!(of(&events, &in_group)[0]["payload"]["group"]["id"], group.id);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_whatsapp_leaves_to_the_phone_is_asked_of_it_where_it_may_give_it() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    let left_out = |why: &str| json!({"to": NUMBER, "text": "only there", "unavailable": why});
    let given = world.phone_sends(CONTACT, &left_out("unknown")).await;
    let events = world.api().wait_for_events(&webhook, "delivered", 1).await;
    assert_eq!(
        (&events[0]["message_id"], &events[0]["content"], &events[0]["from"]),
        (&json!(given), &json!("only there"), &json!(CONTACT))
    );
    assert!(world.asked_for(&given).await.is_empty(), "its sender is not asked");
    let mut count = 1;
    for (why, view_once) in [
        ("view_once", json!(true)),
        ("hosted", Value::Null),
        ("bot", Value::Null),
    ] {
        let id = world.phone_sends(CONTACT, &left_out(why)).await;
        count += 1;
        let events = world.api().wait_for_events(&webhook, "delivered", count).await;
        let payload = &of(&events, &id)[0]["payload"];
        assert_eq!(payload["unknown"]["reason"], "phone_only", "{why}: {payload}");
        assert_eq!(payload["view_once"], view_once, "{why}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_the_hosts_forgot_is_laid_down_again_by_the_phone() {
    let mut world = World::start().await;
    world.linked("/ok").await;
    // Nobody was there while it could be had.
    world.stop_gateway().await;
    let picture = json!({"to": NUMBER, "kind": "image", "mime_type": "image/png", "size": 5000});
    let id = world.phone_sends(CONTACT, &picture).await;
    world.network.expire_media(CONTACT, &id).await.unwrap();
    world.start_gateway().await;
    let body = world.bodies_of(std::slice::from_ref(&id)).await.remove(0);
    let (status, _, file) = fetch(&body["media"]["url"], None).await;
    assert_eq!((status, file.len()), (StatusCode::OK, 5000), "{body}");

    // The same while it is connected, in a group; and a phone that is off ends the wait.
    let members = [NUMBER.to_owned()];
    let group = world.network.create_group(CONTACT, "Harbour", &members).await.unwrap();
    world.stop_gateway().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut picture = picture.clone();
        picture["to"] = json!(group.id);
        let id = world.phone_sends(CONTACT, &picture).await;
        world.network.expire_media(CONTACT, &id).await.unwrap();
        ids.push(id);
    }
    world.start_gateway().await;
    for body in world.bodies_of(&ids).await {
        assert_eq!(fetch(&body["media"]["url"], None).await.2.len(), 5000, "{body}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_nobody_gives_is_gone() {
    let mut world = World::start().await;
    world.linked("/ok").await;
    world.phone_off().await;
    world.stop_gateway().await;
    let picture = json!({"to": NUMBER, "kind": "image", "mime_type": "image/png", "size": 5000});
    let id = world.phone_sends(CONTACT, &picture).await;
    world.network.expire_media(CONTACT, &id).await.unwrap();
    world.start_gateway().await;
    let body = world.bodies_of(&[id]).await.remove(0);
    assert_eq!(body["media"]["error"], "gone", "{body}");
    world.stop().await;
}

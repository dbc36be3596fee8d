//! More than messages, on the side of delivery: the order of a chat, and what a connection tells.

use std::time::Duration;

use serde_json::{Value, json};
use wharf_domain::{
    ChatKind, ChatKinds, ConnectionStatus, EventKind, EventKinds, EventStatus, IncomingMessage, SendStatus, Webhook,
    message::{Details, Happening},
    session::CloseReason,
    webhook::WebhookPatch,
};
use wharf_support::{Reply, wait_until};

use super::world::{WITHIN, World, message, number};
use crate::{GatewayError, session, supervision::Crash};

/// A status of a message of this chat.
fn status(chat: &str, id: &str, status: SendStatus) -> IncomingMessage {
    let happening = Happening::Status {
        to: chat.to_owned(),
        to_lid: None,
        status,
        code: None,
        participant: None,
    };
    IncomingMessage {
        details: Some(Box::new(Details {
            happening: Some(happening),
            ..Details::default()
        })),
        ..message(chat, id, status.as_str())
    }
}

fn wants(kinds: &[EventKind]) -> WebhookPatch {
    WebhookPatch {
        events: Some(EventKinds::of(kinds.iter().copied())),
        ..WebhookPatch::default()
    }
}

async fn tell(world: &World, webhook: &Webhook, kinds: &[EventKind]) {
    let changed = world
        .gateway
        .update_webhook(webhook.client_id, webhook.id, wants(kinds));
    changed.await.unwrap();
}

fn bodies(world: &World) -> Vec<Value> {
    let requests = world.receiver.requests();
    requests
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_waits_for_the_messages_of_its_chat_and_for_no_other() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/hook").await;
    tell(&world, &webhook, &[EventKind::Message, EventKind::Status]).await;
    // The first answer comes late: what would overtake has all the time for it, and another chat as well.
    let late = Duration::from_secs(5);
    world.receiver.script("/hook", [Reply::Slow(late)]);
    link.deliver(vec![message("5511999999999", "M1", "first")])
        .await
        .unwrap();
    wait_until("the first is under way", WITHIN, || async {
        world.receiver.count() == 1
    })
    .await;
    let then = vec![
        status("5511999999999", "M1", SendStatus::Delivered),
        status("5511777777777", "M0", SendStatus::Read),
        status("5511999999999", "M1", SendStatus::Read),
        message("5511999999999", "M2", "second"),
        status("5511999999999", "M1", SendStatus::Delivered),
    ];
    link.deliver(then).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 5).await;
    let bodies = bodies(&world);
    let of = |chat: &str| -> Vec<&str> {
        let of_chat = bodies.iter().filter(|body| body["from"] == *chat);
        of_chat.map(|body| body["content"].as_str().unwrap()).collect()
    };
    assert_eq!(
        of("5511999999999"),
        ["first", "delivered", "read", "second"],
        "told once, in order"
    );
    let place = |content: &str, chat: &str| {
        bodies
            .iter()
            .position(|body| body["content"] == *content && body["from"] == *chat)
    };
    assert_eq!(place("read", "5511777777777"), Some(1), "another chat does not wait");
    assert_eq!(world.receiver.count(), 5);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_of_a_connection_is_told_once_in_order() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    let webhook = world.webhook(client.id, &number(1), "/ok").await;
    tell(&world, &webhook, &[EventKind::Connection]).await;
    let link = world.connected(client.id, &number(1)).await;
    // Nobody wants messages.
    link.deliver(vec![message("5511999999999", "M1", "hello")])
        .await
        .unwrap();
    link.close(CloseReason::Lost("the cable was cut".into()));
    let link = world.relinked(client.id, &number(1)).await;
    link.close(CloseReason::LoggedOut("the device was unlinked".into()));
    world
        .wait_for_status(client.id, &number(1), ConnectionStatus::LoggedOut)
        .await;
    let told = |status: &str, reason: Option<&str>| json!([status, reason]);
    let expected = [
        // The phone has scanned.
        told("connecting", None),
        told("connected", None),
        told("connecting", Some("the cable was cut")),
        told("connected", None),
        told("logged_out", Some("the device was unlinked")),
    ];
    let events = world
        .wait_for_events(&webhook, EventStatus::Delivered, expected.len())
        .await;
    assert!(events.iter().all(|event| event.event == "connection"));
    let bodies = bodies(&world);
    let seen: Vec<Value> = bodies
        .iter()
        .map(|body| json!([body["connection"]["status"], body["connection"]["reason"]]))
        .collect();
    assert_eq!(seen, expected, "{bodies:#?}");
    let keys: Vec<&String> = bodies[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "client_id",
            "from",
            "to",
            "timestamp",
            "type",
            "content",
            "event",
            "connection"
        ]
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_tells_that_its_session_failed_and_that_it_starts_again() {
    let mut world = World::start().await;
    let (client, webhook, left) = world.client_with_webhook("/ok").await;
    tell(&world, &webhook, &[EventKind::Connection]).await;
    let told = async |world: &World, expected: &[(&str, &str)]| {
        world
            .wait_for_events(&webhook, EventStatus::Delivered, expected.len())
            .await;
        let of = |body: &Value| json!([body["type"], body["connection"]["reason_code"]]);
        let told: Vec<Value> = bodies(world).iter().map(of).collect();
        let expected: Vec<Value> = expected.iter().map(|(status, code)| json!([status, code])).collect();
        assert_eq!(told, expected);
    };
    let session = world.gateway.shared.directory.session_actor(&webhook.key()).unwrap();
    session.cast(session::Message::Crash(Crash::Fail)).unwrap();
    wait_until("its link is closed", WITHIN, || async { left.is_closed() }).await;
    world.relinked(client, &number(1)).await;
    let failed = [
        ("connecting", "restarting"),
        ("connecting", "starting"),
        ("connected", "online"),
    ];
    told(&world, &failed).await;
    // A program that stops tells nothing.
    world.restart_with("").await;
    world.relinked(client, &number(1)).await;
    let started = [("connecting", "starting"), ("connected", "online")];
    told(&world, &[&failed[..], &started[..]].concat()).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_of_a_connection_waits_for_the_store() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    tell(&world, &webhook, &[EventKind::Connection]).await;
    // Another program holds the database for a moment.
    let mut holder = world.store.writer().await.unwrap();
    let held = holder.begin().await.unwrap();
    link.close(CloseReason::Lost("first".into()));
    world
        .wait_for_status(client, &number(1), ConnectionStatus::Connecting)
        .await;
    drop(held);
    drop(holder);
    world.relinked(client, &number(1)).await;
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    let requests = world.receiver.wait_for(2, WITHIN).await;
    assert_eq!(requests.len(), 2);
    let types: Vec<Value> = bodies(&world).iter().map(|body| body["type"].clone()).collect();
    assert_eq!(types, ["connecting", "connected"]);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_is_told_of_whichever_chats_are_wanted_and_a_status_by_its_chat() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let patch = WebhookPatch {
        chats: Some(ChatKinds::of([ChatKind::Group])),
        ..wants(&EventKind::ALL)
    };
    world.gateway.update_webhook(client, webhook.id, patch).await.unwrap();
    let of_person = status("5511999999999", "M1", SendStatus::Read);
    let in_group = IncomingMessage {
        chat: "120363000000000001@g.us".to_owned(),
        ..status("120363000000000001@g.us", "M2", SendStatus::Read)
    };
    link.deliver(vec![of_person, in_group]).await.unwrap();
    link.close(CloseReason::Lost("the cable was cut".into()));
    world.relinked(client, &number(1)).await;
    let events = world.wait_for_events(&webhook, EventStatus::Delivered, 3).await;
    let mut told: Vec<(&str, &str)> = events.iter().map(|event| (&*event.event, &*event.message_id)).collect();
    told.sort_unstable();
    assert_eq!(told, [("connection", ""), ("connection", ""), ("message.status", "M2")]);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_events_that_are_waited_for_are_bounded_for_each_client() {
    let world = World::start().await;
    let (client, other) = (world.add_client("a").await.id, world.add_client("b").await.id);
    let silent = world.webhook(client, &number(1), "/silent").await;
    let fine = world.webhook(other, &number(2), "/ok").await;
    world.receiver.script("/silent", vec![Reply::Hang; 20]);
    let test = |client, webhook: &Webhook| {
        let (gateway, id) = (world.gateway.clone(), webhook.id);
        tokio::spawn(async move { gateway.test_webhook(client, id).await })
    };
    let refused = wait_until("one too many is refused", WITHIN, || {
        let one = test(client, &silent);
        async { tokio::time::timeout(Duration::from_millis(100), one).await.ok() }
    });
    assert!(matches!(refused.await.unwrap(), Err(GatewayError::Busy(_))));
    let others = test(other, &fine).await.unwrap().unwrap();
    assert!(others.attempt.is_some(), "each for itself");
    world.gateway.stop().await;
}

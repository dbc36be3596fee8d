//! What a webhook is told of messages that went out: each step of a row once, in its order, whoever learns of it.

use std::time::Duration;

use serde_json::{Value, json};
use wharf_domain::{
    Client, EventKind, EventKinds, EventStatus, Timestamp, Webhook,
    outgoing::{News, Pacing, Place},
    session::CloseReason,
    webhook::WebhookPatch,
};
use wharf_support::wait_until;
use wharf_whatsapp::{ScriptedHandle, SendScript};

use super::world::{WITHIN, World, message, number, settings};
use crate::{Limits, NewMessage, Settings};

const TO: &str = "5511999999999";
const GROUP: &str = "120363000000000001@g.us";

fn text(to: &str) -> NewMessage {
    NewMessage::text(to.parse().unwrap(), "hello")
}

/// One that may wait, and whose caller does not.
fn patient() -> NewMessage {
    NewMessage {
        queue: true,
        wait: false,
        ..text(TO)
    }
}

/// A number that is linked, and whose webhook asks for this.
async fn told(world: &World, kinds: &[EventKind]) -> (Client, Webhook, ScriptedHandle) {
    let client = world.add_client("a").await;
    let (webhook, link) = world.linked(client.id, &number(1), "/ok").await;
    let patch = WebhookPatch {
        events: Some(EventKinds::of(kinds.iter().copied())),
        ..WebhookPatch::default()
    };
    let update = world.gateway.update_webhook(client.id, webhook.id, patch);
    update.await.unwrap();
    (client, webhook, link)
}

/// When a message was read, as its row has it.
async fn read_at(world: &World, client: &Client, message_id: &str) -> Option<Timestamp> {
    let row = world.gateway.outgoing_message(client.id, &number(1), message_id).await;
    row.unwrap().read_at
}

/// The statuses that were delivered, once there are so many: message, status, code, member, chat's name in `to`.
async fn statuses(world: &World, webhook: &Webhook, count: usize) -> Vec<Value> {
    world.wait_for_events(webhook, EventStatus::Delivered, count).await;
    let requests = world.receiver.requests();
    let bodies = requests
        .iter()
        .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    let statuses = bodies.filter(|body| body["event"] == "message.status");
    statuses.collect()
}

fn steps(statuses: &[Value]) -> Vec<Value> {
    let step = |body: &Value| json!([body["status"], body["code"], body["participant"]]);
    statuses.iter().map(step).collect()
}

fn place(chat: &str) -> Option<Place> {
    Some(Place::of(&chat.parse().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_a_row_is_told_once_and_none_goes_back() {
    let world = World::start().await;
    let (client, webhook, link) = told(&world, &[EventKind::Status]).await;
    let sent = world.gateway.send(client.id, &number(1), text(TO), None).await.unwrap();
    let id = sent.message_id.as_str();
    for news in [
        News::Delivered,
        News::Delivered,
        News::Read,
        News::Delivered,
        News::Sent,
        News::Read,
    ] {
        link.tell_of(&[id], news, Timestamp(7000), place(TO)).await.unwrap();
    }
    let told = statuses(&world, &webhook, 3).await;
    assert_eq!(
        steps(&told),
        [
            json!(["sent", null, null]),
            json!(["delivered", null, null]),
            json!(["read", null, null])
        ]
    );
    for body in &told {
        assert_eq!((&body["message_id"], &body["to"]), (&json!(id), &json!(TO)), "{body}");
        assert_eq!(body["from"], number(1).as_str());
    }
    assert_eq!(world.events(&webhook).await.len(), 3);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receivers_word_that_is_written_before_the_servers_comes_after_it_all_the_same() {
    let world = World::start().await;
    let (client, webhook, link) = told(&world, &[EventKind::Status]).await;
    link.on_send(SendScript::Hang);
    let hurried = NewMessage {
        wait: false,
        ..text(TO)
    };
    let sent = world.gateway.send(client.id, &number(1), hurried, None).await.unwrap();
    wait_until("it is under way", WITHIN, || async { !link.sent().is_empty() }).await;
    let id = sent.message_id.as_str();
    for news in [News::Delivered, News::Sent] {
        link.tell_of(&[id], news, Timestamp(7000), place(TO)).await.unwrap();
    }
    let told = statuses(&world, &webhook, 2).await;
    assert_eq!(
        steps(&told),
        [json!(["sent", null, null]), json!(["delivered", null, null])]
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_before_or_at_the_wire_is_told_with_its_code() {
    let pacing = Pacing {
        per_second: 0,
        deadline: Duration::from_millis(300),
        ..Pacing::default()
    };
    let settings = Settings {
        sending: pacing,
        ..settings()
    };
    let world = World::start_with(settings).await;
    let (client, webhook, link) = told(&world, &[EventKind::Status]).await;
    let scripts = [SendScript::Refuse("463".into()), SendScript::Nobody, SendScript::Gone];
    for script in scripts {
        link.on_send(script);
        world
            .gateway
            .send(client.id, &number(1), text(TO), None)
            .await
            .unwrap_err();
    }
    link.close(CloseReason::Lost("gone".into()));
    let queued = wait_until("it waits", WITHIN, || async {
        world.gateway.send(client.id, &number(1), patient(), None).await.ok()
    })
    .await;
    let told = statuses(&world, &webhook, 4).await;
    let failed = |code: &str| json!(["failed", code, null]);
    assert_eq!(
        steps(&told),
        [
            failed("463"),
            failed("not_on_whatsapp"),
            failed("not_connected"),
            failed("expired")
        ]
    );
    assert_eq!(told[0]["content"], "WhatsApp refused the message (463)");
    assert_eq!(told[3]["message_id"], queued.message_id.as_str());
    assert_eq!(told[3]["content"], "it was not sent within 0 s");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_connections_messages_fail_where_its_webhook_hears_of_it() {
    let world = World::start().await;
    let (client, webhook, link) = told(&world, &[EventKind::Status]).await;
    link.close(CloseReason::Lost("gone".into()));
    let queued = world
        .gateway
        .send(client.id, &number(1), patient(), None)
        .await
        .unwrap();
    world.gateway.delete_connection(client.id, &number(1)).await.unwrap();
    let told = statuses(&world, &webhook, 1).await;
    assert_eq!(steps(&told), [json!(["failed", "connection_deleted", null])]);
    assert_eq!(told[0]["message_id"], queued.message_id.as_str());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_unknown_is_told_and_what_proves_it_sent_too() {
    let mut world = World::start().await;
    let (client, webhook, link) = told(&world, &[EventKind::Status]).await;
    link.on_send(SendScript::Hang);
    let hurried = NewMessage {
        wait: false,
        ..text(TO)
    };
    let sent = world.gateway.send(client.id, &number(1), hurried, None).await.unwrap();
    wait_until("it is under way", WITHIN, || async { !link.sent().is_empty() }).await;
    world.restart_with("").await;
    let link = world.relinked(client.id, &number(1)).await;
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    // The server's late word, then the receiver's.
    let refused = News::failed("463", "not yet");
    for news in [refused.clone(), refused, News::Sent, News::Delivered] {
        link.tell_of(&[&sent.message_id], news, Timestamp(7000), place(TO))
            .await
            .unwrap();
    }
    let told = statuses(&world, &webhook, 4).await;
    assert_eq!(
        steps(&told),
        [
            json!(["failed", "unknown", null]),
            json!(["failed", "463", null]),
            json!(["sent", null, null]),
            json!(["delivered", null, null])
        ]
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_group_and_receivers_of_the_own_phone_are_told_as_they_are_heard() {
    let world = World::start().await;
    let (client, webhook, link) = told(&world, &[EventKind::Status]).await;
    let sent = world
        .gateway
        .send(client.id, &number(1), text(GROUP), None)
        .await
        .unwrap();
    let member = |who: &str| {
        let participant = Some(who.to_owned());
        place(GROUP).map(|place| Place { participant, ..place })
    };
    for (news, who) in [
        (News::Read, "5511911111111"),
        (News::Delivered, "5511922222222"),
        (News::Delivered, "5511911111111"),
        (News::Delivered, "5511922222222"),
    ] {
        let ids = [sent.message_id.as_str()];
        link.tell_of(&ids, news, Timestamp(7000), member(who)).await.unwrap();
    }
    // One of the phone's, told again after the program forgot everything but its rows.
    for news in [News::Read, News::Delivered, News::Read] {
        link.tell_of(&["PHONE"], news, Timestamp(7000), place(TO))
            .await
            .unwrap();
    }
    let told = statuses(&world, &webhook, 4).await;
    let of = |id: &str| -> Vec<Value> {
        let of_one = told.iter().filter(|body| body["message_id"] == *id);
        steps(&of_one.cloned().collect::<Vec<_>>())
    };
    assert_eq!(
        of(&sent.message_id),
        [
            json!(["sent", null, null]),
            json!(["read", null, "5511911111111"]),
            json!(["delivered", null, "5511922222222"])
        ]
    );
    assert_eq!(of("PHONE"), [json!(["read", null, null])]);
    assert_eq!(world.events(&webhook).await.len(), 4);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_messages_only_is_told_of_those_and_rows_go_on() {
    let world = World::start().await;
    let (client, webhook, link) = told(&world, &[EventKind::Message]).await;
    let sent = world.gateway.send(client.id, &number(1), text(TO), None).await.unwrap();
    let ids = [sent.message_id.as_str(), "PHONE"];
    link.tell_of(&ids, News::Read, Timestamp(7000), place(TO))
        .await
        .unwrap();
    link.deliver(vec![message(TO, "M1", "the end")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert_eq!(world.events(&webhook).await.len(), 1);
    assert_eq!(read_at(&world, &client, &sent.message_id).await, Some(Timestamp(7000)));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_takes_in_no_receipts_for_what_nobody_knows_and_rows_go_on() {
    let limits = Limits {
        pending_per_client: 3,
        ..Limits::default()
    };
    let world = World::start_with(Settings { limits, ..settings() }).await;
    let (client, webhook, link) = told(&world, &[EventKind::Status]).await;
    let sent = world.gateway.send(client.id, &number(1), text(TO), None).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let off = WebhookPatch {
        is_active: Some(false),
        ..WebhookPatch::default()
    };
    world.gateway.update_webhook(client.id, webhook.id, off).await.unwrap();
    // What takes a queue beyond its limit still comes in.
    for made_up in [["A", "B", "C"], ["D", "E", "F"]] {
        link.tell_of(&made_up, News::Read, Timestamp(7000), place(TO))
            .await
            .unwrap();
    }
    let own = [sent.message_id.as_str()];
    link.tell_of(&own, News::Read, Timestamp(7000), place(TO))
        .await
        .unwrap();
    assert_eq!(read_at(&world, &client, &sent.message_id).await, Some(Timestamp(7000)));
    let kept = world.events(&webhook).await;
    let mut kept: Vec<_> = kept.iter().map(|event| event.message_id.as_str()).collect();
    kept.retain(|id| *id != sent.message_id);
    assert_eq!(kept, ["C", "B", "A"]);
    world.gateway.stop().await;
}

/// How many writes were committed so far. What an event shows is in the store a moment before it is counted, so that is
/// waited for with a write, which is one of them.
async fn written(world: &World) -> u64 {
    world.gateway.shared.persistence.settled().await.unwrap();
    world.gateway.commits().writes
}

/// Writes that were committed for ten texts in, then for ten words of receivers: of a number whose webhook asks for this.
async fn writes_for(kinds: &[EventKind]) -> (u64, u64) {
    let world = World::start().await;
    let (_, webhook, link) = told(&world, kinds).await;
    world.cleaned().await;
    let mut delivered = 1;
    link.deliver(vec![message(TO, "first", "what the number needs once")])
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, delivered).await;
    let before = written(&world).await;
    for n in 0..10 {
        link.deliver(vec![message(TO, &format!("M{n}"), "hello")])
            .await
            .unwrap();
        delivered += 1;
        world.wait_for_events(&webhook, EventStatus::Delivered, delivered).await;
    }
    let between = written(&world).await;
    for n in 0..10 {
        let id = format!("P{n}");
        link.tell_of(&[&id], News::Read, Timestamp(7000), place(TO))
            .await
            .unwrap();
        delivered += usize::from(kinds.contains(&EventKind::Status));
        world.wait_for_events(&webhook, EventStatus::Delivered, delivered).await;
    }
    let after = written(&world).await;
    world.gateway.stop().await;
    (between - before - 1, after - between - 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_more_costs_texts_nothing_and_a_status_what_a_text_costs() {
    // A message and its outcome; a receipt alone.
    assert_eq!(writes_for(&[EventKind::Message]).await, (20, 10));
    assert_eq!(writes_for(&EventKind::ALL).await, (20, 20));
}

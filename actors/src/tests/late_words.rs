//! What becomes known of messages late, or without an answer: it lies in their chat, and no row is left behind.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use wharf_domain::{
    ConnectionKey, EventKind, EventKinds, EventStatus, Outgoing, SendStatus, Timestamp, Webhook,
    outgoing::{News, Place},
    webhook::WebhookPatch,
};
use wharf_store::{ChatFilter, EventFilter};
use wharf_support::wait_until;
use wharf_whatsapp::SendScript;

use super::{
    between::stand_between,
    storage::Holder,
    world::{WITHIN, World, number},
};
use crate::{
    NewMessage,
    persistence::Write,
    session,
    session::outbox::{Request, new_message_id},
    supervision::Crash,
};

const TO: &str = "5511999999999";
/// The same account as WhatsApp knows it.
const NAMED: &str = "551199999999@s.whatsapp.net";

/// The statuses that were told in this chat, the oldest first.
async fn told_in(world: &World, webhook: &Webhook, chat: &str) -> Vec<String> {
    let filter = EventFilter {
        limit: 200,
        chat: Some(ChatFilter::Jid(chat.to_owned())),
        ..EventFilter::default()
    };
    let page = world
        .store
        .events(webhook.client_id, webhook.id, &filter)
        .await
        .unwrap()
        .unwrap();
    let statuses = page.events.into_iter().rev().map(|event| event.message_type);
    statuses.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_lies_in_the_chat_as_whatsapp_names_it() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let patch = WebhookPatch {
        events: Some(EventKinds::of([EventKind::Status])),
        ..WebhookPatch::default()
    };
    world.gateway.update_webhook(client, webhook.id, patch).await.unwrap();
    link.names_chat(TO, NAMED);
    link.on_send(SendScript::Refuse("503".into()));
    let text = NewMessage::text(TO.parse().unwrap(), "hello");
    world.gateway.send(client, &number(1), text, None).await.unwrap_err();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert_eq!(told_in(&world, &webhook, NAMED).await, ["failed"]);
    // What proves it sent after all names no place, or another one.
    let id = world.events(&webhook).await[0].message_id.clone();
    let elsewhere = Place::of(&TO.parse().unwrap());
    for (news, place) in [(News::Sent, None), (News::Read, Some(elsewhere))] {
        link.tell_of(&[&id], news, Timestamp(7000), place).await.unwrap();
    }
    world.wait_for_events(&webhook, EventStatus::Delivered, 3).await;
    assert_eq!(told_in(&world, &webhook, NAMED).await, ["failed", "sent", "read"]);
    world.gateway.stop().await;
}

/// A number and its hidden id are one chat, if WhatsApp is known to call it so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_to_a_number_and_to_its_hidden_id_keeps_its_order() {
    const HIDDEN: &str = "100000000000007@lid";
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    link.names_chat(TO, NAMED);
    link.names_chat(HIDDEN, NAMED);
    link.on_send(SendScript::Hang);
    let goes_to = || -> Vec<String> { link.sent().iter().map(|sent| sent.message.to.to_string()).collect() };
    for to in [TO, HIDDEN, "5511977777777"] {
        let text = NewMessage {
            queue: true,
            wait: false,
            ..NewMessage::text(to.parse().unwrap(), "hello")
        };
        world.gateway.send(client, &number(1), text, None).await.unwrap();
    }
    wait_until("the other chat's is sent", WITHIN, || async { goes_to().len() == 2 }).await;
    assert_eq!(goes_to(), [TO, "5511977777777"], "the second waits for the first");
    world.gateway.stop().await;
}

/// A session dies while the row of a message that it was asked to send is still being written: the next one has to find
/// that row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_written_while_its_session_dies_is_not_left_waiting() {
    let world = World::start().await;
    let (client, _) = world.client_with_number().await;
    let key = ConnectionKey::new(client, number(1));
    let actor = world.gateway.shared.directory.session(&key).unwrap().actor.unwrap();
    let (reply, _answer) = ractor::concurrency::oneshot();
    let request = Request {
        message_id: new_message_id(),
        outgoing: Outgoing::text(TO.parse().unwrap(), "hello"),
        file: None,
        queue: true,
        wait: false,
        place: None,
    };
    let id = request.message_id.clone();
    let looks = Arc::new(AtomicBool::new(false));
    let looking = Arc::clone(&looks);
    stand_between(&world, move |write| {
        looking.fetch_or(matches!(write, Write::Settle(_)), Ordering::SeqCst);
        Some(write)
    })
    .await;
    let holder = Holder::start(&world);
    actor
        .cast(session::Message::Send(Box::new(request), reply.into()))
        .unwrap();
    actor.cast(session::Message::Crash(Crash::Panic)).unwrap();
    wait_until("the next session looks for its rows", WITHIN, || async {
        looks.load(Ordering::SeqCst)
    })
    .await;
    holder.release();
    let failed = wait_until("it is told what became of it", WITHIN, || async {
        let row = world.store.outgoing_message(&key, &id).await.unwrap();
        row.filter(|row| row.status == SendStatus::Failed)
    })
    .await;
    assert_eq!(failed.error_code.as_deref(), Some("unknown"));
    world.gateway.stop().await;
}

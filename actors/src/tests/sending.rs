//! Messages that go out: rows, pace, the queue, and what is told of them.

mod earlier;
mod model;
mod once;
mod typing;
mod waiting;

use std::{sync::Arc, time::Duration};

use wharf_domain::{
    ClientId, ConnectionStatus, Outgoing, OutgoingMessage, PhoneNumber, SendStatus, Timestamp,
    action::{Action, Arrangement, Done, PresenceState},
    outgoing::{Content, ForwardSource, News, Pacing},
    retention::Cutoffs,
    session::CloseReason,
};
use wharf_store::{NewOutgoing, OutgoingFilter};
use wharf_support::wait_until;
use wharf_whatsapp::SendScript;

use super::world::{WITHIN, World, message, number, settings};
use crate::{
    Gateway, GatewayError, IdempotencyKey, NewContent, NewMessage, SentMessage, Settings, clock, session,
    supervision::Crash,
};

const TO: &str = "5511999999999";

fn text(words: &str) -> NewMessage {
    NewMessage::text(TO.parse().unwrap(), words)
}

fn with(sending: Pacing) -> Settings {
    Settings { sending, ..settings() }
}

/// As fast as can be.
fn unpaced() -> Pacing {
    Pacing {
        per_second: 0,
        ..Pacing::default()
    }
}

async fn send(world: &World, client: ClientId, message: NewMessage) -> Result<SentMessage, GatewayError> {
    world.gateway.send(client, &number(1), message, None).await
}

async fn shown(gateway: &Gateway, client: ClientId, from: &PhoneNumber, id: &str) -> OutgoingMessage {
    gateway.outgoing_message(client, from, id).await.unwrap()
}

async fn until(world: &World, client: ClientId, id: &str, status: SendStatus) -> OutgoingMessage {
    wait_until(&format!("{id} is {status}"), WITHIN, || async {
        let found = shown(&world.gateway, client, &number(1), id).await;
        (found.status == status).then_some(found)
    })
    .await
}

async fn all(world: &World, client: ClientId) -> Vec<OutgoingMessage> {
    let filter = OutgoingFilter {
        limit: 200,
        ..OutgoingFilter::default()
    };
    let page = world.gateway.outgoing_messages(client, &number(1), filter).await;
    page.unwrap().messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sent_message_is_a_row_that_follows_its_receipts() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    let sent = send(&world, client, text("hello")).await.unwrap();
    assert_eq!((sent.status, sent.to.to_string().as_str()), (SendStatus::Sent, TO));
    assert_eq!(
        link.sent()[0].id,
        sent.message_id,
        "the id is made before WhatsApp hears of it"
    );
    let row = shown(&world.gateway, client, &number(1), &sent.message_id).await;
    assert_eq!(
        (row.status, row.sent_at.map(|at| at.to_string())),
        (SendStatus::Sent, Some(sent.timestamp))
    );
    let ids = [sent.message_id.as_str(), "somebody else's"];
    link.tell_of(&ids, News::Delivered, Timestamp(1000), None)
        .await
        .unwrap();
    link.tell_of(&ids[..1], News::Read, Timestamp(2000), None)
        .await
        .unwrap();
    let read = until(&world, client, &sent.message_id, SendStatus::Read).await;
    assert_eq!(
        (read.delivered_at, read.read_at),
        (Some(Timestamp(1000)), Some(Timestamp(2000)))
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_told_and_kept_with_their_code() {
    let world = World::start().await;
    let client = world.add_client("a").await.id;
    assert!(matches!(
        send(&world, client, text("x")).await,
        Err(GatewayError::NotFound("connection"))
    ));
    let link = world.connected(client, &number(1)).await;
    for (script, code) in [
        (SendScript::Refuse("463".into()), "463"),
        (SendScript::Nobody, "not_on_whatsapp"),
        (SendScript::Gone, "not_connected"),
    ] {
        link.on_send(script);
        let refused = send(&world, client, text("x")).await;
        match code {
            "not_connected" => assert!(
                matches!(&refused, Err(GatewayError::Conflict(why)) if why.contains("queue")),
                "{refused:?}"
            ),
            _ => assert!(matches!(refused, Err(GatewayError::Refused(_))), "{refused:?}"),
        }
        let newest = all(&world, client).await.remove(0);
        assert_eq!(
            (newest.status, newest.error_code.as_deref()),
            (SendStatus::Failed, Some(code))
        );
    }
    world.gateway.stop().await;
}

/// Its chat goes on, with what nobody knows the end of behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_client_library_ends_one_message() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    link.on_send(SendScript::Panic);
    let lost = send(&world, client, text("lost")).await;
    assert!(matches!(lost, Err(GatewayError::TimedOut(_))), "{lost:?}");
    link.on_send(SendScript::Accept);
    let sent = send(&world, client, text("sent")).await.unwrap();
    until(&world, client, &sent.message_id, SendStatus::Sent).await;
    assert_eq!(link.sent().len(), 2);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_what_waited_goes_and_what_was_under_way_is_unknown() {
    let mut world = World::start().await;
    let (client, link) = world.client_with_number().await;
    link.on_send(SendScript::Hang);
    let hanging = NewMessage {
        wait: false,
        ..text("under way")
    };
    let hanging = send(&world, client, hanging).await.unwrap().message_id;
    wait_until("it is under way", WITHIN, || async { !link.sent().is_empty() }).await;
    link.close(CloseReason::Lost("gone".into()));
    let waiting = NewMessage {
        queue: true,
        wait: false,
        ..text("waits")
    };
    let waiting = send(&world, client, waiting).await.unwrap().message_id;
    world.restart_with("").await;
    let link = world.relinked(client, &number(1)).await;
    until(&world, client, &waiting, SendStatus::Sent).await;
    let unknown = until(&world, client, &hanging, SendStatus::Failed).await;
    assert_eq!(unknown.error_code.as_deref(), Some("unknown"));
    let sent: Vec<String> = link.sent().into_iter().map(|sent| sent.id).collect();
    assert_eq!(sent, [waiting], "nothing is sent twice");
    link.tell_of(&[&hanging], News::Delivered, Timestamp(1), None)
        .await
        .unwrap();
    until(&world, client, &hanging, SendStatus::Delivered).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_came_in_or_went_out_are_passed_on() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    link.deliver(vec![message("5511777777777", "M1", "pass it on")])
        .await
        .unwrap();
    let event = world.events(&webhook).await.remove(0);
    let forward = |source| NewMessage {
        content: NewContent::Forward(source),
        ..text("")
    };
    let sent = send(&world, client, forward(ForwardSource::Event(event.id)))
        .await
        .unwrap();
    let again = forward(ForwardSource::Sent(sent.message_id.clone()));
    send(&world, client, again).await.unwrap();
    let words: Vec<Content> = link.sent().into_iter().map(|sent| sent.message.content).collect();
    let passed_on = Content::Forward {
        text: "pass it on".into(),
    };
    assert_eq!(words, [passed_on.clone(), passed_on]);
    let other = world.add_client("b").await.id;
    world.gateway.create_connection(other, number(2)).await.unwrap();
    let stolen = forward(ForwardSource::Event(event.id));
    let stolen = world.gateway.send(other, &number(2), stolen, None).await;
    assert!(matches!(stolen, Err(GatewayError::NotFound("event"))));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forward_that_is_repeated_gets_its_answer_also_when_its_source_is_gone() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    let source = send(&world, client, text("pass it on")).await.unwrap().message_id;
    let forward = || NewMessage {
        content: NewContent::Forward(ForwardSource::Sent(source.clone())),
        ..text("")
    };
    let under = async |key: &str| {
        let key = IdempotencyKey {
            key: key.to_owned(),
            body_hash: [1; 32],
        };
        world.gateway.send(client, &number(1), forward(), Some(key)).await
    };
    let first = under("k").await.unwrap();
    let all = Cutoffs {
        delivered: Timestamp(i64::MAX),
        failed: Timestamp(i64::MAX),
    };
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    let sent = world.store.visit_outgoing(None, &all, 10).await.unwrap();
    let sent: Vec<i64> = sent.iter().map(|sent| sent.seq).collect();
    assert_eq!(group.purge_outgoing(&sent, &all).await.unwrap(), 2);
    group.commit().await.unwrap();
    assert_eq!(under("k").await.unwrap(), first);
    // Nothing was sent under another key, which is as good as new.
    for _ in 0..2 {
        let gone = under("other").await;
        assert!(matches!(gone, Err(GatewayError::NotFound("message"))), "{gone:?}");
    }
    assert_eq!(link.sent().len(), 2);
    world.gateway.stop().await;
}

/// The next link shows a code, and nothing goes out.
async fn queued_while_the_link_is_gone(world: &World, client: ClientId) -> SentMessage {
    let link = world.connected(client, &number(1)).await;
    link.close(CloseReason::Lost("gone".into()));
    wait_until("the session has heard of it", WITHIN, || async {
        let now = world.gateway.connection(client, &number(1)).await.unwrap();
        now.session.status != ConnectionStatus::Connected
    })
    .await;
    let message = NewMessage {
        queue: true,
        wait: false,
        ..text("later")
    };
    send(world, client, message).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_the_connection_ends_what_waits() {
    let world = World::start().await;
    let client = world.add_client("a").await.id;
    let queued = queued_while_the_link_is_gone(&world, client).await;
    let store = Arc::new(world.store.clone());
    world.gateway.delete_connection(client, &number(1)).await.unwrap();
    let key = wharf_domain::ConnectionKey::new(client, number(1));
    let row = store.outgoing_message(&key, &queued.message_id).await.unwrap().unwrap();
    assert_eq!(row.error_code.as_deref(), Some("connection_deleted"), "{row:?}");
    world.gateway.stop().await;
}

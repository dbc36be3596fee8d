//! What reaches an actor before it has read its rows: ractor takes messages as soon as an actor has a mailbox, which is
//! before `Begin` is in it.

use std::{sync::Arc, time::Duration};

use ractor::{
    ActorRef, ActorRuntime, RpcReplyPort,
    concurrency::{OneshotReceiver, oneshot},
};
use wharf_domain::{ConnectionKey, Outgoing, action::Action, outgoing::Pacing, session::SessionView};
use wharf_store::{ConnectionRecord, ConnectionSettings};
use wharf_support::wait_until;
use wharf_whatsapp::OpenScript;

use super::{
    between::stand_between,
    world::{WITHIN, World, number, settings},
};
use crate::{
    Settings, clock,
    persistence::{Write, WriteError},
    session::{
        self, SessionActor,
        outbox::{Answer, Request, Undone, new_message_id},
    },
};

/// A paired number whose row nobody was told of, so that its session is the test's.
async fn unseen(world: &World) -> ConnectionKey {
    let client = world.add_client("a").await;
    let key = |n| ConnectionKey::new(client.id, number(n));
    world.gateway.create_connection(client.id, number(9)).await.unwrap();
    // Its tenant has read its rows by then.
    world.links.wait_for_link(&key(9)).await;
    let key = key(1);
    let new = ConnectionSettings::none(key.clone());
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    let made = group.create_connection(&new, clock::now()).await.unwrap().unwrap();
    let record = ConnectionRecord {
        key: key.clone(),
        view: SessionView {
            jid: Some(format!("{}:1@s.whatsapp.net", number(1))),
            ..made.session
        },
        updated_at: clock::now(),
    };
    assert!(group.record_connection(&record).await.unwrap());
    group.commit().await.unwrap();
    key
}

/// Starts a session with this in its mailbox. On a runtime of one thread nothing of it has run yet.
fn spawn(world: &World, key: &ConnectionKey, first: session::Message) -> ActorRef<session::Message> {
    let args = session::Args {
        key: key.clone(),
        shared: Arc::clone(&world.gateway.shared),
    };
    let (actor, _started) = ActorRuntime::spawn_instant(None, SessionActor, args).unwrap();
    actor.cast(first).unwrap();
    actor
}

/// A text that may wait, and where its session answers.
fn send(text: &str) -> (session::Message, OneshotReceiver<Result<Answer, Undone>>) {
    let (reply, answer) = oneshot();
    let request = Request {
        message_id: new_message_id(),
        outgoing: Outgoing::text(number(7).into(), text),
        file: None,
        queue: true,
        wait: false,
        place: None,
    };
    (session::Message::Send(Box::new(request), reply.into()), answer)
}

/// What a session that does not begin answers to all that came for it.
async fn turned_away(world: &World, key: &ConnectionKey) -> Undone {
    let (first, first_answer) = send("one");
    let actor = spawn(world, key, first);
    let (second, second_answer) = send("two");
    actor.cast(second).unwrap();
    let (reply, act) = oneshot();
    let action = Action::Blocks;
    actor
        .cast(session::Message::Act(Box::new(action), reply.into()))
        .unwrap();
    let (reply, check) = oneshot();
    let check_send = session::Message::CheckSend {
        queue: true,
        reply: reply.into(),
    };
    actor.cast(check_send).unwrap();
    let refused = first_answer.await.unwrap().unwrap_err();
    assert_eq!(second_answer.await.unwrap().unwrap_err(), refused);
    assert_eq!(act.await.unwrap().unwrap_err(), refused);
    assert_eq!(check.await.unwrap().unwrap_err(), refused);
    // For its supervisor to go on with.
    actor.wait(Some(WITHIN)).await.unwrap();
    assert!(world.links.link(key).is_none());
    assert!(world.store.queued_messages(key).await.unwrap().is_empty());
    refused
}

/// Whoever waits for an actor that is gone is told that it may have been done.
#[tokio::test]
async fn a_session_that_cannot_begin_says_that_nothing_was_done() {
    let world = World::start().await;
    let key = unseen(&world).await;
    stand_between(&world, |write| (!matches!(write, Write::Settle(_))).then_some(write)).await;
    let refused = turned_away(&world, &key).await;
    assert!(
        matches!(&refused, Undone::NotRecorded(WriteError::Unavailable(why)) if why.contains("nothing was sent")),
        "{refused:?}"
    );
    world.gateway.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_by_a_number_that_is_gone() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    let key = ConnectionKey::new(client.id, number(1));
    assert_eq!(turned_away(&world, &key).await, Undone::Gone);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_message_that_waits_for_its_session_to_start_is_sent_once() {
    let sending = Pacing {
        per_second: 0,
        ..Pacing::default()
    };
    let world = World::start_with(Settings { sending, ..settings() }).await;
    let key = unseen(&world).await;
    world.links.on_open(OpenScript::Login);
    let (one, answer) = send("one");
    let actor = spawn(&world, &key, one);
    assert!(answer.await.unwrap().is_ok());
    let link = world.links.wait_for_link(&key).await;
    wait_until("it is sent", WITHIN, || async { !link.sent().is_empty() }).await;
    // Of the same chat: what is there of the first goes before it.
    let (two, answer) = send("two");
    actor.cast(two).unwrap();
    assert!(answer.await.unwrap().is_ok());
    let sent = wait_until("the second is sent", WITHIN, || async {
        let texts: Vec<Outgoing> = link.sent().into_iter().map(|sent| sent.message).collect();
        texts
            .contains(&Outgoing::text(number(7).into(), "two"))
            .then_some(texts)
    })
    .await;
    assert_eq!(sent, ["one", "two"].map(|text| Outgoing::text(number(7).into(), text)));
    actor.stop_and_wait(None, Some(Duration::from_secs(5))).await.unwrap();
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_session_that_is_deleted_while_it_starts_logs_out() {
    let world = World::start().await;
    let key = unseen(&world).await;
    world.links.on_open(OpenScript::Login);
    let (reply, answer) = oneshot();
    spawn(&world, &key, session::Message::Delete(RpcReplyPort::from(reply)));
    answer.await.unwrap();
    let counters = world.links.counters();
    assert_eq!((counters.logged_out, counters.forgotten), (1, 1), "{counters:?}");
    world.gateway.stop().await;
}

//! What the owner of a connection wants: kept, told and done, or none of it, whatever happens in between.

use std::time::Duration;

use ractor::rpc::CallResult;
use wharf_domain::{
    ClientId, ConnectionKey, ConnectionStatus, Event, EventKind, EventKinds, Webhook, session::SessionEvent,
    webhook::WebhookPatch,
};
use wharf_support::wait_until;
use wharf_whatsapp::ScriptedHandle;

use super::{
    between::stand_between,
    world::{WITHIN, World, number},
};
use crate::{GatewayError, persistence::Write, session};

/// A client whose number 1 is linked, and whose webhook is told of the connection.
async fn followed(world: &World) -> (ClientId, Webhook, ScriptedHandle) {
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let patch = WebhookPatch {
        events: Some(EventKinds::of([EventKind::Connection])),
        ..WebhookPatch::default()
    };
    let changed = world.gateway.update_webhook(client, webhook.id, patch).await;
    (client, changed.unwrap(), link)
}

/// What the webhook was told, or is to be, in the order of the changes.
async fn told(world: &World, webhook: &Webhook) -> Vec<String> {
    let mut events = world.events(webhook).await;
    events.sort_by_key(|event| event.sequence);
    let status = |event: &Event| {
        let body: serde_json::Value = serde_json::from_str(event.payload.get()).unwrap();
        body["connection"]["status"].as_str().unwrap().to_owned()
    };
    events.iter().map(status).collect()
}

/// Whether this writes down that the number is to rest.
fn rests(write: &Write) -> bool {
    matches!(write, Write::RecordConnection(job) if !job.input().record.view.wanted)
}

/// In whatever moment the program ends: all of it is one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_in_the_row_is_told_although_the_program_ends_right_then() {
    let mut world = World::start().await;
    let (client, webhook, _link) = followed(&world).await;
    let mut has_ended = false;
    stand_between(&world, move |write| {
        let comes_late = has_ended;
        has_ended |= rests(&write);
        (!comes_late).then_some(write)
    })
    .await;
    world.gateway.disconnect(client, &number(1)).await.unwrap();
    let key = ConnectionKey::new(client, number(1));
    let row = world.store.connection(&key).await.unwrap().unwrap();
    assert_eq!(row.session.status, ConnectionStatus::Disconnected);
    world.restart_with("").await;
    let told = told(&world, &webhook).await;
    assert_eq!(told, ["disconnected"]);
    world.gateway.stop().await;
}

/// They are answered 503 when their time is up, which says that nothing was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_that_nobody_waits_for_any_more_is_not_done() {
    let world = World::start_on("?busy_timeout_ms=30000").await;
    let (client, webhook, link) = followed(&world).await;
    let key = ConnectionKey::new(client, number(1));
    let session = world.gateway.shared.directory.session(&key).unwrap().actor.unwrap();
    let disconnect = async || {
        let want = |reply| {
            let event = SessionEvent::Disconnect;
            session::Message::Want(session::Wish { event, reply })
        };
        session.call(want, Some(Duration::from_millis(200))).await.unwrap()
    };
    let mut writer = world.store.writer().await.unwrap();
    // It waits for another write, or its own is under way.
    for behind in [true, false] {
        let held = writer.begin().await.unwrap();
        if behind {
            let jid = format!("{}:1@s.whatsapp.net", number(1));
            link.connect(&jid, Some("Another name"));
        }
        assert!(matches!(disconnect().await, CallResult::Timeout), "{behind}");
        drop(held);
        // What follows it comes to a session that is connected.
        world.gateway.connect(client, &number(1)).await.unwrap();
        let row = world.store.connection(&key).await.unwrap().unwrap().session;
        assert_eq!(
            (row.status, row.wanted),
            (ConnectionStatus::Connected, true),
            "{behind}"
        );
        assert!(!link.is_closed(), "{behind}");
    }
    let told = told(&world, &webhook).await;
    assert_eq!(told.last().map(String::as_str), Some("connected"), "{told:?}");
    world.gateway.stop().await;
}

/// Nobody heard whether it is in the row, and it was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_wish_is_not_in_the_row_when_the_program_has_stopped() {
    let mut world = World::start().await;
    let (client, webhook, _link) = followed(&world).await;
    let mut is_unheard = true;
    stand_between(&world, move |write| match write {
        write if !rests(&write) || !std::mem::take(&mut is_unheard) => Some(write),
        Write::RecordConnection(job) => Some(Write::RecordConnection(job.unheard())),
        write => Some(write),
    })
    .await;
    let refused = world.gateway.disconnect(client, &number(1)).await;
    assert!(matches!(refused, Err(GatewayError::Unavailable(_))), "{refused:?}");
    world.restart_with("").await;
    let key = ConnectionKey::new(client, number(1));
    assert!(world.store.connection(&key).await.unwrap().unwrap().session.wanted);
    world.relinked(client, &number(1)).await;
    wait_until("the last word of it is that it is connected", WITHIN, || async {
        let told = told(&world, &webhook).await;
        told.last().is_some_and(|last| last == "connected")
    })
    .await;
    world.gateway.stop().await;
}

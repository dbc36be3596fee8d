//! Deletions of connections that take longer than whoever asked for them waits, or than the process lasts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use uuid::Uuid;
use wharf_domain::{
    ClientId, Connection, ConnectionKey, ConnectionStatus, Timestamp, WebhookId, retention::Keep, session::ReasonCode,
};
use wharf_store::{KeyChange, KeyKind, StoredKey};
use wharf_support::wait_until;
use wharf_whatsapp::{OpenScript, ScriptedFactory};

use super::{
    between::stand_between,
    bounds::toggle,
    world::{WITHIN, World, message, number, open_store, settings},
};
use crate::{
    Deletion, Gateway, GatewayError, Limits, Settings, deletions, delivery, persistence::Write, session, tenant,
};

fn key(client_id: ClientId) -> ConnectionKey {
    ConnectionKey::new(client_id, number(1))
}

/// A client with a number whose device has this many keys.
async fn linked(world: &World, keys: usize) -> ConnectionKey {
    let (client, _) = world.client_with_number().await;
    let key = key(client);
    let keeper = world.gateway.key_keeper();
    let cipher = keeper.cipher(&key).unwrap();
    // As a device does: a gateway does not start where it cannot read them.
    let put = |n: usize| {
        let name = n.to_string();
        let sealed = cipher.seal(KeyKind::Session, name.as_bytes(), &[7; 30]).unwrap();
        KeyChange::Put(StoredKey::new(KeyKind::Session, name, sealed))
    };
    keeper.commit(&key, (0..keys).map(put).collect()).await.unwrap();
    key
}

async fn has_ended(world: &World, key: &ConnectionKey) {
    wait_until("the session has ended", WITHIN, || async {
        world.gateway.shared.directory.session(key).unwrap().actor.is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_long_is_answered_and_goes_on_and_is_not_begun_twice() {
    let world = World::start().await;
    let key = linked(&world, 100).await;
    let held = world.gateway.shared.persistence.hold_clearing().await;
    let delete = |wait| {
        world
            .gateway
            .delete_connection_within(key.client_id, &key.phone_number, wait)
    };
    let Deletion::GoesOn(shown) = delete(Duration::ZERO).await.unwrap() else {
        panic!("the turn for its keys is taken")
    };
    assert_eq!(shown.key(), key);
    has_ended(&world, &key).await;
    // The device is gone, its keys are to go.
    let refused = world
        .gateway
        .connect(key.client_id, &key.phone_number)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, GatewayError::Conflict(text) if text.contains("being deleted")),
        "{refused}"
    );
    let shown = world
        .gateway
        .connection(key.client_id, &key.phone_number)
        .await
        .unwrap();
    assert_eq!(shown.session.reason_code, ReasonCode::BeingDeleted);
    assert!(matches!(delete(Duration::ZERO).await, Ok(Deletion::GoesOn(_))));
    let row = world.store.connection(&key).await.unwrap().unwrap();
    let mut ended = deletions::begin(&world.gateway.shared, &row);
    drop(held);
    assert_eq!(*ended.wait_for(Option::is_some).await.unwrap(), Some(Ok(())));
    assert_eq!(delete(WITHIN).await, Err(GatewayError::NotFound("connection")));
    assert_eq!(world.links.counters().logged_out, 1);
    assert_eq!(world.store.any_key().await.unwrap(), None);
    // What comes after it is another one.
    let made = world.gateway.create_connection(key.client_id, number(1)).await.unwrap();
    world.links.wait_for_link(&made.key()).await;
    assert_eq!(delete(WITHIN).await, Ok(Deletion::Done));
    world.gateway.stop().await;
}

/// Its row is all that is left to say that it was begun, in the same process or in the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_cut_short_is_gone_on_with() {
    for restart in [false, true] {
        let first = if restart { settings() } else { looking_often() };
        let mut world = World::start_with(first).await;
        let key = linked(&world, 100).await;
        // A connection that nobody asked to be running is told by its reason alone.
        world.gateway.disconnect(key.client_id, &number(1)).await.unwrap();
        world.links.on_open(OpenScript::Login);
        let actor = world.gateway.shared.directory.session(&key).unwrap().actor.unwrap();
        let _gave_up = actor.call(session::Message::Delete, Some(Duration::ZERO)).await;
        if restart {
            has_ended(&world, &key).await;
            world.gateway.stop().await;
            let row = world.store.connection(&key).await.unwrap().unwrap();
            assert_eq!(
                (row.session.reason_code, row.session.wanted),
                (ReasonCode::BeingDeleted, false)
            );
            start_again(&mut world).await;
        }
        is_gone(&world, &key).await;
        assert_eq!(world.links.counters().overlaps, 0);
        world.gateway.stop().await;
    }
}

/// The janitor goes on with deletions at every look.
fn looking_often() -> Settings {
    let mut keep = Keep::days(0, 0);
    keep.look_every = Duration::from_millis(200);
    Settings { keep, ..settings() }
}

/// The same store, with links that all log in, and a janitor that looks once.
async fn start_again(world: &mut World) {
    world.store = open_store(&world.dir).await;
    world.links = ScriptedFactory::new();
    world.links.on_open(OpenScript::Login);
    let links = Arc::new(world.links.clone());
    world.gateway = Gateway::start(settings(), world.store.clone(), links).await.unwrap();
}

async fn is_gone(world: &World, key: &ConnectionKey) {
    wait_until("its row is gone", WITHIN, || async {
        world.store.connection(key).await.unwrap().is_none()
    })
    .await;
}

/// Nothing of a device goes before it is unlinked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_for_its_turn_when_the_program_stops_is_gone_on_with() {
    let slow = Settings {
        session_starts_per_second: 1,
        ..settings()
    };
    let mut world = World::start_with(slow).await;
    let key = linked(&world, 100).await;
    world.gateway.disconnect(key.client_id, &number(1)).await.unwrap();
    world
        .wait_for_status(key.client_id, &number(1), ConnectionStatus::Disconnected)
        .await;
    let shared = Arc::clone(&world.gateway.shared);
    let others = (0..600).map(|_| shared.pacer.turn(ClientId(0), Duration::ZERO));
    let _others: Vec<_> = others.collect();
    let deleting = world
        .gateway
        .delete_connection_within(key.client_id, &key.phone_number, Duration::ZERO);
    assert!(matches!(deleting.await, Ok(Deletion::GoesOn(_))));
    wait_until("it waits for its turn", WITHIN, || async {
        let view = shared.directory.session(&key).unwrap().view;
        view.reason_code == ReasonCode::BeingDeleted && view.retry_at.is_some()
    })
    .await;
    world.gateway.stop().await;
    let row = world.store.connection(&key).await.unwrap().unwrap();
    assert_eq!(row.session.reason_code, ReasonCode::BeingDeleted);
    assert!(world.store.any_key().await.unwrap().is_some());
    let counters = world.links.counters();
    assert_eq!((counters.logged_out, counters.forgotten), (0, 0), "{counters:?}");
    start_again(&mut world).await;
    is_gone(&world, &key).await;
    assert_eq!(world.links.counters().logged_out, 1);
    world.gateway.stop().await;
}

/// A number that was told to connect, and whose link waits until its client's events are counted: which is not before the test ends.
async fn waiting_for_room() -> (World, ConnectionKey) {
    let limits = Limits {
        pending_per_client: 1,
        ..Limits::default()
    };
    let world = World::start_with(Settings { limits, ..settings() }).await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let changed = world.gateway.update_webhook(client, webhook.id, toggle(false)).await;
    changed.unwrap();
    link.deliver(vec![message("5511000000001", "A", "x")]).await.unwrap();
    world.gateway.disconnect(client, &number(1)).await.unwrap();
    wait_until("its link is closed", WITHIN, || async { link.is_closed() }).await;
    let (shared, key) = (&world.gateway.shared, key(client));
    let never = Instant::now() + Duration::from_hours(1);
    shared.backlog.count_not_before(client, never).await;
    world.gateway.connect(client, &number(1)).await.unwrap();
    let slot = shared.directory.link_slot(&key);
    wait_until("its link waits", WITHIN, || async {
        let view = shared.directory.session(&key).unwrap().view;
        view.status == ConnectionStatus::Connecting && view.retry_at.is_none() && slot.try_lock().is_err()
    })
    .await;
    assert_eq!(world.links.counters().opened, 1);
    (world, key)
}

/// The device would stay linked on the phone, and nobody here could unlink it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_link_waits_for_room_in_the_queue_is_unlinked_without_that() {
    let (world, key) = waiting_for_room().await;
    let deleting = world
        .gateway
        .delete_connection_within(key.client_id, &key.phone_number, WITHIN);
    assert_eq!(deleting.await, Ok(Deletion::Done));
    let counters = world.links.counters();
    assert_eq!((counters.opened, counters.logged_out, counters.overlaps), (2, 1, 0));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_waits_for_room_in_the_queue_keeps_nobody_waiting() {
    let (world, key) = waiting_for_room().await;
    world.gateway.disconnect(key.client_id, &number(1)).await.unwrap();
    let slot = world.gateway.shared.directory.link_slot(&key);
    wait_until("it does not wait any more", WITHIN, || async {
        slot.try_lock().is_ok()
    })
    .await;
    assert_eq!(world.links.counters().opened, 1);
    world.gateway.stop().await;

    // A program that stops gives its sessions 8 seconds.
    let (world, key) = waiting_for_room().await;
    let slot = world.gateway.shared.directory.link_slot(&key);
    world.gateway.stop().await;
    assert!(slot.try_lock().is_ok());
}

/// It was made after a removal of whose end nobody heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_finds_another_connection_of_its_number_leaves_that_alone() {
    let world = World::start().await;
    let key = linked(&world, 0).await;
    let shared = &world.gateway.shared;
    let file = shared.media.outbound.path(&key, "M1");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, b"of a message that waits").unwrap();
    let row = world.store.connection(&key).await.unwrap().unwrap();
    let old = Connection {
        created_at: Timestamp(row.created_at.0 - 1),
        ..row
    };
    let mut ended = deletions::begin(shared, &old);
    assert_eq!(*ended.wait_for(Option::is_some).await.unwrap(), Some(Ok(())));
    assert!(file.exists());
    wait_until("the row says that it is connected", WITHIN, || async {
        let row = world.store.connection(&key).await.unwrap().unwrap();
        row.session.status == ConnectionStatus::Connected
    })
    .await;
    assert_eq!(world.links.counters().logged_out, 0);
    world.gateway.stop().await;
}

/// Whoever makes the number anew sends files of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_has_its_row_for_as_long_as_it_has_files() {
    let world = World::start().await;
    let key = linked(&world, 0).await;
    let file = world.gateway.shared.media.outbound.path(&key, "M1");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, b"of a message that waits").unwrap();
    let (is_there, directory) = (Arc::new(AtomicBool::new(true)), file.parent().unwrap().to_owned());
    let was_there = Arc::clone(&is_there);
    stand_between(&world, move |write| {
        if matches!(write, Write::DeleteConnection(_)) {
            was_there.store(directory.exists(), Ordering::SeqCst);
        }
        Some(write)
    })
    .await;
    let deleted = world.gateway.delete_connection(key.client_id, &key.phone_number).await;
    assert_eq!(deleted, Ok(Deletion::Done));
    assert!(!is_there.load(Ordering::SeqCst));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_panicked_does_not_block_its_number() {
    let world = World::start().await;
    let key = linked(&world, 0).await;
    let row = world.store.connection(&key).await.unwrap().unwrap();
    world.gateway.shared.deletions.lose(&row);
    world.gateway.connect(key.client_id, &key.phone_number).await.unwrap();
    // Neither does a library that panics while the keys are forgotten.
    world.links.on_open(OpenScript::Panic);
    let deleting = world
        .gateway
        .delete_connection_within(key.client_id, &key.phone_number, WITHIN);
    assert_eq!(deleting.await, Ok(Deletion::Done));
    world.gateway.stop().await;
}

/// Not even the mark in its row can be written, and the device is unlinked all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_the_store_refuses_is_gone_on_with_when_it_takes_writes_again() {
    let world = World::start_on("?busy_timeout_ms=500").await;
    let key = linked(&world, 0).await;
    wait_until("its row says that it is connected", WITHIN, || async {
        let row = world.store.connection(&key).await.unwrap().unwrap();
        row.session.status == ConnectionStatus::Connected
    })
    .await;
    let mut writer = world.store.writer().await.unwrap();
    let blocker = writer.begin().await.unwrap();
    let wait = Duration::from_secs(2);
    let deleting = world
        .gateway
        .delete_connection_within(key.client_id, &key.phone_number, wait);
    let answer = deleting.await.unwrap();
    assert!(matches!(answer, Deletion::GoesOn(_)), "{answer:?}");
    wait_until("it is unlinked", WITHIN, || async {
        world.links.counters().logged_out == 1
    })
    .await;
    assert!(world.gateway.ready().await.is_err());
    let row = world.store.connection(&key).await.unwrap().unwrap();
    assert_eq!(row.session.status, ConnectionStatus::Connected, "the row does not know");
    drop(blocker);
    drop(writer);
    is_gone(&world, &key).await;
    world.gateway.stop().await;
}

/// A request may have read the row a moment before it went.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_row_brings_nothing_back_and_is_in_nobodys_way() {
    let world = World::start().await;
    let key = linked(&world, 0).await;
    let delete = || async {
        let deleted = world.gateway.delete_connection(key.client_id, &key.phone_number).await;
        assert_eq!(deleted, Ok(Deletion::Done));
    };
    let old = world.store.connection(&key).await.unwrap().unwrap();
    delete().await;
    let directory = &world.gateway.shared.directory;
    let tenant = directory.tenant(key.client_id).unwrap();
    let comes_late = || {
        let old = Box::new(old.clone());
        tenant.cast(tenant::Message::ConnectionCreated(old)).unwrap();
    };
    comes_late();
    // Of no webhook: it is answered when the one before was taken.
    let taken = |reply| {
        let nobodys = Box::new(delivery::Message::Heard(reply));
        tenant::Message::ForDelivery(WebhookId(Uuid::nil()), nobodys)
    };
    let _unanswered = tenant.call(taken, Some(WITHIN)).await;
    wait_until("nothing is left of it", WITHIN, || async {
        directory.session(&key).is_none() && directory.statuses().is_empty()
    })
    .await;
    for _ in 0..20 {
        comes_late();
        let made = world.gateway.create_connection(key.client_id, number(1)).await.unwrap();
        let made = made.key();
        let link = tokio::time::timeout(WITHIN, world.links.wait_for_link(&made));
        link.await.expect("a session of the new connection");
        delete().await;
    }
    world.gateway.stop().await;
}

/// Whoever makes connections and deletes them at once leaves the turns that they did not need to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_of_connections_that_are_deleted_are_free_for_others() {
    let pace = Settings {
        session_starts_per_second: 5,
        ..settings()
    };
    let world = World::start_with(pace).await;
    let (many, other) = (world.add_client("a").await.id, world.add_client("b").await.id);
    for n in 0..4 {
        let made = (n * 50..(n + 1) * 50).map(|n| world.gateway.create_connection(many, number(n)));
        let made = futures::future::join_all(made).await;
        let deleted = made.into_iter().map(|made| async {
            let key = made.unwrap().key();
            wait_until("it waits for its turn, or has had it", WITHIN, || async {
                let entry = world.gateway.shared.directory.session(&key);
                entry.is_some_and(|entry| entry.view.retry_at.is_some()) || world.links.link(&key).is_some()
            })
            .await;
            let deleted = world.gateway.delete_connection(many, &key.phone_number).await;
            assert_eq!(deleted, Ok(Deletion::Done));
        });
        futures::future::join_all(deleted).await;
    }
    let turn = world.gateway.shared.pacer.turn(other, Duration::ZERO);
    assert!(turn.wait() < Duration::from_secs(2), "{turn:?}");
    let opened = world.links.counters().opened;
    assert!(opened < 200, "most were deleted before: {opened}");
    world.gateway.stop().await;
}

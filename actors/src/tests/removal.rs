//! Clients that are removed at a bad moment: their devices are unlinked all the same.

use std::{sync::Arc, time::Duration};

use wharf_domain::{ClientId, ConnectionKey, ConnectionStatus, session::ReasonCode};
use wharf_support::wait_until;
use wharf_whatsapp::{OpenScript, ScriptedFactory};

use super::world::{WITHIN, World, number, open_store, settings};
use crate::{
    Gateway, Settings, clock,
    pacer::Turn,
    session,
    supervision::{Crash, DONE},
};

fn key(client_id: ClientId) -> ConnectionKey {
    ConnectionKey::new(client_id, number(1))
}

/// A client with a number whose device is in its row.
async fn linked(world: &World) -> ConnectionKey {
    let (client, _) = world.client_with_number().await;
    let key = key(client);
    wait_until("the device is in the row", WITHIN, || async {
        let row = world.store.connection(&key).await.unwrap().unwrap();
        row.session.jid.is_some()
    })
    .await;
    key
}

async fn remove(world: &World, client: ClientId) {
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    assert!(group.remove_client(client, clock::now()).await.unwrap());
    group.commit().await.unwrap();
}

async fn is_unlinked(world: &World) {
    wait_until("the client is gone", WITHIN, || async {
        world.store.removed_clients().await.unwrap().is_empty()
    })
    .await;
    let counters = world.links.counters();
    assert_eq!((counters.logged_out, counters.forgotten), (1, 1), "{counters:?}");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_removed_while_nothing_runs_is_unlinked_at_the_next_start() {
    let mut world = World::start().await;
    let key = linked(&world).await;
    world.gateway.stop().await;
    world.store = open_store(&world.dir).await;
    remove(&world, key.client_id).await;
    start_again(&mut world).await;
    is_unlinked(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_was_being_deleted_goes_with_its_client() {
    let world = World::start().await;
    let key = linked(&world).await;
    let directory = &world.gateway.shared.directory;
    // Its session has ended, and its row is there still.
    let session = directory.session_actor(&key).unwrap();
    session.call(session::Message::Delete, Some(WITHIN)).await.unwrap();
    wait_until("its session has ended", WITHIN, || async {
        directory.session_actor(&key).is_none()
    })
    .await;
    remove(&world, key.client_id).await;
    wait_until("nothing is left of it", WITHIN, || async {
        directory.session(&key).is_none() && directory.known_link_slot(&key).is_none()
    })
    .await;
    is_unlinked(&world).await;
}

/// A program whose links all log in.
async fn start_again(world: &mut World) {
    world.links = ScriptedFactory::new();
    world.links.on_open(OpenScript::Login);
    world.gateway = Gateway::start(settings(), world.store.clone(), Arc::new(world.links.clone()))
        .await
        .unwrap();
}

/// A client that is being removed, whose only number waits for a turn to unlink its device: others have those of the next ten
/// minutes.
async fn waiting() -> (World, ConnectionKey, Vec<Turn>) {
    let slow = Settings {
        session_starts_per_second: 1,
        ..settings()
    };
    let world = World::start_with(slow).await;
    let key = linked(&world).await;
    world.gateway.disconnect(key.client_id, &number(1)).await.unwrap();
    world
        .wait_for_status(key.client_id, &number(1), ConnectionStatus::Disconnected)
        .await;
    let shared = &world.gateway.shared;
    let others = (0..600)
        .map(|_| shared.pacer.turn(ClientId(0), Duration::ZERO))
        .collect();
    remove(&world, key.client_id).await;
    wait_until("it waits for its turn", WITHIN, || async {
        let view = shared.directory.session(&key).unwrap().view;
        view.reason_code == ReasonCode::BeingDeleted && view.retry_at.is_some()
    })
    .await;
    (world, key, others)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_devices_wait_for_their_turn_when_the_program_stops_is_unlinked_at_the_next_start() {
    let (mut world, key, _others) = waiting().await;
    world.gateway.stop().await;
    let counters = world.links.counters();
    assert_eq!((counters.logged_out, counters.forgotten), (0, 0), "{counters:?}");
    world.store = open_store(&world.dir).await;
    let row = world.store.connection(&key).await.unwrap().unwrap();
    assert!(row.session.jid.is_some());
    start_again(&mut world).await;
    is_unlinked(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_is_deleted_while_its_client_is_removed_is_not_waited_for() {
    let (world, key, _others) = waiting().await;
    // As when the deletion of its connection is carried through.
    let directory = &world.gateway.shared.directory;
    let actor = directory.session(&key).unwrap().actor.unwrap();
    directory.remove_session(&key);
    actor.stop(Some(DONE.to_owned()));
    wait_until("the client is gone", WITHIN, || async {
        world.store.removed_clients().await.unwrap().is_empty()
    })
    .await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_removed_while_its_session_is_parked_is_unlinked() {
    let world = World::start().await;
    let key = linked(&world).await;
    world.links.on_open(OpenScript::Login);
    for restarts in 0..6 {
        let actor = wait_until("the session runs", WITHIN, || async {
            let entry = world.gateway.shared.directory.session(&key).unwrap();
            entry.actor.filter(|_| entry.restarts == restarts)
        })
        .await;
        actor.cast(session::Message::Crash(Crash::Fail)).unwrap();
    }
    world
        .wait_for_status(key.client_id, &number(1), ConnectionStatus::Failed)
        .await;
    remove(&world, key.client_id).await;
    is_unlinked(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_fails_while_its_client_is_removed_unlinks_its_device_all_the_same() {
    let world = World::start().await;
    let key = linked(&world).await;
    world.gateway.disconnect(key.client_id, &number(1)).await.unwrap();
    world
        .wait_for_status(key.client_id, &number(1), ConnectionStatus::Disconnected)
        .await;
    // To log out it logs in once more; this link does not come that far.
    world.links.on_open(OpenScript::Open);
    remove(&world, key.client_id).await;
    world.links.wait_for_link(&key).await;
    world.links.on_open(OpenScript::Login);
    let entry = world.gateway.shared.directory.session(&key).unwrap();
    entry
        .actor
        .unwrap()
        .cast(session::Message::Crash(Crash::Panic))
        .unwrap();
    is_unlinked(&world).await;
    assert_eq!(world.links.counters().overlaps, 0);
}

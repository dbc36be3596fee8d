//! Children that panic or fail: siblings go on, the child comes back from the store, nothing is lost, and it shows.

use std::time::Duration;

use wharf_domain::{
    ClientId, ConnectionKey, ConnectionStatus, EventKind, EventKinds, EventStatus, PhoneNumber, SendStatus, Timestamp,
    session::ReasonCode, webhook::WebhookPatch,
};
use wharf_support::{Reply, wait_until};
use wharf_whatsapp::{ScriptedHandle, SendScript};

use super::world::{WITHIN, World, message, number, open_store};
use crate::{GatewayError, NewMessage, delivery, persistence, root, session, supervision::Crash, tenant, tenants};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_dies_comes_back_alone() {
    for how in Crash::BOTH {
        a_session_that_dies(how).await;
    }
}

async fn a_session_that_dies(how: Crash) {
    let world = World::start().await;
    let (client, broken, _) = world.client_with_webhook("/one").await;
    let (healthy, sibling) = world.linked(client, &number(2), "/two").await;
    let key = ConnectionKey::new(client, number(1));
    let actor = world.gateway.shared.directory.session(&key).unwrap().actor.unwrap();
    actor.cast(session::Message::Crash(how)).unwrap();
    sibling
        .deliver(vec![message("5511000000001", "S1", "s")])
        .await
        .unwrap();
    world.wait_for_events(&healthy, EventStatus::Delivered, 1).await;
    let sent = world
        .gateway
        .send(
            client,
            &number(2),
            NewMessage::text(number(9).into(), "meanwhile"),
            None,
        )
        .await;
    assert_eq!(sent.unwrap().status, SendStatus::Sent);
    assert_eq!(sibling.sent().len(), 1, "the sibling goes on sending");

    wait_until("the restart shows", WITHIN, || async {
        world.gateway.connection(client, &number(1)).await.unwrap().restarts == 1
    })
    .await;
    wait_until("its old link is closed", WITHIN, || async {
        world.links.counters().closed >= 1
    })
    .await;
    let link = world.relinked(client, &number(1)).await;
    link.deliver(vec![message("5511000000001", "B1", "b")]).await.unwrap();
    world.wait_for_events(&broken, EventStatus::Delivered, 1).await;
    assert!(!sibling.is_closed(), "the sibling kept its link");
    world.gateway.stop().await;
}

/// The successor of a dead session closes the link that it left.
async fn closed(left: &ScriptedHandle) {
    wait_until("the link that was left is closed", WITHIN, || async {
        left.is_closed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_said_counts_only_while_its_actor_lives() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    world.linked(client.id, &number(1), "/one").await;
    let key = ConnectionKey::new(client.id, number(1));
    let entry = world.gateway.shared.directory.session(&key).unwrap();
    assert_eq!(entry.clone().truth().reason_code, ReasonCode::Online);
    let (mut orphan, mut silent) = (entry.clone(), entry);
    // As when its tenant dies and takes its sessions along: nobody is left to correct the view.
    orphan.actor = None;
    // As when something on its thread never lets go of that.
    silent.said_at = Timestamp(silent.said_at.0 - 70_000);
    for stale in [orphan, silent] {
        assert_eq!(stale.view.status, ConnectionStatus::Connected);
        let shown = stale.truth();
        let truth = (ConnectionStatus::Connecting, ReasonCode::Restarting, None);
        assert_eq!((shown.status, shown.reason_code, shown.connected_since), truth);
    }
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_keeps_dying_is_parked_visibly() {
    let world = World::start().await;
    let (client, webhook, _link) = world.client_with_webhook("/ok").await;
    let patch = WebhookPatch {
        events: Some(EventKinds::of([EventKind::Connection])),
        ..WebhookPatch::default()
    };
    let changed = world.gateway.update_webhook(client, webhook.id, patch).await;
    changed.unwrap();
    let key = ConnectionKey::new(client, number(1));
    for restarts in 1..=6 {
        let actor = wait_until("the session runs", WITHIN, || async {
            let entry = world.gateway.shared.directory.session(&key).unwrap();
            entry.actor.filter(|_| entry.restarts == restarts - 1)
        })
        .await;
        let how = Crash::BOTH[usize::try_from(restarts).unwrap() % 2];
        actor.cast(session::Message::Crash(how)).unwrap();
        wait_until("the failure is seen", WITHIN, || async {
            world.gateway.connection(client, &number(1)).await.unwrap().restarts == restarts
        })
        .await;
    }
    world
        .wait_for_status(client, &number(1), ConnectionStatus::Failed)
        .await;
    let shown = world.gateway.connection(client, &number(1)).await.unwrap();
    assert!(
        shown
            .session
            .reason
            .unwrap()
            .starts_with("parked after repeated failures")
    );
    assert_eq!(shown.session.reason_code, ReasonCode::Parked);
    assert!(shown.session.retry_at.unwrap() > crate::clock::now());
    wait_until("it is told", WITHIN, || async {
        let events = world.events(&webhook).await;
        events.iter().any(|event| event.payload.get().contains("\"parked\""))
    })
    .await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_dies_comes_back_with_its_events_and_counter() {
    for how in Crash::BOTH {
        a_delivery_that_dies(how).await;
    }
}

async fn a_delivery_that_dies(how: Crash) {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/hook").await;
    world.receiver.script("/hook", [Reply::Status(404), Reply::Status(500)]);
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Failed, 1).await;
    link.deliver(vec![message("5511000000001", "M2", "2")]).await.unwrap();
    wait_until("a retry waits", WITHIN, || async {
        world
            .events(&webhook)
            .await
            .iter()
            .any(|event| event.next_retry_at.is_some())
    })
    .await;
    let actor = world.gateway.shared.directory.delivery(webhook.id).unwrap();
    actor.cast(delivery::Message::Crash(how)).unwrap();
    // While it is away, another message arrives: its wake-up is lost, its row is not.
    link.deliver(vec![message("5511000000002", "M3", "3")]).await.unwrap();
    wait_until("it is back", WITHIN, || async {
        match world.gateway.shared.directory.delivery(webhook.id) {
            Some(back) if back.get_id() != actor.get_id() => {
                ractor::call_t!(back, delivery::Message::Snapshot, 30_000).is_ok_and(|snapshot| snapshot.is_some())
            }
            _ => false,
        }
    })
    .await;
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    assert_eq!(world.receiver.count(), 4);
    world.gateway.stop().await;
}

/// An event whose outcome is on its way to the disk is not posted once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_delivery_that_died_had_written_is_waited_for() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/hook").await;
    let directory = &world.gateway.shared.directory;
    world.receiver.script("/hook", [Reply::Slow(Duration::from_secs(3))]);
    let key = webhook.key();
    wait_until("nothing else is to be written", WITHIN, || async {
        let row = world.store.connection(&key).await.unwrap().unwrap();
        row.session.status == ConnectionStatus::Connected
    })
    .await;
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    wait_until("it is posted", WITHIN, || async { world.receiver.count() == 1 }).await;
    let mut writer = world.store.writer().await.unwrap();
    let blocker = writer.begin().await.unwrap();
    wait_until("its outcome is being committed", WITHIN, || async {
        directory.writing().try_lock().is_err()
    })
    .await;
    let actor = directory.delivery(webhook.id).unwrap();
    actor.cast(delivery::Message::Crash(Crash::Panic)).unwrap();
    wait_until("the next one is there", WITHIN, || async {
        let next = directory.delivery(webhook.id);
        next.is_some_and(|next| next.get_id() != actor.get_id())
    })
    .await;
    drop(blocker);
    link.deliver(vec![message("5511000000001", "M2", "2")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    assert_eq!(world.receiver.count(), 2);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_dies_takes_nothing_of_another_with_it() {
    for how in Crash::BOTH {
        a_tenant_that_dies(how).await;
    }
}

async fn a_tenant_that_dies(how: Crash) {
    let world = World::start().await;
    let (one, two) = (world.add_client("a").await, world.add_client("b").await);
    let (first, old) = world.linked(one.id, &number(1), "/one").await;
    let (second, other) = world.linked(two.id, &number(2), "/two").await;
    // Its delivery has run, and dies with nothing to do: nothing but a retry or the next message can have it started.
    world.receiver.script("/one", [Reply::Status(404)]);
    old.deliver(vec![message("5511000000001", "M0", "0")]).await.unwrap();
    let failed = world.wait_for_events(&first, EventStatus::Failed, 1).await.remove(0);
    world
        .gateway
        .shared
        .directory
        .tenant(one.id)
        .unwrap()
        .cast(tenant::Message::Crash(how))
        .unwrap();
    other.deliver(vec![message("5511000000001", "O1", "o")]).await.unwrap();
    world.wait_for_events(&second, EventStatus::Delivered, 1).await;
    assert!(!other.is_closed());
    closed(&old).await;
    let retried = world.gateway.retry_event(one.id, failed.id, false).await;
    retried.expect("the dead delivery is not waited for");
    world.wait_for_events(&first, EventStatus::Delivered, 1).await;
    let link = world.relinked(one.id, &number(1)).await;
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    world.wait_for_events(&first, EventStatus::Delivered, 2).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tenants_actor_comes_back_with_everything() {
    for how in Crash::BOTH {
        the_tenants_actor(how).await;
    }
}

async fn the_tenants_actor(how: Crash) {
    let world = World::start().await;
    let (client, webhook, old) = world.client_with_webhook("/ok").await;
    old.deliver(vec![message("5511000000001", "M0", "0")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let tenants = ractor::call_t!(world.gateway.root, root::Message::Tenants, 30_000)
        .unwrap()
        .unwrap();
    tenants.cast(tenants::Message::Crash(how)).unwrap();
    closed(&old).await;
    let link = world.relinked(client, &number(1)).await;
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    world.gateway.stop().await;
}

/// Without either nothing comes in and nothing goes out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_without_its_tenants_or_its_writer_is_not_ready() {
    let world = World::start().await;
    let gateway = &world.gateway;
    let ready_again = || async { gateway.ready().await.is_ok() };
    // Each time that it is seen to be ready it fails once more, until it stays away for seconds.
    let tenants = || async {
        let tenants = ractor::call_t!(gateway.root, root::Message::Tenants, 30_000).unwrap();
        let _down_already = tenants.unwrap().cast(tenants::Message::Crash(Crash::Fail));
        gateway.ready().await.err()
    };
    let said = wait_until("it is said that there are no tenants", WITHIN, tenants).await;
    assert!(said.contains("tree"), "{said}");
    wait_until("the tenants are back", WITHIN, ready_again).await;
    let writer = || async {
        if let Some(writer) = gateway.shared.directory.persistence() {
            let _down_already = writer.cast(persistence::Message::Crash(Crash::Fail));
        }
        gateway.ready().await.err().filter(|said| said.contains("writer"))
    };
    wait_until("it is said that there is no writer", WITHIN, writer).await;
    wait_until("the writer is back", WITHIN, ready_again).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persistence_that_dies_loses_nothing() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    for round in 0..6 {
        world
            .gateway
            .shared
            .directory
            .persistence()
            .unwrap()
            .cast(persistence::Message::Crash(Crash::BOTH[round % 2]))
            .unwrap();
        // WhatsApp offers it again until it is taken.
        wait_until("the message is taken", WITHIN, || async {
            link.deliver(vec![message("5511000000001", &format!("M{round}"), "1")])
                .await
                .is_ok()
        })
        .await;
    }
    world.wait_for_events(&webhook, EventStatus::Delivered, 6).await;
    assert!(world.gateway.ready().await.is_ok());
    world.gateway.stop().await;
}

/// What ends while the program stops is written all the same: its receiver would get it once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persistence_that_dies_while_the_program_stops_comes_back() {
    let world = World::start().await;
    let (_, _, link) = world.client_with_webhook("/hook").await;
    world.receiver.script("/hook", [Reply::Slow(Duration::from_secs(2))]);
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    world.receiver.wait_for(1, WITHIN).await;
    let gateway = world.gateway.clone();
    let stopping = tokio::spawn(async move { gateway.stop().await });
    closed(&link).await;
    let persistence = world.gateway.shared.directory.persistence().unwrap();
    persistence.cast(persistence::Message::Crash(Crash::Panic)).unwrap();
    stopping.await.unwrap();
    let store = open_store(&world.dir).await;
    assert_eq!(store.all_pending_events(9).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_persistence_was_committing_counts_as_told() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    // What is being committed may be the janitor's; then the connection was never told, and it is tried once more.
    for n in 1..=5 {
        if created_by_a_dead_persistence(&world, client.id, number(n)).await {
            return world.gateway.stop().await;
        }
    }
    panic!("persistence never died over the connection");
}

/// Has persistence die while it commits, the connection if nothing else, and holds what `settled` says against what came of
/// that. Whether it was the connection.
async fn created_by_a_dead_persistence(world: &World, client_id: ClientId, phone_number: PhoneNumber) -> bool {
    let mut writer = world.store.writer().await.unwrap();
    let blocker = writer.begin().await.unwrap();
    let (shared, directory) = (world.gateway.shared.clone(), &world.gateway.shared.directory);
    let key = ConnectionKey::new(client_id, phone_number);
    let persistence = directory.persistence().unwrap();
    let creating = tokio::spawn({
        let gateway = world.gateway.clone();
        let key = key.clone();
        async move { gateway.create_connection(key.client_id, key.phone_number).await }
    });
    wait_until("something is being committed", WITHIN, || async {
        directory.writing().try_lock().is_err()
    })
    .await;
    persistence.cast(persistence::Message::Crash(Crash::Panic)).unwrap();
    wait_until("persistence is gone", WITHIN, || async {
        let actor = directory.persistence();
        actor.is_none_or(|actor| actor.get_id() != persistence.get_id())
    })
    .await;
    let seen = tokio::spawn(async move {
        shared.persistence.settled().await.unwrap();
        shared.store.connection(&key).await.unwrap().is_some()
    });
    wait_until("the next one is there", WITHIN, || async {
        directory.persistence().is_some()
    })
    .await;
    drop(blocker);
    let (created, seen) = (creating.await.unwrap(), seen.await.unwrap());
    assert!(
        seen || created.is_err(),
        "it was committed, and settled did not wait for it"
    );
    created.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_no_writes_is_said_and_it_all_resumes() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    let mut writer = world.store.writer().await.unwrap();
    let blocker = writer.begin().await.unwrap();
    let refused = tokio::spawn({
        let link = link.clone();
        async move { link.deliver(vec![message("5511000000001", "M1", "1")]).await }
    });
    wait_until("the gateway says so", WITHIN, || async {
        world.gateway.ready().await.is_err()
    })
    .await;
    assert!(
        tokio::time::timeout(WITHIN, refused).await.unwrap().unwrap().is_err(),
        "WhatsApp is not told"
    );
    drop(blocker);
    drop(writer);
    wait_until("it is ready again", WITHIN, || async {
        world.gateway.ready().await.is_ok()
    })
    .await;
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    world.gateway.stop().await;
}

/// Its 15 seconds are not over, and nobody may say that they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_connection_is_deleted_meanwhile_says_so() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    // Nothing is heard of it even when its link ends.
    link.on_send(SendScript::Slow(WITHIN));
    let of = number(1);
    let message = NewMessage::text("5511999999999".parse().unwrap(), "under way");
    let deleting = async {
        wait_until("it is under way", WITHIN, || async { !link.sent().is_empty() }).await;
        world.gateway.delete_connection(client, &of).await.unwrap();
    };
    let (sent, ()) = tokio::join!(world.gateway.send(client, &of, message, None), deleting);
    let Err(GatewayError::TimedOut(said)) = sent else {
        panic!("{sent:?}");
    };
    assert!(said.contains("session ended") && !said.contains("within"), "{said}");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_heard_of_when_the_root_dies() {
    let world = World::start().await;
    let gateway = world.gateway.clone();
    let ended = tokio::spawn(async move { gateway.ended().await });
    world.gateway.root.kill();
    tokio::time::timeout(WITHIN, ended).await.unwrap().unwrap();
}

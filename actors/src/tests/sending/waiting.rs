//! Messages that wait: for the pace, for their connection, and not for ever.

use ractor::ActorStatus;
use wharf_support::Reply;

use super::*;
use crate::tenant;

/// Nobody got it, or the next session that is not connected yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_while_its_clients_part_of_the_tree_is_down_was_not_sent_and_says_so() {
    let world = World::start().await;
    let (client, left) = world.client_with_number().await;
    let directory = &world.gateway.shared.directory;
    let key = wharf_domain::ConnectionKey::new(client, number(1));
    let session = directory.session(&key).unwrap().actor.unwrap();
    let crash = tenant::Message::Crash(Crash::Fail);
    directory.tenant(client).unwrap().cast(crash).unwrap();
    wait_until("its session is gone", WITHIN, || async {
        session.get_status() == ActorStatus::Stopped
    })
    .await;
    let refused = send(&world, client, text("meanwhile")).await;
    assert!(
        matches!(refused, Err(GatewayError::Unavailable(_) | GatewayError::Conflict(_))),
        "{refused:?}"
    );
    wait_until("the link that was left is closed", WITHIN, || async {
        left.is_closed()
    })
    .await;
    world.relinked(client, &number(1)).await;
    assert!(send(&world, client, text("again")).await.is_ok());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_link_is_looked_at_is_not_overtaken_in_its_chat() {
    let world = World::start_with(with(unpaced())).await;
    let (client, link) = world.client_with_number().await;
    world.receiver.script("/page", [Reply::Slow(Duration::from_secs(3))]);
    let of_a_page = Outgoing::text(TO.parse().unwrap(), world.receiver.url("/page"));
    let first = NewMessage {
        content: NewContent::Previewed(of_a_page.content),
        ..text("")
    };
    let then = async {
        world.receiver.wait_for(1, WITHIN).await;
        let other = NewMessage::text("5511777777777".parse().unwrap(), "in another chat");
        let other = send(&world, client, other).await.unwrap();
        (other, send(&world, client, text("then")).await.unwrap())
    };
    let (first, (other, then)) = tokio::join!(send(&world, client, first), then);
    let sent: Vec<String> = link.sent().into_iter().map(|sent| sent.id).collect();
    assert_eq!(sent, [other, first.unwrap(), then].map(|sent| sent.message_id));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_burst_messages_wait_for_the_pace_in_their_order() {
    let pacing = Pacing {
        per_second: 20,
        burst: 2,
        ..Pacing::default()
    };
    let world = World::start_with(with(pacing)).await;
    let (client, link) = world.client_with_number().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let message = NewMessage {
            wait: false,
            ..text(&n.to_string())
        };
        let queued = send(&world, client, message).await.unwrap();
        assert!(queued.is_queued());
        ids.push(queued.message_id);
    }
    for id in &ids {
        until(&world, client, id, SendStatus::Sent).await;
    }
    let sent: Vec<String> = link.sent().into_iter().map(|sent| sent.id).collect();
    assert_eq!(sent, ids);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_link_is_down_only_what_may_wait_waits() {
    let pacing = Pacing {
        queue_max: 2,
        ..Pacing::default()
    };
    let world = World::start_with(with(pacing)).await;
    let (client, link) = world.client_with_number().await;
    link.close(CloseReason::Lost("gone".into()));
    wait_until("it is not connected", WITHIN, || async {
        matches!(send(&world, client, text("now")).await, Err(GatewayError::Conflict(_)))
    })
    .await;
    assert!(link.sent().is_empty());
    let patient = || NewMessage {
        queue: true,
        wait: false,
        ..text("later")
    };
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(send(&world, client, patient()).await.unwrap());
    }
    assert!(waiting.iter().all(SentMessage::is_queued));
    assert!(matches!(
        send(&world, client, patient()).await,
        Err(GatewayError::Busy(_))
    ));
    let link = world.relinked(client, &number(1)).await;
    for message in &waiting {
        until(&world, client, &message.message_id, SendStatus::Sent).await;
    }
    assert_eq!(link.sent().len(), 2);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_message_has_to_wait_again_is_told_at_once() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    link.on_send(SendScript::Gone);
    let message = NewMessage {
        queue: true,
        ..text("later")
    };
    let asked = std::time::Instant::now();
    let queued = send(&world, client, message).await.unwrap();
    assert!(
        queued.is_queued() && asked.elapsed() < Duration::from_secs(15),
        "{queued:?}"
    );
    link.on_send(SendScript::Accept);
    until(&world, client, &queued.message_id, SendStatus::Sent).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_too_long_fails_and_says_so() {
    let pacing = Pacing {
        deadline: Duration::from_millis(300),
        ..Pacing::default()
    };
    let world = World::start_with(with(pacing)).await;
    let client = world.add_client("a").await.id;
    world.gateway.create_connection(client, number(1)).await.unwrap();
    let message = || NewMessage {
        queue: true,
        wait: false,
        ..text("never")
    };
    let queued = wait_until("its session runs", WITHIN, || async {
        send(&world, client, message()).await.ok()
    })
    .await;
    let failed = until(&world, client, &queued.message_id, SendStatus::Failed).await;
    assert_eq!(failed.error_code.as_deref(), Some("expired"));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_put_back_before_a_restart_lets_nothing_wait_for_longer_than_it_may() {
    let world = World::start().await;
    let client = world.add_client("a").await.id;
    let connection = world.gateway.create_connection(client, number(1)).await.unwrap();
    let tomorrow = clock::now() + Duration::from_hours(24);
    let row = NewOutgoing {
        key: connection.key(),
        message_id: "3EB0".into(),
        outgoing: Outgoing::text(TO.parse().unwrap(), "never"),
        created_at: tomorrow,
        deadline_at: tomorrow + Duration::from_millis(1200),
        started_at: None,
        file: None,
    };
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    assert!(group.record_outgoing(&row).await.unwrap());
    group.commit().await.unwrap();
    let session = wait_until("its session runs", WITHIN, || async {
        world.gateway.shared.directory.session(&connection.key())?.actor
    })
    .await;
    session.cast(session::Message::Crash(Crash::Fail)).unwrap();
    let failed = until(&world, client, "3EB0", SendStatus::Failed).await;
    assert_eq!(failed.error.as_deref(), Some("it was not sent within 1 s"));
    world.gateway.stop().await;
}

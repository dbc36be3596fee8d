//! The way of a message through the tree.

use std::{sync::Arc, time::Duration};

use wharf_domain::{EventStatus, webhook::WebhookPatch};
use wharf_support::{Reply, wait_until};

use super::{
    between::stand_between,
    world::{WITHIN, World, message, open_store, settings},
};
use crate::{
    Gateway, GatewayError, clock, delivery,
    persistence::{self, Write},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_committed_then_delivered() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    link.deliver(vec![message("5511999999999", "M1", "hello")])
        .await
        .unwrap();
    assert_eq!(
        world.events(&webhook).await.len(),
        1,
        "committed before WhatsApp is told"
    );
    let events = world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let requests = world.receiver.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        std::str::from_utf8(&requests[0].body).unwrap(),
        r#"{"client_id":1,"message_id":"M1","from":"5511999999999","to":"5511800000001","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"hello"}"#
    );
    assert_eq!(events[0].attempt_count, 1);
    assert_eq!(events[0].http_status, Some(200));
    // The same message again: taken, and no second event.
    link.deliver(vec![
        message("5511999999999", "M1", "hello"),
        message("5511999999999", "M2", "x"),
    ])
    .await
    .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    assert_eq!(world.receiver.count(), 2);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_retried_on_schedule_and_survives_a_restart() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/hook").await;
    world.receiver.always("/hook", Reply::Status(503));
    link.deliver(vec![
        message("5511999999999", "M1", "1"),
        message("5511999999999", "M2", "2"),
    ])
    .await
    .unwrap();
    let pending = wait_until("the first attempt is committed", WITHIN, || async {
        world
            .events(&webhook)
            .await
            .into_iter()
            .find(|event| event.attempt_count >= 1)
    })
    .await;
    assert_eq!(pending.error.as_deref(), Some("Server error (503)"));
    assert_eq!(pending.status, EventStatus::Pending);
    let wait = pending.next_retry_at.unwrap().since(clock::now());
    assert!(wait <= Duration::from_millis(5500), "{wait:?}");
    world.gateway.stop().await;
    world.receiver.always("/hook", Reply::Ok);

    let store = open_store(&world.dir).await;
    let gateway = Gateway::start(settings(), store, Arc::new(world.links.clone()))
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    let requests = world.receiver.requests();
    let order: Vec<_> = requests
        .iter()
        .map(|request| request.header("webhook-attempt").unwrap().to_owned())
        .collect();
    let mut expected: Vec<String> = (1..requests.len()).map(|attempt| attempt.to_string()).collect();
    expected.push("1".to_owned());
    assert!(requests.len() > 2);
    assert_eq!(order, expected, "the second message waits for the first of its chat");
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(4900));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_do_not_wait_for_each_other_and_manual_retry_begins_anew() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/hook").await;
    world.receiver.script("/hook", [Reply::Status(404)]);
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    let failed = world.wait_for_events(&webhook, EventStatus::Failed, 1).await.remove(0);
    assert_eq!(
        (failed.error.as_deref(), failed.next_retry_at),
        (Some("Client error (404)"), None)
    );
    assert_eq!(
        world.gateway.webhook(client, webhook.id).await.unwrap().failure_count,
        1
    );
    link.deliver(vec![message("5511000000002", "M2", "2")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert_eq!(
        world.gateway.webhook(client, webhook.id).await.unwrap().failure_count,
        0
    );

    let renewed = world.gateway.retry_event(client, failed.id, false).await.unwrap();
    assert_eq!(renewed.id, failed.id);
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    let again = world.gateway.retry_event(client, failed.id, false).await;
    assert!(matches!(again, Err(GatewayError::Conflict(_))), "{again:?}");
    world.gateway.retry_event(client, failed.id, true).await.unwrap();
    wait_until("the forced retry arrives", WITHIN, || async {
        world.receiver.count() == 4
    })
    .await;
    world.gateway.stop().await;
}

/// Whoever asked for it has given up by then, and its delivery has looked for it in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_is_committed_late_goes_out() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/hook").await;
    world.receiver.script("/hook", [Reply::Status(404)]);
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    let failed = world.wait_for_events(&webhook, EventStatus::Failed, 1).await.remove(0);
    let directory = &world.gateway.shared.directory;
    let writer = directory.persistence().unwrap();
    let (hold, mut held) = tokio::sync::mpsc::unbounded_channel();
    stand_between(&world, move |write| match write {
        Write::RenewEvent(job) => {
            hold.send(Write::RenewEvent(job.unheard())).unwrap();
            None
        }
        write => Some(write),
    })
    .await;
    let late = world.gateway.retry_event(client, failed.id, false).await;
    assert!(matches!(late, Err(GatewayError::Unavailable(_))), "{late:?}");
    wait_until("it has looked", WITHIN, || async {
        let delivery = directory.delivery(webhook.id)?;
        let snapshot = ractor::call_t!(delivery, delivery::Message::Snapshot, 30_000).ok()??;
        (snapshot.following && snapshot.window == 0).then_some(())
    })
    .await;
    let write = Box::new(held.recv().await.unwrap());
    writer.cast(persistence::Message::Commit(write)).unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert_eq!(world.receiver.count(), 2);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inactive_webhook_keeps_its_events_and_a_deleted_one_ends_them() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let toggle = |on| WebhookPatch {
        is_active: Some(on),
        ..WebhookPatch::default()
    };
    world
        .gateway
        .update_webhook(client, webhook.id, toggle(false))
        .await
        .unwrap();
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    let waiting = world.events(&webhook).await.remove(0);
    let refused = world.gateway.retry_event(client, waiting.id, false).await;
    assert!(matches!(refused, Err(GatewayError::Conflict(_))), "{refused:?}");
    assert_eq!(world.receiver.count(), 0);
    world
        .gateway
        .update_webhook(client, webhook.id, toggle(true))
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;

    world
        .gateway
        .update_webhook(client, webhook.id, toggle(false))
        .await
        .unwrap();
    link.deliver(vec![message("5511000000001", "M2", "2")]).await.unwrap();
    world.gateway.delete_webhook(client, webhook.id).await.unwrap();
    let ended = world.wait_for_events(&webhook, EventStatus::Failed, 1).await.remove(0);
    assert_eq!(ended.error.as_deref(), Some("webhook deleted"));
    let gone = world.gateway.webhook(client, webhook.id).await;
    assert_eq!(gone.unwrap_err(), GatewayError::NotFound("webhook"));
    // Without a webhook a message is taken and not kept.
    link.deliver(vec![message("5511000000001", "M3", "3")]).await.unwrap();
    assert_eq!(world.events(&webhook).await.len(), 2);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_gateway_leaves_nothing_behind() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    link.deliver(vec![message("5511999999999", "M1", "hello")])
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    let shared = Arc::downgrade(&world.gateway.shared);
    world.gateway.stop().await;
    // The links here remember their sessions; WhatsApp's do not.
    world.links.let_go();
    drop((world, link));
    wait_until("nobody holds what it was made of", WITHIN, || async {
        shared.strong_count() == 0
    })
    .await;
}

//! Deliveries that rest, and what wakes them.

use std::time::Duration;

use wharf_domain::{EventStatus, signing::sign, webhook::WebhookPatch};
use wharf_store::FailedFilter;
use wharf_support::{Reply, wait_until};

use super::{
    bounds::toggle,
    world::{WITHIN, World, message, number, settings},
};
use crate::{GatewayError, Settings, delivery, tenant};

/// What a round of the tenant does; in tests a delivery may rest as soon as it is idle.
fn round(world: &World, client: wharf_domain::ClientId) {
    let tenant = world.gateway.shared.directory.tenant(client).unwrap();
    tenant.cast(tenant::Message::Round { look: true }).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_delivery_rests_and_a_message_or_a_retry_wakes_it() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/hook").await;
    let directory = &world.gateway.shared.directory;
    assert!(directory.delivery(webhook.id).is_none(), "nothing to do yet");
    world
        .receiver
        .script("/hook", [Reply::Status(404), Reply::Status(200), Reply::Status(200)]);
    let rests = async || {
        wait_until("the delivery rests", WITHIN, || async {
            round(&world, client);
            directory.delivery(webhook.id).is_none()
        })
        .await;
    };
    link.deliver(vec![message("5511999999999", "M1", "1")]).await.unwrap();
    let failed = world.wait_for_events(&webhook, EventStatus::Failed, 1).await.remove(0);
    rests().await;
    link.deliver(vec![message("5511999999999", "M2", "2")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    rests().await;
    world.gateway.retry_event(client, failed.id, false).await.unwrap();
    let events = world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    assert_eq!(
        events.iter().map(|event| event.attempt_count).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(world.receiver.count(), 3);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_whose_webhook_is_off_rests_with_what_waits() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let directory = &world.gateway.shared.directory;
    let toggle = async |on| {
        let patch = WebhookPatch {
            is_active: Some(on),
            ..WebhookPatch::default()
        };
        world.gateway.update_webhook(client, webhook.id, patch).await.unwrap();
    };
    toggle(false).await;
    link.deliver(vec![message("5511999999999", "M1", "1")]).await.unwrap();
    wait_until("the delivery is there", WITHIN, || async {
        directory.delivery(webhook.id).is_some()
    })
    .await;
    wait_until("it rests", WITHIN, || async {
        round(&world, client);
        directory.delivery(webhook.id).is_none()
    })
    .await;
    link.deliver(vec![message("5511999999999", "M2", "2")]).await.unwrap();
    toggle(true).await;
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_meets_a_delivery_which_ends_is_done_all_the_same() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/hook").await;
    let directory = &world.gateway.shared.directory;
    for n in 1..=3 {
        world.receiver.script("/hook", [Reply::Status(404), Reply::Status(200)]);
        link.deliver(vec![message("5511999999999", &format!("M{n}"), "1")])
            .await
            .unwrap();
        let failed = world.wait_for_events(&webhook, EventStatus::Failed, 1).await.remove(0);
        directory.delivery(webhook.id).unwrap().kill();
        world.gateway.retry_event(client, failed.id, false).await.unwrap();
        world.wait_for_events(&webhook, EventStatus::Delivered, n).await;
    }
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_for_a_deleted_webhook_does_not_wait_for_the_attempt_under_way() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/hook").await;
    world.receiver.script("/hook", [Reply::Hang]);
    link.deliver(vec![message("5511999999999", "M1", "1")]).await.unwrap();
    world.receiver.wait_for(1, WITHIN).await;
    world.gateway.delete_webhook(client, webhook.id).await.unwrap();
    let event = world.events(&webhook).await.remove(0);
    let refused = world.gateway.retry_event(client, event.id, false).await;
    assert!(
        matches!(&refused, Err(GatewayError::Conflict(text)) if text.contains("deleted")),
        "{refused:?}"
    );
    let delivery = world.gateway.shared.directory.delivery(webhook.id);
    assert!(delivery.is_some(), "its attempt has not ended");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_of_nothing_wakes_nobody() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    let idle = world.webhook(client.id, &number(1), "/idle").await;
    let (webhook, link) = world.linked(client.id, &number(2), "/ok").await;
    let retry = world
        .gateway
        .retry_failed(client.id, idle.id, FailedFilter::default())
        .await;
    assert_eq!(retry.unwrap().retrying, 0);
    // Whatever the tenant was told before this is done.
    link.deliver(vec![message("5511999999999", "M1", "1")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    assert!(world.gateway.shared.directory.delivery(idle.id).is_none());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_was_to_rest_hears_of_a_new_secret() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let directory = &world.gateway.shared.directory;
    let publish = |delivery| directory.publish_delivery(client, webhook.id, delivery);
    // It has read its secret.
    link.deliver(vec![message("5511999999999", "M1", "1")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    // As when it is asked to rest, and is put back because it got something to do in between.
    let delivery = directory.delivery(webhook.id).unwrap();
    publish(None);
    let rotated = world
        .gateway
        .rotate_secret(client, webhook.id, Duration::ZERO)
        .await
        .unwrap();
    publish(Some(delivery));
    link.deliver(vec![message("5511999999999", "M2", "2")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    let request = world.receiver.requests().remove(1);
    let timestamp = request.header("webhook-timestamp").unwrap().parse().unwrap();
    let signature = sign(
        rotated.secret.as_ref().unwrap(),
        request.header("webhook-id").unwrap(),
        timestamp,
        &request.body,
    );
    assert_eq!(request.header("webhook-signature"), Some(signature.as_str()));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_rests_although_the_one_before_died_over_that() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let directory = &world.gateway.shared.directory;
    link.deliver(vec![message("5511999999999", "M1", "1")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    directory.delivery(webhook.id).unwrap().kill();
    wait_until("its death is noticed", WITHIN, || async {
        let text = world.gateway.metrics().await.unwrap();
        text.contains("wharf_restarts_total{actor=\"delivery\"} 1")
    })
    .await;
    // What it had said before is read now.
    let rests = tenant::Message::Rests {
        webhook: webhook.id,
        idle: true,
    };
    directory.tenant(client).unwrap().cast(rests).unwrap();
    link.deliver(vec![message("5511999999999", "M2", "2")]).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 2).await;
    wait_until("the delivery rests", WITHIN, || async {
        round(&world, client);
        directory.delivery(webhook.id).is_none()
    })
    .await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_lost_or_overtaken_while_its_delivery_goes_to_rest() {
    const MESSAGES: usize = 150;
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    for n in 0..MESSAGES {
        let text = format!("{n:03}");
        link.deliver(vec![message("5511999999999", &format!("M{text}"), &text)])
            .await
            .unwrap();
        round(&world, client);
        if n % 3 == 0 {
            wait_until("all of it so far is delivered", WITHIN, || async {
                world.receiver.count() > n
            })
            .await;
            // Asked twice before it can answer once.
            round(&world, client);
            round(&world, client);
        }
    }
    world.wait_for_events(&webhook, EventStatus::Delivered, MESSAGES).await;
    let bodies = world.receiver.requests().into_iter().map(|request| request.body);
    let texts: Vec<String> = bodies
        .map(|body| {
            let payload: serde_json::Value = serde_json::from_slice(&body).unwrap();
            payload["content"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(texts, (0..MESSAGES).map(|n| format!("{n:03}")).collect::<Vec<_>>());
    world.gateway.stop().await;
}

/// Its attempt is under way as far as its delivery knows, and will not be made when it has its slot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_waits_for_a_slot_is_not_retried_while_its_webhook_is_off() {
    let only = Settings {
        max_in_flight: 1,
        max_in_flight_per_client: 1,
        ..settings()
    };
    let world = World::start_with(only).await;
    let (client, _, taker) = world.client_with_webhook("/hang").await;
    let (webhook, link) = world.linked(client, &number(2), "/ok").await;
    taker.deliver(vec![message("5511999999999", "M1", "1")]).await.unwrap();
    world.receiver.wait_for(1, WITHIN).await;
    link.deliver(vec![message("5511999999999", "M2", "2")]).await.unwrap();
    wait_until("it waits for the slot", WITHIN, || async {
        let delivery = world.gateway.shared.directory.delivery(webhook.id)?;
        let snapshot = ractor::call_t!(delivery, delivery::Message::Snapshot, 30_000).ok()??;
        (snapshot.in_flight == 1).then_some(())
    })
    .await;
    let waiting = world.events(&webhook).await.remove(0);
    let retried = world.gateway.retry_event(client, waiting.id, false).await;
    assert_eq!(retried.unwrap().attempt_count, 0, "it will be");
    world
        .gateway
        .update_webhook(client, webhook.id, toggle(false))
        .await
        .unwrap();
    let retried = world.gateway.retry_event(client, waiting.id, false).await;
    assert!(matches!(retried, Err(GatewayError::Conflict(_))), "{retried:?}");
    world.gateway.stop().await;
}

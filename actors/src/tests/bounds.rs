//! What would grow without end is kept in bounds: queues and numbers, by their limits. How history goes stands in `history`.

use std::time::Duration;

use futures::future::join_all;
use wharf_domain::{ConnectionKey, ConnectionStatus, EventStatus, PhoneNumber, webhook::WebhookPatch};
use wharf_store::FailedFilter;
use wharf_support::wait_until;

use super::world::{WITHIN, World, message, number, settings};
use crate::{GatewayError, Limits, Settings};

/// Between two attempts there may be half a minute.
const STEADY_WITHIN: Duration = Duration::from_secs(90);

pub(super) fn toggle(on: bool) -> WebhookPatch {
    WebhookPatch {
        is_active: Some(on),
        ..WebhookPatch::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_queue_limit_messages_stay_at_whatsapp_until_there_is_room() {
    let world = World::start_with(Settings {
        limits: Limits {
            pending_per_client: 2,
            ..Limits::default()
        },
        ..settings()
    })
    .await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let other = world.add_client("b").await;
    let (others, others_link) = world.linked(other.id, &number(1), "/other").await;
    // Deliveries make room at once: the limit is on what waits, not on what has come.
    for n in 0..6 {
        let one = vec![message("5511000000001", &format!("A{n}"), "x")];
        link.deliver(one).await.unwrap();
        world.wait_for_events(&webhook, EventStatus::Delivered, n + 1).await;
    }
    world
        .gateway
        .update_webhook(client, webhook.id, toggle(false))
        .await
        .unwrap();
    for n in 0..2 {
        let one = vec![message("5511000000001", &format!("B{n}"), "x")];
        link.deliver(one).await.unwrap();
    }
    let late = || vec![message("5511000000001", "LATE", "x")];
    let refused = link.deliver(late()).await.unwrap_err();
    assert!(
        refused.to_string().contains("queue limit reached: 2 events wait"),
        "{refused}"
    );
    wait_until("its link ends, and it says why", STEADY_WITHIN, || async {
        let shown = world.gateway.connection(client, &number(1)).await.unwrap();
        let says = shown.session.reason.as_deref() == Some("queue limit reached: 2 events wait for delivery");
        link.is_closed() && shown.session.status == ConnectionStatus::Connecting && says
    })
    .await;
    let opened = world.links.counters().opened;
    wait_until("it has tried again", STEADY_WITHIN, || async {
        let shown = world.gateway.connection(client, &number(1)).await.unwrap();
        shown.session.reconnect_attempts >= 1
            && shown
                .session
                .reason
                .is_some_and(|reason| reason.starts_with("queue limit reached"))
    })
    .await;
    assert_eq!(
        world.links.counters().opened,
        opened,
        "WhatsApp is left alone meanwhile"
    );
    assert_eq!(world.events(&webhook).await.len(), 8, "nothing was taken in");

    others_link.deliver(late()).await.unwrap();
    world.wait_for_events(&others, EventStatus::Delivered, 1).await;
    world.gateway.ready().await.unwrap();

    world
        .gateway
        .update_webhook(client, webhook.id, toggle(true))
        .await
        .unwrap();
    wait_until("its next link is open", STEADY_WITHIN, || async {
        let link = world.links.link(&ConnectionKey::new(client, number(1)));
        link.is_some_and(|link| !link.is_closed())
    })
    .await;
    let link = world.relinked(client, &number(1)).await;
    link.deliver(late()).await.unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 9).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_does_not_keep_a_number_from_being_unlinked() {
    let world = World::start_with(Settings {
        limits: Limits {
            pending_per_client: 1,
            ..Limits::default()
        },
        ..settings()
    })
    .await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    world
        .gateway
        .update_webhook(client, webhook.id, toggle(false))
        .await
        .unwrap();
    link.deliver(vec![message("5511000000001", "A", "x")]).await.unwrap();
    link.deliver(vec![message("5511000000001", "B", "x")])
        .await
        .unwrap_err();
    wait_until("its link ends", WITHIN, || async { link.is_closed() }).await;
    let (gateway, of) = (world.gateway.clone(), number(1));
    let deleting = tokio::spawn(async move { gateway.delete_connection(client, &of).await });
    let key = webhook.key();
    let link = world.links.wait_for_link(&key).await;
    link.connect("551180000001:1@s.whatsapp.net", None);
    deleting.await.unwrap().unwrap();
    assert_eq!(world.links.counters().logged_out, 1);
    world.gateway.stop().await;
}

/// Each is a write, behind which everybody's messages are written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_changes_as_much_as_it_may_and_others_go_on() {
    let world = World::start_with(Settings {
        limits: Limits {
            changes_per_second: 1,
            ..Limits::default()
        },
        ..settings()
    })
    .await;
    let (client, other) = (world.add_client("a").await.id, world.add_client("b").await.id);
    let webhook = world.webhook(client, &number(1), "/ok").await;
    let mut refused = None;
    for n in 0..20 {
        if let Err(error) = world
            .gateway
            .update_webhook(client, webhook.id, toggle(n % 2 == 0))
            .await
        {
            refused = Some(error);
            break;
        }
    }
    assert!(
        matches!(&refused, Some(GatewayError::Busy(text)) if text.contains("limits.changes_per_second")),
        "{refused:?}"
    );
    // What changes nothing is no change.
    let nothing = WebhookPatch::default();
    world.gateway.update_webhook(client, webhook.id, nothing).await.unwrap();
    world.webhook(other, &number(1), "/ok").await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_has_as_many_webhooks_and_numbers_as_it_may() {
    let world = World::start_with(Settings {
        limits: Limits {
            webhooks_per_client: 1,
            connections_per_client: 1,
            ..Limits::default()
        },
        ..settings()
    })
    .await;
    let client = world.add_client("a").await;
    let first = world.webhook(client.id, &number(1), "/ok").await;
    let new = |n| crate::NewWebhook::new(number(n), world.receiver.url("/ok"));
    let refused = world.gateway.register_webhook(client.id, new(2)).await.unwrap_err();
    assert!(
        matches!(&refused, GatewayError::Conflict(text) if text.contains("1 webhooks") && text.contains("limits.webhooks_per_client")),
        "{refused}"
    );
    let stranger = world.add_client("b").await;
    world.webhook(stranger.id, &number(1), "/ok").await;
    // Over and over: what had no event leaves nothing.
    let mut present = first.id;
    for _ in 0..20 {
        world.gateway.delete_webhook(client.id, present).await.unwrap();
        assert_eq!(world.store.webhook(client.id, present).await.unwrap(), None);
        let again = world.gateway.delete_webhook(client.id, present).await.unwrap_err();
        assert_eq!(again, GatewayError::NotFound("webhook"));
        present = world
            .gateway
            .register_webhook(client.id, new(2))
            .await
            .unwrap()
            .webhook
            .id;
    }

    world.gateway.create_connection(client.id, number(1)).await.unwrap();
    let refused = world.gateway.create_connection(client.id, number(2)).await.unwrap_err();
    assert!(
        matches!(&refused, GatewayError::Conflict(text) if text.contains("limits.connections_per_client")),
        "{refused}"
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_moment_do_not_pass_a_limit_together() {
    let limits = Limits {
        webhooks_per_client: 1,
        connections_per_client: 1,
        ..Limits::default()
    };
    let world = World::start_with(Settings { limits, ..settings() }).await;
    let client = world.add_client("a").await.id;
    let connections = join_all((0..16).map(|n| world.gateway.create_connection(client, number(n)))).await;
    let webhooks = (0..16).map(|n| {
        let new = crate::NewWebhook::new(number(n), world.receiver.url("/ok"));
        world.gateway.register_webhook(client, new)
    });
    let webhooks = join_all(webhooks).await;
    for (what, refused) in [
        (
            "connections",
            connections.into_iter().filter_map(Result::err).collect::<Vec<_>>(),
        ),
        ("webhooks", webhooks.into_iter().filter_map(Result::err).collect()),
    ] {
        assert_eq!(refused.len(), 15, "{what}");
        for refused in refused {
            let limit = format!("limits.{what}_per_client");
            assert!(
                matches!(&refused, GatewayError::Conflict(text) if text.contains(&limit)),
                "{refused}"
            );
        }
    }
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_written_in_one_way() {
    let world = World::start().await;
    let client = world.add_client("a").await.id;
    let [with, without] = ["5511988888888", "551188888888"].map(|text| text.parse::<PhoneNumber>().unwrap());
    let webhook = world.webhook(client, &without, "/ok").await;
    let refused = world.gateway.create_connection(client, with.clone()).await.unwrap_err();
    let words = "this client has a webhook as 551188888888: write the number the same way";
    assert_eq!(refused, GatewayError::Conflict(words.to_owned()));
    world.gateway.create_connection(client, without.clone()).await.unwrap();
    world.gateway.delete_webhook(client, webhook.id).await.unwrap();
    let new = crate::NewWebhook::new(with, world.receiver.url("/ok"));
    let refused = world.gateway.register_webhook(client, new).await.unwrap_err();
    let words = "this client has a connection as 551188888888: write the number the same way";
    assert_eq!(refused, GatewayError::Conflict(words.to_owned()));
    let again = world.gateway.create_connection(client, without).await.unwrap_err();
    let words = "this phone_number has a connection already";
    assert_eq!(again, GatewayError::Conflict(words.to_owned()));
    world.gateway.stop().await;
}

/// Each is an attempt at a receiver, and a test event a row besides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_has_done_by_hand_is_bounded_in_its_rate() {
    let manual_per_second = 1;
    let world = World::start_with(Settings {
        manual_per_second,
        ..settings()
    })
    .await;
    let (client, other) = (world.add_client("a").await.id, world.add_client("b").await.id);
    let webhook = world.webhook(client, &number(1), "/ok").await;
    let others = world.webhook(other, &number(1), "/others").await;
    let begun = std::time::Instant::now();
    let mut tested = 0;
    let refused = loop {
        match world.gateway.test_webhook(client, webhook.id).await {
            Ok(_) => tested += 1,
            Err(error) => break error,
        }
    };
    let may = 10 + begun.elapsed().as_secs() + 1;
    assert!((10..=may).contains(&tested), "{tested} of {may}");
    assert!(
        matches!(&refused, GatewayError::Busy(text) if text.contains("delivery.manual_per_second") && text.contains("1 a second")),
        "{refused}"
    );
    let events = world.events(&webhook).await;
    assert_eq!(events.len() as u64, tested, "what is refused leaves no row");
    // Retries are of the same bucket, and each client has its own.
    let retry = || world.gateway.retry_event(client, events[0].id, true);
    wait_until("it is empty", WITHIN, || async {
        matches!(retry().await, Err(GatewayError::Busy(_)))
    })
    .await;
    let of_many = || world.gateway.retry_failed(client, webhook.id, FailedFilter::default());
    wait_until("it is empty for retries of many, too", WITHIN, || async {
        matches!(of_many().await, Err(GatewayError::Busy(_)))
    })
    .await;
    world.gateway.test_webhook(other, others.id).await.unwrap();
    let strangers = world.gateway.retry_event(other, events[0].id, true).await;
    assert_eq!(strangers.unwrap_err(), GatewayError::NotFound("event"));
    wait_until("one has come in", WITHIN, || async { retry().await.is_ok() }).await;
    world.gateway.stop().await;
}

//! What would grow without end is kept in bounds: history by the janitor, queues and numbers by their limits.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;
use wharf_domain::{
    AttemptOutcome, AttemptTiming, ConnectionKey, ConnectionStatus, EventId, EventKinds, EventStatus, Outgoing,
    PendingEvent, SendStatus, Timestamp, Webhook,
    outgoing::{News, Told},
    retention::Keep,
    webhook::WebhookPatch,
};
use wharf_store::{FailedFilter, NewEvent, NewOutgoing, Note};
use wharf_support::wait_until;

use super::world::{WITHIN, World, message, number, open_store, settings};
use crate::{Gateway, GatewayError, Limits, Settings, clock, janitor::retention::Retention};

/// Events that are days old, past the gateway: `count` of one chat, of which `end` says what became.
async fn history(world: &World, webhook: &Webhook, days: u64, count: usize, end: Option<EventStatus>) {
    let created_at = Timestamp(clock::now().0 - i64::try_from(days).unwrap() * 86_400_000);
    let new = |n: usize| {
        let message = message("5511000000009", &format!("{days}-{n}-{end:?}"), "old");
        NewEvent {
            id: EventId(Uuid::now_v7()),
            key: webhook.key(),
            payload: message.payload(webhook.client_id, &webhook.phone_number),
            message,
            created_at,
        }
    };
    let messages: Vec<NewEvent> = (0..count).map(new).collect();
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    let recorded = group.record_inbound(&messages).await.unwrap();
    if let Some(status) = end {
        let outcomes: Vec<_> = recorded
            .iter()
            .map(|recorded| outcome(webhook, &recorded.event, status, created_at))
            .collect();
        group.record_outcomes(&outcomes).await.unwrap();
    }
    group.commit().await.unwrap();
}

fn outcome(webhook: &Webhook, event: &PendingEvent, status: EventStatus, at: Timestamp) -> AttemptOutcome {
    AttemptOutcome {
        event_id: event.id,
        seq: event.seq,
        manual: false,
        timing: AttemptTiming {
            started_at: at,
            took: Duration::from_millis(1),
        },
        webhook_id: webhook.id,
        status,
        attempt: 1,
        http_status: Some(200),
        response: None,
        error: None,
        next_retry_at: None,
        finished_at: at,
        webhook_failure_count: 0,
    }
}

fn toggle(on: bool) -> WebhookPatch {
    WebhookPatch {
        is_active: Some(on),
        ..WebhookPatch::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_goes_in_small_steps_while_messages_come_and_go() {
    let world = World::start_with(Settings {
        keep: Keep::days(7, 30),
        ..settings()
    })
    .await;
    let client = world.add_client("a").await;
    let (webhook, link) = world.linked(client.id, &number(1), "/ok").await;
    let idle = world.webhook(client.id, &number(2), "/idle").await;
    world
        .gateway
        .update_webhook(client.id, idle.id, toggle(false))
        .await
        .unwrap();
    history(&world, &webhook, 40, 1_500, Some(EventStatus::Delivered)).await;
    history(&world, &webhook, 40, 20, Some(EventStatus::Failed)).await;
    history(&world, &idle, 40, 5, None).await;
    history(&world, &webhook, 10, 30, Some(EventStatus::Failed)).await;
    history(&world, &webhook, 8, 10, Some(EventStatus::Delivered)).await;
    history(&world, &webhook, 6, 40, Some(EventStatus::Delivered)).await;
    let before = world.store.space().await.unwrap();

    let shared = Arc::clone(&world.gateway.shared);
    let cleaning = tokio::spawn(async move { Retention::default().round(&shared, clock::now()).await });
    for n in 0..20 {
        let text = vec![message("5511000000001", &format!("L{n}"), "live")];
        link.deliver(text).await.unwrap();
    }
    let report = cleaning.await.unwrap().unwrap();
    assert_eq!(report.events, 1_530);
    assert!(report.steps > 5, "no step takes everything: {report:?}");
    assert!(report.longest > Duration::ZERO, "{report:?}");
    world.wait_for_events(&webhook, EventStatus::Failed, 30).await;
    world.wait_for_events(&webhook, EventStatus::Delivered, 60).await;
    assert_eq!(world.events(&idle).await.len(), 5, "what waits for delivery is kept");
    let after = world.store.space().await.unwrap();
    assert!(
        after.pages < before.pages && after.free <= after.pages / 10,
        "{before:?} {after:?}"
    );

    // Deleted a moment ago: the row stays for a day, then goes when its history is gone.
    world.gateway.delete_webhook(client.id, idle.id).await.unwrap();
    let days = |days: i64| Timestamp(clock::now().0 + days * 86_400_000);
    let mut retention = Retention::default();
    let report = retention.round(&world.gateway.shared, clock::now()).await.unwrap();
    assert_eq!((report.events, report.webhooks), (5, 0));
    let report = retention.round(&world.gateway.shared, days(2)).await.unwrap();
    assert_eq!(report.webhooks, 1);
    assert_eq!(world.store.webhook(client.id, idle.id).await.unwrap(), None);

    // A clock that leaps by years removes nothing.
    let report = retention.round(&world.gateway.shared, days(4_000)).await.unwrap();
    assert_eq!((report.steps, report.events), (0, 0));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sent_messages_go_once_they_are_old_enough_and_are_looked_at_once_a_day() {
    let keep = Keep::days(7, 30);
    let world = World::start_with(Settings { keep, ..settings() }).await;
    let client = world.add_client("a").await;
    let key = ConnectionKey::new(client.id, number(1));
    let days = |days: i64| Timestamp(clock::now().0 + days * 86_400_000);
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    for (id, news) in [
        ("waits", None),
        ("sent", Some(News::Sent)),
        ("failed", Some(News::failed("463", "no"))),
    ] {
        let new = NewOutgoing {
            key: key.clone(),
            message_id: id.to_owned(),
            outgoing: Outgoing::text("5511999999999".parse().unwrap(), "text"),
            created_at: days(-20),
            deadline_at: days(-20),
            started_at: None,
            file: None,
        };
        group.record_outgoing(&new).await.unwrap();
        let told = news.map(|news| Told {
            message_ids: vec![id.to_owned()],
            news,
            at: days(-20),
            place: None,
        });
        let notes: Vec<Note> = told.map(|told| Note { key: key.clone(), told }).into_iter().collect();
        group.note_outgoing(&notes).await.unwrap();
    }
    group.commit().await.unwrap();
    let round = async |retention: &mut Retention, at| {
        let report = retention.round(&world.gateway.shared, at).await.unwrap();
        report.outgoing
    };
    let mut retention = Retention::default();
    assert_eq!(round(&mut retention, days(0)).await, 1);
    assert_eq!(
        round(&mut retention, days(11)).await,
        0,
        "what stayed is met with the next walk"
    );
    assert_eq!(round(&mut Retention::default(), days(11)).await, 1);
    let waits = world.store.outgoing_message(&key, "waits").await.unwrap();
    assert_eq!(waits.unwrap().status, SendStatus::Queued);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_janitor_begins_with_the_start_and_may_be_told_to_keep_everything() {
    // Its own janitor shall leave the history to the others.
    let keep = Keep::days(0, 0);
    let world = World::start_with(Settings { keep, ..settings() }).await;
    let client = world.add_client("a").await;
    let webhook = world.webhook(client.id, &number(1), "/ok").await;
    history(&world, &webhook, 8, 3, Some(EventStatus::Delivered)).await;
    world.gateway.stop().await;

    for (keep, left) in [(Keep::days(0, 0), 3), (Keep::days(7, 30), 0)] {
        let settings = Settings { keep, ..settings() };
        let store = open_store(&world.dir).await;
        let gateway = Gateway::start(settings, store, Arc::new(world.links.clone()))
            .await
            .unwrap();
        if left > 0 {
            Retention::default().round(&gateway.shared, clock::now()).await.unwrap();
            assert_eq!(world.events(&webhook).await.len(), left);
        } else {
            wait_until("they are gone", WITHIN, || async {
                world.events(&webhook).await.is_empty()
            })
            .await;
        }
        gateway.stop().await;
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
    let client = world.add_client("a").await;
    let (webhook, link) = world.linked(client.id, &number(1), "/ok").await;
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
        .update_webhook(client.id, webhook.id, toggle(false))
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
    wait_until("its link ends, and it says why", WITHIN, || async {
        let shown = world.gateway.connection(client.id, &number(1)).await.unwrap();
        let says = shown.reason.as_deref() == Some("queue limit reached: 2 events wait for delivery");
        link.is_closed() && shown.status == ConnectionStatus::Connecting && says
    })
    .await;
    let opened = world.links.counters().opened;
    wait_until("it has tried again", WITHIN, || async {
        let shown = world.gateway.connection(client.id, &number(1)).await.unwrap();
        shown.reconnect_attempts >= 1
            && shown
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
        .update_webhook(client.id, webhook.id, toggle(true))
        .await
        .unwrap();
    let link = world.relinked(client.id, &number(1)).await;
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
    let client = world.add_client("a").await;
    let (webhook, link) = world.linked(client.id, &number(1), "/ok").await;
    world
        .gateway
        .update_webhook(client.id, webhook.id, toggle(false))
        .await
        .unwrap();
    link.deliver(vec![message("5511000000001", "A", "x")]).await.unwrap();
    link.deliver(vec![message("5511000000001", "B", "x")])
        .await
        .unwrap_err();
    wait_until("its link ends", WITHIN, || async { link.is_closed() }).await;
    let (gateway, of) = (world.gateway.clone(), number(1));
    let deleting = tokio::spawn(async move { gateway.delete_connection(client.id, &of).await });
    let key = webhook.key();
    let link = world.links.wait_for_link(&key).await;
    link.connect("551180000001:1@s.whatsapp.net", None);
    deleting.await.unwrap().unwrap();
    assert_eq!(world.links.counters().logged_out, 1);
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
    let new = |n| crate::NewWebhook {
        phone_number: number(n),
        webhook_url: world.receiver.url("/ok"),
        max_retries: 3,
        is_active: true,
        metadata: None,
        events: EventKinds::default(),
        hub_signature: false,
        courtesy: Default::default(),
        headers: Default::default(),
    };
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

//! History goes: events and sent messages, by the janitor.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;
use wharf_domain::{
    AttemptOutcome, AttemptTiming, ConnectionKey, EventId, EventStatus, Outgoing, PendingEvent, SendStatus, Timestamp,
    Webhook,
    outgoing::{News, Told},
    retention::Keep,
};
use wharf_store::{NewEvent, NewOutgoing, Note};
use wharf_support::wait_until;

use super::{
    bounds::toggle,
    world::{WITHIN, World, message, number, open_store, settings},
};
use crate::{Gateway, Settings, clock, janitor::retention::Retention};

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
        group.record_outcomes(&outcomes, clock::now()).await.unwrap();
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
        body_bytes: 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_goes_in_small_steps_while_messages_come_and_go() {
    let world = World::start_with(Settings {
        keep: Keep::days(7, 30),
        ..settings()
    })
    .await;
    // What its own janitor took in its first round would not be counted.
    world.cleaned().await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    let idle = world.webhook(client, &number(2), "/idle").await;
    world
        .gateway
        .update_webhook(client, idle.id, toggle(false))
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
    world.gateway.delete_webhook(client, idle.id).await.unwrap();
    let days = |days: i64| Timestamp(clock::now().0 + days * 86_400_000);
    let round = async |retention: &mut Retention, at| {
        let report = retention.round(&world.gateway.shared, at).await;
        report.unwrap()
    };
    let report = round(&mut Retention::default(), clock::now()).await;
    assert_eq!((report.events, report.webhooks), (5, 0));
    let mut retention = Retention::default();
    let report = round(&mut retention, days(2)).await;
    assert_eq!(report.webhooks, 1);
    assert_eq!(world.store.webhook(client, idle.id).await.unwrap(), None);

    // A clock that leaps by years removes nothing.
    let report = round(&mut Retention::default(), days(4_000)).await;
    assert_eq!((report.steps, report.events), (0, 0));
    // Nor does one that leaps by days while the program runs.
    let report = round(&mut retention, days(4)).await;
    assert_eq!((report.steps, report.events), (0, 0));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sent_messages_go_once_they_are_old_enough_and_are_looked_at_once_a_day() {
    let keep = Keep::days(7, 30);
    let world = World::start_with(Settings { keep, ..settings() }).await;
    world.cleaned().await;
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
    // The failed one is a month old in between.
    let (before, after) = (Timestamp(days(10).0 - 600_000), Timestamp(days(10).0 + 600_000));
    assert_eq!(round(&mut retention, before).await, 1);
    assert_eq!(
        round(&mut retention, after).await,
        0,
        "what stayed is met with the next walk"
    );
    assert_eq!(round(&mut Retention::default(), after).await, 1);
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

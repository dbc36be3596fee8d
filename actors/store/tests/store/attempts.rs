use std::time::Duration;

use sqlx::query_scalar;
use wharf_domain::{Attempt, AttemptOutcome, AttemptTiming, EventId, EventStatus, PendingEvent, Webhook};

use crate::{
    database::{Database, NOW, delivered, failed, later, on_every_database, postponed},
    plans::raw,
};

/// The `attempt`-th attempt of an event, begun at `seconds` and `ms` long.
fn outcome(
    webhook: &Webhook,
    event: &PendingEvent,
    attempt: u32,
    seconds: i64,
    ms: u64,
    status: EventStatus,
) -> AttemptOutcome {
    let base = match status {
        EventStatus::Delivered => delivered(webhook, event),
        EventStatus::Failed => failed(webhook, event),
        EventStatus::Pending => postponed(webhook, event, 5),
    };
    let timing = AttemptTiming {
        started_at: later(seconds),
        took: Duration::from_millis(ms),
    };
    AttemptOutcome {
        attempt,
        timing,
        ..base
    }
}

on_every_database! {
    // However often it is retried by hand: what goes with the event goes in one statement.
    async fn an_events_last_thousand_attempts_are_kept(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b"]).await;
        let made = |number| outcome(&webhook, &events[0], number, 0, 1, EventStatus::Failed);
        // As they would be from before, when all were kept: a few more go each time.
        let numbers: Vec<u32> = (1..=1_000).chain(1_041..=1_100).collect();
        for numbers in numbers.chunks(50) {
            db.outcomes(&numbers.iter().map(|number| made(*number)).collect::<Vec<_>>()).await;
        }
        db.outcomes(&[outcome(&webhook, &events[1], 1, 0, 1, EventStatus::Failed)]).await;
        let (mut connection, text) = (raw(db).await, "SELECT number FROM whatsapp_webhook_attempts ORDER BY event_seq, number");
        let kept: Vec<u32> = query_scalar(text).fetch_all(&mut connection).await.unwrap();
        assert_eq!(kept, (101..=1_000).chain(1_041..=1_100).chain([1]).collect::<Vec<_>>());
        // One by one, as they come.
        for number in 1_101..=1_110 {
            db.outcomes(&[made(number)]).await;
        }
        let kept: Vec<u32> = query_scalar(text).fetch_all(&mut connection).await.unwrap();
        assert_eq!(kept, (111..=1_000).chain(1_041..=1_110).chain([1]).collect::<Vec<_>>());
        assert_eq!(db.store.attempts(client.id, events[0].id).await.unwrap().unwrap().len(), 960);
    }

    async fn attempts_are_shown_oldest_first_to_their_client_only(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (other, _) = db.tenant("other").await;
        let event = db.events(&webhook, &["a"]).await.remove(0);
        assert_eq!(db.store.attempts(client.id, event.id).await.unwrap(), Some(vec![]));
        for (n, status) in [(1, EventStatus::Pending), (2, EventStatus::Failed), (3, EventStatus::Delivered)] {
            let made = outcome(&webhook, &event, n, i64::from(n), u64::from(n) * 10, status);
            db.outcomes(&[AttemptOutcome { manual: n == 3, ..made }]).await;
        }
        let attempts = db.store.attempts(client.id, event.id).await.unwrap().unwrap();
        assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
        let last = Attempt {
            number: 3,
            started_at: later(3),
            duration_ms: 30,
            http_status: Some(200),
            error: None,
            response: Some("ok".into()),
            manual: true,
        };
        assert_eq!(attempts[2], last);
        assert_eq!(attempts[1].error.as_deref(), Some("Client error (404)"));
        assert!(!attempts[0].manual);
        assert_eq!(db.store.attempts(other.id, event.id).await.unwrap(), None);
        let unknown = EventId(db.uuid());
        assert_eq!(db.store.attempts(client.id, unknown).await.unwrap(), None);
    }

    async fn statistics_count_attempts_by_when_they_were_made(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (other, others) = db.tenant("other").await;
        let events = db.events(&webhook, &["a", "b", "c", "d", "e"]).await;
        let foreign = db.events(&others, &["a"]).await.remove(0);
        let now = later(100_000);
        let ago = |seconds: i64| 100_000 - seconds;
        db.outcomes(&[
            outcome(&webhook, &events[0], 1, ago(90_000), 1000, EventStatus::Delivered),
            outcome(&webhook, &events[1], 1, ago(10_000), 400, EventStatus::Pending),
            outcome(&webhook, &events[1], 2, ago(100), 100, EventStatus::Failed),
            outcome(&webhook, &events[2], 1, ago(50), 20, EventStatus::Delivered),
            outcome(&others, &foreign, 1, ago(50), 9999, EventStatus::Delivered),
        ])
        .await;
        let stats = db.store.webhook_stats(client.id, webhook.id, now).await.unwrap().unwrap();
        let (hour, day) = (stats.last_hour, stats.last_day);
        assert_eq!((hour.attempts, hour.delivered, hour.failed, hour.success_rate), (2, 1, 1, Some(0.5)));
        assert_eq!((day.attempts, day.delivered, day.failed), (3, 1, 1));
        let latency = day.latency_ms.unwrap();
        assert_eq!((latency.p50, latency.p99, latency.max), (100, 400, 400));
        assert!(!stats.sampled);
        let queue = stats.queue;
        assert_eq!((queue.pending, queue.at_least), (2, false));
        assert_eq!((queue.oldest_pending_at, queue.oldest_pending_age_ms), (Some(NOW), Some(100_000_000)));
        assert_eq!(db.store.webhook_stats(other.id, webhook.id, now).await.unwrap(), None);
    }

    async fn a_long_history_is_sampled_and_a_deep_queue_is_at_least(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let oldest = db.events(&webhook, &["a"; 500]).await.remove(0);
        for _ in 0..40 {
            db.events(&webhook, &["a"; 500]).await;
        }
        let stats = db.store.webhook_stats(client.id, webhook.id, later(1)).await.unwrap().unwrap();
        assert!(stats.sampled, "20,500 events of this second");
        assert_eq!((stats.queue.pending, stats.queue.at_least), (10_000, true));
        // A backlog of two days that begins to drain.
        db.outcomes(&[outcome(&webhook, &oldest, 1, 172_790, 20, EventStatus::Delivered)]).await;
        let stats = db.store.webhook_stats(client.id, webhook.id, later(172_800)).await.unwrap().unwrap();
        assert!(stats.sampled, "an attempt of the last minute was left out");
    }
}

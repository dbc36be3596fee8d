//! Webhooks without a URL: their events wait for nobody.

use wharf_domain::{
    Client, DeliveryMode, EventStatus, PendingEvent, Webhook, WebhookId, message::MediaError, retention::Cutoffs,
};
use wharf_store::{MediaOutcome, NewEvent, PullPage, PullQuery, Pulled, RecordedEvent, Renewal};

use crate::{
    database::{Database, NOW, delivered, key, later, on_every_database},
    due::everything,
    media::picture,
};

/// A client whose number has a webhook that is pulled.
async fn pulled(db: &mut Database) -> (Client, Webhook) {
    let client = db.client("acme").await;
    let webhook = db.webhook_to(&key(client.id, "5511888888888"), None).await;
    (client, webhook)
}

/// What an event is shown with of how it was delivered.
async fn shown(db: &Database, webhook: &Webhook, event: &PendingEvent) -> (EventStatus, Option<i64>, u32, usize) {
    let attempts = db.store.attempts(webhook.client_id, event.id).await.unwrap().unwrap();
    let event = db.event(webhook, event.id).await;
    assert_eq!(
        (event.http_status, event.error, event.next_retry_at),
        (None, None, None)
    );
    (
        event.status,
        event.delivered_at.map(|at| at.0),
        event.attempt_count,
        attempts.len(),
    )
}

/// The events of a client in the order of arrival, by their status.
async fn pull(db: &Database, webhook: &Webhook) -> Vec<&'static str> {
    let query = PullQuery {
        limit: 100,
        ..PullQuery::default()
    };
    match db.store.pull(webhook.client_id, &query).await.unwrap() {
        Pulled::Page(PullPage { events, .. }) => events.iter().map(|event| event.status.as_str()).collect(),
        Pulled::Gone => panic!("nothing was removed"),
    }
}

async fn record(db: &mut Database, new: NewEvent) -> RecordedEvent {
    db.record(&[new]).await.remove(0)
}

fn kept(event: &PendingEvent) -> MediaOutcome {
    MediaOutcome {
        id: event.id,
        result: Ok(120),
        payload: Some("{\"from\":\"1\",\"to\":\"2\",\"type\":\"image\"}".into()),
        expires_at: None,
    }
}

on_every_database! {
    async fn an_event_is_delivered_as_it_is_committed(db: &mut Database) {
        let (client, webhook) = pulled(db).await;
        assert_eq!((webhook.delivery, &webhook.webhook_url, webhook.is_active), (DeliveryMode::Pull, &None, true));
        let pushed = db.webhook(&key(client.id, "5511777777777")).await;
        // Alone and with others, of which some wait.
        for round in 0..2_i64 {
            let own = db.message(&webhook.key(), "a", &format!("own {round}"));
            let first = record(db, NewEvent { created_at: later(round), ..own.clone() }).await;
            assert!(first.is_pulled && first.webhook_id == webhook.id);
            assert_eq!(shown(db, &webhook, &first.event).await, (EventStatus::Delivered, Some(later(round).0), 0, 0));
            assert_eq!(db.record(&[own]).await, [], "a redelivery makes none");
        }
        let mixed: Vec<NewEvent> = (0..70)
            .map(|n| db.message(&[&webhook, &pushed][n % 2].key(), "a", &format!("mixed {n}")))
            .collect();
        let recorded = db.write(async |group| group.record_inbound(&mixed).await).await;
        for (n, recorded) in recorded.iter().enumerate() {
            let (of, expected) = match n % 2 {
                0 => (&webhook, (EventStatus::Delivered, Some(NOW.0), 0, 0)),
                _ => (&pushed, (EventStatus::Pending, None, 0, 0)),
            };
            assert_eq!((recorded.is_pulled, recorded.webhook_id), (n % 2 == 0, of.id));
            assert_eq!(recorded.event.sequence, i64::try_from(n / 2).unwrap() + [3, 1][n % 2]);
            assert_eq!(shown(db, of, &recorded.event).await, expected);
        }
        assert_eq!(db.statuses(&webhook).await, [("delivered", 37)].into());
        assert_eq!(db.store.pending_events(client.id, 100).await.unwrap(), 35, "they do not count");
        assert_eq!(db.store.webhooks_with_work(client.id).await.unwrap(), [pushed.id]);
        assert_eq!(db.store.due_chats(webhook.id, &everything()).await.unwrap().chats.len(), 0);
        assert_eq!(pull(db, &webhook).await.len(), 72);
    }

    async fn a_redelivery_among_others_is_no_gap(db: &mut Database) {
        let (client, webhook) = pulled(db).await;
        let first = db.message(&webhook.key(), "a", "first");
        record(db, first.clone()).await;
        let page = async |db: &Database, after| {
            let query = PullQuery { after, limit: 100, phone_number: None };
            match db.store.pull(client.id, &query).await.unwrap() {
                Pulled::Page(page) => page,
                Pulled::Gone => panic!("nothing was removed"),
            }
        };
        let place = Some(page(db, None).await.next_cursor);
        let others = [db.message(&webhook.key(), "a", "second"), picture(db, &webhook, "b")];
        let batch: Vec<NewEvent> = [first].into_iter().chain(others).collect();
        assert_eq!(db.record(&batch).await.len(), 2);
        let events = page(db, place).await.events;
        assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(db.statuses(&webhook).await, [("delivered", 2), ("pending", 1)].into());
    }

    async fn one_that_waits_for_its_file_is_delivered_when_that_has_ended(db: &mut Database) {
        let (client, webhook) = pulled(db).await;
        let new = [picture(db, &webhook, "a"), picture(db, &webhook, "a")];
        let recorded = db.record(&new).await;
        let (first, second) = (&recorded[0].event, &recorded[1].event);
        assert_eq!(shown(db, &webhook, first).await, (EventStatus::Pending, None, 0, 0));
        assert_eq!(db.store.webhooks_with_work(client.id).await.unwrap(), [], "no delivery has anything to do");
        assert_eq!(pull(db, &webhook).await, ["pending", "pending"]);
        let ended = db.write(async |group| group.end_media(&kept(first), later(30)).await).await;
        assert_eq!(ended, None, "no delivery is to hear of it");
        assert_eq!(shown(db, &webhook, first).await, (EventStatus::Delivered, Some(later(30).0), 0, 0));
        assert_eq!(db.event(&webhook, first.id).await.payload.get(), kept(first).payload.unwrap());
        let failed = MediaOutcome { result: Err(MediaError::Gone), payload: None, ..kept(second) };
        assert_eq!(db.write(async |group| group.end_media(&failed, later(40)).await).await, None);
        assert_eq!(shown(db, &webhook, second).await, (EventStatus::Delivered, Some(later(40).0), 0, 0));
        // Once more, as when nobody knew whether it was committed.
        assert_eq!(db.write(async |group| group.end_media(&failed, later(50)).await).await, None);
        assert_eq!(pull(db, &webhook).await, ["delivered", "delivered"]);
        assert_eq!(db.store.pending_events(client.id, 100).await.unwrap(), 0);
        assert_eq!(db.store.strays().await.unwrap(), [""; 0]);
    }

    async fn a_deleted_webhooks_event_stays_failed_when_its_file_comes(db: &mut Database) {
        let (client, webhook) = pulled(db).await;
        let event = db.events(&webhook, &["a"]).await.remove(0);
        let new = picture(db, &webhook, "a");
        let waits = record(db, new).await.event;
        let gone = db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await;
        assert!(gone.unwrap().all_ended);
        assert_eq!(db.write(async |group| group.end_media(&kept(&waits), later(30)).await).await, None);
        let ended = db.event(&webhook, waits.id).await;
        assert_eq!((ended.status, ended.error.as_deref()), (EventStatus::Failed, Some("webhook deleted")));
        assert_eq!(db.event(&webhook, event.id).await.status, EventStatus::Delivered);
        assert_eq!(pull(db, &webhook).await, ["delivered", "failed"]);
        let again = db.webhook(&webhook.key()).await;
        assert_eq!(again.delivery, DeliveryMode::Push, "registered anew as another kind");
        // And of a client that goes.
        let new = picture(db, &again, "a");
        record(db, new).await;
        db.write(async |group| group.remove_client(client.id, NOW).await).await;
        while !db.write(async |group| group.purge_client(client.id, 500).await).await {}
        assert_eq!(db.store.strays().await.unwrap(), [""; 0]);
    }

    async fn a_number_has_one_webhook_whichever_it_is(db: &mut Database) {
        let (client, webhook) = pulled(db).await;
        let pushed = db.webhook(&key(client.id, "5511777777777")).await;
        for (number, url) in [(webhook.key(), Some("https://b.example")), (webhook.key(), None), (pushed.key(), None)] {
            let id = WebhookId(db.uuid());
            let again = db.write(async |group| group.register_webhook(id, &number, url, 3, true, None, NOW).await).await;
            assert_eq!(again, None, "{number:?} {url:?}");
        }
    }

    async fn nothing_of_it_is_retried_or_switched_off(db: &mut Database) {
        let (client, webhook) = pulled(db).await;
        let event = db.events(&webhook, &["a"]).await.remove(0);
        let new = picture(db, &webhook, "b");
        let waits = record(db, new).await.event;
        for (id, force) in [(event.id, false), (event.id, true), (waits.id, true)] {
            let renewal = db.write(async |group| group.renew_event(client.id, id, force).await).await;
            assert_eq!(renewal, Renewal::Pulled);
        }
        let pushed = db.webhook(&key(client.id, "5511777777777")).await;
        let restored = db.write(async |group| group.restored(NOW, false).await).await;
        let off: Vec<_> = restored.switched_off.iter().map(|webhook| webhook.id).collect();
        assert_eq!((off, &restored.pulled), (vec![pushed.id], &vec![webhook.clone()]));
        assert_eq!(db.reread(&webhook).await, webhook);
    }

    async fn what_came_is_counted_and_took_no_time(db: &mut Database) {
        let (client, webhook) = pulled(db).await;
        let pushed = db.webhook(&key(client.id, "5511777777777")).await;
        for ago in [90_000, 10_000, 100] {
            let new = db.message(&webhook.key(), "a", &ago.to_string());
            record(db, NewEvent { created_at: later(100_000 - ago), ..new }).await;
        }
        let new = picture(db, &webhook, "b");
        record(db, new).await;
        let event = db.events(&pushed, &["a"]).await.remove(0);
        db.outcomes(&[delivered(&pushed, &event)]).await;
        let stats = db.store.webhook_stats(client.id, webhook.id, later(100_000)).await.unwrap().unwrap();
        let (hour, day) = (stats.last_hour, stats.last_day);
        assert_eq!((hour.delivered, day.delivered, stats.queue.pending, stats.sampled), (1, 2, 1, false));
        for period in [hour, day] {
            assert_eq!((period.attempts, period.failed), (0, 0));
            assert_eq!((period.success_rate, period.latency_ms), (None, None));
        }
    }

    // Who pulls has as long for one whose file came late.
    async fn the_retention_counts_from_when_it_was_delivered(db: &mut Database) {
        let (_, webhook) = pulled(db).await;
        let event = db.events(&webhook, &["a"]).await.remove(0);
        let new = picture(db, &webhook, "b");
        let waits = record(db, new).await.event;
        db.write(async |group| group.end_media(&kept(&waits), later(30)).await).await;
        let purge = async |db: &mut Database, seconds| {
            let before = Cutoffs { delivered: later(seconds), failed: later(seconds) };
            db.write(async |group| group.purge_events(&[event.seq, waits.seq], &before).await).await
        };
        assert_eq!(purge(db, 0).await, 0);
        assert_eq!(purge(db, 30).await, 1);
        assert_eq!(db.statuses(&webhook).await, [("delivered", 1)].into());
        assert_eq!(purge(db, 31).await, 1);
    }
}

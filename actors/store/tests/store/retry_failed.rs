use sqlx::{AssertSqlSafe, query};
use wharf_domain::{AttemptOutcome, EventStatus, PendingEvent, Webhook, webhook::WebhookPatch};
use wharf_store::{BulkRenewal, FailedEvents, FailedFilter, NewEvent};

use crate::{
    database::{Database, NOW, delivered, failed, later, on_every_database},
    plans::raw,
};

pub fn renewal(webhook: &Webhook, seqs: Vec<i64>, per_second: u32) -> BulkRenewal {
    BulkRenewal {
        client_id: webhook.client_id,
        webhook_id: webhook.id,
        seqs,
        first_due: later(100),
        per_second,
    }
}

fn seqs<'a>(events: impl IntoIterator<Item = &'a PendingEvent>) -> Vec<i64> {
    events.into_iter().map(|event| event.seq).collect()
}

/// More failed events than one look takes; the error of the last one is another one.
async fn very_many(db: &mut Database, webhook: &Webhook, created_at: &'static str) {
    let events = db.events(webhook, &["a"]).await;
    db.outcomes(&[failed(webhook, &events[0])]).await;
    let more = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100100) \
         INSERT INTO webhook_events (id, webhook_id, client_id, sequence, status, attempt_count, created_at, error, \
             message_key, chat, sender, message_id, payload) \
         SELECT randomblob(16), webhook_id, client_id, i + 1, 'failed', 1, {created_at}, \
             CASE WHEN i < 100100 THEN error ELSE 'the last one' END, randomblob(16), chat, sender, i, payload \
         FROM n CROSS JOIN (SELECT * FROM webhook_events LIMIT 1) ORDER BY i"
    );
    query(AssertSqlSafe(more)).execute(&mut raw(db).await).await.unwrap();
}

on_every_database! {
    async fn failed_events_are_found_by_time_and_error_oldest_first(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (other, _) = db.tenant("other").await;
        let mut events = Vec::new();
        for minute in 0..6 {
            let new = NewEvent { created_at: later(minute * 60), ..db.message(&webhook.key(), "a", &minute.to_string()) };
            events.push(db.record(&[new]).await.remove(0).event);
        }
        let errors = ["Client error (404)", "Server error (503)", "Server error (500)", "ECONNREFUSED"];
        let outcomes: Vec<AttemptOutcome> = events
            .iter()
            .zip(errors)
            .map(|(event, error)| AttemptOutcome { error: Some(error.to_owned()), ..failed(&webhook, event) })
            .chain([delivered(&webhook, &events[4])])
            .collect();
        db.outcomes(&outcomes).await;
        let all = FailedFilter { limit: 10, ..FailedFilter::default() };
        let find = async |client, filter: &FailedFilter| db.store.failed_events(client, webhook.id, filter).await.unwrap();
        let whole = FailedEvents { seqs: seqs(&events[..4]), weights: vec![1; 4], looked_until: None };
        assert_eq!(find(client.id, &all).await, whole);
        assert_eq!(find(other.id, &all).await, FailedEvents::default(), "another client's");
        let by = |error: &str| FailedFilter { error: Some(error.to_owned()), ..all.clone() };
        assert_eq!(find(client.id, &by("Server error")).await.seqs, seqs(&events[1..3]));
        assert_eq!(find(client.id, &by("Server error (500)")).await.seqs, seqs(&events[2..3]));
        assert_eq!(find(client.id, &by("%")).await.seqs, [0_i64; 0], "no pattern");
        let range = FailedFilter { since: Some(later(60)), until: Some(later(180)), ..all.clone() };
        assert_eq!(find(client.id, &range).await.seqs, seqs(&events[1..3]));
        let two = FailedFilter { limit: 2, ..all };
        let cut = FailedEvents { seqs: seqs(&events[..2]), weights: vec![1; 2], looked_until: Some(later(120)) };
        assert_eq!(find(client.id, &two).await, cut, "where to go on");
    }

    // Each is one attempt, and its answer was the first one's.
    async fn test_events_are_not_retried_with_the_others(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let chats = ["test-1", "test-1@s.whatsapp.net", "Test-1", "a"];
        let events = db.events(&webhook, &chats).await;
        assert!(wharf_domain::message::is_test_chat(chats[0]) && !wharf_domain::message::is_test_chat(chats[1]));
        db.outcomes(&events.iter().map(|event| failed(&webhook, event)).collect::<Vec<_>>()).await;
        let all = FailedFilter { limit: 10, ..FailedFilter::default() };
        let found = db.store.failed_events(client.id, webhook.id, &all).await.unwrap();
        assert_eq!(found.seqs, seqs(&events[1..]));
    }

    async fn what_it_takes_to_write_them_anew_is_told(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let events = db.long_events(&webhook, &[100, 1_400_000]).await;
        db.outcomes(&events.iter().map(|event| failed(&webhook, event)).collect::<Vec<_>>()).await;
        let all = FailedFilter { limit: 10, ..FailedFilter::default() };
        let found = db.store.failed_events(client.id, webhook.id, &all).await.unwrap();
        assert_eq!(found.weights, [1, 342]);
    }

    // One look ends after so many events, or so long, and the next one begins with the time at which it ended.
    async fn a_search_through_very_many_of_one_moment_does_not_stand_still(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        very_many(db, &webhook, "created_at").await;
        let mut filter = FailedFilter { limit: 10, error: Some("the last one".to_owned()), ..FailedFilter::default() };
        loop {
            let found = db.store.failed_events(client.id, webhook.id, &filter).await.unwrap();
            if !found.seqs.is_empty() {
                break;
            }
            let next = found.looked_until;
            assert!(next > filter.since, "{next:?} after {:?}", filter.since);
            filter.since = next;
        }
    }

    // The time in the rows follows their order only as far as the clock did.
    async fn events_from_before_the_clock_was_set_back_and_after_are_all_retried(db: &mut Database) {
        for limit in [1, 2, 3] {
            let (client, webhook) = db.tenant(&format!("{limit} at a time")).await;
            for (number, seconds) in [100, 200, 50, 150, 300, 0, 400].into_iter().enumerate() {
                let new = NewEvent { created_at: later(seconds), ..db.message(&webhook.key(), "a", &number.to_string()) };
                let event = db.record(&[new]).await.remove(0).event;
                db.outcomes(&[failed(&webhook, &event)]).await;
            }
            let mut filter = FailedFilter { since: Some(later(50)), until: Some(later(400)), limit, ..FailedFilter::default() };
            let mut retried = 0;
            loop {
                let found = db.store.failed_events(client.id, webhook.id, &filter).await.unwrap();
                retried += found.seqs.len();
                let renewal = renewal(&webhook, found.seqs, 1);
                db.write(async |group| group.renew_failed(&renewal).await).await;
                let Some(next) = found.looked_until else { break };
                assert!(Some(next) >= filter.since && Some(next) < filter.until, "{next:?} of {filter:?}");
                filter.since = Some(next);
            }
            assert_eq!(retried, 5, "{limit} at a time");
        }
    }

    // A range that is empty is refused (400).
    async fn whoever_asks_on_is_never_told_to_begin_where_the_range_ends(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        very_many(db, &webhook, "created_at + i * 10").await;
        let none = Some("nothing of the kind".to_owned());
        let mut filter = FailedFilter { limit: 10, error: none, until: Some(later(900)), ..FailedFilter::default() };
        while let Some(next) = db.store.failed_events(client.id, webhook.id, &filter).await.unwrap().looked_until {
            assert!(next < later(900) && Some(next) > filter.since, "{next:?} after {:?}", filter.since);
            filter.since = Some(next);
        }
    }

    async fn they_are_pending_again_one_due_after_another(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "a", "b", "c", "d"]).await;
        let mut outcomes: Vec<AttemptOutcome> = events[..3].iter().map(|event| failed(&webhook, event)).collect();
        outcomes.push(delivered(&webhook, &events[3]));
        db.outcomes(&outcomes).await;
        let renewal = renewal(&webhook, seqs(&events), 4);
        let renewed = db.write(async |group| group.renew_failed(&renewal).await).await;
        let expected: Vec<PendingEvent> = events[..3]
            .iter()
            .zip([0, 250, 500])
            .map(|(event, ms)| PendingEvent {
                attempt_count: 1,
                budget_start: 1,
                next_retry_at: Some(wharf_domain::Timestamp(later(100).0 + ms)),
                ..event.clone()
            })
            .collect();
        assert_eq!(renewed, expected);
        for (event, due) in events.iter().zip(&expected) {
            let row = db.event(&webhook, event.id).await;
            assert_eq!((row.status, row.next_retry_at), (EventStatus::Pending, due.next_retry_at));
            assert_eq!(row.error.as_deref(), Some("Client error (404)"), "what is known of the last attempt stays");
        }
        assert_eq!(db.event(&webhook, events[3].id).await.status, EventStatus::Delivered);
        assert_eq!(db.event(&webhook, events[4].id).await.next_retry_at, None, "it was pending all the time");
        let again = db.write(async |group| group.renew_failed(&renewal).await).await;
        assert_eq!(again, [], "only what is failed");
        let page = db.store.due_chats(webhook.id, &crate::due::everything()).await.unwrap();
        let order: Vec<_> = page.chats[0].events.iter().map(|event| event.id).collect();
        assert_eq!(order, [events[0].id, events[1].id], "in their old places");
    }

    async fn nothing_of_a_webhook_that_sends_nothing_is_renewed(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        let event = db.events(&webhook, &["a"]).await.remove(0);
        db.outcomes(&[failed(&webhook, &event)]).await;
        let foreign = BulkRenewal { client_id: others.client_id, ..renewal(&webhook, vec![event.seq], 1) };
        assert_eq!(db.write(async |group| group.renew_failed(&foreign).await).await, []);
        let misplaced = renewal(&others, vec![event.seq], 1);
        assert_eq!(db.write(async |group| group.renew_failed(&misplaced).await).await, []);
        let off = WebhookPatch { is_active: Some(false), ..Default::default() };
        db.write(async |group| group.update_webhook(client.id, webhook.id, &off, NOW).await).await;
        let own = renewal(&webhook, vec![event.seq], 1);
        assert_eq!(db.write(async |group| group.renew_failed(&own).await).await, []);
        assert_eq!(db.event(&webhook, event.id).await.status, EventStatus::Failed);
    }
}

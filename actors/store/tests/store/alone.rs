//! Messages and outcomes in transactions of their own, mixed with groups: everything is as if all had been groups.

use proptest::prelude::*;
use wharf_domain::{AttemptOutcome, PendingEvent};
use wharf_store::{EventFilter, NewEvent, RecordedEvent, StoreError};

use crate::database::{Database, delivered, failed, later, on_every_database, options, postponed, token};
use crate::groups::poll_times;

/// Messages in the order given, each with others or alone; a number given twice is a redelivery.
async fn made(messages: &[(bool, u8)]) -> Vec<RecordedEvent> {
    let mut db = Database::sqlite().await;
    let (_, webhook) = db.tenant("acme").await;
    let mut made = Vec::new();
    for &(alone, name) in messages {
        let new = db.message(&webhook.key(), "a", &name.to_string());
        made.extend(match alone {
            true => db.writer.record_inbound(&[new]).await.unwrap(),
            false => db.write(async |group| group.record_inbound(&[new]).await).await,
        });
    }
    made
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whichever_way_messages_go_they_are_numbered_without_a_gap(
        messages in prop::collection::vec((any::<bool>(), 0_u8..12), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let grouped: Vec<_> = messages.iter().map(|&(_, name)| (false, name)).collect();
        let (mixed, grouped) = runtime.block_on(async { (made(&messages).await, made(&grouped).await) });
        let sequences: Vec<i64> = mixed.iter().map(|made| made.event.sequence).collect();
        prop_assert_eq!(sequences, (1..=i64::try_from(mixed.len()).unwrap()).collect::<Vec<_>>());
        prop_assert!(mixed.is_sorted_by_key(|made| made.event.seq));
        let ids = |made: &[RecordedEvent]| made.iter().map(|made| made.event.id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&mixed), ids(&grouped));
    }
}

on_every_database! {
    async fn outcomes_of_their_own_are_what_a_group_writes(db: &mut Database) {
        let mut seen = Vec::new();
        for (alone, name) in [(true, "alone"), (false, "in a group")] {
            let (client, webhook) = db.tenant(name).await;
            let events = db.events(&webhook, &["a", "b", "c"]).await;
            let outcomes = [
                postponed(&webhook, &events[0], 5),
                delivered(&webhook, &events[1]),
                failed(&webhook, &events[2]),
            ];
            match alone {
                true => db.writer.record_outcomes(&outcomes, later(9)).await.unwrap(),
                false => db.write(async |group| group.record_outcomes(&outcomes, later(9)).await).await,
            }
            let mut rows = Vec::new();
            for PendingEvent { id, .. } in &events {
                let event = db.event(&webhook, *id).await;
                let attempts = db.store.attempts(client.id, *id).await.unwrap().unwrap();
                rows.push((event.status, event.attempt_count, event.error, event.next_retry_at, attempts.len()));
            }
            let webhook = db.reread(&webhook).await;
            seen.push((rows, webhook.failure_count, webhook.last_error, webhook.last_success_at));
        }
        assert_eq!(seen[0], seen[1]);
    }

    async fn more_outcomes_than_one_statement_takes_are_all_written(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let chats: Vec<String> = (0..150).map(|n| n.to_string()).collect();
        let events = db.events(&webhook, &chats.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let outcomes: Vec<AttemptOutcome> = events.iter().map(|event| delivered(&webhook, event)).collect();
        db.writer.record_outcomes(&outcomes[..64], later(9)).await.unwrap();
        db.writer.record_outcomes(&outcomes[64..], later(9)).await.unwrap();
        assert_eq!(db.statuses(&webhook).await.into_iter().collect::<Vec<_>>(), [("delivered", 150)]);
    }

    async fn one_that_is_refused_leaves_nothing_and_no_lock(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let first = db.message(&webhook.key(), "a", "1");
        db.writer.record_inbound(std::slice::from_ref(&first)).await.unwrap();
        let known = db.message(&webhook.key(), "a", "2");
        let refused = NewEvent { id: first.id, ..db.message(&webhook.key(), "a", "3") };
        assert_eq!(db.writer.record_inbound(&[known]).await.unwrap()[0].event.sequence, 2);
        let error = db.writer.record_inbound(&[refused]).await.unwrap_err();
        assert!(matches!(error, StoreError::Rejected(_)), "{error}");

        // Another program can write, and the next message gets the number that was not given out.
        let mut other = wharf_store::Store::open(&options(&db.dir, "?busy_timeout_ms=0")).await.unwrap().writer().await.unwrap();
        let mut group = other.begin().await.unwrap();
        group.add_client("other", &token(7), crate::database::NOW).await.unwrap();
        group.commit().await.unwrap();
        let next = db.message(&webhook.key(), "a", "4");
        assert_eq!(db.writer.record_inbound(&[next]).await.unwrap()[0].event.sequence, 3);
    }

    async fn one_that_is_cancelled_may_be_given_again(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        for polls in 0..20 {
            let new = db.message(&webhook.key(), "a", &polls.to_string());
            {
                let mut recording = Box::pin(db.writer.record_inbound(std::slice::from_ref(&new)));
                let _ = poll_times(recording.as_mut(), polls).await;
            }
            db.writer.record_inbound(std::slice::from_ref(&new)).await.unwrap();
            let event = db.message(&webhook.key(), "a", &format!("after {polls}"));
            let recorded = db.writer.record_inbound(&[event]).await.unwrap();
            assert_eq!(recorded[0].event.sequence, i64::from(polls) * 2 + 2);
        }
        assert_eq!(db.statuses(&webhook).await.into_iter().collect::<Vec<_>>(), [("pending", 40)]);
    }

    async fn a_deleted_webhook_gets_nothing_more(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        for id in ["1", "2"] {
            let new = db.message(&webhook.key(), "a", id);
            assert_eq!(db.writer.record_inbound(&[new]).await.unwrap().len(), 1);
        }
        db.write(async |group| group.delete_webhook(client.id, webhook.id, crate::database::NOW).await).await;
        let new = db.message(&webhook.key(), "a", "3");
        assert_eq!(db.writer.record_inbound(&[new]).await.unwrap(), []);
    }

    async fn messages_that_come_one_by_one_are_listed_as_all(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        for n in 0..2100 {
            let new = db.message(&webhook.key(), "a", &n.to_string());
            assert_eq!(db.writer.record_inbound(&[new]).await.unwrap().len(), 1);
        }
        let listed = sqlx::query_scalar("SELECT count(*) FROM webhook_event_list");
        let mut raw = <sqlx::SqliteConnection as sqlx::Connection>::connect_with(
            &sqlx::sqlite::SqliteConnectOptions::new().filename(db.dir.path().join("wharf.db")),
        )
        .await
        .unwrap();
        let listed: i64 = listed.fetch_one(&mut raw).await.unwrap();
        assert!(listed >= 2100 - 1024, "{listed}");
        let filter = EventFilter { limit: 10_000, ..Default::default() };
        let page = db.store.events(client.id, webhook.id, &filter).await.unwrap().unwrap();
        assert_eq!(page.events.len(), 2100);
        assert!(page.events.is_sorted_by(|a, b| a.id > b.id), "newest first");
    }
}

#[tokio::test]
async fn while_another_program_writes_it_is_refused_and_then_taken() {
    let mut db = Database::sqlite_with("?busy_timeout_ms=0").await;
    let (_, webhook) = db.tenant("acme").await;
    let first = db.message(&webhook.key(), "a", "1");
    db.writer.record_inbound(&[first]).await.unwrap();
    let mut other = db.store.writer().await.unwrap();
    let held = other.begin().await.unwrap();
    let second = db.message(&webhook.key(), "a", "2");
    let error = db
        .writer
        .record_inbound(std::slice::from_ref(&second))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    drop(held);
    // The rollback is on its way.
    let recorded = loop {
        match db.writer.record_inbound(std::slice::from_ref(&second)).await {
            Ok(recorded) => break recorded,
            Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(recorded[0].event.sequence, 2);
}

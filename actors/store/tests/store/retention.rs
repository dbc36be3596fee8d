use wharf_domain::{AttemptOutcome, EventStatus, Timestamp, retention::Cutoffs};
use wharf_store::NewEvent;

use crate::database::{Database, NOW, delivered, failed, later, on_every_database, plain, postponed};

/// What was created before the sixth second goes, delivered or failed.
fn six() -> Cutoffs {
    Cutoffs {
        delivered: later(6),
        failed: later(6),
    }
}

on_every_database! {
    async fn old_finished_events_go_and_the_rest_stays(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let mut events = Vec::new();
        for second in 0..10 {
            let new = NewEvent { created_at: later(second), ..db.message(&webhook.key(), "a", &second.to_string()) };
            events.push(db.record(&[new]).await.remove(0).event);
        }
        // 0 stays pending, the others end.
        let outcomes: Vec<_> = events[1..]
            .iter()
            .enumerate()
            .map(|(n, event)| if n % 2 == 0 { delivered(&webhook, event) } else { failed(&webhook, event) })
            .collect();
        db.outcomes(&outcomes).await;

        let visited = db.store.visit_events(events[1].seq, 3).await.unwrap();
        let seen: Vec<_> = visited.iter().map(|row| (row.seq, row.status, row.created_at)).collect();
        let expected = |n: usize, status| (events[n].seq, status, later(i64::try_from(n).unwrap()));
        assert_eq!(
            seen,
            [
                expected(2, EventStatus::Failed),
                expected(3, EventStatus::Delivered),
                expected(4, EventStatus::Failed)
            ]
        );

        let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
        let only_delivered = Cutoffs { failed: Timestamp(i64::MIN), ..six() };
        assert_eq!(db.write(async |group| group.purge_events(&seqs, &only_delivered).await).await, 3);
        assert_eq!(db.write(async |group| group.purge_events(&seqs, &six()).await).await, 2);
        assert_eq!(db.write(async |group| group.purge_events(&[], &six()).await).await, 0);
        for (second, event) in events.iter().enumerate() {
            let gone = (1..6).contains(&second);
            assert_eq!(db.store.event(webhook.client_id, event.id).await.unwrap().is_none(), gone, "{second}");
        }
        assert_eq!(db.statuses(&webhook).await, [("delivered", 2), ("failed", 2), ("pending", 1)].into());
    }

    async fn what_may_go_is_weighed_with_its_attempts_and_its_body(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.long_events(&webhook, &[100, 1_400_000]).await;
        for attempt in 1..=20 {
            let refused = postponed(&webhook, &events[0], 5);
            db.outcomes(&[wharf_domain::AttemptOutcome { attempt, ..refused }]).await;
        }
        let visited = db.store.visit_events(0, 9).await.unwrap();
        assert_eq!(visited.iter().map(|row| row.weight).collect::<Vec<_>>(), [21, 342]);
    }

    async fn events_go_from_the_list_too(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        // More than are left unlisted.
        let events = db.events(&webhook, &["a"; 1_100]).await;
        let outcomes: Vec<_> = events.iter().map(|event| delivered(&webhook, event)).collect();
        db.outcomes(&outcomes).await;
        let seqs: Vec<i64> = events[..600].iter().map(|event| event.seq).collect();
        assert_eq!(db.write(async |group| group.purge_events(&seqs, &six()).await).await, 600);
        assert_eq!(db.statuses(&webhook).await, [("delivered", 500)].into());
        let after = db.events(&webhook, &["a"]).await[0].sequence;
        assert_eq!(after, 1_101, "what was given out stays given out");
    }

    async fn an_event_that_was_renewed_meanwhile_stays(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let event = db.events(&webhook, &["a"]).await.remove(0);
        db.outcomes(&[failed(&webhook, &event)]).await;
        db.write(async |group| group.renew_event(client.id, event.id, false).await).await;
        assert_eq!(db.write(async |group| group.purge_events(&[event.seq], &six()).await).await, 0);
        assert_eq!(db.event(&webhook, event.id).await.status, EventStatus::Pending);
    }

    async fn what_was_tried_lately_stays_however_old_it_is(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b"]).await;
        let lately = |mut outcome: AttemptOutcome| {
            outcome.timing.started_at = later(8);
            outcome
        };
        db.outcomes(&[lately(failed(&webhook, &events[0])), lately(delivered(&webhook, &events[1]))]).await;
        let seqs = [events[0].seq, events[1].seq];
        assert_eq!(db.write(async |group| group.purge_events(&seqs, &six()).await).await, 0);
        let nine = Cutoffs { delivered: later(9), failed: later(9) };
        assert_eq!(db.write(async |group| group.purge_events(&seqs, &nine).await).await, 2);
    }

    async fn a_deleted_webhook_goes_after_its_events(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (_, living) = db.tenant("other").await;
        let event = db.events(&webhook, &["a"]).await.remove(0);
        db.write(async |group| {
            group.add_secret(client.id, webhook.id, &[1, 2, 3], NOW, NOW).await?;
            group.delete_webhook(client.id, webhook.id, NOW).await
        })
        .await;
        assert_eq!(db.store.empty_webhooks(later(1), 9).await.unwrap(), [], "its history is there");
        db.write(async |group| group.purge_events(&[event.seq], &six()).await).await;
        assert!(db.store.event(client.id, event.id).await.unwrap().is_none());
        assert_eq!(db.store.empty_webhooks(NOW, 9).await.unwrap(), [], "not old enough");
        assert_eq!(db.store.empty_webhooks(later(1), 9).await.unwrap(), [webhook.id]);
        let both = [webhook.id, living.id];
        assert_eq!(db.write(async |group| group.purge_webhooks(&both).await).await, 1, "only a deleted one");
        assert_eq!(db.store.webhook(client.id, webhook.id).await.unwrap(), None);
        assert!(db.store.secrets(client.id, webhook.id).await.unwrap().is_empty());
        assert_eq!(db.reread(&living).await, living);
    }

    async fn the_pending_events_of_a_client_are_counted(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (stranger, others) = db.tenant("other").await;
        db.events(&others, &["a"]).await;
        let events = db.events(&webhook, &["a", "a", "b", "c"]).await;
        db.outcomes(&[delivered(&webhook, &events[0]), failed(&webhook, &events[2])]).await;
        assert_eq!(db.store.pending_events(client.id, 100).await.unwrap(), 2);
        assert_eq!(db.store.pending_events(client.id, 1).await.unwrap(), 1, "counting ends there");
        assert_eq!(db.store.pending_events(stranger.id, 100).await.unwrap(), 1);
        assert_eq!(db.store.count_webhooks(client.id).await.unwrap(), 1);
        db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await;
        assert_eq!(db.store.pending_events(client.id, 100).await.unwrap(), 0);
        assert_eq!(db.store.count_webhooks(client.id).await.unwrap(), 0);
        assert_eq!(db.store.count_connections(client.id).await.unwrap(), 0);
        db.write(async |group| group.create_connection(&plain(&webhook.key()), NOW).await).await;
        assert_eq!(db.store.count_connections(client.id).await.unwrap(), 1);
    }

    async fn the_retention_remembers_when_it_believed_the_clock(db: &mut Database) {
        assert_eq!(db.store.retention_seen_at().await.unwrap(), None);
        for seen_at in [later(5), later(2)] {
            db.write(async |group| group.note_retention(seen_at).await).await;
            assert_eq!(db.store.retention_seen_at().await.unwrap(), Some(seen_at));
        }
    }

    async fn the_space_of_events_that_are_gone_is_given_back(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        for _ in 0..8 {
            let events = db.events(&webhook, &["a"; 500]).await;
            let outcomes: Vec<_> = events.iter().map(|event| delivered(&webhook, event)).collect();
            db.outcomes(&outcomes).await;
        }
        let full = db.store.space().await.unwrap();
        assert!(full.shrinks && full.pages > 400, "{full:?}");
        let seqs: Vec<i64> = db.store.visit_events(0, 4_000).await.unwrap().iter().map(|row| row.seq).collect();
        assert_eq!(db.write(async |group| group.purge_events(&seqs, &six()).await).await, 4_000);
        let emptied = db.store.space().await.unwrap();
        assert!(emptied.pages == full.pages && emptied.free > full.pages / 2, "{emptied:?}");
        db.write(async |group| group.give_back(10).await).await;
        let smaller = db.store.space().await.unwrap();
        assert_eq!(smaller.free, emptied.free - 10, "no more than asked for");
        db.write(async |group| group.give_back(u32::MAX >> 1).await).await;
        let least = db.store.space().await.unwrap();
        assert_eq!((least.free, least.pages), (0, full.pages - emptied.free), "{least:?}");
    }
}

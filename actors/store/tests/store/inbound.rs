use std::collections::HashSet;

use proptest::prelude::*;
use wharf_domain::EventStatus;
use wharf_store::{NewEvent, StoreError};

use crate::database::{Database, NOW, key, on_every_database, postponed};

on_every_database! {
    async fn a_message_becomes_an_event(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let new = db.message(&webhook.key(), "5511999999999@s.whatsapp.net", "3EB0");
        let recorded = db.record(std::slice::from_ref(&new)).await;
        assert_eq!(recorded.len(), 1);
        assert_eq!(recorded[0].webhook_id, webhook.id);
        let pending = &recorded[0].event;
        assert_eq!((pending.id, &*pending.chat), (new.id, "5511999999999@s.whatsapp.net"));
        assert_eq!((pending.attempt_count, pending.budget_start, pending.next_retry_at), (0, 0, None));
        assert_eq!(pending.payload.as_deref(), Some(new.payload.as_bytes()));

        let event = db.store.event(client.id, new.id).await.unwrap().unwrap();
        assert_eq!((event.id, event.webhook_id, event.message_id.as_str()), (new.id, webhook.id, "3EB0"));
        assert_eq!((event.from.as_str(), event.to.as_str()), ("5511999999999", webhook.phone_number.as_str()));
        assert_eq!((event.message_type.as_str(), event.content.as_deref()), ("text", Some(&*new.message.content)));
        assert_eq!(event.payload.get(), new.payload);
        assert_eq!((event.status, event.attempt_count), (EventStatus::Pending, 0));
        assert_eq!((event.http_status, event.response, event.error), (None, None, None));
        assert_eq!((event.next_retry_at, event.created_at, event.delivered_at), (None, NOW, None));
        assert_eq!(db.store.payload(new.id).await.unwrap().unwrap(), new.payload.as_bytes());
        assert_eq!(db.store.payload(wharf_domain::EventId(webhook.id.0)).await.unwrap(), None);
    }

    async fn a_redelivery_makes_no_second_event(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let first = db.message(&webhook.key(), "a", "same");
        let within = db.message(&webhook.key(), "a", "same");
        let after = db.message(&webhook.key(), "a", "same");
        assert_eq!(db.record(&[first.clone(), within]).await.len(), 1);
        assert_eq!(db.record(&[after]).await, []);
        assert_eq!(db.event(&webhook, first.id).await.id, first.id);

        // Another chat, sender, id or webhook is another message.
        let mut sender = db.message(&webhook.key(), "a", "same");
        sender.message.sender = "b".into();
        let chat = db.message(&webhook.key(), "b", "same");
        let id = db.message(&webhook.key(), "a", "other");
        let (_, others) = db.tenant("other").await;
        let webhook = db.message(&others.key(), "a", "same");
        assert_eq!(db.record(&[sender, chat, id, webhook]).await.len(), 4);
    }

    async fn an_event_that_is_given_twice_in_one_group_is_made_once(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let mut message = |n: usize| db.message(&webhook.key(), "a", &n.to_string());
        // As many as one statement takes; then a new one, and the last of them again.
        let mut given: Vec<NewEvent> = (0..64).map(&mut message).collect();
        let new = message(64);
        given.extend([new.clone(), given[63].clone()]);
        let recorded = db.record(&given).await;
        let ids: Vec<_> = recorded.iter().map(|made| made.event.id).collect();
        let wanted: Vec<_> = given[..64].iter().map(|given| given.id).chain([new.id]).collect();
        assert_eq!(ids, wanted);
        let sequences: Vec<i64> = recorded.iter().map(|made| made.event.sequence).collect();
        assert_eq!(sequences, (1..=65).collect::<Vec<_>>());
    }

    async fn an_event_that_was_committed_keeps_its_place_when_it_is_given_again(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        // The last one of its group: the places after it are the next ones given out.
        let known = db.message(&webhook.key(), "a", "known");
        let before = db.record(std::slice::from_ref(&known)).await.remove(0).event;
        db.outcomes(&[postponed(&webhook, &before, 5)]).await;
        let new: Vec<NewEvent> = (0..4).map(|n| db.message(&webhook.key(), "a", &n.to_string())).collect();
        // In transactions of their own, and with others.
        for (given, made) in [
            (vec![&new[0], &known], vec![(new[0].id, 2)]),
            (vec![&known, &new[1]], vec![(new[1].id, 3)]),
            (vec![&new[2], &known, &new[3], &known], vec![(new[2].id, 4), (new[3].id, 5)]),
        ] {
            let given: Vec<NewEvent> = given.into_iter().cloned().collect();
            let recorded = db.record(&given).await;
            assert_eq!(recorded.iter().map(|made| (made.event.id, made.event.sequence)).collect::<Vec<_>>(), made);
            assert_eq!(db.store.attempts(client.id, known.id).await.unwrap().unwrap().len(), 1);
            assert_eq!(db.store.visit_events(before.seq - 1, 1).await.unwrap()[0].seq, before.seq);
        }
    }

    async fn a_number_without_a_webhook_keeps_nothing(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let stranger = db.client("stranger").await;
        let nobody = db.message(&key(client.id, "5511777777777"), "a", "1");
        let not_his = db.message(&key(stranger.id, "5511888888888"), "a", "2");
        let kept = db.message(&webhook.key(), "a", "3");
        let recorded = db.record(&[nobody.clone(), not_his, kept.clone()]).await;
        assert_eq!(recorded.iter().map(|made| made.event.id).collect::<Vec<_>>(), [kept.id]);
        assert!(db.store.event(client.id, nobody.id).await.unwrap().is_none());
    }

    async fn an_inactive_webhook_still_gets_its_events(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let patch = wharf_domain::webhook::WebhookPatch { is_active: Some(false), ..Default::default() };
        db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, NOW).await).await;
        assert_eq!(db.events(&webhook, &["a"]).await.len(), 1);
    }

    async fn a_large_group_is_recorded_in_order(db: &mut Database) {
        let (_, first) = db.tenant("first").await;
        let (_, second) = db.tenant("second").await;
        let messages: Vec<NewEvent> = (0..337)
            .map(|n| db.message(&if n % 3 == 0 { first.key() } else { second.key() }, &format!("chat{}", n % 7), &n.to_string()))
            .collect();
        let recorded = db.record(&messages).await;
        let ids = |list: &mut dyn Iterator<Item = wharf_domain::EventId>| list.collect::<Vec<_>>();
        assert_eq!(ids(&mut recorded.iter().map(|made| made.event.id)), ids(&mut messages.iter().map(|new| new.id)));
        assert!(recorded.is_sorted_by(|a, b| a.event.seq < b.event.seq));
        for (made, new) in recorded.iter().zip(&messages) {
            let webhook = if new.key == first.key() { first.id } else { second.id };
            assert_eq!((made.webhook_id, made.event.payload.as_deref()), (webhook, Some(new.payload.as_bytes())));
        }
    }

    async fn a_numbers_events_are_numbered_without_a_gap(db: &mut Database) {
        let (_, first) = db.tenant("first").await;
        let (_, second) = db.tenant("second").await;
        let sequences = |recorded: &[wharf_store::RecordedEvent]| -> Vec<i64> {
            recorded.iter().map(|made| made.event.sequence).collect()
        };
        let again = db.message(&first.key(), "a", "1");
        let messages = [again.clone(), db.message(&second.key(), "a", "1"), db.message(&first.key(), "a", "2")];
        assert_eq!(sequences(&db.record(&messages).await), [1, 1, 2]);
        // Redeliveries between new ones, one of them within the group, and a group that is rolled back, leave no gap.
        let new = db.message(&first.key(), "a", "3");
        let twice = db.message(&first.key(), "a", "3");
        let last = db.message(&first.key(), "a", "4");
        let redelivered = NewEvent { id: wharf_domain::EventId(db.uuid()), ..again };
        let lost = [db.message(&first.key(), "a", "lost"), NewEvent { id: last.id, ..db.message(&first.key(), "a", "x") }];
        db.record(std::slice::from_ref(&last)).await;
        db.try_write(async |group| group.record_inbound(&lost).await).await.unwrap_err();
        assert_eq!(sequences(&db.record(&[redelivered, new, twice]).await), [4]);
        assert_eq!(db.event(&first, last.id).await.sequence, 3);
        // A webhook that takes over from a deleted one goes on where that one ended.
        db.write(async |group| group.delete_webhook(first.client_id, first.id, NOW).await).await;
        let next = db.webhook(&first.key()).await;
        let message = db.message(&next.key(), "a", "1");
        assert_eq!(sequences(&db.record(&[message]).await), [5]);
    }

    async fn an_event_id_cannot_be_used_twice(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let first = db.message(&webhook.key(), "a", "1");
        let second = NewEvent { id: first.id, ..db.message(&webhook.key(), "a", "2") };
        db.record(&[first]).await;
        let error = db.try_write(async |group| group.record_inbound(&[second]).await).await.unwrap_err();
        assert!(matches!(error, StoreError::Rejected(_)), "{error}");
    }

    async fn any_text_is_kept_as_it_is(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        for (n, text) in ["", "\u{0}", "'; DROP TABLE clients; --", "🦀\u{202e}\u{feff}", &"x".repeat(70_000)].iter().enumerate() {
            let mut new = db.message(&webhook.key(), "a", &n.to_string());
            new.message.content = (*text).to_owned();
            new.message.chat = format!("{text}chat");
            new.payload = new.message.payload(client.id, &webhook.phone_number);
            let recorded = db.record(&[new.clone()]).await;
            assert_eq!(*recorded[0].event.chat, new.message.chat);
            let event = db.event(&webhook, new.id).await;
            assert_eq!((event.content, event.payload.get()), (Some(new.message.content), new.payload.as_str()));
        }
    }
}

/// Groups of redelivered messages, each a chat, a sender and a message id out of few.
fn groups() -> impl Strategy<Value = Vec<Vec<(u8, u8, u8)>>> {
    prop::collection::vec(prop::collection::vec((0..3u8, 0..2u8, 0..6u8), 0..90), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..Default::default() })]

    #[test]
    fn however_often_a_message_comes_it_is_one_event(groups in groups()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut db = Database::sqlite().await;
            let (_, webhook) = db.tenant("acme").await;
            let mut seen = HashSet::new();
            for group in groups {
                let mut expected = Vec::new();
                let mut messages = Vec::new();
                for (chat, sender, id) in group {
                    let mut new = db.message(&webhook.key(), &format!("chat{chat}"), &format!("{id}"));
                    new.message.sender = format!("sender{sender}");
                    if seen.insert((chat, sender, id)) {
                        expected.push(new.id);
                    }
                    messages.push(new);
                }
                let made: Vec<_> = db.record(&messages).await.into_iter().map(|made| made.event.id).collect();
                assert_eq!(made, expected);
            }
            assert_eq!(db.statuses(&webhook).await.values().sum::<usize>(), seen.len());
        });
    }
}

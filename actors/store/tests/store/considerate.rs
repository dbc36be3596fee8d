use wharf_domain::{
    AttemptOutcome, ClientId, Courtesy, EventId, EventStatus, HeaderNames, Ordering, PendingEvent, Recovery, Webhook,
    WebhookId, courtesy::ClientErrors, webhook::WebhookPatch,
};
use wharf_store::{DueQuery, DueScope, StoreError};

use crate::{
    database::{Database, NOW, delivered, later, on_every_database, postponed},
    due::everything,
};

/// Its budget is used up.
fn exhausted(webhook: &Webhook, event: &PendingEvent, seconds: i64) -> AttemptOutcome {
    AttemptOutcome {
        status: EventStatus::Failed,
        ..postponed(webhook, event, seconds)
    }
}

on_every_database! {
    async fn what_is_asked_for_is_kept_field_by_field(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        assert_eq!(webhook.courtesy, Courtesy::default());
        let asked = Courtesy {
            max_in_flight: Some(3),
            max_per_second: Some(1000),
            timeout_ms: 30_000,
            ordering: Ordering::None,
            retry_client_errors: ClientErrors::of([408, 425, 429]).unwrap(),
            recovery: Recovery::Auto,
        };
        let patch = WebhookPatch { courtesy: asked.into(), ..Default::default() };
        let changed = db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, later(1)).await).await;
        let changed = changed.unwrap();
        assert_eq!((changed.courtesy, changed.updated_at), (asked, later(1)));
        let mut patch = WebhookPatch::default();
        patch.courtesy.max_in_flight = Some(None);
        let changed = db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, later(2)).await).await;
        assert_eq!(changed.unwrap().courtesy, Courtesy { max_in_flight: None, ..asked });
        let other = db.client("other").await;
        let patch = WebhookPatch { courtesy: Courtesy::default().into(), ..Default::default() };
        let none = db.write(async |group| group.update_webhook(other.id, webhook.id, &patch, later(3)).await).await;
        assert!(none.is_none());
        assert_eq!(db.reread(&webhook).await.courtesy, Courtesy { max_in_flight: None, ..asked });
    }

    async fn every_set_of_client_errors_has_its_place(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        for set in 0..8_usize {
            let codes = (0..3).filter(|bit| set & (1 << bit) != 0).map(|bit| [408_u64, 404, 499][bit]);
            let codes = ClientErrors::of(codes).unwrap();
            let mut patch = WebhookPatch::default();
            patch.courtesy.retry_client_errors = Some(codes);
            db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, NOW).await).await.unwrap();
            assert_eq!(db.reread(&webhook).await.courtesy.retry_client_errors, codes);
        }
    }

    async fn the_database_refuses_what_is_out_of_range(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        for asked in [
            Courtesy { timeout_ms: 999, ..Courtesy::default() },
            Courtesy { timeout_ms: 30_001, ..Courtesy::default() },
            Courtesy { max_in_flight: Some(0), ..Courtesy::default() },
            Courtesy { max_per_second: Some(1001), ..Courtesy::default() },
        ] {
            let patch = WebhookPatch { courtesy: asked.into(), ..Default::default() };
            let refused = db.try_write(async |group| group.update_webhook(client.id, webhook.id, &patch, NOW).await);
            assert!(matches!(refused.await, Err(StoreError::Rejected(_))), "{asked:?}");
        }
    }

    async fn headers_are_shown_by_name_only(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let other = db.client("other").await;
        assert_eq!(db.store.any_headers().await.unwrap(), None);
        let names = HeaderNames(vec!["authorization".into(), "x-a".into()]);
        let mut set = async |client: ClientId, names: &HeaderNames| {
            db.write(async |group| group.set_headers(client, webhook.id, names, b"sealed", later(1)).await).await
        };
        assert!(!set(other.id, &names).await);
        assert!(set(client.id, &names).await);
        let shown = db.reread(&webhook).await;
        assert_eq!((&shown.headers, shown.updated_at), (&names, later(1)));
        let sealed = db.store.sealed_headers(client.id, webhook.id).await.unwrap();
        assert_eq!(sealed, Some((webhook.webhook_url.clone().unwrap(), b"sealed".to_vec())));
        assert_eq!(db.store.any_headers().await.unwrap(), Some((webhook.id, b"sealed".to_vec())));
        assert_eq!(db.store.sealed_headers(other.id, webhook.id).await.unwrap(), None);
        let gone = db.write(async |group| {
            group.set_headers(client.id, webhook.id, &HeaderNames::default(), b"", later(2)).await
        });
        assert!(gone.await);
        assert_eq!(db.reread(&webhook).await.headers, HeaderNames::default());
        assert_eq!(db.store.sealed_headers(client.id, webhook.id).await.unwrap(), None);
    }

    async fn a_webhook_is_switched_off_with_a_reason(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let url = webhook.webhook_url.as_deref().unwrap();
        let off = async |group: &mut wharf_store::Group<'_>, client| {
            group.deactivate_webhook(client, webhook.id, url, "gone", later(1)).await
        };
        let other = db.client("other").await;
        assert!(db.write(async |group| off(group, other.id).await).await.is_none());
        let changed = db.write(async |group| off(group, client.id).await).await.unwrap();
        assert_eq!((changed.is_active, changed.last_error.as_deref()), (false, Some("gone")));
    }

    async fn a_webhook_that_leads_elsewhere_is_not_switched_off(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let url = Some("https://elsewhere.example/hook".to_owned());
        let patch = WebhookPatch { webhook_url: url, ..Default::default() };
        db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, NOW).await).await.unwrap();
        let old = webhook.webhook_url.as_deref().unwrap();
        let off = db.write(async |group| group.deactivate_webhook(client.id, webhook.id, old, "gone", later(1)).await);
        assert!(off.await.is_none());
        let after = db.reread(&webhook).await;
        assert_eq!((after.is_active, after.last_error), (true, None));
    }

    async fn why_a_webhook_was_switched_off_outlives_attempts_that_end_later(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b", "c", "d"]).await;
        let url = webhook.webhook_url.as_deref().unwrap();
        db.write(async |group| group.deactivate_webhook(client.id, webhook.id, url, "gone", later(1)).await).await.unwrap();
        for (late, at) in [(postponed(&webhook, &events[0], 9), 2), (delivered(&webhook, &events[1]), 3)] {
            db.outcomes(&[AttemptOutcome { finished_at: later(at), ..late }]).await;
            let after = db.reread(&webhook).await;
            assert_eq!((after.last_error.as_deref(), after.last_attempt_at), (Some("gone"), Some(later(at))));
        }
        let on = WebhookPatch { is_active: Some(true), ..Default::default() };
        db.write(async |group| group.update_webhook(client.id, webhook.id, &on, later(4)).await).await.unwrap();
        db.outcomes(&[AttemptOutcome { finished_at: later(5), ..postponed(&webhook, &events[2], 9) }]).await;
        assert_eq!(db.reread(&webhook).await.last_error.as_deref(), Some("Server error (503)"));
        db.outcomes(&[AttemptOutcome { finished_at: later(6), ..delivered(&webhook, &events[3]) }]).await;
        assert_eq!(db.reread(&webhook).await.last_error, None);
    }

    async fn parked_events_come_in_order_and_go_back_for_one_attempt(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        let events = db.events(&webhook, &["a", "b", "a", "c", "d"]).await;
        let refused = AttemptOutcome { next_retry_at: None, ..exhausted(&webhook, &events[1], 0) };
        db.outcomes(&[
            exhausted(&webhook, &events[3], 5),
            exhausted(&webhook, &events[0], 60),
            refused,
            exhausted(&webhook, &events[2], 1),
            postponed(&webhook, &events[4], 1),
        ])
        .await;
        let parked = async |db: &Database, webhook: WebhookId, after, limit| {
            let parked = db.store.parked_events(webhook, after, limit).await.unwrap();
            parked.into_iter().map(|event| (event.id, event.next_retry_at)).collect::<Vec<_>>()
        };
        let all = [(events[0].id, later(60)), (events[2].id, later(1)), (events[3].id, later(5))];
        assert_eq!(parked(db, webhook.id, -1, 9).await, all);
        assert_eq!(parked(db, webhook.id, events[0].seq, 1).await, all[1..2]);
        assert_eq!(parked(db, others.id, -1, 9).await, []);

        let mut revive = async |webhook: &Webhook, id: EventId| {
            db.write(async |group| group.revive_event(webhook.id, id).await).await
        };
        assert!(revive(&others, events[0].id).await.is_none(), "not theirs");
        assert!(revive(&webhook, events[1].id).await.is_none(), "refused by the receiver");
        assert!(revive(&webhook, events[4].id).await.is_none(), "has attempts left");
        let revived = revive(&webhook, events[0].id).await.unwrap();
        assert!(revive(&webhook, events[0].id).await.is_none(), "only once");
        assert_eq!(revived.webhook_id, webhook.id);
        let event = revived.event;
        assert_eq!((event.attempt_count, event.budget_start, event.next_retry_at), (1, 0, None), "no fresh budget");
        assert_eq!(event.payload, events[0].payload);
        assert_eq!(parked(db, webhook.id, -1, 9).await, all[1..]);
        // Its delivery may have asked for it just before its webhook went.
        db.write(async |group| group.delete_webhook(webhook.client_id, webhook.id, later(9)).await).await;
        let late = db.write(async |group| group.revive_event(webhook.id, events[2].id).await).await;
        assert_eq!((late, db.event(&webhook, events[2].id).await.status), (None, EventStatus::Failed));
    }

    async fn without_an_order_every_event_is_a_chat_of_its_own(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        db.events(&others, &["a"]).await;
        let events = db.events(&webhook, &["b", "a", "b", "a 7", "a"]).await;
        db.outcomes(&[postponed(&webhook, &events[0], 60)]).await;
        let singles = DueQuery { ordering: Ordering::None, ..everything() };
        let order = [1, 4, 3, 0, 2].map(|place: usize| events[place].id);
        for (room, visit) in [(1000, 1000), (1, 1000), (2, 2), (3, 1), (1000, 5), (5, 1000)] {
            let mut query = DueQuery { room, visit, ..singles.clone() };
            let mut met = Vec::new();
            loop {
                let page = db.store.due_chats(webhook.id, &query).await.unwrap();
                assert_eq!(page.next_due_at, Some(later(60)));
                assert!(page.chats.len() <= room.min(visit));
                assert!(page.chats.iter().all(|chat| chat.events.len() == 1 && !chat.more));
                met.extend(page.chats.iter().map(|chat| chat.events[0].id));
                query.after = page.cursor;
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(met, order, "{room} {visit}");
        }
        let page = db.store.due_chats(webhook.id, &DueQuery { only_due: true, ..singles }).await.unwrap();
        let due: Vec<_> = page.chats.iter().map(|chat| chat.events[0].id).collect();
        assert_eq!((due.as_slice(), page.skipped), ([1, 4, 3, 2].map(|place: usize| events[place].id).as_slice(), 1));
    }

    async fn without_an_order_events_are_named_by_their_ids(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        let foreign = db.events(&others, &["a"]).await;
        let events = db.events(&webhook, &["a", "a", "a", "b"]).await;
        db.outcomes(&[delivered(&webhook, &events[0]), postponed(&webhook, &events[2], 60)]).await;
        let named: Vec<Box<str>> = [&events[2], &events[0], &foreign[0], &events[1], &events[3]]
            .iter()
            .map(|event| event.id.to_string().into())
            .collect();
        for scope in [DueScope::Named, DueScope::Times] {
            let query = DueQuery { ordering: Ordering::None, scope, named: named.clone(), ..everything() };
            let found = async |query: DueQuery| {
                let page = db.store.due_chats(webhook.id, &query).await.unwrap();
                assert_eq!((page.next_due_at, page.cursor), (Some(later(60)), None));
                assert!(page.chats.iter().all(|chat| chat.events.len() == 1 && !chat.more));
                (page.chats.iter().map(|chat| chat.events[0].id).collect::<Vec<_>>(), page.left)
            };
            let ids = |places: &[usize]| places.iter().map(|&place| events[place].id).collect::<Vec<_>>();
            assert_eq!(found(query.clone()).await, (ids(&[2, 1, 3]), Vec::new()));
            let only_due = DueQuery { only_due: true, ..query.clone() };
            assert_eq!(found(only_due).await, (ids(&[1, 3]), Vec::new()));
            assert_eq!(found(DueQuery { room: 4, ..query }).await, (ids(&[2, 1]), named[4..].to_vec()));
        }
    }
}

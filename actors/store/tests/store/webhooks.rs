use serde_json::json;
use wharf_domain::{ClientId, EventStatus, Metadata, WebhookId, WebhookStatus, webhook::WebhookPatch};
use wharf_store::{ByNumber, Group, Renewal, StoreError, WrittenAs};

use crate::database::{Database, NOW, delivered, failed, key, later, on_every_database, plain, postponed};

on_every_database! {
    async fn a_registered_webhook_is_what_was_registered(db: &mut Database) {
        let client = db.client("acme").await;
        let given = json!({"z": 1, "a": {"nested": [true, null, "ü\u{0}"]}});
        let metadata = Metadata::new(given.as_object().unwrap()).unwrap();
        let id = WebhookId(db.uuid());
        let number = key(client.id, "5511888888888");
        let made = db
            .write(async |group| {
                group.register_webhook(id, &number, Some("https://a.example/x"), 20, false, Some(&metadata), NOW).await
            })
            .await
            .unwrap();
        assert_eq!((made.id, made.key(), made.webhook_url.as_deref()), (id, number, Some("https://a.example/x")));
        assert_eq!((made.is_active, made.status, made.max_retries), (false, WebhookStatus::Inactive, 20));
        assert_eq!((made.failure_count, made.last_error.clone()), (0, None));
        assert_eq!((made.created_at, made.updated_at, made.deleted_at), (NOW, NOW, None));
        assert_eq!(serde_json::to_string(&made.metadata).unwrap(), given.to_string(), "in its own order");
        assert_eq!(db.store.webhook(client.id, id).await.unwrap(), Some(made.clone()));
        assert_eq!(db.store.webhooks(client.id, &ByNumber::ALL).await.unwrap(), [made]);
    }

    async fn one_webhook_per_client_and_number(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        assert_eq!(webhook.phone_number, others.phone_number, "two clients may have the same number");
        let id = WebhookId(db.uuid());
        let register = async |db: &mut Database| {
            let number = webhook.key();
            db.write(async |group| group.register_webhook(id, &number, Some("https://b.example"), 1, true, None, later(1)).await)
                .await
        };
        assert_eq!(register(db).await, None);
        assert_eq!(db.reread(&webhook).await, webhook, "the first one is untouched");
        assert!(db.write(async |group| group.delete_webhook(client.id, webhook.id, later(1)).await).await.unwrap().all_ended);
        assert!(register(db).await.is_some(), "a deleted one is no obstacle");
    }

    async fn an_account_is_written_in_one_way(db: &mut Database) {
        let client = db.client("acme").await;
        let other = db.client("other").await;
        let (with, without) = ("5511988888888", "551188888888");
        let webhook = db.webhook(&key(client.id, without)).await;
        let register = async |db: &mut Database, client: &ClientId, number| {
            let (id, number) = (WebhookId(db.uuid()), key(*client, number));
            db.write(async |group| group.register_webhook(id, &number, Some("https://b.example"), 1, true, None, NOW).await)
                .await
                .is_some()
        };
        let connect = async |db: &mut Database, client: &ClientId, number| {
            let new = plain(&key(*client, number));
            db.write(async |group| group.create_connection(&new, NOW).await).await.is_some()
        };
        assert!(!register(db, &client.id, with).await && !connect(db, &client.id, with).await);
        let found = WrittenAs { connection: false, webhook: true };
        assert_eq!(db.store.written_as(&webhook.key()).await.unwrap(), found);
        assert!(connect(db, &other.id, with).await, "clients do not see each other's");
        assert!(connect(db, &client.id, without).await);
        db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await;
        assert!(!register(db, &client.id, with).await && !connect(db, &client.id, with).await);
        let found = WrittenAs { connection: true, webhook: false };
        assert_eq!(db.store.written_as(&webhook.key()).await.unwrap(), found);
        assert!(register(db, &client.id, without).await);
        // A landline and a mobile number with the same last eight digits.
        assert!(register(db, &client.id, "551133334444").await && connect(db, &client.id, "5511933334444").await);
    }

    async fn webhooks_come_by_number_and_in_parts(db: &mut Database) {
        let client = db.client("acme").await;
        for number in ["5511888888803", "5511888888801", "5511888888802"] {
            db.webhook(&key(client.id, number)).await;
        }
        let listed = async |after: Option<&str>, limit| {
            let part = ByNumber { after: after.map(|number| number.parse().unwrap()), limit };
            let webhooks = db.store.webhooks(client.id, &part).await.unwrap();
            webhooks.iter().map(|webhook| webhook.phone_number.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(listed(None, u32::MAX).await, ["5511888888801", "5511888888802", "5511888888803"]);
        assert_eq!(listed(None, 2).await, ["5511888888801", "5511888888802"]);
        assert_eq!(listed(Some("5511888888802"), 2).await, ["5511888888803"]);
        assert_eq!(listed(Some("5511888888803"), 2).await, [""; 0]);
    }

    async fn what_a_registration_may_not_be(db: &mut Database) {
        let client = db.client("acme").await;
        for (owner, max_retries) in [(client.id, 0), (client.id, 21), (ClientId(99), 3)] {
            let id = WebhookId(db.uuid());
            let number = key(owner, "5511888888888");
            let error = db
                .try_write(async |group| group.register_webhook(id, &number, Some("https://x"), max_retries, true, None, NOW).await)
                .await
                .unwrap_err();
            assert!(matches!(error, StoreError::Rejected(_)), "{error}");
        }
        assert_eq!(db.store.webhooks(client.id, &ByNumber::ALL).await.unwrap(), []);
    }

    async fn a_patch_changes_what_it_names(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let object = Some(Metadata::new(json!({"k": "v"}).as_object().unwrap()).unwrap());
        let patches = [
            WebhookPatch { webhook_url: Some("https://new.example".into()), ..Default::default() },
            WebhookPatch { max_retries: Some(7), ..Default::default() },
            WebhookPatch { is_active: Some(false), ..Default::default() },
            WebhookPatch { metadata: Some(object.clone()), ..Default::default() },
            WebhookPatch { metadata: Some(None), is_active: Some(true), ..Default::default() },
        ];
        let mut expected = webhook.clone();
        for (seconds, patch) in (1..).zip(patches) {
            expected.updated_at = later(seconds);
            expected.webhook_url = patch.webhook_url.clone().or(expected.webhook_url);
            expected.max_retries = patch.max_retries.unwrap_or(expected.max_retries);
            expected.is_active = patch.is_active.unwrap_or(expected.is_active);
            expected.metadata = patch.metadata.clone().unwrap_or(expected.metadata);
            expected.status = wharf_domain::webhook::status(expected.is_active, 0);
            let changed =
                db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, later(seconds)).await).await;
            assert_eq!(changed.as_ref(), Some(&expected));
            assert_eq!(db.reread(&webhook).await, expected);
        }
    }

    async fn an_empty_patch_changes_nothing(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let patch = WebhookPatch::default();
        let same = db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, later(1)).await).await;
        assert_eq!(same, Some(webhook.clone()));
        db.write(async |group| group.delete_webhook(client.id, webhook.id, later(2)).await).await;
        let gone = db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, later(3)).await).await;
        assert_eq!(gone, None);
    }

    async fn status_follows_from_toggle_and_counter_as_the_domain_says(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let event = db.events(&webhook, &["a"]).await.remove(0);
        for (active, failures) in [(true, 0), (true, 1), (true, 7), (false, 0), (false, 7)] {
            let patch = WebhookPatch { is_active: Some(active), ..Default::default() };
            let outcome =
                wharf_domain::AttemptOutcome { webhook_failure_count: failures, ..postponed(&webhook, &event, 5) };
            db.write(async |group| {
                group.update_webhook(client.id, webhook.id, &patch, NOW).await?;
                group.record_outcomes(&[outcome], later(9)).await
            })
            .await;
            assert_eq!(db.reread(&webhook).await.status, wharf_domain::webhook::status(active, failures));
        }
    }

    async fn a_deleted_webhook_ends_what_waits_and_keeps_its_history(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b", "c", "d"]).await;
        db.outcomes(&[
            delivered(&webhook, &events[0]),
            failed(&webhook, &events[1]),
            postponed(&webhook, &events[2], 5),
        ])
        .await;
        let kept = [db.event(&webhook, events[0].id).await, db.event(&webhook, events[1].id).await];

        let deleted = db.write(async |group| group.delete_webhook(client.id, webhook.id, later(9)).await).await;
        assert!(deleted.unwrap().all_ended, "nothing is left to end");
        assert_eq!(db.write(async |group| group.delete_webhook(client.id, webhook.id, later(9)).await).await, None);
        assert_eq!(db.store.webhooks(client.id, &ByNumber::ALL).await.unwrap(), []);
        assert_eq!(db.reread(&webhook).await.deleted_at, Some(later(9)));
        for before in kept {
            assert_eq!(format!("{before:?}"), format!("{:?}", db.event(&webhook, before.id).await));
        }
        for ended in &events[2..] {
            let event = db.event(&webhook, ended.id).await;
            assert_eq!((event.status, event.next_retry_at), (EventStatus::Failed, None));
            assert_eq!(event.error.as_deref(), Some("webhook deleted"));
        }
        let patch = WebhookPatch { is_active: Some(true), ..Default::default() };
        let changed = db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, later(9)).await).await;
        assert_eq!(changed, None, "a deleted webhook does not change");
        let message = db.message(&webhook.key(), "a", "after");
        assert_eq!(db.record(&[message]).await, [], "and gets nothing new");
    }

    async fn a_webhook_without_events_leaves_nothing_when_it_is_deleted(db: &mut Database) {
        let client = db.client("acme").await;
        let number = key(client.id, "5511888888888");
        for listed in [false, true] {
            for _ in 0..3 {
                let webhook = db.webhook(&number).await;
                let deleted = async |group: &mut Group<'_>| {
                    group.add_secret(client.id, webhook.id, &[1], NOW, NOW).await?;
                    group.delete_webhook(client.id, webhook.id, NOW).await
                };
                assert!(db.write(deleted).await.unwrap().all_ended);
                assert_eq!(db.store.webhook(client.id, webhook.id).await.unwrap(), None);
                assert!(db.store.secrets(client.id, webhook.id).await.unwrap().is_empty());
                assert_eq!(db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await, None);
            }
            // One that has had an event stays, whether the list of events has it yet or not.
            let webhook = db.webhook(&number).await;
            let event = db.events(&webhook, &["a"]).await.remove(0);
            db.outcomes(&[delivered(&webhook, &event)]).await;
            if listed {
                let (_, others) = db.tenant("other").await;
                db.events(&others, &["a"; 1_100]).await;
            }
            assert!(db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await.unwrap().all_ended);
            assert_eq!(db.reread(&webhook).await.deleted_at, Some(NOW));
            let renewal = db.write(async |group| group.renew_event(client.id, event.id, true).await).await;
            assert_eq!(renewal, Renewal::WebhookDeleted);
        }
    }

    async fn a_long_backlog_of_a_deleted_webhook_ends_in_steps(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (_, others) = db.tenant("other").await;
        db.events(&others, &["a"]).await;
        db.events(&webhook, &["a"; 2_000]).await;
        db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await;
        let mut steps = 0;
        assert_eq!(db.store.unsettled_webhooks().await.unwrap(), [webhook.id]);
        while !db.write(async |group| group.settle_webhook(webhook.id, 500).await).await {
            steps += 1;
        }
        assert!(steps > 1, "{steps}");
        assert_eq!(db.store.unsettled_webhooks().await.unwrap(), []);
        assert_eq!(db.statuses(&webhook).await, [("failed", 2_000)].into());
        assert_eq!(db.statuses(&others).await, [("pending", 1)].into());
    }

    // Each that ends is written anew with its body.
    async fn events_with_long_bodies_end_a_few_at_a_time(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        db.long_events(&webhook, &[600_000; 5]).await;
        let deleted = db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await;
        assert_eq!((deleted.unwrap().all_ended, db.statuses(&webhook).await["failed"]), (false, 1));
        for (over, failed) in [(false, 3), (true, 5)] {
            let settled = db.write(async |group| group.settle_webhook(webhook.id, 300).await).await;
            assert_eq!((settled, db.statuses(&webhook).await["failed"]), (over, failed));
        }
    }

    async fn a_long_backlog_ends_without_a_look_at_what_else_was_deleted(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (other, others) = db.tenant("other").await;
        for webhook in [&webhook, &others] {
            db.events(webhook, &["a"; 300]).await;
        }
        for (client, webhook) in [(&client, &webhook), (&other, &others)] {
            let deleted = db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await;
            assert!(!deleted.unwrap().all_ended, "some are left");
        }
        assert!(!db.write(async |group| group.settle_webhook(webhook.id, 150).await).await);
        assert!(db.write(async |group| group.settle_webhook(webhook.id, 150).await).await);
        assert_eq!(db.statuses(&webhook).await, [("failed", 300)].into());
        assert_eq!(db.statuses(&others).await, [("failed", 100), ("pending", 200)].into());
    }
}

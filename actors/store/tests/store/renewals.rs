use wharf_domain::{EventId, EventStatus, PendingEvent, webhook::WebhookPatch};
use wharf_store::Renewal;

use crate::database::{Database, NOW, delivered, failed, later, on_every_database, postponed};

async fn renew(db: &mut Database, webhook: &wharf_domain::Webhook, event: EventId, force: bool) -> Renewal {
    let client = webhook.client_id;
    db.write(async |group| group.renew_event(client, event, force).await)
        .await
}

on_every_database! {
    async fn a_failed_or_waiting_event_is_due_now_with_a_fresh_budget(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b", "c"]).await;
        db.outcomes(&[failed(&webhook, &events[0]), postponed(&webhook, &events[1], 60)]).await;
        for (event, attempts) in events.iter().zip([1, 1, 0]) {
            let expected = PendingEvent { attempt_count: attempts, budget_start: attempts, ..event.clone() };
            let renewal = renew(db, &webhook, event.id, false).await;
            assert_eq!(renewal, Renewal::Renewed { webhook_id: webhook.id, event: expected });
            let row = db.event(&webhook, event.id).await;
            assert_eq!((row.status, row.attempt_count), (EventStatus::Pending, attempts));
            assert_eq!((row.next_retry_at, row.delivered_at), (None, None));
        }
        let row = db.event(&webhook, events[0].id).await;
        assert_eq!(row.error.as_deref(), Some("Client error (404)"), "what is known of the last attempt stays");
    }

    async fn a_delivered_event_needs_force(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let pending = db.events(&webhook, &["a"]).await.remove(0);
        let event = pending.id;
        db.outcomes(&[delivered(&webhook, &pending)]).await;
        assert_eq!(renew(db, &webhook, event, false).await, Renewal::Delivered);
        assert_eq!(db.event(&webhook, event).await.status, EventStatus::Delivered);
        assert!(matches!(renew(db, &webhook, event, true).await, Renewal::Renewed { .. }));
        let row = db.event(&webhook, event).await;
        assert_eq!((row.status, row.delivered_at, row.attempt_count), (EventStatus::Pending, None, 1));
    }

    async fn an_inactive_or_deleted_webhook_retries_nothing(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let pending = db.events(&webhook, &["a"]).await.remove(0);
        let event = pending.id;
        db.outcomes(&[failed(&webhook, &pending)]).await;
        let patch = WebhookPatch { is_active: Some(false), ..Default::default() };
        db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, NOW).await).await;
        assert_eq!(renew(db, &webhook, event, true).await, Renewal::Inactive);
        db.write(async |group| group.delete_webhook(client.id, webhook.id, later(1)).await).await;
        assert_eq!(renew(db, &webhook, event, true).await, Renewal::WebhookDeleted);
        assert_eq!(db.event(&webhook, event).await.status, EventStatus::Failed);
        let unknown = EventId(db.uuid());
        assert_eq!(renew(db, &webhook, unknown, true).await, Renewal::NotFound);
    }

    async fn a_renewed_event_is_found_in_the_backlog_again(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "a"]).await;
        db.outcomes(&[failed(&webhook, &events[0])]).await;
        renew(db, &webhook, events[0].id, false).await;
        let page = db.store.due_chats(webhook.id, &crate::due::everything()).await.unwrap();
        let found: Vec<_> = page.chats[0].events.iter().map(|event| (event.id, event.budget_start)).collect();
        assert_eq!(found, [(events[0].id, 1), (events[1].id, 0)], "in its old place");
    }
}

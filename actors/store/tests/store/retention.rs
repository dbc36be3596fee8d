use wharf_store::{NewEvent, PurgedEvents};

use crate::database::{Database, NOW, delivered, failed, later, on_every_database};

on_every_database! {
    async fn old_finished_events_go_and_the_rest_stays(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let mut ids = Vec::new();
        for second in 0..10 {
            let new = NewEvent { created_at: later(second), ..db.message(&webhook.key(), "a", &second.to_string()) };
            ids.push(db.record(&[new]).await.remove(0).event);
        }
        // 0 stays pending, the others end.
        let outcomes: Vec<_> = ids[1..]
            .iter()
            .enumerate()
            .map(|(n, event)| if n % 2 == 0 { delivered(&webhook, event) } else { failed(&webhook, event) })
            .collect();
        db.outcomes(&outcomes).await;

        let mut after = None;
        let mut steps = Vec::new();
        loop {
            let step = db.write(async |group| group.purge_events(after, later(6), 4).await).await;
            steps.push(step.removed);
            after = step.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(steps, [3, 2]);
        for (second, event) in ids.iter().enumerate() {
            let gone = (1..6).contains(&second);
            assert_eq!(db.store.event(webhook.client_id, event.id).await.unwrap().is_none(), gone, "{second}");
        }
    }

    async fn an_empty_table_has_nothing_to_purge(db: &mut Database) {
        let step = db.write(async |group| group.purge_events(None, later(6), 4).await).await;
        assert_eq!(step, PurgedEvents { removed: 0, next: None });
    }

    async fn a_deleted_webhook_goes_after_its_events(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (_, living) = db.tenant("other").await;
        let event = db.events(&webhook, &["a"]).await[0].id;
        db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await;
        assert_eq!(db.write(async |group| group.purge_webhooks(later(1)).await).await, 0, "its history is there");
        db.write(async |group| group.purge_events(None, later(1), 100).await).await;
        assert!(db.store.event(client.id, event).await.unwrap().is_none());
        assert_eq!(db.write(async |group| group.purge_webhooks(NOW).await).await, 0, "not old enough");
        assert_eq!(db.write(async |group| group.purge_webhooks(later(1)).await).await, 1);
        assert_eq!(db.store.webhook(client.id, webhook.id).await.unwrap(), None);
        assert_eq!(db.reread(&living).await, living);
    }
}

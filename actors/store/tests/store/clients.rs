use wharf_domain::{ClientId, EventId};
use wharf_store::{ByNumber, EventFilter, StoreError};

use sqlx::{AssertSqlSafe, Connection, SqliteConnection, query_scalar, sqlite::SqliteConnectOptions};

use crate::{
    awaited::awaited,
    database::{Database, NOW, key, later, on_every_database, plain, token},
    outgoing::record,
};

/// What there is of clients, in all tables that may have much.
async fn rows(db: &Database) -> i64 {
    let options = SqliteConnectOptions::new().filename(db.dir.path().join("wharf.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let mut rows = 0;
    for table in [
        "webhook_events",
        "webhook_event_list",
        "whatsapp_outgoing_messages",
        "whatsapp_webhooks",
        "whatsapp_awaited_messages",
        "whatsapp_held_messages",
        "number_sequences",
    ] {
        let count = format!("SELECT count(*) FROM {table}");
        rows += query_scalar::<_, i64>(AssertSqlSafe(count))
            .fetch_one(&mut connection)
            .await
            .unwrap();
    }
    rows
}

on_every_database! {
    async fn a_token_finds_its_client_until_it_is_rotated(db: &mut Database) {
        let client = db.write(async |group| group.add_client("acme", &token(1), NOW).await).await;
        assert_eq!((client.id, client.name.as_str(), client.created_at), (ClientId(1), "acme", NOW));
        assert_eq!(db.store.clients().await.unwrap(), vec![client.clone()]);
        assert_eq!(db.store.client_of_token(&token(1)).await.unwrap(), Some(client.id));
        assert_eq!(db.store.client_of_token(&token(2)).await.unwrap(), None);

        let rotated = db.write(async |group| group.rotate_client(client.id, &token(2), later(1)).await).await;
        assert_eq!(rotated, Some(client.clone()));
        assert_eq!(db.store.client_of_token(&token(1)).await.unwrap(), None);
        assert_eq!(db.store.client_of_token(&token(2)).await.unwrap(), Some(client.id));
        let unknown = db.write(async |group| group.rotate_client(ClientId(9), &token(3), NOW).await).await;
        assert_eq!(unknown, None);
    }

    async fn a_removed_client_is_out_at_once_and_gone_when_purged(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (other, others_webhook) = db.tenant("other").await;
        let event = db.events(&webhook, &["a"]).await[0].id;
        let others_event = db.events(&others_webhook, &["a"]).await[0].id;
        let number = webhook.key();
        db.write(async |group| {
            group.create_connection(&plain(&number), NOW).await?;
            group.claim_key(&number, "k", &[1; 32], NOW).await?;
            group.rotate_client(client.id, &token(1), NOW).await
        })
        .await;

        assert!(db.write(async |group| group.remove_client(client.id, later(1)).await).await);
        assert!(!db.write(async |group| group.remove_client(client.id, later(2)).await).await, "only once");
        assert_eq!(db.store.client_of_token(&token(1)).await.unwrap(), None);
        assert_eq!(db.store.clients().await.unwrap(), vec![other.clone()]);
        assert_eq!(db.store.removed_clients().await.unwrap(), [client.id]);
        let rotated = db.write(async |group| group.rotate_client(client.id, &token(3), NOW).await).await;
        assert_eq!(rotated, None, "a removed client gets no new token");
        assert!(db.store.event(client.id, event).await.unwrap().is_some(), "its data is still there");

        assert!(db.write(async |group| group.purge_client(client.id, 500).await).await);
        assert_eq!(db.store.removed_clients().await.unwrap(), []);
        assert!(db.store.event(client.id, event).await.unwrap().is_none());
        assert_eq!(db.store.webhook(client.id, webhook.id).await.unwrap(), None);
        assert_eq!(db.store.connections(client.id, &ByNumber::ALL).await.unwrap(), []);
        assert!(db.store.event(other.id, others_event).await.unwrap().is_some(), "nobody else's");
        assert!(db.write(async |group| group.purge_client(client.id, 500).await).await, "again does no harm");
    }

    async fn a_client_of_many_events_goes_in_steps(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let chats = vec!["a"; 1_600];
        db.events(&webhook, &chats).await;
        assert!(db.write(async |group| group.remove_client(client.id, NOW).await).await);
        assert!(!db.write(async |group| group.purge_client(client.id, 500).await).await);
        assert_eq!(db.store.removed_clients().await.unwrap(), [client.id]);
        let mut steps = 1;
        while !db.write(async |group| group.purge_client(client.id, 500).await).await {
            steps += 1;
        }
        assert!(steps > 1, "{steps}");
        assert_eq!(db.store.removed_clients().await.unwrap(), []);
    }

    async fn a_change_of_the_clients_is_told_by_their_counts(db: &mut Database) {
        let mut seen = vec![db.store.clients_counted().await.unwrap()];
        for step in 0..6 {
            let id = ClientId(i64::from(step) / 3 + 1);
            match step % 3 {
                0 => drop(db.client("acme").await),
                1 => assert!(db.write(async |group| group.remove_client(id, NOW).await).await),
                _ => assert!(db.write(async |group| group.purge_client(id, 500).await).await),
            }
            let counted = db.store.clients_counted().await.unwrap();
            assert!(!seen.contains(&counted), "{step}: {counted:?}");
            assert_eq!(counted.some_removed(), step % 3 == 1);
            seen.push(counted);
        }
    }

    async fn so_is_another_token(db: &mut Database) {
        let id = db.client("acme").await.id;
        db.client("other").await;
        let mut seen = vec![db.store.clients_counted().await.unwrap()];
        // Also when the clock was put back meanwhile.
        for at in [later(5), NOW] {
            let token = token(100 + u8::try_from(seen.len()).unwrap());
            assert!(db.write(async |group| group.rotate_client(id, &token, at).await).await.is_some());
            seen.push(db.store.clients_counted().await.unwrap());
        }
        assert!(seen[0] != seen[1] && seen[1] != seen[2], "{seen:?}");
    }

    // A statement that removes all of a kind holds everybody's commits for as long as that takes.
    async fn no_step_removes_more_than_it_may(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        db.events(&webhook, &["a"; 30]).await;
        for n in 0..30 {
            let number = key(client.id, &format!("55118888{n:05}"));
            assert!(record(db, &number, &format!("M{n}"), NOW, true).await);
            db.webhook(&number).await;
        }
        let number = webhook.key();
        db.write(async |group| group.create_connection(&plain(&number), NOW).await).await;
        let awaited: Vec<_> = (0..30).map(|n| awaited(&format!("M{n}"), NOW)).collect();
        let held: Vec<_> = (0..30).map(|n| db.message(&number, "a", &format!("H{n}"))).collect();
        db.write(async |group| {
            group.keep_awaited(&number, &awaited).await?;
            for event in &held {
                assert!(group.hold(&awaited[0].id.clone().into(), event).await?);
            }
            Ok(())
        })
        .await;
        assert!(db.write(async |group| group.remove_client(client.id, NOW).await).await);
        let mut left = rows(db).await;
        assert!(left > 150, "{left}");
        let mut over = false;
        while !over {
            over = db.write(async |group| group.purge_client(client.id, 8).await).await;
            let now = rows(db).await;
            // Each event is a row of the list as well.
            assert!(left - now <= 17, "{left} to {now}");
            left = now;
        }
        assert_eq!(left, 0);
    }

    // An event takes its attempts and its body along.
    async fn events_with_long_bodies_go_a_few_at_a_time(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        db.long_events(&webhook, &[600_000; 5]).await;
        // More than are left unlisted.
        db.events(&webhook, &["a"; 1_100]).await;
        db.long_events(&webhook, &[600_000; 5]).await;
        assert!(db.write(async |group| group.remove_client(client.id, NOW).await).await);
        let options = SqliteConnectOptions::new().filename(db.dir.path().join("wharf.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let mut count = async |long: &'static str| query_scalar::<_, i64>(long).fetch_one(&mut connection).await.unwrap();
        let long = "SELECT count(*) FROM webhook_events WHERE octet_length(payload) > 600000";
        let (mut left, mut over) = (count(long).await, false);
        assert_eq!((left, count("SELECT count(*) > 0 FROM webhook_event_list").await), (10, 1));
        while !over {
            over = db.write(async |group| group.purge_client(client.id, 300).await).await;
            let now = count(long).await;
            assert!(left - now <= 2, "{left} to {now}");
            left = now;
        }
        assert_eq!((left, rows(db).await), (0, 0));
    }

    // Otherwise each step goes over all that are empty and wait for the rest.
    async fn no_step_looks_at_more_webhooks_than_it_may(db: &mut Database) {
        let client = db.client("acme").await;
        let mut webhooks = Vec::new();
        for n in 0..40 {
            webhooks.push(db.webhook(&key(client.id, &format!("55118888{n:05}"))).await);
        }
        webhooks.sort_by_key(|webhook| webhook.id);
        let event = db.events(&webhooks[19], &["a"]).await[0].id;
        let (_, others) = db.tenant("other").await;
        db.events(&others, &["a"; 1_100]).await;
        assert!(db.write(async |group| group.remove_client(client.id, NOW).await).await);
        let mut steps = 0;
        while db.store.event(client.id, event).await.unwrap().is_some() {
            assert!(!db.write(async |group| group.purge_client(client.id, 8).await).await);
            steps += 1;
        }
        assert_eq!(steps, 3, "the twentieth is among those of the third");
    }

    async fn an_id_is_never_given_out_again(db: &mut Database) {
        let first = db.client("first").await;
        let second = db.client("second").await;
        db.write(async |group| {
            group.remove_client(second.id, NOW).await?;
            group.purge_client(second.id, 500).await
        })
        .await;
        let third = db.client("third").await;
        assert!(first.id < second.id && second.id < third.id, "{first:?} {second:?} {third:?}");
    }

    async fn two_clients_cannot_have_one_token(db: &mut Database) {
        db.write(async |group| group.add_client("first", &token(1), NOW).await).await;
        let error = db.try_write(async |group| group.add_client("second", &token(1), NOW).await).await.unwrap_err();
        assert!(matches!(error, StoreError::Rejected(_)), "{error}");
        assert!(!error.is_transient());
        assert_eq!(db.store.clients().await.unwrap().len(), 1);
    }

    async fn another_clients_id_answers_like_one_that_does_not_exist(db: &mut Database) {
        let (owner, webhook) = db.tenant("owner").await;
        let (stranger, _) = db.tenant("stranger").await;
        let event = db.events(&webhook, &["a"]).await[0].id;
        let number = key(owner.id, "5511777777777");
        db.write(async |group| group.create_connection(&plain(&number), NOW).await).await;

        let all = EventFilter { limit: 50, ..Default::default() };
        for client in [stranger.id, ClientId(99)] {
            assert_eq!(db.store.webhook(client, webhook.id).await.unwrap(), None);
            assert!(db.store.event(client, event).await.unwrap().is_none());
            assert!(db.store.events(client, webhook.id, &all).await.unwrap().unwrap().events.is_empty());
            assert_eq!(db.store.connection(&key(client, "5511777777777")).await.unwrap(), None);
            let patch = wharf_domain::webhook::WebhookPatch { is_active: Some(false), ..Default::default() };
            db.write(async |group| {
                assert_eq!(group.update_webhook(client, webhook.id, &patch, NOW).await?, None);
                assert_eq!(group.delete_webhook(client, webhook.id, NOW).await?, None);
                assert!(!group.delete_connection(&key(client, "5511777777777")).await?);
                let renewal = group.renew_event(client, event, true).await?;
                assert_eq!(renewal, wharf_store::Renewal::NotFound);
                Ok(())
            })
            .await;
        }
        assert_eq!(db.reread(&webhook).await, webhook);
        assert!(db.store.event(owner.id, EventId(webhook.id.0)).await.unwrap().is_none());
    }
}

use sqlx::{Connection, SqliteConnection, migrate::Migrator, query, query_scalar, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use uuid::Uuid;
use wharf_domain::{ClientId, Timestamp, WebhookId, webhook::WebhookPatch};
use wharf_store::{ByNumber, EventFilter, Store};

use crate::database::{Database, NOW, later, on_every_database, options};

async fn add(
    db: &mut Database,
    client: ClientId,
    id: WebhookId,
    sealed: &[u8],
    until: Timestamp,
    now: Timestamp,
) -> bool {
    db.write(async |group| group.add_secret(client, id, sealed, until, now).await)
        .await
}

/// A webhook's secrets, the present one first.
async fn kept(db: &Database, client: ClientId, id: WebhookId) -> Vec<(Vec<u8>, Option<Timestamp>)> {
    let secrets = db.store.secrets(client, id).await.unwrap();
    secrets
        .into_iter()
        .map(|secret| (secret.sealed, secret.expires_at))
        .collect()
}

on_every_database! {
    async fn the_present_secret_comes_first_and_others_end(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        assert_eq!(kept(db, client.id, webhook.id).await, []);
        assert_eq!(db.store.any_secret().await.unwrap(), None);

        assert!(add(db, client.id, webhook.id, b"one", NOW, NOW).await);
        assert_eq!(db.store.any_secret().await.unwrap(), Some((webhook.id, b"one".to_vec())));
        assert!(add(db, client.id, webhook.id, b"two", later(60), NOW).await);
        assert!(add(db, client.id, webhook.id, b"three", later(30), later(1)).await);
        let expected = [
            (b"three".to_vec(), None),
            (b"two".to_vec(), Some(later(30))),
            (b"one".to_vec(), Some(later(30))),
        ];
        assert_eq!(kept(db, client.id, webhook.id).await, expected, "a shorter overlap counts for all");

        assert!(add(db, client.id, webhook.id, b"four", later(90), later(30)).await);
        let expected = [(b"four".to_vec(), None), (b"three".to_vec(), Some(later(90)))];
        assert_eq!(kept(db, client.id, webhook.id).await, expected, "what has expired is gone");

        assert!(add(db, client.id, webhook.id, b"five", later(31), later(31)).await);
        assert_eq!(kept(db, client.id, webhook.id).await, [(b"five".to_vec(), None)], "without overlap");
    }

    async fn no_more_than_five_secrets_are_kept(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        for n in 0..9 {
            add(db, client.id, webhook.id, &[n], later(60), NOW).await;
        }
        let kept = kept(db, client.id, webhook.id).await;
        assert_eq!(kept.iter().map(|(sealed, _)| sealed[0]).collect::<Vec<_>>(), [8, 7, 6, 5, 4]);
    }

    async fn secrets_are_their_clients_and_go_with_the_webhook(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let (other, others) = db.tenant("other").await;
        add(db, client.id, webhook.id, b"one", NOW, NOW).await;
        add(db, other.id, others.id, b"other", NOW, NOW).await;
        assert!(!add(db, other.id, webhook.id, b"foreign", NOW, NOW).await);
        assert_eq!(kept(db, other.id, webhook.id).await, []);
        assert_eq!(kept(db, client.id, webhook.id).await, [(b"one".to_vec(), None)], "untouched");

        db.write(async |group| group.delete_webhook(client.id, webhook.id, NOW).await).await;
        assert!(!add(db, client.id, webhook.id, b"two", NOW, NOW).await, "a deleted webhook gets none");
        db.write(async |group| group.remove_client(client.id, NOW).await).await;
        db.write(async |group| group.purge_client(client.id, 500).await).await;
        assert_eq!(db.store.any_secret().await.unwrap(), Some((others.id, b"other".to_vec())));
    }

    async fn the_flag_is_patched_like_any_field(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        assert!(!webhook.hub_signature);
        for flag in [true, false] {
            let patch = WebhookPatch { hub_signature: Some(flag), ..Default::default() };
            db.write(async |group| group.update_webhook(client.id, webhook.id, &patch, later(1)).await).await;
            assert_eq!(db.reread(&webhook).await.hub_signature, flag);
            let other = WebhookPatch { max_retries: Some(7), ..Default::default() };
            db.write(async |group| group.update_webhook(client.id, webhook.id, &other, later(2)).await).await;
            assert_eq!(db.reread(&webhook).await.hub_signature, flag, "left as it was");
        }
    }
}

/// What the first schema wrote is all there under this one, and has no secret.
#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_up_to_date() {
    let dir = TempDir::new().unwrap();
    let old = TempDir::new().unwrap();
    let first = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite/0001_schema.sql");
    std::fs::copy(first, old.path().join("0001_schema.sql")).unwrap();
    let file = SqliteConnectOptions::new().filename(dir.path().join("wharf.db"));
    let mut connection = SqliteConnection::connect_with(&file.create_if_missing(true))
        .await
        .unwrap();
    let schema = Migrator::new(old.path()).await.unwrap();
    schema.run(&mut connection).await.unwrap();
    query("INSERT INTO clients (name, token_hash, created_at, updated_at) VALUES ('acme', zeroblob(32), 1, 1)")
        .execute(&mut connection)
        .await
        .unwrap();
    let webhook = "INSERT INTO whatsapp_webhooks (id, client_id, phone_number, webhook_url, is_active, max_retries, created_at, \
        updated_at) VALUES (zeroblob(16), 1, '5511888888888', 'https://a.example', 1, 3, 1, 1)";
    query(webhook).execute(&mut connection).await.unwrap();
    for (seq, payload) in [
        (
            3_i64,
            r#"{"from":"5511","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"hi"}"#,
        ),
        (
            7,
            r#"{"from":"5511","to":"5511888888888","type":"text","content":"ho"}"#,
        ),
    ] {
        let event = "INSERT INTO whatsapp_webhook_events (seq, id, webhook_id, client_id, created_at, chat, sender, message_id, \
            \"from\", \"to\", message_type, payload) \
            VALUES ($1, $2, zeroblob(16), 1, 5, 'c', 's', $3, '5511', '5511888888888', 'text', $4)";
        query(event)
            .bind(seq)
            .bind(Uuid::from_u128(seq.unsigned_abs().into()))
            .bind(seq.to_string())
            .bind(payload)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();

    let store = Store::open(&options(&dir, "")).await.unwrap();
    let webhooks = store.webhooks(ClientId(1), &ByNumber::ALL).await.unwrap();
    assert_eq!(
        (webhooks.len(), webhooks[0].hub_signature, webhooks[0].max_retries),
        (1, false, 3)
    );
    assert_eq!(store.secrets(ClientId(1), webhooks[0].id).await.unwrap(), []);
    let all = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    let events = store
        .events(ClientId(1), webhooks[0].id, &all)
        .await
        .unwrap()
        .unwrap()
        .events;
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.sequence, event.content.as_deref()))
        .collect();
    assert_eq!(seen, [(2, Some("ho")), (1, Some("hi"))]);
    let due = store
        .due_chats(webhooks[0].id, &crate::due::everything())
        .await
        .unwrap();
    let places: Vec<_> = due.chats[0]
        .events
        .iter()
        .map(|event| (event.seq, event.sequence))
        .collect();
    assert_eq!(places, [(3, 1), (7, 2)]);
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(dir.path().join("wharf.db")))
            .await
            .unwrap();
    let foreign_keys: Option<String> = query_scalar("SELECT \"table\" FROM pragma_foreign_key_check")
        .fetch_optional(&mut connection)
        .await
        .unwrap();
    assert_eq!(foreign_keys, None);
}

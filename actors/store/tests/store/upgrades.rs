//! A database that an earlier program left behind, whichever: it opens, everything is there, and it goes on.

use std::fs::File;

use sqlx::{
    Connection, SqliteConnection,
    migrate::{Migration, Migrator},
    query,
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use uuid::Uuid;
use wharf_domain::{ClientId, ConnectionStatus, EventId, EventStatus, Timestamp, WebhookId};
use wharf_store::{ByNumber, EventFilter, KeyKind, MediaState, Store, StoreError, StoreOptions};

use crate::{
    database::{Database, NOW, delivered, key, options},
    due::everything,
};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

const NUMBER: &str = "5511888888888";

/// A row as the program of a schema wrote it: from which migration on, and before which.
struct Row(i64, i64, &'static str);

/// Of no migration yet.
const EVER: i64 = i64::MAX;

/// What a gateway that was used leaves behind. Ids are numbers in hexadecimal digits: 1 the webhook, 3 to 13 events.
const ROWS: [Row; 29] = [
    Row(
        1,
        EVER,
        r#"INSERT INTO clients (name, token_hash, created_at, updated_at) VALUES ('acme', zeroblob(32), 1, 1)"#,
    ),
    Row(
        1,
        EVER,
        r#"INSERT INTO whatsapp_connections (client_id, phone_number, status, jid, wanted, created_at, updated_at)
        VALUES (1, '5511888888888', 'connected', '5511888888888:7@s.whatsapp.net', 1, 1, 1)"#,
    ),
    Row(
        1,
        EVER,
        r#"INSERT INTO whatsapp_connections (client_id, phone_number, status, reason, wanted, created_at, updated_at)
        VALUES (1, '5511777777777', 'failed', 'wrong number', 1, 1, 1)"#,
    ),
    Row(
        1,
        EVER,
        r#"INSERT INTO whatsapp_webhooks (id, client_id, phone_number, webhook_url, is_active, max_retries, created_at, updated_at)
        VALUES (x'00000000000000000000000000000001', 1, '5511888888888', 'https://a.example', 1, 3, 1, 1)"#,
    ),
    // Deleted, with what is kept of it.
    Row(
        1,
        EVER,
        r#"INSERT INTO whatsapp_webhooks (id, client_id, phone_number, webhook_url, is_active, max_retries, created_at, updated_at, deleted_at)
        VALUES (x'00000000000000000000000000000002', 1, '5511888888888', 'https://b.example', 1, 3, 1, 1, 2)"#,
    ),
    Row(
        2,
        EVER,
        r#"INSERT INTO whatsapp_webhook_secrets (webhook_id, generation, sealed, created_at)
        VALUES (x'00000000000000000000000000000001', 1, x'0102', 1)"#,
    ),
    Row(
        1,
        3,
        r#"INSERT INTO whatsapp_webhook_events (seq, id, webhook_id, client_id, status, attempt_count, next_retry_at, created_at, delivered_at, http_status, error, chat, sender, message_id, "from", "to", message_type, payload)
        SELECT seq, unhex(printf('%032X', seq)), unhex(printf('%032X', hook)), 1, status, attempts, retry, 5, delivered, http, error, chat, chat, printf('M%d', seq), '5511', '5511888888888', 'text', printf('{"from":"5511","to":"5511888888888","type":"text","content":"%d"}', seq)
        FROM (SELECT 3 seq, 1 hook, 'delivered' status, 1 attempts, NULL retry, 6 delivered, 200 http, NULL error, 'c' chat
        UNION ALL SELECT 5, 1, 'failed', 3, 9, NULL, 503, 'Server error (503)', 'c'
        UNION ALL SELECT 6, 2, 'failed', 0, NULL, NULL, NULL, 'webhook deleted', 'c'
        UNION ALL SELECT 7, 1, 'pending', 1, 1762352579999, NULL, 503, 'Server error (503)', 'c'
        UNION ALL SELECT 9, 1, 'pending', 0, NULL, NULL, NULL, NULL, 'd')"#,
    ),
    Row(
        3,
        EVER,
        r#"INSERT INTO webhook_events (seq, id, webhook_id, client_id, sequence, status, attempt_count, next_retry_at, created_at, delivered_at, http_status, error, message_key, chat, sender, message_id, payload)
        SELECT seq, unhex(printf('%032X', seq)), unhex(printf('%032X', hook)), 1, sequence, status, attempts, retry, 5, delivered, http, error, unhex(printf('%032X', seq)), chat, chat, printf('M%d', seq), printf('{"from":"5511","to":"5511888888888","type":"text","content":"%d"}', seq)
        FROM (SELECT 3 seq, 1 hook, 1 sequence, 'delivered' status, 1 attempts, NULL retry, 6 delivered, 200 http, NULL error, 'c' chat
        UNION ALL SELECT 5, 1, 2, 'failed', 3, 9, NULL, 503, 'Server error (503)', 'c'
        UNION ALL SELECT 6, 2, 3, 'failed', 0, NULL, NULL, NULL, 'webhook deleted', 'c'
        UNION ALL SELECT 7, 1, 4, 'pending', 1, 1762352579999, NULL, 503, 'Server error (503)', 'c'
        UNION ALL SELECT 9, 1, 5, 'pending', 0, NULL, NULL, NULL, NULL, 'd')"#,
    ),
    Row(
        3,
        EVER,
        r#"INSERT INTO number_sequences (client_id, phone_number, last) VALUES (1, '5511888888888', 5)"#,
    ),
    Row(
        3,
        EVER,
        r#"INSERT INTO whatsapp_webhook_attempts (event_seq, number, started_at, duration_ms, http_status, error, manual)
        VALUES (5, 3, 5, 7, 503, 'Server error (503)', 0)"#,
    ),
    // As far as it has come: the rest is found by going over the newest rows.
    Row(
        3,
        EVER,
        r#"INSERT INTO webhook_event_list (webhook_id, seq)
        VALUES (x'00000000000000000000000000000001', 3), (x'00000000000000000000000000000001', 5)"#,
    ),
    Row(3, EVER, r#"UPDATE listed SET up_to = 5"#),
    Row(
        4,
        EVER,
        r#"UPDATE whatsapp_webhooks SET recovery = 'auto', retry_client_errors = '[429]', header_names = '["x-a"]', headers_sealed = x'07'
        WHERE deleted_at IS NULL"#,
    ),
    Row(
        6,
        EVER,
        r#"INSERT INTO retention (id, seen_at) VALUES (1, 1762352580000)"#,
    ),
    Row(
        7,
        EVER,
        r#"INSERT INTO whatsapp_keys (client_id, phone_number, kind, name, value) VALUES (1, '5511888888888', 'device', x'', x'0a0b')"#,
    ),
    Row(
        7,
        EVER,
        r#"INSERT INTO whatsapp_keys (client_id, phone_number, kind, name, value, at) VALUES (1, '5511888888888', 'session', x'61', x'0c', 5)"#,
    ),
    Row(
        8,
        EVER,
        r#"INSERT INTO whatsapp_polls (client_id, phone_number, message_id, options, created_at) VALUES (1, '5511888888888', 'P', '["yes","no"]', 1)"#,
    ),
    Row(
        9,
        EVER,
        r#"UPDATE whatsapp_connections SET reason_code = 'wrong_number', device_name = 'Pier' WHERE phone_number = '5511777777777'"#,
    ),
    Row(
        10,
        EVER,
        r#"INSERT INTO whatsapp_outgoing_messages (client_id, phone_number, message_id, "to", type, message, status, created_at, deadline_at)
        VALUES (1, '5511888888888', 'O', '5511999999999', 'text', '{"to":"5511999999999","type":"text","text":"hi"}', 'queued', 1, 1762352999000)"#,
    ),
    Row(
        11,
        EVER,
        r#"UPDATE whatsapp_webhooks SET events = '["message","message.status"]' WHERE deleted_at IS NULL"#,
    ),
    Row(
        12,
        EVER,
        r#"INSERT INTO webhook_events (seq, id, webhook_id, client_id, sequence, next_retry_at, created_at, message_key, chat, sender, message_id, payload)
        VALUES (11, unhex(printf('%032X', 11)), x'00000000000000000000000000000001', 1, 6, 253402300799000, 5, unhex(printf('%032X', 11)), 'e', 'e', 'M11', '{"from":"5511","to":"5511888888888","type":"image","content":"Image"}')"#,
    ),
    Row(12, EVER, r#"UPDATE number_sequences SET last = 6"#),
    Row(
        12,
        EVER,
        r#"INSERT INTO whatsapp_media (id, client_id, phone_number, state, due_at, size, mime_type, sha256, sealed, created_at, expires_at)
        VALUES (unhex(printf('%032X', 11)), 1, '5511888888888', 'pending', 5, 100, 'image/png', '8f43', x'01', 5, 1762352999000)"#,
    ),
    Row(
        12,
        EVER,
        r#"INSERT INTO whatsapp_media (id, client_id, phone_number, state, size, mime_type, sha256, created_at, expires_at)
        VALUES (unhex(printf('%032X', 3)), 1, '5511888888888', 'kept', 100, 'image/png', '8f43', 5, 1762352999000)"#,
    ),
    Row(15, EVER, r#"UPDATE whatsapp_outgoing_messages SET file = x'0d'"#),
    Row(
        17,
        EVER,
        r#"INSERT INTO whatsapp_awaited_messages (client_id, phone_number, message_id, chat, sender, head, due_at)
        VALUES (1, '5511888888888', 'W', 'c', 'c', '{}', 1762352999000)"#,
    ),
    Row(
        20,
        EVER,
        r#"UPDATE whatsapp_webhooks SET chats = '["person"]' WHERE deleted_at IS NULL"#,
    ),
    Row(
        22,
        EVER,
        r#"INSERT INTO whatsapp_held_messages (client_id, phone_number, awaited_id, awaited_chat, awaited_sender, chat, sender, message_id, sent_at, type, is_sent, payload)
        VALUES (1, '5511888888888', 'W', 'c', 'c', 'c', 'c', 'E', 5, 'edit', 0, '{"type":"edit"}')"#,
    ),
    Row(
        23,
        EVER,
        r#"INSERT INTO whatsapp_held_messages (client_id, phone_number, awaited_id, awaited_chat, awaited_sender, chat, sender, message_id, sent_at, type, is_sent, payload, status, participant)
        VALUES (1, '5511888888888', 'W', 'c', 'c', 'c', 'c', 'W', 0, 'unknown', 0, '{"type":"read"}', 'read', '5511')"#,
    ),
];

/// A database as the program left it whose last migration was `version`.
async fn left_behind(version: i64) -> TempDir {
    let dir = TempDir::new().unwrap();
    let file = SqliteConnectOptions::new().filename(dir.path().join("wharf.db"));
    let mut connection = SqliteConnection::connect_with(&file.create_if_missing(true))
        .await
        .unwrap();
    let known: Vec<Migration> = MIGRATIONS
        .iter()
        .filter(|known| known.version <= version)
        .cloned()
        .collect();
    Migrator::with_migrations(known).run(&mut connection).await.unwrap();
    for Row(from, before, sql) in ROWS {
        if (from..before).contains(&version) {
            query(sql).execute(&mut connection).await.unwrap();
        }
    }
    connection.close().await.unwrap();
    dir
}

fn event_id(seq: u128) -> EventId {
    EventId(Uuid::from_u128(seq))
}

#[tokio::test]
async fn every_earlier_schema_is_brought_up_to_date_with_all_that_is_in_it() {
    for migration in MIGRATIONS.iter() {
        let version = migration.version;
        let dir = left_behind(version).await;
        let mut db = Database::at(dir).await;
        events_go_on(&mut db, version).await;
        links_are_kept(&db, version).await;
        what_is_under_way_goes_on(&db, version).await;
        assert_eq!(db.store.integrity().await.unwrap(), Vec::<String>::new(), "{version}");
        assert_eq!(db.store.strays().await.unwrap(), Vec::<String>::new(), "{version}");
    }
}

/// As when the program's file was replaced, and somebody lists the clients before the server is restarted.
#[tokio::test]
async fn a_command_leaves_the_schema_of_a_server_that_runs_alone() {
    let dir = left_behind(16).await;
    let (command, lock) = (options(&dir, ""), dir.path().join("wharf.db.lock"));
    let server = File::create(lock).unwrap();
    server.lock().unwrap();
    let refused = Store::open(&command).await.unwrap_err();
    let told = refused.to_string();
    assert!(matches!(refused, StoreError::Locked(_)), "{told}");
    assert!(
        told.contains("schema version 16") && told.contains("restart that server"),
        "{told}"
    );
    drop(server);
    let store = Store::open(&command).await.unwrap();
    assert_eq!(store.clients().await.unwrap().len(), 1);
    // Nobody holds it any more, and a server of the same schema is no obstacle.
    let server = Store::open(&StoreOptions {
        exclusive: true,
        ..command.clone()
    })
    .await
    .unwrap();
    Store::open(&command).await.unwrap();
    drop(server);
}

/// Nothing is missing, what was pending is due in the old order, and a new one gets the next sequence.
async fn events_go_on(db: &mut Database, version: i64) {
    let id = WebhookId(Uuid::from_u128(1));
    let webhook = db.store.webhook(ClientId(1), id).await.unwrap().unwrap();
    assert_eq!(
        db.store.webhooks(ClientId(1), &ByNumber::ALL).await.unwrap().len(),
        1,
        "{version}: without the deleted one"
    );
    assert_eq!((webhook.max_retries, webhook.is_active), (3, true));
    let secrets = db.store.secrets(ClientId(1), id).await.unwrap();
    assert_eq!(secrets.len(), usize::from(version >= 2), "{version}");
    assert_eq!(
        (
            webhook.courtesy != Default::default(),
            webhook.events != Default::default(),
            webhook.chats != Default::default()
        ),
        (version >= 4, version >= 11, version >= 20),
        "{version}"
    );
    let files = i64::from(version >= 12);
    let waiting = db.statuses(&webhook).await;
    assert_eq!(waiting["delivered"], 1, "{version}");
    assert_eq!(waiting["failed"], 1, "{version}");
    assert_eq!(waiting["pending"], if version >= 12 { 3 } else { 2 }, "{version}");
    let failed = db.event(&webhook, event_id(5)).await;
    assert_eq!(
        (failed.attempt_count, failed.http_status, failed.content.as_deref()),
        (3, Some(503), Some("5"))
    );
    let attempts = db.store.attempts(ClientId(1), event_id(5)).await.unwrap().unwrap();
    assert_eq!(attempts.len(), usize::from(version >= 3), "{version}");
    let deleted = db.store.event(ClientId(1), event_id(6)).await.unwrap().unwrap();
    assert_eq!(deleted.error.as_deref(), Some("webhook deleted"), "{version}");

    let due = db.store.due_chats(id, &everything()).await.unwrap();
    let due: Vec<_> = due.chats.into_iter().flat_map(|chat| chat.events).collect();
    let seen: Vec<(i64, i64)> = due.iter().map(|event| (event.seq, event.sequence)).collect();
    let mut expected = vec![(7, 4), (9, 5)];
    expected.extend((version >= 12).then_some((11, 6)));
    assert_eq!(seen, expected, "{version}");
    assert_eq!(due[0].attempt_count, 1, "{version}");
    let payload = db.store.payload(event_id(7)).await.unwrap().unwrap();
    assert_eq!(
        payload,
        r#"{"from":"5511","to":"5511888888888","type":"text","content":"7"}"#
    );
    db.outcomes(&[delivered(&webhook, &due[1])]).await;
    assert_eq!(
        db.event(&webhook, event_id(9)).await.status,
        EventStatus::Delivered,
        "{version}"
    );

    let new = db.events(&webhook, &["c"]).await.remove(0);
    assert!(new.seq > 9, "{version}: {new:?}");
    assert_eq!(new.sequence, 6 + files, "{version}: without a gap");
    let all = EventFilter {
        limit: 100,
        ..EventFilter::default()
    };
    let listed = db.store.events(ClientId(1), id, &all).await.unwrap().unwrap().events;
    assert_eq!(listed.len(), if version >= 12 { 6 } else { 5 }, "{version}: each once");
    assert_eq!(listed[0].id, new.id, "{version}: the newest first");

    let pulled = db.webhook_to(&key(ClientId(1), "5511666666666"), None).await;
    let new = db.events(&pulled, &["c"]).await.remove(0);
    assert_eq!(
        db.event(&pulled, new.id).await.status,
        EventStatus::Delivered,
        "{version}: a webhook needs no URL any more"
    );
}

/// Connections are what they were, with their keys.
async fn links_are_kept(db: &Database, version: i64) {
    let number = key(ClientId(1), NUMBER);
    let all = db.store.connections(ClientId(1), &ByNumber::ALL).await.unwrap();
    assert_eq!(all.len(), 2, "{version}");
    let linked = all
        .iter()
        .find(|connection| connection.phone_number.as_str() == NUMBER)
        .unwrap();
    assert_eq!(linked.session.status, ConnectionStatus::Connected, "{version}");
    assert_eq!(
        linked.session.jid.as_deref(),
        Some("5511888888888:7@s.whatsapp.net"),
        "{version}"
    );
    let other = all
        .iter()
        .find(|connection| connection.phone_number.as_str() != NUMBER)
        .unwrap();
    assert_eq!(
        (other.session.status, other.session.reason_code.as_str()),
        (ConnectionStatus::Failed, "wrong_number"),
        "{version}"
    );
    let device = db.store.key(&number, KeyKind::Device, b"").await.unwrap();
    assert_eq!(
        device.map(|device| device.value),
        (version >= 7).then(|| vec![10, 11]),
        "{version}"
    );
    let session = db.store.key(&number, KeyKind::Session, b"a").await.unwrap();
    assert_eq!(
        session.map(|session| session.at),
        (version >= 7).then_some(5),
        "{version}"
    );
    let poll = db.store.poll_options(&number, "P").await.unwrap();
    assert_eq!(
        poll.map(|options| options.len()),
        (version >= 8).then_some(2),
        "{version}"
    );
}

/// Files are fetched and found, messages wait to be sent, and to be decrypted.
async fn what_is_under_way_goes_on(db: &Database, version: i64) {
    let number = key(ClientId(1), NUMBER);
    let due = db.store.due_media(NOW, ClientId(0), 10, 10).await.unwrap();
    assert_eq!(due.len(), usize::from(version >= 12), "{version}");
    let kept = db.store.media(ClientId(1), event_id(3)).await.unwrap();
    assert_eq!(
        kept.map(|kept| kept.state),
        (version >= 12).then_some(MediaState::Kept),
        "{version}"
    );
    let queued = db.store.queued_messages(&number).await.unwrap();
    let queued: Vec<(&str, bool)> = queued
        .iter()
        .map(|row| (row.message_id.as_str(), row.outgoing.is_some()))
        .collect();
    let expected: &[(&str, bool)] = if version >= 10 { &[("O", true)] } else { &[] };
    assert_eq!(queued, expected, "{version}");
    let file = db.store.outgoing_file(&number, "O").await.unwrap();
    assert_eq!(file, (version >= 15).then(|| vec![13]), "{version}");
    let awaited = db.store.awaited_messages(&number).await.unwrap();
    assert_eq!(awaited.len(), usize::from(version >= 17), "{version}");
    let held = db
        .store
        .held_in_vain(Timestamp(1_762_353_000_000), None, 10)
        .await
        .unwrap();
    assert_eq!(held.len(), usize::from(version >= 22), "{version}");
    let seen = db.store.retention_seen_at().await.unwrap();
    assert_eq!(seen, (version >= 6).then_some(Timestamp(NOW.0)), "{version}");
    let _opens_again = Store::open(&options(&db.dir, "")).await.unwrap();
}

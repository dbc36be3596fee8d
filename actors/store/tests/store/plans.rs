//! Holds the plans of SQLite: what runs for every message or every request must seek, not scan, and must not sort.

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection, query, sqlite::SqliteConnectOptions};

use crate::database::Database;

/// Statements that may read a whole table, and why that is nothing to worry about.
const MAY_SCAN: [(&str, &str); 23] = [
    ("CLIENTS", "asks for all of them"),
    ("INSTALLATION", "a table of one row, at the start"),
    ("EVER_HAD_CLIENTS", "SQLite's own table of two rows, at the start"),
    ("TAKE_BACK", "the same, for a redelivery among new messages"),
    (
        "CLIENTS_COUNTED",
        "a small table: a third of a millisecond for 5,000 clients",
    ),
    ("REMOVED_CLIENTS", "a small table, at the start and by the janitor"),
    ("ANY_SECRET", "reads one row, at the start"),
    ("ANY_HEADERS", "at the start, and only where nothing else is sealed"),
    (
        "ANY_PROXY",
        "at the start, and only where no webhook has anything sealed",
    ),
    (
        "ALL_PENDING_EVENTS",
        "the index of what waits, up to a limit, for whoever measures",
    ),
    (
        "ANY_KEY",
        "reads one row, at the start; only tokens without a value come before it",
    ),
    ("CONNECTIONS_BEING_DELETED", "a small table, by the janitor"),
    (
        "HELD_IN_VAIN",
        "mostly no row at all, and a seek for each: by the janitor",
    ),
    (
        "NUMBERS_WITH_LEFT_KEYS",
        "a small table, and two seeks for each row: by the janitor",
    ),
    ("HAS_MEDIA", "up to the first that is kept, at the start"),
    ("DISCONNECT_ALL", "all of them, once, while no server runs"),
    ("DEACTIVATE_ALL", "the same"),
    ("ALL_PULLED", "the same"),
    (
        "BEGIN_ALL_QUEUED",
        "the index of what waits, once, while no server runs",
    ),
    ("SEQUENCE_OF_EACH_WEBHOOK", "all of them, once, while no server runs"),
    ("SEQUENCE_OF_EACH_CONNECTION", "the same"),
    ("LEAVE_OUT_SEQUENCES", "the same"),
    ("LEAVE_OUT_CLIENTS", "SQLite's own table of a few rows"),
];

/// What a plan may scan: rows that the statement brought along itself, by the name that they have there. In another statement
/// the name may be a table's.
const OWN_ROWS: [(&str, &str); 20] = [
    ("RECORD_INBOUND", "m"),
    ("RECORD_INBOUND", "s"),
    ("RECORD_OUTCOMES", "a"),
    ("RECORD_OUTCOMES", "c"),
    ("RECORD_OUTCOMES", "o"),
    ("COUNT_PENDING", "s"),
    ("COUNT_WAITING", "s"),
    ("PUT_KEYS", "k"),
    ("KEEP_POLL", "o"),
    ("KEY_NAMES_ENDING", "e"),
    ("REMOVE_KEYS", "gone"),
    ("DUE_HEADS", "h"),
    ("DUE_HEADS", "heads"),
    ("DUE_MEDIA", "c"),
    ("ATTEMPTS_SINCE", "s"),
    ("DELIVERED_SINCE", "s"),
    ("FAILED_STEP", "s"),
    ("WEIGH_CLIENT_EVENTS", "f"),
    ("PURGE_CLIENT_EVENTS", "f"),
    ("PURGE_CLIENT_LIST", "f"),
];

async fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let rows = query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
        .fetch_all(connection)
        .await
        .unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

pub async fn raw(db: &Database) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(db.dir.path().join("wharf.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn own_rows(name: &str, line: &str) -> bool {
    // No table of ours is virtual: that is a JSON array. What has no name is no table.
    line.contains(" VIRTUAL TABLE INDEX ")
        || line.contains("-ROW VALUES CLAUSE")
        || line == "SCAN CONSTANT ROW"
        || line.starts_with("SCAN (subquery-")
        || OWN_ROWS
            .iter()
            .any(|(of, own)| *of == name && line == format!("SCAN {own}"))
}

/// The statements that scan or sort, with their plans.
async fn offences(connection: &mut SqliteConnection) -> Vec<(&'static str, Vec<String>)> {
    let mut offences = Vec::new();
    for (name, statement) in wharf_store::statements() {
        let plan = plan(connection, &statement).await;
        if std::env::var_os("SHOW_PLANS").is_some() {
            eprintln!("{name}\n    {}", plan.join("\n    "));
        }
        let may_scan = MAY_SCAN.iter().any(|(allowed, _)| *allowed == name);
        let scans = |line: &String| !may_scan && line.starts_with("SCAN ") && !own_rows(name, line);
        if plan.iter().any(|line| scans(line) || line.contains("TEMP B-TREE")) {
            offences.push((name, plan));
        }
    }
    offences
}

#[tokio::test]
async fn no_statement_scans_or_sorts() {
    let db = Database::sqlite().await;
    let offences = offences(&mut raw(&db).await).await;
    assert!(offences.is_empty(), "{offences:#?}");
}

#[tokio::test]
async fn an_index_that_is_missing_is_noticed() {
    let db = Database::sqlite().await;
    let mut connection = raw(&db).await;
    for (index, statement) in [
        ("whatsapp_polls_age", "PURGE_POLLS"),
        ("idempotency_keys_age", "PURGE_KEYS"),
        ("whatsapp_outgoing_messages_age", "VISIT_OUTGOING"),
        ("whatsapp_media_of_client", "PURGE_CLIENT_MEDIA"),
    ] {
        let drop = AssertSqlSafe(format!("DROP INDEX {index}"));
        query(drop).execute(&mut connection).await.unwrap();
        let offences = offences(&mut connection).await;
        assert!(
            offences.iter().any(|(name, _)| *name == statement),
            "{index}: {offences:#?}"
        );
    }
}

/// SQLite builds a table of the words that a check lists, if they are three or more, for each row that is written.
#[tokio::test]
async fn no_check_of_what_is_written_often_has_a_list_of_words() {
    let db = Database::sqlite().await;
    let mut connection = raw(&db).await;
    for (table, column, word) in [
        ("webhook_events", "status", "failed"),
        ("whatsapp_outgoing_messages", "status", "played"),
        ("whatsapp_media", "state", "kept"),
        ("whatsapp_keys", "kind", "sync_version"),
    ] {
        let schema = query("SELECT sql FROM sqlite_schema WHERE name = ?").bind(table);
        let schema: String = schema.fetch_one(&mut connection).await.unwrap().get(0);
        assert!(schema.contains(&format!("OR {column} = '{word}'")), "{schema}");
        assert!(!schema.contains(&format!("{column} IN (")), "{schema}");
        // They say the same as the lists did: another word is refused.
        let check = format!("SELECT {} FROM (SELECT ? AS {column})", check_of(&schema, column));
        for (written, passes) in [(word, true), ("lost", false)] {
            let row = query(AssertSqlSafe(check.clone()))
                .bind(written)
                .fetch_one(&mut connection);
            assert_eq!(row.await.unwrap().get::<bool, _>(0), passes, "{check}: {written}");
        }
    }
}

/// What a schema has each row's column checked for.
fn check_of<'s>(schema: &'s str, column: &str) -> &'s str {
    let begin = schema.find(&format!("{column} = ")).unwrap();
    schema[begin..].split(')').next().unwrap()
}

#[tokio::test]
async fn the_backlog_is_read_from_its_index_alone() {
    let db = Database::sqlite().await;
    let mut connection = raw(&db).await;
    let texts = wharf_store::statements();
    let text = |wanted: &str| texts.iter().find(|(name, _)| *name == wanted).unwrap().1.clone();
    for (name, index) in [
        (
            "DUE_HEADS",
            "SEARCH p USING COVERING INDEX webhook_events_pending (webhook_id=? AND chat>?)",
        ),
        (
            "DUE_EVENTS",
            "SEARCH p USING COVERING INDEX webhook_events_pending (webhook_id=? AND chat=?)",
        ),
        (
            "NEXT_DUE_AT",
            "SEARCH webhook_events USING COVERING INDEX webhook_events_retry",
        ),
        (
            "DUE_SINGLES_OF_CHAT",
            "SEARCH e USING INDEX webhook_events_pending (webhook_id=? AND chat=? AND rowid>?)",
        ),
        (
            "DUE_SINGLES_AFTER_CHAT",
            "SEARCH e USING INDEX webhook_events_pending (webhook_id=? AND chat>?)",
        ),
        ("DUE_SINGLES_NAMED", "SEARCH e USING INDEX webhook_events_id (id=?)"),
        (
            "PARKED_EVENTS",
            "SEARCH webhook_events USING INDEX webhook_events_parked (webhook_id=? AND rowid>?)",
        ),
        (
            "EVENTS_FAILED",
            "SEARCH e USING INDEX webhook_events_undelivered (webhook_id=? AND status=? AND rowid<?)",
        ),
        ("PENDING_EVENTS", "SEARCH e USING COVERING INDEX"),
        (
            "EMPTY_WEBHOOKS",
            "SEARCH w USING COVERING INDEX whatsapp_webhooks_deleted (deleted_at",
        ),
        (
            "DELETED_WEBHOOKS_WITH_PENDING",
            "SEARCH w USING COVERING INDEX whatsapp_webhooks_deleted (deleted_at>?)",
        ),
        (
            "KEY",
            "SEARCH whatsapp_keys USING INDEX sqlite_autoindex_whatsapp_keys_1 \
             (client_id=? AND phone_number=? AND kind=? AND name=?)",
        ),
        (
            "REMOVE_KEYS",
            "SEARCH k USING COVERING INDEX sqlite_autoindex_whatsapp_keys_1 \
             (client_id=? AND phone_number=? AND kind=? AND name=?)",
        ),
        (
            "KEYS_NAMED",
            "SEARCH k USING INDEX sqlite_autoindex_whatsapp_keys_1 \
             (client_id=? AND phone_number=? AND kind=? AND name=?)",
        ),
        (
            "KEY_NAMES_AMONG",
            "SEARCH k USING COVERING INDEX sqlite_autoindex_whatsapp_keys_1 \
             (client_id=? AND phone_number=? AND kind=? AND name=?)",
        ),
        (
            "REMOVE_LEFT_KEYS",
            "SEARCH k USING COVERING INDEX sqlite_autoindex_whatsapp_keys_1 (client_id=? AND phone_number=?)",
        ),
        (
            "REMOVE_KEYS_BEFORE",
            "SEARCH k USING COVERING INDEX whatsapp_keys_age (client_id=? AND phone_number=? AND kind=? AND at>? AND at<?)",
        ),
        (
            "HAS_KEYS_BEFORE",
            "SEARCH whatsapp_keys USING COVERING INDEX whatsapp_keys_age \
             (client_id=? AND phone_number=? AND kind=? AND at>? AND at<?)",
        ),
        (
            "LINE",
            "SEARCH w USING INDEX whatsapp_webhooks_live (client_id=? AND phone_number=?)",
        ),
        (
            "OUTGOING_MESSAGES_MATCHING",
            "SEARCH whatsapp_outgoing_messages USING INDEX whatsapp_outgoing_messages_list \
             (client_id=? AND phone_number=? AND rowid>? AND rowid<?)",
        ),
        (
            "OUTGOING_MESSAGES_QUEUED",
            "SEARCH whatsapp_outgoing_messages USING INDEX whatsapp_outgoing_messages_queued \
             (client_id=? AND phone_number=? AND rowid<?)",
        ),
    ] {
        let plan = plan(&mut connection, &text(name)).await;
        assert!(plan.iter().any(|line| line.starts_with(index)), "{name}: {plan:#?}");
    }
}

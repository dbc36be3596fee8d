//! Files that are damaged, read-only or somebody else's, and locks: a clear error each, and nothing half done. Full
//! disks stand in `full`.

use std::{fs, path::Path, time::Duration};

use sqlx::{AssertSqlSafe, Connection, SqliteConnection, query, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::time::Instant;
use wharf_store::{Group, Store, StoreError, StoreOptions};

use crate::{
    database::{Database, NOW, key, options, token},
    outgoing,
};

async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn run(path: &Path, sql: &str) {
    let mut connection = raw(path).await;
    query(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

fn names(error: &StoreError, path: &Path) -> bool {
    error.to_string().contains(&*path.to_string_lossy())
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    for content in ["short".to_owned(), "some notes of mine\n".repeat(1000)] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("wharf.db");
        fs::write(&path, &content).unwrap();
        let error = Store::open(&options(&dir, "")).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt(_)) && names(&error, &path),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("wharf.db");
    run(
        &path,
        "CREATE TABLE clients (name TEXT); INSERT INTO clients VALUES ('theirs')",
    )
    .await;
    let before = fs::read(&path).unwrap();
    let error = Store::open(&options(&dir, "")).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt(text) if text.contains("another program")),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let db = Database::sqlite().await;
    let path = db.dir.path().join("wharf.db");
    drop((db.writer, db.store));
    run(
        &path,
        "INSERT INTO _sqlx_migrations VALUES (999, 'from the future', 0, true, x'00', 0)",
    )
    .await;
    let error = Store::open(&options(&db.dir, "")).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 999, known } if known < 999),
        "{error}"
    );
    assert!(
        !error.is_transient() && error.to_string().contains("newer wharf"),
        "{error}"
    );
}

#[tokio::test]
async fn a_changed_migration_is_noticed() {
    let db = Database::sqlite().await;
    let path = db.dir.path().join("wharf.db");
    drop((db.writer, db.store));
    run(&path, "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    let error = Store::open(&options(&db.dir, "")).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt(_)) && names(&error, &path),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let mut db = Database::sqlite().await;
    let path = db.dir.path().join("wharf.db");
    let (_, webhook) = db.tenant("acme").await;
    for _ in 0..20 {
        db.events(&webhook, &["a"; 64]).await;
    }
    let dir = db.dir;
    db.writer.begin().await.unwrap().commit().await.unwrap();
    drop((db.writer, db.store));
    // The last connection to close moves everything into the file itself.
    raw(&path).await.close().await.unwrap();
    run(&path, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let whole = fs::read(&path).unwrap();

    let mut rows = whole.clone();
    rows[8192..].fill(0xa5);
    fs::write(&path, &rows).unwrap();
    let error = match Store::open(&options(&dir, "")).await {
        Err(error) => error,
        Ok(store) => store.clients().await.unwrap_err(),
    };
    assert!(
        matches!(&error, StoreError::Corrupt(_)) && names(&error, &path),
        "{error}"
    );

    let mut schema = whole;
    schema[100..4096].fill(0xa5);
    fs::write(&path, &schema).unwrap();
    let error = Store::open(&options(&dir, "")).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt(_)) && names(&error, &path),
        "{error}"
    );
}

#[tokio::test]
async fn a_message_that_waits_and_cannot_be_read_holds_no_other_up() {
    let mut db = Database::sqlite().await;
    let number = key(db.client("acme").await.id, "5511888888888");
    for id in ["A", "B"] {
        outgoing::record(&mut db, &number, id, NOW, false).await;
    }
    let path = db.dir.path().join("wharf.db");
    run(
        &path,
        "UPDATE whatsapp_outgoing_messages SET message = '{\"written\": \"by a newer version\"}' WHERE message_id = 'A'",
    )
    .await;
    let queued = db.store.queued_messages(&number).await.unwrap();
    let readable: Vec<_> = queued.iter().map(|row| row.outgoing.is_some()).collect();
    assert_eq!(readable, [false, true]);
    let failed = db.write(async |group| group.fail_queued(&number, NOW).await).await;
    assert_eq!(failed.len(), 2, "and goes with its connection");
}

#[tokio::test]
async fn a_row_that_nobody_here_wrote_is_an_error_not_a_panic() {
    let mut db = Database::sqlite().await;
    let (client, webhook) = db.tenant("acme").await;
    let path = db.dir.path().join("wharf.db");
    run(
        &path,
        "UPDATE whatsapp_webhooks SET metadata = 'no json', phone_number = 'abc'",
    )
    .await;
    let error = db.store.webhook(client.id, webhook.id).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unreadable(text) if text.contains("phone_number")),
        "{error}"
    );
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let below_a_file = dir.path().join("file/below/wharf.db");
    // As read-only as a directory can be made for root, too.
    for path in [below_a_file.as_path(), Path::new("/proc/wharf/wharf.db"), dir.path()] {
        let options = StoreOptions {
            url: format!("sqlite://{}", path.display()),
            readers: 1,
            exclusive: true,
        };
        let error = Store::open(&options).await.unwrap_err();
        assert!(error.is_transient() && names(&error, path), "{error}");
    }
    let error = Store::open(&StoreOptions {
        url: "wharf.db".into(),
        readers: 1,
        exclusive: false,
    })
    .await
    .unwrap_err();
    assert!(matches!(error, StoreError::Url(_)), "{error}");
}

#[tokio::test]
async fn a_read_only_database_reads() {
    let mut db = Database::sqlite().await;
    let client = db.client("acme").await;
    let store = Store::open(&options(&db.dir, "?mode=ro")).await.unwrap();
    assert_eq!(store.clients().await.unwrap(), [client]);
    let mut writer = store.writer().await.unwrap();
    for _ in 0..2 {
        let error = match writer.begin().await {
            Err(error) => error,
            Ok(mut group) => group.add_client("other", &token(1), NOW).await.unwrap_err(),
        };
        assert!(error.is_transient() && error.to_string().contains("mode=ro"), "{error}");
    }
    let server = StoreOptions {
        exclusive: true,
        ..options(&db.dir, "?mode=ro")
    };
    let error = Store::open(&server).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Url(text) if text.contains("leave it out")),
        "{error}"
    );
    let error = store.check_writable().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(store.clients().await.unwrap().len(), 1);

    let empty = TempDir::new().unwrap();
    let error = Store::open(&options(&empty, "?mode=ro")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was made");
}

#[tokio::test]
async fn asking_whether_writing_works_holds_nobody_up() {
    let mut db = Database::sqlite().await;
    db.store.check_writable().await.unwrap();
    db.store.check_writable().await.unwrap();
    let group = db.writer.begin().await.unwrap();
    group.commit().await.unwrap();
}

#[tokio::test]
async fn a_locked_database_is_tried_again_later() {
    let mut db = Database::sqlite_with("?busy_timeout_ms=20").await;
    let mut other = raw(&db.dir.path().join("wharf.db")).await;
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = db.writer.begin().await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("another program"),
        "{error}"
    );
    let error = db.store.check_writable().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(db.store.clients().await.unwrap().is_empty(), "reading goes on");
    held.rollback().await.unwrap();
    db.client("acme").await;
    db.store.check_writable().await.unwrap();
}

#[tokio::test]
async fn the_command_line_waits_thirty_seconds_for_its_turn_or_as_long_as_the_url_says() {
    for (parameters, waits) in [
        ("", Duration::from_secs(30)),
        ("?busy_timeout_ms=3000", Duration::from_secs(3)),
    ] {
        let db = Database::sqlite_with(parameters).await;
        let mut other = raw(&db.dir.path().join("wharf.db")).await;
        let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        tokio::time::pause();
        let begun = Instant::now();
        let add = async |group: &mut Group<'_>| group.add_client("acme", &token(1), NOW).await;
        let error = db.store.write_beside(add).await.unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
        let waited = begun.elapsed();
        assert!((waits..waits * 2).contains(&waited), "{parameters}: {waited:?}");
        tokio::time::resume();
        // Between two groups of the other one.
        let waiting = db.store.write_beside(add);
        let (added, ()) = tokio::join!(waiting, async { held.rollback().await.unwrap() });
        assert_eq!(added.unwrap().name, "acme");
    }
}

#[tokio::test]
async fn two_servers_never_share_a_database() {
    let dir = TempDir::new().unwrap();
    let server = StoreOptions {
        exclusive: true,
        ..options(&dir, "")
    };
    let first = Store::open(&server).await.unwrap();
    let error = Store::open(&server).await.unwrap_err();
    let process = format!("process {}", std::process::id());
    assert!(
        matches!(&error, StoreError::Locked(text) if text.contains(&process)),
        "{error}"
    );
    // The command line works beside it.
    let beside = Store::open(&options(&dir, "")).await.unwrap();
    let mut writer = beside.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    let client = group.add_client("acme", &token(1), NOW).await.unwrap();
    group.commit().await.unwrap();
    assert_eq!(
        first.client_of_token(&token(1)).await.unwrap(),
        Some(client.id),
        "and is seen at once"
    );
    // As long as anything of the server lives.
    let writer = first.writer().await.unwrap();
    drop(first);
    assert!(matches!(Store::open(&server).await.unwrap_err(), StoreError::Locked(_)));
    drop(writer);
    Store::open(&server).await.unwrap();
}

/// By a link to the file and by one to its directory, which is there before the file is.
#[cfg(unix)]
#[tokio::test]
async fn two_servers_never_share_a_database_under_two_names() {
    use std::os::unix::fs::symlink;
    let dir = TempDir::new().unwrap();
    let at = |path: &str| StoreOptions {
        url: format!("sqlite://{}", dir.path().join(path).display()),
        readers: 1,
        exclusive: true,
    };
    fs::create_dir(dir.path().join("real")).unwrap();
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    symlink("real", dir.path().join("directory")).unwrap();
    symlink("../real/wharf.db", dir.path().join("elsewhere/link.db")).unwrap();
    let names = ["directory/wharf.db", "real/wharf.db", "elsewhere/link.db"];
    for first in names {
        let running = Store::open(&at(first)).await.unwrap();
        assert!(
            running.directory().ends_with(Path::new(first).parent().unwrap()),
            "{first}"
        );
        for second in names {
            let error = Store::open(&at(second)).await.unwrap_err();
            assert!(matches!(error, StoreError::Locked(_)), "{first}, {second}: {error}");
        }
    }
    assert_eq!(
        fs::read_dir(dir.path().join("elsewhere")).unwrap().count(),
        1,
        "the link alone"
    );
}

#[tokio::test]
async fn openings_of_a_new_database_take_turns() {
    let dir = TempDir::new().unwrap();
    let openings: Vec<_> = (0..8)
        .map(|_| {
            let options = options(&dir, "");
            tokio::spawn(async move { Store::open(&options).await.unwrap().clients().await.unwrap() })
        })
        .collect();
    for opening in openings {
        assert_eq!(opening.await.unwrap(), []);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_this_user_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let options = StoreOptions {
        url: format!("sqlite://{}/made/here/wharf.db", dir.path().display()),
        readers: 1,
        exclusive: true,
    };
    let store = Store::open(&options).await.unwrap();
    let _writer = store.writer().await.unwrap();
    store.check_writable().await.unwrap();
    let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("made/here"), 0o700);
    for file in ["wharf.db", "wharf.db-wal", "wharf.db-shm", "wharf.db.lock"] {
        assert_eq!(mode(&format!("made/here/{file}")), 0o600, "{file}");
    }
}

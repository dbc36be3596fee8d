//! Whether the check of the whole database finds what is wrong, and whether its file alone is all of it.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
};

use sqlx::{Connection as _, SqliteConnection, query, sqlite::SqliteConnectOptions};
use tempfile::tempdir;
use wharf_store::{Store, StoreError};

use crate::database::{Database, options};

#[tokio::test]
async fn a_whole_database_has_nothing_wrong_and_a_damaged_one_has() {
    let dir = tempdir().unwrap();
    let store = Store::open(&options(&dir, "")).await.unwrap();
    assert_eq!(store.integrity().await.unwrap(), Vec::<String>::new());
    drop(store);

    // A page in the middle, so that it still opens: one of the indexes or tables of the schema.
    let path = dir.path().join("wharf.db");
    let pages = path.metadata().unwrap().len() / 4096;
    let mut file = File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(pages / 2 * 4096)).unwrap();
    file.write_all(&[0xff; 4096]).unwrap();
    drop(file);
    let store = Store::open(&options(&dir, "")).await.unwrap();
    match store.integrity().await {
        Ok(wrong) => assert!(!wrong.is_empty(), "nothing was noticed"),
        Err(error) => assert!(matches!(error, StoreError::Corrupt(_)), "{error}"),
    }
}

#[tokio::test]
async fn what_is_left_of_a_client_that_is_gone_is_found_and_everything_is_counted() {
    let mut db = Database::sqlite().await;
    let (client, webhook) = db.tenant("acme").await;
    db.events(&webhook, &["a", "b"]).await;
    let rows = db.store.census().await.unwrap();
    assert_eq!(
        (
            rows["clients"],
            rows["whatsapp_webhooks"],
            rows["webhook_events.pending"]
        ),
        (1, 1, 2),
        "{rows:?}"
    );
    assert_eq!(db.store.strays().await.unwrap(), Vec::<String>::new());
    assert_eq!(db.store.kept_files().await.unwrap(), []);

    let file = SqliteConnectOptions::new().filename(db.dir.path().join("wharf.db"));
    let mut connection = SqliteConnection::connect_with(&file.foreign_keys(false)).await.unwrap();
    let gone = query("DELETE FROM clients WHERE id = $1").bind(client.id.0);
    gone.execute(&mut connection).await.unwrap();
    let strays = db.store.strays().await.unwrap();
    assert!(
        strays.contains(&"2 rows of webhook_events of clients that are not there".to_owned()),
        "{strays:?}"
    );
}

/// Who copies the database of a program that was stopped copies one file.
#[tokio::test]
async fn with_an_empty_log_the_file_alone_is_the_database() {
    let mut db = Database::sqlite().await;
    let (first, second) = (db.client("first").await, db.client("second").await);
    let log = db.dir.path().join("wharf.db-wal");
    assert!(log.metadata().unwrap().len() > 0, "nothing was carried over yet");
    db.store.empty_log().await.unwrap();
    assert_eq!(log.metadata().unwrap().len(), 0);
    let copied = tempdir().unwrap();
    std::fs::copy(db.dir.path().join("wharf.db"), copied.path().join("wharf.db")).unwrap();
    let copy = Store::open(&options(&copied, "")).await.unwrap();
    assert_eq!(copy.clients().await.unwrap(), [first, second]);
    // Whoever writes on does so.
    let third = db.client("third").await;
    assert_eq!(db.store.clients().await.unwrap().len(), 3, "{third:?}");
}

//! Full disks: a clear error, nothing half done, and writing that goes on by itself when there is space again.

use std::process::Command;

use tempfile::TempDir;
use wharf_store::Store;

use crate::database::{Database, options};

#[tokio::test]
async fn a_migration_that_does_not_fit_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let error = Store::open(&options(&dir, "?max_page_count=5")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let store = Store::open(&options(&dir, "")).await.unwrap();
    assert_eq!(store.clients().await.unwrap(), []);
}

#[tokio::test]
async fn a_full_database_takes_writes_again_when_something_is_removed() {
    let mut db = Database::sqlite_with("?max_page_count=150").await;
    let (client, webhook) = db.tenant("acme").await;
    let (_, others) = db.tenant("other").await;
    let mut kept = 0;
    let error = loop {
        let messages: Vec<_> = (0..20)
            .map(|n| db.message(&webhook.key(), "a", &format!("{kept}-{n}")))
            .collect();
        match db.try_write(async |group| group.record_inbound(&messages).await).await {
            Ok(made) => kept += made.len(),
            Err(error) => break error,
        }
    };
    assert!(error.is_transient() && error.to_string().contains("space"), "{error}");
    assert_eq!(
        db.statuses(&webhook).await,
        [("pending", kept)].into(),
        "whole groups only"
    );
    let messages: Vec<_> = (0..40)
        .map(|n| db.message(&others.key(), "a", &n.to_string()))
        .collect();
    let error = db
        .try_write(async |group| group.record_inbound(&messages).await)
        .await
        .unwrap_err();
    assert!(error.is_transient(), "still full: {error}");
    for _ in 0..2 {
        assert!(db.writer.probe().await.unwrap_err().is_transient(), "and known to be");
    }
    while !db.write(async |group| group.purge_client(client.id, 500).await).await {}
    for _ in 0..2 {
        db.writer.probe().await.unwrap();
    }
    assert_eq!(db.record(&messages).await.len(), 40);
}

/// The test below starts this one in a process whose files may not grow.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "runs inside a_full_disk_takes_writes_again_when_there_is_space"]
async fn inside_a_process_whose_disk_is_full() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let mut db = Database::sqlite().await;
    let (_, webhook) = db.tenant("acme").await;
    let mut kept = 0;
    let mut group = async |db: &mut Database| {
        let messages: Vec<_> = (0..100).map(|_| db.uuid().to_string()).collect();
        let messages: Vec<_> = messages.iter().map(|id| db.message(&webhook.key(), "a", id)).collect();
        let made = db
            .try_write(async |group| group.record_inbound(&messages).await)
            .await
            .map(|made| made.len());
        kept += made.as_ref().map_or(0, |made| *made);
        made
    };
    // A reader that stays, as in a server. Without one the writer would be the last to close the database when it
    // opens itself anew, which empties the write-ahead log and makes room in it.
    db.store.clients().await.unwrap();
    let error = loop {
        if let Err(error) = group(&mut db).await {
            break error;
        }
    };
    assert!(error.is_transient(), "{error}");
    // What a group leaves may be room for the small write of the check.
    while db.store.check_writable().await.is_ok() {}
    for _ in 0..3 {
        assert!(group(&mut db).await.unwrap_err().is_transient(), "still full");
        assert!(
            db.store.check_writable().await.unwrap_err().is_transient(),
            "and known to be"
        );
    }
    let limit = getrlimit(Resource::Fsize);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Fsize, raised).unwrap();
    assert_eq!(
        group(&mut db).await.unwrap(),
        100,
        "the same writer, without being asked"
    );
    db.store.check_writable().await.unwrap();
    assert_eq!(
        db.statuses(&webhook).await,
        [("pending", kept)].into(),
        "whole groups only"
    );
}

/// A disk that is full for the operating system, as far as a test without privileges can have one: the size of files
/// is limited, and raised while the program runs.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_takes_writes_again_when_there_is_space() {
    let binary = std::env::current_exe().unwrap();
    // Blocks of 512 bytes (of 1 KiB in some shells): 1 MiB. Without the trap the first write too many would be a deadly signal.
    let script =
        "trap '' XFSZ; ulimit -S -f 2048; exec \"$0\" --ignored --exact full::inside_a_process_whose_disk_is_full";
    let output = Command::new("sh").args(["-c", script]).arg(binary).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The test below starts this one in a process whose files may have 16 KiB: the index of the log has 32.
#[tokio::test]
#[ignore = "runs inside a_start_without_room_says_that_there_is_none"]
async fn inside_a_process_that_starts_without_room() {
    let url = std::env::var("WHARF_TEST_STORE").unwrap();
    let options = wharf_store::StoreOptions {
        url,
        readers: 1,
        exclusive: true,
    };
    let error = Store::open(&options).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    println!("refused: {error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_start_without_room_says_that_there_is_none() {
    let dir = TempDir::new().unwrap();
    let url = options(&dir, "").url;
    drop(Store::open(&options(&dir, "")).await.unwrap());
    let script = "trap '' XFSZ; ulimit -S -f 32; exec \"$0\" --ignored --nocapture --exact \
                  full::inside_a_process_that_starts_without_room";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(std::env::current_exe().unwrap());
    let output = command.env("WHARF_TEST_STORE", url).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("4874") && text.contains("free some space"), "{text}");
}

//! The write-ahead log stays small, whoever reads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::{Connection, query};
use wharf_store::NewEvent;

use crate::{database::Database, plans::raw};

/// Reads for 10 ms at a time, with hardly a pause.
async fn read(mut connection: sqlx::SqliteConnection, over: Arc<AtomicBool>) {
    while !over.load(Relaxed) {
        let mut reading = connection.begin().await.unwrap();
        query("SELECT count(*) FROM webhook_events")
            .execute(&mut *reading)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        reading.rollback().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_begun_anew_although_somebody_reads_it_at_every_moment() {
    let mut db = Database::sqlite().await;
    let (_, webhook) = db.tenant("acme").await;
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(tokio::spawn(read(raw(&db).await, Arc::clone(&over))));
    }
    let place = db.dir.path().join("wharf.db-wal");
    let log = || std::fs::metadata(&place).unwrap().len();
    for n in 0..60 {
        for part in 0..8 {
            let message = db.message(&webhook.key(), "a", &format!("{n}-{part}"));
            let payload = "x".repeat(1 << 20);
            db.record(&[NewEvent { payload, ..message }]).await;
        }
        // As the gateway does it after so much.
        db.store.checkpoint().await.unwrap();
        db.writer.finish_checkpoint().await.unwrap();
        // Where the readers were too slow for one, a later one begins it anew.
        if n >= 19 && log() < 100 << 20 {
            break;
        }
    }
    assert!(
        log() < 100 << 20,
        "160 MiB and more were written, and the log has {} MiB",
        log() >> 20
    );
    over.store(true, Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
}

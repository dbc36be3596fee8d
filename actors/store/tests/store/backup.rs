//! Copies of a database that is used.

use std::{fs, os::unix::fs::PermissionsExt as _};

use wharf_store::{Store, StoreError, StoreOptions, back_up, refuse_foreign_log, take_for_unused};

use crate::database::{Database, options, token};

#[tokio::test]
async fn a_copy_is_whole_while_others_write_and_is_for_its_owner_alone() {
    let mut db = Database::sqlite().await;
    let url = options(&db.dir, "").url;
    let mut group = db.writer.begin().await.unwrap();
    group
        .add_client("committed", &token(1), crate::database::NOW)
        .await
        .unwrap();
    group.commit().await.unwrap();
    let mut group = db.writer.begin().await.unwrap();
    group
        .add_client("not committed", &token(2), crate::database::NOW)
        .await
        .unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("wharf.db");
    let bytes = back_up(&url, &file).await.unwrap();
    group.commit().await.unwrap();

    let about = fs::metadata(&file).unwrap();
    assert_eq!((about.len(), about.permissions().mode() & 0o777), (bytes, 0o600));
    let copy = Store::open(&options(&elsewhere, "")).await.unwrap();
    let names: Vec<_> = copy
        .clients()
        .await
        .unwrap()
        .into_iter()
        .map(|client| client.name)
        .collect();
    assert!(
        names.contains(&"committed".to_owned()) && !names.contains(&"not committed".to_owned()),
        "{names:?}"
    );
    assert!(copy.space().await.unwrap().shrinks, "it gives space back, too");
    assert!(copy.strays().await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_written_over_and_nothing_half_made_stays() {
    let db = Database::sqlite().await;
    let url = options(&db.dir, "").url;
    let there = db.dir.path().join("there");
    fs::write(&there, "mine").unwrap();
    let refused = back_up(&url, &there).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unavailable(text) if text.contains("there: File exists")),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");

    let nowhere = db.dir.path().join("no/such/directory");
    assert!(back_up(&url, &nowhere).await.is_err());

    let no_database = format!("{url}.not");
    let file = db.dir.path().join("copy");
    let refused = back_up(&no_database, &file).await.unwrap_err();
    assert!(refused.to_string().contains("there is no such file"), "{refused}");

    let damaged = db.dir.path().join("damaged.db");
    fs::write(&damaged, [7; 8192]).unwrap();
    assert!(
        back_up(&format!("sqlite://{}", damaged.display()), &file)
            .await
            .is_err()
    );
    assert!(!file.exists());
}

#[tokio::test]
async fn a_copy_is_not_opened_with_the_log_of_the_database_whose_place_it_took() {
    let db = Database::sqlite().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        exclusive: true,
        ..options(&elsewhere, "")
    };
    back_up(
        &crate::database::options(&db.dir, "").url,
        &elsewhere.path().join("wharf.db"),
    )
    .await
    .unwrap();
    let log = elsewhere.path().join("wharf.db-wal");
    fs::write(&log, "what is left of the old one").unwrap();
    for refused in [
        Store::open(&options).await.unwrap_err(),
        refuse_foreign_log(&options.url).unwrap_err(),
    ] {
        assert!(
            matches!(&refused, StoreError::Corrupt(text) if text.contains("wharf.db-wal and its -shm away")),
            "{refused}"
        );
    }
    fs::remove_file(&log).unwrap();
    refuse_foreign_log(&options.url).unwrap();
    let opened = Store::open_copy(&options).await.unwrap();
    opened.clients().await.unwrap();
}

#[tokio::test]
async fn a_copy_is_served_when_somebody_has_said_what_it_is() {
    let db = Database::sqlite().await;
    let url = options(&db.dir, "").url;
    for is_unused in [true, false] {
        let elsewhere = tempfile::tempdir().unwrap();
        let server = StoreOptions {
            exclusive: true,
            ..options(&elsewhere, "")
        };
        back_up(&url, &elsewhere.path().join("wharf.db")).await.unwrap();
        let refused = Store::open(&server).await.unwrap_err();
        assert!(
            matches!(&refused, StoreError::Copied(text) if text.contains("run wharf restored")),
            "{refused}"
        );
        // Commands beside a server may look at it.
        let looked = Store::open(&options(&elsewhere, "")).await.unwrap();
        looked.clients().await.unwrap();
        drop(looked);
        if is_unused {
            assert!(take_for_unused(&server.url).await.unwrap());
            assert!(!take_for_unused(&server.url).await.unwrap(), "it is none any more");
        } else {
            let copy = Store::open_copy(&server).await.unwrap();
            let mut writer = copy.writer().await.unwrap();
            let mut group = writer.begin().await.unwrap();
            group.restored(crate::database::NOW, false).await.unwrap();
            group.commit().await.unwrap();
        }
        Store::open(&server).await.unwrap().clients().await.unwrap();
    }
}

//! Copies of a database that is used.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    pin::pin,
};

use futures::poll;
use wharf_store::{Store, StoreError, StoreOptions, back_up, refuse_foreign_log, take_for_unused};

use crate::database::{Database, options, token};

/// What lies in a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into())
        .collect();
    files.sort_unstable();
    files
}

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
async fn a_copy_has_its_name_when_it_is_whole_and_says_that_it_is_one() {
    let db = Database::sqlite().await;
    let url = options(&db.dir, "").url;
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("wharf.db");
    {
        let mut copying = pin!(back_up(&url, &file));
        assert!(poll!(&mut copying).is_pending());
        let under_way = ["wharf.db.unfinished", "wharf.db.unfinished-lock"].map(PathBuf::from);
        assert_eq!(files(elsewhere.path()), under_way);
        let second = back_up(&url, &file).await.unwrap_err();
        assert!(second.to_string().contains("another wharf backup"), "{second}");
        // Somebody else makes the file meanwhile.
        fs::write(&file, "mine").unwrap();
        let refused = copying.await.unwrap_err();
        assert!(refused.to_string().contains("wharf.db: File exists"), "{refused}");
    }
    assert_eq!(files(elsewhere.path()), ["wharf.db"].map(PathBuf::from));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[tokio::test]
async fn what_a_killed_backup_left_goes_with_the_next_and_is_no_copy() {
    let db = Database::sqlite().await;
    let url = options(&db.dir, "").url;
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name);
    fs::write(at("wharf.db.unfinished"), "somebody's").unwrap();
    let refused = back_up(&url, &at("wharf.db")).await.unwrap_err();
    assert!(refused.to_string().contains("move it away"), "{refused}");
    assert_eq!(files(elsewhere.path()), ["wharf.db.unfinished"].map(PathBuf::from));

    fs::write(at("wharf.db.unfinished-journal"), "half").unwrap();
    fs::write(at("wharf.db.unfinished-lock"), "").unwrap();
    back_up(&url, &at("wharf.db")).await.unwrap();
    assert_eq!(files(elsewhere.path()), ["wharf.db"].map(PathBuf::from));

    // A copy that was cut short is empty once SQLite has undone it. No new database is made of it.
    let copy = StoreOptions {
        exclusive: true,
        ..options(&elsewhere, "")
    };
    fs::write(at("wharf.db"), "").unwrap();
    let refused = Store::open_copy(&copy).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Corrupt(text) if text.contains("is empty")),
        "{refused}"
    );
    assert_eq!(fs::metadata(at("wharf.db")).unwrap().len(), 0);
    fs::remove_file(at("wharf.db")).unwrap();
    Store::open_copy(&copy).await.unwrap_err();
    assert!(!at("wharf.db").exists());
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
        let before = fs::read(elsewhere.path().join("wharf.db")).unwrap();
        let refused = looked
            .write_beside(async |group| group.add_client("b", &token(3), crate::database::NOW).await)
            .await;
        assert!(matches!(refused, Err(StoreError::Copied(_))), "{refused:?}");
        drop(looked);
        assert_eq!(
            files(elsewhere.path()),
            ["wharf.db", "wharf.db.lock"].map(PathBuf::from)
        );
        assert!(fs::read(elsewhere.path().join("wharf.db")).unwrap() == before);
        if is_unused {
            assert!(take_for_unused(&server.url).await.unwrap());
            assert!(!take_for_unused(&server.url).await.unwrap(), "it is none any more");
        } else {
            let copy = Store::open_copy(&server).await.unwrap();
            copy.write_beside(async |group| group.restored(crate::database::NOW, false).await)
                .await
                .unwrap();
        }
        let served = Store::open(&server).await.unwrap();
        served
            .write_beside(async |group| group.add_client("b", &token(3), crate::database::NOW).await)
            .await
            .unwrap();
    }
}

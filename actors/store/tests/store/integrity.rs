//! Whether the check of the whole database finds what is wrong.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
};

use tempfile::tempdir;
use wharf_store::{Store, StoreError};

use crate::database::options;

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

//! Where a device's keys are kept.
//!
//! One SQLite file per connection, `{client}-{phone}.db`, readable by the owner only. One file for all would save some
//! 30 KiB a number (a WAL index each), but all numbers would then queue for one write lock while they hold their
//! messages back, and forgetting a number would mean deleting rows of sixteen tables instead of a file. Either way it
//! is one SQLite connection a number; the pools' housekeeping threads are two for the whole process.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use wharf_domain::ConnectionKey;
use whatsapp_rust::store::{SqliteStore, SqliteStoreConfig, Synchronous, traits::Backend};

use crate::LinkError;

/// SQLite's page cache of one number: its whole working set is a few sessions and a hundred prekeys.
const PAGE_CACHE_KIB: u32 = 128;
/// What SQLite puts beside a database.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The seam behind which keys are kept; the server's own database is to take this over.
#[async_trait]
pub(crate) trait KeyStore: Send + Sync + 'static {
    /// The keys of a number, created when there are none.
    async fn open(&self, key: &ConnectionKey) -> Result<Arc<dyn Backend>, LinkError>;

    /// Deletes the keys of a number. Idempotent.
    async fn forget(&self, key: &ConnectionKey) -> Result<(), LinkError>;
}

/// whatsapp-rust's own store, a file for each number.
pub(crate) struct SqliteKeys {
    directory: PathBuf,
}

impl SqliteKeys {
    pub(crate) fn new(directory: PathBuf) -> Result<Self, LinkError> {
        make_private_directory(&directory).map_err(|error| cannot("create", &directory, &error))?;
        Ok(Self { directory })
    }

    fn path(&self, key: &ConnectionKey) -> PathBuf {
        // An integer and digits: nothing that could leave the directory.
        self.directory
            .join(format!("{}-{}.db", key.client_id, key.phone_number))
    }
}

#[async_trait]
impl KeyStore for SqliteKeys {
    async fn open(&self, key: &ConnectionKey) -> Result<Arc<dyn Backend>, LinkError> {
        let path = self.path(key);
        // Made by us before SQLite does, for the permissions; -wal and -shm inherit them.
        make_private_file(&path).map_err(|error| cannot("open", &path, &error))?;
        let url = path
            .to_str()
            .ok_or_else(|| LinkError(format!("the path {} is not UTF-8", path.display())))?;
        let config = SqliteStoreConfig {
            cache_size_kib: PAGE_CACHE_KIB,
            // A ratchet that steps back after a power cut would encrypt twice with one key.
            synchronous: Synchronous::Full,
            ..SqliteStoreConfig::default()
        };
        let store = SqliteStore::with_config(url, config).await;
        Ok(Arc::new(store.map_err(|error| cannot("open", &path, &error))?))
    }

    async fn forget(&self, key: &ConnectionKey) -> Result<(), LinkError> {
        let path = self.path(key);
        for suffix in SUFFIXES {
            let mut file = path.clone().into_os_string();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(cannot("delete", Path::new(&file), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn cannot(verb: &str, path: &Path, error: &dyn std::fmt::Display) -> LinkError {
    LinkError(format!(
        "cannot {verb} the WhatsApp keys at {}: {error}",
        path.display()
    ))
}

#[cfg(unix)]
fn make_private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private_directory(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

fn make_private_file(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use wharf_domain::ClientId;

    use super::*;

    fn key(client: i64) -> ConnectionKey {
        ConnectionKey {
            client_id: ClientId(client),
            phone_number: "5511999999999".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn keys_are_private_files_that_forget_removes() {
        let directory = tempfile::tempdir().unwrap();
        let keys = SqliteKeys::new(directory.path().join("keys")).unwrap();
        let backend = keys.open(&key(1)).await.unwrap();
        backend.create().await.unwrap();
        drop(keys.open(&key(2)).await.unwrap());

        let names = || {
            let files = std::fs::read_dir(directory.path().join("keys")).unwrap();
            let mut names: Vec<_> = files
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert!(names().iter().any(|name| name == "1-5511999999999.db"));
        #[cfg(unix)]
        for name in names() {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(directory.path().join("keys").join(&name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0, "{name} is {mode:o}");
        }

        drop(backend);
        keys.forget(&key(1)).await.unwrap();
        keys.forget(&key(1)).await.unwrap();
        assert!(names().iter().all(|name| name.starts_with("2-")), "{:?}", names());
    }
}

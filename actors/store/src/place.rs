//! Where the database is, and how each kind of connection to it is opened.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::{
    Connection as _, SqliteConnection,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};

use crate::StoreError;

/// How long a connection waits for a lock that somebody else holds. The longest group commit takes far less.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A reader's page cache in KiB (a negative `cache_size`): most look-ups end in the pages that the one before read, and the others
/// are in the kernel's cache.
const READER_CACHE_KIB: u32 = 512;
/// The writer's page cache in KiB, half of SQLite's own: a cache fills up whatever the load is, so that it is what a quiet
/// gateway has resident after an hour, and 32 MB were worth 3 % of processor time (docs/BENCHMARKS.md).
const WRITER_CACHE_KIB: u32 = 1024;
/// Pages of the write-ahead log after which a commit carries them over into the database by itself: only where nobody
/// did it before (`checkpoint.rs`). 16,000 pages are 64 MB.
pub(crate) const CHECKPOINT_PAGES: u32 = 16_000;
/// What remains of the write-ahead log's file after a checkpoint, in bytes.
const JOURNAL_SIZE_LIMIT: u32 = 64 * 1024 * 1024;

/// `SQLITE_IOERR_SHMSIZE`: the index of the write-ahead log cannot grow. It is what a start meets first on a full disk.
const IOERR_SHMSIZE: i32 = 10 | (19 << 8);
/// `SQLITE_IOERR_WRITE`: a write failed, for any reason but that the disk is full, which is `SQLITE_FULL`. A quota and a limit
/// are such reasons, and which one it was SQLite does not say.
const IOERR_WRITE: i32 = 10 | (3 << 8);

/// A parsed `store.url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The database file: letter by letter as the URL names it, and where that leads once it is [`Place::resolved`].
    pub(crate) path: PathBuf,
    /// The directory in which the URL names it.
    pub(crate) home: PathBuf,
    /// `mode=ro`.
    pub(crate) read_only: bool,
    max_page_count: Option<u32>,
    /// `busy_timeout_ms`.
    pub(crate) busy_timeout: Option<Duration>,
}

/// The file that a `store.url` names.
///
/// # Errors
/// What is wrong with the URL.
pub fn database_file(url: &str) -> Result<PathBuf, StoreError> {
    url.parse::<Place>().map(|place| place.path)
}

/// Whether a `store.url` has `mode=ro`.
pub fn is_read_only(url: &str) -> bool {
    Place::read(url).is_ok_and(|place| place.read_only)
}

/// The file that a `store.url` names, or what is wrong with the URL, as what is said of it.
///
/// # Errors
/// Such as "names no file".
pub fn read_url(url: &str) -> Result<PathBuf, String> {
    Place::read(url).map(|place| place.path)
}

impl FromStr for Place {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, StoreError> {
        Self::read(url).map_err(|why| StoreError::Url(format!("store.url {url:?} {why}; accepted is sqlite://PATH")))
    }
}

impl Place {
    fn read(url: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("sqlite://")
            .or_else(|| url.strip_prefix("sqlite:"))
            .ok_or("does not begin with sqlite://")?;
        let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() || path.ends_with('/') {
            return Err("names no file".to_owned());
        }
        if path == ":memory:" {
            return Err("is a database in memory, which keeps nothing".to_owned());
        }
        let path = PathBuf::from(path);
        let mut place = Self {
            home: directory_of(&path).to_owned(),
            path,
            read_only: false,
            max_page_count: None,
            busy_timeout: None,
        };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let number = || {
                let number = value.parse::<u32>();
                number.map_err(|_| format!("has {name}={value}, which is no number"))
            };
            match (name, value) {
                ("mode", "ro") => place.read_only = true,
                ("mode", "rw" | "rwc") => place.read_only = false,
                ("max_page_count", _) => place.max_page_count = Some(number()?),
                ("busy_timeout_ms", _) => {
                    // SQLite counts in 31 bits.
                    let most = i32::MAX.unsigned_abs();
                    let wanted = || format!("has {name}={value}; {most} is the most");
                    let number = number()?;
                    let number = (number <= most).then_some(number).ok_or_else(wanted)?;
                    place.busy_timeout = Some(Duration::from_millis(number.into()));
                }
                _ => return Err(format!("has the unknown parameter {parameter:?}")),
            }
        }
        Ok(place)
    }

    /// The file beside the database whose name ends with `suffix`.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// The directory of the database.
    pub(crate) fn directory(&self) -> &Path {
        directory_of(&self.path)
    }

    /// With links followed, those of the directory where the file is not there yet. One database may have several names, and
    /// only what lies beside the file itself, as SQLite's log does, is the same for all of them. A link that leads elsewhere
    /// later changes nothing for who has the file open.
    pub(crate) fn resolved(mut self) -> Self {
        let in_its_directory = || Some(fs::canonicalize(self.directory()).ok()?.join(self.path.file_name()?));
        let file = fs::canonicalize(&self.path).ok().or_else(in_its_directory);
        // What cannot be followed cannot be opened either, and opening it says why.
        self.path = file.unwrap_or(self.path);
        self
    }

    /// One connection of its own, outside the pool of readers.
    pub(crate) async fn connect(&self, options: &SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
        SqliteConnection::connect_with(options)
            .await
            .map_err(|error| self.error(error))
    }

    /// How long a connection waits for another one.
    pub(crate) fn patience(&self) -> Duration {
        self.busy_timeout.unwrap_or(BUSY_TIMEOUT)
    }

    fn connection(&self, thread: &'static str) -> SqliteConnectOptions {
        // The file is made before, with its permissions; a connection that makes one hides that it went away.
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(self.read_only)
            .foreign_keys(true)
            .busy_timeout(self.patience())
            .thread_name(move |number| format!("{thread}-{number}"));
        match self.max_page_count {
            Some(pages) => options.pragma("max_page_count", pages.to_string()),
            None => options,
        }
    }

    /// A connection that writes and whose commits are on the disk when they return.
    pub(crate) fn writer(&self) -> SqliteConnectOptions {
        self.connection("wharf-writer")
            .synchronous(SqliteSynchronous::Full)
            // What undoes a bulk statement that fails half-way goes to a file otherwise: a third of its time.
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT.to_string())
    }

    /// A connection that looks at the database before all others, and brings its schema up to date. What a migration sorts may be all
    /// that there is, which is to lie on the disk: memory is also what SQLite is built to take by default.
    pub(crate) fn preparer(&self) -> SqliteConnectOptions {
        self.writer().pragma("temp_store", "FILE")
    }

    /// A connection that cannot write.
    pub(crate) fn reader(&self) -> SqliteConnectOptions {
        self.connection("wharf-reader")
            .pragma("query_only", "ON")
            // Of the database's file, when it carries the log over.
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", format!("-{READER_CACHE_KIB}"))
    }

    /// A connection that carries the whole log over.
    pub(crate) fn checkpointer(&self) -> SqliteConnectOptions {
        self.connection("wharf-checkpoint").synchronous(SqliteSynchronous::Full)
    }

    /// A connection that copies the database elsewhere.
    pub(crate) fn copier(&self) -> SqliteConnectOptions {
        self.connection("wharf-backup").synchronous(SqliteSynchronous::Full)
    }

    /// A connection that asks whether writing works: its row need not survive a power cut, and whoever asks does not carry the log over.
    pub(crate) fn probe(&self) -> SqliteConnectOptions {
        self.connection("wharf-probe")
            .synchronous(SqliteSynchronous::Normal)
            .pragma("wal_autocheckpoint", "0")
    }

    /// "store PATH": how every message begins.
    pub(crate) fn named(&self, what: impl std::fmt::Display) -> String {
        format!("store {}: {what}", self.path.display())
    }

    /// Sorts sqlx's error into ours, and says what a person can do.
    pub(crate) fn error(&self, error: sqlx::Error) -> StoreError {
        use StoreError::{Rejected, Unavailable, Unreadable};
        match error {
            sqlx::Error::Database(database) => self.database_error(database.as_ref()),
            sqlx::Error::Encode(_) => Rejected(self.named(error)),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Unreadable(self.named(format!(
                    "a row does not read as one of ours ({error}); restore a backup"
                )))
            }
            sqlx::Error::Migrate(migration) => self.migration_error(*migration),
            sqlx::Error::PoolTimedOut => Unavailable(self.named("all readers are busy; try again")),
            // A connection's thread died, its channel closed, the file could not be opened: a new one may do.
            other => Unavailable(self.named(other)),
        }
    }

    fn database_error(&self, error: &dyn sqlx::error::DatabaseError) -> StoreError {
        let code = result_code(error);
        let text = |advice: &str| self.named(format!("{} (SQLite code {code}); {advice}", error.message()));
        // The primary result code is the low byte: https://www.sqlite.org/rescode.html
        match code & 0xff {
            5 | 6 => StoreError::Unavailable(text("another program holds it: end that program, or wait")),
            7 => StoreError::Unavailable(text("there is no memory left")),
            8 if self.read_only => {
                StoreError::Unavailable(text("store.url has mode=ro: without it the database is writable"))
            }
            8 => StoreError::Unavailable(text("make the file and its directory writable for this user")),
            10 => StoreError::Unavailable(text(match code {
                IOERR_SHMSIZE => {
                    "the disk is full, or a quota or limit (ulimit -f) is met: free some space or raise it"
                }
                IOERR_WRITE => {
                    "a quota or limit (ulimit -f) is met, or the disk fails: free some space, raise it, or look after the disk"
                }
                _ => "look after the disk",
            })),
            13 => StoreError::Unavailable(text("free some space; writing then goes on by itself")),
            14 => StoreError::Unavailable(text(
                "see that the file exists and that this user may write to its directory",
            )),
            11 => StoreError::Corrupt(text("the file is damaged: restore a backup")),
            26 => StoreError::Corrupt(text("point store.url at another file")),
            _ => StoreError::Rejected(text("this write was not made")),
        }
    }

    fn migration_error(&self, error: MigrateError) -> StoreError {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.error(error),
            other => {
                StoreError::Corrupt(self.named(format!("{other}; restore a backup, or ask who changed the schema")))
            }
        }
    }
}

/// Where a file lies.
fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// SQLite's code of an error, 0 if it has none.
fn result_code(error: &dyn sqlx::error::DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Whether somebody else writes at the moment (`SQLITE_BUSY`): nothing was done, and the connection is as it was.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(database) if result_code(database.as_ref()) & 0xff == 5)
}

#[cfg(test)]
mod tests {
    use sqlx::query_scalar;

    use super::*;

    #[tokio::test]
    async fn what_a_migration_sorts_goes_to_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wharf.db");
        fs::write(&file, "").unwrap();
        let place: Place = format!("sqlite://{}", file.display()).parse().unwrap();
        let (on_disk, in_memory) = (1, 2);
        for (options, expected) in [(place.preparer(), on_disk), (place.writer(), in_memory)] {
            let mut connection = place.connect(&options).await.unwrap();
            let kept: i64 = query_scalar("PRAGMA temp_store")
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(kept, expected);
        }
    }

    #[test]
    fn urls_that_name_a_file() {
        for (url, path) in [
            ("sqlite://data/wharf.db", "data/wharf.db"),
            ("sqlite:///var/lib/wharf.db", "/var/lib/wharf.db"),
            ("sqlite:wharf.db", "wharf.db"),
            ("sqlite://wharf.db?mode=rwc", "wharf.db"),
            ("sqlite://my data%20/wharf#1.db", "my data%20/wharf#1.db"),
        ] {
            assert_eq!(url.parse::<Place>().unwrap().path, Path::new(path), "{url}");
        }
        assert!("sqlite://wharf.db?mode=ro".parse::<Place>().unwrap().read_only);
        assert_eq!(
            "sqlite://wharf.db?max_page_count=7"
                .parse::<Place>()
                .unwrap()
                .max_page_count,
            Some(7)
        );
    }

    #[test]
    fn other_urls_are_refused_with_what_would_be_accepted() {
        for url in [
            "",
            "wharf.db",
            "postgres://localhost/wharf",
            "sqlite://",
            "sqlite::memory:",
            "sqlite://data/",
            "sqlite://wharf.db?mode=memory",
            "sqlite://wharf.db?cache=shared",
            "sqlite://wharf.db?max_page_count=many",
        ] {
            let error = url.parse::<Place>().unwrap_err();
            assert!(
                matches!(&error, StoreError::Url(text) if text.contains("sqlite://PATH")),
                "{url}: {error}"
            );
        }
    }
}

//! Opening a database: make the file, hold the lock, look before touching, migrate.

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Read, Write},
    ops::Range,
    sync::Arc,
    thread,
};

use sqlx::{
    Acquire, Connection, SqliteConnection,
    migrate::{MigrateError, Migrator},
    query, query_as, query_scalar,
    sqlite::SqlitePoolOptions,
};

use crate::{Store, StoreError, StoreOptions, backup::COPY, place::Place, private, store::Inner};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// `PRAGMA application_id` of our databases, as the first migration sets it.
const APPLICATION_ID: i64 = 0x5748_5246;

/// Where a database's header says how it is written and read (<https://sqlite.org/fileformat.html>, 1.3.3),
const READ_AND_WRITE_VERSIONS: Range<usize> = 18..20;
/// and what it says there when it is without a write-ahead log.
const ROLLBACK_JOURNAL: [u8; 2] = [1, 1];

impl Store {
    /// Opens the database that `options` name: makes it if there is none, brings its schema up to date, and takes the
    /// lock if `options.exclusive`, which `mode=ro` does not go with. Nothing is written to a file that is not ours or is newer than
    /// this program.
    ///
    /// # Errors
    /// `Url`, `Locked`, `Copied` (if exclusive, or of an older schema), `NewerSchema`, `Corrupt` (damaged, or not ours) or `Unavailable`.
    pub async fn open(options: &StoreOptions) -> Result<Store, StoreError> {
        Self::open_as(options, false).await
    }

    /// The same for who makes a copy harmless: it may be one, and a new database is not made, neither of an empty file.
    ///
    /// # Errors
    /// As those of [`Store::open`], without `Copied`.
    pub async fn open_copy(options: &StoreOptions) -> Result<Store, StoreError> {
        Self::open_as(options, true).await
    }

    async fn open_as(options: &StoreOptions, takes_copies: bool) -> Result<Store, StoreError> {
        let place: Place = options.url.parse()?;
        if options.exclusive && place.read_only {
            let url = &options.url;
            return Err(StoreError::Url(format!(
                "store.url {url:?} has mode=ro, which is for commands that only read: a server writes; leave it out"
            )));
        }
        let (place, lock, opening) = claim_files(place, options.exclusive, !takes_copies).await?;
        let place = Arc::new(place);
        prepare(&place, options.exclusive, takes_copies).await?;
        drop(opening);
        let pool = SqlitePoolOptions::new()
            .max_connections(readers(options.readers))
            // A ping is a hop to the connection's thread and back, and says nothing that the query would not.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(place.reader());
        Ok(Store {
            inner: Arc::new(Inner {
                pool,
                place,
                takes_copies,
                _lock: lock,
            }),
        })
    }
}

/// How many connections read when `asked` are asked for (see [`StoreOptions::readers`]). A reader keeps the schema, its statements
/// and its pages, so more than there are cores to run them cost memory and bring nothing.
fn readers(asked: u32) -> u32 {
    match asked {
        0 => thread::available_parallelism().map_or(2, |cores| u32::try_from(cores.get()).unwrap_or(8).clamp(2, 8)),
        asked => asked,
    }
}

/// Refuses the database that `url` names when the log of another one lies beside it, as an exclusive [`Store::open`] does. For
/// commands that run beside a server, before they open anything: a process that has the file open already may lose its locks by this.
///
/// # Errors
/// `Url` or `Corrupt`.
pub fn refuse_foreign_log(url: &str) -> Result<(), StoreError> {
    refuse_log_of_another(&url.parse::<Place>()?.resolved())
}

/// Makes directory and file if it `makes` any, and takes the locks: the one that a server holds for its life, and the one that makes
/// openings take turns. Answers where the file itself is. File I/O, so not on the async threads.
async fn claim_files(
    place: Place,
    exclusive: bool,
    makes: bool,
) -> Result<(Place, Option<File>, Option<File>), StoreError> {
    let makes = makes && !place.read_only;
    let claim = move || {
        if makes {
            private::make_directory(place.directory())
                .map_err(|error| io_error(&place, "make its directory", &error))?;
        }
        let place = place.resolved();
        // In its turn: a command that makes the database holds the lock for a moment, too.
        let opening = turn_lock(&place);
        let lock = exclusive.then(|| hold_lock(&place)).transpose()?;
        if exclusive {
            refuse_log_of_another(&place)?;
        }
        if makes {
            make_file(&place)?;
        }
        Ok((place, lock, opening))
    };
    match tokio::task::spawn_blocking(claim).await {
        Ok(claimed) => claimed,
        Err(error) => Err(StoreError::Unavailable(format!(
            "opening the store was interrupted: {error}"
        ))),
    }
}

fn io_error(place: &Place, what: &str, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(place.named(format!("cannot {what}: {error}; see that this user may write there")))
}

/// SQLite gives the files beside the database the database's permissions, so this decides for all of them.
///
/// A file that exists is not opened here: closing it would drop the locks that SQLite holds on it in this process.
fn make_file(place: &Place) -> Result<(), StoreError> {
    match private::options().create_new(true).open(&place.path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io_error(place, "make the file", &error)),
    }
}

/// A copy (`VACUUM INTO`) is no database with a log until it is opened: a log that lies beside it is that of the one whose place it took.
/// SQLite would lay its pages over the copy's. Only for a process that has not opened the file, see [`make_file`].
pub(crate) fn refuse_log_of_another(place: &Place) -> Result<(), StoreError> {
    let has_log = fs::metadata(place.beside("-wal")).is_ok_and(|log| log.len() > 0);
    let mut header = [0; 20];
    let is_read = has_log
        && File::open(&place.path)
            .and_then(|mut file| file.read_exact(&mut header))
            .is_ok();
    if is_read && header[READ_AND_WRITE_VERSIONS] == ROLLBACK_JOURNAL {
        return Err(StoreError::Corrupt(place.named(format!(
            "beside it lies the log of another database, as when a backup is put in its place: move {} and its -shm away",
            place.beside("-wal").display()
        ))));
    }
    Ok(())
}

/// Why the schema stays as it is: what [`hold_lock`] said, for who runs no server.
fn before_its_server(place: &Place, error: StoreError, found: i64, known: i64) -> StoreError {
    match error {
        StoreError::Locked(_) => StoreError::Locked(place.named(format!(
            "an older wharf serve runs on it, with schema version {found}, and this program would bring it to {known}: restart that \
             server with this program first"
        ))),
        other => other,
    }
}

/// The lock goes with the process, however that ends; the file stays, because removing it would race with the next.
pub(crate) fn hold_lock(place: &Place) -> Result<File, StoreError> {
    let path = place.beside(".lock");
    let mut file = private::options()
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| io_error(place, "open its lock file", &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(StoreError::Locked(place.named(format!(
                "wharf serve (process {}) runs on it: stop that one first (a second server needs a store.url of its own)",
                holder.trim()
            ))));
        }
        Err(TryLockError::Error(error)) => return Err(io_error(place, "lock its lock file", &error)),
    }
    // For the message above only: a failure to write it changes nothing.
    let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

/// Two programs that make the same database at once would meet in `PRAGMA journal_mode = WAL`, where SQLite does not
/// wait. They take turns by a lock on the directory, which leaves no file behind. Where a directory cannot be locked
/// the worst is a clear error for one of the two.
fn turn_lock(place: &Place) -> Option<File> {
    let directory = File::open(place.directory()).ok()?;
    directory.lock().ok()?;
    Some(directory)
}

/// Looks at the database, and migrates it if it is ours to migrate.
async fn prepare(place: &Place, holds_lock: bool, takes_copies: bool) -> Result<(), StoreError> {
    let mut connection = place.connect(&place.preparer()).await?;
    let result = prepare_with(place, &mut connection, holds_lock, takes_copies).await;
    // The connection's end must not hide why it ended.
    let closed = connection.close().await.map_err(|error| place.error(error));
    result.and(closed)
}

/// Why a copy that nobody made harmless is not served, and keeps the schema that an older program may want to go on with.
pub(crate) fn is_copied(place: &Place) -> StoreError {
    StoreError::Copied(place.named(
        "is a copy that wharf backup made: run wharf restored before the first start on it. (If no server has run on the database \
         since it was copied, or an older one on this copy since: wharf restored --unused)",
    ))
}

async fn prepare_with(
    place: &Place,
    connection: &mut SqliteConnection,
    holds_lock: bool,
    takes_copies: bool,
) -> Result<(), StoreError> {
    let is_refused = !takes_copies && scalar::<i32>(place, connection, "PRAGMA user_version").await? == COPY;
    if is_refused && holds_lock {
        return Err(is_copied(place));
    }
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let applied = applied_migrations(place, connection).await?;
    if takes_copies && applied.is_empty() {
        // What a copy may end as that was cut short: a new database in its place would look like one without clients.
        return Err(StoreError::Corrupt(
            place.named("is empty, and no copy of a database: put a whole one in its place"),
        ));
    }
    let found = applied.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for migration in MIGRATIONS.iter() {
        let other =
            |(version, checksum): &(i64, Vec<u8>)| *version == migration.version && *checksum != *migration.checksum;
        if applied.iter().any(other) {
            return Err(place.error(MigrateError::VersionMismatch(migration.version).into()));
        }
    }
    if place.read_only {
        return if found == known {
            Ok(())
        } else {
            Err(StoreError::Unavailable(place.named(format!(
                "has schema version {found} and needs {known}, but mode=ro forbids bringing it up to date"
            ))))
        };
    }
    if is_refused {
        // Whoever only looks at a copy leaves it as it is: by its form it is told from the database whose log may lie beside it.
        return if found == known { Ok(()) } else { Err(is_copied(place)) };
    }
    if applied.is_empty() {
        // So that the janitor can give space back. Only a database without a page yet takes it, and write-ahead logging
        // writes the first one. It costs some 3 % more written bytes per event (ARCHITECTURE.md has the figures).
        let shrinks = query("PRAGMA auto_vacuum = INCREMENTAL").execute(&mut *connection);
        shrinks.await.map_err(|error| place.error(error))?;
    }
    let mode: String = scalar(place, connection, "PRAGMA journal_mode = WAL").await?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(place.named(format!(
            "its file system does not support write-ahead logging (SQLite stays at {mode:?}): use a local disk"
        ))));
    }
    if found < known {
        // Under a server that runs nobody changes the schema: it is an older program, which does not know the new one.
        let _alone = match holds_lock {
            true => None,
            false => Some(hold_lock(place).map_err(|error| before_its_server(place, error, found, known))?),
        };
        migrate(place, connection).await?;
        tracing::info!(store = %place.path.display(), from = found, to = known, "schema brought up to date");
    }
    Ok(())
}

/// All missing migrations in one transaction: either the schema is new, or nothing happened.
async fn migrate(place: &Place, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(|error| place.error(error))?;
    let migrator = transaction.acquire().await.map_err(|error| place.error(error))?;
    MIGRATIONS
        .run_direct(None, migrator, false)
        .await
        .map_err(|error| place.error(error.into()))?;
    transaction.commit().await.map_err(|error| place.error(error))
}

/// Versions and checksums of what was applied, in order; nothing for an empty file.
async fn applied_migrations(
    place: &Place,
    connection: &mut SqliteConnection,
) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let application: i64 = scalar(place, connection, "PRAGMA application_id").await?;
    let tables: i64 = scalar(place, connection, "SELECT count(*) FROM sqlite_schema").await?;
    if application == 0 && tables == 0 {
        return Ok(Vec::new());
    }
    if application != APPLICATION_ID {
        return Err(StoreError::Corrupt(
            place.named("is another program's database: point store.url at another file"),
        ));
    }
    let applied = query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version");
    applied.fetch_all(connection).await.map_err(|error| place.error(error))
}

async fn scalar<T>(place: &Place, connection: &mut SqliteConnection, sql: &'static str) -> Result<T, StoreError>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
{
    query_scalar(sql)
        .fetch_one(connection)
        .await
        .map_err(|error| place.error(error))
}

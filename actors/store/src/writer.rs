//! The one writing connection, and the transaction as its caller sees it.

use std::sync::Arc;

use sqlx::{Connection, Sqlite, SqliteConnection, Transaction, query::Query, sqlite::SqliteArguments};

use crate::{
    Store, StoreError,
    checkpoint::Restart,
    lines::Lines,
    place::{Place, is_busy},
    store::Inner,
};

impl Store {
    /// Opens the writing connection: WAL, `synchronous = FULL`, foreign keys, a wait of 5 s for other writers
    /// unless the URL says otherwise. There
    /// should be one in the program, the persistence actor's. The command line opens its own beside it.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn writer(&self) -> Result<Writer, StoreError> {
        let mut writer = Writer {
            connection: None,
            suspect: false,
            lines: Lines::default(),
            open: false,
            restart: Restart::default(),
            inner: Arc::clone(&self.inner),
        };
        writer.reconnect().await?;
        Ok(writer)
    }
}

/// The connection that writes.
///
/// After an error of the disk it opens itself anew with the next [`Writer::begin`]: when there is space again, writing
/// goes on by itself.
#[derive(Debug)]
pub struct Writer {
    pub(crate) connection: Option<SqliteConnection>,
    /// Whether something happened after which nobody knows what state the connection is in.
    suspect: bool,
    pub(crate) lines: Lines,
    /// Whether something was begun and not committed: what it wrote was rolled back.
    pub(crate) open: bool,
    /// When the log is ended by force.
    pub(crate) restart: Restart,
    /// Keeps the lock file as long as somebody can write.
    pub(crate) inner: Arc<Inner>,
}

impl Writer {
    /// Begins a transaction that may write (`BEGIN IMMEDIATE`).
    ///
    /// # Errors
    /// `Unavailable` (another program writes for longer than 5 s, the disk failed) or `Corrupt`.
    pub async fn begin(&mut self) -> Result<Group<'_>, StoreError> {
        let place = Arc::clone(&self.inner.place);
        self.try_begin().await?.map_err(|error| place.error(error))
    }

    /// The same, with SQLite's own word for why it does not begin.
    pub(crate) async fn try_begin(&mut self) -> Result<Result<Group<'_>, sqlx::Error>, StoreError> {
        self.ready().await?;
        if std::mem::replace(&mut self.open, true) {
            self.lines.forget();
        }
        let Self {
            connection: Some(connection),
            suspect,
            lines,
            open,
            inner,
            restart: _,
        } = self
        else {
            return Err(self.no_connection());
        };
        match connection.begin_with("BEGIN IMMEDIATE").await {
            Ok(transaction) => Ok(Ok(Group {
                transaction,
                suspect,
                lines,
                open,
                place: &inner.place,
                spoilt: false,
            })),
            Err(error) => {
                *suspect = !is_busy(&error);
                Ok(Err(error))
            }
        }
    }

    /// The connection, for whoever gives it back when nothing has gone wrong.
    pub(crate) async fn take(&mut self) -> Result<SqliteConnection, StoreError> {
        self.ready().await?;
        self.connection.take().ok_or_else(|| self.no_connection())
    }

    async fn ready(&mut self) -> Result<(), StoreError> {
        if self.suspect || self.connection.is_none() {
            self.reconnect().await?;
        }
        Ok(())
    }

    fn no_connection(&self) -> StoreError {
        StoreError::Unavailable(self.inner.place.named("has no connection that writes"))
    }

    async fn reconnect(&mut self) -> Result<(), StoreError> {
        if let Some(broken) = self.connection.take() {
            tracing::info!(store = %self.inner.place.path.display(), "opening the writing connection anew");
            // Waits until its thread has let go of the file. What it says at its end is no news.
            let _ = broken.close().await;
        }
        self.connection = Some(self.inner.place.connect(&self.inner.place.writer()).await?);
        self.suspect = false;
        Ok(())
    }
}

/// One transaction. Dropping it rolls it back; so does cancelling one of its calls, at the latest when it is dropped.
///
/// All or nothing: after a call has failed or was cancelled the group is spoilt, every further call and
/// [`Group::commit`] say so, and the caller begins a new one without the write that failed. A call that is cancelled in
/// [`Group::commit`] may have committed.
#[derive(Debug)]
pub struct Group<'a> {
    transaction: Transaction<'a, Sqlite>,
    suspect: &'a mut bool,
    lines: &'a mut Lines,
    open: &'a mut bool,
    place: &'a Place,
    /// Set while a call runs, so that it stays set when the call does not reach its end.
    spoilt: bool,
}

impl Group<'_> {
    /// The connection, for one call. The group counts as spoilt until [`Group::leave`] is reached with a success.
    pub(crate) fn enter(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.enter_with_lines().map(|(connection, _)| connection)
    }

    /// The same, with what the writer remembers.
    pub(crate) fn enter_with_lines(&mut self) -> Result<(&mut SqliteConnection, &mut Lines), StoreError> {
        if self.spoilt {
            return Err(self.spoilt_error());
        }
        self.spoilt = true;
        Ok((&mut self.transaction, self.lines))
    }

    /// The end of a call that [`Group::enter`] began.
    pub(crate) fn leave<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        match result {
            Ok(value) => {
                self.spoilt = false;
                Ok(value)
            }
            Err(error) => {
                let error = self.place.error(error);
                *self.suspect |= !matches!(error, StoreError::Rejected(_));
                Err(error)
            }
        }
    }

    /// Runs one statement; answers how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Query<'_, Sqlite, SqliteArguments>) -> Result<u64, StoreError> {
        let result = statement.execute(self.enter()?).await;
        self.leave(result.map(|result| result.rows_affected()))
    }

    fn spoilt_error(&self) -> StoreError {
        StoreError::Rejected(
            self.place
                .named("an earlier write of this group failed: begin a new group without it"),
        )
    }

    /// Commits. When it returns, everything in the group is on the disk.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses (nothing of the group is kept), `Rejected` when the group is spoilt.
    pub async fn commit(self) -> Result<(), StoreError> {
        if self.spoilt {
            return Err(self.spoilt_error());
        }
        // Until the commit has answered: SQLite may have rolled back by itself, which sqlx does not see.
        *self.suspect = true;
        self.transaction
            .commit()
            .await
            .map_err(|error| self.place.error(error))?;
        *self.suspect = false;
        *self.open = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{query, query_scalar};
    use tempfile::TempDir;

    use super::*;
    use crate::{StoreOptions, sql};

    async fn store(dir: &TempDir) -> Store {
        let url = format!("sqlite://{}/wharf.db", dir.path().display());
        Store::open(&StoreOptions {
            url,
            readers: 1,
            exclusive: false,
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn the_writer_syncs_every_commit_and_checks_references_also_after_a_reconnect() {
        let dir = TempDir::new().unwrap();
        let mut writer = store(&dir).await.writer().await.unwrap();
        for _ in 0..2 {
            let connection = writer.connection.as_mut().unwrap();
            let mode: String = query_scalar("PRAGMA journal_mode")
                .fetch_one(&mut *connection)
                .await
                .unwrap();
            let sync: i64 = query_scalar("PRAGMA synchronous")
                .fetch_one(&mut *connection)
                .await
                .unwrap();
            let references: bool = query_scalar("PRAGMA foreign_keys")
                .fetch_one(&mut *connection)
                .await
                .unwrap();
            let wait: i64 = query_scalar("PRAGMA busy_timeout").fetch_one(connection).await.unwrap();
            assert_eq!((mode.as_str(), sync, references, wait), ("wal", 2, true, 5000));
            writer.reconnect().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let dir = TempDir::new().unwrap();
        let store = store(&dir).await;
        let error = query(sql::WRITE_CHECK).execute(store.pool()).await.unwrap_err();
        assert!(error.to_string().contains("readonly"), "{error}");
    }
}

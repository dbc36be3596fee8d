//! Carrying the write-ahead log over into the database, beside the one who writes.
//!
//! SQLite's own checkpoints run inside a commit, and every caller of that commit waits for thousands of pages. Here one of the
//! connections that read carries most of them over while commits go on ([`Store::checkpoint`]). It cannot reach the end
//! of a log that grows; the writer carries the little that is left over between two groups ([`Writer::finish_checkpoint`]),
//! and the next commit begins the log anew. Where nobody asks for either, SQLite's own take over at `CHECKPOINT_PAGES`.

use sqlx::{Connection as _, SqliteConnection, query};

use crate::{Store, StoreError, Writer, sql};

impl Store {
    /// Carries over what was committed so far, as far as readers allow. Commits go on meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails; nothing is lost by that, the log keeps everything.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        // `query_only` forbids changes, and this changes nothing.
        let carried = async { passive(&mut *self.pool().acquire().await?).await };
        carried.await.map_err(|error| self.error(error))
    }

    /// Carries over everything and empties the log, so that the file of the database alone is the database: for the end, when
    /// nobody writes any more.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails; the log keeps everything then, and the next start goes on from it.
    pub async fn empty_log(&self) -> Result<(), StoreError> {
        if self.inner.place.read_only {
            return Ok(());
        }
        let mut connection = self.inner.place.connect(&self.inner.place.checkpointer()).await?;
        let emptied = query(sql::CHECKPOINT_ALL).execute(&mut connection).await;
        let closed = connection.close().await;
        emptied.map(drop).and(closed).map_err(|error| self.error(error))
    }
}

impl Writer {
    /// Carries over what is left after [`Store::checkpoint`]. Not while a group is open.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails.
    pub async fn finish_checkpoint(&mut self) -> Result<(), StoreError> {
        let Some(connection) = self.connection.as_mut() else {
            return Ok(());
        };
        let result = passive(connection).await;
        result.map_err(|error| self.inner.place.error(error))
    }
}

async fn passive(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    query(sql::CHECKPOINT).execute(connection).await.map(drop)
}

//! Carrying the write-ahead log over into the database, beside the one who writes.
//!
//! SQLite's own checkpoints run inside a commit, and every caller of that commit waits for thousands of pages. Here one of the
//! connections that read carries most of them over while commits go on ([`Store::checkpoint`]). It cannot reach the end
//! of a log that grows; the writer carries the little that is left over between two groups ([`Writer::finish_checkpoint`]),
//! and the next commit begins the log anew, unless somebody reads it at that moment. Where somebody does at every moment, a log
//! that has grown large is ended by force: the writer waits until all have read what they began with ([`Restart`]). Where nobody asks
//! for any of that, SQLite's own checkpoints take over at `CHECKPOINT_PAGES`.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, query, query_as};

use crate::{
    Store, StoreError, Writer,
    place::{CHECKPOINT_PAGES, Place},
    sql,
};

/// How long the writer waits for those who read the log, which all commits wait for. Lists take a third of a second.
const READERS_END: Duration = Duration::from_secs(1);

/// When a log is ended by force.
#[derive(Debug)]
pub(crate) struct Restart {
    /// Pages of it.
    at: i64,
    /// Of how many that failed last: a log of fewer was begun anew since.
    failed_at: i64,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            at: CHECKPOINT_PAGES.into(),
            failed_at: 0,
        }
    }
}

impl Store {
    /// Carries over what was committed so far, as far as readers allow. Commits go on meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails; nothing is lost by that, the log keeps everything.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        // `query_only` forbids changes, and this changes nothing.
        let carried = async { passive(&mut *self.pool().acquire().await?).await };
        carried.await.map(drop).map_err(|error| self.error(error))
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
        let place = &self.inner.place;
        let result = self.restart.finish(connection, place).await;
        result.map_err(|error| place.error(error))
    }
}

impl Restart {
    async fn finish(&mut self, connection: &mut SqliteConnection, place: &Place) -> Result<(), sqlx::Error> {
        let looked = passive(connection).await?;
        self.look(looked);
        if looked < self.at {
            return Ok(());
        }
        wait_at_most(connection, READERS_END).await?;
        let restarted = query_as(sql::CHECKPOINT_RESTART).fetch_one(&mut *connection).await;
        wait_at_most(connection, place.patience()).await?;
        let (is_busy, pages, _): (i64, i64, i64) = restarted?;
        *self = Self::after(is_busy == 0, pages.max(looked));
        Ok(())
    }

    /// Forgets that a try failed as soon as the log is another one: it may grow as far as any before it is ended.
    fn look(&mut self, pages: i64) {
        // Where nobody says how many it has, it is -1.
        if (0..self.failed_at).contains(&pages) {
            *self = Self::default();
        }
    }

    /// The next one after this try.
    fn after(restarted: bool, pages: i64) -> Self {
        let least = Self::default();
        match restarted {
            true => least,
            // A backup may read for minutes: commits are not to wait for it again and again. Where another process carries the log
            // over at the moment, nobody says how many pages it has.
            false => Self {
                at: pages.max(least.at) * 2,
                failed_at: pages,
            },
        }
    }
}

/// Carries over what readers allow; answers how many pages the log has.
async fn passive(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let (_, pages, _): (i64, i64, i64) = query_as(sql::CHECKPOINT).fetch_one(connection).await?;
    Ok(pages)
}

async fn wait_at_most(connection: &mut SqliteConnection, patience: Duration) -> Result<(), sqlx::Error> {
    let waits = format!("PRAGMA busy_timeout = {}", patience.as_millis());
    query(AssertSqlSafe(waits)).execute(connection).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_was_not_begun_anew_is_left_alone_until_it_has_grown() {
        let least = i64::from(CHECKPOINT_PAGES);
        for (restarted, pages, next) in [
            (true, 3 * least, least),
            (false, 3 * least, 6 * least),
            (false, -1, 2 * least),
        ] {
            assert_eq!(Restart::after(restarted, pages).at, next, "{restarted}, {pages}");
        }
    }

    #[test]
    fn a_log_that_was_begun_anew_without_force_is_ended_at_the_usual_length_again() {
        let least = i64::from(CHECKPOINT_PAGES);
        let mut restart = Restart::after(false, 3 * least);
        for (pages, at) in [
            (3 * least, 6 * least),
            (-1, 6 * least),
            (4 * least, 6 * least),
            (7, least),
        ] {
            restart.look(pages);
            assert_eq!(restart.at, at, "{pages}");
        }
    }
}

//! Writing beside a server: the command line's few rows.

use std::time::Duration;

use sqlx::{query, query_scalar};
use tokio::time::{Instant, sleep};

use crate::{Group, Store, StoreError, backup::COPY, open::is_copied, place::is_busy};

/// How long such a write waits for its turn, unless the URL has a `busy_timeout_ms`.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two tries. SQLite's own waits grow to 100 ms, and a server that commits back to back leaves the lock
/// alone for a fraction of a millisecond between two groups: who looks so rarely may look for long.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(1);

impl Store {
    /// Commits what `work` writes, in a transaction of its own, as soon as whoever else writes leaves a gap: within 30 s,
    /// or the `busy_timeout_ms` of the URL.
    ///
    /// # Errors
    /// Those of `work`, after which nothing is kept; `Unavailable` when there was no gap, or when the disk refuses; `Copied` when it is a
    /// copy that nobody made harmless, unless the store was opened for that ([`Store::open_copy`]).
    pub async fn write_beside<T, E>(&self, work: impl AsyncFnOnce(&mut Group<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let place = &self.inner.place;
        let until = Instant::now() + place.busy_timeout.unwrap_or(PATIENCE);
        let mut writer = self.writer().await?;
        if let Some(connection) = writer.connection.as_mut() {
            let at_once = query("PRAGMA busy_timeout = 0").execute(connection);
            at_once.await.map_err(|error| place.error(error))?;
        }
        loop {
            match writer.try_begin().await? {
                Ok(mut group) => {
                    if !self.inner.takes_copies && group.is_copy().await? {
                        return Err(is_copied(place).into());
                    }
                    let done = work(&mut group).await?;
                    group.commit().await?;
                    return Ok(done);
                }
                Err(error) if is_busy(&error) && Instant::now() < until => {}
                Err(error) => return Err(place.error(error).into()),
            }
            sleep(TRY_AGAIN_AFTER).await;
        }
    }
}

impl Group<'_> {
    /// Whether the database is a copy that nobody made harmless: ids that it gives out may have been given out since.
    async fn is_copy(&mut self) -> Result<bool, StoreError> {
        let version = query_scalar::<_, i32>("PRAGMA user_version");
        let version = version.fetch_one(self.enter()?).await;
        self.leave(version.map(|version| version == COPY))
    }
}

//! Polls: what can be chosen in them, so that votes can be told by name.

use std::time::Duration;

use sqlx::query;
use wharf_domain::{ConnectionKey, Timestamp};

use crate::{
    Group, Store, StoreError,
    codec::{At, of_number, scalar_of_number},
    sql,
};

/// How long a poll is kept: as long as the client library keeps the secrets of polls.
pub const POLL_LIFETIME: Duration = Duration::from_hours(90 * 24);

impl Store {
    /// The options of a poll that a number saw, if it was kept.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn poll_options(&self, key: &ConnectionKey, poll_id: &str) -> Result<Option<Vec<String>>, StoreError> {
        let statement = scalar_of_number::<sqlx::types::Json<Vec<String>>>(sql::POLL_OPTIONS, key).bind(poll_id);
        let options = statement.fetch_optional(self.pool()).await;
        options
            .map(|options| options.map(|options| options.0))
            .map_err(|error| self.error(error))
    }
}

impl Group<'_> {
    /// Keeps the options of a poll, or more of one that is kept: votes name options by their hash, so that no option takes the
    /// place of another.
    ///
    /// # Errors
    /// `Rejected` when there is no such client.
    pub async fn keep_poll(
        &mut self,
        key: &ConnectionKey,
        poll_id: &str,
        options: &[String],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = of_number(sql::KEEP_POLL, key)
            .bind(poll_id)
            .bind(sqlx::types::Json(options))
            .bind(At(now));
        self.execute(statement).await.map(|_| ())
    }

    /// Removes up to `limit` of the polls that a number saw; answers how many. When it is fewer than that none are left.
    ///
    /// # Errors
    /// As every write.
    pub async fn forget_polls(&mut self, of: &ConnectionKey, limit: u32) -> Result<u64, StoreError> {
        let statement = of_number(sql::FORGET_POLLS, of).bind(limit);
        self.execute(statement).await
    }

    /// Removes the polls kept before `before`, so many of them; returns how many.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_polls(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let statement = query(sql::PURGE_POLLS).bind(At(before)).bind(limit);
        self.execute(statement).await
    }
}

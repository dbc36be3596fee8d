//! Whether the database is whole: for the crash harness, and for whoever doubts a disk.

use sqlx::{Row, query, query_scalar};

use crate::{Store, StoreError};

impl Store {
    /// Reads the whole database (SQLite's `integrity_check` and `foreign_key_check`), which takes about a second per
    /// gigabyte. Answers what is wrong, in SQLite's words; nothing when all is well.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, as every read.
    pub async fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let found: Vec<String> = query_scalar("PRAGMA integrity_check")
            .fetch_all(self.pool())
            .await
            .map_err(|error| self.error(error))?;
        let mut wrong: Vec<String> = found.into_iter().filter(|line| line != "ok").collect();
        let orphans = query("PRAGMA foreign_key_check")
            .fetch_all(self.pool())
            .await
            .map_err(|error| self.error(error))?;
        for orphan in orphans {
            let table: String = orphan.try_get(0).map_err(|error| self.error(error))?;
            let parent: String = orphan.try_get(2).map_err(|error| self.error(error))?;
            wrong.push(format!(
                "a row of {table} refers to a row of {parent} that is not there"
            ));
        }
        Ok(wrong)
    }
}

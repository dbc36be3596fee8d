//! Rows of a page of events. A page also ends by its bytes: with files in them (`media.inline_max_bytes`) two hundred events
//! are hundreds of megabytes.

use futures::{TryStreamExt as _, stream::BoxStream};
use sqlx::{Row as _, sqlite::SqliteRow};
use wharf_domain::Event;

use crate::codec;

/// Bytes of bodies on a page; one more event is on it, however large that is.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

/// See the module.
#[derive(Default)]
pub(crate) struct EventRows {
    rows: Vec<SqliteRow>,
    bytes: usize,
}

impl EventRows {
    /// Takes rows as they come, until there are enough bytes.
    pub(crate) async fn take(
        &mut self,
        mut rows: BoxStream<'_, Result<SqliteRow, sqlx::Error>>,
    ) -> Result<(), sqlx::Error> {
        while !self.is_full()
            && let Some(row) = rows.try_next().await?
        {
            self.bytes += row.try_get::<&[u8], _>("payload")?.len();
            self.rows.push(row);
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the page ends here, whatever else was asked for.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes > PAGE_BYTES
    }

    /// The first of them.
    pub(crate) fn events(&self, limit: usize) -> Result<Vec<Event>, sqlx::Error> {
        self.rows.iter().take(limit).map(codec::event).collect()
    }
}

//! What is old enough goes, a bounded step at a time. For the janitor.
//!
//! Finding and removing are apart: readers find, which holds nobody up, and the writer removes what it is told by place,
//! after it has looked again.

use sqlx::{Row, SqliteConnection, query, query_scalar, sqlite::SqliteRow};
use uuid::Uuid;
use wharf_domain::{
    ClientId, Timestamp, WebhookId,
    retention::{Cutoffs, Visited},
};

use crate::{
    Group, Space, Store, StoreError,
    codec::{At, count, event_status, json_text, size, webhook_id},
    sql,
};

impl Store {
    /// At most `visit` events after the place `after`, in the order of arrival, of all clients.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn visit_events(&self, after: i64, visit: usize) -> Result<Vec<Visited>, StoreError> {
        let rows = query(sql::VISIT_EVENTS).bind(after).bind(count(visit));
        self.all(rows.fetch_all(self.pool()).await, visited)
    }

    /// At most `visit` messages that were sent, after the place `after` (none: from the oldest on), by age and up to the youngest
    /// that `cutoffs` let go, of all clients. What waits to be sent counts as pending, what was sent as delivered.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn visit_outgoing(
        &self,
        after: Option<Visited>,
        cutoffs: &Cutoffs,
        visit: usize,
    ) -> Result<Vec<Visited>, StoreError> {
        let rows = query(sql::VISIT_OUTGOING)
            .bind(after.map_or(i64::MIN, |after| after.created_at.0))
            .bind(after.map_or(i64::MIN, |after| after.seq))
            .bind(At(cutoffs.latest()))
            .bind(count(visit));
        self.all(rows.fetch_all(self.pool()).await, visited)
    }

    /// Webhooks, at most `limit`, that were deleted before `before` and have no events any more.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn empty_webhooks(&self, before: Timestamp, limit: u32) -> Result<Vec<WebhookId>, StoreError> {
        let rows = query(sql::EMPTY_WEBHOOKS).bind(At(before)).bind(limit);
        self.all(rows.fetch_all(self.pool()).await, webhook_id)
    }

    /// Webhooks that were deleted and have events that wait all the same: a backlog that [`Group::settle_webhook`] did not
    /// come to the end of. Looks at all that were deleted.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn unsettled_webhooks(&self) -> Result<Vec<WebhookId>, StoreError> {
        let rows = query(sql::DELETED_WEBHOOKS_WITH_PENDING).fetch_all(self.pool());
        self.all(rows.await, webhook_id)
    }

    /// How many webhooks a client has, without deleted ones.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn count_webhooks(&self, client: ClientId) -> Result<u64, StoreError> {
        self.count(sql::COUNT_WEBHOOKS, client).await
    }

    /// How many connections a client has.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn count_connections(&self, client: ClientId) -> Result<u64, StoreError> {
        self.count(sql::COUNT_CONNECTIONS, client).await
    }

    async fn count(&self, statement: &'static str, client: ClientId) -> Result<u64, StoreError> {
        self.counted(query_scalar(statement).bind(client.0).fetch_one(self.pool()).await)
    }

    fn counted(&self, count: Result<i64, sqlx::Error>) -> Result<u64, StoreError> {
        count
            .map(|count| u64::try_from(count).unwrap_or(0))
            .map_err(|error| self.error(error))
    }

    /// How many events of a client wait for delivery; counting ends at `most`.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn pending_events(&self, client: ClientId, most: u64) -> Result<u64, StoreError> {
        let count = query_scalar(sql::PENDING_EVENTS)
            .bind(client.0)
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_one(self.pool());
        self.counted(count.await)
    }

    /// How many events wait for delivery, of all clients; counting ends at `most`.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn all_pending_events(&self, most: u64) -> Result<u64, StoreError> {
        let count = query_scalar(sql::ALL_PENDING_EVENTS)
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_one(self.pool());
        self.counted(count.await)
    }

    /// When the retention last believed the clock.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn retention_seen_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let seen: Result<Option<At>, sqlx::Error> =
            query_scalar(sql::RETENTION_SEEN_AT).fetch_optional(self.pool()).await;
        seen.map(|seen| seen.map(|at| at.0)).map_err(|error| self.error(error))
    }

    /// How much of the database file is in use, and whether the rest can be given back.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn space(&self) -> Result<Space, StoreError> {
        let space = async {
            let mut connection = self.pool().acquire().await?;
            let mut pragma = async |sql: &'static str| query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await;
            let pages = pragma("PRAGMA page_count").await?;
            let free = pragma("PRAGMA freelist_count").await?;
            // 2 is INCREMENTAL: https://www.sqlite.org/pragma.html#pragma_auto_vacuum
            let shrinks = pragma("PRAGMA auto_vacuum").await? == 2;
            Ok::<_, sqlx::Error>(Space {
                pages: u64::try_from(pages).unwrap_or(0),
                free: u64::try_from(free).unwrap_or(0),
                shrinks,
            })
        };
        space.await.map_err(|error| self.error(error))
    }
}

impl Group<'_> {
    /// How many webhooks a client has, without deleted ones: no other write makes one before the end of this group.
    ///
    /// # Errors
    /// As every write.
    pub async fn count_webhooks(&mut self, client: ClientId) -> Result<u64, StoreError> {
        self.count(sql::COUNT_WEBHOOKS, client).await
    }

    /// The same of connections.
    ///
    /// # Errors
    /// As every write.
    pub async fn count_connections(&mut self, client: ClientId) -> Result<u64, StoreError> {
        self.count(sql::COUNT_CONNECTIONS, client).await
    }

    async fn count(&mut self, statement: &'static str, client: ClientId) -> Result<u64, StoreError> {
        let count: Result<i64, sqlx::Error> = query_scalar(statement).bind(client.0).fetch_one(self.enter()?).await;
        self.leave(count).map(|count| u64::try_from(count).unwrap_or(0))
    }

    /// Removes those of the events at the places `seqs` that are as old as `cutoffs` say, with their attempts and their
    /// places in the list of events. One that was renewed meanwhile stays. Returns how many went.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_events(&mut self, seqs: &[i64], cutoffs: &Cutoffs) -> Result<u64, StoreError> {
        // The list first: what it is asked for by is gone afterwards. The attempts go by their foreign key.
        let result = purge(self.enter()?, &[sql::PURGE_LIST, sql::PURGE_EVENTS], seqs, cutoffs).await;
        self.leave(result)
    }

    /// Removes webhooks that were deleted, with their secrets; those that [`Store::empty_webhooks`] found.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_webhooks(&mut self, webhooks: &[WebhookId]) -> Result<u64, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        lines.forget();
        let ids = webhooks.iter().map(|webhook| webhook.0);
        let result = delete_each(connection, sql::PURGE_WEBHOOK, ids).await;
        self.leave(result)
    }

    /// Notes that the retention believed the clock.
    ///
    /// # Errors
    /// As every write.
    pub async fn note_retention(&mut self, seen_at: Timestamp) -> Result<(), StoreError> {
        let statement = query(sql::NOTE_RETENTION).bind(At(seen_at));
        self.execute(statement).await.map(|_| ())
    }

    /// Gives at most `pages` free pages of the file back to the disk; they are gone with the next checkpoint. Without
    /// effect on a database that was made without incremental vacuum.
    ///
    /// # Errors
    /// As every write.
    pub async fn give_back(&mut self, pages: u32) -> Result<(), StoreError> {
        // A pragma takes no parameters; this is a number.
        let statement = sqlx::AssertSqlSafe(format!("PRAGMA incremental_vacuum({pages})"));
        let result = query(statement).fetch_all(self.enter()?).await;
        self.leave(result.map(|_| ()))
    }
}

/// Has `statement` remove the row of each of these; answers how many there were.
pub(crate) async fn delete_each(
    connection: &mut SqliteConnection,
    statement: &'static str,
    ids: impl Iterator<Item = Uuid>,
) -> Result<u64, sqlx::Error> {
    let mut removed = 0;
    for id in ids {
        let deleted = query(statement).bind(id).execute(&mut *connection).await?;
        removed += deleted.rows_affected();
    }
    Ok(removed)
}

fn visited(row: &SqliteRow) -> Result<Visited, sqlx::Error> {
    Ok(Visited {
        seq: row.try_get(0)?,
        status: event_status(row, 1)?,
        created_at: row.try_get::<At, _>(2)?.0,
        weight: size(row.try_get(3)?),
    })
}

/// Has each of `statements` remove what is condemned at the places `seqs`; answers how many rows the last one removed.
pub(crate) async fn purge(
    connection: &mut SqliteConnection,
    statements: &[&'static str],
    seqs: &[i64],
    cutoffs: &Cutoffs,
) -> Result<u64, sqlx::Error> {
    let seqs = json_text(seqs)?;
    let mut removed = 0;
    for statement in statements {
        let result = query(*statement)
            .bind(seqs.as_str())
            .bind(At(cutoffs.delivered))
            .bind(At(cutoffs.failed))
            .execute(&mut *connection)
            .await?;
        removed = result.rows_affected();
    }
    Ok(removed)
}

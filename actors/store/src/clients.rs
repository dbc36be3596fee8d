//! Writes of clients.

use sqlx::{SqliteConnection, query, query_scalar};
use wharf_domain::{Client, ClientId, Timestamp, TokenHash, retention::fitting};

use crate::{
    Group, StoreError,
    codec::{At, client, size},
    sql,
};

impl Group<'_> {
    /// Adds a client. Its id was never given out before.
    ///
    /// # Errors
    /// `Rejected` when another client has this token.
    pub async fn add_client(&mut self, name: &str, token: &TokenHash, now: Timestamp) -> Result<Client, StoreError> {
        let statement = query(sql::ADD_CLIENT).bind(name).bind(token.0.as_slice()).bind(At(now));
        let row = statement.fetch_one(self.enter()?).await.and_then(|row| client(&row));
        self.leave(row)
    }

    /// Gives a client another token; the one before stops working with the commit. `None`: no such client.
    ///
    /// # Errors
    /// `Rejected` when another client has this token.
    pub async fn rotate_client(
        &mut self,
        id: ClientId,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Client>, StoreError> {
        let statement = query(sql::ROTATE_CLIENT)
            .bind(id.0)
            .bind(token.0.as_slice())
            .bind(At(now));
        let row = statement.fetch_optional(self.enter()?).await;
        self.leave(row.and_then(|row| row.as_ref().map(client).transpose()))
    }

    /// Removes a client: its token stops working with the commit, its data stays until [`Group::purge_client`].
    /// `false`: no such client.
    ///
    /// # Errors
    /// As every write.
    pub async fn remove_client(&mut self, id: ClientId, now: Timestamp) -> Result<bool, StoreError> {
        let statement = query(sql::REMOVE_CLIENT).bind(id.0).bind(At(now));
        Ok(self.execute(statement).await? > 0)
    }

    /// Removes a client's rows for good, after its sessions were logged out. One call removes `limit` rows at the most, fewer
    /// where events have many attempts or long bodies, so that nobody else waits long for the writer; `true` when the client is gone, else call again.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_client(&mut self, id: ClientId, limit: u32) -> Result<bool, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        lines.forget_webhooks_of(id);
        let result = purge(connection, id, limit).await;
        self.leave(result)
    }
}

/// A client may have millions of any of these. What refers to others goes before them.
const ROWS: [&str; 10] = [
    // The first of them, which have no events left.
    sql::PURGE_CLIENT_WEBHOOKS,
    sql::PURGE_CLIENT_DEVICES,
    sql::PURGE_CLIENT_OUTGOING,
    sql::PURGE_CLIENT_POLLS,
    sql::PURGE_CLIENT_KEYS,
    sql::PURGE_CLIENT_MEDIA,
    sql::PURGE_CLIENT_HELD,
    sql::PURGE_CLIENT_AWAITED,
    sql::PURGE_CLIENT_CONNECTIONS,
    sql::PURGE_CLIENT_SEQUENCES,
];

async fn purge(connection: &mut SqliteConnection, id: ClientId, limit: u32) -> Result<bool, sqlx::Error> {
    let (unlisted, room) = next_events(connection, sql::WEIGH_CLIENT_UNLISTED, id, limit.max(1)).await?;
    remove(connection, sql::PURGE_CLIENT_UNLISTED, id, (unlisted, room)).await?;
    if room == 0 {
        return Ok(false);
    }
    let (listed, mut left) = next_events(connection, sql::WEIGH_CLIENT_EVENTS, id, room).await?;
    // The same places of both, in the same order.
    for statement in [sql::PURGE_CLIENT_EVENTS, sql::PURGE_CLIENT_LIST] {
        remove(connection, statement, id, (listed, room)).await?;
    }
    for statement in ROWS {
        if left == 0 {
            return Ok(false);
        }
        let removed = remove(connection, statement, id, (left, left)).await?;
        left = left.saturating_sub(u32::try_from(removed).unwrap_or(u32::MAX));
    }
    if left == 0 {
        return Ok(false);
    }
    query(sql::PURGE_CLIENT).bind(id.0).execute(&mut *connection).await?;
    Ok(true)
}

/// How many of a client's next events a step has `room` for, one at the least, and what is left of it when they are gone: an event
/// takes its attempts and its body along. Nothing is left where there are more.
async fn next_events(
    connection: &mut SqliteConnection,
    weigh: &'static str,
    id: ClientId,
    room: u32,
) -> Result<(u32, u32), sqlx::Error> {
    let weigh = query_scalar(weigh).bind(id.0).bind(room).bind(room);
    let weights: Vec<i64> = weigh.fetch_all(connection).await?;
    let (taken, weight) = fitting(weights.iter().copied().map(size), room as usize);
    let left = match taken == weights.len() {
        true => (room as usize).saturating_sub(weight),
        false => 0,
    };
    let rows = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
    Ok((rows(taken), rows(left)))
}

/// Removes `most` rows at the most, where they are a webhook's those of the first `webhooks`; answers how many went.
async fn remove(
    connection: &mut SqliteConnection,
    statement: &'static str,
    id: ClientId,
    (most, webhooks): (u32, u32),
) -> Result<u64, sqlx::Error> {
    let statement = query(statement).bind(id.0).bind(most).bind(webhooks);
    Ok(statement.execute(connection).await?.rows_affected())
}

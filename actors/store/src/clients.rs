//! Writes of clients.

use sqlx::{SqliteConnection, query};
use wharf_domain::{Client, ClientId, Timestamp, TokenHash};

use crate::{
    Group, StoreError,
    codec::{At, client},
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

    /// Removes a client's rows for good, after its sessions were logged out. One call removes `limit` rows at the most, so
    /// that nobody else waits long for the writer; `true` when the client is gone, else call again.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_client(&mut self, id: ClientId, limit: u32) -> Result<bool, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        lines.forget_webhooks();
        let result = purge(connection, id, limit).await;
        self.leave(result)
    }
}

/// A client may have millions of any of these. What refers to others goes before them.
const ROWS: [&str; 9] = [
    // The first of them, which have no events left.
    sql::PURGE_CLIENT_WEBHOOKS,
    sql::PURGE_CLIENT_DEVICES,
    sql::PURGE_CLIENT_OUTGOING,
    sql::PURGE_CLIENT_POLLS,
    sql::PURGE_CLIENT_KEYS,
    sql::PURGE_CLIENT_MEDIA,
    sql::PURGE_CLIENT_AWAITED,
    sql::PURGE_CLIENT_CONNECTIONS,
    sql::PURGE_CLIENT_SEQUENCES,
];

async fn purge(connection: &mut SqliteConnection, id: ClientId, limit: u32) -> Result<bool, sqlx::Error> {
    let mut room = u64::from(limit.max(1));
    let mut remove = async |statement: &'static str, most: u64| {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let removed = query(statement).bind(id.0).bind(most).execute(&mut *connection).await?;
        Ok::<_, sqlx::Error>(removed.rows_affected())
    };
    room -= remove(sql::PURGE_CLIENT_UNLISTED, room).await?;
    if room == 0 {
        return Ok(false);
    }
    // The same places of both, in the same order.
    let listed = room;
    room -= remove(sql::PURGE_CLIENT_EVENTS, listed).await?.min(room);
    room = room.min(listed - remove(sql::PURGE_CLIENT_LIST, listed).await?.min(listed));
    for statement in ROWS {
        if room == 0 {
            return Ok(false);
        }
        room -= remove(statement, room).await?.min(room);
    }
    if room == 0 {
        return Ok(false);
    }
    query(sql::PURGE_CLIENT).bind(id.0).execute(&mut *connection).await?;
    Ok(true)
}

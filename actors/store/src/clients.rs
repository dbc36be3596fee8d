//! Writes of clients.

use sqlx::{SqliteConnection, query};
use wharf_domain::{Client, ClientId, Timestamp, TokenHash};

use crate::{
    Group, StoreError,
    codec::{At, client},
    sql,
};

/// Events, and keys of devices, removed by one [`Group::purge_client`]: what fits between two group commits without anybody noticing (some
/// 50 µs each on two busy cores).
const PURGE_STEP: i64 = 500;

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
        let result = query(sql::REMOVE_CLIENT)
            .bind(id.0)
            .bind(At(now))
            .execute(self.enter()?)
            .await;
        self.leave(result.map(|result| result.rows_affected() > 0))
    }

    /// Removes a client's rows for good, after its sessions were logged out. One call removes a bounded number of
    /// events, so that nobody else waits long for the writer; `true` when the client is gone, else call again.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_client(&mut self, id: ClientId) -> Result<bool, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        lines.forget_webhooks();
        let result = purge(connection, id).await;
        self.leave(result)
    }
}

async fn purge(connection: &mut SqliteConnection, id: ClientId) -> Result<bool, sqlx::Error> {
    query(sql::PURGE_CLIENT_UNLISTED)
        .bind(id.0)
        .execute(&mut *connection)
        .await?;
    let events = query(sql::PURGE_CLIENT_EVENTS)
        .bind(id.0)
        .bind(PURGE_STEP)
        .execute(&mut *connection)
        .await?;
    query(sql::PURGE_CLIENT_LIST)
        .bind(id.0)
        .bind(PURGE_STEP)
        .execute(&mut *connection)
        .await?;
    let keys = query(sql::PURGE_CLIENT_DEVICES)
        .bind(id.0)
        .bind(PURGE_STEP)
        .execute(&mut *connection)
        .await?;
    if events.rows_affected().max(keys.rows_affected()) == PURGE_STEP.unsigned_abs() {
        return Ok(false);
    }
    for statement in [
        sql::PURGE_CLIENT_WEBHOOKS,
        sql::PURGE_CLIENT_CONNECTIONS,
        sql::PURGE_CLIENT_KEYS,
        sql::PURGE_CLIENT_POLLS,
        sql::PURGE_CLIENT_MEDIA,
        sql::PURGE_CLIENT_OUTGOING,
        sql::PURGE_CLIENT,
    ] {
        query(statement).bind(id.0).execute(&mut *connection).await?;
    }
    Ok(true)
}

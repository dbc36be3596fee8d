//! Writes of connections.

use sqlx::{SqliteConnection, query};
use wharf_domain::{Connection, ConnectionKey, ConnectionStatus, Timestamp};

use crate::{
    ConnectionRecord, Group, StoreError,
    codec::{At, connection},
    sql,
};

impl Group<'_> {
    /// Makes a connection that wants to run. `None`: this client has one for this number.
    ///
    /// # Errors
    /// `Rejected` when there is no such client.
    pub async fn create_connection(
        &mut self,
        key: &ConnectionKey,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        let statement = query(sql::CREATE_CONNECTION)
            .bind(key.client_id.0)
            .bind(key.phone_number.as_str())
            .bind(ConnectionStatus::Connecting.as_str())
            .bind(At(now));
        let row = statement.fetch_optional(self.enter()?).await;
        self.leave(row.and_then(|row| row.as_ref().map(connection).transpose()))
    }

    /// Writes where a connection stands. `false`: no such connection, because it was deleted meanwhile.
    ///
    /// # Errors
    /// As every write.
    pub async fn record_connection(&mut self, change: &ConnectionRecord) -> Result<bool, StoreError> {
        let statement = query(sql::RECORD_CONNECTION)
            .bind(change.key.client_id.0)
            .bind(change.key.phone_number.as_str())
            .bind(change.status.as_str())
            .bind(change.reason.as_deref())
            .bind(change.jid.as_deref())
            .bind(change.push_name.as_deref())
            .bind(change.connected_since.map(At))
            .bind(change.last_event_at.map(At))
            .bind(change.reconnect_attempts)
            .bind(change.wanted)
            .bind(At(change.updated_at));
        let result = statement.execute(self.enter()?).await;
        self.leave(result.map(|result| result.rows_affected() > 0))
    }

    /// Forgets a connection and the polls that it saw. `false`: no such connection.
    ///
    /// # Errors
    /// As every write.
    pub async fn delete_connection(&mut self, key: &ConnectionKey) -> Result<bool, StoreError> {
        let result = delete(self.enter()?, key).await;
        self.leave(result)
    }
}

async fn delete(connection: &mut SqliteConnection, key: &ConnectionKey) -> Result<bool, sqlx::Error> {
    let (client, number) = (key.client_id.0, key.phone_number.as_str());
    let polls = query(sql::FORGET_POLLS).bind(client).bind(number);
    polls.execute(&mut *connection).await?;
    let statement = query(sql::DELETE_CONNECTION).bind(client).bind(number);
    Ok(statement.execute(connection).await?.rows_affected() > 0)
}

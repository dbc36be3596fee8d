//! Writes of connections, and reads of what is sealed in them.

use sqlx::{Row, SqliteConnection, query};
use wharf_domain::{
    ClientId, Connection, ConnectionKey, ConnectionStatus, PhoneNumber, Timestamp, outgoing::Pace, session::ReasonCode,
};

use crate::{
    ConnectionRecord, ConnectionSettings, Group, SealedProxy, Store, StoreError,
    codec::{self, At, connection, of_number},
    sql,
};

/// What of a client has a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WrittenAs {
    /// A connection.
    pub connection: bool,
    /// A webhook that is not deleted.
    pub webhook: bool,
}

impl Store {
    /// The sealed proxy of a connection; `None` when it has none.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn sealed_proxy(&self, key: &ConnectionKey) -> Result<Option<Vec<u8>>, StoreError> {
        let row = of_number(sql::SEALED_PROXY, key).fetch_optional(self.pool()).await;
        Ok(self.one(row, |row| row.try_get(0))?.flatten())
    }

    /// What of a client has this number, written in just this way.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn written_as(&self, key: &ConnectionKey) -> Result<WrittenAs, StoreError> {
        let row = of_number(sql::WRITTEN_AS, key).fetch_optional(self.pool()).await;
        let found = self.one(row, |row| {
            Ok(WrittenAs {
                connection: row.try_get(0)?,
                webhook: row.try_get(1)?,
            })
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The connections that are being deleted, of all clients: those of a process that ended meanwhile among them.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn connections_being_deleted(&self) -> Result<Vec<Connection>, StoreError> {
        let rows = query(sql::CONNECTIONS_BEING_DELETED).bind(ReasonCode::BeingDeleted.as_str());
        self.all(rows.fetch_all(self.pool()).await, connection)
    }

    /// Any sealed proxy of any connection, to try a key on; `None` when there is none.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn any_proxy(&self) -> Result<Option<(ConnectionKey, Vec<u8>)>, StoreError> {
        let row = query(sql::ANY_PROXY).fetch_optional(self.pool()).await;
        self.one(row, |row| {
            let key = ConnectionKey::new(ClientId(row.try_get(0)?), codec::number(row, "phone_number")?);
            Ok((key, row.try_get(2)?))
        })
    }
}

impl Group<'_> {
    /// Makes a connection that wants to run. `None`: this client has one for this number, or a connection or webhook for the
    /// same account in its other way of writing ([`Store::written_as`]).
    ///
    /// # Errors
    /// `Rejected` when there is no such client.
    pub async fn create_connection(
        &mut self,
        new: &ConnectionSettings,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        let other = new.key.phone_number.other_writing();
        let (shown, sealed) = columns(new.proxy.as_ref().and_then(Option::as_ref));
        let (per_second, burst) = rates(new.sending.flatten());
        let statement = of_number(sql::CREATE_CONNECTION, &new.key)
            .bind(ConnectionStatus::Connecting.as_str())
            .bind(At(now))
            .bind(new.device_name.as_ref().and_then(Option::as_deref))
            .bind(shown)
            .bind(sealed)
            .bind(per_second)
            .bind(burst)
            .bind(new.reject_calls.unwrap_or(false))
            .bind(new.mark_read.unwrap_or(false))
            .bind(other.as_ref().map(PhoneNumber::as_str));
        let row = statement.fetch_optional(self.enter()?).await;
        self.leave(row.and_then(|row| row.as_ref().map(connection).transpose()))
    }

    /// Writes where a connection stands. `false`: no such connection, because it was deleted meanwhile.
    ///
    /// # Errors
    /// As every write.
    pub async fn record_connection(&mut self, record: &ConnectionRecord) -> Result<bool, StoreError> {
        let view = &record.view;
        let statement = of_number(sql::RECORD_CONNECTION, &record.key)
            .bind(view.status.as_str())
            .bind(view.reason.as_deref())
            .bind(view.jid.as_deref())
            .bind(view.push_name.as_deref())
            .bind(view.connected_since.map(At))
            .bind(view.last_event_at.map(At))
            .bind(view.reconnect_attempts)
            .bind(view.wanted)
            .bind(At(record.updated_at))
            .bind(view.reason_code.as_str())
            .bind(view.banned_until.map(At));
        Ok(self.execute(statement).await? > 0)
    }

    /// Changes what a client may set of a connection. `None`: no such connection.
    ///
    /// # Errors
    /// As every write.
    pub async fn update_connection(
        &mut self,
        change: &ConnectionSettings,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        let (shown, sealed) = columns(change.proxy.as_ref().and_then(Option::as_ref));
        let (per_second, burst) = rates(change.sending.flatten());
        let statement = of_number(sql::UPDATE_CONNECTION, &change.key)
            .bind(change.device_name.is_some())
            .bind(change.device_name.as_ref().and_then(Option::as_deref))
            .bind(change.proxy.is_some())
            .bind(shown)
            .bind(sealed)
            .bind(At(now))
            .bind(change.sending.is_some())
            .bind(per_second)
            .bind(burst)
            .bind(change.reject_calls)
            .bind(change.mark_read);
        let row = statement.fetch_optional(self.enter()?).await;
        self.leave(row.and_then(|row| row.as_ref().map(connection).transpose()))
    }

    /// Forgets a connection and what is left of the polls that it saw and of its keys, in one go: whatever may be many is to be
    /// removed before, in steps. `false`: no such connection.
    ///
    /// # Errors
    /// As every write.
    pub async fn delete_connection(&mut self, key: &ConnectionKey) -> Result<bool, StoreError> {
        let result = delete(self.enter()?, key).await;
        self.leave(result)
    }
}

async fn delete(connection: &mut SqliteConnection, key: &ConnectionKey) -> Result<bool, sqlx::Error> {
    // What came since whoever deletes it removed them in steps.
    let polls = of_number(sql::FORGET_POLLS, key).bind(i64::MAX);
    polls.execute(&mut *connection).await?;
    let statement = of_number(sql::DELETE_CONNECTION, key);
    Ok(statement.execute(connection).await?.rows_affected() > 0)
}

fn rates(sending: Option<Pace>) -> (Option<u32>, Option<u32>) {
    sending.map(|pace| (pace.per_second, pace.burst)).unzip()
}

fn columns(proxy: Option<&SealedProxy>) -> (Option<&str>, Option<&[u8]>) {
    proxy
        .map(|proxy| (proxy.shown.as_str(), proxy.sealed.as_slice()))
        .unzip()
}

//! Messages that could not be decrypted and are waited for, over restarts.

use serde::{Deserialize, Serialize};
use sqlx::{Row, query, sqlite::SqliteRow};
use wharf_domain::{ClientId, ConnectionKey, Timestamp};

use crate::{
    Group, Store, StoreError,
    bulk::Statement,
    codec::{At, number, of_number},
    sql,
};

/// Which message is waited for, as its stanza named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AwaitedId {
    /// WhatsApp's id of it.
    pub message_id: String,
    /// The chat's JID.
    pub chat: String,
    /// The sender's JID.
    pub sender: String,
}

/// A message that could not be decrypted and is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedMessage {
    /// Which one.
    pub id: AwaitedId,
    /// What else its stanza said; whoever keeps it reads it.
    pub head: String,
    /// When it is to be reported if it has not come, by the wall clock.
    pub due_at: Timestamp,
}

impl Store {
    /// The messages that a number waits for.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn awaited_messages(&self, key: &ConnectionKey) -> Result<Vec<AwaitedMessage>, StoreError> {
        let rows = of_number(sql::AWAITED_MESSAGES, key);
        self.all(rows.fetch_all(self.pool()).await, awaited)
    }

    /// Messages of all numbers that should have been reported at a time `before`, at most `limit`, beyond the one that was
    /// answered last.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn overdue_messages(
        &self,
        before: Timestamp,
        last: Option<&(ConnectionKey, AwaitedId)>,
        limit: u32,
    ) -> Result<Vec<(ConnectionKey, AwaitedMessage)>, StoreError> {
        let rows = beyond(query(sql::AWAITED_OVERDUE).bind(At(before)).bind(limit), last);
        self.all(rows.fetch_all(self.pool()).await, |row| {
            Ok((key_of(row)?, awaited(row)?))
        })
    }
}

/// Binds the place in a walk over what numbers wait for: behind the message that was last.
pub(crate) fn beyond<'q>(walk: Statement<'q>, last: Option<&'q (ConnectionKey, AwaitedId)>) -> Statement<'q> {
    let word = |of: fn(&AwaitedId) -> &str| last.map_or("", |(_, id)| of(id));
    walk.bind(last.map_or(i64::MIN, |(key, _)| key.client_id.0))
        .bind(last.map_or("", |(key, _)| key.phone_number.as_str()))
        .bind(word(|id| &id.message_id))
        .bind(word(|id| &id.chat))
        .bind(word(|id| &id.sender))
}

/// The number that a row is of.
pub(crate) fn key_of(row: &SqliteRow) -> Result<ConnectionKey, sqlx::Error> {
    Ok(ConnectionKey {
        client_id: ClientId(row.try_get("client_id")?),
        phone_number: number(row, "phone_number")?,
    })
}

fn awaited(row: &SqliteRow) -> Result<AwaitedMessage, sqlx::Error> {
    Ok(AwaitedMessage {
        id: AwaitedId {
            message_id: row.try_get("message_id")?,
            chat: row.try_get("chat")?,
            sender: row.try_get("sender")?,
        },
        head: row.try_get("head")?,
        due_at: row.try_get::<At, _>("due_at")?.0,
    })
}

impl Group<'_> {
    /// [`Store::awaited_messages`], as far as this group has come.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn awaited_messages(&mut self, key: &ConnectionKey) -> Result<Vec<AwaitedMessage>, StoreError> {
        let rows = of_number(sql::AWAITED_MESSAGES, key).fetch_all(self.enter()?).await;
        self.leave(rows.and_then(|rows| rows.iter().map(awaited).collect()))
    }

    /// Keeps that messages are waited for. One that is kept already stays as it is.
    ///
    /// # Errors
    /// `Rejected` when the number has no connection.
    pub async fn keep_awaited(&mut self, key: &ConnectionKey, awaited: &[AwaitedMessage]) -> Result<(), StoreError> {
        for message in awaited {
            let statement = of_number(sql::KEEP_AWAITED, key)
                .bind(&message.id.message_id)
                .bind(&message.id.chat)
                .bind(&message.id.sender)
                .bind(&message.head)
                .bind(At(message.due_at));
            self.execute(statement).await?;
        }
        Ok(())
    }

    /// A message is not waited for any more. `false`: it was not.
    ///
    /// # Errors
    /// As every write.
    pub async fn end_awaited(&mut self, key: &ConnectionKey, id: &AwaitedId) -> Result<bool, StoreError> {
        Ok(self.execute(of(sql::END_AWAITED, key, id)).await? > 0)
    }
}

/// A statement about a message that is waited for.
pub(crate) fn of<'q>(statement: &'static str, key: &'q ConnectionKey, id: &'q AwaitedId) -> Statement<'q> {
    of_number(statement, key)
        .bind(&id.message_id)
        .bind(&id.chat)
        .bind(&id.sender)
}

//! Messages that could not be decrypted and are waited for, over restarts.

use sqlx::Row;
use wharf_domain::{ConnectionKey, Timestamp};

use crate::{
    Group, Store, StoreError,
    bulk::Statement,
    codec::{At, of_number},
    sql,
};

/// Which message is waited for, as its stanza named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
        self.all(rows.fetch_all(self.pool()).await, |row| {
            Ok(AwaitedMessage {
                id: AwaitedId {
                    message_id: row.try_get("message_id")?,
                    chat: row.try_get("chat")?,
                    sender: row.try_get("sender")?,
                },
                head: row.try_get("head")?,
                due_at: row.try_get::<At, _>("due_at")?.0,
            })
        })
    }
}

impl Group<'_> {
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

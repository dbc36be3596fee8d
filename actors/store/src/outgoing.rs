//! Messages that go out: a row before WhatsApp hears of them, and how far they have come.

mod note;
mod page;
mod rows;

use wharf_domain::{
    ConnectionKey, Outgoing, OutgoingMessage, Recipient, SendStatus, Timestamp,
    outgoing::{StatusChange, Told},
    retention::Cutoffs,
};

use self::{
    note::{fail_queued, note_all},
    page::page,
    rows::{message, queued},
};
use crate::{
    Group, Store, StoreError,
    codec::{At, of_number, scalar_of_number},
    retention::purge,
    sql,
};

/// A message that is about to go out, or to wait for that.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOutgoing {
    /// The number that sends it.
    pub key: ConnectionKey,
    /// WhatsApp's id of it.
    pub message_id: String,
    /// The message.
    pub outgoing: Outgoing,
    /// When it was asked for: now.
    pub created_at: Timestamp,
    /// When it is not to be started any more.
    pub deadline_at: Timestamp,
    /// Now, if it is handed to WhatsApp right after this; `None` if it waits.
    pub started_at: Option<Timestamp>,
    /// Its file's key, encrypted, when there is one.
    pub file: Option<Vec<u8>>,
}

/// The file of a message that waits, once it is fetched, or uploaded.
#[derive(Debug, Clone, PartialEq)]
pub struct OutgoingFile {
    /// The number that sends the message.
    pub key: ConnectionKey,
    /// WhatsApp's id of the message.
    pub message_id: String,
    /// The message, with what is shown of the file.
    pub outgoing: Outgoing,
    /// Its key and its place at WhatsApp, encrypted.
    pub file: Vec<u8>,
}

/// A message that had neither been sent nor failed.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedMessage {
    /// WhatsApp's id of it.
    pub message_id: String,
    /// The message; `None` if it cannot be read: damaged, or written by a newer version. It holds nothing else up.
    pub outgoing: Option<Outgoing>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it is not to be started any more.
    pub deadline_at: Timestamp,
    /// When it began to be handed to WhatsApp: what became of it then is not known.
    pub started_at: Option<Timestamp>,
    /// Its file's key and its place at WhatsApp, encrypted, when there is a file and it was fetched.
    pub file: Option<Vec<u8>>,
}

/// Something that was learned of messages of one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The number that sent them.
    pub key: ConnectionKey,
    /// What was learned of them.
    pub told: Told,
}

/// Which of a number's messages to list. What is given has to be met all together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutgoingFilter {
    /// Only these.
    pub status: Option<SendStatus>,
    /// Only those that were sent to this recipient, or that WhatsApp has in this chat.
    pub chat: Option<Recipient>,
    /// At most this many.
    pub limit: u32,
    /// Only what is older than the message with this id.
    pub cursor: Option<String>,
}

/// A page of a number's messages, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct OutgoingPage {
    /// The messages.
    pub messages: Vec<OutgoingMessage>,
    /// Where the next page begins: the id of the last message shown.
    pub next_cursor: Option<String>,
}

impl Store {
    /// One message that a number sent, or is to send.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn outgoing_message(
        &self,
        key: &ConnectionKey,
        message_id: &str,
    ) -> Result<Option<OutgoingMessage>, StoreError> {
        let statement = of_number(sql::OUTGOING_MESSAGE, key).bind(message_id);
        self.one(statement.fetch_optional(self.pool()).await, message)
    }

    /// A page of a number's messages, newest first; `None` when the cursor is not the id of one of them. A row that cannot
    /// be read is left out, and named in the log.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn outgoing_messages(
        &self,
        key: &ConnectionKey,
        filter: &OutgoingFilter,
    ) -> Result<Option<OutgoingPage>, StoreError> {
        page(self, key, filter).await.map_err(|error| self.error(error))
    }

    /// What is known of a message's file, encrypted; `None` when there is no such message or no file.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn outgoing_file(&self, key: &ConnectionKey, message_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let statement = scalar_of_number(sql::OUTGOING_FILE, key).bind(message_id);
        let file: Result<Option<Option<Vec<u8>>>, sqlx::Error> = statement.fetch_optional(self.pool()).await;
        file.map(Option::flatten).map_err(|error| self.error(error))
    }

    /// The messages of a number that wait, oldest first.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn queued_messages(&self, key: &ConnectionKey) -> Result<Vec<QueuedMessage>, StoreError> {
        let rows = of_number(sql::QUEUED_MESSAGES, key);
        self.all(rows.fetch_all(self.pool()).await, queued)
    }
}

impl Group<'_> {
    /// Makes the row of a message. `false`: there is one with this id.
    ///
    /// # Errors
    /// `Rejected` when there is no such client.
    pub async fn record_outgoing(&mut self, new: &NewOutgoing) -> Result<bool, StoreError> {
        let statement = of_number(sql::RECORD_OUTGOING, &new.key)
            .bind(&new.message_id)
            .bind(new.outgoing.to.to_string())
            .bind(new.outgoing.content.kind())
            .bind(sqlx::types::Json(&new.outgoing))
            .bind(At(new.created_at))
            .bind(At(new.deadline_at))
            .bind(new.started_at.map(At))
            .bind(new.file.as_deref());
        Ok(self.execute(statement).await? > 0)
    }

    /// Writes what is known of the file of a message that waits. One that does not wait any more is passed over.
    ///
    /// # Errors
    /// As every write.
    pub async fn keep_outgoing_file(&mut self, file: &OutgoingFile) -> Result<(), StoreError> {
        let statement = of_number(sql::KEEP_OUTGOING_FILE, &file.key)
            .bind(&file.message_id)
            .bind(sqlx::types::Json(&file.outgoing))
            .bind(&file.file);
        self.execute(statement).await.map(|_| ())
    }

    /// Writes what was learned; answers what of it is to be told, in the order of the notes. Messages that this number did
    /// not send through Wharf have no row: what their receivers tell is answered as it was heard.
    ///
    /// # Errors
    /// As every write.
    pub async fn note_outgoing(&mut self, notes: &[Note]) -> Result<Vec<StatusChange>, StoreError> {
        let result = note_all(self.enter()?, notes).await;
        self.leave(result)
    }

    /// Ends what still waits of a number whose connection is deleted, or is under way.
    ///
    /// # Errors
    /// As every write.
    pub async fn fail_queued(&mut self, key: &ConnectionKey, now: Timestamp) -> Result<Vec<StatusChange>, StoreError> {
        let result = fail_queued(self.enter()?, key, now).await;
        self.leave(result)
    }

    /// Removes those of the messages at the places `seqs` that are as old as `cutoffs` say: failed ones like failed events,
    /// all others like delivered ones; what waits stays. Returns how many went.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_outgoing(&mut self, seqs: &[i64], cutoffs: &Cutoffs) -> Result<u64, StoreError> {
        let result = purge(self.enter()?, &[sql::PURGE_OUTGOING], seqs, cutoffs).await;
        self.leave(result)
    }
}

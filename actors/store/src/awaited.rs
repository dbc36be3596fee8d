//! Messages that could not be decrypted and are waited for, over restarts; and those about them, which wait behind them.

use sqlx::{Row, query, sqlite::SqliteRow};
use uuid::Uuid;
use wharf_domain::{
    ClientId, ConnectionKey, EventId, EventKind, IncomingMessage, MessageKind, SendStatus, Timestamp,
    message::{Details, Happening},
};

use crate::{
    Group, NewEvent, RecordedEvent, Store, StoreError,
    bulk::Statement,
    codec::{At, number, of_number, scalar_of_number, word},
    sql,
};

/// Messages that wait behind one that is waited for, at the most. One more is told at once.
const MESSAGES_BEHIND_ONE: u32 = 64;
/// Receipts that do: in a group each member gives some.
const RECEIPTS_BEHIND_ONE: u32 = 256;
/// Both.
pub const HELD_BEHIND_ONE: u32 = MESSAGES_BEHIND_ONE + RECEIPTS_BEHIND_ONE;
/// The same behind all that a number waits for.
const HELD_BEHIND_ALL: u32 = 1024;

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

    /// What messages wait for in vain, at most `limit`: it is not waited for any more, or (`true`) should have been reported
    /// `before`.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn held_in_vain(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(ConnectionKey, AwaitedId, bool)>, StoreError> {
        let rows = query(sql::HELD_IN_VAIN).bind(At(before)).bind(limit);
        self.all(rows.fetch_all(self.pool()).await, |row| {
            let key = ConnectionKey {
                client_id: ClientId(row.try_get("client_id")?),
                phone_number: number(row, "phone_number")?,
            };
            Ok((key, held_behind(row)?, row.try_get("is_awaited")?))
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

    /// Has a message wait behind one that is waited for. `false`: that is not so, or nobody wants it, or enough wait there, and
    /// it becomes an event now, if any; so does one with a file, whose link has its event's id.
    ///
    /// # Errors
    /// As every write.
    pub async fn hold(&mut self, id: &AwaitedId, new: &NewEvent) -> Result<bool, StoreError> {
        let (key, message) = (&new.key, &new.message);
        if message.awaited_media().is_some() {
            return Ok(false);
        }
        let (connection, lines) = self.enter_with_lines()?;
        let wanted = lines.webhook_for(connection, key, message).await;
        if self.leave(wanted)?.is_none() {
            return Ok(false);
        }
        let (status, participant) = receipt(message);
        let most = if status.is_empty() { MESSAGES_BEHIND_ONE } else { RECEIPTS_BEHIND_ONE };
        let may_hold = scalar_of_number(sql::MAY_HOLD, key)
            .bind(&id.message_id)
            .bind(&id.chat)
            .bind(&id.sender)
            .bind(!status.is_empty())
            .bind(most)
            .bind(HELD_BEHIND_ALL);
        let may_hold = may_hold.fetch_one(self.enter()?).await;
        if !self.leave(may_hold)? {
            return Ok(false);
        }
        // Each of a receiver's devices gives a receipt, at its own time.
        let sent_at = if status.is_empty() { message.timestamp } else { Timestamp(0) };
        let statement = of(sql::HOLD, key, id)
            .bind(&message.chat)
            .bind(&message.sender)
            .bind(&message.message_id)
            .bind(At(sent_at))
            .bind(message.kind.as_str())
            .bind(message.event() == EventKind::Sent)
            .bind(&new.payload)
            .bind(status)
            .bind(participant);
        self.execute(statement).await?;
        Ok(true)
    }

    /// Makes events of what waits behind a message, in the order in which it came.
    ///
    /// # Errors
    /// As every write.
    pub async fn release(
        &mut self,
        key: &ConnectionKey,
        id: &AwaitedId,
        now: Timestamp,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = of(sql::HELD, key, id).fetch_all(self.enter()?).await;
        let held = rows.and_then(|rows| rows.iter().map(|row| held(row, key, now)).collect());
        let held: Vec<NewEvent> = self.leave(held)?;
        if held.is_empty() {
            return Ok(Vec::new());
        }
        self.execute(of(sql::RELEASE, key, id)).await?;
        self.record_inbound(&held).await
    }

    /// The same of all that waits behind messages of a number.
    ///
    /// # Errors
    /// As every write.
    pub async fn release_all(&mut self, key: &ConnectionKey, now: Timestamp) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = of_number(sql::HELD_OF_NUMBER, key).fetch_all(self.enter()?).await;
        let ids = rows.and_then(|rows| rows.iter().map(held_behind).collect());
        let ids: Vec<AwaitedId> = self.leave(ids)?;
        let mut recorded = Vec::new();
        for id in &ids {
            recorded.extend(self.release(key, id, now).await?);
        }
        Ok(recorded)
    }
}

/// A statement about a message that is waited for.
fn of<'q>(statement: &'static str, key: &'q ConnectionKey, id: &'q AwaitedId) -> Statement<'q> {
    of_number(statement, key)
        .bind(&id.message_id)
        .bind(&id.chat)
        .bind(&id.sender)
}

fn held_behind(row: &SqliteRow) -> Result<AwaitedId, sqlx::Error> {
    Ok(AwaitedId {
        message_id: row.try_get("awaited_id")?,
        chat: row.try_get("awaited_chat")?,
        sender: row.try_get("awaited_sender")?,
    })
}

/// Of a receipt how far the message has come, and whose it is; nothing of a message.
fn receipt(message: &IncomingMessage) -> (&str, &str) {
    match message.happening() {
        Some(Happening::Status {
            status, participant, ..
        }) => (status.as_str(), participant.as_deref().unwrap_or_default()),
        _ => ("", ""),
    }
}

/// What happened of what waited, if it is no message that came in, as far as it is recognised and sent by it.
fn happening(row: &SqliteRow) -> Result<Option<Happening>, sqlx::Error> {
    let (to, to_lid) = (String::new(), None);
    let (status, participant): (&str, &str) = (row.try_get("status")?, row.try_get("participant")?);
    if !status.is_empty() {
        return Ok(Some(Happening::Status {
            to,
            to_lid,
            status: word("status", status, SendStatus::from_word)?,
            code: None,
            participant: Some(participant.to_owned()).filter(|participant| !participant.is_empty()),
        }));
    }
    let is_from_me = row.try_get::<bool, _>("is_sent")?;
    Ok(is_from_me.then_some(Happening::Sent { to, to_lid, is_from_me }))
}

/// An event to be made of what waited: its body is there, and of the message itself what it is recognised and sent by.
fn held(row: &SqliteRow, key: &ConnectionKey, now: Timestamp) -> Result<NewEvent, sqlx::Error> {
    let happening = happening(row)?;
    let details = happening.map(|happening| Details {
        happening: Some(happening),
        ..Details::default()
    });
    Ok(NewEvent {
        id: EventId(Uuid::now_v7()),
        key: key.clone(),
        message: IncomingMessage {
            chat: row.try_get("chat")?,
            sender: row.try_get("sender")?,
            message_id: row.try_get("message_id")?,
            from: String::new(),
            timestamp: row.try_get::<At, _>("sent_at")?.0,
            kind: word("type", row.try_get("type")?, MessageKind::from_word)?,
            content: String::new(),
            details: details.map(Box::new),
        },
        payload: row.try_get("payload")?,
        created_at: now,
    })
}

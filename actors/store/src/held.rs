//! What is about a message that is waited for, and waits behind it.

use sqlx::{Row, query, sqlite::SqliteRow};
use uuid::Uuid;
use wharf_domain::{
    ConnectionKey, EventId, EventKind, IncomingMessage, MessageKind, SendStatus, Timestamp,
    message::{AwaitedMedia, Details, Happening, Media, Unknown, UnknownReason, is_update_chat},
};

use crate::{
    AwaitedId, Group, NewEvent, RecordedEvent, Store, StoreError,
    awaited::{beyond, key_of, of},
    bulk::Statement,
    codec::{At, of_number, scalar_of_number, word},
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

/// What a message waits behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The message that is waited for.
    pub id: AwaitedId,
    /// The message as it came, if it could not be opened without that one; whoever keeps it reads it.
    pub sealed: Option<Vec<u8>>,
}

/// One that was opened, or needs not be.
impl From<AwaitedId> for Behind {
    fn from(id: AwaitedId) -> Self {
        Self { id, sealed: None }
    }
}

impl Store {
    /// What messages wait for in vain, at most `limit`, beyond what was asked for last: it is not waited for any more, or should have
    /// been reported at a time `before`, which is with it.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn held_in_vain(
        &self,
        before: Timestamp,
        last: Option<&(ConnectionKey, AwaitedId)>,
        limit: u32,
    ) -> Result<Vec<(ConnectionKey, AwaitedId, Option<Timestamp>)>, StoreError> {
        let rows = beyond(query(sql::HELD_IN_VAIN).bind(At(before)).bind(limit), last);
        self.all(rows.fetch_all(self.pool()).await, |row| {
            let due_at = row.try_get::<Option<At>, _>("due_at")?;
            Ok((key_of(row)?, held_behind(row)?, due_at.map(|at| at.0)))
        })
    }

    /// What waits behind a message and could not be opened without it, as it came and in its order.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn sealed_behind(&self, key: &ConnectionKey, id: &AwaitedId) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = of(sql::SEALED, key, id);
        self.all(rows.fetch_all(self.pool()).await, |row| row.try_get("sealed"))
    }
}

impl Group<'_> {
    /// Has a message wait behind one that is waited for, or says what one that waits there was opened as. `false`: that is not so,
    /// or nobody wants it, or enough wait there, and it becomes an event now, if any.
    ///
    /// # Errors
    /// As every write.
    pub async fn hold(&mut self, behind: &Behind, new: &NewEvent) -> Result<bool, StoreError> {
        let (key, id, message) = (&new.key, &behind.id, &new.message);
        let (connection, lines) = self.enter_with_lines()?;
        let wanted = lines.webhook_for(connection, key, message).await;
        if self.leave(wanted)?.is_none() {
            return Ok(false);
        }
        if self.execute(row(sql::HOLD_READ, behind, new)).await? > 0 {
            return Ok(true);
        }
        let is_receipt = message.event() == EventKind::Status;
        let (status, participant) = receipt(message);
        let may_hold = scalar_of_number(sql::MAY_HOLD, key)
            .bind(&id.message_id)
            .bind(&id.chat)
            .bind(&id.sender)
            .bind(is_receipt)
            .bind(if is_receipt {
                RECEIPTS_BEHIND_ONE
            } else {
                MESSAGES_BEHIND_ONE
            })
            .bind(HELD_BEHIND_ALL)
            .bind(&message.chat)
            .bind(&message.sender)
            .bind(&message.message_id)
            .bind(message.kind.as_str())
            .bind(At(sent_at(message)))
            .bind(status)
            .bind(participant);
        let may_hold = may_hold.fetch_one(self.enter()?).await;
        if !self.leave(may_hold)? {
            return Ok(false);
        }
        self.execute(row(sql::HOLD, behind, new)).await?;
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
        let held = |row: &SqliteRow| Ok((row.try_get("seq")?, held(row, key, now)?));
        let all = rows.and_then(|rows| rows.iter().map(held).collect());
        // Few, and the index has them by what they wait for.
        let mut all: Vec<(i64, NewEvent)> = self.leave(all)?;
        all.sort_by_key(|(seq, _)| *seq);
        let held: Vec<NewEvent> = all.into_iter().map(|(_, held)| held).collect();
        self.execute(of_number(sql::RELEASE_OF_NUMBER, key)).await?;
        self.record_inbound(&held).await
    }
}

/// Binds the row of what waits.
fn row<'q>(statement: &'static str, behind: &'q Behind, new: &'q NewEvent) -> Statement<'q> {
    let message = &new.message;
    let (media, awaited) = (message.media(), message.awaited_media());
    let media = media.filter(|_| awaited.is_some());
    let (status, participant) = receipt(message);
    of(statement, &new.key, &behind.id)
        .bind(&message.chat)
        .bind(&message.sender)
        .bind(&message.message_id)
        .bind(At(sent_at(message)))
        .bind(message.kind.as_str())
        .bind(message.event() == EventKind::Sent)
        .bind(&new.payload)
        .bind(status)
        .bind(participant)
        .bind(behind.sealed.as_deref())
        .bind(awaited.map(|_| new.id.0))
        .bind(media.map(|media| i64::try_from(media.size).unwrap_or(i64::MAX)))
        .bind(media.map(|media| media.mime_type.as_str()))
        .bind(media.map(|media| media.sha256.as_str()))
        .bind(awaited.map(|awaited| awaited.sealed.as_slice()))
        .bind(awaited.map(|awaited| At(awaited.expires_at)))
}

/// The time by which it is recognised. All devices of a receiver tell of one step, each at its own.
fn sent_at(message: &IncomingMessage) -> Timestamp {
    match message.event() {
        EventKind::Status => Timestamp(0),
        _ => message.timestamp,
    }
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

/// What happened of what waited in a chat, if it is no message that came in, as far as it is recognised and sent by it.
fn happening(row: &SqliteRow, chat: &str) -> Result<Option<Happening>, sqlx::Error> {
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
    Ok(match is_from_me {
        true => Some(Happening::Sent { to, to_lid, is_from_me }),
        false => is_update_chat(chat).then_some(Happening::Update {}),
    })
}

/// The file that its event is to wait for, and that event's id.
fn file(row: &SqliteRow) -> Result<Option<(Uuid, Media)>, sqlx::Error> {
    let Some(id) = row.try_get("event_id")? else {
        return Ok(None);
    };
    let awaited = AwaitedMedia {
        sealed: row.try_get("file_sealed")?,
        expires_at: row.try_get::<At, _>("file_expires_at")?.0,
    };
    let media = Media {
        mime_type: row.try_get("file_type")?,
        size: u64::try_from(row.try_get::<i64, _>("file_size")?).unwrap_or(0),
        sha256: row.try_get("file_sha256")?,
        awaited: Some(Box::new(awaited)),
        ..Media::default()
    };
    Ok(Some((id, media)))
}

/// An event to be made of what waited: its body is there, and of the message itself what it is recognised and sent by.
fn held(row: &SqliteRow, key: &ConnectionKey, now: Timestamp) -> Result<NewEvent, sqlx::Error> {
    let kind = word("type", row.try_get("type")?, MessageKind::from_word)?;
    let chat: String = row.try_get("chat")?;
    let (id, media) = file(row)?.unzip();
    // What could not be opened is told as an unknown message, unless it says by itself what it is.
    let is_sealed: bool = row.try_get("is_sealed")?;
    let unknown = (is_sealed && kind == MessageKind::Unknown).then_some(Unknown {
        reason: UnknownReason::Undecryptable,
        name: None,
    });
    let details = Details {
        happening: happening(row, &chat)?,
        media: media.map(Box::new),
        unknown,
        ..Details::default()
    };
    Ok(NewEvent {
        id: EventId(id.unwrap_or_else(Uuid::now_v7)),
        key: key.clone(),
        message: IncomingMessage {
            chat,
            sender: row.try_get("sender")?,
            message_id: row.try_get("message_id")?,
            from: String::new(),
            timestamp: row.try_get::<At, _>("sent_at")?.0,
            kind,
            content: String::new(),
            details: Some(Box::new(details)),
        },
        payload: row.try_get("payload")?,
        created_at: now,
    })
}

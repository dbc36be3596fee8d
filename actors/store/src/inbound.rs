//! Messages that came in become events.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
};

use bytes::Bytes;
use sqlx::{SqliteConnection, query_scalar};
use wharf_domain::{
    ConnectionKey, EventId, EventKind, IncomingMessage, PendingEvent, WebhookId, message::MESSAGE_KEY_BYTES,
};

use crate::{
    Group, NewEvent, RecordedEvent, StoreError,
    bulk::{RECORD_INBOUND, Statement, chunks},
    codec::{At, count},
    lines::{Lines, Taker},
    media, sql,
};

impl Group<'_> {
    /// Makes one event of each message whose number has a live webhook that wants its kind, in the order given, and
    /// numbers it within its phone number. A message without one, and one that was recorded before (same webhook, chat, sender, message id
    /// and time of sending), makes none and is no error: WhatsApp may be told that we have it. Neither does a status of a
    /// message of which more was told before. Returns the events made, in order.
    ///
    /// # Errors
    /// `Rejected` when an event's id was used before.
    pub async fn record_inbound<N: Borrow<NewEvent> + Sync>(
        &mut self,
        messages: &[N],
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        let result = record(connection, lines, messages).await;
        self.leave(result)
    }

    /// Whether a number has a live webhook that wants to be told of such.
    ///
    /// # Errors
    /// As every write.
    pub async fn wants(&mut self, key: &ConnectionKey, kind: EventKind) -> Result<bool, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        let result = lines.wants(connection, key, kind).await;
        self.leave(result)
    }
}

/// A message whose number has a webhook.
type Addressed<'m> = (&'m NewEvent, Taker);

/// A message with the sequence that it gets if it is new.
pub(crate) struct Numbered<'m> {
    pub(crate) new: &'m NewEvent,
    taker: Taker,
    pub(crate) sequence: i64,
    pub(crate) key: [u8; MESSAGE_KEY_BYTES],
}

impl<'m> Numbered<'m> {
    pub(crate) fn new(new: &'m NewEvent, taker: Taker, sequence: i64) -> Self {
        Self {
            new,
            taker,
            sequence,
            key: new.message.key(taker.webhook_id),
        }
    }
}

async fn record<N: Borrow<NewEvent>>(
    connection: &mut SqliteConnection,
    lines: &mut Lines,
    messages: &[N],
) -> Result<Vec<RecordedEvent>, sqlx::Error> {
    lines.make_room();
    let mut addressed: Vec<Addressed<'_>> = Vec::with_capacity(messages.len());
    let mut statuses = HashSet::new();
    for new in messages {
        let new: &NewEvent = new.borrow();
        if let Some(taker) = lines.webhook_for(connection, &new.key, &new.message).await?
            && !(new.message.event() == EventKind::Status
                && is_old_news(connection, &mut statuses, &new.message, taker.webhook_id).await?)
        {
            addressed.push((new, taker));
        }
    }
    let mut recorded = Vec::with_capacity(addressed.len());
    for chunk in chunks(&addressed) {
        record_chunk(connection, lines, chunk, &mut recorded).await?;
    }
    media::hold(
        connection,
        messages.iter().map(Borrow::<NewEvent>::borrow),
        &mut recorded,
    )
    .await?;
    // Nobody's answer is awaited for what is pulled: it counts as delivered as it is committed, unless it waits for its file.
    if recorded.iter().any(|recorded| recorded.is_pulled)
        && let [first, .., last] | [first @ last] = recorded.as_slice()
    {
        let deliver = sqlx::query(sql::DELIVER_PULLED)
            .bind(first.event.seq)
            .bind(last.event.seq);
        deliver.execute(&mut *connection).await?;
    }
    if let Some(last) = recorded.last() {
        lines.keep_list(connection, last.event.seq).await?;
    }
    Ok(recorded)
}

/// Whether more was told of a message than this status says, before or among `statuses`, where it is noted.
async fn is_old_news(
    connection: &mut SqliteConnection,
    statuses: &mut HashSet<[u8; MESSAGE_KEY_BYTES]>,
    message: &IncomingMessage,
    webhook_id: WebhookId,
) -> Result<bool, sqlx::Error> {
    for key in message.keys_beyond(webhook_id) {
        let told = query_scalar(sql::IS_RECORDED).bind(key.as_slice());
        if statuses.contains(&key) || told.fetch_one(&mut *connection).await? {
            return Ok(true);
        }
    }
    statuses.insert(message.key(webhook_id));
    Ok(false)
}

async fn record_chunk(
    connection: &mut SqliteConnection,
    lines: &mut Lines,
    chunk: &[Addressed<'_>],
    recorded: &mut Vec<RecordedEvent>,
) -> Result<(), sqlx::Error> {
    let numbered: Vec<Numbered<'_>> = chunk
        .iter()
        .map(|&(new, taker)| Numbered::new(new, taker, lines.next_sequence(&new.key)))
        .collect();
    let (made, last_seq) = insert(connection, &numbered).await?;
    if made < chunk.len() {
        // Some were recorded before, which is rare: the others are numbered anew, without a gap.
        for numbered in numbered.iter().rev() {
            lines.set_sequence(&numbered.new.key, numbered.sequence - 1);
        }
        if made == 0 {
            return Ok(());
        }
        // What was there before stays as it is: an event that is given twice, because nobody knew whether it was committed,
        // has the same id both times.
        for (new, _) in chunk {
            let take_back = sqlx::query(sql::TAKE_BACK).bind(new.id.0).bind(count(chunk.len()));
            take_back.execute(&mut *connection).await?;
        }
        return one_by_one(connection, lines, chunk, recorded).await;
    }
    // The rows' places are one after another, in the order of the statement: AUTOINCREMENT, and one writer.
    let first_seq = last_seq - count(made) + 1;
    recorded.extend((first_seq..).zip(&numbered).map(|(seq, numbered)| event(numbered, seq)));
    Ok(())
}

async fn one_by_one(
    connection: &mut SqliteConnection,
    lines: &mut Lines,
    chunk: &[Addressed<'_>],
    recorded: &mut Vec<RecordedEvent>,
) -> Result<(), sqlx::Error> {
    for &(new, taker) in chunk {
        let sequence = lines.next_sequence(&new.key);
        let numbered = Numbered::new(new, taker, sequence);
        let (made, seq) = insert(connection, std::slice::from_ref(&numbered)).await?;
        if made == 1 {
            recorded.push(event(&numbered, seq));
        } else {
            lines.set_sequence(&new.key, sequence - 1);
        }
    }
    Ok(())
}

/// Answers how many rows were new, and the place of the last one. If all were, the sequences given out are written, too.
async fn insert(connection: &mut SqliteConnection, numbered: &[Numbered<'_>]) -> Result<(usize, i64), sqlx::Error> {
    let last: HashMap<&ConnectionKey, i64> = numbered.iter().map(|event| (&event.new.key, event.sequence)).collect();
    let last: Vec<(&ConnectionKey, i64)> = last.into_iter().collect();
    let statement =
        RECORD_INBOUND
            .of_size(numbered.len())
            .rows(numbered, bind_event)
            .rows(&last, |statement, (key, sequence)| {
                statement
                    .bind(key.client_id.0)
                    .bind(key.phone_number.as_str())
                    .bind(*sequence)
                    .bind(count(numbered.len()))
            });
    let result = statement.done().execute(connection).await?;
    // Of both statements together, and the second one changes nothing unless all events are new.
    let changed = usize::try_from(result.rows_affected()).unwrap_or(usize::MAX);
    Ok((changed.min(numbered.len()), result.last_insert_rowid()))
}

/// Binds the columns of an event's row.
pub(crate) fn bind_event<'q>(statement: Statement<'q>, numbered: &'q Numbered<'_>) -> Statement<'q> {
    let new = numbered.new;
    statement
        .bind(new.id.0)
        .bind(numbered.taker.webhook_id.0)
        .bind(new.key.client_id.0)
        .bind(numbered.sequence)
        .bind(At(new.created_at))
        .bind(numbered.key.as_slice())
        .bind(new.message.chat.as_str())
        .bind(new.message.sender.as_str())
        .bind(new.message.message_id.as_str())
        .bind(new.payload.as_str())
}

/// The event of a message, at its place in the order of arrival.
pub(crate) fn event(numbered: &Numbered<'_>, seq: i64) -> RecordedEvent {
    let new = numbered.new;
    RecordedEvent {
        client_id: new.key.client_id,
        webhook_id: numbered.taker.webhook_id,
        is_pulled: numbered.taker.is_pulled,
        event: PendingEvent {
            id: EventId(new.id.0),
            seq,
            sequence: numbered.sequence,
            chat: new.message.chat.as_str().into(),
            attempt_count: 0,
            budget_start: 0,
            next_retry_at: None,
            payload: Some(Bytes::copy_from_slice(new.payload.as_bytes())),
        },
    }
}

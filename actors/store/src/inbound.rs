//! Messages that came in become events.

use std::{borrow::Borrow, collections::HashMap};

use bytes::Bytes;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;
use wharf_domain::{EventId, PendingEvent, WebhookId};

use crate::{
    Group, NewEvent, RecordedEvent, StoreError,
    bulk::{RECORD_INBOUND, chunks},
    codec::At,
};

impl Group<'_> {
    /// Makes one event of each message whose number has a live webhook, in the order given. A message without one, and
    /// one that was recorded before (same webhook, chat, sender and message id), makes none and is no error: WhatsApp
    /// may be told that we have it. Returns the events made, in order.
    ///
    /// # Errors
    /// `Rejected` when an event's id was used before.
    pub async fn record_inbound<N: Borrow<NewEvent> + Sync>(
        &mut self,
        messages: &[N],
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let result = record(self.enter()?, messages).await;
        self.leave(result)
    }
}

async fn record<N: Borrow<NewEvent>>(
    connection: &mut SqliteConnection,
    messages: &[N],
) -> Result<Vec<RecordedEvent>, sqlx::Error> {
    let mut recorded = Vec::with_capacity(messages.len());
    for chunk in chunks(messages) {
        let statement = RECORD_INBOUND.statement(chunk, |statement, new| {
            let new: &NewEvent = new.borrow();
            statement
                .bind(new.id.0)
                .bind(new.key.client_id.0)
                .bind(new.key.phone_number.as_str())
                .bind(new.message.chat.as_str())
                .bind(new.message.sender.as_str())
                .bind(new.message.message_id.as_str())
                .bind(new.message.from.as_str())
                .bind(new.message.kind.as_str())
                .bind(new.message.content.as_str())
                .bind(new.payload.as_str())
                .bind(At(new.created_at))
        });
        // Neither database promises an order of RETURNING, so the rows are found by their ids.
        let mut made = HashMap::with_capacity(chunk.len());
        for row in statement.fetch_all(&mut *connection).await? {
            made.insert(
                row.try_get::<Uuid, _>(1)?,
                (row.try_get::<i64, _>(0)?, row.try_get::<Uuid, _>(2)?),
            );
        }
        recorded.extend(chunk.iter().filter_map(|new| {
            let new: &NewEvent = new.borrow();
            let (seq, webhook) = made.remove(&new.id.0)?;
            Some(RecordedEvent {
                webhook_id: WebhookId(webhook),
                event: first_attempt(new, seq),
            })
        }));
    }
    Ok(recorded)
}

fn first_attempt(new: &NewEvent, seq: i64) -> PendingEvent {
    PendingEvent {
        id: EventId(new.id.0),
        seq,
        chat: new.message.chat.as_str().into(),
        attempt_count: 0,
        budget_start: 0,
        next_retry_at: None,
        payload: Bytes::copy_from_slice(new.payload.as_bytes()),
    }
}

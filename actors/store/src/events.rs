//! Reads of events: one, a page of a webhook's, a payload.

use bytes::Bytes;
use sqlx::{Row, query, query_scalar};
use wharf_domain::{ClientId, Event, EventId, EventStatus, WebhookId};

use crate::{Cursor, EventFilter, EventPage, Store, StoreError, codec, sql};

impl Store {
    /// One event of a client.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn event(&self, client: ClientId, id: EventId) -> Result<Option<Event>, StoreError> {
        let row = query(sql::EVENT)
            .bind(client.0)
            .bind(id.0)
            .fetch_optional(self.pool())
            .await;
        self.one(row, codec::event)
    }

    /// A page of a webhook's events, newest first. A webhook of another client has none, and nothing comes after a
    /// cursor whose event is gone (the retention removes the oldest first) or is another webhook's.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn events(
        &self,
        client: ClientId,
        webhook: WebhookId,
        filter: &EventFilter,
    ) -> Result<EventPage, StoreError> {
        let before = match filter.cursor {
            None => i64::MAX,
            Some(cursor) => self.seq_of(client, webhook, cursor).await?.unwrap_or(0),
        };
        let statement = match filter.status {
            None => sql::EVENTS_ALL,
            Some(EventStatus::Pending) => sql::EVENTS_PENDING,
            Some(EventStatus::Delivered) => sql::EVENTS_DELIVERED,
            Some(EventStatus::Failed) => sql::EVENTS_FAILED,
        };
        // One more than asked for says whether a next page exists.
        let limit = filter.limit as usize;
        let rows = query(statement)
            .bind(client.0)
            .bind(webhook.0)
            .bind(before)
            .bind(i64::from(filter.limit) + 1);
        let rows = rows.fetch_all(self.pool()).await.map_err(|error| self.error(error))?;
        let shown = &rows[..rows.len().min(limit)];
        let events: Vec<Event> = shown
            .iter()
            .map(codec::event)
            .collect::<Result<_, _>>()
            .map_err(|error| self.error(error))?;
        let next_cursor = if rows.len() > limit {
            events.last().map(|event| Cursor(event.id))
        } else {
            None
        };
        Ok(EventPage { events, next_cursor })
    }

    async fn seq_of(&self, client: ClientId, webhook: WebhookId, cursor: Cursor) -> Result<Option<i64>, StoreError> {
        let seq = query_scalar(sql::EVENT_SEQ)
            .bind(client.0)
            .bind(webhook.0)
            .bind(cursor.0.0);
        seq.fetch_optional(self.pool()).await.map_err(|error| self.error(error))
    }

    /// The body of an event's attempts. Not asked for by a tenant but by the actor that delivers the event, hence
    /// without a client.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn payload(&self, id: EventId) -> Result<Option<Bytes>, StoreError> {
        let row = query(sql::PAYLOAD).bind(id.0).fetch_optional(self.pool()).await;
        self.one(row, |row| row.try_get::<Vec<u8>, _>(0).map(Bytes::from))
    }
}

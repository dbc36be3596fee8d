//! Parked events: those that ended `failed` because their budget was used up, and their way back.

use sqlx::{Row, query};
use wharf_domain::{EventId, WebhookId, delivery::ParkedEvent};

use crate::{
    Group, RecordedEvent, Store, StoreError,
    codec::{At, count, recorded},
    sql,
};

impl Store {
    /// The webhook's parked events after a place in the order of arrival, `limit` at the most. Not asked for by a
    /// tenant but by the actor that delivers the events, hence without a client.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn parked_events(
        &self,
        webhook: WebhookId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, StoreError> {
        let rows = query(sql::PARKED_EVENTS)
            .bind(webhook.0)
            .bind(after)
            .bind(count(limit))
            .fetch_all(self.pool())
            .await;
        self.all(rows, |row| {
            Ok(ParkedEvent {
                id: EventId(row.try_get(0)?),
                seq: row.try_get(1)?,
                next_retry_at: row.try_get::<At, _>(2)?.0,
            })
        })
    }
}

impl Group<'_> {
    /// Makes a parked event pending, due now, for one attempt more than its budget had. `None`: it is not parked, or
    /// not this webhook's.
    ///
    /// # Errors
    /// As every write.
    pub async fn revive_event(&mut self, webhook: WebhookId, id: EventId) -> Result<Option<RecordedEvent>, StoreError> {
        let connection = self.enter()?;
        let result = async {
            let row = query(sql::REVIVE_EVENT)
                .bind(webhook.0)
                .bind(id.0)
                .fetch_optional(connection)
                .await?;
            row.as_ref().map(recorded).transpose()
        };
        let result = result.await;
        self.leave(result)
    }
}

//! Manual retries.

use sqlx::{Row, SqliteConnection, query};
use uuid::Uuid;
use wharf_domain::{ClientId, EventId, EventStatus, Timestamp, WebhookId};

use crate::{Group, Renewal, StoreError, codec::pending_event, sql};

impl Group<'_> {
    /// Begins a manual retry (CONTRACT.md sections 4 and 7): the event becomes pending, due now, with a fresh budget;
    /// `attempt_count` and what is known of the last attempt stay. A delivered one only with `force`. No column keeps
    /// the time of it.
    ///
    /// # Errors
    /// As every write.
    pub async fn renew_event(
        &mut self,
        client: ClientId,
        id: EventId,
        force: bool,
        _now: Timestamp,
    ) -> Result<Renewal, StoreError> {
        let result = renew(self.enter()?, client, id, force).await;
        self.leave(result)
    }
}

async fn renew(
    connection: &mut SqliteConnection,
    client: ClientId,
    id: EventId,
    force: bool,
) -> Result<Renewal, sqlx::Error> {
    let found = query(sql::EVENT_TO_RENEW)
        .bind(client.0)
        .bind(id.0)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(found) = found else {
        return Ok(Renewal::NotFound);
    };
    let (status, active, deleted): (&str, bool, bool) = (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?);
    if deleted {
        return Ok(Renewal::WebhookDeleted);
    }
    if !active {
        return Ok(Renewal::Inactive);
    }
    if status == EventStatus::Delivered.as_str() && !force {
        return Ok(Renewal::Delivered);
    }
    let row = query(sql::RENEW_EVENT).bind(id.0).fetch_one(connection).await?;
    Ok(Renewal::Renewed {
        webhook_id: WebhookId(row.try_get::<Uuid, _>(0)?),
        event: pending_event(&row)?,
    })
}

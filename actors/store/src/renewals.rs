//! Manual retries.

use std::time::Instant;

use sqlx::{Row, SqliteConnection, query, query_scalar, sqlite::SqliteRow};
use uuid::Uuid;
use wharf_domain::{AWAITS_MEDIA, ClientId, EventId, EventStatus, PendingEvent, Timestamp, WebhookId};

use crate::{
    BulkRenewal, FailedEvents, FailedFilter, Group, Renewal, Store, StoreError,
    codec::{At, json_text, kept_payload_bytes, pending_event, size},
    sql,
    walk::{Pieces, Places, bounds},
};

/// Failed events that one request looks at, at the most.
const VISITED: i64 = 100_000;

impl Store {
    /// Finds failed events of a webhook, oldest first. Looks at 100,000 of them at the most, or at as many as there is time
    /// for, but always further than `since`.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn failed_events(
        &self,
        client: ClientId,
        webhook: WebhookId,
        filter: &FailedFilter,
    ) -> Result<FailedEvents, StoreError> {
        let found = async {
            let mut connection = self.pool().acquire().await?;
            find_failed(&mut connection, client, webhook, filter).await
        };
        found.await.map_err(|error: sqlx::Error| self.error(error))
    }
}

async fn find_failed(
    connection: &mut SqliteConnection,
    client: ClientId,
    webhook: WebhookId,
    filter: &FailedFilter,
) -> Result<FailedEvents, sqlx::Error> {
    let mut found = FailedEvents::default();
    let owned = query(sql::WEBHOOK).bind(client.0).bind(webhook.0);
    if owned.fetch_optional(&mut *connection).await?.is_none() {
        return Ok(found);
    }
    let mut places = Places::ALL.within(connection, filter.since, filter.until).await?;
    let mut pieces = Pieces::new(VISITED);
    let mut looked_ahead = false;
    loop {
        let begun = Instant::now();
        let visited = query(sql::FAILED_STEP)
            .bind(webhook.0)
            .bind(places.after)
            .bind(places.before)
            .bind(pieces.size())
            .fetch_one(&mut *connection)
            .await?;
        let (last, visited): (Option<i64>, i64) = (visited.try_get(0)?, visited.try_get(1)?);
        let Some(last) = last else { break };
        let range = Places {
            after: places.after,
            before: last.saturating_add(1),
        };
        for row in failed_within(connection, client, webhook, filter, range, &found).await? {
            if found.seqs.len() >= filter.limit as usize {
                let (at, created) = (row.try_get(0)?, row.try_get::<At, _>(1)?.0);
                let next = earliest_from(connection, webhook, filter, Places { after: at, ..places }, created).await?;
                found.looked_until = Some(next);
                return Ok(found);
            }
            found.seqs.push(row.try_get(0)?);
            found.weights.push(size(row.try_get(2)?));
        }
        if visited < pieces.size() {
            break;
        }
        if !pieces.another(begun.elapsed()) {
            let created = query(sql::NEXT_CREATED).bind(last).fetch_one(&mut *connection).await?;
            let created = created.try_get::<At, _>(1)?.0;
            let next = match std::mem::replace(&mut looked_ahead, true) {
                false => {
                    let rest = Places { after: last, ..places };
                    earliest_from(connection, webhook, filter, rest, created).await?
                }
                // Once for each look: it reads all that failed in the hour.
                true => created,
            };
            if filter.until.is_some_and(|until| next >= until) {
                break;
            }
            // Whoever asks on from there has to get further than this time.
            if filter.since.is_none_or(|since| next > since) {
                found.looked_until = Some(next);
                break;
            }
        }
        places.after = last;
    }
    Ok(found)
}

/// When the earliest of the failed events at `places` was created, from the filter's `since` on, or `created` where none is
/// earlier. The walk goes by the order of arrival, and after the clock was set back the time does not.
async fn earliest_from(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    filter: &FailedFilter,
    places: Places,
    created: Timestamp,
) -> Result<Timestamp, sqlx::Error> {
    let places = places.within(connection, None, Some(created)).await?;
    let earliest: Option<At> = query_scalar(sql::EARLIEST_FAILED)
        .bind(webhook.0)
        .bind(places.after)
        .bind(places.before)
        .bind(bounds(filter.since, None).0)
        .fetch_one(connection)
        .await?;
    Ok(earliest.map_or(created, |at| at.0.min(created)))
}

/// The failed events of a range that match, as many as are still wanted and one more.
async fn failed_within(
    connection: &mut SqliteConnection,
    client: ClientId,
    webhook: WebhookId,
    filter: &FailedFilter,
    range: Places,
    found: &FailedEvents,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let (since, until) = bounds(filter.since, filter.until);
    let wanted = (filter.limit as usize)
        .saturating_sub(found.seqs.len())
        .saturating_add(1);
    query(sql::FAILED_EVENTS)
        .bind(client.0)
        .bind(webhook.0)
        .bind(range.after)
        .bind(range.before - 1)
        .bind(since)
        .bind(until)
        .bind(filter.error.as_deref())
        .bind(i64::try_from(wanted).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
}

impl Group<'_> {
    /// Begins a manual retry (CONTRACT.md sections 4 and 7): the event becomes pending, due now, with a fresh budget;
    /// `attempt_count` and what is known of the last attempt stay. A delivered one only with `force`. No column keeps
    /// the time of it.
    ///
    /// # Errors
    /// As every write.
    pub async fn renew_event(&mut self, client: ClientId, id: EventId, force: bool) -> Result<Renewal, StoreError> {
        let result = renew(self.enter()?, client, id, force).await;
        self.leave(result)
    }

    /// Begins a retry of failed events together: each becomes pending with a fresh budget, due one after another at the
    /// renewal's rate. What is not failed any more is passed over. Answers the events, in the order of arrival; none when
    /// the webhook is another client's, inactive or deleted.
    ///
    /// # Errors
    /// As every write.
    pub async fn renew_failed(&mut self, renewal: &BulkRenewal) -> Result<Vec<PendingEvent>, StoreError> {
        let result = renew_failed(self.enter()?, renewal).await;
        self.leave(result)
    }
}

async fn renew_failed(
    connection: &mut SqliteConnection,
    renewal: &BulkRenewal,
) -> Result<Vec<PendingEvent>, sqlx::Error> {
    let places = json_text(&renewal.seqs)?;
    let rows = query(sql::RENEW_FAILED)
        .bind(renewal.client_id.0)
        .bind(renewal.webhook_id.0)
        .bind(places)
        .bind(renewal.first_due.0)
        .bind(1000_i64)
        .bind(renewal.per_second.max(1))
        .bind(kept_payload_bytes())
        .fetch_all(connection)
        .await?;
    let mut events: Vec<PendingEvent> = rows.iter().map(pending_event).collect::<Result<_, _>>()?;
    events.sort_unstable_by_key(|event| event.seq);
    Ok(events)
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
        .bind(At(AWAITS_MEDIA))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(found) = found else {
        return Ok(Renewal::NotFound);
    };
    let (status, active, deleted): (&str, bool, bool) = (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?);
    if deleted {
        return Ok(Renewal::WebhookDeleted);
    }
    if found.try_get(4)? {
        return Ok(Renewal::Pulled);
    }
    if !active {
        return Ok(Renewal::Inactive);
    }
    if status == EventStatus::Delivered.as_str() && !force {
        return Ok(Renewal::Delivered);
    }
    if found.try_get(3)? {
        return Ok(Renewal::AwaitsMedia);
    }
    let row = query(sql::RENEW_EVENT).bind(id.0).fetch_one(connection).await?;
    Ok(Renewal::Renewed {
        webhook_id: WebhookId(row.try_get::<Uuid, _>(0)?),
        event: pending_event(&row)?,
    })
}

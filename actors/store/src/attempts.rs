//! Reads of attempts: those of one event, and what those of a webhook come to.

use std::time::Instant;

use sqlx::{Row, SqliteConnection, query, query_scalar, sqlite::SqliteRow};
use wharf_domain::{
    Attempt, ClientId, EventId, Timestamp, Webhook, WebhookId,
    stats::{AttemptMade, DAY, Queue, WebhookStats, periods, pulled_periods},
};

use crate::{
    Store, StoreError,
    codec::{self, At, count},
    sql,
    walk::{Pieces, Places, floor},
};

/// Attempts of one event that are kept, the last ones: one that is retried by hand for ever has no end of them.
pub(crate) const KEPT: u32 = 1000;
/// Events and attempts that are looked at for statistics, the newest ones.
const SAMPLE: i64 = 20_000;
/// Pending events that are counted.
const COUNTED: u32 = 10_000;

impl Store {
    /// The attempts of one event of a client, oldest first: the last thousand, no more are kept. `None`: this client
    /// has no such event. Attempts that were made before a row was kept for each have none.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn attempts(&self, client: ClientId, id: EventId) -> Result<Option<Vec<Attempt>>, StoreError> {
        let attempts = async {
            let mut connection = self.pool().begin().await?;
            let place = query_scalar::<_, i64>(sql::PLACE_OF).bind(client.0).bind(id.0);
            let Some(place) = place.fetch_optional(&mut *connection).await? else {
                return Ok(None);
            };
            let rows = query(sql::ATTEMPTS)
                .bind(place)
                .bind(KEPT)
                .fetch_all(&mut *connection)
                .await?;
            rows.iter().rev().map(attempt).collect::<Result<_, _>>().map(Some)
        };
        attempts.await.map_err(|error: sqlx::Error| self.error(error))
    }

    /// What a webhook's attempts of the last hour and the last day come to, or how many events of one that is pulled came, and what
    /// waits. Looks at the newest 20,000 events, or as many as it may take time for, and says so when there are more. `None`: this client has no such webhook.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn webhook_stats(
        &self,
        client: ClientId,
        webhook: WebhookId,
        now: Timestamp,
    ) -> Result<Option<WebhookStats>, StoreError> {
        let stats = async {
            let mut connection = self.pool().begin().await?;
            let owned = query(sql::WEBHOOK).bind(client.0).bind(webhook.0);
            let Some(owned) = owned.fetch_optional(&mut *connection).await? else {
                return Ok(None);
            };
            stats(&mut connection, &codec::webhook(&owned)?, now).await.map(Some)
        };
        stats.await.map_err(|error: sqlx::Error| self.error(error))
    }
}

async fn stats(
    connection: &mut SqliteConnection,
    webhook: &Webhook,
    now: Timestamp,
) -> Result<WebhookStats, sqlx::Error> {
    let day_ago = now - DAY;
    let ((last_hour, last_day), sampled) = if webhook.is_pulled() {
        let read = |row: &SqliteRow| row.try_get::<At, _>(0).map(|at| at.0);
        let (delivered, sampled) = sample(connection, sql::DELIVERED_SINCE, read, webhook.id, day_ago).await?;
        (pulled_periods(&delivered, now), sampled)
    } else {
        let (attempts, sampled) = sample(connection, sql::ATTEMPTS_SINCE, made, webhook.id, day_ago).await?;
        (periods(&attempts, now), sampled)
    };
    let pending: u32 = query_scalar(sql::COUNT_PENDING)
        .bind(webhook.id.0)
        .bind(COUNTED + 1)
        .fetch_one(&mut *connection)
        .await?;
    let oldest = query_scalar::<_, At>(sql::OLDEST_PENDING).bind(webhook.id.0);
    let oldest = oldest.fetch_optional(connection).await?;
    Ok(WebhookStats {
        webhook_id: webhook.id,
        at: now,
        last_hour,
        last_day,
        sampled,
        queue: Queue::new(pending.min(COUNTED), pending > COUNTED, oldest.map(|at| at.0), now),
    })
}

/// The attempts since `since` of the newest events, or whatever `statement` answers and `read` reads of them, and whether there are
/// others, which were not looked at.
async fn sample<T>(
    connection: &mut SqliteConnection,
    statement: &'static str,
    read: fn(&SqliteRow) -> Result<T, sqlx::Error>,
    webhook: WebhookId,
    since: Timestamp,
) -> Result<(Vec<T>, bool), sqlx::Error> {
    let (mut places, mut pieces) = (Places::ALL, Pieces::new(SAMPLE));
    let mut found: Vec<T> = Vec::new();
    loop {
        let begun = Instant::now();
        let floor = floor(connection, webhook, places, None, pieces.size()).await?;
        let room = SAMPLE.saturating_sub(count(found.len()));
        let rows = query(statement)
            .bind(webhook.0)
            .bind(places.before)
            .bind(floor.map_or(places.after, |floor| floor - 1))
            .bind(pieces.size())
            .bind(At(since))
            .bind(room)
            .fetch_all(&mut *connection)
            .await?;
        let full = count(rows.len()) >= room;
        for row in &rows {
            found.push(read(row)?);
        }
        let goes_on = pieces.another(begun.elapsed());
        match floor {
            _ if full => return Ok((found, true)),
            None => return Ok((found, false)),
            Some(floor) => places.before = floor,
        }
        // How old the events are that were not looked at says nothing: one that waited for days may have been delivered just now.
        if !goes_on {
            return Ok((found, true));
        }
    }
}

fn attempt(row: &SqliteRow) -> Result<Attempt, sqlx::Error> {
    Ok(Attempt {
        number: row.try_get(0)?,
        started_at: row.try_get::<At, _>(1)?.0,
        duration_ms: row.try_get(2)?,
        http_status: row.try_get(3)?,
        error: row.try_get(4)?,
        response: row.try_get(5)?,
        manual: row.try_get(6)?,
    })
}

fn made(row: &SqliteRow) -> Result<AttemptMade, sqlx::Error> {
    Ok(AttemptMade {
        started_at: row.try_get::<At, _>(0)?.0,
        duration_ms: row.try_get(1)?,
        delivered: row.try_get(2)?,
        failed: row.try_get(3)?,
    })
}

//! What became of attempts.

use std::{borrow::Borrow, collections::HashMap, time::Duration};

use sqlx::{SqliteConnection, query};
use wharf_domain::{AttemptOutcome, EventStatus, Timestamp, WebhookId};

use crate::{
    Group, StoreError,
    attempts::KEPT,
    bulk::{Bulk, RECORD_OUTCOMES, chunks},
    codec::At,
    sql,
};

/// Attempts that go with an outcome at the most: more than one, so that what an event gathered before gets fewer too.
const FORGOTTEN: u32 = 16;

impl Group<'_> {
    /// Writes what became of attempts: a row for each, the events' rows and, in the same transaction, their webhooks'
    /// counters. An
    /// event that is no longer pending stays as it is, unless the outcome is `delivered`: a receiver that took the
    /// message while its webhook was deleted has it (CONTRACT.md section 7). Outcomes of one event count in the order
    /// given. All values are absolute: writing an outcome twice does no harm. What a webhook says of its last attempt is that of the
    /// latest one up to `now`, in whatever order they are written. An unknown event is passed over. Of an event's attempts the last
    /// thousand are kept.
    ///
    /// # Errors
    /// As every write.
    pub async fn record_outcomes<O: Borrow<AttemptOutcome> + Sync>(
        &mut self,
        outcomes: &[O],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let outcomes: Vec<&AttemptOutcome> = outcomes.iter().map(Borrow::borrow).collect();
        let result = record(self.enter()?, &outcomes, now).await;
        self.leave(result)
    }
}

async fn record(
    connection: &mut SqliteConnection,
    outcomes: &[&AttemptOutcome],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    for chunk in chunks(outcomes) {
        record_chunk(connection, &RECORD_OUTCOMES, chunk, now).await?;
    }
    for outcome in outcomes.iter().filter(|outcome| has_many_attempts(outcome)) {
        let statement = query(sql::FORGET_ATTEMPTS)
            .bind(outcome.seq)
            .bind(outcome.attempt - KEPT)
            .bind(FORGOTTEN);
        statement.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Whether some of its event's attempts have to go.
pub(crate) fn has_many_attempts(outcome: &AttemptOutcome) -> bool {
    outcome.attempt > KEPT
}

/// Writes as many outcomes as `bulk`, which is `RECORD_OUTCOMES` in some form, takes at once.
pub(crate) async fn record_chunk(
    connection: &mut SqliteConnection,
    bulk: &Bulk,
    chunk: &[&AttemptOutcome],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let (events, webhooks) = (last_of_each_event(chunk), counters_of_each_webhook(chunk, now));
    let statement = bulk
        .of_size(chunk.len())
        .rows(chunk, |statement, outcome| {
            statement
                .bind(outcome.seq)
                .bind(outcome.attempt)
                .bind(At(outcome.timing.started_at))
                .bind(milliseconds(outcome.timing.took))
                .bind(outcome.http_status)
                .bind(outcome.error.as_deref())
                .bind(outcome.response.as_deref())
                .bind(outcome.manual)
        })
        .rows(&events, |statement, outcome| {
            let delivered = outcome.status == EventStatus::Delivered;
            statement
                .bind(outcome.seq)
                .bind(outcome.status.as_str())
                .bind(outcome.attempt)
                .bind(outcome.http_status)
                .bind(outcome.response.as_deref())
                .bind(outcome.error.as_deref())
                .bind(outcome.next_retry_at.map(At))
                .bind(delivered.then_some(At(outcome.finished_at)))
        })
        .rows(&webhooks, |statement, (webhook, counters)| {
            statement
                .bind(webhook.0)
                .bind(counters.failure_count)
                .bind(At(counters.last_attempt_at))
                .bind(counters.last_error)
                .bind(counters.last_success_at.map(At))
                .bind(At(now))
        });
    statement.done().execute(connection).await.map(drop)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// One outcome per event, as if they had been written one after another: the statement that writes many rows at once
/// would take any of several.
fn last_of_each_event<'o>(outcomes: &[&'o AttemptOutcome]) -> Vec<&'o AttemptOutcome> {
    let mut places: HashMap<i64, usize> = HashMap::with_capacity(outcomes.len());
    let mut last: Vec<&AttemptOutcome> = Vec::with_capacity(outcomes.len());
    for &outcome in outcomes {
        let place = *places.entry(outcome.seq).or_insert(last.len());
        match last.get_mut(place) {
            None => last.push(outcome),
            Some(before) if before.status == EventStatus::Pending || outcome.status == EventStatus::Delivered => {
                *before = outcome;
            }
            Some(_) => {}
        }
    }
    last
}

/// A webhook's counters after several attempts.
struct Counters<'a> {
    failure_count: u32,
    last_attempt_at: Timestamp,
    last_error: Option<&'a str>,
    /// `None` leaves the column as it is.
    last_success_at: Option<Timestamp>,
}

/// As the statement does with what is in the row.
fn counters_of_each_webhook<'o>(outcomes: &[&'o AttemptOutcome], now: Timestamp) -> Vec<(WebhookId, Counters<'o>)> {
    let is_over = |before: Timestamp, at: Timestamp| before <= at || before > now;
    let mut webhooks: HashMap<WebhookId, Counters<'o>> = HashMap::new();
    for outcome in outcomes {
        let (at, success) = (outcome.finished_at, outcome.status == EventStatus::Delivered);
        let counters = webhooks.entry(outcome.webhook_id).or_insert(Counters {
            failure_count: outcome.webhook_failure_count,
            last_attempt_at: at,
            last_error: outcome.error.as_deref(),
            last_success_at: None,
        });
        counters.failure_count = outcome.webhook_failure_count;
        if is_over(counters.last_attempt_at, at) {
            (counters.last_attempt_at, counters.last_error) = (at, outcome.error.as_deref());
        }
        if success && counters.last_success_at.is_none_or(|before| is_over(before, at)) {
            counters.last_success_at = Some(at);
        }
    }
    webhooks.into_iter().collect()
}

//! Pages of what a number sent.

use sqlx::{Row, query, query_scalar, sqlite::SqliteRow};
use wharf_domain::{ConnectionKey, OutgoingMessage, SendStatus};

use super::{OutgoingFilter, OutgoingPage, rows::message};
use crate::{Store, sql};

/// Rows that a page with a filter looks at: a number sends millions, and whoever asks for the few that failed shall not have
/// the store read all of them each time.
const LOOKED_AT: i64 = 10_000;

pub(super) async fn page(
    store: &Store,
    key: &ConnectionKey,
    filter: &OutgoingFilter,
) -> Result<Option<OutgoingPage>, sqlx::Error> {
    let (client, number) = (key.client_id.0, key.phone_number.as_str());
    let before: i64 = match &filter.cursor {
        None => i64::MAX,
        Some(cursor) => {
            let place = query_scalar(sql::OUTGOING_PLACE).bind(client).bind(number).bind(cursor);
            match place.fetch_optional(store.pool()).await? {
                Some(seq) => seq,
                None => return Ok(None),
            }
        }
    };
    let floor = match filter.status {
        Some(SendStatus::Queued) | None => None,
        Some(_) => floor(store, key, before).await?,
    };
    let statement = match filter.status {
        None => query(sql::OUTGOING_MESSAGES),
        // They have an index of their own.
        Some(SendStatus::Queued) => query(sql::OUTGOING_WAITING),
        Some(_) => query(sql::OUTGOING_MESSAGES_OF_STATUS),
    };
    // One more than is shown, to know whether there are more.
    let statement = statement
        .bind(client)
        .bind(number)
        .bind(before)
        .bind(i64::from(filter.limit) + 1);
    let statement = match filter.status {
        Some(SendStatus::Queued) | None => statement,
        Some(status) => statement.bind(status.as_str()).bind(floor.unwrap_or(i64::MIN)),
    };
    let rows = statement.fetch_all(store.pool()).await?;
    let (shown, more) = match rows.split_at_checked(filter.limit as usize) {
        Some((shown, more)) => (shown, !more.is_empty()),
        None => (rows.as_slice(), false),
    };
    let next_cursor = match (more, floor) {
        // Of a row that cannot be read too, so that the next page goes on behind it.
        (true, _) => shown.last().map(|row| row.try_get("message_id")).transpose()?,
        // It may be gone by now, and then so is all that is older.
        (false, Some(floor)) => {
            query_scalar(sql::OUTGOING_ID)
                .bind(floor)
                .fetch_optional(store.pool())
                .await?
        }
        (false, None) => None,
    };
    Ok(Some(OutgoingPage {
        messages: shown.iter().filter_map(|row| readable(key, row)).collect(),
        next_cursor,
    }))
}

/// The last of the rows that a page with a filter looks at; `None` where these are all that are left.
async fn floor(store: &Store, key: &ConnectionKey, before: i64) -> Result<Option<i64>, sqlx::Error> {
    let statement = query_scalar(sql::OUTGOING_FLOOR)
        .bind(key.client_id.0)
        .bind(key.phone_number.as_str());
    let statement = statement.bind(before).bind(LOOKED_AT - 1);
    statement.fetch_optional(store.pool()).await
}

/// One row that cannot be read shall not hide all others.
fn readable(key: &ConnectionKey, row: &SqliteRow) -> Option<OutgoingMessage> {
    let read = message(row).inspect_err(|error| {
        let message_id: &str = row.try_get("message_id").unwrap_or("?");
        tracing::error!(client_id = %key.client_id, number = %key.phone_number, message_id, %error, "a message's row cannot be read");
    });
    read.ok()
}

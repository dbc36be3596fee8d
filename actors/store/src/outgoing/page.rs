//! Pages of what a number sent.

use sqlx::{Row, query, query_scalar, sqlite::SqliteRow};
use wharf_domain::{ConnectionKey, OutgoingMessage};

use super::{OutgoingFilter, OutgoingPage, rows::message};
use crate::{Store, sql};

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
    let statement = match filter.status {
        None => query(sql::OUTGOING_MESSAGES),
        Some(_) => query(sql::OUTGOING_MESSAGES_OF_STATUS),
    };
    // One more than is shown, to know whether there are more.
    let statement = statement
        .bind(client)
        .bind(number)
        .bind(before)
        .bind(i64::from(filter.limit) + 1);
    let statement = match filter.status {
        None => statement,
        Some(status) => statement.bind(status.as_str()),
    };
    let rows = statement.fetch_all(store.pool()).await?;
    let (shown, more) = match rows.split_at_checked(filter.limit as usize) {
        Some((shown, more)) => (shown, !more.is_empty()),
        None => (rows.as_slice(), false),
    };
    // Of a row that cannot be read too, so that the next page goes on behind it.
    let last: Option<String> = shown.last().map(|row| row.try_get("message_id")).transpose()?;
    Ok(Some(OutgoingPage {
        messages: shown.iter().filter_map(|row| readable(key, row)).collect(),
        next_cursor: last.filter(|_| more),
    }))
}

/// One row that cannot be read shall not hide all others.
fn readable(key: &ConnectionKey, row: &SqliteRow) -> Option<OutgoingMessage> {
    let read = message(row).inspect_err(|error| {
        let message_id: &str = row.try_get("message_id").unwrap_or("?");
        tracing::error!(client_id = %key.client_id, number = %key.phone_number, message_id, %error, "a message's row cannot be read");
    });
    read.ok()
}

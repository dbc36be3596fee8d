//! Pages of what a number sent.

use std::time::Instant;

use sqlx::{Row, SqliteConnection, query_scalar, sqlite::SqliteRow};
use wharf_domain::{ConnectionKey, OutgoingMessage, Recipient, SendStatus};

use super::{OutgoingFilter, OutgoingPage, rows::message};
use crate::{
    Store,
    bulk::Statement,
    codec::{count, of_number, scalar_of_number},
    sql,
    walk::{Pieces, VISITED},
};

pub(super) async fn page(
    store: &Store,
    key: &ConnectionKey,
    filter: &OutgoingFilter,
) -> Result<Option<OutgoingPage>, sqlx::Error> {
    // One transaction, so that all of its statements see the same rows.
    let mut connection = store.pool().begin().await?;
    let before: i64 = match &filter.cursor {
        None => i64::MAX,
        Some(cursor) => {
            let place = scalar_of_number(sql::OUTGOING_PLACE, key).bind(cursor);
            match place.fetch_optional(&mut *connection).await? {
                Some(seq) => seq,
                None => return Ok(None),
            }
        }
    };
    // One more than is shown, to know whether there are more.
    let wanted = i64::from(filter.limit) + 1;
    let (rows, floor) = match (filter.status, &filter.chat) {
        (None, None) => {
            let statement = of_number(sql::OUTGOING_MESSAGES, key).bind(before).bind(wanted);
            (statement.fetch_all(&mut *connection).await?, None)
        }
        (Some(SendStatus::Queued), chat) => {
            let statement = of_number(sql::OUTGOING_MESSAGES_QUEUED, key).bind(before).bind(wanted);
            (
                of_chat(statement, chat.as_ref()).fetch_all(&mut *connection).await?,
                None,
            )
        }
        _ => walk(&mut connection, key, filter, before, wanted).await?,
    };
    let (shown, more) = match rows.split_at_checked(filter.limit as usize) {
        Some((shown, more)) => (shown, !more.is_empty()),
        None => (rows.as_slice(), false),
    };
    // Of a row that cannot be read too, so that the next page goes on behind it.
    let last: Option<String> = shown.last().map(|row| row.try_get("message_id")).transpose()?;
    let next_cursor = match floor {
        _ if more => last,
        // All that was looked at is shown, and there is more to look at.
        Some(floor) => {
            query_scalar(sql::OUTGOING_AT)
                .bind(floor)
                .fetch_optional(&mut *connection)
                .await?
        }
        None => None,
    };
    Ok(Some(OutgoingPage {
        messages: shown.iter().filter_map(|row| readable(key, row)).collect(),
        next_cursor,
    }))
}

/// Says of which chat, by its name in requests and by WhatsApp's.
fn of_chat<'q>(statement: Statement<'q>, chat: Option<&Recipient>) -> Statement<'q> {
    statement
        .bind(chat.map(Recipient::to_string))
        .bind(chat.map(Recipient::jid))
}

/// The messages of one status or chat, and the last one looked at when the walk ended before all were: no index has the statuses,
/// which change with every receipt, nor the chats, by which each message would enter it in a random place.
async fn walk(
    connection: &mut SqliteConnection,
    key: &ConnectionKey,
    filter: &OutgoingFilter,
    mut before: i64,
    wanted: i64,
) -> Result<(Vec<SqliteRow>, Option<i64>), sqlx::Error> {
    let (mut rows, mut pieces) = (Vec::new(), Pieces::new(VISITED));
    loop {
        let begun = Instant::now();
        let last = scalar_of_number::<i64>(sql::OUTGOING_FLOOR, key)
            .bind(before)
            .bind(pieces.size() - 1)
            .fetch_all(&mut *connection)
            .await?;
        let floor = match last.as_slice() {
            [floor, _] => Some(*floor),
            _ => None,
        };
        let missing = wanted.saturating_sub(count(rows.len()));
        let statement = of_number(sql::OUTGOING_MESSAGES_MATCHING, key)
            .bind(before)
            .bind(missing);
        let found = of_chat(statement, filter.chat.as_ref())
            .bind(floor.unwrap_or(0))
            .bind(filter.status.map(SendStatus::as_str))
            .fetch_all(&mut *connection)
            .await?;
        let full = count(found.len()) >= missing;
        rows.extend(found);
        match floor {
            Some(floor) if !full && pieces.another(begun.elapsed()) => before = floor,
            floor => return Ok((rows, floor)),
        }
    }
}

/// One row that cannot be read shall not hide all others.
fn readable(key: &ConnectionKey, row: &SqliteRow) -> Option<OutgoingMessage> {
    let read = message(row).inspect_err(|error| {
        let message_id: &str = row.try_get("message_id").unwrap_or("?");
        tracing::error!(client_id = %key.client_id, number = %key.phone_number, message_id, %error, "a message's row cannot be read");
    });
    read.ok()
}

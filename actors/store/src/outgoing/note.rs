//! What is learned of messages that went out: rows go forward, and what of that is news is answered.

use std::collections::{HashMap, HashSet};

use sqlx::{Row, SqliteConnection, query, sqlite::SqliteRow};
use wharf_domain::{
    ConnectionKey, Timestamp,
    outgoing::{News, Recorded, StatusChange, Told, code},
};

use super::{
    Note,
    rows::{progress, queued, recipient},
};
use crate::{
    codec::{At, of_number},
    sql,
};

pub(super) async fn note_all(
    connection: &mut SqliteConnection,
    notes: &[Note],
) -> Result<Vec<StatusChange>, sqlx::Error> {
    let mut changes = Vec::new();
    for Note { key, told } in notes {
        let mut rows = rows_of(connection, key, &told.message_ids).await?;
        let mut seen = HashSet::with_capacity(told.message_ids.len());
        // One that is named twice is told once: of the second time there is nothing to learn.
        for message_id in told.message_ids.iter().filter(|message_id| seen.insert(*message_id)) {
            let Some(row) = rows.remove(message_id) else {
                changes.extend(told.of_unrecorded(key, message_id));
                continue;
            };
            match learn(connection, key, message_id, &row, told).await {
                // A row that cannot be read holds no other up.
                Err(error @ sqlx::Error::ColumnDecode { .. }) => {
                    tracing::error!(client_id = %key.client_id, number = %key.phone_number, message_id, %error, "what became of a message is not noted: its row cannot be read");
                }
                learned => changes.extend(learned?),
            }
        }
    }
    Ok(changes)
}

/// The rows of those of a number's messages that have one, in one statement: a receipt names many, mostly of the phone's own.
async fn rows_of(
    connection: &mut SqliteConnection,
    key: &ConnectionKey,
    message_ids: &[String],
) -> Result<HashMap<String, SqliteRow>, sqlx::Error> {
    let rows = of_number(sql::OUTGOING_NAMED, key)
        .bind(serde_json::Value::from(message_ids).to_string())
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|row| Ok((row.try_get("message_id")?, row)))
        .collect()
}

async fn learn(
    connection: &mut SqliteConnection,
    key: &ConnectionKey,
    message_id: &str,
    row: &SqliteRow,
    told: &Told,
) -> Result<Vec<StatusChange>, sqlx::Error> {
    let before = progress(row)?;
    let learned = before.learn(&told.news, told.at);
    let recorded = Recorded {
        to: &recipient(row)?,
        chat: row.try_get("chat")?,
        before: &before,
        after: learned.as_ref().unwrap_or(&before),
    };
    if let Some(after) = &learned {
        let statement = query(sql::NOTE_OUTGOING)
            .bind(row.try_get::<i64, _>("seq")?)
            .bind(after.status.as_str())
            .bind(after.error_code.as_deref())
            .bind(after.error.as_deref())
            .bind(after.started_at.map(At))
            .bind(after.sent_at.map(At))
            .bind(after.delivered_at.map(At))
            .bind(after.read_at.map(At))
            .bind(after.played_at.map(At))
            .bind(after.failed_at.map(At))
            .bind(told.chat_of(&recorded));
        statement.execute(connection).await?;
    }
    Ok(told.of_recorded(key, message_id, &recorded))
}

pub(super) async fn fail_queued(
    connection: &mut SqliteConnection,
    key: &ConnectionKey,
    now: Timestamp,
) -> Result<Vec<StatusChange>, sqlx::Error> {
    let statement = of_number(sql::QUEUED_MESSAGES, key);
    let rows = statement.fetch_all(&mut *connection).await?;
    let queued = rows.iter().map(queued).collect::<Result<Vec<_>, _>>()?;
    let note = |were_started: bool, news| {
        let ended = queued.iter().filter(|row| row.started_at.is_some() == were_started);
        let told = Told {
            message_ids: ended.map(|row| row.message_id.clone()).collect(),
            news,
            at: now,
            place: None,
        };
        let key = key.clone();
        Note { key, told }
    };
    let under_way = "the connection was deleted while it was being sent; it may have been sent";
    let before = "the connection was deleted before it was sent";
    let notes = [
        note(true, News::failed(code::UNKNOWN, under_way)),
        note(false, News::failed(code::DELETED, before)),
    ];
    note_all(connection, &notes).await
}

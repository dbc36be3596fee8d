//! Rows of messages that went out, read.

use sqlx::{Row, sqlite::SqliteRow};
use wharf_domain::{Outgoing, OutgoingMessage, SendStatus, Timestamp, outgoing::Progress};

use super::QueuedMessage;
use crate::codec::At;

fn broken(column: &str, source: impl Into<sqlx::error::BoxDynError>) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: source.into(),
    }
}

pub(super) fn recipient(row: &SqliteRow) -> Result<wharf_domain::Recipient, sqlx::Error> {
    let text: &str = row.try_get("to")?;
    text.parse()
        .map_err(|error: wharf_domain::InvalidField| broken("to", Box::new(error)))
}

fn status(row: &SqliteRow) -> Result<SendStatus, sqlx::Error> {
    let word: &str = row.try_get("status")?;
    SendStatus::from_word(word).ok_or_else(|| broken("status", format!("unknown word {word:?}")))
}

fn time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<At>, _>(column)?.map(|at| at.0))
}

/// What was asked for, if it can be read.
fn asked_for(row: &SqliteRow) -> Result<Option<Outgoing>, sqlx::Error> {
    let message_id: &str = row.try_get("message_id")?;
    let read = serde_json::from_str(row.try_get("message")?)
        .inspect_err(|error| tracing::error!(message_id, %error, "what a message says cannot be read"));
    Ok(read.ok())
}

pub(super) fn progress(row: &SqliteRow) -> Result<Progress, sqlx::Error> {
    Ok(Progress {
        status: status(row)?,
        error_code: row.try_get("error_code")?,
        error: row.try_get("error")?,
        started_at: time(row, "started_at")?,
        sent_at: time(row, "sent_at")?,
        delivered_at: time(row, "delivered_at")?,
        read_at: time(row, "read_at")?,
        played_at: time(row, "played_at")?,
        failed_at: time(row, "failed_at")?,
    })
}

pub(super) fn message(row: &SqliteRow) -> Result<OutgoingMessage, sqlx::Error> {
    let Progress {
        status,
        error_code,
        error,
        started_at: _,
        sent_at,
        delivered_at,
        read_at,
        played_at,
        failed_at,
    } = progress(row)?;
    Ok(OutgoingMessage {
        message_id: row.try_get("message_id")?,
        to: recipient(row)?,
        kind: row.try_get("type")?,
        status,
        error_code,
        error,
        message: asked_for(row)?,
        created_at: row.try_get::<At, _>("created_at")?.0,
        sent_at,
        delivered_at,
        read_at,
        played_at,
        failed_at,
    })
}

pub(super) fn queued(row: &SqliteRow) -> Result<QueuedMessage, sqlx::Error> {
    Ok(QueuedMessage {
        message_id: row.try_get("message_id")?,
        outgoing: asked_for(row)?,
        created_at: row.try_get::<At, _>("created_at")?.0,
        deadline_at: row.try_get::<At, _>("deadline_at")?.0,
        started_at: time(row, "started_at")?,
        file: row.try_get("file")?,
    })
}

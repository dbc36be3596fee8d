//! Rows of messages that went out, read.

use sqlx::{Row, sqlite::SqliteRow};
use wharf_domain::{Outgoing, OutgoingMessage, SendStatus, outgoing::Progress};

use super::QueuedMessage;
use crate::codec::{broken, some_time, time, word};

pub(super) fn recipient(row: &SqliteRow) -> Result<wharf_domain::Recipient, sqlx::Error> {
    let text: &str = row.try_get("to")?;
    text.parse()
        .map_err(|error: wharf_domain::InvalidField| broken("to", Box::new(error)))
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
        status: word("status", row.try_get("status")?, SendStatus::from_word)?,
        error_code: row.try_get("error_code")?,
        error: row.try_get("error")?,
        started_at: some_time(row, "started_at")?,
        sent_at: some_time(row, "sent_at")?,
        delivered_at: some_time(row, "delivered_at")?,
        read_at: some_time(row, "read_at")?,
        played_at: some_time(row, "played_at")?,
        failed_at: some_time(row, "failed_at")?,
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
        created_at: time(row, "created_at")?,
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
        created_at: time(row, "created_at")?,
        deadline_at: time(row, "deadline_at")?,
        started_at: some_time(row, "started_at")?,
        file: row.try_get("file")?,
    })
}

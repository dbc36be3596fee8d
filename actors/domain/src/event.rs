//! Events: one message, or something else that happened, on its way to one webhook, and the row that remembers it.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{EventId, Timestamp, WebhookId, words};

/// The `next_retry_at` of a pending event that waits for its media (ARCHITECTURE.md, "Media"): no time, but the commit
/// that says what became of the download, makes it due. The last second that RFC 3339 can write, and no schedule's.
pub const AWAITS_MEDIA: Timestamp = Timestamp(253_402_300_799_000);

/// The largest body, in bytes, that is kept in memory beside an event that waits. Attempts ask the store for a larger one, so
/// that what a receiver is behind with costs memory by its events, whatever is in them.
pub const KEPT_PAYLOAD_BYTES: usize = 4096;

words! {
    /// Where an event stands (CONTRACT.md section 2).
    pub enum EventStatus {
        /// Attempts remain.
        Pending = "pending",
        /// A receiver answered 2xx.
        Delivered = "delivered",
        /// No automatic attempt remains.
        Failed = "failed",
    }
}

/// An event as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Its id; `webhook-id` for the receiver.
    pub id: EventId,
    /// Where it goes.
    pub webhook_id: WebhookId,
    /// Its number among the events of its phone number, from 1 without a gap; `webhook-sequence` for the receiver.
    pub sequence: i64,
    /// Which kind of event it is: the word of an [`crate::EventKind`].
    pub event: String,
    /// WhatsApp's id of the message; empty where there is none.
    pub message_id: String,
    /// Who wrote; a phone number wherever WhatsApp gives one.
    pub from: String,
    /// The linked number; of what the account sent, who gets it.
    pub to: String,
    /// `text`, …; of what is no message, what happened.
    pub message_type: String,
    /// The text.
    pub content: Option<String>,
    /// The exact body of every attempt.
    pub payload: Box<RawValue>,
    /// Where it stands.
    pub status: EventStatus,
    /// Attempts made so far.
    pub attempt_count: u32,
    /// The status of the last attempt's answer, null when there was none.
    pub http_status: Option<u16>,
    /// The first KiB of that answer's body.
    pub response: Option<String>,
    /// What went wrong at the last attempt.
    pub error: Option<String>,
    /// When the next attempt is due; on an exhausted event the earliest sensible time for a manual retry.
    pub next_retry_at: Option<Timestamp>,
    /// When the message was committed.
    pub created_at: Timestamp,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
}

/// What a delivery actor needs of an event to make its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEvent {
    /// Its id.
    pub id: EventId,
    /// Its place in the order of arrival; grows with every commit.
    pub seq: i64,
    /// Its number among the events of its phone number, from 1 without a gap; the header `webhook-sequence`.
    pub sequence: i64,
    /// Its chat: events of one chat go out one after another.
    pub chat: Box<str>,
    /// Attempts made so far.
    pub attempt_count: u32,
    /// Attempts that were made before the present budget began (a manual retry begins a new one).
    pub budget_start: u32,
    /// When it is due; `None` is now.
    pub next_retry_at: Option<Timestamp>,
    /// The body to post; `None`: the store has it.
    pub payload: Option<Bytes>,
}

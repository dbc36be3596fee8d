//! The words in which the store is spoken to, where `wharf-domain` has none.

use std::{fmt, str::FromStr};

use uuid::Uuid;
use wharf_domain::{
    ClientId, ConnectionKey, ConnectionStatus, Event, EventId, EventStatus, IncomingMessage, InvalidField,
    PendingEvent, Timestamp, WebhookId,
};

/// Which database, and how.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `sqlite://PATH`, relative to the working directory or absolute, with optional parameters: `mode=ro` opens it
    /// for reading only, `max_page_count=N` keeps the file below N pages of 4 KiB.
    pub url: String,
    /// Connections that read, at least 1. Each is a thread.
    pub readers: u32,
    /// Whether to hold the lock file beside the database for as long as the store lives. `wharf serve` does, so that
    /// two servers never share one database; the command line does not, so that it works beside a server.
    pub exclusive: bool,
}

/// A place in a list of events, opaque to everybody else.
///
/// It is the id of the last event shown: neither it nor its size tells one client anything about another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(crate) EventId);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.simple().fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let refuse = || InvalidField::new("cursor", "is not one that this API gave out; take next_cursor as it is");
        // Exactly as it was given out: not every spelling of a UUID.
        if text.len() != 32 {
            return Err(refuse());
        }
        Uuid::try_parse(text).map(|id| Self(EventId(id))).map_err(|_| refuse())
    }
}

/// Which of a webhook's events to list.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only these.
    pub status: Option<EventStatus>,
    /// At most this many.
    pub limit: u32,
    /// Only what comes after this place.
    pub cursor: Option<Cursor>,
}

/// A page of a webhook's events, newest first.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Where the next page begins; `None` when there is none.
    pub next_cursor: Option<Cursor>,
}

/// A connection's row as its session wants it to be: absolute values, so that writing it twice does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRecord {
    /// Which connection.
    pub key: ConnectionKey,
    /// Where it stands.
    pub status: ConnectionStatus,
    /// Why it stands there.
    pub reason: Option<String>,
    /// The linked device.
    pub jid: Option<String>,
    /// The account's own display name.
    pub push_name: Option<String>,
    /// Since when it is connected without a break.
    pub connected_since: Option<Timestamp>,
    /// When the link last reported something.
    pub last_event_at: Option<Timestamp>,
    /// Failed attempts since it was last connected.
    pub reconnect_attempts: u32,
    /// Whether the session shall run.
    pub wanted: bool,
    /// When this was decided.
    pub updated_at: Timestamp,
}

/// A message that came in, on its way to becoming an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The id that the event gets.
    pub id: EventId,
    /// The linked number that received it.
    pub key: ConnectionKey,
    /// The message.
    pub message: IncomingMessage,
    /// The exact body of every attempt.
    pub payload: String,
    /// Now.
    pub created_at: Timestamp,
}

/// An event that was made of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Whose it is.
    pub client_id: ClientId,
    /// The webhook it goes to.
    pub webhook_id: WebhookId,
    /// The event, ready for its first attempt.
    pub event: PendingEvent,
}

/// What became of a manual retry (CONTRACT.md sections 4 and 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// The event is pending, due now, with a fresh budget.
    Renewed {
        /// The webhook it goes to.
        webhook_id: WebhookId,
        /// The event.
        event: PendingEvent,
    },
    /// This client has no such event.
    NotFound,
    /// It was delivered already; only `force` sends it again.
    Delivered,
    /// Its webhook is switched off.
    Inactive,
    /// Its webhook was deleted.
    WebhookDeleted,
}

/// A webhook's secret as it is kept: encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// What the vault made of it.
    pub sealed: Vec<u8>,
    /// Until when it signs; `None` for the present one.
    pub expires_at: Option<Timestamp>,
}

/// What an idempotency key met (CONTRACT.md section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyClaim {
    /// The key is new: go on, then complete or release it.
    Fresh,
    /// The same request was answered before; this is that answer.
    Answered(String),
    /// The key was used with another body.
    OtherBody,
    /// The first request with this key has not ended.
    Unfinished,
}

/// The database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Its pages of 4 KiB.
    pub pages: u64,
    /// Those of them that nothing is in.
    pub free: u64,
    /// Whether [`crate::Group::give_back`] makes it smaller: databases made before incremental vacuum only use free
    /// pages again.
    pub shrinks: bool,
}

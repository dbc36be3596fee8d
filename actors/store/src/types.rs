//! The words in which the store is spoken to, where `wharf-domain` has none.

use std::{fmt, str::FromStr};

use uuid::Uuid;
use wharf_domain::{
    ClientId, ConnectionKey, Event, EventId, EventKind, EventStatus, IncomingMessage, InvalidField, PendingEvent,
    PhoneNumber, Timestamp, WebhookId, outgoing::Pace, session::SessionView,
};

/// Which database, and how.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `sqlite://PATH`, relative to the working directory or absolute, with optional parameters: `mode=ro` opens it
    /// for reading only, `max_page_count=N` keeps the file below N pages of 4 KiB, `busy_timeout_ms=N` is
    /// how long a write waits for another program's (5 s, of the command line 30 s).
    pub url: String,
    /// Connections that read. Each is a thread. 0: one for each core, but 2 to 8 of them.
    pub readers: u32,
    /// Whether to hold the lock file beside the database for as long as the store lives. `wharf serve` does, so that
    /// two servers never share one database; the command line does not, so that it works beside a server. A schema that has to
    /// be brought up to date is left alone while somebody else holds it.
    pub exclusive: bool,
}

/// Which part of a list that is in the order of phone numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByNumber {
    /// Only what comes after this number.
    pub after: Option<PhoneNumber>,
    /// At most this many.
    pub limit: u32,
}

impl ByNumber {
    /// All of it.
    pub const ALL: Self = Self {
        after: None,
        limit: u32::MAX,
    };

    /// What every number of the part is greater than.
    pub(crate) fn after_text(&self) -> &str {
        self.after.as_ref().map_or("", PhoneNumber::as_str)
    }
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

/// A chat, as a client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatFilter {
    /// The chat with this number, also where WhatsApp calls it by a hidden id.
    Number(PhoneNumber),
    /// The chat with this JID, exactly.
    Jid(String),
}

/// Which of a webhook's events to list. What is given has to be met all together.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only these.
    pub status: Option<EventStatus>,
    /// Only those of this kind.
    pub event: Option<EventKind>,
    /// Only those of this chat.
    pub chat: Option<ChatFilter>,
    /// Only those with this `message_id`.
    pub message_id: Option<String>,
    /// Only those created at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those created before this moment.
    pub until: Option<Timestamp>,
    /// At most this many.
    pub limit: u32,
    /// Only what comes after this place.
    pub cursor: Option<Cursor>,
}

/// A page of a webhook's events, newest first. With a filter it may be shorter than the limit, even empty, although more
/// follow: a page ends after so many rows looked at.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Where the next page begins; `None` when there is none.
    pub next_cursor: Option<Cursor>,
}

/// How far a consumer has pulled, opaque to everybody else: the last event it got, and how many of its client's events
/// had been removed by then, which tells whether some that it has not seen were removed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullCursor {
    pub(crate) event: EventId,
    pub(crate) purged: i64,
}

impl fmt::Display for PullCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}", self.event.0.simple(), self.purged)
    }
}

impl FromStr for PullCursor {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let refuse = || {
            InvalidField::new(
                "after",
                "is not one that this route gave out; take next_cursor as it is",
            )
        };
        // Exactly as it was given out: not every spelling of a UUID or a number.
        if text.len() != 48 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        let (event, purged) = text.split_at(32);
        Ok(Self {
            event: EventId(Uuid::try_parse(event).map_err(|_| refuse())?),
            purged: i64::from_str_radix(purged, 16).map_err(|_| refuse())?,
        })
    }
}

/// Where a consumer that pulls goes on.
#[derive(Debug, Clone, Default)]
pub struct PullQuery {
    /// After this place; `None` begins with the oldest event that is kept.
    pub after: Option<PullCursor>,
    /// Only the events of this number.
    pub phone_number: Option<PhoneNumber>,
    /// At most this many.
    pub limit: u32,
}

/// The next events of a client, in the order of arrival.
#[derive(Debug, Clone)]
pub struct PullPage {
    /// The events.
    pub events: Vec<Event>,
    /// Where to go on: after the last of these events, or where it was when there is none.
    pub next_cursor: PullCursor,
}

/// What a consumer pulled.
#[derive(Debug, Clone)]
pub enum Pulled {
    /// The next events.
    Page(PullPage),
    /// The place is lost: its event is not kept any more, or events after it were removed since. What comes next would
    /// have a gap.
    Gone,
}

/// Which failed events to retry together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailedFilter {
    /// Only those created at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those created before this moment.
    pub until: Option<Timestamp>,
    /// Only those whose `error` begins with this.
    pub error: Option<String>,
    /// At most this many, the oldest first.
    pub limit: u32,
}

/// Failed events that were found, by their places, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailedEvents {
    /// Their places in the order of arrival.
    pub seqs: Vec<i64>,
    /// What it takes to write each of them anew: a row, and pages that its body has to itself.
    pub weights: Vec<usize>,
    /// When the last event that was looked at was created, if the search ended before it had seen all.
    pub looked_until: Option<Timestamp>,
}

/// A retry of failed events together: one is due after another, so that they go out at a bounded rate, and a restart
/// keeps both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkRenewal {
    /// The client that owns the webhook.
    pub client_id: ClientId,
    /// Of this webhook.
    pub webhook_id: WebhookId,
    /// Their places, oldest first.
    pub seqs: Vec<i64>,
    /// When the first is due.
    pub first_due: Timestamp,
    /// How many are due per second.
    pub per_second: u32,
}

/// A webhook that was deleted just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedWebhook {
    /// The number that it was registered for.
    pub phone_number: PhoneNumber,
    /// Whether all its waiting events have ended with it.
    pub all_ended: bool,
}

/// A proxy as the store has it: the caller encrypted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedProxy {
    /// The address without credentials.
    pub shown: String,
    /// All of it, encrypted.
    pub sealed: Vec<u8>,
}

/// What a client sets of a connection; `None` leaves it as it is, or in a new one as the configuration has it, `Some(None)`
/// clears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Which connection.
    pub key: ConnectionKey,
    /// The device's name on the phone.
    pub device_name: Option<Option<String>>,
    /// The way to WhatsApp, if not direct.
    pub proxy: Option<Option<SealedProxy>>,
    /// How fast it sends.
    pub sending: Option<Option<Pace>>,
    /// Whether it turns down every call as it rings; it does not unless that is said.
    pub reject_calls: Option<bool>,
    /// Whether it marks messages that come in as read; it does not unless that is said.
    pub mark_read: Option<bool>,
}

impl ConnectionSettings {
    /// Nothing is set.
    pub fn none(key: ConnectionKey) -> Self {
        Self {
            key,
            device_name: None,
            proxy: None,
            sending: None,
            reject_calls: None,
            mark_read: None,
        }
    }
}

/// A connection's row as its session wants it to be: absolute values, so that writing it twice does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRecord {
    /// Which connection.
    pub key: ConnectionKey,
    /// Where it stands. What is only shown, the next attempt and the codes, is not kept.
    pub view: SessionView,
    /// When this was decided.
    pub updated_at: Timestamp,
}

/// A message that came in, on its way to becoming an event.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The id that the event gets.
    pub id: EventId,
    /// The linked number that received it.
    pub key: ConnectionKey,
    /// The message.
    pub message: IncomingMessage,
    /// The exact body of every attempt.
    pub payload: String,
    /// When it was recorded: now.
    pub created_at: Timestamp,
}

/// An event that was made of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Whose it is.
    pub client_id: ClientId,
    /// The webhook it goes to.
    pub webhook_id: WebhookId,
    /// Whether nothing of that is sent anywhere: no delivery is to hear of it.
    pub is_pulled: bool,
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
    /// It is pending and waits for its media: it goes out when that is here, or is known not to come.
    AwaitsMedia,
    /// This client has no such event.
    NotFound,
    /// It was delivered already; only `force` sends it again.
    Delivered,
    /// Nothing of its webhook is sent anywhere.
    Pulled,
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

//! Wharf's decisions, pure: types, payload bytes, the retry schedule, and the state machines of a session and of a
//! delivery. No tokio, no sqlx, no clock and no randomness: time and jitter come in as arguments, effects go out as
//! values. That is what lets the property tests run a million interleavings in seconds.

pub mod action;
pub mod address;
pub mod attempt;
pub mod chat_kind;
pub mod client;
pub mod connection;
pub mod courtesy;
pub mod delivery;
pub mod download;
pub mod error;
pub mod event;
pub mod event_kind;
pub mod fair;
mod hex;
pub mod ids;
pub mod link_page;
pub mod media_link;
pub mod message;
pub mod outgoing;
pub mod pace;
pub mod phone;
pub mod proxy;
pub mod restart;
pub mod retention;
pub mod retry;
pub mod session;
pub mod signing;
pub mod stats;
pub mod timestamp;
pub mod webhook;
mod words;

pub use attempt::{Attempt, AttemptOutcome, AttemptResult, AttemptTiming, Failure};
pub use chat_kind::{ChatKind, ChatKinds};
pub use client::{Client, TokenHash};
pub use connection::{Connection, ConnectionKey, ConnectionStatus};
pub use courtesy::{Courtesy, CourtesyPatch, HeaderNames, Ordering, OwnHeaders, Recovery};
pub use error::InvalidField;
pub use event::{AWAITS_MEDIA, Event, EventStatus, KEPT_PAYLOAD_BYTES, PendingEvent};
pub use event_kind::{EventKind, EventKinds};
pub use hex::hex;
pub use ids::{ClientId, EventId, WebhookId};
pub use message::{IncomingMessage, MessageKind};
pub use outgoing::{GroupId, Outgoing, OutgoingMessage, Recipient, SendStatus};
pub use phone::PhoneNumber;
pub use timestamp::Timestamp;
pub use webhook::{DeliveryMode, Metadata, SenderShown, Webhook, WebhookStatus, Wishes};

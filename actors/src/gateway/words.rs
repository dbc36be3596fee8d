//! What the gateway is told and answers, and what it says when it does not do something.

use serde::Serialize;
use thiserror::Error;
use wharf_domain::{
    Attempt, ChatKinds, Connection, ConnectionStatus, Courtesy, Event, EventKinds, InvalidField, OwnHeaders,
    PhoneNumber, SenderShown, Timestamp, Webhook, outgoing::Pace, signing::Secret, webhook::DEFAULT_MAX_RETRIES,
};
use wharf_store::StoreError;
use wharf_whatsapp::LinkError;

use crate::{
    bulkhead::BulkheadError, media::owner::OwnerError, persistence::WriteError, post::PosterError, vault::VaultError,
};

/// What a webhook is registered with; the defaults are those of CONTRACT.md section 2.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWebhook {
    /// The number whose messages it gets.
    pub phone_number: PhoneNumber,
    /// Where they are posted to; `None`: nowhere, they are pulled, and what concerns deliveries stays as it is by default.
    pub webhook_url: Option<String>,
    /// Attempts in all, 1 to 20.
    pub max_retries: u32,
    /// Whether it takes events at once.
    pub is_active: bool,
    /// The client's own object.
    pub metadata: Option<wharf_domain::Metadata>,
    /// What it is told of.
    pub events: EventKinds,
    /// Of which chats.
    pub chats: ChatKinds,
    /// What it is told of who sent a message.
    pub sender: SenderShown,
    /// Whether to sign as Meta does, too.
    pub hub_signature: bool,
    /// What its deliveries shall be like.
    pub courtesy: Courtesy,
    /// Its own headers.
    pub headers: OwnHeaders,
}

impl NewWebhook {
    /// With the defaults for all that is not given.
    pub fn new(phone_number: PhoneNumber, webhook_url: impl Into<String>) -> Self {
        Self {
            webhook_url: Some(webhook_url.into()),
            ..Self::pulled(phone_number)
        }
    }

    /// The same of one that is pulled.
    pub fn pulled(phone_number: PhoneNumber) -> Self {
        Self {
            phone_number,
            webhook_url: None,
            max_retries: DEFAULT_MAX_RETRIES,
            is_active: true,
            metadata: None,
            events: EventKinds::default(),
            chats: ChatKinds::default(),
            sender: SenderShown::default(),
            hub_signature: false,
            courtesy: Courtesy::default(),
            headers: OwnHeaders::default(),
        }
    }
}

/// A webhook with its new secret, unless it is pulled: the only answers that show one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WebhookWithSecret {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// What its deliveries are signed with from now on.
    #[serde(serialize_with = "Secret::reveal_in", skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

/// A QR code to scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Qr {
    /// The text to draw.
    pub qr: String,
    /// When WhatsApp stops accepting it.
    pub expires_at: Timestamp,
}

/// A code to type into the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownPairCode {
    /// Eight characters.
    pub code: String,
    /// When WhatsApp stops accepting it.
    pub expires_at: Timestamp,
}

/// A connection and what is to be shown of it to whoever holds the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The connection.
    pub connection: Connection,
    /// The QR code to scan.
    pub qr: Option<Qr>,
    /// The code to type.
    pub pair_code: Option<ShownPairCode>,
}

/// What a client sets of a connection; `None` leaves it as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionPatch {
    /// The device's name on the phone, told when it is linked.
    pub device_name: Option<Option<String>>,
    /// The way to WhatsApp, as [`wharf_domain::proxy::Proxy::parse`] reads it.
    pub proxy: Option<Option<String>>,
    /// How fast it sends.
    pub sending: Option<Option<Pace>>,
    /// Whether it turns down every call as it rings; it does not unless that is said.
    pub reject_calls: Option<bool>,
    /// Whether it marks messages that come in as read; it does not unless that is said.
    pub mark_read: Option<bool>,
}

/// The `Idempotency-Key` of a request, and what it was sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The client's key.
    pub key: String,
    /// SHA-256 of the request's body, so that another body under the same key is noticed.
    pub body_hash: [u8; 32],
}

/// Why a request to the gateway was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GatewayError {
    /// No such thing for this client (404).
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It clashes with what is there (409); the text says with what.
    #[error("{0}")]
    Conflict(String),
    /// A field was refused (400).
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// A file has more bytes than it may (413); the text says how many it may have.
    #[error("{0}")]
    TooLarge(String),
    /// It was there and is not any more (410); the text says what to do.
    #[error("{0}")]
    Gone(&'static str),
    /// WhatsApp refused it (422).
    #[error("{0}")]
    Refused(String),
    /// As much waits as may (429); worth trying again in a while.
    #[error("{0}")]
    Busy(String),
    /// The store takes no writes, or the part of the tree that is needed is being restarted (503).
    #[error("{0}")]
    Unavailable(String),
    /// WhatsApp gave no answer; what was asked may have been done (504).
    #[error("{0}")]
    TimedOut(String),
}

impl GatewayError {
    /// That a connection shows no code of a `kind`, why, and what would have it show one.
    pub(super) fn no_code(kind: &str, status: ConnectionStatus, reason: Option<&str>) -> Self {
        let cure = match status {
            ConnectionStatus::Connected => ": it is linked already",
            ConnectionStatus::Failed | ConnectionStatus::LoggedOut | ConnectionStatus::Disconnected => {
                "; POST …/connect opens it again, with a new code where a phone has to link it"
            }
            ConnectionStatus::Connecting | ConnectionStatus::AwaitingScan | ConnectionStatus::AwaitingPasskey => "",
        };
        let status = status.as_str();
        let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        Self::Conflict(format!(
            "there is no {kind} code to show: the connection is {status}{why}{cure}"
        ))
    }
}

/// What became of a test.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    /// The test event.
    pub event: Event,
    /// Its attempt; `None` when it has not ended yet.
    pub attempt: Option<Attempt>,
}

/// What a retry of many failed events will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BulkRetry {
    /// Events that are pending again.
    pub retrying: usize,
    /// When more events may match: from where to ask again. `None` when all that matched are among them.
    pub next_since: Option<Timestamp>,
}

/// What the gateway could not be started for.
#[derive(Debug, Error)]
pub enum StartError {
    /// The threads for sessions.
    #[error(transparent)]
    Bulkheads(#[from] BulkheadError),
    /// The HTTP client for deliveries.
    #[error(transparent)]
    Poster(#[from] PosterError),
    /// The webhooks' secrets.
    #[error(transparent)]
    Secrets(#[from] VaultError),
    /// The directory of media.
    #[error(transparent)]
    Media(#[from] OwnerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The links to WhatsApp.
    #[error("whatsapp: {0}")]
    Links(#[from] LinkError),
    /// The root of the tree.
    #[error("the supervision tree cannot be started: {0}")]
    Tree(String),
}

impl From<VaultError> for GatewayError {
    fn from(error: VaultError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<StoreError> for GatewayError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<WriteError> for GatewayError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Unavailable(text) | WriteError::Unknown(text) | WriteError::Damaged(text) => {
                Self::Unavailable(text)
            }
            WriteError::Rejected(text) => Self::Conflict(text),
        }
    }
}

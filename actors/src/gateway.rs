//! The handle that the outside has of the tree: what a facade may ask, in the domain's words. No actor reference
//! leaves this crate.

use serde::Serialize;
use thiserror::Error;
use wharf_domain::{InvalidField, PhoneNumber, Timestamp};

/// What a webhook is registered with; defaults are the facade's reading of CONTRACT.md section 2.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWebhook {
    /// The number whose messages it gets.
    pub phone_number: PhoneNumber,
    /// Where they are posted to.
    pub webhook_url: String,
    /// Attempts in all, 1 to 20.
    pub max_retries: u32,
    /// Whether it takes events at once.
    pub is_active: bool,
    /// The client's own object.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A QR code to scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Qr {
    /// The text to draw.
    pub qr: String,
    /// When WhatsApp stops accepting it.
    pub expires_at: Timestamp,
}

/// A text that WhatsApp took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct SentMessage {
    /// WhatsApp's id of it.
    pub message_id: String,
    /// The number it went to.
    pub to: PhoneNumber,
    /// `sent`: WhatsApp's server has it.
    pub status: String,
    /// When the server took it, RFC 3339.
    pub timestamp: String,
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
    /// WhatsApp refused it (422).
    #[error("{0}")]
    Refused(String),
    /// The store takes no writes, or the part of the tree that is needed is being restarted (503).
    #[error("{0}")]
    Unavailable(String),
    /// WhatsApp did not answer in time (504).
    #[error("{0}")]
    TimedOut(String),
}

//! Identifiers. UUIDs are version 7, so that keys made later sort later.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::InvalidField;

/// A client (tenant). Small integers, given out by the store, never used again after a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub i64);

impl ClientId {
    /// No client has it: stands for the gateway itself, and for whoever needs no token.
    pub const NOBODY: Self = Self(0);
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidField;

            fn from_str(text: &str) -> Result<Self, InvalidField> {
                Uuid::parse_str(text)
                    .map($name)
                    .map_err(|_| InvalidField::new($field, "is not a UUID"))
            }
        }
    };
}

uuid_id!(
    /// A registered webhook.
    WebhookId,
    "webhook_id"
);
uuid_id!(
    /// One message on its way to one webhook; the receiver sees it as `webhook-id`, the same on every attempt.
    EventId,
    "event_id"
);

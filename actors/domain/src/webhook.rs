//! Webhooks: where a number's messages go.

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    ChatKinds, ClientId, ConnectionKey, Courtesy, CourtesyPatch, EventKinds, HeaderNames, InvalidField, OwnHeaders,
    PhoneNumber, Timestamp, WebhookId, words,
};

/// Attempts in all when the registration does not say (CONTRACT.md section 2).
pub const DEFAULT_MAX_RETRIES: u32 = 3;
/// The largest `metadata` accepted, in bytes of compact JSON.
pub const METADATA_MAX_BYTES: usize = 8 * 1024;

words! {
    /// Where a webhook stands. It follows from `is_active` and `failure_count`; nobody sets it.
    pub enum WebhookStatus {
        /// Takes events, the last one ended well.
        Active = "active",
        /// Switched off: its events wait.
        Inactive = "inactive",
        /// Takes events, but events have failed since the last success.
        Failed = "failed",
    }
}

words! {
    /// How its owner gets a webhook's events. It never changes.
    #[derive(Default)]
    pub enum DeliveryMode {
        /// They are posted to its URL.
        #[default]
        Push = "push",
        /// They are not sent anywhere: its owner pulls them, and a committed event counts as delivered.
        Pull = "pull",
    }
}

words! {
    /// What a webhook is told of who sent a message.
    #[derive(Default)]
    pub enum SenderShown {
        /// The number, or the hidden id where that is not known; the name in all but a plain text of one person.
        #[default]
        Short = "short",
        /// The number, the hidden id and the name, as far as each is known.
        Full = "full",
    }
}

/// What a number's webhook is told of, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// What it is told of.
    pub events: EventKinds,
    /// Of which chats.
    pub chats: ChatKinds,
    /// What of the sender.
    pub sender: SenderShown,
}

impl Wishes {
    /// Those of a number that has no webhook.
    pub const NONE: Self = Self {
        events: EventKinds::NONE,
        chats: ChatKinds::ALL,
        sender: SenderShown::Short,
    };
    /// Nothing may be missing.
    pub const ALL: Self = Self {
        events: EventKinds::ALL,
        ..Self::NONE
    };
}

/// A webhook as the API shows it. Of one that is pulled, what concerns deliveries has its defaults.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub client_id: ClientId,
    /// The number whose messages it gets.
    pub phone_number: PhoneNumber,
    /// How its owner gets its events.
    pub delivery: DeliveryMode,
    /// Where they are posted to; `None` where they are pulled.
    pub webhook_url: Option<String>,
    /// The toggle.
    pub is_active: bool,
    /// Follows from the toggle and the failure count.
    pub status: WebhookStatus,
    /// Events that ended `failed` since the last success.
    pub failure_count: u32,
    /// Attempts in all for one event, 1 to 20.
    pub max_retries: u32,
    /// The error of the last failed attempt, null after a success.
    pub last_error: Option<String>,
    /// When an event was last delivered.
    pub last_success_at: Option<Timestamp>,
    /// When an attempt last ended.
    pub last_attempt_at: Option<Timestamp>,
    /// The client's own object, returned as it was given.
    pub metadata: Option<Metadata>,
    /// What it is told of.
    pub events: EventKinds,
    /// Of which chats.
    pub chats: ChatKinds,
    /// What it is told of who sent a message.
    pub sender: SenderShown,
    /// Whether deliveries carry `X-Hub-Signature-256` too.
    pub hub_signature: bool,
    /// What its owner asked of its deliveries.
    #[serde(flatten)]
    pub courtesy: Courtesy,
    /// The names of its own headers.
    pub headers: HeaderNames,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted; a deleted webhook is kept for its history and shown nowhere.
    #[serde(skip)]
    pub deleted_at: Option<Timestamp>,
}

impl Webhook {
    /// Whether nothing of it is sent anywhere.
    pub fn is_pulled(&self) -> bool {
        self.delivery == DeliveryMode::Pull
    }

    /// What it is told of, and how.
    pub fn wishes(&self) -> Wishes {
        Wishes {
            events: self.events,
            chats: self.chats,
            sender: self.sender,
        }
    }

    /// Which number of which client it is for.
    pub fn key(&self) -> ConnectionKey {
        ConnectionKey {
            client_id: self.client_id,
            phone_number: self.phone_number.clone(),
        }
    }
}

/// The status that follows from the toggle and the counter (CONTRACT.md section 4: failed until the next success).
pub const fn status(is_active: bool, failure_count: u32) -> WebhookStatus {
    match (is_active, failure_count) {
        (false, _) => WebhookStatus::Inactive,
        (true, 0) => WebhookStatus::Active,
        (true, _) => WebhookStatus::Failed,
    }
}

/// A change of a webhook; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WebhookPatch {
    /// A new target.
    pub webhook_url: Option<String>,
    /// A new budget.
    pub max_retries: Option<u32>,
    /// The toggle.
    pub is_active: Option<bool>,
    /// A new object; `Some(None)` clears it.
    pub metadata: Option<Option<Metadata>>,
    /// What it shall be told of.
    pub events: Option<EventKinds>,
    /// Of which chats.
    pub chats: Option<ChatKinds>,
    /// What of who sent a message.
    pub sender: Option<SenderShown>,
    /// Whether to send `X-Hub-Signature-256` too.
    pub hub_signature: Option<bool>,
    /// What its deliveries shall be like.
    pub courtesy: CourtesyPatch,
    /// Its own headers, all of them; none takes them away. The gateway encrypts them: the store never sees this field.
    pub headers: Option<OwnHeaders>,
}

impl DeliveryMode {
    /// That of a webhook with this URL.
    pub fn of(webhook_url: Option<&str>) -> Self {
        match webhook_url {
            Some(_) => Self::Push,
            None => Self::Pull,
        }
    }
}

impl WebhookPatch {
    /// Whether it changes what only webhooks have that are pushed.
    pub fn concerns_deliveries(&self) -> bool {
        let of_any = Self {
            metadata: self.metadata.clone(),
            events: self.events,
            chats: self.chats,
            sender: self.sender,
            ..Self::default()
        };
        *self != of_any
    }
}

/// Checks the budget of a webhook.
///
/// # Errors
/// `InvalidField` when it is not 1 to 20.
pub fn check_max_retries(max_retries: i64) -> Result<u32, InvalidField> {
    match u32::try_from(max_retries) {
        Ok(value @ 1..=20) => Ok(value),
        _ => Err(InvalidField::new("max_retries", "must be a whole number from 1 to 20")),
    }
}

/// The longest time for which a secret goes on signing after it was replaced, in hours: a week.
pub const OVERLAP_MAX_HOURS: u32 = 168;
/// That time when the client does not say.
pub const DEFAULT_OVERLAP_HOURS: u32 = 24;

/// Checks how long the present secret goes on signing after it was replaced.
///
/// # Errors
/// `InvalidField` when it is not 0 to 168 hours.
pub fn check_overlap_hours(hours: i64) -> Result<u32, InvalidField> {
    match u32::try_from(hours) {
        Ok(value @ 0..=OVERLAP_MAX_HOURS) => Ok(value),
        _ => Err(InvalidField::new(
            "overlap_hours",
            "must be a whole number from 0 to 168",
        )),
    }
}

/// A client's own object, as its compact JSON: as values, a thousand webhooks' would take hundreds of megabytes.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Metadata(Box<RawValue>);

impl Metadata {
    /// Checks what a client gives.
    ///
    /// # Errors
    /// `InvalidField` when its compact JSON is longer than [`METADATA_MAX_BYTES`].
    pub fn new(object: &Map<String, Value>) -> Result<Self, InvalidField> {
        let wrong = |why: String| InvalidField::new("metadata", why);
        let text = serde_json::value::to_raw_value(object).map_err(|error| wrong(error.to_string()))?;
        match text.get().len() {
            0..=METADATA_MAX_BYTES => Ok(Self(text)),
            bytes => Err(wrong(format!(
                "is {bytes} bytes of JSON; at most {METADATA_MAX_BYTES} are accepted"
            ))),
        }
    }

    /// What was checked when it was given.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn of_checked(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Metadata {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChatKind, EventKind};

    #[test]
    fn a_patch_of_what_every_webhook_has_concerns_no_deliveries() {
        let of_any = WebhookPatch {
            metadata: Some(None),
            events: Some(EventKinds::of([EventKind::Call])),
            chats: Some(ChatKinds::of([ChatKind::Group])),
            sender: Some(SenderShown::Full),
            ..WebhookPatch::default()
        };
        assert!(!of_any.concerns_deliveries() && !WebhookPatch::default().concerns_deliveries());
        let courtesy = CourtesyPatch {
            timeout_ms: Some(5000),
            ..CourtesyPatch::default()
        };
        for patch in [
            WebhookPatch {
                webhook_url: Some("https://a.example".into()),
                ..of_any.clone()
            },
            WebhookPatch {
                max_retries: Some(3),
                ..of_any.clone()
            },
            WebhookPatch {
                is_active: Some(true),
                ..of_any.clone()
            },
            WebhookPatch {
                hub_signature: Some(false),
                ..of_any.clone()
            },
            WebhookPatch {
                headers: Some(OwnHeaders::default()),
                ..of_any.clone()
            },
            WebhookPatch { courtesy, ..of_any },
        ] {
            assert!(patch.concerns_deliveries(), "{patch:?}");
        }
    }
}

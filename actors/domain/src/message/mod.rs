//! Incoming messages, and the payload that a receiver gets of one (docs/EVENTS.md).

mod around;
mod beside;
mod details;
mod happening;
mod kind;
mod media;
mod media_end;
#[cfg(test)]
mod tests;

pub use around::{PartKind, PartOf, Quoted, QuotedProduct, Referral};
pub use beside::{EventDetails, GroupInvite, NativeFlow};
pub use details::{
    Body, ButtonsReply, Contact, ContactNumber, Details, Group, ListReply, Location, MessageRef, Order, OrderStatus,
    Poll, PollVote, Product, Unknown, UnknownReason,
};
pub use happening::{
    Call, CallState, ConnectionChange, GroupChange, Happening, Presence, PresenceState, is_update_chat, update_chat,
};
pub use kind::MessageKind;
pub use media::{Asked, AwaitedMedia, Media, MediaError, MediaKind, MediaReference};
pub use media_end::{MediaEnd, end_media};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{ClientId, EventKind, PhoneNumber, SendStatus, Timestamp, WebhookId};

/// A message that WhatsApp delivered to a linked number, in Wharf's words; or something else that happened
/// ([`Details::happening`]), on the same way in the same form.
#[derive(Debug, Clone, PartialEq)]
pub struct IncomingMessage {
    /// The chat's id (JID) on WhatsApp: with `sender` and `message_id` the key under which a redelivery is recognised.
    pub chat: String,
    /// The sender's id (JID, without device).
    pub sender: String,
    /// WhatsApp's id of the message.
    pub message_id: String,
    /// The sender's phone number in digits, or its hidden id where WhatsApp does not give the number.
    pub from: String,
    /// When it was sent, by WhatsApp's clock.
    pub timestamp: Timestamp,
    /// What it is.
    pub kind: MessageKind,
    /// The text, the caption, or a plain description.
    pub content: String,
    /// What there is beyond the seven keys. `None` for a plain text of one person to another.
    pub details: Option<Box<Details>>,
}

/// What the chats of test events begin with.
const TEST: &str = "test-";

/// Whether this is the chat of a test event. A chat of WhatsApp's names a server after an `@`.
pub fn is_test_chat(chat: &str) -> bool {
    chat.starts_with(TEST) && !chat.contains('@')
}

/// The seven keys of CONTRACT.md section 3, in its order, and the mark of a test event.
#[derive(Serialize)]
struct SevenKeys<'a> {
    client_id: ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    from: &'a str,
    to: &'a str,
    timestamp: String,
    #[serde(rename = "type")]
    kind: &'a str,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<bool>,
}

/// Bytes of a payload beside its content and the message's id: keys, numbers, the time.
const PAYLOAD_FRAME: usize = 224;

/// All keys: the seven, then what else there is.
#[derive(Serialize)]
struct AllKeys<'a> {
    #[serde(flatten)]
    seven: SevenKeys<'a>,
    #[serde(flatten)]
    details: &'a Details,
}

/// Bytes of [`IncomingMessage::key`].
pub const MESSAGE_KEY_BYTES: usize = 16;

impl IncomingMessage {
    /// What a redelivery to `webhook` is recognised by: the second of its sending, which WhatsApp repeats, and 96 bits of
    /// SHA-256 over webhook, chat, sender and WhatsApp's id. The time comes first so that an index of keys grows at its
    /// end: entered in random places it would cost a page on the disk for each message.
    ///
    /// What concerns another message, and the word that one could not be decrypted, has its kind in the hash too: whatever
    /// id a sender gives them, they are never taken for that message. What is no message has what happened in it; and no
    /// time, where it happens once but may be told of again at another time.
    pub fn key(&self, webhook: WebhookId) -> [u8; MESSAGE_KEY_BYTES] {
        let mut hash = Sha256::new();
        hash.update(webhook.0.as_bytes());
        let happening = self.happening();
        let chat = match happening {
            Some(happening) if happening.is_recognised_without_chat() => "",
            _ => self.chat.as_str(),
        };
        for part in [chat, &self.sender, &self.message_id] {
            // With its length: no two messages are the same text.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        if self.kind.concerns_another() || self.is_undecryptable() {
            hash.update(self.kind.as_str());
        }
        if let Some(happening) = happening {
            hash.update(happening.distinction(self.timestamp));
        }
        let hash = hash.finalize();
        // Seconds of four bytes go on until 2106, and then begin anew.
        let seconds = match happening {
            Some(happening) if happening.happens_once() => 0,
            _ => self.timestamp.seconds(),
        };
        let seconds = seconds.to_be_bytes();
        let mut key = [0; MESSAGE_KEY_BYTES];
        key[..4].copy_from_slice(&seconds[4..]);
        key[4..].copy_from_slice(&hash[..MESSAGE_KEY_BYTES - 4]);
        key
    }

    /// What a status of a message would be recognised by ([`IncomingMessage::key`]) that says more of it than this one:
    /// once one of those was told, this one is old news. Of anything else there is none.
    pub fn keys_beyond(&self, webhook: WebhookId) -> Vec<[u8; MESSAGE_KEY_BYTES]> {
        let Some(Happening::Status { status, .. }) = self.happening() else {
            return Vec::new();
        };
        // What the server took it may refuse after all, but not what a device has.
        let beyond = SendStatus::Sent.max(*status);
        let further = SendStatus::ALL.into_iter().filter(|further| *further > beyond);
        let key = |further| {
            let mut other = self.clone();
            if let Some(Happening::Status { status, code, .. }) = other.happening_mut() {
                (*status, *code) = (further, None);
            }
            other.key(webhook)
        };
        further.map(key).collect()
    }

    /// The message of a test event: from the number to itself, in a chat of its own, so that it waits for nothing and
    /// nothing waits for it.
    pub fn test(id: Uuid, number: &PhoneNumber, now: Timestamp) -> Self {
        let id = format!("{TEST}{id}");
        Self {
            chat: id.clone(),
            sender: id.clone(),
            message_id: id,
            from: number.as_str().to_owned(),
            timestamp: now,
            kind: MessageKind::Text,
            content: "A test of this webhook; no message was received.".to_owned(),
            details: None,
        }
    }

    /// What happened, if this is no message that came in.
    pub fn happening(&self) -> Option<&Happening> {
        self.details.as_ref()?.happening.as_ref()
    }

    fn happening_mut(&mut self) -> Option<&mut Happening> {
        self.details.as_mut()?.happening.as_mut()
    }

    /// Which webhooks are told of it.
    pub fn event(&self) -> EventKind {
        self.happening().map_or(EventKind::Message, Happening::event)
    }

    /// Whether it stands for a message that could not be decrypted.
    pub fn is_undecryptable(&self) -> bool {
        let unknown = self.details.as_ref().and_then(|details| details.unknown.as_ref());
        unknown.is_some_and(|unknown| unknown.reason != UnknownReason::Unsupported)
    }

    /// Its media, if it has some.
    pub fn media(&self) -> Option<&Media> {
        self.details.as_ref()?.media.as_deref()
    }

    /// Its media, to be changed.
    pub fn media_mut(&mut self) -> Option<&mut Media> {
        self.details.as_mut()?.media.as_deref_mut()
    }

    /// The file that its event waits for.
    pub fn awaited_media(&self) -> Option<&AwaitedMedia> {
        self.media()?.awaited.as_deref()
    }

    /// The body of every attempt: compact JSON, the seven keys of CONTRACT.md section 3 in their order, then those of
    /// [`Details`] in theirs. That of a test event ends with `"test":true`. What is no message and has no id has no
    /// `message_id`. `to` is the linked number, and stands for the receiver of what came in.
    pub fn payload(&self, client_id: ClientId, to: &PhoneNumber) -> String {
        let happening = self.happening();
        let seven = SevenKeys {
            client_id,
            message_id: happening
                .is_none_or(Happening::has_id)
                .then_some(self.message_id.as_str()),
            from: &self.from,
            to: happening.and_then(Happening::to).unwrap_or(to.as_str()),
            timestamp: self.timestamp.to_rfc3339_seconds(),
            kind: happening.and_then(Happening::word).unwrap_or(self.kind.as_str()),
            content: &self.content,
            test: is_test_chat(&self.chat).then_some(true),
        };
        // Room for a text's whole body but what has to be escaped, so that it is written in one piece.
        let mut body = Vec::with_capacity(self.content.len() + self.message_id.len() + PAYLOAD_FRAME);
        let written = match &self.details {
            None => serde_json::to_writer(&mut body, &seven),
            Some(details) => serde_json::to_writer(&mut body, &AllKeys { seven, details }),
        };
        // Strings and numbers with names for keys: serialising them into memory has no way to fail, and gives UTF-8.
        if written.is_err() {
            body.clear();
        }
        String::from_utf8(body).unwrap_or_default()
    }
}

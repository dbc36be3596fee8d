//! Incoming messages, and the payload that a receiver gets of one (docs/EVENTS.md).

mod details;
mod happening;
mod kind;
mod media;
mod media_end;

pub use details::{
    Body, ButtonsReply, Contact, ContactNumber, Details, Group, ListReply, Location, MessageRef, Order, Poll, PollVote,
    Unknown, UnknownReason,
};
pub use happening::{
    Call, CallState, ConnectionChange, DeliveryStatus, GroupChange, Happening, Presence, PresenceState,
};
pub use kind::MessageKind;
pub use media::{AwaitedMedia, Media, MediaError, MediaKind, MediaReference};
pub use media_end::{MediaEnd, end_media};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{ClientId, EventKind, PhoneNumber, Timestamp, WebhookId};

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

    /// Which webhooks are told of it.
    pub fn event(&self) -> EventKind {
        self.happening().map_or(EventKind::Message, Happening::event)
    }

    /// Whether it stands for a message that could not be decrypted.
    pub fn is_undecryptable(&self) -> bool {
        let body = self.details.as_ref().and_then(|details| details.body.as_ref());
        matches!(body, Some(Body::Unknown(unknown)) if unknown.reason != UnknownReason::Unsupported)
    }

    /// Its media, if it has some.
    pub fn media(&self) -> Option<&Media> {
        match self.details.as_ref()?.body.as_ref()? {
            Body::Media(media) => Some(media),
            _ => None,
        }
    }

    /// Its media, to be changed.
    pub fn media_mut(&mut self) -> Option<&mut Media> {
        match self.details.as_mut()?.body.as_mut()? {
            Body::Media(media) => Some(media),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str) -> IncomingMessage {
        IncomingMessage {
            chat: "5511999999999@s.whatsapp.net".into(),
            sender: "5511999999999@s.whatsapp.net".into(),
            message_id: "3EB0C767".into(),
            from: "5511999999999".into(),
            timestamp: Timestamp::from_seconds(1_762_352_580),
            kind: MessageKind::Text,
            content: content.into(),
            details: None,
        }
    }

    #[test]
    fn payload_has_the_seven_keys_in_order() {
        let to = "5511888888888".parse().unwrap();
        assert_eq!(
            message("Your message here").payload(ClientId(1), &to),
            r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"Your message here"}"#
        );
    }

    #[test]
    fn a_key_tells_messages_apart_and_begins_with_the_time() {
        let webhook = WebhookId(uuid::Uuid::from_u128(1));
        let first = message("a");
        assert_eq!(first.key(webhook), message("another text").key(webhook));
        assert_eq!(first.key(webhook)[..4], 1_762_352_580_u32.to_be_bytes());
        let mut others = [first.clone(), first.clone(), first.clone(), first.clone()];
        others[0].chat.push('1');
        others[1].sender.push('1');
        others[2].message_id.push('1');
        (others[3].sender, others[3].message_id) = (format!("{}3", first.sender), "EB0C767".into());
        assert!(others.iter().all(|other| other.key(webhook) != first.key(webhook)));
        assert_ne!(first.key(WebhookId(uuid::Uuid::from_u128(2))), first.key(webhook));
    }

    #[test]
    fn details_come_after_the_seven_keys_in_their_order() {
        let details = Details {
            push_name: Some("Maria".into()),
            group: Some(Group {
                id: "1@g.us".into(),
                subject: None,
            }),
            view_once: true,
            body: Some(Body::Emoji("👍".into())),
            ..Details::default()
        };
        let mut message = message("👍");
        message.kind = MessageKind::Reaction;
        message.details = Some(Box::new(details));
        let payload = message.payload(ClientId(1), &"5511888888888".parse().unwrap());
        let (_, extras) = payload.split_once(r#""content":"👍","#).unwrap();
        assert_eq!(
            extras,
            r#""push_name":"Maria","group":{"id":"1@g.us"},"view_once":true,"emoji":"👍"}"#
        );
    }

    fn told(happening: Happening) -> IncomingMessage {
        IncomingMessage {
            details: Some(Box::new(Details {
                happening: Some(happening),
                ..Details::default()
            })),
            ..message("a")
        }
    }

    fn status(status: DeliveryStatus, participant: Option<&str>) -> IncomingMessage {
        told(Happening::Status {
            to: "5511977776666".into(),
            status,
            code: None,
            participant: participant.map(str::to_owned),
        })
    }

    #[test]
    fn a_status_is_one_event_whenever_and_by_whatever_name_of_the_chat_it_is_told() {
        let webhook = WebhookId(uuid::Uuid::from_u128(1));
        let read = status(DeliveryStatus::Read, None);
        let again = IncomingMessage {
            chat: "1@lid".into(),
            timestamp: Timestamp::from_seconds(1_800_000_000),
            ..read.clone()
        };
        assert_eq!(read.key(webhook), again.key(webhook));
        let others = [
            message("a"),
            status(DeliveryStatus::Delivered, None),
            status(DeliveryStatus::Read, Some("5511977776666")),
            IncomingMessage {
                message_id: "3EB0".into(),
                ..read.clone()
            },
            told(Happening::Sent {
                to: "5511977776666".into(),
                is_from_me: true,
            }),
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(read.key(webhook), other.key(webhook), "{place}");
        }
    }

    #[test]
    fn an_event_names_itself_right_after_the_seven_keys() {
        let number: PhoneNumber = "5511888888888".parse().unwrap();
        let read = status(DeliveryStatus::Read, Some("5511966665555"));
        assert_eq!(read.event(), EventKind::Status);
        assert_eq!(
            read.payload(ClientId(1), &number),
            r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"5511977776666","timestamp":"2025-11-05T14:23:00Z","type":"read","content":"a","event":"message.status","status":"read","participant":"5511966665555"}"#
        );
        let mut online = told(Happening::Presence {
            presence: Presence {
                state: PresenceState::Available,
                last_seen: None,
            },
        });
        online.message_id = String::new();
        assert_eq!(
            online.payload(ClientId(1), &number),
            r#"{"client_id":1,"from":"5511999999999","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"available","content":"a","event":"presence","presence":{"state":"available"}}"#
        );
        let mut sent = told(Happening::Sent {
            to: "1@g.us".into(),
            is_from_me: true,
        });
        sent.details.as_mut().unwrap().view_once = true;
        assert_eq!(
            sent.payload(ClientId(1), &number),
            r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"1@g.us","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"a","event":"message.sent","is_from_me":true,"view_once":true}"#
        );
    }

    #[test]
    fn what_has_no_id_is_told_apart_by_its_time() {
        let webhook = WebhookId(uuid::Uuid::from_u128(1));
        let now = told(Happening::Connection {
            connection: ConnectionChange {
                status: crate::ConnectionStatus::Connected,
                reason: None,
                reason_code: crate::session::ReasonCode::Online,
                jid: None,
            },
        });
        let later = IncomingMessage {
            timestamp: Timestamp(now.timestamp.0 + 1),
            ..now.clone()
        };
        assert_ne!(now.key(webhook), later.key(webhook));
        assert_eq!(now.key(webhook), now.clone().key(webhook));
    }

    #[test]
    fn a_name_alone_is_nothing_to_tell() {
        let named = Details {
            push_name: Some("Maria".into()),
            ..Details::default()
        };
        assert!(named.is_plain());
        let forwarded = Details {
            forwarded: true,
            ..named
        };
        assert!(!forwarded.is_plain());
    }

    #[test]
    fn what_concerns_another_message_is_never_taken_for_it() {
        let webhook = WebhookId(uuid::Uuid::from_u128(1));
        let of = |kind, reason| {
            let mut message = message("a");
            message.kind = kind;
            let unknown = |reason| Body::Unknown(Unknown { reason, name: None });
            message.details = Some(Box::new(Details {
                body: Option::map(reason, unknown),
                ..Details::default()
            }));
            message.key(webhook)
        };
        let text = message("a").key(webhook);
        for kind in MessageKind::ALL {
            // A redelivery of anything else is recognised whatever it is read as.
            assert_eq!(of(kind, None) != text, kind.concerns_another(), "{kind:?}");
        }
        let unknown = |reason| of(MessageKind::Unknown, Some(reason));
        assert_eq!(unknown(UnknownReason::Unsupported), text);
        assert_ne!(unknown(UnknownReason::Undecryptable), text);
        assert_eq!(unknown(UnknownReason::Undecryptable), unknown(UnknownReason::PhoneOnly));
    }

    #[test]
    fn a_test_event_is_marked() {
        let number: PhoneNumber = "5511888888888".parse().unwrap();
        let message = IncomingMessage::test(Uuid::from_u128(7), &number, Timestamp::from_seconds(1_762_352_580));
        assert!(is_test_chat(&message.chat));
        assert_eq!(
            message.payload(ClientId(1), &number),
            r#"{"client_id":1,"message_id":"test-00000000-0000-0000-0000-000000000007","from":"5511888888888","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"A test of this webhook; no message was received.","test":true}"#
        );
        for chat in ["5511999999999@s.whatsapp.net", "test-1@g.us", "", "tes"] {
            assert!(!is_test_chat(chat), "{chat}");
        }
    }

    #[test]
    fn any_text_survives() {
        let text = "\"quotes\" \\ \n\t\u{0} emoji 🦀 \u{2028}";
        let payload = message(text).payload(ClientId(1), &"5511888888888".parse().unwrap());
        let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(value["content"], text);
    }
}

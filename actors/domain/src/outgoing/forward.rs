//! Passing on what was received or sent before.

use serde_json::Value;
use thiserror::Error;

use super::{Content, FileType, MediaMessage, Mentions, SentFile};
use crate::EventId;

/// What is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardSource {
    /// A message that came in, by its event.
    Event(EventId),
    /// A message that went out, by WhatsApp's id.
    Sent(String),
}

/// A message that cannot be passed on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a message of type {0} cannot be forwarded: only texts and files can, and not what may be seen once")]
pub struct NotForwardable(pub String);

/// What of an event's payload is passed on.
#[derive(Debug, Clone, PartialEq)]
pub enum Forwarded {
    /// Words.
    Words(Content),
    /// A file, which lies where the event's does.
    File(Box<MediaMessage>),
}

/// What of an event's payload is passed on.
///
/// # Errors
/// `NotForwardable` for anything but a text and a file.
pub fn forwarded(payload: &Value) -> Result<Forwarded, NotForwardable> {
    let kind = payload["type"].as_str().unwrap_or("unknown");
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let once = payload["view_once"] == true;
    match (kind, text(&payload["content"]), FileType::from_word(kind)) {
        ("text", Some(text), _) => Ok(Forwarded::Words(Content::Forward { text })),
        (_, _, Some(kind)) if payload["media"].is_object() && !once => {
            let media = SentFile {
                mime_type: text(&payload["media"]["mime_type"]),
                file_name: text(&payload["media"]["file_name"]),
                ..SentFile::default()
            };
            Ok(Forwarded::File(Box::new(MediaMessage {
                kind,
                media,
                caption: text(&payload["caption"]).filter(|_| kind.has_caption()),
                mentions: Mentions::default(),
                view_once: false,
                gif: payload["media"]["gif"] == true,
                note: payload["media"]["note"] == true,
                forwarded: true,
                ready: None,
            })))
        }
        _ => Err(NotForwardable(kind.to_owned())),
    }
}

impl Content {
    /// The same to be passed on; of a file what is shown of it.
    ///
    /// # Errors
    /// `NotForwardable` for what is about another message, a poll, or what may be seen once.
    pub fn forwarded(self) -> Result<Self, NotForwardable> {
        match self {
            Self::Text { text, .. } | Self::Forward { text } => Ok(Self::Forward { text }),
            Self::Media(message) if !message.view_once => Ok(Self::Media(Box::new(MediaMessage {
                media: SentFile {
                    url: None,
                    ..message.media
                },
                mentions: Mentions::default(),
                forwarded: true,
                ..*message
            }))),
            other => Err(NotForwardable(other.kind().to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_passed_on_and_nothing_else() {
        let forward = |text: &str| Content::Forward { text: text.into() };
        let words = forwarded(&json!({"type": "text", "content": "hi"}));
        assert_eq!(words, Ok(Forwarded::Words(forward("hi"))));
        for other in [
            json!({"type": "image", "content": "x"}),
            json!({"type": "image", "content": "x", "view_once": true, "media": {"mime_type": "image/png"}}),
            json!({"type": "poll", "content": "x", "media": {}}),
            json!({"type": "text", "content": ""}),
            json!({}),
        ] {
            assert!(forwarded(&other).is_err(), "{other}");
        }
        let sent = crate::outgoing::Outgoing::text("5511999999999".parse().unwrap(), "hi");
        assert_eq!(sent.content.forwarded().unwrap().forwarded(), Ok(forward("hi")));
        let revoke = Content::Revoke {
            target: crate::outgoing::Target {
                message_id: "X".into(),
                from: None,
            },
        };
        assert_eq!(revoke.forwarded(), Err(NotForwardable("revoke".into())));
    }

    #[test]
    fn a_file_is_passed_on_with_its_words() {
        let payload = json!({"type": "document", "content": "look", "caption": "look", "mentions": ["5511"],
            "media": {"mime_type": "application/pdf", "file_name": "a.pdf", "size": 3, "url": "https://w/a.pdf"}});
        let Ok(Forwarded::File(message)) = forwarded(&payload) else {
            panic!("no file")
        };
        assert_eq!(
            (message.kind, message.caption.as_deref()),
            (FileType::Document, Some("look"))
        );
        assert_eq!(
            (message.media.url.as_deref(), message.media.file_name.as_deref()),
            (None, Some("a.pdf"))
        );
        assert!(message.forwarded && !message.gif);
        let gif = forwarded(&json!({"type": "video", "content": "GIF", "media": {"gif": true}}));
        assert!(matches!(gif, Ok(Forwarded::File(gif)) if gif.gif && !gif.note));
        let once = Content::Media(Box::new(MediaMessage {
            view_once: true,
            ..*message.clone()
        }));
        assert!(once.forwarded().is_err());
        let sent = Content::Media(Box::new(MediaMessage {
            media: SentFile {
                url: Some("https://a.b".into()),
                size: Some(3),
                ..SentFile::default()
            },
            forwarded: false,
            ..*message
        }));
        let Ok(Content::Media(again)) = sent.forwarded() else {
            panic!("no file")
        };
        assert!(again.forwarded && again.media.url.is_none() && again.media.size == Some(3));
    }
}

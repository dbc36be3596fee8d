//! Passing on what was received or sent before.

use serde_json::Value;
use thiserror::Error;

use super::Content;
use crate::EventId;

/// What is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardSource {
    /// A message that came in, by its event.
    Event(EventId),
    /// A message that went out, by WhatsApp's id.
    Sent(String),
}

/// A message whose words cannot be passed on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a message of type {0} cannot be forwarded: only texts can")]
pub struct NotForwardable(pub String);

/// The words of an event's payload.
///
/// # Errors
/// `NotForwardable` for anything but a text.
pub fn forwarded_text(payload: &Value) -> Result<Content, NotForwardable> {
    let kind = payload["type"].as_str().unwrap_or("unknown");
    match (kind, payload["content"].as_str()) {
        ("text", Some(text)) if !text.is_empty() => Ok(Content::Forward { text: text.to_owned() }),
        _ => Err(NotForwardable(kind.to_owned())),
    }
}

impl Content {
    /// The same to be passed on.
    ///
    /// # Errors
    /// `NotForwardable` for what is about another message, or a poll.
    pub fn forwarded(self) -> Result<Self, NotForwardable> {
        match self {
            Self::Text { text, .. } | Self::Forward { text } => Ok(Self::Forward { text }),
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
        let forward = |text: &str| Ok(Content::Forward { text: text.into() });
        assert_eq!(forwarded_text(&json!({"type": "text", "content": "hi"})), forward("hi"));
        for other in [
            json!({"type": "image", "content": "x"}),
            json!({"type": "text", "content": ""}),
            json!({}),
        ] {
            assert!(forwarded_text(&other).is_err(), "{other}");
        }
        let sent = crate::outgoing::Outgoing::text("5511999999999".parse().unwrap(), "hi");
        assert_eq!(sent.content.forwarded().unwrap().forwarded(), forward("hi"));
        let revoke = Content::Revoke {
            target: crate::outgoing::Target {
                message_id: "X".into(),
                from: None,
            },
        };
        assert_eq!(revoke.forwarded(), Err(NotForwardable("revoke".into())));
    }
}

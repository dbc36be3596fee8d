//! What every kind of message is read into.

use std::borrow::Cow;

use wharf_domain::{
    MessageKind,
    message::{Body, Unknown, UnknownReason},
};
use whatsapp_rust::waproto::whatsapp::{ContextInfo, Message, MessageAssociation, MessageKey};

/// A message's own part of a payload.
pub(super) struct Content<'a> {
    pub(super) kind: MessageKind,
    pub(super) words: Cow<'a, str>,
    pub(super) caption: Option<&'a str>,
    pub(super) body: Option<Body>,
    pub(super) target: Option<&'a MessageKey>,
    pub(super) context: Option<&'a ContextInfo>,
    pub(super) association: Option<&'a MessageAssociation>,
    pub(super) ephemeral: bool,
    pub(super) view_once: bool,
}

impl<'a> Content<'a> {
    pub(super) fn new(kind: MessageKind, words: impl Into<Cow<'a, str>>) -> Self {
        Self {
            kind,
            words: words.into(),
            caption: None,
            body: None,
            target: None,
            context: None,
            association: None,
            ephemeral: false,
            view_once: false,
        }
    }

    pub(super) fn with(self, body: Body, context: Option<&'a ContextInfo>) -> Self {
        Self {
            body: Some(body),
            context,
            ..self
        }
    }

    /// One that there is no `type` for.
    pub(super) fn unsupported(name: Option<&'static str>, words: impl Into<Cow<'a, str>>) -> Self {
        let reason = UnknownReason::Unsupported;
        Self::new(MessageKind::Unknown, words).with(Body::Unknown(Unknown { reason, name }), None)
    }

    /// One whose inner part could not be decrypted.
    pub(super) fn sealed(words: &'static str, name: &'static str, target: Option<&'a MessageKey>) -> Self {
        let unknown = Unknown {
            reason: UnknownReason::Undecryptable,
            name: Some(name),
        };
        Self {
            target,
            ..Self::new(MessageKind::Unknown, words).with(Body::Unknown(unknown), None)
        }
    }
}

/// Words that say something.
pub(super) fn filled(words: Option<&str>) -> Option<&str> {
    words.filter(|words| !words.is_empty())
}

/// Whether a message is words and nothing else: what most are, and where nobody has to look any further.
pub(super) fn is_text(message: &Message) -> bool {
    filled(message.conversation.as_deref()).is_some()
}

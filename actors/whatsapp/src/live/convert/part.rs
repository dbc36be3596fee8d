//! What every kind of message is read into.

use std::borrow::Cow;

use wharf_domain::{
    MessageKind,
    message::{Body, Media, Unknown, UnknownReason},
};
use whatsapp_rust::waproto::whatsapp::{ContextInfo, Message, MessageAssociation, MessageKey};

/// A message's own part of a payload.
pub(super) struct Content<'a> {
    pub(super) kind: MessageKind,
    pub(super) words: Cow<'a, str>,
    pub(super) caption: Option<&'a str>,
    pub(super) media: Option<Media>,
    pub(super) body: Option<Body>,
    pub(super) unknown: Option<Unknown>,
    pub(super) target: Option<&'a MessageKey>,
    /// Whose catalogue it is from, as WhatsApp names them.
    pub(super) seller: Option<&'a str>,
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
            media: None,
            body: None,
            unknown: None,
            target: None,
            seller: None,
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
        Self {
            unknown: Some(Unknown { reason, name }),
            ..Self::new(MessageKind::Unknown, words)
        }
    }

    /// One whose inner part could not be decrypted.
    pub(super) fn sealed(words: &'static str, name: &'static str, target: Option<&'a MessageKey>) -> Self {
        let (reason, name) = (UnknownReason::Undecryptable, Some(name));
        Self {
            unknown: Some(Unknown { reason, name }),
            target,
            ..Self::new(MessageKind::Unknown, words)
        }
    }
}

/// Words that say something.
pub(super) fn filled(words: Option<&str>) -> Option<&str> {
    words.filter(|words| !words.is_empty())
}

/// Unicode characters of what is told of a message beside its own words: more is cut off.
const WORDS_MAX: usize = 1000;
/// Bytes of an id or a link that is told beside a message's own words: a longer one is none, and half of it is worth nothing.
const ID_MAX: usize = 2048;

/// The beginning of words that say something.
pub(super) fn cut(words: Option<&str>) -> Option<String> {
    let words = filled(words)?;
    let end = words.char_indices().nth(WORDS_MAX).map_or(words.len(), |(end, _)| end);
    Some(words[..end].to_owned())
}

/// An id or a link, if it is one.
pub(super) fn whole(id: Option<&str>) -> Option<String> {
    filled(id).filter(|id| id.len() <= ID_MAX).map(str::to_owned)
}

/// Whether a message is words and nothing else: what most are, and where nobody has to look any further.
pub(super) fn is_text(message: &Message) -> bool {
    filled(message.conversation.as_deref()).is_some()
}

//! What stands around a message of any kind: what it belongs to.

use serde::Serialize;

/// What a message belongs to that came as one part of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartOf {
    /// Which part it is.
    pub kind: PartKind,
    /// WhatsApp's id of the message that it belongs to, which the same sender sent.
    pub message_id: String,
}

/// Which part of several a message is: WhatsApp's `AssociationType`, as far as a receiver can tell the parts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// The same picture or film once more, in a better quality.
    Hd,
    /// The film of a picture that moves.
    Motion,
    /// A picture or film of an album.
    Album,
    /// The picture of a poll's option.
    Poll,
    /// The picture of an event.
    EventCover,
    /// Something about a status update.
    Status,
    /// Anything else.
    Other,
}

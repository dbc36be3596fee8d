//! What a message is: the `type` of a payload.

use serde::Serialize;

/// The `type` of a message (docs/EVENTS.md). A word once given out keeps its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Words.
    Text,
    /// A picture.
    Image,
    /// A film, a GIF, or a round video note.
    Video,
    /// A sound file.
    Audio,
    /// A voice note.
    Voice,
    /// A file of any kind.
    Document,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// A place that moves.
    LiveLocation,
    /// One contact card or several.
    Contact,
    /// A reaction to a message, or its removal.
    Reaction,
    /// A question with options.
    Poll,
    /// Somebody's choice in a poll.
    PollVote,
    /// New words for a message.
    Edit,
    /// A message was deleted for everyone.
    Revoke,
    /// A button of a business message was pressed.
    ButtonsReply,
    /// A row of a list was chosen.
    ListReply,
    /// An order from a catalogue.
    Order,
    /// Anything else, and what could not be decrypted.
    Unknown,
}

impl MessageKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 19] = [
        Self::Text,
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::Voice,
        Self::Document,
        Self::Sticker,
        Self::Location,
        Self::LiveLocation,
        Self::Contact,
        Self::Reaction,
        Self::Poll,
        Self::PollVote,
        Self::Edit,
        Self::Revoke,
        Self::ButtonsReply,
        Self::ListReply,
        Self::Order,
        Self::Unknown,
    ];

    /// The word of the payload.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Location => "location",
            Self::LiveLocation => "live_location",
            Self::Contact => "contact",
            Self::Reaction => "reaction",
            Self::Poll => "poll",
            Self::PollVote => "poll_vote",
            Self::Edit => "edit",
            Self::Revoke => "revoke",
            Self::ButtonsReply => "buttons_reply",
            Self::ListReply => "list_reply",
            Self::Order => "order",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is about another message, its `target`.
    pub const fn concerns_another(self) -> bool {
        matches!(self, Self::Reaction | Self::PollVote | Self::Edit | Self::Revoke)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_serialised_as_its_word() {
        for kind in MessageKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}

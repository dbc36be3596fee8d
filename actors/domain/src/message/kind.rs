//! What a message is: the `type` of a payload.

use crate::words;

words! {
    /// The `type` of a message (docs/EVENTS.md). A word once given out keeps its meaning.
    pub enum MessageKind {
        /// Words.
        Text = "text",
        /// A picture.
        Image = "image",
        /// A film, a GIF, or a round video note.
        Video = "video",
        /// A sound file.
        Audio = "audio",
        /// A voice note.
        Voice = "voice",
        /// A file of any kind.
        Document = "document",
        /// A sticker.
        Sticker = "sticker",
        /// A place.
        Location = "location",
        /// A place that moves.
        LiveLocation = "live_location",
        /// One contact card or several.
        Contact = "contact",
        /// A reaction to a message, or its removal.
        Reaction = "reaction",
        /// A question with options.
        Poll = "poll",
        /// Somebody's choice in a poll.
        PollVote = "poll_vote",
        /// New words for a message.
        Edit = "edit",
        /// A message was deleted for everyone.
        Revoke = "revoke",
        /// A button of a business message was pressed.
        ButtonsReply = "buttons_reply",
        /// A row of a list was chosen.
        ListReply = "list_reply",
        /// An order from a catalogue.
        Order = "order",
        /// A product of a catalogue.
        Product = "product",
        /// Anything else, and what could not be decrypted.
        Unknown = "unknown",
    }
}

impl MessageKind {
    /// Whether it is about another message, its `target`.
    pub const fn concerns_another(self) -> bool {
        matches!(self, Self::Reaction | Self::PollVote | Self::Edit | Self::Revoke)
    }

    /// Whether WhatsApp's apps can show it once only.
    pub const fn may_be_view_once(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Audio | Self::Voice)
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

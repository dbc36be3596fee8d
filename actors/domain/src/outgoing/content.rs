//! What is sent, and what of it is accepted. Limits are WhatsApp's where it is known to have one.

use serde::{Deserialize, Serialize};

use super::{FileType, MediaMessage, Mentions, Recipient};
use crate::{InvalidField, PhoneNumber};

/// WhatsApp takes texts of up to 65,536 characters; the limit of the whole body comes first for most of them.
const TEXT_MAX_BYTES: usize = 65_536;
/// The longest line: a name, an address, a question, an option.
const LINE_MAX_BYTES: usize = 1024;
/// WhatsApp's ids have 16 to 32 characters; other clients' a few more.
const MESSAGE_ID_MAX: usize = 128;
/// Options that a poll may have: WhatsApp's apps take 2 to 12.
pub const POLL_OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;
/// For how many seconds somebody may be seen typing before a message: WhatsApp's apps show it for some 25 at the most.
pub const TYPING_SECONDS: std::ops::RangeInclusive<u8> = 1..=20;
/// Contact cards in one message.
pub const CONTACTS_MAX: usize = 20;

/// What is sent; `type` names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Words.
    Text {
        /// The words. A mention shows where they say `@` and the digits, of all `@all`.
        text: String,
        /// Who is mentioned.
        #[serde(skip_serializing_if = "Mentions::is_empty", default)]
        mentions: Mentions,
        /// What is shown of a link in them.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        link_preview: Option<LinkPreview>,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// What it is called.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        name: Option<String>,
        /// Where it is, in words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        address: Option<String>,
    },
    /// Contact cards.
    Contact {
        /// At least one.
        contacts: Vec<ContactCard>,
    },
    /// A reaction to a message.
    Reaction {
        /// The message.
        target: Target,
        /// Empty to take it back.
        emoji: String,
    },
    /// A question with options.
    Poll {
        /// The question.
        poll: Poll,
    },
    /// New words for a message that this number sent.
    Edit {
        /// The message.
        target: Target,
        /// The new words; of a file the new caption.
        text: String,
        /// Who is mentioned in them.
        #[serde(skip_serializing_if = "Mentions::is_empty", default)]
        mentions: Mentions,
        /// What kind of file the message has, where it is known to have one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        caption_of: Option<FileType>,
    },
    /// A message is deleted for everyone.
    Revoke {
        /// The message: one that this number sent, or anybody's in a group that it administers.
        target: Target,
    },
    /// The words of another message, marked as forwarded.
    Forward {
        /// The words.
        text: String,
    },
    /// A file: an image, a video, a sound, a document or a sticker.
    #[serde(untagged)]
    Media(Box<MediaMessage>),
}

impl Content {
    /// The message with a file, if it is one.
    pub fn media(&self) -> Option<&MediaMessage> {
        match self {
            Self::Media(message) => Some(message),
            _ => None,
        }
    }

    /// Whom it mentions, if it is of a kind that can.
    pub fn mentions(&self) -> Option<&Mentions> {
        match self {
            Self::Text { mentions, .. } | Self::Edit { mentions, .. } => Some(mentions),
            Self::Media(message) => Some(&message.mentions),
            _ => None,
        }
    }

    /// What is shown of it where it is quoted.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } | Self::Forward { text } | Self::Edit { text, .. } => Some(text),
            Self::Media(message) => message.caption.as_deref(),
            Self::Location { name, address, .. } => name.as_deref().or(address.as_deref()),
            Self::Contact { contacts } => contacts.first().map(|contact| contact.name.as_str()),
            Self::Poll { poll } => Some(&poll.question),
            Self::Reaction { .. } | Self::Revoke { .. } => None,
        }
    }

    /// The word of `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Location { .. } => "location",
            Self::Contact { .. } => "contact",
            Self::Reaction { .. } => "reaction",
            Self::Poll { .. } => "poll",
            Self::Edit { .. } => "edit",
            Self::Revoke { .. } => "revoke",
            Self::Forward { .. } => "forward",
            Self::Media(message) => message.kind.as_str(),
        }
    }
}

/// The message that one answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// WhatsApp's id of it.
    pub message_id: String,
    /// Who wrote it; absent: the other one of a chat of two.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Recipient>,
    /// What is shown of it above the answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
}

/// The message that a reaction, an edit or a deletion is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// WhatsApp's id of it.
    pub message_id: String,
    /// Who wrote it; absent: the other one of a chat of two for a reaction, this number for an edit and a deletion.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Recipient>,
}

/// What is shown of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPreview {
    /// The link, as it stands in the text.
    pub url: String,
    /// The page's title.
    pub title: String,
    /// What the page says of itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// A small JPEG of the page's picture. Not kept: a text that waits for a restart goes without.
    #[serde(skip)]
    pub thumbnail: Option<Vec<u8>>,
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    /// The name.
    pub name: String,
    /// The number.
    pub phone_number: PhoneNumber,
    /// Where they work.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub organization: Option<String>,
}

/// A question with options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The question.
    pub question: String,
    /// The options, each once.
    pub options: Vec<String>,
    /// How many may be chosen; 0 is any number.
    pub selectable_count: u32,
}

impl Poll {
    /// Checks the options.
    ///
    /// # Errors
    /// `InvalidField` naming `field`.
    pub fn check_options(field: &'static str, options: &[String]) -> Result<(), InvalidField> {
        if !POLL_OPTIONS.contains(&options.len()) {
            let (least, most) = (POLL_OPTIONS.start(), POLL_OPTIONS.end());
            return Err(InvalidField::new(
                field,
                format!("must be {least} to {most} options, these are {}", options.len()),
            ));
        }
        for (at, option) in options.iter().enumerate() {
            check_line(field, option)?;
            // Votes name options by a hash of their text: two of the same could not be told apart.
            if options[..at].contains(option) {
                return Err(InvalidField::new(field, "must be different from each other"));
            }
        }
        Ok(())
    }
}

/// # Errors
/// `InvalidField` naming `field` when a poll of `options` options does not let so many be chosen.
pub fn check_selectable(field: &'static str, count: u64, options: usize) -> Result<u32, InvalidField> {
    match u32::try_from(count) {
        Ok(sane) if sane as usize <= options.max(*POLL_OPTIONS.start()) => Ok(sane),
        _ => Err(InvalidField::new(
            field,
            "must be a whole number from 0 (any number) to that of the options",
        )),
    }
}

/// # Errors
/// `InvalidField` naming `field` outside of [`TYPING_SECONDS`].
pub fn check_typing(field: &'static str, seconds: Option<u64>) -> Result<u8, InvalidField> {
    let sane = seconds.and_then(|seconds| u8::try_from(seconds).ok());
    sane.filter(|sane| TYPING_SECONDS.contains(sane)).ok_or_else(|| {
        let (least, most) = (TYPING_SECONDS.start(), TYPING_SECONDS.end());
        InvalidField::new(
            field,
            format!("must be a whole number of seconds from {least} to {most}"),
        )
    })
}

/// # Errors
/// `InvalidField` naming `field` when it is empty or too long.
pub fn check_text(field: &'static str, text: &str) -> Result<(), InvalidField> {
    bytes(field, text, 1, TEXT_MAX_BYTES)
}

/// # Errors
/// `InvalidField` naming `field` when it is empty, blank, too long, or more than one line.
pub fn check_line(field: &'static str, text: &str) -> Result<(), InvalidField> {
    bytes(field, text, 1, LINE_MAX_BYTES)?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(InvalidField::new(field, "must be one line of text"));
    }
    Ok(())
}

/// Whether `id` can stand in a stanza of the client's: with an `@` it would be written as an address.
pub(crate) fn is_stanza_id(id: &str, max: usize) -> bool {
    (1..=max).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic() && b != b'@')
}

/// # Errors
/// `InvalidField` naming `field` when no message of WhatsApp's can have this id.
pub fn check_message_id(field: &'static str, id: &str) -> Result<(), InvalidField> {
    match is_stanza_id(id, MESSAGE_ID_MAX) {
        true => Ok(()),
        false => Err(InvalidField::new(
            field,
            format!("must be 1 to {MESSAGE_ID_MAX} visible ASCII characters, none of them @"),
        )),
    }
}

/// # Errors
/// `InvalidField` naming `field` outside of -90 to 90.
pub fn check_latitude(field: &'static str, degrees: f64) -> Result<(), InvalidField> {
    match (-90.0..=90.0).contains(&degrees) {
        true => Ok(()),
        false => Err(InvalidField::new(field, "must be a number of degrees from -90 to 90")),
    }
}

/// # Errors
/// `InvalidField` naming `field` outside of -180 to 180.
pub fn check_longitude(field: &'static str, degrees: f64) -> Result<(), InvalidField> {
    match (-180.0..=180.0).contains(&degrees) {
        true => Ok(()),
        false => Err(InvalidField::new(field, "must be a number of degrees from -180 to 180")),
    }
}

fn bytes(field: &'static str, text: &str, least: usize, most: usize) -> Result<(), InvalidField> {
    match text.len() {
        length if (least..=most).contains(&length) => Ok(()),
        length => Err(InvalidField::new(
            field,
            format!("must be {least} to {most} bytes long, this is {length}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_limits() {
        assert!(check_text("text", &"x".repeat(65_536)).is_ok());
        assert!(check_text("text", "").is_err() && check_text("text", &"x".repeat(65_537)).is_err());
        assert!(check_line("name", "Praça da Sé").is_ok());
        for bad in ["", "  ", "two\nlines", &"x".repeat(1025)] {
            assert!(check_line("name", bad).is_err(), "{bad:?}");
        }
        assert!(check_message_id("id", "3EB0ABCDEF").is_ok());
        for bad in ["", "a b", "é", "A@B", &"x".repeat(129)] {
            assert!(check_message_id("id", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nobody_types_for_no_time_or_without_end() {
        assert_eq!(
            (check_typing("t", Some(1)), check_typing("t", Some(20))),
            (Ok(1), Ok(20))
        );
        for bad in [None, Some(0), Some(21), Some(257)] {
            assert!(check_typing("t", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn places_are_on_earth() {
        assert!(check_latitude("latitude", -90.0).is_ok() && check_longitude("longitude", 180.0).is_ok());
        for bad in [90.1, f64::NAN, f64::INFINITY] {
            assert!(check_latitude("latitude", bad).is_err(), "{bad}");
        }
        assert!(check_longitude("longitude", -180.5).is_err());
    }

    #[test]
    fn a_poll_has_two_to_twelve_different_options() {
        let of = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
            Poll::check_options("options", &options)
        };
        assert!(of(&["a", "b"]).is_ok() && of(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]).is_ok());
        assert!(of(&["a"]).is_err() && of(&["a", "a"]).is_err() && of(&["a", ""]).is_err() && of(&["a"; 13]).is_err());
        assert_eq!(check_selectable("n", 0, 3), Ok(0));
        assert_eq!(check_selectable("n", 3, 3), Ok(3));
        assert!(check_selectable("n", 4, 3).is_err());
    }
}

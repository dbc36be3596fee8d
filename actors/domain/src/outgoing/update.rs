//! What only a status update has (WhatsApp's stories): who gets it, and how its words look.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FileType, Recipient};
use crate::{InvalidField, words::read_from_text};

/// Those who get one status update at the most. WhatsApp's clients encrypt it for every device of each of them, and all of that has
/// to be done in the time that a message has; as many fit into the 64 KiB of a request, however they are named.
pub const RECIPIENTS_MAX: usize = 2048;
/// WhatsApp's numbers of the fonts that its apps have for words; those between are gone.
const FONTS: [u8; 8] = [0, 1, 2, 6, 7, 8, 9, 10];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// Who gets it, 1 to [`RECIPIENTS_MAX`] people: WhatsApp leaves it to the sender to name them.
    pub recipients: Vec<Recipient>,
    /// What words stand on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub background_color: Option<Color>,
    /// What they are written in, by WhatsApp's number of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub font: Option<u8>,
}

impl StatusUpdate {
    /// One without a look of its own.
    pub fn to(recipients: Vec<Recipient>) -> Self {
        Self {
            recipients,
            background_color: None,
            font: None,
        }
    }
}

/// A colour that nothing shines through, as `#RRGGBB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color(u32);

impl Color {
    /// What WhatsApp's apps show words on that name no colour.
    pub const DEFAULT: Self = Self(0x1E_6E_4F);

    /// Reads `#RRGGBB`.
    ///
    /// # Errors
    /// `InvalidField` naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        let digits = text.strip_prefix('#');
        let digits = digits.filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let color = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        color
            .map(Self)
            .ok_or_else(|| InvalidField::new(field, "must be a colour as #RRGGBB, such as #1E6E4F"))
    }

    /// As WhatsApp has it: `0xAARRGGBB`.
    pub const fn argb(self) -> u32 {
        0xFF00_0000 | self.0
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06X}", self.0)
    }
}

read_from_text!(Color as "background_color");

/// A font that WhatsApp's apps have.
///
/// # Errors
/// `InvalidField` naming `field`.
pub fn check_font(field: &'static str, number: Option<u64>) -> Result<u8, InvalidField> {
    let font = number.and_then(|number| u8::try_from(number).ok());
    font.filter(|font| FONTS.contains(font)).ok_or_else(|| {
        let known = FONTS.map(|font| font.to_string()).join(", ");
        InvalidField::new(field, format!("must be WhatsApp's number of a font: one of {known}"))
    })
}

/// Whether so many people can get a status update.
///
/// # Errors
/// `InvalidField` naming `field`.
pub fn check_recipients(field: &'static str, people: usize) -> Result<(), InvalidField> {
    match people {
        1..=RECIPIENTS_MAX => Ok(()),
        _ => Err(InvalidField::new(
            field,
            format!("must be 1 to {RECIPIENTS_MAX} numbers or hidden ids (@lid), this is {people}"),
        )),
    }
}

/// What can be posted as a status update, for a refusal.
pub const STATUS_TYPES: &str = "must be one of text, image, video, voice or revoke where to is status@broadcast";

/// Whether a message of this `type` can be a status update.
pub fn is_status_type(kind: &str) -> bool {
    matches!(kind, "text" | "revoke")
        || FileType::from_word(kind)
            .is_some_and(|kind| matches!(kind, FileType::Image | FileType::Video | FileType::Voice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_read_as_it_is_shown() {
        for (text, argb, shown) in [
            ("#1E6E4F", 0xFF1E_6E4F, "#1E6E4F"),
            ("#000000", 0xFF00_0000, "#000000"),
            ("#abcdef", 0xFFAB_CDEF, "#ABCDEF"),
        ] {
            let color: Color = text.parse().unwrap();
            assert_eq!((color.argb(), color.to_string().as_str()), (argb, shown));
        }
        for text in ["", "#", "1E6E4F", "#1E6E4", "#1E6E4FF", "#1E6E4G", "#+E6E4F", "red"] {
            let refusal = text.parse::<Color>().unwrap_err();
            assert_eq!(refusal.field, "background_color", "{text}");
        }
    }

    #[test]
    fn fonts_and_lists_are_held_to_what_whatsapp_has() {
        assert_eq!(check_font("font", Some(10)), Ok(10));
        for number in [None, Some(3), Some(11), Some(256)] {
            assert!(check_font("font", number).unwrap_err().message.contains("0, 1, 2, 6"));
        }
        assert!(check_recipients("recipients", RECIPIENTS_MAX).is_ok());
        for people in [0, RECIPIENTS_MAX + 1] {
            assert_eq!(check_recipients("recipients", people).unwrap_err().field, "recipients");
        }
    }

    #[test]
    fn what_phones_show_as_a_status_can_be_one() {
        for kind in ["text", "image", "video", "voice", "revoke"] {
            assert!(is_status_type(kind), "{kind}");
        }
        for kind in ["audio", "document", "sticker", "poll", "edit", "forward", ""] {
            assert!(!is_status_type(kind), "{kind}");
        }
    }
}

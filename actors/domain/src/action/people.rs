//! What is told of people and of the own account, and what may be said of it.

use serde::{Deserialize, Serialize};

use crate::{InvalidField, outgoing::is_stanza_id};

/// Characters of the account's own name: WhatsApp's limit.
pub const NAME_MAX_CHARS: usize = 25;
/// Characters of what the account says about itself: WhatsApp's limit.
pub const ABOUT_MAX_CHARS: usize = 139;
/// Characters of a call's id: they have 32 today.
const CALL_ID_MAX_CHARS: usize = 128;

/// What WhatsApp tells of somebody. What they do not show, or not to this number, is not told apart from what they do not have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContactInfo {
    /// Their number, where it is known.
    pub number: Option<String>,
    /// Their account's id: by the number, which may have slightly other digits (Brazil, Mexico, Argentina); by the hidden id
    /// where nothing else is known. `None` when there is no account.
    pub jid: Option<String>,
    /// Their hidden id.
    pub lid: Option<String>,
    /// Whether there is an account.
    pub exists: bool,
    /// What they say about themselves.
    pub about: Option<String>,
    /// Changes with their picture.
    pub picture_id: Option<String>,
    /// What there is of a business; `None` when it is none.
    pub business: Option<Business>,
    /// The numbers of their devices; 0 is the phone.
    pub devices: Vec<u16>,
}

/// What WhatsApp tells of a business.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Business {
    /// The name that WhatsApp vouches for.
    pub verified_name: Option<String>,
}

/// Somebody's picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Changes with the picture.
    pub id: String,
    /// Where it lies; good for some days.
    pub url: String,
}

/// Somebody whom the account has blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Their id, as WhatsApp names it: hidden, mostly.
    pub jid: String,
    /// Their number, where it is known.
    pub phone_number: Option<String>,
}

/// What the own account shows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProfileInfo {
    /// The account's id.
    pub jid: String,
    /// Its hidden id.
    pub lid: Option<String>,
    /// The name that others see.
    pub name: Option<String>,
    /// What it says about itself.
    pub about: Option<String>,
    /// Changes with its picture.
    pub picture_id: Option<String>,
}

/// Judges a name for the own account.
///
/// # Errors
/// `InvalidField` naming `field`.
pub fn check_name(field: &'static str, name: &str) -> Result<(), InvalidField> {
    let fits = (1..=NAME_MAX_CHARS).contains(&name.chars().count());
    match fits && !name.trim().is_empty() && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(InvalidField::new(
            field,
            format!("must be 1 to {NAME_MAX_CHARS} characters without control characters"),
        )),
    }
}

/// Judges what the own account is to say about itself; an empty text takes it back.
///
/// # Errors
/// `InvalidField` naming `field`.
pub fn check_about(field: &'static str, about: &str) -> Result<(), InvalidField> {
    match about.chars().count() <= ABOUT_MAX_CHARS && !about.contains('\0') {
        true => Ok(()),
        false => Err(InvalidField::new(
            field,
            format!("must have at most {ABOUT_MAX_CHARS} characters, and no NUL"),
        )),
    }
}

/// Judges the id of a call, as its event tells it.
///
/// # Errors
/// `InvalidField` naming `field`.
pub fn check_call_id(field: &'static str, id: &str) -> Result<(), InvalidField> {
    match is_stanza_id(id, CALL_ID_MAX_CHARS) {
        true => Ok(()),
        false => Err(InvalidField::new(
            field,
            format!(
                "must be a call's id, as its event tells it: 1 to {CALL_ID_MAX_CHARS} visible ASCII characters, none of them @"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_about_oneself_are_bounded_in_characters() {
        for good in ["A", "Café São João 12345678901", &"é".repeat(25)] {
            assert!(check_name("name", good).is_ok(), "{good}");
        }
        for bad in ["", "   ", &"é".repeat(26), "a\nb"] {
            assert!(check_name("name", bad).is_err(), "{bad:?}");
        }
        for good in ["", "two\nlines", &"é".repeat(139)] {
            assert!(check_about("about", good).is_ok(), "{good}");
        }
        for bad in [&"é".repeat(140), "\0"] {
            assert!(check_about("about", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_of_calls_are_words() {
        assert!(check_call_id("call_id", "5C7F0E1D2B").is_ok());
        for bad in ["", "a b", "é", "A@B", &"x".repeat(129)] {
            assert!(check_call_id("call_id", bad).is_err(), "{bad:?}");
        }
    }
}

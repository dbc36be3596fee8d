//! Whom a message goes to.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{InvalidField, PhoneNumber, words::read_from_text};

/// What ends the id of a group.
pub(crate) const GROUP: &str = "@g.us";
/// Where status updates (WhatsApp's stories) go.
pub const STATUS: &str = "status@broadcast";
/// What ends a hidden id.
const HIDDEN: &str = "@lid";
/// What ends the id of an account that is known by its number.
const ACCOUNT: &str = "@s.whatsapp.net";
/// What ended it in older clients, and does in other gateways.
const CLIENT: &str = "@c.us";
/// What names a person.
const PERSON_WANTED: &str = "must be a number of 8 to 15 digits with its country code (a leading +, spaces, dashes and brackets are \
                             dropped), or a hidden id: `from_lid` of an event with @lid behind it";
/// What names a chat.
const CHAT_WANTED: &str = "must be a number of 8 to 15 digits with its country code (a leading +, spaces, dashes and brackets are \
                           dropped), a hidden id (`from_lid` of an event with @lid behind it), or a group's id, such as \
                           120363000000000001@g.us";
/// Digits of the longest id; those of groups have 18 today, older ones two numbers with a dash.
const DIGITS_MAX: usize = 40;

/// A group's id (`120363000000000001@g.us`, or `5511999999999-1600000000@g.us` for older ones).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupId(Arc<str>);

impl GroupId {
    /// With its `@g.us`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an id.
    ///
    /// # Errors
    /// `InvalidField` naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        let id = text.trim();
        let digits = id.strip_suffix(GROUP).filter(|digits| {
            let sane = (1..=DIGITS_MAX).contains(&digits.len()) && digits.starts_with(|c: char| c.is_ascii_digit());
            sane && digits.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        });
        match digits {
            Some(_) => Ok(Self(id.into())),
            None => Err(InvalidField::new(
                field,
                "must be a group's id, such as 120363000000000001@g.us",
            )),
        }
    }
}

read_from_text!(GroupId as "group_id");

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom a message goes to, or who wrote one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Recipient {
    /// A person by number.
    Number(PhoneNumber),
    /// A person whose number WhatsApp hides, by the digits of the hidden id (LID), as events tell it in `from_lid`.
    Hidden(Arc<str>),
    /// A group.
    Group(GroupId),
    /// Status updates (WhatsApp's stories): what goes there says itself who gets it.
    Status,
}

impl Recipient {
    /// Reads a number as [`PhoneNumber::parse`] does, `…@s.whatsapp.net`, `…@c.us`, `…@lid`, `…@g.us` or `status@broadcast`. What is kept
    /// or WhatsApp's is read by `str::parse`, as numbers are.
    ///
    /// # Errors
    /// `InvalidField` naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        Self::read(field, text)?.reachable(field)
    }

    /// The same without status updates.
    ///
    /// # Errors
    /// `InvalidField` naming `field`.
    pub fn parse_chat(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        Self::read_chat(field, text)?.reachable(field)
    }

    /// The same without groups, too.
    ///
    /// # Errors
    /// `InvalidField` naming `field`.
    pub fn parse_person(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        Self::read_person(field, text)?.reachable(field)
    }

    fn reachable(self, field: &'static str) -> Result<Self, InvalidField> {
        if let Self::Number(number) = &self {
            number.check_international(field)?;
        }
        Ok(self)
    }

    fn read(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        match text.trim() {
            STATUS => Ok(Self::Status),
            group if group.ends_with(GROUP) => Self::read_chat(field, text),
            _ => Self::read_chat(field, text)
                .map_err(|_| InvalidField::new(field, format!("{CHAT_WANTED}, or {STATUS} for a status update"))),
        }
    }

    fn read_chat(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        let trimmed = text.trim();
        if trimmed.ends_with(GROUP) {
            return GroupId::parse(field, trimmed).map(Self::Group);
        }
        Self::read_person(field, text).map_err(|_| InvalidField::new(field, CHAT_WANTED))
    }

    fn read_person(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        let trimmed = text.trim();
        if let Some(digits) = trimmed.strip_suffix(HIDDEN) {
            let sane = (1..=DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            return match sane {
                true => Ok(Self::Hidden(digits.into())),
                false => Err(InvalidField::new(field, "must be digits before @lid")),
            };
        }
        let number = [ACCOUNT, CLIENT].iter().find_map(|ending| trimmed.strip_suffix(ending));
        let number = PhoneNumber::read(field, number.unwrap_or(text));
        number
            .map(Self::Number)
            .map_err(|_| InvalidField::new(field, PERSON_WANTED))
    }

    /// WhatsApp's id of it.
    pub fn jid(&self) -> String {
        match self {
            Self::Number(number) => format!("{number}{ACCOUNT}"),
            Self::Hidden(digits) => format!("{digits}{HIDDEN}"),
            Self::Group(group) => group.as_str().to_owned(),
            Self::Status => STATUS.to_owned(),
        }
    }

    /// Whether it is a group.
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Group(_))
    }

    /// Whether it is where status updates go.
    pub fn is_status(&self) -> bool {
        matches!(self, Self::Status)
    }

    /// Whether many get what goes there, and each tells of it for themselves.
    pub fn is_for_many(&self) -> bool {
        self.is_group() || self.is_status()
    }
}

/// As a client writes it: a number in digits, else with what is after the `@`.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Hidden(digits) => write!(f, "{digits}{HIDDEN}"),
            Self::Group(group) => group.fmt(f),
            Self::Status => f.write_str(STATUS),
        }
    }
}

impl From<PhoneNumber> for Recipient {
    fn from(number: PhoneNumber) -> Self {
        Self::Number(number)
    }
}

read_from_text!(Recipient as "to", by read);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_groups_and_hidden_ids_are_told_apart() {
        for (text, shown, jid) in [
            ("+55 (11) 99999-9999", "5511999999999", "5511999999999@s.whatsapp.net"),
            (
                "5511999999999@s.whatsapp.net",
                "5511999999999",
                "5511999999999@s.whatsapp.net",
            ),
            ("5511999999999@c.us", "5511999999999", "5511999999999@s.whatsapp.net"),
            (
                " 120363000000000001@g.us",
                "120363000000000001@g.us",
                "120363000000000001@g.us",
            ),
            (
                "5511999999999-1600000000@g.us",
                "5511999999999-1600000000@g.us",
                "5511999999999-1600000000@g.us",
            ),
            ("100000000000007@lid", "100000000000007@lid", "100000000000007@lid"),
            (" status@broadcast", "status@broadcast", "status@broadcast"),
        ] {
            let read: Recipient = text.parse().unwrap();
            assert_eq!((read.to_string().as_str(), read.jid().as_str()), (shown, jid));
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_would_be_accepted() {
        for text in [
            "",
            "abc",
            "123",
            "@g.us",
            "x@g.us",
            "-1@g.us",
            "@lid",
            "a@lid",
            "1@broadcast",
            "1@newsletter",
            "1@c.us",
            "5511999999999@c.us@s.whatsapp.net",
        ] {
            let refusal = text.parse::<Recipient>().unwrap_err();
            assert_eq!(refusal.field, "to");
            assert!(refusal.message.starts_with("must be"), "{refusal}");
        }
        assert!(Recipient::parse_person("from", "1@g.us").is_err());
        assert!(Recipient::parse_chat("chat", "status@broadcast").is_err());
        for national in ["011 99999-9999", "0011999999999@c.us"] {
            assert!(
                national.parse::<Recipient>().is_ok(),
                "what is kept is read: {national}"
            );
            let parsed =
                [Recipient::parse, Recipient::parse_chat, Recipient::parse_person].map(|parse| parse("to", national));
            for refusal in parsed {
                let refusal = refusal.unwrap_err();
                assert!(refusal.message.contains("country code"), "{national}: {refusal}");
            }
        }
        let digits = "1000000000000007".parse::<Recipient>().unwrap_err();
        assert!(digits.message.contains("with @lid behind it"), "{digits}");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(text in "[0-9+ ()-]{0,20}(@g.us|@lid|@s.whatsapp.net|@c.us)?") {
            if let Ok(read) = text.parse::<Recipient>() {
                prop_assert_eq!(read.to_string().parse::<Recipient>().unwrap(), read.clone());
                prop_assert_eq!(read.jid().parse::<Recipient>().unwrap(), read);
            }
        }
    }
}

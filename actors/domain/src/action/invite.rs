//! Invite links of groups, and invitations that people send.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{GroupId, InvalidField, Recipient, Timestamp};

/// What invite links begin with.
const LINK: &str = "https://chat.whatsapp.com/";
/// Other beginnings that people copy; what the apps open themselves among them.
const OTHER_LINKS: [&str; 4] = [
    "http://chat.whatsapp.com/",
    "chat.whatsapp.com/",
    "whatsapp://chat/?code=",
    "whatsapp://chat?code=",
];
/// Characters of the longest code; WhatsApp's have 22 today.
const CODE_MAX: usize = 64;

/// The code in an invite link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteCode(String);

impl InviteCode {
    /// Reads a code, or a whole link.
    ///
    /// # Errors
    /// `InvalidField` naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidField> {
        let text = text.trim();
        let begins = |link: &&str| {
            let begin = text.get(..link.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(link))
        };
        let link = [LINK].into_iter().chain(OTHER_LINKS).find(begins);
        let code = match link {
            // Behind it may come where the link was found (`?mode=…`).
            Some(link) => {
                let rest = text[link.len()..].split(['?', '&', '#']).next().unwrap_or_default();
                let rest = rest.strip_prefix("invite/").unwrap_or(rest);
                rest.strip_suffix('/').unwrap_or(rest)
            }
            None => text,
        };
        let sane = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        match (1..=CODE_MAX).contains(&code.len()) && code.bytes().all(sane) {
            true => Ok(Self(code.to_owned())),
            false => Err(InvalidField::new(
                field,
                "must be the code of an invite link (letters and digits, such as AbCdEfGhIjKlMnOpQrStUv), or the whole \
                 link url-encoded (https%3A%2F%2Fchat.whatsapp.com%2FAbCdEfGhIjKlMnOpQrStUv)",
            )),
        }
    }

    /// The code alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An invitation that somebody sent this number as a message. WhatsApp takes it only as it came, and from whom it was meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The group.
    pub group: GroupId,
    /// The code, which leads nowhere as a link.
    pub code: InviteCode,
    /// Who sent it; no group.
    pub from: Recipient,
    /// Until when it is good, if it says so.
    pub expires_at: Option<Timestamp>,
}

/// The link by which people join a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteLink {
    /// What is secret in it.
    pub code: String,
    /// The link.
    pub url: String,
}

impl From<InviteCode> for InviteLink {
    fn from(code: InviteCode) -> Self {
        Self {
            url: format!("{LINK}{code}"),
            code: code.0,
        }
    }
}

/// What people see of a group before they join it by a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedGroup {
    /// Its id.
    pub id: String,
    /// Its name.
    pub subject: String,
    /// What it is about.
    pub description: Option<String>,
    /// Who made it: a number, or a hidden id.
    pub owner: Option<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// How many are in it.
    pub size: Option<u32>,
    /// Whether only administrators may write.
    pub announce: bool,
    /// Whether administrators let people in: who joins asks them.
    pub join_approval: bool,
    /// Whether it is a community.
    pub is_community: bool,
    /// The id of the community that it belongs to.
    pub linked_parent: Option<String>,
}

/// What came of joining a group by a link or an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The group's id.
    pub id: String,
    /// `joined`, or `requested` where an administrator has to let this number in.
    pub status: String,
}

impl Joined {
    /// This number is in the group.
    pub fn at_once(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            status: "joined".to_owned(),
        }
    }

    /// An administrator has to let this number in.
    pub fn requested(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            status: "requested".to_owned(),
        }
    }

    /// Whether an administrator has yet to let this number in.
    pub fn is_requested(&self) -> bool {
        self.status == "requested"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODE: &str = "AbCdEfGhIjKlMnOpQrStUv";

    #[test]
    fn a_code_is_found_in_every_link() {
        for text in [
            CODE.to_owned(),
            format!(" {CODE}\n"),
            format!("https://chat.whatsapp.com/{CODE}"),
            format!("HTTPS://Chat.WhatsApp.com/{CODE}/"),
            format!("http://chat.whatsapp.com/invite/{CODE}?mode=ac_t"),
            format!("chat.whatsapp.com/{CODE}#x"),
            format!("whatsapp://chat/?code={CODE}&x=1"),
        ] {
            assert_eq!(
                InviteCode::parse("code", &text),
                Ok(InviteCode(CODE.to_owned())),
                "{text}"
            );
        }
        let link = InviteLink::from(InviteCode(CODE.to_owned()));
        assert_eq!(
            (link.code.as_str(), link.url),
            (CODE, format!("https://chat.whatsapp.com/{CODE}"))
        );
    }

    #[test]
    fn what_is_no_code_is_refused_with_what_is_one() {
        for text in [
            "",
            "https://chat.whatsapp.com/",
            "https://example.com/AbCd",
            "Ab Cd",
            "Ab/Cd",
            "\u{e9}",
            &"x".repeat(CODE_MAX + 1),
        ] {
            let refused = InviteCode::parse("code", text).unwrap_err();
            assert!(refused.message.contains("whole link"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            if let Ok(code) = InviteCode::parse("code", &text) {
                let link = InviteLink::from(code.clone());
                prop_assert_eq!(InviteCode::parse("code", &link.url), Ok(code));
            }
        }
    }
}

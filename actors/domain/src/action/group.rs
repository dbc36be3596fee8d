//! Groups: what they are, what can change about them, who is in them or asks to be.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{InvalidField, Timestamp, outgoing::check_line, words};

/// Characters of a group's subject: WhatsApp's limit.
pub const SUBJECT_MAX_CHARS: usize = 100;
/// Characters of a group's description: WhatsApp's limit.
pub const DESCRIPTION_MAX_CHARS: usize = 2048;
/// For how long messages may stay, in seconds: for good, a day, a week, 90 days. WhatsApp's apps offer no others.
pub const EPHEMERAL_SECONDS: [u32; 4] = [0, 86_400, 604_800, 7_776_000];

words! {
    /// Who may add people to a group.
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum MemberAddMode {
        /// Administrators.
        Admins = "admins",
        /// Everybody in it.
        All = "all",
    }
}

/// What changes about a group; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupPatch {
    /// Its name, as [`check_subject`] takes it.
    pub subject: Option<String>,
    /// What it is about, as [`check_description`] takes it; `Some(None)` takes it away.
    pub description: Option<Option<String>>,
    /// Whether only administrators may write.
    pub announce: Option<bool>,
    /// Whether only administrators may change its name, description and picture.
    pub locked: Option<bool>,
    /// For how long messages stay, one of [`EPHEMERAL_SECONDS`].
    pub ephemeral_seconds: Option<u32>,
    /// Whether administrators let people in.
    pub join_approval: Option<bool>,
    /// Who may add people.
    pub member_add_mode: Option<MemberAddMode>,
}

/// # Errors
/// `InvalidField` for what WhatsApp takes as no group's name.
pub fn check_subject(field: &'static str, subject: &str) -> Result<(), InvalidField> {
    check_line(field, subject)?;
    check_at_most(field, subject, SUBJECT_MAX_CHARS)
}

/// # Errors
/// `InvalidField` for what is longer than WhatsApp takes.
pub fn check_description(field: &'static str, description: &str) -> Result<(), InvalidField> {
    check_at_most(field, description, DESCRIPTION_MAX_CHARS)
}

fn check_at_most(field: &'static str, text: &str, most: usize) -> Result<(), InvalidField> {
    let count = text.chars().count();
    let wrong = || InvalidField::new(field, format!("must have at most {most} characters, this has {count}"));
    (count <= most).then_some(()).ok_or_else(wrong)
}

/// # Errors
/// `InvalidField` for any but [`EPHEMERAL_SECONDS`].
pub fn check_ephemeral(field: &'static str, seconds: Option<u64>) -> Result<u32, InvalidField> {
    let known = EPHEMERAL_SECONDS
        .into_iter()
        .find(|known| Some(u64::from(*known)) == seconds);
    known.ok_or_else(|| {
        let [never, others @ ..] = EPHEMERAL_SECONDS.map(|seconds| seconds.to_string());
        let others = others.join(", ");
        InvalidField::new(field, format!("must be {never} (messages stay), or one of {others}"))
    })
}

/// A picture as WhatsApp takes it: a square JPEG of at most 640 pixels across.
#[derive(Clone, PartialEq, Eq)]
pub struct Jpeg(pub Vec<u8>);

impl fmt::Debug for Jpeg {
    /// Without its bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jpeg({} bytes)", self.0.len())
    }
}

/// Somebody who asks to be let into a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Their id in this group.
    pub jid: String,
    /// Their number, where it is known.
    pub phone_number: Option<String>,
    /// Since when.
    pub requested_at: Option<Timestamp>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInfo {
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
    /// Whether only administrators may write.
    pub announce: bool,
    /// Whether only administrators may change its name, description and picture.
    pub locked: bool,
    /// For how long messages stay, in seconds; 0: for good.
    #[serde(default)]
    pub ephemeral_seconds: u32,
    /// Whether administrators let people in.
    #[serde(default)]
    pub join_approval: bool,
    /// Who may add people, where WhatsApp says so.
    #[serde(default)]
    pub member_add_mode: Option<MemberAddMode>,
    /// Whether it is a community: a group that holds groups and has no chat itself.
    #[serde(default)]
    pub is_community: bool,
    /// Whether it is the announcement group of its community, where everybody of it is.
    #[serde(default)]
    pub is_community_announce: bool,
    /// The id of the community that it belongs to.
    #[serde(default)]
    pub linked_parent: Option<String>,
    /// Who is in it.
    pub participants: Vec<Participant>,
    /// Who was to be in it when it was made, and is not.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refused: Vec<NotAdded>,
}

/// Somebody whom WhatsApp did not put into a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotAdded {
    /// Their id.
    pub jid: String,
    /// Their number, where it is known.
    pub phone_number: Option<String>,
    /// WhatsApp's code (`403`: they want to be invited).
    pub error: String,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Their id in this group.
    pub jid: String,
    /// Their number, where it is known.
    pub phone_number: Option<String>,
    /// `member`, `admin` or `superadmin`.
    pub role: String,
}

/// What came of a change of one participant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantChange {
    /// `add`, `remove`, `promote` or `demote`; `approve` or `reject` of somebody who asked to be let in.
    pub action: String,
    /// Whom WhatsApp answers for.
    pub jid: String,
    /// Their number, where it is known.
    pub phone_number: Option<String>,
    /// Whether it is done.
    pub ok: bool,
    /// WhatsApp's code if it is not (`403`: they want to be invited; `409`: they are in already).
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_whatsapp_takes_is_counted_in_characters() {
        assert_eq!(check_subject("subject", &"\u{e9}".repeat(SUBJECT_MAX_CHARS)), Ok(()));
        assert!(check_subject("subject", &"x".repeat(SUBJECT_MAX_CHARS + 1)).is_err());
        assert!(check_subject("subject", "").is_err());
        assert_eq!(
            check_description("description", &"\u{e9}".repeat(DESCRIPTION_MAX_CHARS)),
            Ok(())
        );
        let long = check_description("description", &"x".repeat(DESCRIPTION_MAX_CHARS + 1)).unwrap_err();
        assert_eq!(long.message, "must have at most 2048 characters, this has 2049");
    }

    #[test]
    fn messages_stay_for_one_of_four_times() {
        for seconds in EPHEMERAL_SECONDS {
            assert_eq!(check_ephemeral("e", Some(u64::from(seconds))), Ok(seconds));
        }
        for other in [None, Some(1), Some(86_401), Some(u64::MAX)] {
            let refused = check_ephemeral("e", other).unwrap_err();
            assert_eq!(
                refused.message,
                "must be 0 (messages stay), or one of 86400, 604800, 7776000"
            );
        }
    }

    #[test]
    fn an_answer_of_an_older_version_is_read() {
        let old = r#"{"id":"1@g.us","subject":"s","description":null,"owner":null,"created_at":null,"announce":false,
            "locked":true,"participants":[]}"#;
        let group: GroupInfo = serde_json::from_str(old).unwrap();
        assert_eq!(
            (group.ephemeral_seconds, group.join_approval, group.member_add_mode),
            (0, false, None)
        );
    }
}

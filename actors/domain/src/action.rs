//! What a number can be asked to do at WhatsApp besides sending messages, and what comes of it.

mod people;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::people::{
    ABOUT_MAX_CHARS, Blocked, Business, ContactInfo, NAME_MAX_CHARS, Picture, ProfileInfo, check_about, check_call_id,
    check_name,
};
use crate::{
    PhoneNumber, Timestamp,
    outgoing::{GroupId, Recipient},
};

/// Numbers that are looked up at a time.
pub const NUMBERS_MAX: usize = 50;
/// Messages that are marked as read at a time.
pub const READ_MAX: usize = 256;
/// People of a group that are named at a time: as many as a group may have.
pub const PARTICIPANTS_MAX: usize = 1024;
/// Characters of a group's subject: WhatsApp's limit.
pub const SUBJECT_MAX_CHARS: usize = 100;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Tell the writers that their messages were seen.
    MarkRead {
        /// The chat.
        chat: Recipient,
        /// Who wrote them; in groups.
        from: Option<Recipient>,
        /// Theirs, at most [`READ_MAX`].
        message_ids: Vec<String>,
    },
    /// Show what this number is doing.
    Presence {
        /// To whom; `None` for what everybody sees.
        to: Option<Recipient>,
        /// What.
        state: PresenceState,
    },
    /// Find out which numbers are on WhatsApp, at most [`NUMBERS_MAX`].
    CheckNumbers(Vec<PhoneNumber>),
    /// Find out what somebody shows of themselves.
    Contact(Recipient),
    /// Find out where somebody's picture lies.
    Picture {
        /// Whose.
        of: Recipient,
        /// The small one.
        preview: bool,
    },
    /// Whom the account has blocked.
    Blocks,
    /// Hear nothing more of somebody.
    Block(Recipient),
    /// Hear of them again.
    Unblock(Recipient),
    /// What the own account shows of itself.
    Profile,
    /// Change that; what is `None` stays. The name first.
    ChangeProfile {
        /// The name that others see.
        name: Option<String>,
        /// What it says about itself; an empty text takes it back.
        about: Option<String>,
    },
    /// Show another picture of the own account: a square JPEG.
    SetPicture(Arc<[u8]>),
    /// Show none.
    RemovePicture,
    /// Turn down a call that rings.
    RejectCall {
        /// WhatsApp's id of it.
        call_id: String,
        /// Who calls.
        from: Recipient,
    },
    /// Change how a chat is shown in the account's apps.
    ArrangeChat {
        /// Which.
        chat: Recipient,
        /// How.
        how: Arrangement,
    },
    /// The groups that this number is in.
    Groups,
    /// One group.
    Group(GroupId),
    /// Make a group.
    CreateGroup {
        /// Its name.
        subject: String,
        /// Who is in it besides this number.
        participants: Vec<PhoneNumber>,
    },
    /// Change who is in a group, and who runs it.
    ChangeParticipants {
        /// The group.
        group: GroupId,
        /// Who joins.
        add: Vec<PhoneNumber>,
        /// Who goes.
        remove: Vec<PhoneNumber>,
        /// Who becomes an administrator.
        promote: Vec<PhoneNumber>,
        /// Who is none any more.
        demote: Vec<PhoneNumber>,
    },
    /// Leave a group.
    LeaveGroup(GroupId),
}

impl Action {
    /// Whether it only asks, and leaves nothing behind.
    pub const fn is_look_up(&self) -> bool {
        matches!(
            self,
            Self::CheckNumbers(_)
                | Self::Contact(_)
                | Self::Picture { .. }
                | Self::Blocks
                | Self::Profile
                | Self::Groups
                | Self::Group(_)
        )
    }
}

/// How a chat is shown in the account's apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// Out of the way, or not.
    Archived(bool),
    /// Above all others, or not.
    Pinned(bool),
    /// Without a sound for ever, or with one.
    Muted(bool),
    /// Without a sound until then.
    MutedUntil(Timestamp),
}

/// What a number shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceState {
    /// Writes, in a chat.
    Typing,
    /// Records a voice note, in a chat.
    Recording,
    /// Has stopped either.
    Paused,
    /// Is online.
    Available,
    /// Is not.
    Unavailable,
}

impl PresenceState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Typing,
        Self::Recording,
        Self::Paused,
        Self::Available,
        Self::Unavailable,
    ];

    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Typing => "typing",
            Self::Recording => "recording",
            Self::Paused => "paused",
            Self::Available => "available",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether it is shown in one chat, and not to everybody.
    pub const fn is_of_a_chat(self) -> bool {
        matches!(self, Self::Typing | Self::Recording | Self::Paused)
    }
}

/// What came of an [`Action`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// It is done.
    Done,
    /// Of [`Action::CheckNumbers`], in its order.
    Numbers(Vec<NumberCheck>),
    /// Of [`Action::Contact`].
    Contact(Box<ContactInfo>),
    /// Of [`Action::Picture`]; `None` when there is none, or none that is shown to this number.
    Picture(Option<Picture>),
    /// Of [`Action::Blocks`], by id.
    Blocks(Vec<Blocked>),
    /// Of [`Action::Profile`].
    Profile(ProfileInfo),
    /// Of [`Action::Groups`], by subject.
    Groups(Vec<GroupInfo>),
    /// Of [`Action::Group`] and [`Action::CreateGroup`].
    Group(GroupInfo),
    /// Of [`Action::ChangeParticipants`].
    Participants(Vec<ParticipantChange>),
}

/// Whether a number is on WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberCheck {
    /// The number that was asked for.
    pub number: PhoneNumber,
    /// Whether there is an account.
    pub exists: bool,
    /// Its id, which may have slightly other digits (Brazil, Mexico, Argentina).
    pub jid: Option<String>,
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
    /// Whether only administrators may change its name and picture.
    pub locked: bool,
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
    /// `add`, `remove`, `promote` or `demote`.
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

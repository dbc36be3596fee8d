//! What a number can be asked to do at WhatsApp besides sending messages, and what comes of it.

mod group;
mod invite;
mod people;

use serde::{Deserialize, Serialize};

pub use self::{
    group::{
        DESCRIPTION_MAX_CHARS, EPHEMERAL_SECONDS, GroupInfo, GroupPatch, JoinRequest, Jpeg, MemberAddMode, NotAdded,
        Participant, ParticipantChange, SUBJECT_MAX_CHARS, check_description, check_ephemeral, check_subject,
    },
    invite::{Invitation, InviteCode, InviteLink, InvitedGroup, Joined},
    people::{
        ABOUT_MAX_CHARS, Blocked, Business, ContactInfo, NAME_MAX_CHARS, Picture, ProfileInfo, check_about,
        check_call_id, check_name,
    },
};
use crate::{
    PhoneNumber, Timestamp,
    outgoing::{GroupId, Recipient},
    words,
};

/// Numbers that are looked up at a time.
pub const NUMBERS_MAX: usize = 50;
/// Messages that are marked as read at a time.
pub const READ_MAX: usize = 256;
/// People of a group that are named at a time: as many as a group may have.
pub const PARTICIPANTS_MAX: usize = 1024;

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
    /// Find out where a picture lies.
    Picture {
        /// Somebody's, or a group's.
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
    /// Show another picture of the own account or of a group.
    SetPicture {
        /// The group; `None` for the own account.
        group: Option<GroupId>,
        /// The picture; `None` for none.
        picture: Option<Jpeg>,
    },
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
    /// Change who is in a group, and who runs it; the lists name no groups.
    ChangeParticipants {
        /// The group.
        group: GroupId,
        /// Who joins.
        add: Vec<Recipient>,
        /// Who goes.
        remove: Vec<Recipient>,
        /// Who becomes an administrator.
        promote: Vec<Recipient>,
        /// Who is none any more.
        demote: Vec<Recipient>,
    },
    /// Leave a group.
    LeaveGroup(GroupId),
    /// Change what a group is called and what it allows; an empty patch changes nothing.
    ChangeGroup {
        /// The group.
        group: GroupId,
        /// What changes.
        patch: GroupPatch,
    },
    /// The link by which people join a group.
    Invite {
        /// The group.
        group: GroupId,
        /// Whether it is to be another from now on; the one before leads nowhere then.
        reset: bool,
    },
    /// What lies behind an invite link.
    InvitedTo(InviteCode),
    /// Join the group behind an invite link.
    JoinByInvite(InviteCode),
    /// Join the group that somebody's message invites to.
    AcceptInvitation(Invitation),
    /// Who asks to be let into a group.
    JoinRequests(GroupId),
    /// Let people into a group who asked, or do not.
    DecideJoinRequests {
        /// The group.
        group: GroupId,
        /// Who is let in; no groups.
        approve: Vec<Recipient>,
        /// Who is not; no groups.
        reject: Vec<Recipient>,
    },
}

impl Action {
    /// Whether it does no harm to do it again: it only asks, or marks what may be marked already.
    pub const fn may_be_repeated(&self) -> bool {
        matches!(
            self,
            Self::MarkRead { .. }
                | Self::CheckNumbers(_)
                | Self::Contact(_)
                | Self::Picture { .. }
                | Self::Blocks
                | Self::Profile
                | Self::Groups
                | Self::Group(_)
                | Self::Invite { reset: false, .. }
                | Self::InvitedTo(_)
                | Self::JoinRequests(_)
        )
    }

    /// The group that it is about, if it is about one that this number should be in.
    pub const fn group(&self) -> Option<&GroupId> {
        match self {
            Self::Group(group)
            | Self::ChangeParticipants { group, .. }
            | Self::LeaveGroup(group)
            | Self::ChangeGroup { group, .. }
            | Self::Picture {
                of: Recipient::Group(group),
                ..
            }
            | Self::SetPicture { group: Some(group), .. }
            | Self::Invite { group, .. }
            | Self::JoinRequests(group)
            | Self::DecideJoinRequests { group, .. } => Some(group),
            Self::MarkRead { .. }
            | Self::Presence { .. }
            | Self::CheckNumbers(_)
            | Self::Contact(_)
            | Self::Picture { .. }
            | Self::Blocks
            | Self::Block(_)
            | Self::Unblock(_)
            | Self::Profile
            | Self::ChangeProfile { .. }
            | Self::SetPicture { group: None, .. }
            | Self::RejectCall { .. }
            | Self::ArrangeChat { .. }
            | Self::Groups
            | Self::CreateGroup { .. }
            | Self::InvitedTo(_)
            | Self::JoinByInvite(_)
            | Self::AcceptInvitation(_) => None,
        }
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

words! {
    /// What a number shows of itself.
    pub enum PresenceState {
        /// Writes, in a chat.
        Typing = "typing",
        /// Records a voice note, in a chat.
        Recording = "recording",
        /// Has stopped either.
        Paused = "paused",
        /// Is online.
        Available = "available",
        /// Is not.
        Unavailable = "unavailable",
    }
}

impl PresenceState {
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
    /// Of [`Action::Group`], [`Action::CreateGroup`] and [`Action::ChangeGroup`].
    Group(GroupInfo),
    /// Of [`Action::ChangeParticipants`] and [`Action::DecideJoinRequests`].
    Participants(Vec<ParticipantChange>),
    /// Of [`Action::Invite`].
    Invite(InviteLink),
    /// Of [`Action::InvitedTo`].
    InvitedTo(InvitedGroup),
    /// Of [`Action::JoinByInvite`] and [`Action::AcceptInvitation`].
    Joined(Joined),
    /// Of [`Action::JoinRequests`].
    JoinRequests(Vec<JoinRequest>),
}

/// Whether a number is on WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberCheck {
    /// The number that was asked for.
    pub number: PhoneNumber,
    /// Whether there is an account; `None` if WhatsApp does not say, see `error`.
    pub exists: Option<bool>,
    /// Its id, which may have slightly other digits (Brazil, Mexico, Argentina).
    pub jid: Option<String>,
    /// Why WhatsApp does not say, mostly because it was asked too much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

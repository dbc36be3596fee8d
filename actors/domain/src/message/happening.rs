//! What is told beside messages that come in (docs/EVENTS.md): their bodies' `event` and the keys that follow it.

use serde::Serialize;

use super::Group;
use crate::{ConnectionStatus, EventKind, SendStatus, Timestamp, outgoing::STATUS, session::ReasonCode, words};

/// Something that happened and is no message that came in. Serialised as `event` and the keys that belong to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event")]
pub enum Happening {
    /// The account sent a message from its phone or another linked device; the message is in all the other keys.
    #[serde(rename = "message.sent")]
    Sent {
        /// Who gets it: a number, a hidden id where it is not known, or the id of a group.
        #[serde(skip)]
        to: String,
        /// The receiver's hidden id (LID) in digits, where the number is not known; the same as `to`.
        #[serde(skip_serializing_if = "Option::is_none")]
        to_lid: Option<String>,
        /// Always true.
        is_from_me: bool,
    },
    /// Somebody posted a status update (WhatsApp's stories), or took one back; it is in all the other keys.
    #[serde(rename = "status")]
    Update {},
    /// How far a message that the account sent has come.
    #[serde(rename = "message.status")]
    Status {
        /// Who gets the message, as above.
        #[serde(skip)]
        to: String,
        /// The receiver's hidden id in digits, as above.
        #[serde(skip_serializing_if = "Option::is_none")]
        to_lid: Option<String>,
        /// How far; never [`SendStatus::Queued`].
        status: SendStatus,
        /// Why it failed, with [`SendStatus::Failed`]: WhatsApp's code, or one of [`crate::outgoing::code`].
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// Which member of a group, or receiver of a status update, got, read or played it.
        #[serde(skip_serializing_if = "Option::is_none")]
        participant: Option<String>,
    },
    /// The connection's status or reason changed.
    #[serde(rename = "connection")]
    Connection {
        /// What it is now.
        connection: ConnectionChange,
    },
    /// A group changed.
    #[serde(rename = "group")]
    Group {
        /// How.
        change: GroupChange,
    },
    /// A call came in, or ended.
    #[serde(rename = "call")]
    Call {
        /// Which one, and how.
        call: Call,
    },
    /// Somebody is online, writes or records.
    #[serde(rename = "presence")]
    Presence {
        /// What they do.
        presence: Presence,
    },
}

/// The chat that somebody's status updates lie in: one for each author, apart from what they write to this number, so that
/// neither waits for the other's files.
pub fn update_chat(author: &str) -> String {
    format!("{STATUS}/{author}")
}

/// Whether somebody's status updates lie in this chat.
pub fn is_update_chat(chat: &str) -> bool {
    chat.starts_with(STATUS)
}

/// Where a connection stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionChange {
    /// The status.
    pub status: ConnectionStatus,
    /// Why, when there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for machines.
    pub reason_code: ReasonCode,
    /// The linked device, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jid: Option<String>,
}

/// How a group changed. What a change does not have is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GroupChange {
    /// WhatsApp's word for it; also the event's `type`.
    #[serde(skip)]
    pub what: String,
    /// Whom it is about: numbers, or hidden ids of those whose number is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<String>,
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The new description; empty when it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// WhatsApp's id of the new picture; empty when it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture_id: Option<String>,
    /// Seconds after which messages disappear; 0 when they stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_seconds: Option<u32>,
    /// What a setting is now, in WhatsApp's word: `on` or `off` of `membership_approval_mode`, `admin_add` or `all_member_add` of
    /// `member_add_mode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// WhatsApp's reason (`invite`, …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the groups that came into a community or left it are to this one: `sub_group`, `parent_group`, `sibling_group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_type: Option<String>,
    /// These groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub linked_groups: Vec<Group>,
}

words! {
    /// What became of a call that came in.
    pub enum CallState {
        /// It rings.
        Offer = "offer",
        /// It rang while the link was down.
        Missed = "missed",
        /// Another device of the account, mostly the phone, took it.
        Accept = "accept",
        /// Another device of the account turned it down.
        Reject = "reject",
        /// The caller hung up, or it ended.
        Terminate = "terminate",
    }
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// WhatsApp's id of it; also the event's `message_id`.
    pub id: String,
    /// What became of it; also the event's `type`.
    pub state: CallState,
    /// Whether it has a picture, where WhatsApp says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<bool>,
    /// Whether Wharf turned it down at once, since the connection says so (`reject_calls`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
    /// WhatsApp's reason of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it lasted in seconds, where WhatsApp says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
}

impl Call {
    /// One of which nothing else is known.
    pub fn new(id: &str, state: CallState) -> Self {
        Self {
            id: id.to_owned(),
            state,
            video: None,
            rejected: false,
            reason: None,
            seconds: None,
        }
    }
}

words! {
    /// What somebody does.
    pub enum PresenceState {
        /// Online.
        Available = "available",
        /// Not online any more.
        Unavailable = "unavailable",
        /// Writes in this chat.
        Composing = "composing",
        /// Records a voice message in this chat.
        Recording = "recording",
        /// Has stopped writing or recording.
        Paused = "paused",
    }
}

/// Somebody's presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Presence {
    /// What they do; also the event's `type`.
    pub state: PresenceState,
    /// When they were last online, where they let it be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

impl Happening {
    /// Which webhooks are told of it.
    pub const fn event(&self) -> EventKind {
        match self {
            Self::Sent { .. } => EventKind::Sent,
            Self::Status { .. } => EventKind::Status,
            Self::Connection { .. } => EventKind::Connection,
            Self::Group { .. } => EventKind::Group,
            Self::Call { .. } => EventKind::Call,
            Self::Presence { .. } => EventKind::Presence,
            Self::Update {} => EventKind::Update,
        }
    }

    /// The event's `type`: what happened, in a word. `None` where that is the kind of the message.
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Sent { .. } | Self::Update {} => None,
            Self::Status { status, .. } => Some(status.as_str()),
            Self::Connection { connection } => Some(connection.status.as_str()),
            Self::Group { change } => Some(&change.what),
            Self::Call { call } => Some(call.state.as_str()),
            Self::Presence { presence } => Some(presence.state.as_str()),
        }
    }

    /// The event's `to`, where that is not the linked number.
    pub fn to(&self) -> Option<&str> {
        match self {
            Self::Sent { to, .. } | Self::Status { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Whether there is something with an id of WhatsApp's.
    pub(super) const fn has_id(&self) -> bool {
        !matches!(self, Self::Connection { .. } | Self::Presence { .. })
    }

    /// Whether its chat is no part of what it is recognised by: an own message's is named by number once and by hidden id
    /// another time, and its id is this account's own.
    pub(super) const fn is_recognised_without_chat(&self) -> bool {
        matches!(self, Self::Sent { .. } | Self::Status { .. })
    }

    /// Whether it happens once, at whatever time it is told of: each device of a receiver says `delivered` at its own.
    pub(super) const fn happens_once(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Call { .. })
    }

    /// What tells it apart from others of its chat, sender and id.
    pub(super) fn distinction(&self, at: Timestamp) -> String {
        let (event, word) = (self.event().as_str(), self.word().unwrap_or_default());
        match self {
            Self::Status { participant, code, .. } => {
                let told = format!("{event} {word} {}", participant.as_deref().unwrap_or_default());
                match code {
                    // WhatsApp's word may follow upon a failure that was only concluded.
                    Some(code) => format!("{told} {code}"),
                    None => told,
                }
            }
            // They have no id: each is one for itself, but for two of the same millisecond.
            Self::Connection { connection } => {
                format!(
                    "{event} {word} {} {}",
                    at.0,
                    connection.reason.as_deref().unwrap_or_default()
                )
            }
            Self::Presence { .. } => format!("{event} {word} {}", at.0),
            _ => format!("{event} {word}"),
        }
    }
}

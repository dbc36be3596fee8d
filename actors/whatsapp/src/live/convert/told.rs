//! From what happens beside messages to Wharf's events: pure.

use wharf_domain::{
    IncomingMessage, MessageKind, Timestamp,
    message::{Call, CallState, Details, Group, GroupChange, Happening, Presence, PresenceState},
    outgoing::News,
};
use whatsapp_rust::wacore::{
    stanza::groups::GroupNotificationAction as Action,
    types::{
        call::CallAction,
        presence::{ChatPresence, ChatPresenceMedia, ReceiptType},
    },
};
use whatsapp_rust::wacore_binary::{Jid, Node, Server};

/// Somebody, or a group, as messages call them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Party {
    /// The chat's id: the same as that of its messages.
    pub(crate) chat: String,
    /// What a receiver is shown: the number, the hidden id, or the group's id.
    pub(crate) shown: String,
    /// The hidden id in digits, where the number is not known, or somebody wants it beside that.
    pub(crate) hidden: Option<String>,
    pub(crate) is_group: bool,
}

/// Where and when something happened.
pub(crate) struct Scene<'a> {
    /// The chat.
    pub(crate) chat: &'a Party,
    /// WhatsApp's id of it; empty if there is none.
    pub(crate) id: &'a str,
    pub(crate) at: Timestamp,
}

impl Scene<'_> {
    /// By `who`, of whom the receiver is told.
    fn told(&self, who: &Party, words: String, happening: Happening) -> IncomingMessage {
        let group = self.chat.is_group.then(|| Group {
            id: self.chat.chat.clone(),
            subject: None,
        });
        IncomingMessage {
            chat: self.chat.chat.clone(),
            sender: who.chat.clone(),
            message_id: self.id.to_owned(),
            from: who.shown.clone(),
            timestamp: self.at,
            kind: MessageKind::Unknown,
            content: words,
            details: Some(Box::new(Details {
                happening: Some(happening),
                from_lid: who.hidden.clone(),
                group,
                ..Details::default()
            })),
        }
    }

    /// A group changed; `who` did it.
    pub(crate) fn group(&self, who: &Party, change: GroupChange) -> IncomingMessage {
        let words = words_of(who, &change);
        self.told(who, words, Happening::Group { change })
    }

    /// A call of `who`.
    pub(crate) fn call(&self, who: &Party, call: Call) -> IncomingMessage {
        let words = match (call.state, call.video) {
            (CallState::Offer, Some(true)) => "Incoming video call",
            (CallState::Offer, _) => "Incoming call",
            (CallState::Missed, _) => "Missed call",
            (CallState::Accept, _) => "The call was taken on another device",
            (CallState::Reject, _) => "The call was turned down on another device",
            (CallState::Terminate, _) => "The call ended",
        };
        self.told(who, words.to_owned(), Happening::Call { call })
    }

    /// What `who` does.
    pub(crate) fn presence(&self, who: &Party, presence: Presence) -> IncomingMessage {
        let words = match presence.state {
            PresenceState::Available => "Online",
            PresenceState::Unavailable => "Offline",
            PresenceState::Composing => "Writing",
            PresenceState::Recording => "Recording a voice message",
            PresenceState::Paused => "Stopped writing or recording",
        };
        self.told(who, words.to_owned(), Happening::Presence { presence })
    }
}

/// What a receipt says of a message, if it says anything of how far it has come.
pub(crate) const fn news_of(receipt: &ReceiptType) -> Option<News> {
    match receipt {
        // The other: to a device that is in the background.
        ReceiptType::Delivered | ReceiptType::Inactive => Some(News::Delivered),
        ReceiptType::Read => Some(News::Read),
        ReceiptType::Played => Some(News::Played),
        _ => None,
    }
}

/// Those whom a change of a group is about, by each JID that WhatsApp gives.
pub(crate) fn concerned(action: &Action) -> Vec<(&Jid, Option<&Jid>)> {
    match action {
        Action::Add { participants, .. }
        | Action::Remove { participants, .. }
        | Action::Promote { participants }
        | Action::Demote { participants }
        | Action::Modify { participants }
        | Action::LinkedGroupPromote { participants }
        | Action::LinkedGroupDemote { participants }
        | Action::CreatedMembershipRequests {
            requests: participants, ..
        } => participants
            .iter()
            .map(|info| (&info.jid, info.phone_number.as_ref()))
            .collect(),
        Action::RevokedMembershipRequests { participants } => participants.iter().map(|jid| (jid, None)).collect(),
        _ => Vec::new(),
    }
}

/// A change of a group about `participants`, as they are shown.
pub(crate) fn change_of(action: &Action, participants: Vec<String>) -> GroupChange {
    let change = GroupChange {
        what: action.tag_name().to_owned(),
        participants,
        ..GroupChange::default()
    };
    match action {
        Action::Add { reason, .. } | Action::Remove { reason, .. } | Action::Delete { reason } => GroupChange {
            reason: reason.clone(),
            ..change
        },
        Action::Subject { subject, .. } => GroupChange {
            subject: Some(subject.clone()),
            ..change
        },
        Action::Description { description, .. } => GroupChange {
            description: Some(description.clone().unwrap_or_default()),
            ..change
        },
        Action::Ephemeral { expiration, .. } => GroupChange {
            ephemeral_seconds: Some(*expiration),
            ..change
        },
        Action::MembershipApprovalMode { enabled } => GroupChange {
            mode: Some(if *enabled { "on" } else { "off" }.to_owned()),
            ..change
        },
        Action::MemberAddMode { mode } => GroupChange {
            mode: Some(mode.clone()),
            ..change
        },
        Action::Link { link_type, raw } => linking(change, link_type, raw),
        Action::Unlink {
            unlink_type,
            unlink_reason,
            raw,
        } => GroupChange {
            reason: unlink_reason.clone(),
            ..linking(change, unlink_type, raw)
        },
        _ => change,
    }
}

/// The groups that came into a community or left it, and what they are to the one that is told.
fn linking(change: GroupChange, kind: &str, raw: &Node) -> GroupChange {
    let groups = raw.get_children_by_tag("group").filter_map(|group| {
        let mut attrs = group.attrs();
        let id = attrs.optional_jid("jid").or_else(|| {
            let user = attrs.optional_string("id")?;
            Some(Jid::new(user.as_ref(), Server::Group))
        })?;
        Some(Group {
            id: id.to_string(),
            subject: attrs.optional_string("subject").map(|subject| subject.into_owned()),
        })
    });
    GroupChange {
        link_type: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
        linked_groups: groups.collect(),
        ..change
    }
}

fn words_of(who: &Party, change: &GroupChange) -> String {
    let whom = change.participants.join(", ");
    let left = change.participants.as_slice() == [who.shown.as_str()];
    match change.what.as_str() {
        "create" => "The group was made".to_owned(),
        "delete" => "The group is no more".to_owned(),
        "add" if left => format!("{whom} joined"),
        "remove" if left => format!("{whom} left"),
        "add" => format!("Added {whom}"),
        "remove" => format!("Removed {whom}"),
        "promote" => format!("Made {whom} admin"),
        "demote" => format!("{whom} is no admin any more"),
        "subject" => change.subject.clone().unwrap_or_default(),
        "description" => match change.description.as_deref() {
            None | Some("") => "The description was taken away".to_owned(),
            Some(text) => text.to_owned(),
        },
        "picture" => match change.picture_id.as_deref() {
            None | Some("") => "The picture was taken away".to_owned(),
            Some(_) => "The picture was changed".to_owned(),
        },
        "locked" => "Only admins may change the group".to_owned(),
        "unlocked" => "All members may change the group".to_owned(),
        "announcement" => "Only admins may write".to_owned(),
        "not_announcement" => "All members may write".to_owned(),
        "ephemeral" => match change.ephemeral_seconds {
            None | Some(0) => "Messages stay".to_owned(),
            Some(seconds) => format!("Messages disappear after {seconds} s"),
        },
        "membership_approval_mode" if change.mode.as_deref() == Some("on") => "Admins let new members in".to_owned(),
        "membership_approval_mode" => "Whoever has the link joins".to_owned(),
        "created_membership_requests" => format!("{whom} asks to join"),
        "revoked_membership_requests" => format!("{whom} does not ask to join any more"),
        "link" | "unlink" => {
            let which = |group: &Group| group.subject.clone().unwrap_or_else(|| group.id.clone());
            let which = change.linked_groups.iter().map(which).collect::<Vec<_>>().join(", ");
            match (change.what.as_str(), change.link_type.as_deref()) {
                ("link", Some("parent_group")) => format!("Linked to the community {which}"),
                (_, Some("parent_group")) => format!("Unlinked from the community {which}"),
                ("link", _) => format!("Linked {which}"),
                (_, _) => format!("Unlinked {which}"),
            }
        }
        other => other.replace('_', " "),
    }
}

/// What is told of a call that came in, and who calls; `None` where it is only signalling.
pub(crate) fn call_of(action: &CallAction) -> Option<(Call, &Jid)> {
    match action {
        CallAction::Offer {
            call_id,
            call_creator,
            is_video,
            ..
        }
        | CallAction::OfferNotice {
            call_id,
            call_creator,
            is_video,
            ..
        } => {
            let call = Call {
                video: Some(*is_video),
                ..Call::new(call_id, CallState::Offer)
            };
            Some((call, call_creator))
        }
        CallAction::Accept {
            call_id, call_creator, ..
        } => Some((Call::new(call_id, CallState::Accept), call_creator)),
        CallAction::Reject {
            call_id, call_creator, ..
        } => Some((Call::new(call_id, CallState::Reject), call_creator)),
        CallAction::Terminate {
            call_id,
            call_creator,
            reason,
            duration,
            ..
        } => {
            let state = match reason.as_deref() {
                Some("accepted_elsewhere") => CallState::Accept,
                Some("rejected_elsewhere") => CallState::Reject,
                _ => CallState::Terminate,
            };
            let reason = reason.clone().filter(|_| state == CallState::Terminate);
            let call = Call {
                reason,
                seconds: *duration,
                ..Call::new(call_id, state)
            };
            Some((call, call_creator))
        }
        _ => None,
    }
}

/// What somebody does in a chat.
pub(crate) const fn doing(state: ChatPresence, media: ChatPresenceMedia) -> PresenceState {
    match (state, media) {
        (ChatPresence::Composing, ChatPresenceMedia::Audio) => PresenceState::Recording,
        (ChatPresence::Composing, ChatPresenceMedia::Text) => PresenceState::Composing,
        (ChatPresence::Paused, _) => PresenceState::Paused,
    }
}

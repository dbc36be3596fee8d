//! What a number does at WhatsApp besides sending messages: receipts, presence, look-ups, groups; the rest below.

mod chats;
mod people;

use std::sync::Arc;

use wharf_domain::{
    GroupId, PhoneNumber, Recipient, Timestamp,
    action::{Action, Done, GroupInfo, Participant, ParticipantChange, PresenceState},
};
use whatsapp_rust::features::{
    ChatStateError, ChatStateType, ContactError, GroupCreateOptions, GroupError, GroupMetadata, GroupParticipant,
    GroupParticipantOptions, ParticipantChangeResponse, PresenceError, PresenceStatus,
};
use whatsapp_rust::wacore_binary::{Jid, JidExt};
use whatsapp_rust::{Client, IqError, anyhow};

use super::{
    memory::Memory,
    numbers,
    reporter::Reporter,
    send::{account, chat, of_client, of_iq, parsed},
};
use crate::SendError;

/// What is said of a request whose answer was not heard.
pub(crate) const UNANSWERED: &str = "the connection ended before WhatsApp answered; it may have been done";

/// What it takes to do something.
pub(crate) struct Acting {
    pub(crate) client: Arc<Client>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) reporter: Arc<Reporter>,
}

impl Acting {
    pub(crate) async fn act(self, action: Action) -> Result<Done, SendError> {
        match action {
            Action::MarkRead {
                chat,
                from,
                message_ids,
            } => self.mark_read(&chat, from.as_ref(), &message_ids).await,
            Action::Presence { to, state } => self.show(to.as_ref(), state).await,
            Action::CheckNumbers(numbers) => self.check(&numbers).await,
            Action::Contact(who) => self.contact(&who).await,
            Action::Picture { of, preview } => self.picture(&of, preview).await,
            Action::Blocks => self.blocks().await,
            Action::Block(who) => self.block(&who, true).await,
            Action::Unblock(who) => self.block(&who, false).await,
            Action::Profile => self.profile().await,
            Action::ChangeProfile { name, about } => self.change_profile(name, about).await,
            Action::SetPicture(jpeg) => self.set_picture(Some(&jpeg)).await,
            Action::RemovePicture => self.set_picture(None).await,
            Action::RejectCall { call_id, from } => self.reject_call(&call_id, &from).await,
            Action::ArrangeChat { chat, how } => self.arrange(&chat, how).await,
            Action::Groups => self.groups().await,
            Action::Group(group) => self.group(&group).await,
            Action::CreateGroup { subject, participants } => self.create(subject, &participants).await,
            Action::ChangeParticipants {
                group,
                add,
                remove,
                promote,
                demote,
            } => self.change(&group, [&add, &remove, &promote, &demote]).await,
            Action::LeaveGroup(group) => {
                let group = parsed(group.as_str())?;
                self.client.groups().leave(group).await.map_err(of_change)?;
                Ok(Done::Done)
            }
        }
    }

    async fn mark_read(
        &self,
        chat: &Recipient,
        from: Option<&Recipient>,
        message_ids: &[String],
    ) -> Result<Done, SendError> {
        let chat = self.as_it_writes(chat).await?;
        let from = match from {
            Some(from) if chat.is_group() => Some(self.as_it_writes(from).await?),
            _ => None,
        };
        let ids: Vec<&str> = message_ids.iter().map(String::as_str).collect();
        let marked = self.client.mark_as_read(&chat, from.as_ref(), &ids).await;
        marked.map(|()| Done::Done).map_err(of_unknown)
    }

    /// Whom WhatsApp takes for the writer of a chat: the hidden id, where it is known.
    async fn as_it_writes(&self, who: &Recipient) -> Result<Jid, SendError> {
        let jid = parsed(&who.jid())?;
        if jid.is_pn()
            && let Ok(Some(entry)) = self.client.get_lid_pn_entry(&jid).await
        {
            return Ok(Jid::lid(&*entry.lid));
        }
        Ok(jid)
    }

    async fn show(&self, to: Option<&Recipient>, state: PresenceState) -> Result<Done, SendError> {
        let in_chat = match state {
            PresenceState::Available => None,
            PresenceState::Unavailable => None,
            PresenceState::Typing => Some(ChatStateType::Composing),
            PresenceState::Recording => Some(ChatStateType::Recording),
            PresenceState::Paused => Some(ChatStateType::Paused),
        };
        if let Some(shown) = in_chat {
            let to = to.ok_or_else(|| SendError::Impossible("this needs a chat".to_owned()))?;
            let to = chat(&self.client, &self.memory, to).await?;
            let sent = self.client.chatstate().send(&to, shown).await;
            return sent.map(|()| Done::Done).map_err(|error| match error {
                ChatStateError::Client(error) => of_client(&error),
                other => SendError::Failed(other.to_string()),
            });
        }
        let status = match state {
            PresenceState::Available => PresenceStatus::Available,
            _ => PresenceStatus::Unavailable,
        };
        let sent = self.client.presence().set(status).await;
        sent.map(|()| Done::Done).map_err(|error| match error {
            PresenceError::PushNameEmpty => SendError::Impossible(
                "WhatsApp has not told the account's name yet; without it nobody is online".to_owned(),
            ),
            PresenceError::Client(error) => of_client(&error),
            other => SendError::Failed(other.to_string()),
        })
    }

    async fn check(&self, asked: &[PhoneNumber]) -> Result<Done, SendError> {
        let found = self
            .memory
            .numbers()
            .ask(&self.client, asked)
            .await
            .map_err(of_contact)?;
        Ok(Done::Numbers(found.into_iter().map(numbers::check).collect()))
    }

    async fn groups(&self) -> Result<Done, SendError> {
        let found = self.client.groups().get_participating().await.map_err(of_group)?;
        let mut groups: Vec<GroupInfo> = found.into_values().map(told).collect();
        groups.sort_by(|a, b| (&a.subject, &a.id).cmp(&(&b.subject, &b.id)));
        Ok(Done::Groups(groups))
    }

    async fn group(&self, group: &GroupId) -> Result<Done, SendError> {
        let group = parsed(group.as_str())?;
        let found = self.client.groups().get_metadata(&group).await.map_err(of_group)?;
        Ok(Done::Group(told(found)))
    }

    async fn create(&self, subject: String, participants: &[PhoneNumber]) -> Result<Done, SendError> {
        let mut options = GroupCreateOptions::new(subject);
        for number in participants {
            let account = account(&self.client, &self.memory, number).await?;
            options = options.with_participant(GroupParticipantOptions::new(account));
        }
        let made = self.client.groups().create_group(options).await.map_err(of_change)?;
        Ok(Done::Group(told(made.metadata)))
    }

    /// Adds, removes, promotes and demotes, in this order.
    async fn change(&self, group: &GroupId, lists: [&[PhoneNumber]; 4]) -> Result<Done, SendError> {
        let group = parsed(group.as_str())?;
        let [add, remove, promote, demote] = lists;
        let mut changes = Vec::new();
        for (action, numbers) in [
            ("add", add),
            ("remove", remove),
            ("promote", promote),
            ("demote", demote),
        ] {
            if numbers.is_empty() {
                continue;
            }
            let mut people = Vec::with_capacity(numbers.len());
            for number in numbers {
                people.push(account(&self.client, &self.memory, number).await?);
            }
            let groups = self.client.groups();
            let answers = match action {
                "add" => groups.add_participants(group.clone(), &people).await,
                "remove" => groups.remove_participants(group.clone(), &people).await,
                "promote" => groups.promote_participants(group.clone(), &people).await,
                _ => groups.demote_participants(group.clone(), &people).await,
            };
            for answer in answers.map_err(of_change)? {
                changes.push(self.changed(action, answer).await);
            }
        }
        Ok(Done::Participants(changes))
    }

    async fn changed(&self, action: &str, answer: ParticipantChangeResponse) -> ParticipantChange {
        let number = match &answer.phone_number {
            Some(number) => Some(number.user_base().to_owned()),
            None if answer.jid.is_pn() => Some(answer.jid.user_base().to_owned()),
            None => {
                let entry = self.client.get_lid_pn_entry(&answer.jid).await.ok().flatten();
                entry.map(|entry| entry.phone_number.to_string())
            }
        };
        ParticipantChange {
            action: action.to_owned(),
            ok: answer.is_ok(),
            jid: answer.jid.to_string(),
            phone_number: number,
            error: answer.error,
        }
    }
}

fn told(group: GroupMetadata) -> GroupInfo {
    let owner = group.creator_pn.or(group.creator);
    let seconds = group.creation_time.and_then(|seconds| i64::try_from(seconds).ok());
    GroupInfo {
        id: group.id.to_string(),
        subject: group.subject,
        description: group.description,
        owner: owner.map(|owner| owner.user_base().to_owned()),
        created_at: seconds.map(Timestamp::from_seconds),
        announce: group.is_announcement,
        locked: group.is_locked,
        is_community: group.is_parent_group,
        is_community_announce: group.is_default_sub_group,
        linked_parent: group.parent_group_jid.map(|parent| parent.to_string()),
        participants: group.participants.into_iter().map(participant).collect(),
    }
}

fn participant(person: GroupParticipant) -> Participant {
    let role = match (person.is_super_admin(), person.is_admin()) {
        (true, _) => "superadmin",
        (false, true) => "admin",
        (false, false) => "member",
    };
    let number = person
        .phone_number
        .or_else(|| Some(person.jid.clone()).filter(Jid::is_pn));
    Participant {
        jid: person.jid.to_string(),
        phone_number: number.map(|number| number.user_base().to_owned()),
        role: role.to_owned(),
    }
}

fn of_group(error: GroupError) -> SendError {
    match error {
        GroupError::Iq(error) => of_iq(&error),
        GroupError::InvalidRequest(why) => SendError::Impossible(why),
        other => SendError::Failed(other.to_string()),
    }
}

/// Of what leaves something behind at WhatsApp: once the request is out, only its answer says what came of it.
fn of_change(error: GroupError) -> SendError {
    match error {
        GroupError::Iq(error) => changed(&error),
        other => of_group(other),
    }
}

/// The same of a request as such.
fn changed(error: &IqError) -> SendError {
    match error {
        IqError::Socket(_) | IqError::Disconnected(_) | IqError::InternalChannelClosed => {
            SendError::Failed(UNANSWERED.to_owned())
        }
        other => of_iq(other),
    }
}

fn of_contact(error: ContactError) -> SendError {
    match error {
        ContactError::Iq(error) => of_iq(&error),
        other => SendError::Failed(other.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err passes values")]
fn of_unknown(error: anyhow::Error) -> SendError {
    SendError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_whose_answer_was_not_heard_may_have_been_made() {
        let closed = || GroupError::Iq(IqError::InternalChannelClosed);
        assert_eq!(of_change(closed()), SendError::Failed(UNANSWERED.to_owned()));
        assert_eq!(
            of_group(closed()),
            SendError::NotConnected,
            "a look-up leaves nothing behind"
        );
        assert_eq!(
            of_change(GroupError::Iq(IqError::NotConnected)),
            SendError::NotConnected
        );
    }
}

//! Members of groups: who is in one from the start, comes in, goes, and administers it.

use tokio::time::Instant;
use wharf_domain::{
    GroupId, PhoneNumber, Recipient,
    action::{Done, ParticipantChange},
};
use whatsapp_rust::features::{GroupCreateOptions, GroupError, GroupParticipantOptions, ParticipantChangeResponse};
use whatsapp_rust::wacore_binary::Jid;

use super::{
    acts::Acting,
    groups::{of_change, told},
    numbers::accounts,
    send::parsed,
};
use crate::SendError;

/// What is done with members.
#[derive(Clone, Copy)]
enum Membership {
    Add,
    Remove,
    Promote,
    Demote,
}

impl Membership {
    /// In the order in which it is done.
    const ALL: [Self; 4] = [Self::Add, Self::Remove, Self::Promote, Self::Demote];

    const fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Promote => "promote",
            Self::Demote => "demote",
        }
    }
}

impl Acting {
    /// The accounts of numbers. What nobody waits for any more by then is not done.
    async fn accounts(&self, numbers: &[PhoneNumber]) -> Result<Vec<Jid>, SendError> {
        let found = accounts(&self.client, &self.memory, numbers, self.by).await?;
        match Instant::now() < self.by {
            true => Ok(found),
            false => Err(SendError::TimedOut(self.deadline)),
        }
    }

    pub(super) async fn create(&self, subject: String, participants: &[PhoneNumber]) -> Result<Done, SendError> {
        let mut options = GroupCreateOptions::new(subject);
        for account in self.accounts(participants).await? {
            options = options.with_participant(GroupParticipantOptions::new(account));
        }
        let made = self.client.groups().create_group(options).await.map_err(of_change)?;
        Ok(Done::Group(told(made.metadata)))
    }

    /// The accounts of those whom a change is about; of who is given by a hidden id, that.
    async fn members(&self, people: &[Recipient]) -> Result<Vec<Jid>, SendError> {
        let numbers = people.iter().filter_map(|person| match person {
            Recipient::Number(number) => Some(number.clone()),
            _ => None,
        });
        let mut accounts = self.accounts(&numbers.collect::<Vec<_>>()).await?.into_iter();
        let members = people.iter().map(|person| match person {
            Recipient::Number(number) => accounts.next().ok_or_else(|| SendError::NotOnWhatsApp(number.clone())),
            _ => parsed(&person.jid()),
        });
        members.collect()
    }

    /// Adds, removes, promotes and demotes, in this order.
    pub(super) async fn change(&self, group: &GroupId, lists: [&[Recipient]; 4]) -> Result<Done, SendError> {
        let group = parsed(group.as_str())?;
        let mut people = self.members(&lists.concat()).await?.into_iter();
        let mut changes = Vec::new();
        for (action, list) in Membership::ALL.into_iter().zip(lists) {
            let these: Vec<Jid> = people.by_ref().take(list.len()).collect();
            if these.is_empty() {
                continue;
            }
            let answers = self.membership(&group, action, &these).await;
            for answer in answers.map_err(of_change)? {
                changes.push(self.changed(action.word(), answer).await);
            }
        }
        Ok(Done::Participants(changes))
    }

    async fn membership(
        &self,
        group: &Jid,
        action: Membership,
        people: &[Jid],
    ) -> Result<Vec<ParticipantChangeResponse>, GroupError> {
        let groups = self.client.groups();
        match action {
            Membership::Add => groups.add_participants(group.clone(), people).await,
            Membership::Remove => groups.remove_participants(group.clone(), people).await,
            Membership::Promote => groups.promote_participants(group.clone(), people).await,
            Membership::Demote => groups.demote_participants(group.clone(), people).await,
        }
    }

    pub(super) async fn changed(&self, action: &str, answer: ParticipantChangeResponse) -> ParticipantChange {
        let number = match &answer.phone_number {
            Some(number) => Some(number.user_base().to_owned()),
            None => self.number_of(&answer.jid).await,
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

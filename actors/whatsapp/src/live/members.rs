//! Members of groups: who is in one from the start, comes in, goes, and administers it.

use tokio::time::Instant;
use wharf_domain::{
    GroupId, PhoneNumber, Recipient,
    action::{Done, GroupInfo, NotAdded, ParticipantChange},
};
use whatsapp_rust::anyhow;
use whatsapp_rust::features::{
    GroupCreateOptions, GroupError, GroupMetadata, GroupParticipantOptions, ParticipantChangeResponse,
};
use whatsapp_rust::wacore::{
    iq::{
        groups::GroupCreateIq,
        spec::IqSpec,
        tctoken::{TcTokenConfig, is_tc_token_expired_with},
    },
    request::InfoQuery,
};
use whatsapp_rust::wacore_binary::{Jid, JidExt, NodeRef};

use super::{
    acts::Acting,
    groups::{group_in, of_change, stopped, told},
    numbers::accounts,
    send::parsed,
    texts::AsTexts,
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
        let finding = accounts(&self.client, &self.memory, numbers, self.by);
        let found = self.look_up(finding).await?;
        match Instant::now() < self.by {
            true => Ok(found),
            false => Err(SendError::TimedOut(self.deadline)),
        }
    }

    pub(super) async fn create(&self, subject: String, participants: &[PhoneNumber]) -> Result<Done, SendError> {
        let mut options = GroupCreateOptions::new(subject);
        for account in self.accounts(participants).await? {
            options = options.with_participant(self.first_member(account).await);
        }
        let order = AsTexts(CreateIq(GroupCreateIq::new(options)));
        let made = self.client.execute(order).await;
        let (mut made, not_added) = made.map_err(|error| of_change(error.into()))?;
        made.participants
            .retain(|person| !not_added.iter().any(|one| one.jid.is_same_user_as(&person.jid)));
        let mut refused = Vec::with_capacity(not_added.len());
        for one in not_added {
            refused.push(NotAdded {
                phone_number: self.number_of(&one.jid, one.number).await,
                jid: one.jid.to_string(),
                error: one.error,
            });
        }
        Ok(Done::Group(GroupInfo { refused, ..told(made) }))
    }

    /// Somebody whom a new group is to begin with: with the token by which their phone lets this account do that, if there is one.
    async fn first_member(&self, account: Jid) -> GroupParticipantOptions {
        let known = self.client.get_lid_pn_entry(&account).await.ok().flatten();
        let kept_by = known.map_or_else(|| account.user_base().to_owned(), |known| known.lid.to_string());
        let token = self.client.tc_token().get(&kept_by).await.ok().flatten();
        let token = token.filter(|kept| {
            let config = TcTokenConfig::default();
            !kept.token.is_empty() && !is_tc_token_expired_with(kept.token_timestamp, &config)
        });
        GroupParticipantOptions {
            privacy: token.map(|kept| kept.token),
            ..GroupParticipantOptions::new(account)
        }
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
        let (mut changes, mut done) = (Vec::new(), Vec::new());
        for (action, list) in Membership::ALL.into_iter().zip(lists) {
            let these: Vec<Jid> = people.by_ref().take(list.len()).collect();
            if these.is_empty() {
                continue;
            }
            let answers = self.membership(&group, action, &these).await;
            let answers = answers.map_err(|error| stopped(action.word(), &done, of_change(error)))?;
            for answer in answers {
                changes.push(self.changed(action.word(), answer).await);
            }
            done.push(action.word());
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
        let said = answer.phone_number.as_ref().map(|number| number.user_base().to_owned());
        ParticipantChange {
            action: action.to_owned(),
            ok: answer.is_ok(),
            jid: answer.jid.to_string(),
            phone_number: self.number_of(&answer.jid, said).await,
            error: answer.error,
        }
    }
}

/// The library's order; it takes those for members whom WhatsApp did not add.
struct CreateIq(GroupCreateIq);

/// Somebody whom WhatsApp did not put into a group.
struct Refused {
    jid: Jid,
    number: Option<String>,
    error: String,
}

impl IqSpec for CreateIq {
    type Response = (GroupMetadata, Vec<Refused>);

    fn build_iq(&self) -> InfoQuery<'static> {
        self.0.build_iq()
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> anyhow::Result<Self::Response> {
        let people = group_in(response).map(|group| group.get_children_by_tag("participant"));
        let refused = people.into_iter().flatten().filter_map(|person| {
            let mut attrs = person.attrs();
            let error = attrs.optional_string("error")?.into_owned();
            let jid = attrs.optional_jid("jid")?;
            let number = attrs.optional_jid("phone_number");
            Some(Refused {
                jid,
                number: number.map(|number| number.user_base().to_owned()),
                error,
            })
        });
        let refused = refused.collect();
        Ok((GroupMetadata::from(self.0.parse_response(response)?), refused))
    }
}

//! How people come into groups by themselves: invite links, invitations, and asking to be let in.

use wharf_domain::{
    GroupId, Recipient, Timestamp,
    action::{Done, Invitation, InviteCode, InvitedGroup, JoinRequest, Joined},
};
use whatsapp_rust::features::{GroupError, JoinGroupResult};
use whatsapp_rust::wacore::{
    iq::{
        groups::{AcceptGroupInviteV4Iq, GetMembershipRequestsIq},
        spec::IqSpec,
    },
    request::InfoQuery,
};
use whatsapp_rust::wacore_binary::{Jid, JidExt, NodeRef};
use whatsapp_rust::{IqError, anyhow};

use super::{
    acts::Acting,
    groups::{of_change, of_group, stopped},
    ids,
    numbers::account,
    send::{of_iq, parsed},
};
use crate::SendError;

/// WhatsApp's codes for who joins and is in the group already.
const IN_ALREADY: [u16; 2] = [304, 409];
/// What is done with those who ask to be let in.
const APPROVE: &str = "approve";
const REJECT: &str = "reject";

impl Acting {
    pub(super) async fn invite(&self, group: &GroupId, reset: bool) -> Result<Done, SendError> {
        let group = parsed(group.as_str())?;
        let link = self.client.groups().get_invite_link(group, reset).await;
        let link = link.map_err(if reset { of_change } else { of_group })?;
        let code = InviteCode::parse("code", &link)
            .map_err(|_| SendError::Failed(format!("WhatsApp gave no invite link: {link}")))?;
        Ok(Done::Invite(code.into()))
    }

    pub(super) async fn invited_to(&self, code: &InviteCode) -> Result<Done, SendError> {
        let found = self.client.groups().get_invite_info(code.as_str()).await;
        let group = found.map_err(of_link)?;
        let owner = group.creator_pn.or(group.creator);
        let seconds = group.creation_time.and_then(|seconds| i64::try_from(seconds).ok());
        Ok(Done::InvitedTo(InvitedGroup {
            id: group.id.to_string(),
            subject: group.subject,
            description: group.description,
            owner: owner.map(|owner| owner.user_base().to_owned()),
            created_at: seconds.map(Timestamp::from_seconds),
            size: group.size,
            announce: group.is_announcement,
            join_approval: group.membership_approval,
            is_community: group.is_parent_group,
            linked_parent: group.parent_group_jid.map(|parent| parent.to_string()),
        }))
    }

    pub(super) async fn join(&self, code: &InviteCode) -> Result<Done, SendError> {
        let groups = self.client.groups();
        let joined = match groups.join_with_invite_code(code.as_str()).await {
            Ok(JoinGroupResult::Joined(group)) => Joined::at_once(group.to_string()),
            Ok(JoinGroupResult::PendingApproval(group)) => Joined::requested(group.to_string()),
            // Which group it is, WhatsApp does not say then.
            Err(GroupError::Iq(IqError::ServerError { code: refused, .. })) if IN_ALREADY.contains(&refused) => {
                let group = groups.get_invite_info(code.as_str()).await.map_err(of_link)?;
                Joined::at_once(group.id.to_string())
            }
            Err(error @ GroupError::Iq(IqError::ServerError { .. })) => return Err(of_link(error)),
            Err(error) => return Err(of_change(error)),
        };
        Ok(Done::Joined(joined))
    }

    pub(super) async fn accept(&self, invitation: &Invitation) -> Result<Done, SendError> {
        let group = parsed(invitation.group.as_str())?;
        // As the message came that it was in.
        let from = ids::of_chat(&self.client, parsed(&invitation.from.jid())?).await;
        let expires = invitation.expires_at.map_or(0, Timestamp::seconds);
        let order = AcceptGroupInviteV4Iq::new(&group, invitation.code.as_str(), expires, &from);
        let group = invitation.group.as_str();
        let joined = match self.client.execute(AcceptIq(order)).await {
            Ok(true) => Joined::at_once(group),
            Ok(false) => Joined::requested(group),
            Err(IqError::ServerError { code, .. }) if IN_ALREADY.contains(&code) => Joined::at_once(group),
            Err(error @ IqError::ServerError { .. }) => return Err(in_words(of_iq(&error))),
            Err(error) => return Err(of_change(error.into())),
        };
        Ok(Done::Joined(joined))
    }

    pub(super) async fn requests(&self, group: &GroupId) -> Result<Done, SendError> {
        let asking = self.asking(&parsed(group.as_str())?).await?;
        let mut requests = Vec::with_capacity(asking.len());
        for one in asking {
            requests.push(JoinRequest {
                phone_number: self.number_of(&one.jid, one.number).await,
                jid: one.jid.to_string(),
                requested_at: one.since.map(Timestamp::from_seconds),
            });
        }
        Ok(Done::JoinRequests(requests))
    }

    /// Lets some in, and turns others away, in this order.
    pub(super) async fn decide(
        &self,
        group: &GroupId,
        approve: &[Recipient],
        reject: &[Recipient],
    ) -> Result<Done, SendError> {
        let group = parsed(group.as_str())?;
        let groups = self.client.groups();
        let asking = self.look_up(self.asking(&group)).await?;
        let approved = self.look_up(self.as_they_ask(approve, &asking)).await?;
        let rejected = self.look_up(self.as_they_ask(reject, &asking)).await?;
        let (mut changes, mut done) = (Vec::new(), Vec::new());
        for (action, people) in [(APPROVE, approved), (REJECT, rejected)] {
            if people.is_empty() {
                continue;
            }
            let answers = match action {
                APPROVE => groups.approve_membership_requests(group.clone(), &people).await,
                _ => groups.reject_membership_requests(group.clone(), &people).await,
            };
            let answers = answers.map_err(|error| stopped(action, &done, of_change(error)))?;
            done.push(action);
            for answer in answers {
                let asked = asking.iter().find(|one| one.jid.is_same_user_as(&answer.jid));
                let mut change = self.changed(action, answer).await;
                if change.phone_number.is_none() {
                    change.phone_number = asked.and_then(|one| one.number.clone());
                }
                changes.push(change);
            }
        }
        Ok(Done::Participants(changes))
    }

    async fn asking(&self, group: &Jid) -> Result<Vec<Asking>, SendError> {
        let question = AskingIq(GetMembershipRequestsIq::new(group));
        let asking = self.client.execute(question).await;
        asking.map_err(|error| of_group(error.into()))
    }

    /// The same of some.
    async fn as_they_ask(&self, people: &[Recipient], asking: &[Asking]) -> Result<Vec<Jid>, SendError> {
        let mut asked = Vec::with_capacity(people.len());
        for person in people {
            asked.push(self.as_it_asks(person, asking).await?);
        }
        Ok(asked)
    }

    /// Somebody under the id that they ask to be let in with. Of whoever does not ask, WhatsApp is to say so.
    async fn as_it_asks(&self, person: &Recipient, asking: &[Asking]) -> Result<Jid, SendError> {
        let given = parsed(&person.jid())?;
        let hidden = ids::called(&self.client, given.clone(), true).await;
        let asked = asking.iter().find(|one| {
            let by_number = match (person, &one.number) {
                (Recipient::Number(number), Some(asks)) => number.is_account(asks),
                _ => false,
            };
            by_number || [&given, &hidden].into_iter().any(|id| one.jid.is_same_user_as(id))
        });
        match (asked, person) {
            (Some(one), _) => Ok(one.jid.clone()),
            (None, Recipient::Number(number)) => account(&self.client, &self.memory, number).await,
            (None, _) => Ok(given),
        }
    }
}

/// Somebody who asks to be let in.
#[derive(Debug, PartialEq, Eq)]
struct Asking {
    jid: Jid,
    /// Their number, where WhatsApp tells it.
    number: Option<String>,
    /// Since when, in Unix seconds.
    since: Option<i64>,
}

/// The library's question; it leaves numbers out of the answer.
struct AskingIq(GetMembershipRequestsIq);

impl IqSpec for AskingIq {
    type Response = Vec<Asking>;

    fn build_iq(&self) -> InfoQuery<'static> {
        self.0.build_iq()
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> anyhow::Result<Vec<Asking>> {
        let list = response.get_optional_child("membership_approval_requests");
        let list = list.ok_or_else(|| anyhow::anyhow!("the answer has no list of requests"))?;
        let requests = list.get_children_by_tag("membership_approval_request");
        // One without an id can neither be shown nor decided on.
        let asking = requests.filter_map(|request| {
            let mut attrs = request.attrs();
            let jid = attrs.optional_jid("jid")?;
            let number = attrs.optional_jid("phone_number");
            let number = number.or_else(|| Some(jid.clone()).filter(Jid::is_pn));
            let since = attrs.optional_string("request_time");
            Some(Asking {
                number: number.map(|number| number.user_base().to_owned()),
                since: since.and_then(|seconds| seconds.parse().ok()),
                jid,
            })
        });
        Ok(asking.collect())
    }
}

/// The library's order; it takes an answer for none that does not name the group, which that to an invitation need not.
struct AcceptIq(AcceptGroupInviteV4Iq);

impl IqSpec for AcceptIq {
    /// Whether the number is in the group, and does not have to be let in by an admin.
    type Response = bool;

    fn build_iq(&self) -> InfoQuery<'static> {
        self.0.build_iq()
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> anyhow::Result<bool> {
        Ok(response.get_optional_child("membership_approval_request").is_none())
    }
}

/// Of a look at what lies behind a link: whoever asks is in no group yet.
fn of_link(error: GroupError) -> SendError {
    match error {
        GroupError::Iq(error) => in_words(of_iq(&error)),
        other => of_group(other),
    }
}

/// A refusal of a link with what WhatsApp Web takes its code for.
fn in_words(error: SendError) -> SendError {
    let SendError::Refused { code, words } = error else {
        return error;
    };
    let meaning = match code.as_str() {
        "401" | "405" => "this number was removed from the group",
        "412" => "the community is full",
        "416" => "the community is suspended",
        "419" => "the group is full",
        "423" => "the group is locked",
        "436" => "invite links do not work at present",
        _ => return SendError::Refused { code, words },
    };
    SendError::Refused {
        words: format!("{words}, {meaning}"),
        code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_code_means_is_said_beside_whatsapps_own_words() {
        let of = |code: u16| {
            let error = IqError::ServerError {
                code,
                text: "x".into(),
                error_type: None,
                backoff: None,
            };
            of_link(GroupError::Iq(error)).to_string()
        };
        assert_eq!(of(419), "WhatsApp refused it: x, the group is full (419)");
        assert_eq!(of(999), "WhatsApp refused it: x (999)");
    }
}

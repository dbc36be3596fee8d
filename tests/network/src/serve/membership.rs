//! Groups that one is let into by their admins: who asks, and what the admins make of it.

use rand::Rng as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::group_change::{Change, INVITE_ONLY, change, join, participant, tell};
use super::groups::{Order, participants};
use crate::state::{Account, Device, Group, Invitation, World};
use crate::wire::stanza::{attr, iq_error, iq_result, jid_attr};
use crate::{NetworkError, clock};

/// For how long an invitation is good.
const INVITED_S: i64 = 3 * 24 * 60 * 60;
/// Why nothing is made of somebody: they do not ask.
const DOES_NOT_ASK: u16 = 404;

/// Somebody who has the link asks to be let in; the admins' devices are told, once.
pub(crate) fn ask(world: &World, group: &Group, account: &Account) {
    let phone = account.phone.clone();
    if group
        .change(|charter| charter.requests.insert(phone, clock::now_s()))
        .is_some()
    {
        return;
    }
    let user = NodeBuilder::new("requested_user")
        .attr("jid", account.lid_jid())
        .attr("phone_number", account.pn_jid());
    let created = NodeBuilder::new("created_membership_requests")
        .attr("request_method", "invite_link")
        .children([user.build()]);
    tell(world, group, account, &admins(group), None, &created.build());
}

/// An admin lets those in who asked, or does not. Returns those who did not ask, each with WhatsApp's code.
///
/// # Errors
/// [`NetworkError::Conflict`] if the actor is no admin.
pub(crate) async fn decide(
    world: &World,
    group: &Group,
    actor: &Account,
    phones: &[String],
    lets_in: bool,
    by: Option<&Device>,
) -> Result<Vec<(String, u16)>, NetworkError> {
    if !group.rank(&actor.phone).is_some_and(|rank| rank.rules()) {
        let why = format!("{} is no admin of {}", actor.phone, group.jid());
        return Err(NetworkError::Conflict(why));
    }
    let (asked, others): (Vec<_>, Vec<_>) = phones
        .iter()
        .cloned()
        .partition(|phone| group.change(|charter| charter.requests.remove(phone).is_some()));
    if lets_in {
        change(world, group, actor, Change::Add(asked), by).await?;
    } else {
        revoked(world, group, actor, &asked, by);
    }
    Ok(others.into_iter().map(|phone| (phone, DOES_NOT_ASK)).collect())
}

/// Somebody who was not put into a group, with what they can be invited by.
pub(super) fn invited_instead(named: NodeBuilder, group: &Group, by: &Account, whom: &Account) -> Node {
    let code = format!("{:016x}", rand::rng().next_u64());
    let expires = clock::now_s().cast_signed() + INVITED_S;
    let invitation = Invitation {
        from: by.phone.clone(),
        whom: whom.phone.clone(),
        expires,
    };
    group.change(|charter| charter.invitations.insert(code.clone(), invitation));
    let request = NodeBuilder::new("add_request")
        .attr("code", code)
        .attr("expiration", expires);
    named.attr("error", INVITE_ONLY).children([request.build()]).build()
}

/// Takes somebody in who was invited by a message. The answer names no group, as the question does.
pub(super) async fn accept(
    world: &World,
    group: &Group,
    account: &Account,
    device: &Device,
    iq: &Node,
    accept: &Node,
) -> Node {
    let code = attr(accept, "code").unwrap_or_default();
    let Some(invitation) = group.charter().invitations.remove(&*code) else {
        return iq_error(iq, 404, "item-not-found");
    };
    let from = jid_attr(accept, "admin").and_then(|admin| world.resolve(&admin));
    let expires = attr(accept, "expiration").and_then(|seconds| seconds.parse().ok());
    let as_sent = from.is_some_and(|from| from.phone == invitation.from)
        && expires == Some(invitation.expires)
        && account.phone == invitation.whom;
    if !as_sent {
        return iq_error(iq, 406, "not-acceptable");
    }
    if invitation.expires <= clock::now_s().cast_signed() {
        return iq_error(iq, 410, "gone");
    }
    match join(world, group, account, Some(device)).await {
        Ok(()) => {
            group.change(|charter| charter.invitations.remove(&*code));
            iq_result(iq, Vec::new())
        }
        Err(_) => iq_error(iq, 400, "bad-request"),
    }
}

/// Who asked does so no more. Answers an iq of one who is not in the group.
pub(super) fn withdraw(world: &World, group: &Group, account: &Account, device: &Device, iq: &Node) -> Node {
    let asked = group.change(|charter| charter.requests.remove(&account.phone));
    if asked.is_none() {
        return iq_error(iq, 404, "item-not-found");
    }
    let own = std::slice::from_ref(&account.phone);
    revoked(world, group, account, own, Some(device));
    let answer = NodeBuilder::new("cancel_membership_requests").children([participant(account)]);
    iq_result(iq, vec![answer.build()])
}

/// Tells the admins that these do not ask any more.
fn revoked(world: &World, group: &Group, actor: &Account, phones: &[String], by: Option<&Device>) {
    let gone = phones.iter().filter_map(|phone| world.account(phone).ok());
    let gone: Vec<_> = gone.map(|account| participant(&account)).collect();
    if !gone.is_empty() {
        let node = NodeBuilder::new("revoked_membership_requests").children(gone).build();
        tell(world, group, actor, &admins(group), by, &node);
    }
}

fn admins(group: &Group) -> Vec<String> {
    let members = group.charter().members.into_iter();
    members
        .filter(|(_, rank)| rank.rules())
        .map(|(phone, _)| phone)
        .collect()
}

/// `<membership_approval_mode>`, whether members are let in by admins.
pub(super) fn mode(on: bool) -> Node {
    let state = NodeBuilder::new("group_join").attr("state", if on { "on" } else { "off" });
    NodeBuilder::new("membership_approval_mode")
        .children([state.build()])
        .build()
}

impl Order<'_> {
    /// Who asks to be let in; admins see it.
    pub(super) fn requests(&self) -> Node {
        if !self.group.rank(&self.account.phone).is_some_and(|rank| rank.rules()) {
            return iq_error(self.iq, 403, "forbidden");
        }
        let asking = self.group.charter().requests.into_iter();
        let nodes = asking.filter_map(|(phone, at)| {
            let account = self.world.account(&phone).ok()?;
            let node = NodeBuilder::new("membership_approval_request")
                .attr("jid", account.lid_jid())
                .attr("phone_number", account.pn_jid())
                .attr("request_method", "invite_link")
                .attr("request_time", at);
            Some(node.build())
        });
        let answer = NodeBuilder::new("membership_approval_requests").children(nodes);
        iq_result(self.iq, vec![answer.build()])
    }

    /// `<membership_requests_action>`: the answer names each with their fate.
    pub(super) async fn decide(&self, order: &Node) -> Node {
        let verdict = order.children().and_then(|children| children.first());
        let Some(verdict) = verdict.filter(|verdict| matches!(&*verdict.tag, "approve" | "reject")) else {
            return iq_error(self.iq, 400, "bad-request");
        };
        let named = participants(self.world, verdict);
        let phones: Vec<_> = named.iter().filter_map(|(_, phone)| phone.clone()).collect();
        let lets_in = verdict.tag == "approve";
        let failed = match decide(
            self.world,
            self.group,
            self.account,
            &phones,
            lets_in,
            Some(self.device),
        )
        .await
        {
            Ok(failed) => failed,
            Err(error) => return self.refused(&error),
        };
        let fates = self.fates(named, &failed);
        let verdict = NodeBuilder::new_dynamic(verdict.tag.to_string())
            .children(fates)
            .build();
        let answer = NodeBuilder::new("membership_requests_action").children([verdict]);
        iq_result(self.iq, vec![answer.build()])
    }
}

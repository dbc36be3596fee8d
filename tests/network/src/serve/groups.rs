//! Questions and orders about groups (`<iq xmlns="w:g2">`).

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node, NodeContent};

use super::community::{found_community, found_inside, standing_nodes};
use super::group_change::{Change, INVITE_ONLY, add_mode, change, found, join};
use super::membership;
use super::session::Session;
use crate::NetworkError;
use crate::state::{Account, Device, Group, World};
use crate::wire::stanza::{attr, child_bytes, content, iq_error, iq_result, jid_attr};

/// Answers one iq about groups.
pub(super) async fn answer(session: &Session, iq: &Node) -> Node {
    let Some((account, device)) = session.device() else {
        return iq_error(iq, 401, "not-authorized");
    };
    let world = &session.world;
    let group = jid_attr(iq, "to").filter(|to| to.is_group() && !to.user.is_empty());
    let Some(group) = group else {
        return about_none(world, account, device, iq).await;
    };
    let Ok(group) = world.group(&group.to_string()) else {
        return iq_error(iq, 404, "item-not-found");
    };
    if group.rank(&account.phone).is_none() {
        if let Some(accept) = iq.get_optional_child("accept") {
            return membership::accept(world, &group, account, device, iq, accept).await;
        }
        return match iq.get_optional_child("cancel_membership_requests") {
            Some(_) => membership::withdraw(world, &group, account, device, iq),
            None => iq_error(iq, 403, "forbidden"),
        };
    }
    let order = Order {
        world,
        group: &group,
        account,
        device,
        iq,
    };
    order.answer().await
}

/// What is asked of no group yet: the list of one's own, a new one, what a link leads to.
async fn about_none(world: &World, account: &Account, device: &Device, iq: &Node) -> Node {
    if iq.get_optional_child("participating").is_some() {
        let groups = world.groups();
        let own = groups.iter().filter(|group| group.rank(&account.phone).is_some());
        let nodes = own.map(|group| group_node(world, group));
        return iq_result(iq, vec![NodeBuilder::new("groups").children(nodes).build()]);
    }
    if let Some(create) = iq.get_optional_child("create") {
        let named = participants(world, create);
        let named = named
            .iter()
            .filter_map(|(_, phone)| world.account(phone.as_ref()?).ok());
        let (refused, others): (Vec<_>, Vec<_>) = named.partition(|named| named.profile.is_invite_only());
        let others: Vec<_> = others.into_iter().map(|other| other.phone.clone()).collect();
        let subject = attr(create, "subject").unwrap_or_default();
        let (owner, by) = (account.phone.as_str(), Some(device));
        let inside = create
            .get_optional_child("linked_parent")
            .and_then(|parent| jid_attr(parent, "jid"));
        let group = if let Some(community) = inside {
            found_inside(world, &community.to_string(), owner, &subject, &others, by).await
        } else if create.get_optional_child("parent").is_some() {
            let general = create.get_optional_child("create_general_chat").is_some();
            found_community(world, owner, &subject, &others, general, by).await
        } else {
            found(world, owner, &subject, &others, by).await
        };
        return match group {
            Ok(group) => {
                let mut made = group_node(world, &group);
                if let Some(NodeContent::Nodes(children)) = &mut made.content {
                    let node = |other: &Arc<Account>| {
                        let named = NodeBuilder::new("participant").attr("jid", other.lid_jid());
                        let named = named.attr("phone_number", other.pn_jid());
                        membership::invited_instead(named, &group, account, other)
                    };
                    children.extend(refused.iter().map(node));
                }
                iq_result(iq, vec![made])
            }
            Err(_) => iq_error(iq, 400, "bad-request"),
        };
    }
    if let Some(code) = iq.get_optional_child("invite").and_then(|invite| attr(invite, "code")) {
        let groups = world.groups();
        let Some(group) = groups.iter().find(|group| group.charter().invite == code) else {
            let was = groups.iter().any(|group| group.charter().old_invites.contains(&*code));
            return match was {
                true => iq_error(iq, 410, "gone"),
                false => iq_error(iq, 404, "item-not-found"),
            };
        };
        if attr(iq, "type").as_deref() == Some("get") {
            return iq_result(iq, vec![group_node(world, group)]);
        }
        if group.charter().approval && group.rank(&account.phone).is_none() {
            membership::ask(world, group, account);
            let asked = NodeBuilder::new("membership_approval_request").attr("jid", group.jid());
            return iq_result(iq, vec![asked.build()]);
        }
        if join(world, group, account, Some(device)).await.is_err() {
            return iq_error(iq, 400, "bad-request");
        }
        let joined = NodeBuilder::new("group").attr("jid", group.jid()).build();
        return iq_result(iq, vec![joined]);
    }
    if let Some(leave) = iq.get_optional_child("leave") {
        return leave_groups(world, account, device, iq, leave).await;
    }
    iq_error(iq, 404, "item-not-found")
}

async fn leave_groups(world: &World, account: &Account, device: &Device, iq: &Node, leave: &Node) -> Node {
    let mut left = Vec::new();
    for node in leave.children().unwrap_or_default() {
        let Some(jid) = jid_attr(node, "id") else { continue };
        let mut answer = NodeBuilder::new_dynamic(node.tag.to_string()).attr("id", jid.clone());
        let gone = match world.group(&jid.to_string()) {
            Ok(group) => {
                let leaves = Change::Remove(vec![account.phone.clone()]);
                change(world, &group, account, leaves, Some(device)).await.is_ok()
            }
            Err(_) => false,
        };
        if !gone {
            answer = answer.attr("error", 404);
        }
        left.push(answer.build());
    }
    iq_result(iq, vec![NodeBuilder::new("leave").children(left).build()])
}

/// The addresses that an order names, with the number behind each.
pub(super) fn participants(world: &World, order: &Node) -> Vec<(Jid, Option<String>)> {
    order
        .get_children_by_tag("participant")
        .filter_map(|node| jid_attr(node, "jid"))
        .map(|jid| {
            let phone = world.resolve(&jid).map(|account| account.phone.clone());
            (jid, phone)
        })
        .collect()
}

/// An order about a group that the account is in.
pub(super) struct Order<'a> {
    pub(super) world: &'a World,
    pub(super) group: &'a Arc<Group>,
    pub(super) account: &'a Account,
    pub(super) device: &'a Device,
    pub(super) iq: &'a Node,
}

impl Order<'_> {
    async fn answer(&self) -> Node {
        let Some(child) = self.iq.children().and_then(|children| children.first()) else {
            return iq_error(self.iq, 400, "bad-request");
        };
        let text = || child_text(child);
        let wanted = match &*child.tag {
            "accept" => return iq_error(self.iq, 409, "conflict"),
            "query" => return iq_result(self.iq, vec![group_node(self.world, self.group)]),
            // Its link is the admins' to give away.
            "invite" if attr(self.iq, "type").as_deref() == Some("get") => {
                return match self.group.rank(&self.account.phone).is_some_and(|rank| rank.rules()) {
                    true => self.invite(),
                    false => iq_error(self.iq, 401, "not-authorized"),
                };
            }
            "add" => return self.members(child, Change::Add).await,
            "remove" => return self.members(child, Change::Remove).await,
            "promote" => return self.members(child, Change::Promote).await,
            "demote" => return self.members(child, Change::Demote).await,
            "membership_approval_requests" => return self.requests(),
            "membership_requests_action" => return self.decide(child).await,
            "membership_approval_mode" => {
                let state = child
                    .get_optional_child("group_join")
                    .and_then(|join| attr(join, "state"));
                Change::Approval(state.as_deref() == Some("on"))
            }
            "subject" => Change::Subject(text()),
            "description" => {
                let known = self.group.charter().description.map(|(id, _)| id);
                if attr(child, "prev").as_deref() != known.as_deref() {
                    return iq_error(self.iq, 409, "conflict");
                }
                Change::Description {
                    text: child_bytes(child, "body").map(|body| String::from_utf8_lossy(body).into_owned()),
                    id: attr(child, "id").map(|id| id.into_owned()),
                }
            }
            "member_add_mode" => match text().as_str() {
                "all_member_add" => Change::MembersAdd(true),
                "admin_add" => Change::MembersAdd(false),
                _ => return iq_error(self.iq, 400, "bad-request"),
            },
            "announcement" => Change::Announcement(true),
            "not_announcement" => Change::Announcement(false),
            "locked" => Change::Locked(true),
            "unlocked" => Change::Locked(false),
            "ephemeral" => Change::Ephemeral(attr(child, "expiration").and_then(|seconds| seconds.parse().ok())),
            "not_ephemeral" => Change::Ephemeral(None),
            "invite" => Change::NewInvite,
            _ => {
                let answer = self.of_community(child).await;
                return answer.unwrap_or_else(|| iq_error(self.iq, 501, "feature-not-implemented"));
            }
        };
        let new_invite = matches!(wanted, Change::NewInvite);
        match change(self.world, self.group, self.account, wanted, Some(self.device)).await {
            Ok(_) if new_invite => self.invite(),
            Ok(_) => iq_result(self.iq, Vec::new()),
            Err(error) => self.refused(&error),
        }
    }

    fn invite(&self) -> Node {
        let code = self.group.charter().invite;
        iq_result(self.iq, vec![NodeBuilder::new("invite").attr("code", code).build()])
    }

    pub(super) fn refused(&self, error: &NetworkError) -> Node {
        match error {
            NetworkError::Conflict(_) => iq_error(self.iq, 403, "forbidden"),
            _ => iq_error(self.iq, 400, "bad-request"),
        }
    }

    /// A change of members; the answer names each with its fate.
    async fn members(&self, order: &Node, wanted: fn(Vec<String>) -> Change) -> Node {
        let named = participants(self.world, order);
        let phones: Vec<_> = named.iter().filter_map(|(_, phone)| phone.clone()).collect();
        let failed = match change(self.world, self.group, self.account, wanted(phones), Some(self.device)).await {
            Ok(failed) => failed,
            Err(error) => return self.refused(&error),
        };
        let fates = self.fates(named, &failed);
        let answer = NodeBuilder::new_dynamic(order.tag.to_string()).children(fates).build();
        iq_result(self.iq, vec![answer])
    }

    /// Those whom an order named, each with WhatsApp's code if it did not work.
    pub(super) fn fates(&self, named: Vec<(Jid, Option<String>)>, failed: &[(String, u16)]) -> Vec<Node> {
        let fate = |(jid, phone): (Jid, Option<String>)| {
            let code = match &phone {
                None => Some(404),
                Some(phone) => failed.iter().find(|(failed, _)| failed == phone).map(|(_, code)| *code),
            };
            let node = NodeBuilder::new("participant").attr("jid", jid);
            match (code, phone.and_then(|phone| self.world.account(&phone).ok())) {
                (Some(INVITE_ONLY), Some(other)) => membership::invited_instead(node, self.group, self.account, &other),
                (Some(code), _) => node.attr("error", code).build(),
                (None, _) => node.build(),
            }
        };
        named.into_iter().map(fate).collect()
    }
}

fn child_text(node: &Node) -> String {
    String::from_utf8_lossy(content(node).unwrap_or_default()).into_owned()
}

/// Everything about a group, as members see it.
pub(super) fn group_node(world: &World, group: &Group) -> Node {
    let charter = group.charter();
    let hidden = |phone: &str| {
        world
            .account(phone)
            .map(|account| (account.lid_jid(), account.pn_jid()))
    };
    let mut node = NodeBuilder::new("group")
        .attr("id", group.id.as_str())
        .attr("subject", charter.subject.as_str())
        .attr("creation", group.created)
        .attr("s_t", charter.subject_by.1)
        .attr("addressing_mode", "lid")
        .attr("size", charter.members.len());
    if let Ok((lid, number)) = hidden(&group.owner) {
        node = node.attr("creator", lid).attr("creator_pn", number);
    }
    if let Ok((lid, number)) = hidden(&charter.subject_by.0) {
        node = node.attr("s_o", lid).attr("s_o_pn", number);
    }
    let mut children = Vec::new();
    for (phone, rank) in &charter.members {
        if let Ok((lid, number)) = hidden(phone) {
            let mut member = NodeBuilder::new("participant")
                .attr("jid", lid)
                .attr("phone_number", number);
            if let Some(rank) = rank.wire() {
                member = member.attr("type", rank);
            }
            children.push(member.build());
        }
    }
    if let Some((id, text)) = charter.description {
        let body = NodeBuilder::new("body").string_content(text).build();
        children.push(NodeBuilder::new("description").attr("id", id).children([body]).build());
    }
    if charter.announcement {
        children.push(NodeBuilder::new("announcement").build());
    }
    if charter.locked {
        children.push(NodeBuilder::new("locked").build());
    }
    if let Some(seconds) = charter.ephemeral {
        children.push(NodeBuilder::new("ephemeral").attr("expiration", seconds).build());
    }
    if charter.approval {
        children.push(membership::mode(true));
    }
    children.push(add_mode(charter.members_add));
    children.extend(standing_nodes(&charter.standing));
    node.children(children).build()
}

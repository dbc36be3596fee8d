//! Changes of groups, and what members are told of them (`<notification type="w:gp2">`).

use std::sync::Arc;

use rand::Rng as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::community::along;
use super::groups::group_node;
use crate::state::{Account, Device, Group, Rank, World};
use crate::{NetworkError, clock};

/// Why somebody is not put into a group: they are to be invited.
pub(super) const INVITE_ONLY: u16 = 403;

/// What happens to a group. Members are numbers.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// They join.
    Add(Vec<String>),
    /// One joins by the invitation link.
    Join(String),
    /// They are sent away, or leave if it is themselves.
    Remove(Vec<String>),
    /// They become admins.
    Promote(Vec<String>),
    /// They are admins no more.
    Demote(Vec<String>),
    /// It is called otherwise.
    Subject(String),
    /// It says something else of itself, or nothing.
    Description {
        text: Option<String>,
        /// By which the next one names it; any if a phone does it.
        id: Option<String>,
    },
    /// Only admins write, or everybody.
    Announcement(bool),
    /// Only admins change what it is called, or everybody.
    Locked(bool),
    /// Messages disappear after so many seconds, or stay.
    Ephemeral(Option<u32>),
    /// Who has the link is let in by admins, or joins by themselves.
    Approval(bool),
    /// Members add others, or only admins do.
    MembersAdd(bool),
    /// Its invitation link is another.
    NewInvite,
}

/// Founds a group and tells the members' devices, but the one that did it.
///
/// # Errors
/// As [`World::found`].
pub(crate) async fn found(
    world: &World,
    owner: &str,
    subject: &str,
    others: &[String],
    by: Option<&Device>,
) -> Result<Arc<Group>, NetworkError> {
    let group = world.found(owner, subject, others)?;
    announce(world, &group, by)?;
    Ok(group)
}

/// Tells the members' devices, but the one that did it, of a new group.
pub(super) fn announce(world: &World, group: &Group, by: Option<&Device>) -> Result<(), NetworkError> {
    let owner = world.account(&group.owner)?;
    let create = NodeBuilder::new("create")
        .attr("type", "new")
        .children([group_node(world, group)])
        .build();
    tell(world, group, &owner, &group.members(), by, &create);
    Ok(())
}

/// Changes a group and tells the devices of everybody concerned, but the one that did it. Returns the members for whom
/// it did not work, each with WhatsApp's code.
///
/// # Errors
/// [`NetworkError::Conflict`] if the actor may not, [`NetworkError::Invalid`] for an empty subject.
pub(crate) async fn change(
    world: &World,
    group: &Group,
    actor: &Account,
    change: Change,
    by: Option<&Device>,
) -> Result<Vec<(String, u16)>, NetworkError> {
    allowed(group, actor, &change)?;
    carry_out(world, group, actor, &change, by).await
}

/// Lets somebody in who has the link, or is in the community, on nobody's word. Who is in already stays in.
///
/// # Errors
/// As [`change`], but nobody has to allow it.
pub(super) async fn join(
    world: &World,
    group: &Group,
    account: &Account,
    by: Option<&Device>,
) -> Result<(), NetworkError> {
    let joins = Change::Join(account.phone.clone());
    carry_out(world, group, account, &joins, by).await.map(drop)
}

async fn carry_out(
    world: &World,
    group: &Group,
    actor: &Account,
    change: &Change,
    by: Option<&Device>,
) -> Result<Vec<(String, u16)>, NetworkError> {
    let failed = one(world, group, actor, change, by).await?;
    for other in along(world, group, change) {
        // Who is in it already, or not in it, is no failure there.
        one(world, &other, actor, change, by).await?;
    }
    Ok(failed)
}

/// Changes this group alone.
pub(super) async fn one(
    world: &World,
    group: &Group,
    actor: &Account,
    change: &Change,
    by: Option<&Device>,
) -> Result<Vec<(String, u16)>, NetworkError> {
    let before = group.members();
    let (node, failed) = match change {
        Change::Add(phones) => members(world, group, "add", phones, |members, phone| {
            match world
                .account(phone)
                .is_ok_and(|account| account.profile.is_invite_only())
            {
                true => (false, INVITE_ONLY),
                false => joins(members, phone),
            }
        }),
        Change::Join(phone) => {
            let (mut node, failed) = members(world, group, "add", std::slice::from_ref(phone), joins);
            if let Some(node) = &mut node {
                node.attrs.insert("reason", "invite");
            }
            (node, failed)
        }
        Change::Remove(phones) => members(world, group, "remove", phones, |members, phone| {
            (members.remove(phone).is_some(), 404)
        }),
        Change::Promote(phones) => ranked(world, group, "promote", phones, Rank::Admin),
        Change::Demote(phones) => ranked(world, group, "demote", phones, Rank::Member),
        _ => (Some(settled(group, actor, change)?), Vec::new()),
    };
    if let Some(node) = node {
        let mut told = before;
        told.extend(group.members());
        told.sort();
        told.dedup();
        tell(world, group, actor, &told, by, &node);
    }
    if let Change::Remove(_) = change {
        // Who is gone reads nothing more.
        let id = group.jid().to_string();
        for member in world.members(group) {
            let own = member.lid_jid();
            member.signal.lock().await.rotate(&id, &own);
        }
    }
    Ok(failed)
}

fn allowed(group: &Group, actor: &Account, change: &Change) -> Result<(), NetworkError> {
    let charter = group.charter();
    let refused = |why: &str| Err(NetworkError::Conflict(format!("{} {why} {}", actor.phone, group.jid())));
    let Some(rank) = charter.members.get(&actor.phone) else {
        return refused("is not in");
    };
    let leaves = matches!(change, Change::Remove(phones) if phones.iter().all(|phone| *phone == actor.phone));
    let open = match change {
        Change::Subject(_) | Change::Description { .. } | Change::Ephemeral(_) => !charter.locked,
        Change::Add(_) => charter.members_add,
        _ => false,
    };
    if rank.rules() || leaves || open {
        return Ok(());
    }
    refused("is no admin of")
}

type Members = std::collections::BTreeMap<String, Rank>;

/// Applies a change to each of some members; the notification names those for whom it worked.
fn members(
    world: &World,
    group: &Group,
    tag: &'static str,
    phones: &[String],
    apply: impl Fn(&mut Members, &str) -> (bool, u16),
) -> (Option<Node>, Vec<(String, u16)>) {
    let (mut nodes, mut failed) = (Vec::new(), Vec::new());
    for phone in phones {
        let Ok(account) = world.account(phone) else {
            failed.push((phone.clone(), 404));
            continue;
        };
        match group.change(|charter| apply(&mut charter.members, &account.phone)) {
            (true, _) => nodes.push(participant(&account)),
            (false, code) => failed.push((phone.clone(), code)),
        }
    }
    let node = (!nodes.is_empty()).then(|| NodeBuilder::new(tag).children(nodes).build());
    (node, failed)
}

fn joins(members: &mut Members, phone: &str) -> (bool, u16) {
    let joins = !members.contains_key(phone);
    if joins {
        members.insert(phone.to_owned(), Rank::Member);
    }
    (joins, 409)
}

fn ranked(
    world: &World,
    group: &Group,
    tag: &'static str,
    phones: &[String],
    rank: Rank,
) -> (Option<Node>, Vec<(String, u16)>) {
    members(world, group, tag, phones, |members, phone| {
        match members.get_mut(phone) {
            Some(Rank::Owner) => (false, 406),
            Some(held) => {
                *held = rank;
                (true, 0)
            }
            None => (false, 404),
        }
    })
}

pub(super) fn participant(account: &Account) -> Node {
    NodeBuilder::new("participant")
        .attr("jid", account.lid_jid())
        .attr("phone_number", account.pn_jid())
        .build()
}

/// Applies a change of what the group is called or allows.
fn settled(group: &Group, actor: &Account, change: &Change) -> Result<Node, NetworkError> {
    let now = clock::now_s();
    let switch = |on: bool, yes: &'static str, no: &'static str| NodeBuilder::new(if on { yes } else { no }).build();
    Ok(match change {
        Change::Subject(subject) => {
            if subject.trim().is_empty() {
                return Err(NetworkError::Invalid("subject is empty".to_owned()));
            }
            group.change(|charter| {
                charter.subject.clone_from(subject);
                charter.subject_by = (actor.phone.clone(), now);
            });
            NodeBuilder::new("subject")
                .attr("subject", subject.as_str())
                .attr("s_o", actor.lid_jid())
                .attr("s_t", now)
                .build()
        }
        Change::Description { text, id } => {
            let id = id.clone().unwrap_or_else(|| format!("{:08X}", rand::rng().next_u32()));
            group.change(|charter| charter.description = text.clone().map(|text| (id.clone(), text)));
            let child = match text {
                Some(text) => NodeBuilder::new("body").string_content(text.as_str()).build(),
                None => NodeBuilder::new("delete").build(),
            };
            NodeBuilder::new("description").attr("id", id).children([child]).build()
        }
        Change::Announcement(on) => {
            group.change(|charter| charter.announcement = *on);
            switch(*on, "announcement", "not_announcement")
        }
        Change::Locked(on) => {
            group.change(|charter| charter.locked = *on);
            switch(*on, "locked", "unlocked")
        }
        Change::Approval(on) => {
            group.change(|charter| charter.approval = *on);
            super::membership::mode(*on)
        }
        Change::MembersAdd(all) => {
            group.change(|charter| charter.members_add = *all);
            add_mode(*all)
        }
        Change::Ephemeral(seconds) => {
            group.change(|charter| charter.ephemeral = *seconds);
            match seconds {
                Some(seconds) => NodeBuilder::new("ephemeral").attr("expiration", *seconds).build(),
                None => NodeBuilder::new("not_ephemeral").build(),
            }
        }
        _ => {
            let code = format!("{:016x}{:06x}", rand::rng().next_u64(), rand::rng().next_u32() >> 8);
            group.change(|charter| {
                let old = std::mem::replace(&mut charter.invite, code.clone());
                charter.old_invites.insert(old);
            });
            NodeBuilder::new("revoke").attr("code", code).build()
        }
    })
}

/// `<member_add_mode>`, who adds others.
pub(super) fn add_mode(all: bool) -> Node {
    let mode = if all { "all_member_add" } else { "admin_add" };
    NodeBuilder::new("member_add_mode").string_content(mode).build()
}

/// Tells the devices of some numbers; the notification is queued as messages are.
pub(super) fn tell(
    world: &World,
    group: &Group,
    actor: &Account,
    phones: &[String],
    by: Option<&Device>,
    child: &Node,
) {
    tell_of("w:gp2", world, (group, actor), phones, by, child);
}

/// The same by a notification of another type.
pub(super) fn tell_of(
    kind: &'static str,
    world: &World,
    (group, actor): (&Group, &Account),
    phones: &[String],
    by: Option<&Device>,
    child: &Node,
) {
    for phone in phones {
        let Ok(member) = world.account(phone) else { continue };
        for device in member.devices() {
            if by.is_some_and(|by| by.pn == device.pn) {
                continue;
            }
            device.deliver(notification(kind, &group.jid(), actor, child.clone()), 1);
        }
    }
}

fn notification(kind: &'static str, group: &Jid, actor: &Account, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", group.clone())
        .attr("id", rand::rng().next_u32())
        .attr("type", kind)
        .attr("t", clock::now_s())
        .attr("participant", actor.lid_jid())
        .attr("participant_pn", actor.pn_jid())
        .attr("addressing_mode", "lid")
        .attr("notify", &*actor.name())
        .children([child])
        .build()
}

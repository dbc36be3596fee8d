//! Communities: groups that hold groups. Who is in one of theirs is in the community and in its announcement group.

use std::collections::BTreeSet;
use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use super::group_change::{Change, announce, change, join, one, participant, tell};
use super::groups::{Order, group_node};
use crate::NetworkError;
use crate::state::{Account, Device, Group, Part, Standing, World};
use crate::wire::stanza::{attr, iq_error, iq_result, jid_attr};

/// What the chat of all members is called.
const GENERAL: &str = "General";
/// Why a group is not linked or unlinked: there is none such, its admins did not ask, it is in a community or one itself,
/// the announcement group goes with its community only.
const NO_GROUP: u16 = 404;
const FORBIDDEN: u16 = 403;
const TAKEN: u16 = 409;
const STAYS: u16 = 406;

/// Why a group is in no community any more: its admins wanted it so, or the community is gone.
const TAKEN_OUT: &str = "unlink_group";
const DISSOLVED: &str = "delete_parent";

/// Groups for which something did not work, each with WhatsApp's code.
pub(crate) type Failed = Vec<(String, u16)>;

/// Founds a community with its announcement group, and with a chat for everybody if that is wanted.
///
/// # Errors
/// As [`World::found`].
pub(crate) async fn found_community(
    world: &World,
    owner: &str,
    subject: &str,
    others: &[String],
    general: bool,
    by: Option<&Device>,
) -> Result<Arc<Group>, NetworkError> {
    let community = world.found(owner, subject, others)?;
    community.change(|charter| charter.standing = Standing::Community);
    announce(world, &community, by)?;
    let general = general.then_some((Part::General, GENERAL));
    for (part, subject) in [(Part::Announcement, subject)].into_iter().chain(general) {
        let group = world.found(owner, subject, others)?;
        group.change(|charter| charter.announcement = part == Part::Announcement);
        belongs(&group, &community, part);
        // The device that asked is told as well: its answer does not name them.
        announce(world, &group, None)?;
    }
    Ok(community)
}

/// Founds a group inside a community.
///
/// # Errors
/// As [`World::found`] and [`World::group`], and [`NetworkError::Conflict`] if that is no community or the owner is no admin of it.
pub(crate) async fn found_inside(
    world: &World,
    community: &str,
    owner: &str,
    subject: &str,
    others: &[String],
    by: Option<&Device>,
) -> Result<Arc<Group>, NetworkError> {
    let community = world.group(community)?;
    let actor = world.account(owner)?;
    governs(&community, &actor)?;
    let group = world.found(owner, subject, others)?;
    belongs(&group, &community, Part::Plain);
    announce(world, &group, by)?;
    welcome(world, &community, &group, &actor, by).await?;
    Ok(group)
}

/// Puts groups into a community. Returns those for which it did not work.
///
/// # Errors
/// [`NetworkError::Conflict`] if it is no community or the actor is no admin of it.
pub(crate) async fn link(
    world: &World,
    community: &Group,
    actor: &Account,
    ids: &[String],
    by: Option<&Device>,
) -> Result<Failed, NetworkError> {
    governs(community, actor)?;
    let mut failed = Vec::new();
    for id in ids {
        let group = match world.group(id) {
            Err(_) => Err(NO_GROUP),
            Ok(group) if !group.rank(&actor.phone).is_some_and(|rank| rank.rules()) => Err(FORBIDDEN),
            Ok(group) if group.charter().standing != Standing::Alone => Err(TAKEN),
            Ok(group) => Ok(group),
        };
        match group {
            Ok(group) => {
                belongs(&group, community, Part::Plain);
                let parent = linked("parent_group", community);
                tell(world, &group, actor, &group.members(), by, &parent);
                welcome(world, community, &group, actor, by).await?;
            }
            Err(code) => failed.push((id.clone(), code)),
        }
    }
    Ok(failed)
}

/// Takes groups out of a community; with `orphans` those go who are in none of its other groups. Returns the groups for
/// which it did not work.
///
/// # Errors
/// [`NetworkError::Conflict`] if it is no community or the actor is no admin of it.
pub(crate) async fn unlink(
    world: &World,
    community: &Group,
    actor: &Account,
    ids: &[String],
    orphans: bool,
    by: Option<&Device>,
) -> Result<Failed, NetworkError> {
    governs(community, actor)?;
    let mut failed = Vec::new();
    for id in ids {
        let group = world.group(id).ok();
        let Some(group) = group.filter(|group| group.charter().community() == Some(&community.id)) else {
            failed.push((id.clone(), NO_GROUP));
            continue;
        };
        if group.charter().part() == Some(Part::Announcement) {
            failed.push((id.clone(), STAYS));
            continue;
        }
        group.change(|charter| charter.standing = Standing::Alone);
        let child = unlinked("sub_group", &group, TAKEN_OUT);
        tell(world, community, actor, &community.members(), by, &child);
        let parent = unlinked("parent_group", community, TAKEN_OUT);
        tell(world, &group, actor, &group.members(), by, &parent);
        if orphans {
            let gone = Change::Remove(orphans_of(world, community, &group));
            change(world, community, actor, gone, by).await?;
        }
    }
    Ok(failed)
}

/// Ends a community. It is gone with its announcement group and its general chat; its other groups stand alone again.
///
/// # Errors
/// [`NetworkError::Conflict`] if it is no community or the actor is no admin of it.
pub(crate) fn dissolve(
    world: &World,
    community: &Group,
    actor: &Account,
    by: Option<&Device>,
) -> Result<(), NetworkError> {
    governs(community, actor)?;
    let deleted = NodeBuilder::new("delete").attr("reason", DISSOLVED).build();
    let parent = unlinked("parent_group", community, DISSOLVED);
    for group in parts(world, &community.id) {
        if group.charter().part() == Some(Part::Plain) {
            group.change(|charter| charter.standing = Standing::Alone);
            tell(world, &group, actor, &group.members(), by, &parent);
        } else {
            tell(world, &group, actor, &group.members(), by, &deleted);
            world.forget_group(&group.id);
        }
    }
    tell(world, community, actor, &community.members(), by, &deleted);
    world.forget_group(&community.id);
    Ok(())
}

fn governs(community: &Group, actor: &Account) -> Result<(), NetworkError> {
    let refused = |why: &str| Err(NetworkError::Conflict(format!("{} {why}", community.jid())));
    if community.charter().standing != Standing::Community {
        return refused("is no community");
    }
    if !community.rank(&actor.phone).is_some_and(|rank| rank.rules()) {
        return refused(&format!("has no admin {}", actor.phone));
    }
    Ok(())
}

fn belongs(group: &Group, community: &Group, part: Part) {
    group.change(|charter| {
        charter.standing = Standing::Linked {
            community: community.id.clone(),
            part,
        };
    });
}

/// Tells a community of a group that it has now, and takes the group's members in.
async fn welcome(
    world: &World,
    community: &Group,
    group: &Group,
    actor: &Account,
    by: Option<&Device>,
) -> Result<(), NetworkError> {
    let child = linked("sub_group", group);
    tell(world, community, actor, &community.members(), by, &child);
    let joining = Change::Add(group.members());
    for other in along(world, group, &joining) {
        one(world, &other, actor, &joining, by).await?;
    }
    Ok(())
}

/// `<link>` of a group, which is the `kind` of the one that is told.
fn linked(kind: &'static str, group: &Group) -> Node {
    let node = NodeBuilder::new("link").attr("link_type", kind);
    node.children([named(group)]).build()
}

/// `<unlink>` of a group, which was the `kind` of the one that is told.
fn unlinked(kind: &'static str, group: &Group, reason: &'static str) -> Node {
    let node = NodeBuilder::new("unlink")
        .attr("unlink_type", kind)
        .attr("unlink_reason", reason);
    node.children([named(group)]).build()
}

fn named(group: &Group) -> Node {
    NodeBuilder::new("group")
        .attr("jid", group.jid())
        .attr("subject", group.charter().subject)
        .build()
}

/// The groups of a community, in order of age.
pub(super) fn parts(world: &World, community: &str) -> Vec<Arc<Group>> {
    let mut groups = world.groups();
    groups.retain(|group| group.charter().community() == Some(community));
    groups
}

/// The other groups of a community that change with one: who joins any of its groups joins the community and is where
/// all of it are; who goes from the community goes from all; its admins and its name are those of its announcement group.
pub(super) fn along(world: &World, group: &Group, change: &Change) -> Vec<Arc<Group>> {
    let charter = group.charter();
    let whole = charter.standing == Standing::Community;
    let Some(id) = whole.then_some(group.id.as_str()).or(charter.community()) else {
        return Vec::new();
    };
    let leaves = whole || charter.part() == Some(Part::Announcement);
    let mut others = parts(world, id);
    others.extend(world.group(id));
    others.retain(|other| {
        let part = other.charter().part();
        let concerned = match change {
            Change::Add(_) | Change::Join(_) => part != Some(Part::Plain),
            Change::Remove(_) => leaves,
            Change::Promote(_) | Change::Demote(_) | Change::Subject(_) => whole && part == Some(Part::Announcement),
            _ => false,
        };
        concerned && other.id != group.id
    });
    others
}

/// The members of a group that was unlinked who are in no other group of the community, but for its admins.
fn orphans_of(world: &World, community: &Group, group: &Group) -> Vec<String> {
    let mut others = parts(world, &community.id);
    others.retain(|other| other.charter().part() == Some(Part::Plain));
    let staying: BTreeSet<_> = others.iter().flat_map(|other| other.members()).collect();
    let mut gone = group.members();
    gone.retain(|phone| !staying.contains(phone) && !community.rank(phone).is_some_and(|rank| rank.rules()));
    gone
}

/// What of `<group>` says what it is to a community.
pub(super) fn standing_nodes(standing: &Standing) -> Vec<Node> {
    let Standing::Linked { community, part } = standing else {
        let parent = NodeBuilder::new("parent").build();
        return Vec::from_iter((*standing == Standing::Community).then_some(parent));
    };
    let parent = NodeBuilder::new("linked_parent").attr("jid", Jid::new(community.as_str(), Server::Group));
    let part = match part {
        Part::Announcement => Some("default_sub_group"),
        Part::General => Some("general_chat"),
        Part::Plain => None,
    };
    let part = part.map(|tag| NodeBuilder::new(tag).build());
    [parent.build()].into_iter().chain(part).collect()
}

impl Order<'_> {
    /// Answers what is asked of a community; `None` if the question is another.
    pub(super) async fn of_community(&self, child: &Node) -> Option<Node> {
        let parts = || parts(self.world, &self.group.id);
        let whole = |group: &Arc<Group>| group_node(self.world, group);
        let answer = match &*child.tag {
            "links" => return Some(self.links(child).await),
            "unlink" => return Some(self.unlink(child).await),
            "delete_parent" => {
                let gone = dissolve(self.world, self.group, self.account, Some(self.device));
                return Some(match gone {
                    Ok(()) => iq_result(self.iq, Vec::new()),
                    Err(error) => self.refused(&error),
                });
            }
            "sub_groups" => NodeBuilder::new("sub_groups").children(parts().iter().map(whole)),
            "linked_groups_participants" => {
                let members = self.world.members(self.group);
                NodeBuilder::new("linked_groups_participants").children(members.iter().map(|one| participant(one)))
            }
            "query_linked" | "join_linked_group" => {
                let wanted = jid_attr(child, "jid");
                let Some(group) = parts().into_iter().find(|group| Some(group.jid()) == wanted) else {
                    return Some(iq_error(self.iq, 404, "item-not-found"));
                };
                if child.tag == "join_linked_group"
                    && let Err(error) = join(self.world, &group, self.account, Some(self.device)).await
                {
                    return Some(self.refused(&error));
                }
                NodeBuilder::new("linked_group")
                    .attr("jid", group.jid())
                    .children([whole(&group)])
            }
            _ => return None,
        };
        Some(iq_result(self.iq, vec![answer.build()]))
    }

    async fn links(&self, links: &Node) -> Node {
        let Some(order) = links.get_optional_child("link") else {
            return iq_error(self.iq, 400, "bad-request");
        };
        let ids = ids(order);
        match link(self.world, self.group, self.account, &ids, Some(self.device)).await {
            Ok(failed) => {
                let link = NodeBuilder::new("link").attr("link_type", "sub_group");
                let link = link.children(fates(&ids, &failed)).build();
                iq_result(self.iq, vec![NodeBuilder::new("links").children([link]).build()])
            }
            Err(error) => self.refused(&error),
        }
    }

    async fn unlink(&self, order: &Node) -> Node {
        let ids = ids(order);
        let orphans = order
            .get_children_by_tag("group")
            .any(|group| attr(group, "remove_orphaned_members").as_deref() == Some("true"));
        match unlink(self.world, self.group, self.account, &ids, orphans, Some(self.device)).await {
            Ok(failed) => {
                let unlink = NodeBuilder::new("unlink").attr("unlink_type", "sub_group");
                iq_result(self.iq, vec![unlink.children(fates(&ids, &failed)).build()])
            }
            Err(error) => self.refused(&error),
        }
    }
}

fn ids(order: &Node) -> Vec<String> {
    let jids = order
        .get_children_by_tag("group")
        .filter_map(|group| jid_attr(group, "jid"));
    jids.map(|jid| jid.to_string()).collect()
}

fn fates(ids: &[String], failed: &Failed) -> Vec<Node> {
    let fate = |id: &String| {
        let node = NodeBuilder::new("group").attr("jid", id.as_str());
        match failed.iter().find(|(failed, _)| failed == id) {
            Some((_, code)) => node.attr("error", *code).build(),
            None => node.build(),
        }
    };
    ids.iter().map(fate).collect()
}

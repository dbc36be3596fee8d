//! Questions and orders about groups (`<iq xmlns="w:g2">`), and what members are told (`<notification type="w:gp2">`).

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{JidExt as _, Node};

use super::session::Session;
use crate::state::{Group, World};
use crate::wire::stanza::{iq_error, iq_result, jid_attr};

/// Answers one iq about groups.
pub(super) async fn answer(session: &Session, iq: &Node) -> Node {
    let Some((account, _)) = session.device() else {
        return iq_error(iq, 401, "not-authorized");
    };
    let world = &session.world;
    if iq.get_optional_child("participating").is_some() {
        let groups = world.groups();
        let own = groups.iter().filter(|group| group.rank(&account.phone).is_some());
        let nodes = own.map(|group| group_node(world, group));
        return iq_result(iq, vec![NodeBuilder::new("groups").children(nodes).build()]);
    }
    let Some(group) = jid_attr(iq, "to")
        .filter(|to| to.is_group() && !to.user.is_empty())
        .and_then(|to| world.group(&to.to_string()).ok())
    else {
        return iq_error(iq, 404, "item-not-found");
    };
    if group.rank(&account.phone).is_none() {
        return iq_error(iq, 403, "forbidden");
    }
    if iq.get_optional_child("query").is_some() {
        return iq_result(iq, vec![group_node(world, &group)]);
    }
    iq_error(iq, 501, "feature-not-implemented")
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
    node.children(children).build()
}

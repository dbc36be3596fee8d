//! Questions that clients ask in GraphQL (`w:mex`): of communities' groups.

use serde_json::{Value, json};
use wacore::iq::mex_operations::{fetch_all_subgroups, query_subgroup_participant_count};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::community::parts;
use super::session::Session;
use crate::state::{Group, Part};
use crate::wire::stanza::{attr, content, iq_result};

/// Answers a query: what groups a community has. Of anything else nothing is known.
pub(super) fn query(session: &Session, iq: &Node) -> Node {
    let data = asked(session, iq).unwrap_or_else(|| json!({}));
    let result = json!({ "data": data }).to_string();
    iq_result(iq, vec![NodeBuilder::new("result").bytes(result).build()])
}

fn asked(session: &Session, iq: &Node) -> Option<Value> {
    let (account, _) = session.device()?;
    let query = iq.get_optional_child("query")?;
    let asked: Value = serde_json::from_slice(content(query)?).ok()?;
    let variables = &asked["variables"];
    let community = match &*attr(query, "query_id")? {
        fetch_all_subgroups::DOC_ID => &variables["group_id"],
        query_subgroup_participant_count::DOC_ID => &variables["input"]["group_jid"],
        _ => return None,
    };
    let community = session.world.group(community.as_str()?).ok();
    let Some(community) = community.filter(|group| group.rank(&account.phone).is_some()) else {
        return Some(json!({ "xwa2_group_query_by_id": null }));
    };
    let (announcement, others): (Vec<_>, Vec<_>) = parts(&session.world, &community.id)
        .iter()
        .map(|group| (group.charter().part(), described(group)))
        .partition(|(part, _)| *part == Some(Part::Announcement));
    let edges: Vec<_> = others.into_iter().map(|(_, node)| json!({ "node": node })).collect();
    Some(json!({ "xwa2_group_query_by_id": {
        "id": community.jid().to_string(),
        "default_sub_group": announcement.first().map(|(_, node)| node),
        "sub_groups": { "edges": edges },
    } }))
}

fn described(group: &Group) -> Value {
    let charter = group.charter();
    json!({
        "id": group.jid().to_string(),
        "subject": { "value": charter.subject, "creation_time": group.created },
        "total_participants_count": charter.members.len(),
        "properties": { "general_chat": (charter.part() == Some(Part::General)).to_string() },
    })
}

//! Questions about users (`<iq xmlns="usync">`): is it an account, what is its hidden number, which devices has it.

use std::sync::atomic::Ordering;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::profile;
use super::session::Session;
use crate::state::{Account, digits, hidden};
use crate::wire::stanza::{attr, bytes_node, content, iq_error, iq_result, jid_attr};

/// What is a matter of what an account shows.
const TOLD: [&str; 3] = ["status", "picture", "business"];

/// Answers a query: each user asked for, each protocol asked for.
pub(super) fn answer(session: &Session, iq: &Node) -> Node {
    let Some(usync) = iq.get_optional_child("usync") else {
        return iq_error(iq, 400, "bad-request");
    };
    let protocols = usync
        .get_optional_child("query")
        .and_then(Node::children)
        .unwrap_or_default();
    let asked = usync
        .get_optional_child("list")
        .and_then(Node::children)
        .unwrap_or_default();
    if protocols.iter().any(|protocol| protocol.tag == "contact") {
        session.world.look_ups.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(code) = refusal(session, asked, protocols) {
        return iq_error(iq, code, "refused");
    }
    let users = asked.iter().filter_map(|user| user_node(session, user, protocols));
    let mut answer = NodeBuilder::new("usync");
    for key in ["sid", "mode", "context"] {
        if let Some(value) = attr(usync, key) {
            answer = answer.attr(key, value.into_owned());
        }
    }
    let answer = answer
        .attr("last", "true")
        .attr("index", 0)
        .children([NodeBuilder::new("list").children(users).build()])
        .build();
    iq_result(iq, vec![answer])
}

/// With which code a question about devices is refused.
fn refusal(session: &Session, asked: &[Node], protocols: &[Node]) -> Option<u16> {
    protocols.iter().find(|protocol| protocol.tag == "devices")?;
    let world = &session.world;
    let mut accounts = asked.iter().filter_map(|user| world.resolve(&whom(user)?));
    let code = accounts.find_map(|account| world.faults.deviceless(&account.phone)?)?;
    u16::try_from(code).ok()
}

fn user_node(session: &Session, asked: &Node, protocols: &[Node]) -> Option<Node> {
    let jid = whom(asked)?;
    let account = session.world.resolve(&jid);
    // Whether somebody has a hidden id shows in nothing but an answer; that which devices it has is asked for any.
    if account.is_none() && jid.is_lid() && !protocols.iter().any(|protocol| protocol.tag == "devices") {
        return None;
    }
    if let (Some(account), Some((_, device))) = (&account, session.device()) {
        account.watch(device);
    }
    let mut user = NodeBuilder::new("user").attr("jid", jid.clone());
    if let (Some(account), true) = (&account, jid.is_lid()) {
        user = user.attr("pn_jid", account.pn_jid());
    }
    let results = protocols.iter().filter_map(|protocol| match &account {
        Some(account) if TOLD.contains(&&*protocol.tag) => profile::told(session, &protocol.tag, account),
        Some(account) if protocol.tag == "devices" && session.world.faults.deviceless(&account.phone).is_some() => {
            Some(no_devices())
        }
        _ => result(&protocol.tag, &jid, account.as_deref()),
    });
    Some(user.children(results).build())
}

/// The user by address, or by the number in `<contact>`.
fn whom(asked: &Node) -> Option<Jid> {
    if let Some(jid) = jid_attr(asked, "jid") {
        return Some(jid.into_non_ad());
    }
    let number = content(asked.get_optional_child("contact")?)?;
    digits(std::str::from_utf8(number).ok()?).ok().map(Jid::pn)
}

fn result(protocol: &str, jid: &Jid, account: Option<&Account>) -> Option<Node> {
    match (protocol, account) {
        ("contact", _) => {
            let kind = if account.is_some() { "in" } else { "out" };
            Some(NodeBuilder::new("contact").attr("type", kind).build())
        }
        // A number that nobody has gets the hidden number that it would have; some clients write only to those.
        ("lid", _) => {
            let lid = match account {
                Some(account) => account.lid_jid(),
                None if jid.is_pn() => Jid::lid(hidden(jid.user_base())),
                None => return None,
            };
            Some(NodeBuilder::new("lid").attr("val", lid).build())
        }
        ("devices", _) => Some(devices(account)),
        ("disappearing_mode", Some(_)) => Some(
            NodeBuilder::new("disappearing_mode")
                .attr("duration", 0)
                .attr("t", 0)
                .build(),
        ),
        _ => None,
    }
}

fn no_devices() -> Node {
    let none = NodeBuilder::new("device-list").build();
    NodeBuilder::new("devices").children([none]).build()
}

/// The primary phone and the linked devices, with the phone's signature over which indexes are valid. A number that
/// nobody has is shown with a phone: WhatsApp says that it is not one only when a message is sent to it.
fn devices(account: Option<&Account>) -> Node {
    let linked = account.map(Account::devices).unwrap_or_default();
    let primary = NodeBuilder::new("device").attr("id", 0).build();
    let companions = linked.iter().map(|device| {
        NodeBuilder::new("device")
            .attr("id", device.pn.device)
            .attr("key-index", device.key_index)
            .build()
    });
    let list = NodeBuilder::new("device-list")
        .children(std::iter::once(primary).chain(companions))
        .build();
    let mut children = vec![list];
    // Signing fails for no key that this network makes; a client skips companions in a list without signature.
    if let (Some(account), false) = (account, linked.is_empty())
        && let Ok((signed, timestamp)) = account.key_indexes()
    {
        let mut node = bytes_node("key-index-list", signed);
        node.attrs.insert("ts", timestamp);
        children.push(node);
    }
    NodeBuilder::new("devices").children(children).build()
}

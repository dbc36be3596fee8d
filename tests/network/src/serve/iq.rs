//! Questions and orders of a client (`<iq>`), by namespace.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::session::Session;
use super::{group_picture, groups, keys, mex, pair_code, phone, profile, settings, usync};
use crate::clock;
use crate::state::Command;
use crate::wire::stanza::{attr, iq_result, jid_attr};

/// How long a client may keep the media hosts, in seconds.
const MEDIA_TTL_S: u32 = 3_600;
/// `privacy_token_sending_on_all_1_on_1_messages`: whoever has a person's token shows it with each message.
const TOKENS_WITH_MESSAGES: u32 = 10_518;
/// What an account shows to whom; nothing here restricts anything.
const PRIVACY: [&str; 8] = [
    "readreceipts",
    "last",
    "status",
    "profile",
    "groupadd",
    "calladd",
    "online",
    "messages",
];

/// Answers an iq; a result or error of the client needs no answer.
pub(super) async fn handle(session: &Session, iq: &Node) {
    if !matches!(attr(iq, "type").as_deref(), Some("get" | "set")) {
        return;
    }
    let namespace = attr(iq, "xmlns").unwrap_or_default().into_owned();
    match namespace.as_str() {
        "encrypt" => keys::handle(session, iq).await,
        "passive" => passive(session, iq),
        "w:p" | "urn:xmpp:ping" => reply(session, pong(iq)),
        "usync" => reply(session, usync::answer(session, iq)),
        "w:sync:app:state" => reply(session, settings::answer(session, iq)),
        "w:m" => reply(session, iq_result(iq, vec![media_connection(session)])),
        "abt" | "w" if iq.get_optional_child("props").is_some() => {
            reply(session, iq_result(iq, vec![props(&namespace)]));
        }
        "blocklist" => reply(session, profile::blocklist(session, iq)),
        "w:profile:picture" if group_picture::is_of_group(iq) => reply(session, group_picture::answer(session, iq)),
        "w:profile:picture" => reply(session, profile::picture(session, iq)),
        "status" if attr(iq, "type").as_deref() == Some("set") => reply(session, profile::about(session, iq)),
        "privacy" => reply(session, iq_result(iq, vec![privacy()])),
        "md" => multi_device(session, iq).await,
        "w:g2" => reply(session, groups::answer(session, iq).await),
        "w:mex" => reply(session, mex::query(session, iq)),
        _ => reply(session, iq_result(iq, Vec::new())),
    }
}

fn reply(session: &Session, answer: Node) {
    session.link.send(answer);
}

fn passive(session: &Session, iq: &Node) {
    reply(session, iq_result(iq, Vec::new()));
    if iq.get_optional_child("active").is_some() {
        session.activate();
    }
}

fn pong(iq: &Node) -> Node {
    let mut pong = iq_result(iq, Vec::new());
    pong.attrs.insert("t", clock::now_s());
    pong
}

/// The media hosts: this network's own. What is uploaded says whose it is by the account's number.
fn media_connection(session: &Session) -> Node {
    let host = NodeBuilder::new("host")
        .attr(
            "hostname",
            session.world.media_host.get().map_or("127.0.0.1", String::as_str),
        )
        .attr("type", "primary")
        .build();
    let auth = session.device().map_or("", |(account, _)| account.phone.as_str());
    NodeBuilder::new("media_conn")
        .attr("auth", auth)
        .attr("ttl", MEDIA_TTL_S)
        .attr("auth_ttl", MEDIA_TTL_S)
        .attr("max_buckets", 12)
        .children([host])
        .build()
}

fn props(namespace: &str) -> Node {
    let props = NodeBuilder::new("props").attr("hash", "testnet");
    match namespace {
        "abt" => {
            let tokens = NodeBuilder::new("prop")
                .attr("config_code", TOKENS_WITH_MESSAGES)
                .attr("config_value", "1");
            let props = props.attr("ab_key", "testnet").attr("refresh", 86_400);
            props.children([tokens.build()]).build()
        }
        _ => props.build(),
    }
}

fn privacy() -> Node {
    let categories = PRIVACY.iter().map(|name| {
        NodeBuilder::new("category")
            .attr("name", *name)
            .attr("value", "all")
            .build()
    });
    NodeBuilder::new("privacy").children(categories).build()
}

/// A device pairs by code, or unlinks itself.
async fn multi_device(session: &Session, iq: &Node) {
    if let Some(registration) = iq.get_optional_child("link_code_companion_reg") {
        return reply(session, pair_code::handle(session, iq, registration));
    }
    reply(session, iq_result(iq, Vec::new()));
    let (Some(removal), Some((account, device))) = (iq.get_optional_child("remove-companion-device"), session.device())
    else {
        return;
    };
    let number = jid_attr(removal, "jid").map_or(device.pn.device, |jid: Jid| jid.device);
    if number == device.pn.device {
        session
            .link
            .tell(Command::Close(Some(NodeBuilder::new("xmlstreamend").build())));
    }
    phone::unlink(&session.world, &Arc::clone(account), number).await;
}

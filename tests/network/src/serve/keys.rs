//! Prekeys (`<iq xmlns="encrypt">`): devices upload theirs, senders fetch bundles, a digest tells what the server holds.

use wacore::prekeys::compute_key_bundle_digest;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::phone;
use super::session::Session;
use crate::FaultKind;
use crate::phone::{Bundle, OneTimeKey, SignedKey};
use crate::state::{Device, World};
use crate::wire::stanza::{attr, big_endian, bytes_node, child_array, child_bytes, iq_error, iq_result, jid_attr};

/// The type byte of Curve25519 keys.
const KEY_TYPE: [u8; 1] = [5];

/// Answers one request about keys.
pub(super) async fn handle(session: &Session, iq: &Node) {
    let answer = match attr(iq, "type").as_deref() {
        Some("set") => return store(session, iq).await,
        _ if iq.get_optional_child("count").is_some() => count(session, iq),
        _ if iq.get_optional_child("digest").is_some() => digest(session, iq),
        _ => match iq.get_optional_child("key") {
            Some(wanted) => bundles(&session.world, iq, wanted).await,
            None => iq_error(iq, 400, "bad-request"),
        },
    };
    session.link.send(answer);
}

async fn store(session: &Session, iq: &Node) {
    let Some((account, device)) = session.device() else {
        session.link.send(iq_error(iq, 401, "not-authorized"));
        return;
    };
    if let Some(signed) = iq
        .get_optional_child("rotate")
        .and_then(|rotate| signed_key(rotate.get_optional_child("skey")?))
    {
        device.rotate(signed);
        session.link.send(iq_result(iq, Vec::new()));
        return;
    }
    let (Some(list), Some(signed)) = (
        iq.get_optional_child("list"),
        iq.get_optional_child("skey").and_then(signed_key),
    ) else {
        session.link.send(iq_error(iq, 406, "not-acceptable"));
        return;
    };
    let prekeys = list.get_children_by_tag("key").filter_map(one_time_key).collect();
    let first = device.upload(signed, prekeys);
    session.link.send(iq_result(iq, Vec::new()));
    if first {
        phone::share_keys(account, device).await;
    }
}

/// Reads a signed prekey from `<skey>`.
pub(super) fn signed_key(node: &Node) -> Option<SignedKey> {
    Some((
        big_endian(child_bytes(node, "id")?)?,
        child_array(node, "value")?,
        child_bytes(node, "signature")?.to_vec(),
    ))
}

/// Reads a one-time prekey from `<key>`.
pub(super) fn one_time_key(node: &Node) -> Option<OneTimeKey> {
    Some((big_endian(child_bytes(node, "id")?)?, child_array(node, "value")?))
}

fn count(session: &Session, iq: &Node) -> Node {
    let held = session.device().map_or(0, |(_, device)| device.prekey_count());
    iq_result(iq, vec![NodeBuilder::new("count").attr("value", held).build()])
}

fn digest(session: &Session, iq: &Node) -> Node {
    let Some((_, device)) = session.device() else {
        return iq_error(iq, 401, "not-authorized");
    };
    let (signed, prekeys) = device.held_keys();
    if prekeys.is_empty() {
        return iq_error(iq, 404, "item-not-found");
    }
    let public: Vec<&[u8]> = prekeys.iter().map(|(_, key)| key.as_slice()).collect();
    let hash = compute_key_bundle_digest(&device.identity, &signed.1, &signed.2, &public);
    let ids = prekeys.iter().map(|(id, _)| bytes_node("id", three_bytes(*id)));
    let children = vec![
        bytes_node("registration", device.registration_id.to_be_bytes()),
        bytes_node("type", KEY_TYPE),
        bytes_node("identity", device.identity),
        signed_node(&signed),
        NodeBuilder::new("list").children(ids).build(),
        bytes_node("hash", hash),
    ];
    iq_result(iq, vec![NodeBuilder::new("digest").children(children).build()])
}

async fn bundles(world: &World, iq: &Node, wanted: &Node) -> Node {
    let mut users = Vec::new();
    for user in wanted.get_children_by_tag("user") {
        if let Some(jid) = jid_attr(user, "jid") {
            users.push(bundle(world, jid).await);
        }
    }
    iq_result(iq, vec![NodeBuilder::new("list").children(users).build()])
}

async fn bundle(world: &World, jid: Jid) -> Node {
    let user = NodeBuilder::new("user").attr("jid", jid.clone());
    let Some(account) = world.resolve(&jid) else {
        // Nobody has this number. It gets keys all the same, so that the refusal comes where WhatsApp has it, in the
        // acknowledgement of the message.
        return match jid.device {
            0 => user.children(bundle_nodes(&world.nobody().await, None)).build(),
            _ => refused(user),
        };
    };
    if world.faults.strikes(FaultKind::Keyless, Some(&account.phone)).is_some() {
        return refused(user);
    }
    if jid.device == 0 {
        let bundle = account.signal.lock().await.bundle(&account.keys);
        return user.children(bundle_nodes(&bundle, None)).build();
    }
    match account.device(jid.device) {
        Some(device) => user.children(bundle_nodes(&device.bundle(), Some(&device))).build(),
        None => refused(user),
    }
}

fn refused(user: NodeBuilder) -> Node {
    let error = NodeBuilder::new("error")
        .attr("code", 406)
        .attr("text", "not-acceptable")
        .build();
    user.children([error]).build()
}

/// The children of `<user>` that make a bundle; the registration comes first.
pub(super) fn bundle_nodes(bundle: &Bundle, device: Option<&Device>) -> Vec<Node> {
    let mut nodes = vec![
        bytes_node("registration", bundle.registration_id.to_be_bytes()),
        bytes_node("type", KEY_TYPE),
        bytes_node("identity", bundle.identity),
        signed_node(&bundle.signed),
    ];
    if let Some((id, key)) = bundle.one_time {
        let children = [bytes_node("id", three_bytes(id)), bytes_node("value", key)];
        nodes.push(NodeBuilder::new("key").children(children).build());
    }
    if let Some(device) = device {
        nodes.push(bytes_node("device-identity", device.signed_identity.clone()));
    }
    nodes
}

fn signed_node((id, key, signature): &SignedKey) -> Node {
    let children = [
        bytes_node("id", three_bytes(*id)),
        bytes_node("value", *key),
        bytes_node("signature", signature.clone()),
    ];
    NodeBuilder::new("skey").children(children).build()
}

fn three_bytes(id: u32) -> Vec<u8> {
    id.to_be_bytes()[1..].to_vec()
}

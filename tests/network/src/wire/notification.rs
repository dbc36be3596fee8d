//! Notifications of the server to a device (`<notification>`); a device acknowledges each.

use rand::Rng as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::stanza::{bytes_node, server};
use crate::clock;

fn notification(kind: &'static str, from: Jid, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", from)
        .attr("id", rand::rng().next_u32())
        .attr("type", kind)
        .attr("t", clock::now_s())
        .children([child])
        .build()
}

/// The one-time prekeys of the device run out.
pub(crate) fn prekeys_low(left: usize) -> Node {
    notification(
        "encrypt",
        server(),
        NodeBuilder::new("count").attr("value", left).build(),
    )
}

/// A collection of the account's settings has a new version.
pub(crate) fn server_sync(name: &str, version: u64) -> Node {
    let collection = NodeBuilder::new("collection")
        .attr("name", name)
        .attr("version", version);
    notification("server_sync", server(), collection.build())
}

/// An account trusts who gets this: the token is to be shown by who writes to it.
pub(crate) fn privacy_token(from: Jid, lid: Jid, token: &[u8]) -> Node {
    let mut trusted = bytes_node("token", token);
    trusted.attrs.insert("type", "trusted_contact");
    trusted.attrs.insert("t", clock::now_s());
    let tokens = NodeBuilder::new("tokens").children([trusted]).build();
    let mut stanza = notification("privacy_token", from, tokens);
    stanza.attrs.insert("sender_lid", lid);
    stanza
}

/// A device was linked to an account: its address, key index, and the phone's signed list with its time.
pub(crate) fn device_added(device: &Jid, key_index: u32, (signed, timestamp): (Vec<u8>, u64)) -> Node {
    let mut list = bytes_node("key-index-list", signed);
    list.attrs.insert("ts", timestamp);
    let device_node = NodeBuilder::new("device")
        .attr("jid", device.clone())
        .attr("key-index", key_index)
        .build();
    let add = NodeBuilder::new("add").children([device_node, list]).build();
    notification("devices", device.to_non_ad(), add)
}

/// WhatsApp wants an assertion of the account's passkey before it links the device.
pub(crate) fn passkey_request() -> Node {
    let options = r#"{"challenge":"dGVzdG5ldA","rpId":"web.whatsapp.com","userVerification":"required"}"#;
    let options = bytes_node("passkey_request_options", options.as_bytes());
    notification("passkey_prologue_request", server(), options)
}

/// A phone answers the device that made a pair code.
pub(crate) fn primary_hello(wrapped: [u8; 80], identity: &[u8], reference: Vec<u8>) -> Node {
    let registration = NodeBuilder::new("link_code_companion_reg")
        .attr("stage", "primary_hello")
        .children([
            bytes_node("link_code_pairing_wrapped_primary_ephemeral_pub", wrapped),
            bytes_node("primary_identity_pub", identity),
            bytes_node("link_code_pairing_ref", reference),
        ]);
    notification("link_code_companion_reg", server(), registration.build())
}

/// A device was unlinked from an account.
pub(crate) fn device_removed(device: &Jid) -> Node {
    let list = NodeBuilder::new("key-index-list").attr("ts", clock::now_s()).build();
    let device_node = NodeBuilder::new("device").attr("jid", device.clone()).build();
    let remove = NodeBuilder::new("remove").children([device_node, list]).build();
    notification("devices", device.to_non_ad(), remove)
}

//! Small helpers around nodes: reading attributes, answering iqs.

use std::borrow::Cow;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, SERVER_JID, Server};

/// An attribute as text.
pub(crate) fn attr<'a>(node: &'a Node, key: &str) -> Option<Cow<'a, str>> {
    node.attrs.get(key).map(|value| value.as_str())
}

/// An attribute as an address.
pub(crate) fn jid_attr(node: &Node, key: &str) -> Option<Jid> {
    node.attrs.get(key).and_then(|value| value.to_jid())
}

/// The bytes inside a node; text counts as its bytes.
pub(crate) fn content(node: &Node) -> Option<&[u8]> {
    match node.content.as_ref()? {
        NodeContent::Bytes(bytes) => Some(bytes),
        NodeContent::String(text) => Some(text.as_bytes()),
        NodeContent::Nodes(_) => None,
    }
}

/// The bytes of a child.
pub(crate) fn child_bytes<'a>(node: &'a Node, tag: &str) -> Option<&'a [u8]> {
    content(node.get_optional_child(tag)?)
}

/// A child with bytes of exactly `N`.
pub(crate) fn child_array<const N: usize>(node: &Node, tag: &str) -> Option<[u8; N]> {
    child_bytes(node, tag)?.try_into().ok()
}

/// A big-endian number of up to four bytes.
pub(crate) fn big_endian(bytes: &[u8]) -> Option<u32> {
    (!bytes.is_empty() && bytes.len() <= 4).then(|| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// A leaf with bytes.
pub(crate) fn bytes_node(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

/// The server's own address.
pub(crate) fn server() -> Jid {
    Jid::new("", Server::Pn)
}

/// The successful answer to an iq.
pub(crate) fn iq_result(request: &Node, children: Vec<Node>) -> Node {
    let answer = iq_answer(request, "result");
    if children.is_empty() {
        answer.build()
    } else {
        answer.children(children).build()
    }
}

/// The refusal of an iq.
pub(crate) fn iq_error(request: &Node, code: u16, text: &'static str) -> Node {
    let error = NodeBuilder::new("error").attr("code", code).attr("text", text).build();
    iq_answer(request, "error").children([error]).build()
}

fn iq_answer(request: &Node, kind: &'static str) -> NodeBuilder {
    let from = attr(request, "to").unwrap_or(Cow::Borrowed(SERVER_JID)).into_owned();
    let answer = NodeBuilder::new("iq").attr("from", from).attr("type", kind);
    match attr(request, "id") {
        Some(id) => answer.attr("id", id.into_owned()),
        None => answer,
    }
}

/// `<stream:error>`: a number becomes `code`, `replaced` a conflict.
pub(crate) fn stream_error(code: &str) -> Node {
    let error = NodeBuilder::new("stream:error");
    match code {
        "replaced" => error
            .children([NodeBuilder::new("conflict").attr("type", code).build()])
            .build(),
        _ => error.attr("code", code).build(),
    }
}

/// The end of a link that the phone took away.
pub(crate) fn device_removed() -> Node {
    let conflict = NodeBuilder::new("conflict").attr("type", "device_removed").build();
    NodeBuilder::new("stream:error")
        .attr("code", "401")
        .children([conflict])
        .build()
}

/// `<failure>`: the refusal of a login.
pub(crate) fn failure(reason: u32) -> Node {
    let failure = NodeBuilder::new("failure")
        .attr("reason", reason)
        .attr("location", "testnet");
    match reason {
        // WhatsApp names why and for how many seconds it bans.
        402 => failure.attr("code", "101").attr("expire", "60").build(),
        _ => failure.build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_big_endian() {
        assert_eq!(big_endian(&[1, 2, 3]), Some(0x01_02_03));
        assert_eq!(big_endian(&[]), None);
        assert_eq!(big_endian(&[0; 5]), None);
    }

    #[test]
    fn an_answer_comes_from_where_the_request_went() {
        let request = NodeBuilder::new("iq").attr("id", "7").attr("to", "x@g.us").build();
        let answer = iq_result(&request, Vec::new());
        assert_eq!(attr(&answer, "from").as_deref(), Some("x@g.us"));
        assert_eq!(attr(&answer, "id").as_deref(), Some("7"));
    }
}

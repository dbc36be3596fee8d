//! Calls: a phone rings devices and hangs up, a client rejects or accepts. No sound is carried.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::message_id;
use super::session::{Session, ack};
use crate::state::{Account, Chat, World};
use crate::wire::stanza::{attr, jid_attr};
use crate::{CallView, NetworkError, clock};

/// A phone calls an account or a group; every device of those called rings.
///
/// # Errors
/// [`NetworkError::NotFound`] if an account or group does not exist.
pub(crate) fn ring(world: &World, phone: &str, to: &str, video: bool) -> Result<CallView, NetworkError> {
    let (caller, chat) = (world.account(phone)?, world.conversation(to)?);
    let call = CallView {
        id: message_id(),
        to: chat.name(),
        video,
        state: "ringing".to_owned(),
        by: None,
    };
    caller.call(call.clone());
    let mut codecs = vec![codec("16000"), codec("8000")];
    if video {
        codecs.push(NodeBuilder::new("video").attr("dec", "H264").build());
    }
    let mut offer = NodeBuilder::new("offer")
        .attr("call-id", call.id.as_str())
        .attr("call-creator", caller.lid_jid())
        .attr("caller_pn", caller.pn_jid());
    if let Chat::Group(group) = &chat {
        offer = offer.attr("group-jid", group.jid());
    }
    tell(world, &caller, &chat, &offer.children(codecs).build());
    Ok(call)
}

fn codec(rate: &'static str) -> Node {
    NodeBuilder::new("audio").attr("enc", "opus").attr("rate", rate).build()
}

/// The phone hangs up.
///
/// # Errors
/// [`NetworkError::NotFound`] if the account or the call does not exist.
pub(crate) fn hang_up(world: &World, phone: &str, id: &str, reason: Option<&str>) -> Result<CallView, NetworkError> {
    let caller = world.account(phone)?;
    let call = caller
        .change_call(id, "terminated", None)
        .ok_or_else(|| NetworkError::NotFound(format!("{} makes no call {id}", caller.phone)))?;
    let mut end = NodeBuilder::new("terminate")
        .attr("call-id", id)
        .attr("call-creator", caller.lid_jid());
    if let Some(reason) = reason {
        end = end.attr("reason", reason);
    }
    tell(world, &caller, &world.chat(&call.to)?, &end.build());
    Ok(call)
}

/// Calls are queued as messages are: a device that was away hears of them when it is back.
fn tell(world: &World, caller: &Account, chat: &Chat, action: &Node) {
    let called = match chat {
        Chat::Person(other) => vec![std::sync::Arc::clone(other)],
        Chat::Group(group) => world.members(group),
        Chat::Status => Vec::new(),
    };
    for account in called {
        if account.phone == caller.phone || account.profile.blocks(&caller.phone) {
            continue;
        }
        for device in account.devices() {
            let call = NodeBuilder::new("call")
                .attr("from", caller.lid_jid())
                .attr("id", message_id())
                .attr("t", clock::now_s())
                .attr("notify", &*caller.name())
                .attr("platform", "android")
                .attr("version", "2.25.37.76")
                .attr("e", 0)
                .children([action.clone()])
                .build();
            device.deliver(call, 1);
        }
    }
}

/// A client answers a call.
pub(super) fn handle(session: &Session, call: &Node) {
    session.link.send(ack(call).build());
    let (Some((_, device)), Some(action)) = (session.device(), call.children().and_then(|children| children.first()))
    else {
        return;
    };
    let state = match &*action.tag {
        "reject" => "rejected",
        "accept" => "accepted",
        "terminate" => "terminated",
        _ => return,
    };
    let creator = jid_attr(action, "call-creator").and_then(|jid| session.world.resolve(&jid));
    if let (Some(caller), Some(id)) = (creator, attr(action, "call-id")) {
        caller.change_call(&id, state, Some(device.pn.to_string()));
    }
}

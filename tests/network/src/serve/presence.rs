//! Who is there, and who writes or records: `<presence>` and `<chatstate>` in both directions.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};

use super::session::Session;
use crate::state::{Account, Chat, World};
use crate::wire::stanza::{attr, jid_attr};
use crate::{NetworkError, PresenceRecord, clock};

/// A client says that it is there or not, or wants to know of somebody.
pub(super) fn handle(session: &Session, presence: &Node) {
    let Some((account, device)) = session.device() else {
        return;
    };
    let kind = attr(presence, "type").unwrap_or("available".into());
    match &*kind {
        "subscribe" | "unsubscribe" => {
            let Some(other) = jid_attr(presence, "to").and_then(|to| session.world.resolve(&to)) else {
                return;
            };
            other.follow(device, kind == "subscribe");
            if kind == "subscribe" {
                let (there, gone_at) = other.is_there();
                device.notify(stanza(&other.lid_jid(), there, gone_at.filter(|_| !there)));
            }
        }
        state => {
            // Without a type it only says what the account is called from now on.
            if let (Some(name), None) = (attr(presence, "name"), attr(presence, "type")) {
                account.rename(&name);
                return;
            }
            let there = state == "available";
            device.set_available(there);
            let stanza = stanza(&account.lid_jid(), there, (!there).then(clock::now_s));
            for follower in account.followers() {
                if follower.pn != device.pn {
                    follower.notify(stanza.clone());
                }
            }
        }
    }
}

/// A client writes or records; those who are in the chat see it.
pub(super) fn handle_chat_state(session: &Session, state: &Node) {
    let (Some((account, device)), Some(to)) = (session.device(), jid_attr(state, "to")) else {
        return;
    };
    let Some(child) = state.children().and_then(|children| children.first()) else {
        return;
    };
    let chat = if to.is_group() {
        session.world.group(&to.to_string()).ok().map(Chat::Group)
    } else {
        session.world.resolve(&to).map(Chat::Person)
    };
    let Some(chat) = chat else { return };
    let name = match (&*child.tag, attr(child, "media").as_deref()) {
        ("composing", Some("audio")) => "recording",
        ("composing", _) => "composing",
        _ => "paused",
    };
    let (by, to) = (device.pn.to_string(), to.to_string());
    show(&session.world, account, (&by, &to), &chat, name);
}

fn stanza(from: &Jid, there: bool, last: Option<u64>) -> Node {
    let mut stanza = NodeBuilder::new("presence").attr("from", from.clone());
    if !there {
        stanza = stanza.attr("type", "unavailable");
    }
    match last {
        Some(last) => stanza.attr("last", last).build(),
        None => stanza.build(),
    }
}

/// A phone says that it is there or not, to all devices that asked, or writes or records in a chat.
///
/// # Errors
/// [`NetworkError::NotFound`] if an account or group does not exist, [`NetworkError::Invalid`] for a state that does
/// not exist or without a chat to show it in.
pub(crate) fn show_presence(world: &World, phone: &str, state: &str, to: Option<&str>) -> Result<(), NetworkError> {
    let account = world.account(phone)?;
    match (state, to) {
        ("available" | "unavailable", None) => {
            let there = state == "available";
            let gone_at = (!there).then(clock::now_s);
            account.set_there(there, gone_at);
            let stanza = stanza(&account.lid_jid(), there, gone_at);
            account
                .followers()
                .iter()
                .for_each(|follower| follower.notify(stanza.clone()));
            Ok(())
        }
        ("available" | "unavailable", Some(_)) => Err(NetworkError::Invalid(
            "to: all who asked see whether a phone is there".to_owned(),
        )),
        ("composing" | "recording" | "paused", Some(to)) => {
            let chat = world.conversation(to)?;
            show(world, &account, (&account.phone, to), &chat, state);
            Ok(())
        }
        ("composing" | "recording" | "paused", None) => Err(NetworkError::Invalid(
            "to is missing: a number or a group is expected".to_owned(),
        )),
        _ => Err(NetworkError::Invalid(format!(
            "state {state:?} is not known: available, unavailable, composing, recording or paused is expected"
        ))),
    }
}

/// Shows a state to the phones and devices of everybody else in a chat, which `by` named `to`.
fn show(world: &World, account: &Account, (by, to): (&str, &str), chat: &Chat, state: &str) {
    let mut child = NodeBuilder::new(if state == "paused" { "paused" } else { "composing" });
    if state == "recording" {
        child = child.attr("media", "audio");
    }
    let child = child.build();
    let (others, group) = match chat {
        Chat::Person(other) => (vec![std::sync::Arc::clone(other)], None),
        Chat::Group(group) => (world.members(group), Some(group.jid())),
        // Nobody sees that somebody writes a status.
        Chat::Status => return,
    };
    let mut stanza = NodeBuilder::new("chatstate");
    stanza = match &group {
        Some(group) => stanza
            .attr("from", group.clone())
            .attr("participant", account.lid_jid()),
        None => stanza.attr("from", account.lid_jid()),
    };
    let stanza = stanza.children([child]).build();
    for other in others {
        if other.phone == account.phone || (group.is_none() && other.profile.blocks(&account.phone)) {
            continue;
        }
        other.see(PresenceRecord {
            from: by.to_owned(),
            state: state.to_owned(),
            to: to.to_owned(),
            group: group.as_ref().map(ToString::to_string),
            at: clock::now_ms(),
        });
        other.devices().iter().for_each(|device| device.notify(stanza.clone()));
    }
}

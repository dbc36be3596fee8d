//! Receipts that a phone sends when it is told to: read, played, or any other type.

use std::collections::BTreeMap;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{JidExt as _, Node};

use crate::state::{Account, Chat, World};
use crate::{NetworkError, clock};

/// What a phone may say about a message.
const TYPES: [&str; 6] = ["delivery", "read", "played", "inactive", "server-error", "read-self"];

/// The phone sends a receipt for messages that it received: to the devices of those who sent them, and for `read` and
/// `played` to its own devices too.
///
/// # Errors
/// [`NetworkError::Invalid`] for a type that does not exist or no ids, [`NetworkError::NotFound`] if the phone received
/// no such message.
pub(crate) fn send_receipts(world: &World, phone: &str, kind: &str, ids: &[String]) -> Result<(), NetworkError> {
    if !TYPES.contains(&kind) {
        let detail = format!("type {kind:?} is not known: one of {} is expected", TYPES.join(", "));
        return Err(NetworkError::Invalid(detail));
    }
    if ids.is_empty() {
        return Err(NetworkError::Invalid("ids is empty".to_owned()));
    }
    let reader = world.account(phone)?;
    // One receipt for each chat and each who wrote there.
    let mut receipts: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for id in ids {
        let known = reader
            .known(id)
            .filter(|known| *known.author != *reader.phone)
            .ok_or_else(|| NetworkError::NotFound(format!("{} received no message {id}", reader.phone)))?;
        let place = (known.chat.to_string(), known.author.to_string());
        receipts.entry(place).or_default().push(id.clone());
    }
    for ((chat, author), ids) in receipts {
        let author = world.account(&author)?;
        let group = match world.chat(&chat)? {
            Chat::Person(_) => None,
            many => Some(many.jid()),
        };
        let told = |from: &Account, kind: Option<&str>| receipt(group.as_ref(), from, kind, &ids);
        if kind != "read-self" {
            let stanza = told(&reader, (kind != "delivery").then_some(kind)).build();
            author.devices().iter().for_each(|device| device.notify(stanza.clone()));
        }
        let own = match kind {
            "read" | "read-self" => "read-self",
            "played" => "played-self",
            _ => continue,
        };
        let stanza = told(&reader, Some(own)).attr("recipient", author.lid_jid()).build();
        reader.devices().iter().for_each(|device| device.notify(stanza.clone()));
    }
    Ok(())
}

fn receipt(group: Option<&wacore_binary::Jid>, from: &Account, kind: Option<&str>, ids: &[String]) -> NodeBuilder {
    let mut stanza = NodeBuilder::new("receipt").attr("t", clock::now_s());
    stanza = match group {
        Some(status) if status.is_status_broadcast() => stanza
            .attr("from", status.clone())
            .attr("participant", from.lid_jid())
            .attr("participant_pn", from.pn_jid()),
        Some(group) => stanza.attr("from", group.clone()).attr("participant", from.lid_jid()),
        None => stanza.attr("from", from.lid_jid()),
    };
    if let Some(kind) = kind {
        stanza = stanza.attr("type", kind.to_owned());
    }
    if let Some((first, others)) = ids.split_first() {
        stanza = stanza.attr("id", first.as_str());
        if !others.is_empty() {
            let items = others.iter().map(|id| item(id));
            stanza = stanza.children([NodeBuilder::new("list").children(items).build()]);
        }
    }
    stanza
}

fn item(id: &str) -> Node {
    NodeBuilder::new("item").attr("id", id).build()
}

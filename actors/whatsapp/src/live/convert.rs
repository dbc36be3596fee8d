//! From WhatsApp's messages to Wharf's: pure.
//!
//! The key of a message is (chat, sender, id), and a redelivery must come out with the same key although WhatsApp may
//! address it by phone number once and by hidden id (LID) another time. So the key uses the number where the stanza
//! itself gives it, and else the LID; what has been learned elsewhere about that LID serves `from` only, because it may
//! be known at the redelivery and not before.

use wharf_domain::{IncomingMessage, Timestamp};
use whatsapp_rust::wacore::types::{
    events::InboundMessage,
    message::{EditAttribute, MessageCategory, MessageInfo, MessageSource},
};
use whatsapp_rust::wacore_binary::{Jid, JidExt, Server};
use whatsapp_rust::waproto::whatsapp::Message;

/// How deep wrappers are unpacked; WhatsApp nests two or three.
const MAX_WRAPPERS: usize = 6;

/// What becomes of an inbound message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Converted {
    /// A message for the inbox. `Some` LID where the stanza does not give the sender's number.
    Text(Box<IncomingMessage>, Option<Jid>),
    /// Nothing for a webhook; says why.
    Skipped(&'static str),
}

/// Converts one message.
pub(crate) fn convert(inbound: &InboundMessage) -> Converted {
    let info = &inbound.info;
    if let Some(reason) = not_for_us(info) {
        return Converted::Skipped(reason);
    }
    let text = match text_of(&inbound.message) {
        Ok(text) => text,
        Err(reason) => return Converted::Skipped(reason),
    };
    let sender = identity(&info.source);
    // A broadcast list is the sender's own list of receivers: for the receiver it is the chat with the sender.
    let chat = if info.source.chat.is_group() {
        bare(&info.source.chat)
    } else {
        sender.clone()
    };
    let message = IncomingMessage {
        chat: chat.to_string(),
        sender: sender.to_string(),
        message_id: info.id.clone(),
        from: sender.user_base().to_owned(),
        timestamp: Timestamp(info.timestamp.timestamp_millis()),
        kind: "text".to_owned(),
        content: text.to_owned(),
    };
    let unresolved = (sender.server == Server::Lid).then_some(sender);
    Converted::Text(Box::new(message), unresolved)
}

fn not_for_us(info: &MessageInfo) -> Option<&'static str> {
    let source = &info.source;
    if source.is_from_me {
        Some("sent by this account")
    } else if source.chat.is_status_broadcast() {
        Some("a status update")
    } else if source.chat.is_newsletter() {
        Some("a newsletter")
    } else if source.sender.is_psa() {
        Some("an announcement of WhatsApp")
    } else if info.category == MessageCategory::Peer {
        Some("between devices of this account")
    } else if info.edit != EditAttribute::Empty {
        Some("an edit or a deletion")
    } else {
        None
    }
}

/// The sender as the key has it: by number where the stanza gives it, without device.
fn identity(source: &MessageSource) -> Jid {
    let sender = bare(&source.sender);
    let alternative = source
        .sender_alt
        .as_ref()
        .map(bare)
        .filter(|jid| jid.server == Server::Pn);
    match alternative {
        Some(number) if sender.server == Server::Lid => number,
        _ => sender,
    }
}

/// The account of a device, on one of the two servers that name accounts.
fn bare(jid: &Jid) -> Jid {
    match jid.server {
        Server::Pn | Server::Hosted | Server::Legacy => Jid::pn(jid.user_base()),
        Server::Lid | Server::HostedLid => Jid::lid(jid.user_base()),
        _ => jid.to_non_ad(),
    }
}

/// The text in a message, through its wrappers, or what it is instead.
fn text_of(message: &Message) -> Result<&str, &'static str> {
    let mut message = message;
    for _ in 0..MAX_WRAPPERS {
        if message.protocol_message.is_set() {
            return Err("a protocol message");
        }
        if message.edited_message.is_set() {
            return Err("an edit or a deletion");
        }
        if message.reaction_message.is_set() || message.enc_reaction_message.is_set() {
            return Err("a reaction");
        }
        let extended = message
            .extended_text_message
            .as_option()
            .and_then(|extended| extended.text.as_deref());
        if let Some(text) = message
            .conversation
            .as_deref()
            .or(extended)
            .filter(|text| !text.is_empty())
        {
            return Ok(text);
        }
        match unwrapped(message) {
            Some(inner) => message = inner,
            None => break,
        }
    }
    Err("of a kind that is not carried yet")
}

fn unwrapped(message: &Message) -> Option<&Message> {
    if let Some(sent) = message.device_sent_message.as_option() {
        return sent.message.as_option();
    }
    [
        &message.ephemeral_message,
        &message.view_once_message,
        &message.view_once_message_v2,
        &message.view_once_message_v2_extension,
        &message.group_mentioned_message,
        &message.bot_invoke_message,
    ]
    .into_iter()
    .find_map(|wrapper| wrapper.as_option()?.message.as_option())
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;

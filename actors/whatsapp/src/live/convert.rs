//! From WhatsApp's messages to Wharf's: pure.
//!
//! The key of a message is (chat, sender, id), and a redelivery must come out with the same key although WhatsApp may
//! address it by phone number once and by hidden id (LID) another time. So the key uses the number where the stanza
//! itself gives it, and else the LID; what has been learned elsewhere about that LID serves what the receiver is shown
//! only, because it may be known at the redelivery and not before.

mod business;
mod content;
mod context;
mod history;
mod layers;
mod media;
mod offer;
mod part;
mod told;
mod unsupported;
mod vcard;
mod votes;
mod who;

use std::{collections::HashSet, mem};

use wharf_domain::{
    IncomingMessage, MessageKind, Timestamp,
    message::{Body, Details, Group, Happening, MessageRef, Unknown, UnknownReason, update_chat},
};
use whatsapp_rust::wacore::types::{
    events::{DecryptFailMode, UnavailableType, UndecryptableMessage},
    message::{EditAttribute, MessageCategory, MessageInfo},
};
use whatsapp_rust::wacore_binary::{Jid, JidExt, Server};
use whatsapp_rust::waproto::whatsapp::{Message, MessageKey};

pub(crate) use self::{
    history::{Chat, info_of},
    told::{Party, Scene, call_of, change_of, concerned, doing, news_of},
    votes::{Ballot, Election, addition_in, election_in, open, vote_in},
    who::{Author, People, author, bare, by_itself, identity, is_hidden},
};
use self::{part::Content, who::Writer};

/// What becomes of an inbound message.
#[derive(Debug, PartialEq)]
pub(crate) enum Converted {
    /// A message for the inbox.
    Message(Box<IncomingMessage>),
    /// Nothing for a webhook; says why.
    Skipped(&'static str),
}

/// What has to be known beside a message.
#[derive(Default)]
pub(crate) struct Surroundings<'a> {
    /// Whose hidden id is whose number.
    pub(crate) people: People<'a>,
    /// What was opened of the vote in it, if it is one.
    pub(crate) ballot: Ballot,
    /// Who gets it, if the account sent it from another device and somebody wants to know.
    pub(crate) recipient: Option<Party>,
}

/// Why a message that came in is not for a webhook whatever is in it.
pub(crate) fn not_for_us(info: &MessageInfo) -> Option<&'static str> {
    if info.source.is_from_me {
        return Some("sent by this account");
    }
    for_nobody(info)
}

/// Why a message is not for a webhook, whoever sent it.
pub(crate) fn for_nobody(info: &MessageInfo) -> Option<&'static str> {
    let source = &info.source;
    if source.chat.is_status_broadcast() && source.is_from_me {
        Some("a status update of this account")
    } else if source.chat.is_newsletter() {
        Some("a newsletter")
    } else if source.sender.is_psa() {
        Some("an announcement of WhatsApp")
    } else if info.category == MessageCategory::Peer {
        Some("between devices of this account")
    } else {
        None
    }
}

/// The hidden ids whose numbers a receiver would be shown, each once.
pub(crate) fn hidden_in(info: &MessageInfo, message: &Message) -> Vec<Jid> {
    let mut hidden = Vec::new();
    let sender = who::identity(&info.source);
    if sender.server == Server::Lid {
        hidden.push(sender);
    }
    let mut named = |jid: &str| hidden.extend(jid.parse().ok().filter(is_hidden).map(|jid| who::bare(&jid)));
    let commented = info.comment_target.as_ref();
    commented
        .and_then(|key| key.participant.as_deref())
        .into_iter()
        .for_each(&mut named);
    // Text without anything around it names nobody else.
    if !part::is_text(message) {
        content::named_in(message, named);
    }
    let mut seen = HashSet::new();
    hidden.retain(|jid| seen.insert(jid.clone()));
    hidden
}

/// Converts one message.
pub(crate) fn convert(info: &MessageInfo, message: &Message, around: &Surroundings<'_>) -> Converted {
    let recipient = around.recipient.as_ref().filter(|_| info.source.is_from_me);
    if let Some(reason) = skipped(info, recipient) {
        return Converted::Skipped(reason);
    }
    let mut content = match content::read(message, &around.ballot) {
        Ok(content) => content,
        Err(reason) => return Converted::Skipped(reason),
    };
    // A comment that was encrypted comes as what is in it.
    content.target = content.target.or(info.comment_target.as_ref());
    if info.edit == EditAttribute::MessageEdit {
        changed(&mut content);
    }
    let writer = Writer::new(info, &around.people, recipient);
    match ignored(info, &content, &writer) {
        Some(reason) => Converted::Skipped(reason),
        None => Converted::Message(Box::new(built(info, content, &writer, recipient))),
    }
}

/// A change of an event or a poll comes as what that is now, and does not say of which. Nobody votes in a poll by the id of its change.
fn changed(content: &mut Content<'_>) {
    match (content.kind, &content.body) {
        (MessageKind::Unknown, Some(Body::EventDetails(_))) => {
            content.words = format!("An event was changed: {}", content.words).into();
        }
        (MessageKind::Poll, _) => {
            let (reason, name) = (UnknownReason::Unsupported, Some("pollCreationMessage"));
            content.kind = MessageKind::Unknown;
            content.unknown = Some(Unknown { reason, name });
            content.words = format!("A poll was changed: {}", content.words).into();
        }
        _ => {}
    }
}

/// Why WhatsApp's own apps do nothing about a message that changes another one.
///
/// Nobody edits what somebody else wrote, and nobody deletes it but a group's admins, whose stanzas say so. The phone's
/// copies have no such mark.
fn ignored(info: &MessageInfo, content: &Content<'_>, writer: &Writer<'_>) -> Option<&'static str> {
    writer.author_of(content.target?)?;
    let by_admin = info.source.chat.is_group() && info.edit == EditAttribute::AdminRevoke;
    match content.kind {
        MessageKind::Edit => Some("an edit of what another one wrote"),
        MessageKind::Revoke if !by_admin && info.unavailable_request_id.is_none() => {
            Some("a deletion of what another one wrote")
        }
        _ => None,
    }
}

/// Why a message is skipped. `recipient` is there if one of the account itself is wanted.
fn skipped(info: &MessageInfo, recipient: Option<&Party>) -> Option<&'static str> {
    match recipient {
        Some(_) => for_nobody(info),
        None => not_for_us(info),
    }
}

/// The word that a message could not be decrypted, or why there is none. `recipient` is there if the account sent it itself and
/// that is wanted.
pub(crate) fn undecryptable(lost: &UndecryptableMessage, people: &People<'_>, recipient: Option<&Party>) -> Converted {
    if let Some(reason) = skipped(&lost.info, recipient) {
        return Converted::Skipped(reason);
    }
    let (reason, words) = match (lost.unavailable_type, lost.decrypt_fail_mode) {
        (UnavailableType::ViewOnce, _) => (
            UnknownReason::PhoneOnly,
            "A message that may be seen once; WhatsApp gives it to the phone only",
        ),
        (UnavailableType::Hosted | UnavailableType::Bot, _) => (
            UnknownReason::PhoneOnly,
            "A message that WhatsApp does not give to linked devices",
        ),
        (_, DecryptFailMode::Hide) => (
            UnknownReason::Undecryptable,
            "A change to a message (an edit, a reaction or the like) that could not be decrypted",
        ),
        _ => (UnknownReason::Undecryptable, "A message that could not be decrypted"),
    };
    let mut content = Content::new(MessageKind::Unknown, words);
    content.view_once = lost.unavailable_type == UnavailableType::ViewOnce;
    content.unknown = Some(Unknown { reason, name: None });
    let writer = Writer::new(&lost.info, people, recipient);
    Converted::Message(Box::new(built(&lost.info, content, &writer, recipient)))
}

/// `recipient` is there if the account sent the message itself.
fn built(
    info: &MessageInfo,
    mut content: Content<'_>,
    writer: &Writer<'_>,
    recipient: Option<&Party>,
) -> IncomingMessage {
    // A broadcast list is the sender's own list of receivers: for the receiver it is the chat with the sender.
    let is_group = info.source.chat.is_group();
    let is_update = info.source.chat.is_status_broadcast();
    let chat = match recipient {
        Some(recipient) => recipient.chat.clone(),
        None if is_group => who::bare(&info.source.chat).to_string(),
        None if is_update => update_chat(&writer.sender.to_string()),
        None => writer.sender.to_string(),
    };
    let group = is_group.then(|| Group {
        id: chat.clone(),
        subject: None,
    });
    let happening = match recipient {
        Some(recipient) => Some(Happening::Sent {
            to: recipient.shown.clone(),
            to_lid: recipient.hidden.clone(),
            is_from_me: true,
        }),
        None => is_update.then_some(Happening::Update {}),
    };
    let about = About {
        happening,
        from_lid: writer.people.hidden(&writer.sender),
        group,
    };
    let words = context::named(mem::take(&mut content.words), content.context, writer.people);
    let kind = content.kind;
    IncomingMessage {
        chat,
        sender: writer.sender.to_string(),
        message_id: info.id.clone(),
        from: writer.from.clone(),
        timestamp: Timestamp(info.timestamp.timestamp_millis()),
        kind,
        content: words.into_owned(),
        details: details(info, content, writer, about),
    }
}

/// What stands first among the details.
struct About {
    happening: Option<Happening>,
    from_lid: Option<String>,
    group: Option<Group>,
}

fn details(info: &MessageInfo, content: Content<'_>, writer: &Writer<'_>, about: About) -> Option<Box<Details>> {
    let context = content.context;
    let seconds = info
        .ephemeral_expiration
        .or(context.and_then(|context| context.expiration));
    let seconds = seconds.filter(|&seconds| seconds > 0);
    let details = Details {
        happening: about.happening,
        push_name: None,
        from_lid: about.from_lid,
        group: about.group,
        part_of: content.association.and_then(context::part_of),
        reply_to: context.and_then(|context| context::reply_to(context, writer)),
        mentions: context.map_or_else(Vec::new, |context| context::mentions(context, writer)),
        mentions_all: context.is_some_and(context::mentions_all),
        forwarded: context.is_some_and(context::is_forwarded),
        referral: context.and_then(context::referral).map(Box::new),
        ephemeral: content.ephemeral || seconds.is_some(),
        ephemeral_seconds: seconds,
        view_once: content.view_once,
        history: false,
        target: content.target.and_then(|key| target(key, writer)),
        caption: content
            .caption
            .map(|caption| context::named(caption.into(), context, writer.people).into_owned()),
        media: content.media.map(Box::new),
        body: content
            .body
            .map(|body| business::sold_by(body, content.seller, writer.people)),
        unknown: content.unknown,
    };
    let plain = content.kind == MessageKind::Text && details.is_plain();
    (!plain).then(|| {
        Box::new(Details {
            push_name: named(info),
            ..details
        })
    })
}

/// The sender's name, as they gave it themselves.
pub(crate) fn named(info: &MessageInfo) -> Option<String> {
    Some(info.push_name.clone()).filter(|name| !name.is_empty())
}

fn target(key: &MessageKey, writer: &Writer<'_>) -> Option<MessageRef> {
    let message_id = key.id.clone().filter(|id| !id.is_empty())?;
    let from = writer.author_of(key);
    Some(MessageRef { message_id, from })
}

#[cfg(test)]
mod tests;

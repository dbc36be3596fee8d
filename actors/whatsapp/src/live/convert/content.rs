//! What a message says, through its wrappers.

use std::borrow::Cow;

use wharf_domain::{
    MessageKind,
    message::{Body, Location, Poll},
};
use whatsapp_rust::waproto::whatsapp::{
    Message,
    message::{
        LiveLocationMessage, LocationMessage, PollCreationMessage, ProtocolMessage, ReactionMessage,
        protocol_message::Type,
    },
};

use super::{
    business,
    context::mentioned,
    layers::layers,
    media, offer,
    part::{Content, filled},
    unsupported, vcard, votes,
    votes::Ballot,
};

/// Reads a message, or says why it is nothing for a webhook.
pub(super) fn read<'a>(message: &'a Message, ballot: &Ballot) -> Result<Content<'a>, &'static str> {
    let mut innermost = message;
    let (mut ephemeral, mut view_once, mut edited) = (false, false, false);
    let (mut association, mut commented) = (None, None);
    for layer in layers(message) {
        if layer.group_status_message.is_set() || layer.group_status_message_v2.is_set() {
            return Err("a status update");
        }
        ephemeral |= layer.ephemeral_message.is_set();
        view_once |= layer.view_once_message.is_set()
            || layer.view_once_message_v2.is_set()
            || layer.view_once_message_v2_extension.is_set();
        edited |= layer.edited_message.is_set();
        association = association.or_else(|| {
            let context = layer.message_context_info.as_option()?;
            context.message_association.as_option()
        });
        commented = commented.or_else(|| layer.comment_message.as_option()?.target_message_key.as_option());
        innermost = layer;
    }
    let mut content = plain(innermost, ballot)?;
    if edited && content.kind != MessageKind::Edit {
        content = as_edit(content);
    }
    content.ephemeral |= ephemeral;
    // Bots wrap menus so, which WhatsApp's apps go on showing.
    content.view_once |= view_once && content.kind.may_be_view_once();
    content.association = association;
    content.target = content.target.or(commented);
    Ok(content)
}

fn plain<'a>(message: &'a Message, ballot: &Ballot) -> Result<Content<'a>, &'static str> {
    if let Some(text) = message.conversation.as_deref().filter(|text| !text.is_empty()) {
        return Ok(Content::new(MessageKind::Text, text));
    }
    if let Some(protocol) = message.protocol_message.as_option() {
        return of_protocol(protocol);
    }
    if let Some(extended) = message.extended_text_message.as_option() {
        let mut content = Content::new(MessageKind::Text, extended.text.as_deref().unwrap_or_default());
        content.context = extended.context_info.as_option();
        content.view_once = extended.view_once == Some(true);
        return Ok(content);
    }
    let read = media::read(message)
        .or_else(|| place(message))
        .or_else(|| contacts(message))
        .or_else(|| message.reaction_message.as_option().map(of_reaction))
        .or_else(|| votes::poll_in(message).map(of_poll))
        .or_else(|| vote(message, ballot))
        .or_else(|| business::choice(message))
        .or_else(|| message.order_message.as_option().map(business::of_order))
        .or_else(|| message.product_message.as_option().map(business::of_product))
        .or_else(|| sealed(message))
        .or_else(|| offer::read(message))
        .or_else(|| unsupported::read(message));
    if let Some(content) = read {
        return Ok(content);
    }
    if message.sender_key_distribution_message.is_set()
        || message.fast_ratchet_key_sender_key_distribution_message.is_set()
        || message.group_root_key_share.is_set()
        || message.root_secret_distribute_message.is_set()
    {
        return Err("keys of a group");
    }
    if message.sticker_sync_rmr_message.is_set() {
        return Err("about settings");
    }
    if message.conversation.is_some() {
        return Err("an empty text");
    }
    // Newer than the description of the protocol that this program was built with, or wrapped deeper than is looked.
    Ok(Content::unsupported(None, "A message of a kind that is not known here"))
}

fn of_protocol(protocol: &ProtocolMessage) -> Result<Content<'_>, &'static str> {
    let target = protocol.key.as_option();
    let edited = protocol.edited_message.as_option();
    match (protocol.r#type, edited) {
        (Some(Type::REVOKE), _) => Ok(Content {
            target,
            ..Content::new(MessageKind::Revoke, "A message was deleted")
        }),
        (_, Some(edited)) => {
            let inner = match layers(edited).last() {
                Some(inner) if !inner.protocol_message.is_set() => plain(inner, &Ballot::Sealed)?,
                _ => return Err("an edit without words"),
            };
            let mut edit = as_edit(inner);
            edit.target = target;
            Ok(edit)
        }
        (Some(Type::SHARE_PHONE_NUMBER), _) => Ok(Content::unsupported(
            Some("sharePhoneNumber"),
            "The phone number was shared",
        )),
        _ => Err("a protocol message"),
    }
}

/// The edit that gives a message this content. Media stay as they were, so that only the words are told: none, where the
/// caption was taken away. Of an event there is more than words.
fn as_edit(content: Content<'_>) -> Content<'_> {
    let words = match (&content.media, &content.unknown) {
        (Some(_), None) => content.caption.unwrap_or_default().into(),
        _ => content.words,
    };
    Content {
        kind: MessageKind::Edit,
        words,
        caption: None,
        media: None,
        body: content.body.filter(|body| matches!(body, Body::EventDetails(_))),
        unknown: None,
        target: None,
        ..content
    }
}

fn place(message: &Message) -> Option<Content<'_>> {
    let of_live = |live: &LiveLocationMessage| Location {
        accuracy_m: live.accuracy_in_meters,
        speed_mps: live.speed_in_mps.filter(|speed| speed.is_finite()),
        heading: live.degrees_clockwise_from_magnetic_north,
        sequence: live.sequence_number,
        ..at(live.degrees_latitude, live.degrees_longitude)
    };
    if let Some(live) = message.live_location_message.as_option() {
        let words = filled(live.caption.as_deref()).unwrap_or("Live location");
        let content = Content::new(MessageKind::LiveLocation, words);
        return Some(content.with(Body::Location(of_live(live)), live.context_info.as_option()));
    }
    message.location_message.as_option().map(of_location)
}

fn of_location(place: &LocationMessage) -> Content<'_> {
    let kind = match place.is_live {
        Some(true) => MessageKind::LiveLocation,
        _ => MessageKind::Location,
    };
    let location = place_of(place);
    let told = [&place.comment, &place.name, &place.address];
    let told = told.into_iter().find_map(|words| filled(words.as_deref()));
    let words = told.map_or_else(
        || Cow::Owned(format!("{}, {}", location.latitude, location.longitude)),
        Cow::Borrowed,
    );
    Content::new(kind, words).with(Body::Location(location), place.context_info.as_option())
}

/// The place in a message.
pub(super) fn place_of(place: &LocationMessage) -> Location {
    Location {
        name: filled(place.name.as_deref()).map(str::to_owned),
        address: filled(place.address.as_deref()).map(str::to_owned),
        url: filled(place.url.as_deref()).map(str::to_owned),
        accuracy_m: place.accuracy_in_meters,
        ..at(place.degrees_latitude, place.degrees_longitude)
    }
}

fn at(latitude: Option<f64>, longitude: Option<f64>) -> Location {
    // A number that is none has no form in JSON.
    let finite = |degrees: Option<f64>| degrees.filter(|degrees| degrees.is_finite()).unwrap_or_default();
    Location {
        latitude: finite(latitude),
        longitude: finite(longitude),
        ..Location::default()
    }
}

fn contacts(message: &Message) -> Option<Content<'_>> {
    let (cards, context) = if let Some(one) = message.contact_message.as_option() {
        (std::slice::from_ref(one), one.context_info.as_option())
    } else {
        let several = message.contacts_array_message.as_option()?;
        (several.contacts.as_slice(), several.context_info.as_option())
    };
    let cards: Vec<_> = cards
        .iter()
        .map(|card| vcard::read(card.display_name.as_deref(), card.vcard.as_deref().unwrap_or_default()))
        .collect();
    let names: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
    let words = names.join(", ");
    Some(Content::new(MessageKind::Contact, words).with(Body::Contacts(cards), context))
}

fn of_reaction(reaction: &ReactionMessage) -> Content<'_> {
    let emoji = reaction.text.as_deref().unwrap_or_default();
    Content {
        body: filled(Some(emoji)).map(|emoji| Body::Emoji(emoji.to_owned())),
        target: reaction.key.as_option(),
        ..Content::new(MessageKind::Reaction, emoji)
    }
}

fn of_poll(poll: &PollCreationMessage) -> Content<'_> {
    let question = poll.name.as_deref().unwrap_or_default();
    let body = Poll {
        question: question.to_owned(),
        options: votes::options_of(poll),
        selectable_count: poll.selectable_options_count.unwrap_or_default(),
    };
    Content::new(MessageKind::Poll, question).with(Body::Poll(body), poll.context_info.as_option())
}

fn vote<'a>(message: &'a Message, ballot: &Ballot) -> Option<Content<'a>> {
    let update = message.poll_update_message.as_option()?;
    let (words, body) = ballot.told();
    Some(Content {
        target: update.poll_creation_message_key.as_option(),
        ..Content::new(MessageKind::PollVote, words).with(body, None)
    })
}

/// What the client could not open because the message that it is about is not known.
fn sealed(message: &Message) -> Option<Content<'_>> {
    if let Some(edit) = message.secret_encrypted_message.as_option() {
        let target = edit.target_message_key.as_option();
        let words = "An edit of a message that could not be decrypted";
        Some(Content::sealed(words, "secretEncryptedMessage", target))
    } else if let Some(reaction) = message.enc_reaction_message.as_option() {
        let target = reaction.target_message_key.as_option();
        let words = "A reaction that could not be decrypted";
        Some(Content::sealed(words, "encReactionMessage", target))
    } else {
        let comment = message.enc_comment_message.as_option()?;
        let target = comment.target_message_key.as_option();
        let words = "A comment that could not be decrypted";
        Some(Content::sealed(words, "encCommentMessage", target))
    }
}

/// Hands `name` the JID of everybody whom the receiver is shown because of the message.
pub(super) fn named_in(message: &Message, mut name: impl FnMut(&str)) {
    let Ok(content) = read(message, &Ballot::Sealed) else {
        return;
    };
    if let Some(participant) = content.target.and_then(|key| key.participant.as_deref()) {
        name(participant);
    }
    content.seller.into_iter().for_each(&mut name);
    if let Some(context) = content.context {
        context.participant.as_deref().into_iter().for_each(&mut name);
        mentioned(context).for_each(|jid| name(jid));
        let quoted = context.quoted_message.as_option();
        let quoted = quoted.and_then(|quoted| read(quoted, &Ballot::Sealed).ok()?.context);
        quoted.into_iter().flat_map(mentioned).for_each(|jid| name(jid));
    }
}

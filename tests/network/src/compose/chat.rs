//! Texts, places, contacts, polls, events, invitations.

use waproto::buffa::MessageField;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::{
    ContactMessage, ContactsArrayMessage, EventMessage, ExtendedTextMessage, GroupInviteMessage, LiveLocationMessage,
    LocationMessage, PollCreationMessage, poll_creation_message,
};

use super::Scene;
use super::content::{
    ContactContent, EventContent, GroupInviteContent, LiveLocationContent, LocationContent, PollContent, TextContent,
};
use crate::NetworkError;
use crate::state::{Chat, Invitation, digits};
use rand::Rng as _;

/// WhatsApp's least and most options of a poll.
const OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;

/// How long an invitation is good, in seconds.
const INVITED_S: i64 = 3 * 86_400;

/// A text; plain unless something goes with it.
///
/// # Errors
/// [`NetworkError::Invalid`] if it is empty.
pub(super) fn text(content: &TextContent, with_context: bool) -> Result<Message, NetworkError> {
    if content.text.is_empty() {
        return Err(NetworkError::Invalid("text is empty".to_owned()));
    }
    if content.preview.is_none() && !with_context {
        return Ok(Message {
            conversation: Some(content.text.clone()),
            ..Default::default()
        });
    }
    let preview = content.preview.clone().unwrap_or_default();
    let extended = ExtendedTextMessage {
        text: Some(content.text.clone()),
        matched_text: content.preview.is_some().then_some(preview.url),
        title: preview.title,
        description: preview.description,
        ..Default::default()
    };
    Ok(Message {
        extended_text_message: MessageField::some(extended),
        ..Default::default()
    })
}

/// A place.
pub(super) fn location(content: &LocationContent) -> Message {
    let location = LocationMessage {
        degrees_latitude: Some(content.latitude),
        degrees_longitude: Some(content.longitude),
        name: content.name.clone(),
        address: content.address.clone(),
        url: content.url.clone(),
        ..Default::default()
    };
    Message {
        location_message: MessageField::some(location),
        ..Default::default()
    }
}

/// A place that moves.
pub(super) fn live_location(content: &LiveLocationContent) -> Message {
    let location = LiveLocationMessage {
        degrees_latitude: Some(content.latitude),
        degrees_longitude: Some(content.longitude),
        accuracy_in_meters: content.accuracy,
        speed_in_mps: content.speed,
        caption: content.caption.clone(),
        sequence_number: Some(content.sequence.unwrap_or(1)),
        ..Default::default()
    };
    Message {
        live_location_message: MessageField::some(location),
        ..Default::default()
    }
}

/// One contact, or several.
///
/// # Errors
/// [`NetworkError::Invalid`] if there is none.
pub(super) fn contact(content: &ContactContent) -> Result<Message, NetworkError> {
    if !content.contacts.is_empty() {
        let contacts: Vec<_> = content
            .contacts
            .iter()
            .map(|one| card(&one.name, one.phone.as_deref(), one.vcard.as_deref()))
            .collect();
        let array = ContactsArrayMessage {
            display_name: Some(format!("{} contacts", contacts.len())),
            contacts,
            ..Default::default()
        };
        return Ok(Message {
            contacts_array_message: MessageField::some(array),
            ..Default::default()
        });
    }
    let name = content
        .name
        .as_deref()
        .ok_or_else(|| NetworkError::Invalid("a contact needs a name, or contacts a list of them".to_owned()))?;
    let card = card(name, content.phone.as_deref(), content.vcard.as_deref());
    Ok(Message {
        contact_message: MessageField::some(card),
        ..Default::default()
    })
}

fn card(name: &str, phone: Option<&str>, vcard: Option<&str>) -> ContactMessage {
    let made = || {
        let number = phone.map_or_else(String::new, |phone| {
            let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
            format!("TEL;type=CELL;waid={digits}:+{digits}\n")
        });
        format!("BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n{number}END:VCARD")
    };
    ContactMessage {
        display_name: Some(name.to_owned()),
        vcard: Some(vcard.map_or_else(made, str::to_owned)),
        ..Default::default()
    }
}

/// A poll, in the form that phones use: one choice or any number has a field of its own.
///
/// # Errors
/// [`NetworkError::Invalid`] for too few or too many options.
pub(super) fn poll(content: &PollContent) -> Result<Message, NetworkError> {
    if !OPTIONS.contains(&content.options.len()) {
        return Err(NetworkError::Invalid(format!(
            "options: a poll has from {} to {}",
            OPTIONS.start(),
            OPTIONS.end()
        )));
    }
    let options = content.options.iter().map(|name| poll_creation_message::Option {
        option_name: Some(name.clone()),
        ..Default::default()
    });
    let poll = MessageField::some(PollCreationMessage {
        name: Some(content.question.clone()),
        options: options.collect(),
        selectable_options_count: Some(content.selectable),
        ..Default::default()
    });
    Ok(match content.selectable {
        1 => Message {
            poll_creation_message_v3: poll,
            ..Default::default()
        },
        _ => Message {
            poll_creation_message: poll,
            ..Default::default()
        },
    })
}

/// An event.
pub(super) fn event(content: &EventContent) -> Message {
    let event = EventMessage {
        name: Some(content.name.clone()),
        description: content.description.clone(),
        start_time: Some(content.start),
        ..Default::default()
    };
    Message {
        event_message: MessageField::some(event),
        ..Default::default()
    }
}

/// An invitation to a group that exists.
///
/// # Errors
/// [`NetworkError::NotFound`] if it does not.
pub(super) fn group_invite(scene: &Scene<'_>, content: &GroupInviteContent) -> Result<Message, NetworkError> {
    let group = scene.world.group(&content.group)?;
    let expires = scene.now_ms / 1_000 + content.seconds.unwrap_or(INVITED_S);
    let code = format!("{:016x}", rand::rng().next_u64());
    if let Chat::Person(whom) = scene.chat {
        let invitation = Invitation {
            from: scene.sender.phone.clone(),
            whom: whom.phone.clone(),
            expires,
        };
        group.change(|charter| charter.invitations.insert(code.clone(), invitation));
    }
    let charter = group.charter();
    let invite = GroupInviteMessage {
        group_jid: Some(group.jid().to_string()),
        group_name: Some(charter.subject),
        invite_code: Some(code),
        invite_expiration: Some(expires),
        caption: content.text.clone(),
        ..Default::default()
    };
    Ok(Message {
        group_invite_message: MessageField::some(invite),
        ..Default::default()
    })
}

/// The hidden address of a number, for mentions.
///
/// # Errors
/// [`NetworkError::NotFound`] if nobody has it.
pub(super) fn mention(scene: &Scene<'_>, phone: &str) -> Result<String, NetworkError> {
    Ok(scene.world.account(&digits(phone)?)?.lid_jid().to_string())
}

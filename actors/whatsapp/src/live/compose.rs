//! What a client wants sent, as WhatsApp's message.

/// A message with one field.
macro_rules! only {
    ($field:ident: $value:expr) => {
        Message {
            $field: MessageField::some($value),
            ..Default::default()
        }
    };
}

mod file;

use std::collections::{HashMap, HashSet};

use uuid::Uuid;
use wharf_domain::outgoing::{
    Color, ContactCard, Content, LinkPreview, Mentions, Outgoing, Poll, Quote, Recipient, STATUS, StatusUpdate, Target,
};
use whatsapp_rust::buffa::{Enumeration as _, MessageField};
use whatsapp_rust::wacore::proto_helpers::{MessageExt, build_reaction_message};
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::waproto::whatsapp::{
    ContextInfo, Message, MessageContextInfo, MessageKey,
    message::{
        ContactMessage, ContactsArrayMessage, ExtendedTextMessage, LocationMessage, PollContentType,
        PollCreationMessage, ProtocolMessage, extended_text_message::FontType, poll_creation_message, protocol_message,
    },
};

use super::ids::renamed;

/// What WhatsApp's apps write words of status updates in, as `0xAARRGGBB`.
const WHITE: u32 = 0xFFFF_FFFF;

/// Who is who, for what a message says about others.
pub(crate) struct Scene<'a> {
    /// The chat, as WhatsApp calls it.
    pub(crate) chat: &'a str,
    /// This number, in digits.
    pub(crate) own: &'a str,
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
    /// Those whom the chat knows by other ids than they are given by, with those.
    pub(crate) known: &'a [(Recipient, Jid)],
    /// After how many seconds messages of the chat disappear.
    pub(crate) expires: Option<u32>,
}

impl Scene<'_> {
    /// Somebody's id as the chat knows it.
    fn jid(&self, who: &Recipient) -> String {
        let known = self.known.iter().find(|(given, _)| given == who);
        known.map_or_else(|| who.jid(), |(_, jid)| jid.to_string())
    }

    /// Words whose mentions name the ids that the chat knows: there they are shown.
    fn named(&self, text: &str, mentions: &Mentions) -> String {
        let mentioned: HashSet<&Recipient> = mentions.people().iter().collect();
        let known = self.known.iter().filter(|(given, _)| mentioned.contains(given));
        let known: HashMap<&str, &str> = known.map(|(given, jid)| (digits(given), jid.user_base())).collect();
        renamed(text, |digits| known.get(digits).copied())
    }

    /// Says in a message's context whom it mentions.
    fn mention(&self, mentions: &Mentions, context: &mut ContextInfo) {
        context.mentioned_jid = mentions.people().iter().map(|person| self.jid(person)).collect();
        context.non_jid_mentions = (*mentions == Mentions::All).then_some(1);
    }
}

/// What a mention of somebody says behind the `@`.
fn digits(who: &Recipient) -> &str {
    match who {
        Recipient::Number(number) => number.as_str(),
        Recipient::Hidden(digits) => digits,
        Recipient::Group(group) => group.as_str(),
        Recipient::Status => STATUS,
    }
}

/// Those whom a message names.
pub(crate) fn named(outgoing: &Outgoing) -> Vec<Recipient> {
    let mentions = outgoing.content.mentions().map_or(&[][..], Mentions::people);
    let target = match &outgoing.content {
        Content::Reaction { target, .. } | Content::Edit { target, .. } | Content::Revoke { target } => {
            target.from.as_ref()
        }
        _ => None,
    };
    let quoted = outgoing.reply_to.as_ref().and_then(|quote| quote.from.as_ref());
    mentions.iter().chain(target).chain(quoted).cloned().collect()
}

/// Makes the message.
///
/// # Errors
/// Says what is missing: in a group it has to be said who wrote the message that is meant.
pub(crate) fn compose(outgoing: &Outgoing, scene: &Scene<'_>) -> Result<Message, String> {
    let mut message = match &outgoing.content {
        Content::Text {
            text,
            mentions,
            link_preview,
        } => words(
            scene,
            text,
            mentions,
            link_preview.as_ref(),
            outgoing.reply_to.is_some(),
        ),
        Content::Location {
            latitude,
            longitude,
            name,
            address,
        } => only!(location_message: LocationMessage {
            degrees_latitude: Some(*latitude),
            degrees_longitude: Some(*longitude),
            name: name.clone(),
            address: address.clone(),
            ..Default::default()
        }),
        Content::Contact { contacts } => cards(contacts),
        Content::Reaction { target, emoji } => {
            build_reaction_message(key(target, outgoing, scene, false)?, emoji.clone(), scene.now_ms)
        }
        Content::Poll { poll } => question(poll),
        Content::Edit {
            target,
            text,
            mentions,
            caption_of,
        } => {
            let edited = words(scene, text, mentions, None, false);
            only!(protocol_message: ProtocolMessage {
                key: MessageField::some(key(target, outgoing, scene, true)?),
                r#type: Some(protocol_message::Type::MESSAGE_EDIT),
                edited_message: MessageField::some(match caption_of {
                    Some(kind) => file::captioned(*kind, edited),
                    None => edited,
                }),
                timestamp_ms: Some(scene.now_ms),
                ..Default::default()
            })
        }
        Content::Revoke { target } => only!(protocol_message: ProtocolMessage {
            key: MessageField::some(key(target, outgoing, scene, true)?),
            r#type: Some(protocol_message::Type::REVOKE),
            ..Default::default()
        }),
        Content::Forward { text } => *words(scene, text, &Mentions::default(), None, false).prepare_for_forward(),
        Content::Media(media) => {
            let quote = outgoing.reply_to.as_ref();
            let context = quote.map(|quote| quoting(quote, outgoing, scene)).transpose()?;
            let mut message = file::message(scene, media, context)?;
            if let Some(update) = &outgoing.update {
                look(&mut message, update);
            }
            return Ok(message);
        }
    };
    if let Some(update) = &outgoing.update {
        look(&mut message, update);
    }
    if let Some(quote) = &outgoing.reply_to {
        let context = quoting(quote, outgoing, scene)?;
        answer(&mut message, context);
    }
    if let Some(seconds) = scene.expires {
        // What changes another message has no place for it.
        message.set_ephemeral_expiration(seconds);
    }
    Ok(message)
}

/// A text: bare where that is enough, as WhatsApp's own clients send it.
fn words(
    scene: &Scene<'_>,
    text: &str,
    mentions: &Mentions,
    preview: Option<&LinkPreview>,
    is_answer: bool,
) -> Message {
    if mentions.is_empty() && preview.is_none() && !is_answer {
        return Message {
            conversation: Some(text.to_owned()),
            ..Default::default()
        };
    }
    let mut extended = ExtendedTextMessage {
        text: Some(scene.named(text, mentions)),
        ..Default::default()
    };
    if let Some(LinkPreview {
        url,
        title,
        description,
        thumbnail,
    }) = preview
    {
        extended.matched_text = Some(url.clone());
        extended.title = Some(title.clone());
        extended.description.clone_from(description);
        extended.jpeg_thumbnail.clone_from(thumbnail);
    }
    if !mentions.is_empty() {
        let mut context = ContextInfo::default();
        scene.mention(mentions, &mut context);
        extended.context_info = MessageField::some(context);
    }
    only!(extended_text_message: extended)
}

/// What words and a voice stand on in a status update. Bare words have no place for it.
fn look(message: &mut Message, update: &StatusUpdate) {
    let color = update.background_color;
    if let Some(text) = message.conversation.take() {
        message.extended_text_message = MessageField::some(ExtendedTextMessage {
            text: Some(text),
            ..Default::default()
        });
    }
    if let Some(text) = message.extended_text_message.as_option_mut() {
        text.background_argb = Some(color.unwrap_or(Color::DEFAULT).argb());
        text.text_argb = Some(WHITE);
        text.font = update.font.and_then(|font| FontType::from_i32(font.into()));
    }
    if let Some(voice) = message.audio_message.as_option_mut() {
        voice.background_argb = color.map(Color::argb);
    }
}

fn cards(contacts: &[ContactCard]) -> Message {
    let mut cards: Vec<ContactMessage> = contacts.iter().map(card).collect();
    if cards.len() == 1
        && let Some(card) = cards.pop()
    {
        return only!(contact_message: card);
    }
    only!(contacts_array_message: ContactsArrayMessage {
        display_name: Some(format!("{} contacts", cards.len())),
        contacts: cards,
        ..Default::default()
    })
}

/// A card in vCard 3.0 as WhatsApp's clients write it: `waid` makes the number one that can be tapped.
fn card(contact: &ContactCard) -> ContactMessage {
    let (name, number) = (escaped(&contact.name), contact.phone_number.as_str());
    let organization = contact.organization.as_deref();
    let organization = organization.map_or_else(String::new, |name| format!("ORG:{};\n", escaped(name)));
    let vcard = format!(
        "BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n{organization}TEL;type=CELL;type=VOICE;waid={number}:+{number}\n\
         END:VCARD"
    );
    ContactMessage {
        display_name: Some(contact.name.clone()),
        vcard: Some(vcard),
        ..Default::default()
    }
}

/// RFC 2426 section 5: what would end a value is escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | ',' | ';' | ':') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// One choice has a field of its own. The secret is what votes are encrypted with.
fn question(poll: &Poll) -> Message {
    let options = poll.options.iter().map(|name| poll_creation_message::Option {
        option_name: Some(name.clone()),
        ..Default::default()
    });
    let creation = MessageField::some(PollCreationMessage {
        name: Some(poll.question.clone()),
        options: options.collect(),
        selectable_options_count: Some(poll.selectable_count),
        poll_content_type: Some(PollContentType::TEXT),
        ..Default::default()
    });
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let mut message = only!(message_context_info: MessageContextInfo {
        message_secret: Some(secret),
        ..Default::default()
    });
    match poll.selectable_count {
        1 => message.poll_creation_message_v3 = creation,
        _ => message.poll_creation_message = creation,
    }
    message
}

/// The message that another one is about. `ours` says whose it is when nobody said.
fn key(target: &Target, outgoing: &Outgoing, scene: &Scene<'_>, ours: bool) -> Result<MessageKey, String> {
    let from_me = match &target.from {
        None => ours,
        Some(from) => is_own(from, scene),
    };
    let participant = match (&outgoing.to, &target.from, from_me) {
        (Recipient::Group(_), Some(from), false) => Some(scene.jid(from)),
        (Recipient::Group(_), None, false) => {
            return Err("in a group target.from has to say who wrote the message".to_owned());
        }
        _ => None,
    };
    Ok(MessageKey {
        remote_jid: Some(scene.chat.to_owned()),
        from_me: Some(from_me),
        id: Some(target.message_id.clone()),
        participant,
    })
}

fn is_own(from: &Recipient, scene: &Scene<'_>) -> bool {
    matches!(from, Recipient::Number(number) if number.is_account(scene.own))
}

fn quoting(quote: &Quote, outgoing: &Outgoing, scene: &Scene<'_>) -> Result<ContextInfo, String> {
    let is_group = matches!(outgoing.to, Recipient::Group(_));
    let from = match (&quote.from, &outgoing.to) {
        // The client may write the number otherwise than the account has it. Whom a group knows the account as it says itself.
        (Some(from), _) if !is_group && is_own(from, scene) => format!("{}@s.whatsapp.net", scene.own),
        (Some(from), _) => scene.jid(from),
        (None, Recipient::Group(_)) => {
            return Err("in a group reply_to.from has to say who wrote the message".to_owned());
        }
        (None, _) => scene.chat.to_owned(),
    };
    Ok(ContextInfo {
        stanza_id: Some(quote.message_id.clone()),
        participant: Some(from),
        quoted_message: MessageField::some(Message {
            conversation: Some(quote.text.clone().unwrap_or_default()),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// Puts what is quoted beside the mentions that may be there.
fn answer(message: &mut Message, mut context: ContextInfo) {
    if let Some(text) = message.extended_text_message.as_option_mut()
        && let Some(present) = text.context_info.as_option_mut()
    {
        context.mentioned_jid = std::mem::take(&mut present.mentioned_jid);
        context.non_jid_mentions = present.non_jid_mentions;
    }
    message.set_context_info(context);
}

#[cfg(test)]
mod tests;

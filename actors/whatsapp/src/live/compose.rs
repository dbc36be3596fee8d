//! What a client wants sent, as WhatsApp's message.

use uuid::Uuid;
use wharf_domain::outgoing::{Content, ContactCard, LinkPreview, Outgoing, Poll, Quote, Recipient, Target};
use whatsapp_rust::buffa::MessageField;
use whatsapp_rust::wacore::proto_helpers::{MessageExt, build_reaction_message};
use whatsapp_rust::waproto::whatsapp::{
    ContextInfo, Message, MessageContextInfo, MessageKey,
    message::{
        ContactMessage, ContactsArrayMessage, ExtendedTextMessage, LocationMessage, PollContentType,
        PollCreationMessage, ProtocolMessage, poll_creation_message, protocol_message,
    },
};

/// Who is who, for what a message says about others.
pub(crate) struct Scene<'a> {
    /// The chat, as WhatsApp calls it.
    pub(crate) chat: &'a str,
    /// This number, in digits.
    pub(crate) own: &'a str,
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
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
        } => words(text, mentions, link_preview.as_ref(), outgoing.reply_to.is_some()),
        Content::Location {
            latitude,
            longitude,
            name,
            address,
        } => Message {
            location_message: MessageField::some(LocationMessage {
                degrees_latitude: Some(*latitude),
                degrees_longitude: Some(*longitude),
                name: name.clone(),
                address: address.clone(),
                ..Default::default()
            }),
            ..Default::default()
        },
        Content::Contact { contacts } => cards(contacts),
        Content::Reaction { target, emoji } => {
            build_reaction_message(key(target, outgoing, scene, false)?, emoji.clone(), scene.now_ms)
        }
        Content::Poll { poll } => question(poll),
        Content::Edit { target, text } => protocol(ProtocolMessage {
            key: MessageField::some(key(target, outgoing, scene, true)?),
            r#type: Some(protocol_message::Type::MESSAGE_EDIT),
            edited_message: MessageField::some(words(text, &[], None, false)),
            timestamp_ms: Some(scene.now_ms),
            ..Default::default()
        }),
        Content::Revoke { target } => protocol(ProtocolMessage {
            key: MessageField::some(key(target, outgoing, scene, true)?),
            r#type: Some(protocol_message::Type::REVOKE),
            ..Default::default()
        }),
        Content::Forward { text } => *words(text, &[], None, false).prepare_for_forward(),
    };
    if let Some(quote) = &outgoing.reply_to {
        let context = quoting(quote, outgoing, scene)?;
        answer(&mut message, context);
    }
    Ok(message)
}

/// A text: bare where that is enough, as WhatsApp's own clients send it.
fn words(
    text: &str,
    mentions: &[wharf_domain::PhoneNumber],
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
        text: Some(text.to_owned()),
        ..Default::default()
    };
    if let Some(LinkPreview {
        url,
        title,
        description,
    }) = preview
    {
        extended.matched_text = Some(url.clone());
        extended.title = Some(title.clone());
        extended.description.clone_from(description);
    }
    if !mentions.is_empty() {
        let mentioned = mentions.iter().map(|number| Recipient::from(number.clone()).jid());
        extended.context_info = MessageField::some(ContextInfo {
            mentioned_jid: mentioned.collect(),
            ..Default::default()
        });
    }
    Message {
        extended_text_message: MessageField::some(extended),
        ..Default::default()
    }
}

fn cards(contacts: &[ContactCard]) -> Message {
    let mut cards: Vec<ContactMessage> = contacts.iter().map(card).collect();
    if cards.len() == 1
        && let Some(card) = cards.pop()
    {
        return Message {
            contact_message: MessageField::some(card),
            ..Default::default()
        };
    }
    Message {
        contacts_array_message: MessageField::some(ContactsArrayMessage {
            display_name: Some(format!("{} contacts", cards.len())),
            contacts: cards,
            ..Default::default()
        }),
        ..Default::default()
    }
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
    let mut message = Message {
        message_context_info: MessageField::some(MessageContextInfo {
            message_secret: Some(secret),
            ..Default::default()
        }),
        ..Default::default()
    };
    match poll.selectable_count {
        1 => message.poll_creation_message_v3 = creation,
        _ => message.poll_creation_message = creation,
    }
    message
}

fn protocol(protocol: ProtocolMessage) -> Message {
    Message {
        protocol_message: MessageField::some(protocol),
        ..Default::default()
    }
}

/// The message that another one is about. `ours` says whose it is when nobody said.
fn key(target: &Target, outgoing: &Outgoing, scene: &Scene<'_>, ours: bool) -> Result<MessageKey, String> {
    let from_me = match &target.from {
        None => ours,
        Some(from) => is_own(from, scene),
    };
    let participant = match (&outgoing.to, &target.from, from_me) {
        (Recipient::Group(_), Some(from), false) => Some(from.jid()),
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
    let from = match (&quote.from, &outgoing.to) {
        (Some(from), _) => from.jid(),
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
    }
    message.set_context_info(context);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SCENE: Scene<'static> = Scene {
        chat: "5511999999999@s.whatsapp.net",
        own: "5511888888888",
        now_ms: 7,
    };
    const GROUP: Scene<'static> = Scene {
        chat: "120363000000000001@g.us",
        ..SCENE
    };

    fn outgoing(mut body: Value, scene: &Scene<'_>) -> Outgoing {
        body["to"] = scene.chat.into();
        serde_json::from_value(body).unwrap()
    }

    fn made(body: Value) -> Message {
        compose(&outgoing(body, &SCENE), &SCENE).unwrap()
    }

    #[test]
    fn a_plain_text_is_bare() {
        let text = made(json!({"type": "text", "text": "hello"}));
        assert_eq!(text.conversation.as_deref(), Some("hello"));
        assert!(text.extended_text_message.is_unset());
    }

    #[test]
    fn an_answer_quotes_and_mentions() {
        let text = made(json!({"type": "text", "text": "@5511777777777 hi", "mentions": ["5511777777777"],
            "reply_to": {"message_id": "Q", "text": "before"},
            "link_preview": {"url": "https://a.b/c", "title": "A", "description": "B"}}));
        let text = text.extended_text_message.as_option().unwrap();
        assert_eq!(text.matched_text.as_deref(), Some("https://a.b/c"));
        let context = text.context_info.as_option().unwrap();
        assert_eq!(context.mentioned_jid, ["5511777777777@s.whatsapp.net"]);
        assert_eq!(context.stanza_id.as_deref(), Some("Q"));
        assert_eq!(context.participant.as_deref(), Some(SCENE.chat), "the other one wrote it");
        let quoted = context.quoted_message.as_option().unwrap();
        assert_eq!(quoted.conversation.as_deref(), Some("before"));
    }

    #[test]
    fn places_and_cards() {
        let place = made(json!({"type": "location", "latitude": 1.5, "longitude": -2.5, "name": "Here",
            "reply_to": {"message_id": "Q"}}));
        let place = place.location_message.as_option().unwrap();
        assert_eq!((place.degrees_latitude, place.degrees_longitude), (Some(1.5), Some(-2.5)));
        assert!(place.context_info.is_set());
        let ana = json!({"name": "Ana; Lima", "phone_number": "5511777777777", "organization": "Acme"});
        let one = made(json!({"type": "contact", "contacts": [ana]}));
        let vcard = one.contact_message.as_option().unwrap().vcard.clone().unwrap();
        assert!(vcard.contains("FN:Ana\\; Lima\n") && vcard.contains("waid=5511777777777:+5511777777777\n"));
        assert!(vcard.contains("ORG:Acme;\n"));
        let two = made(json!({"type": "contact", "contacts": [ana, ana]}));
        assert_eq!(two.contacts_array_message.as_option().unwrap().contacts.len(), 2);
    }

    #[test]
    fn polls_of_one_choice_and_of_several() {
        let of = |count: u32| {
            let poll = json!({"question": "?", "options": ["a", "b", "c"], "selectable_count": count});
            made(json!({"type": "poll", "poll": poll}))
        };
        let one = of(1);
        assert!(one.poll_creation_message_v3.is_set() && one.poll_creation_message.is_unset());
        let (several, other) = (of(0), of(0));
        assert_eq!(several.poll_creation_message.as_option().unwrap().options.len(), 3);
        let secret = |message: &Message| message.message_context_info.as_option().unwrap().message_secret.clone().unwrap();
        assert_eq!(secret(&several).len(), 32);
        assert_ne!(secret(&several), secret(&other));
    }

    #[test]
    fn whose_message_is_meant() {
        let reaction = |target: Value, scene: &Scene<'_>| {
            let outgoing = outgoing(json!({"type": "reaction", "emoji": "👍", "target": target}), scene);
            compose(&outgoing, scene).map(|message| {
                let reaction = message.reaction_message.as_option().unwrap();
                let key = reaction.key.as_option().unwrap();
                (key.from_me.unwrap(), key.participant.clone())
            })
        };
        assert_eq!(reaction(json!({"message_id": "M"}), &SCENE), Ok((false, None)));
        let own = json!({"message_id": "M", "from": SCENE.own});
        assert_eq!(reaction(own.clone(), &SCENE), Ok((true, None)));
        assert_eq!(reaction(own, &GROUP), Ok((true, None)));
        let other = json!({"message_id": "M", "from": "5511777777777"});
        let participant = Some("5511777777777@s.whatsapp.net".to_owned());
        assert_eq!(reaction(other, &GROUP), Ok((false, participant)));
        assert!(reaction(json!({"message_id": "M"}), &GROUP).unwrap_err().contains("target.from"));
    }

    #[test]
    fn edits_and_deletions_are_about_our_own_unless_said_otherwise() {
        let edit = made(json!({"type": "edit", "text": "new", "target": {"message_id": "M"}}));
        let edit = edit.protocol_message.as_option().unwrap();
        assert_eq!(edit.key.as_option().unwrap().from_me, Some(true));
        assert_eq!(edit.edited_message.as_option().unwrap().conversation.as_deref(), Some("new"));
        let revoke = json!({"type": "revoke", "target": {"message_id": "M", "from": "5511777777777"}});
        let revoke = compose(&outgoing(revoke, &GROUP), &GROUP).unwrap();
        let key = revoke.protocol_message.as_option().unwrap().key.clone();
        let key = key.as_option().unwrap();
        assert_eq!((key.from_me, key.participant.is_some()), (Some(false), true));
    }

    #[test]
    fn a_forwarded_text_is_marked() {
        let text = made(json!({"type": "forward", "text": "again"}));
        let text = text.extended_text_message.as_option().unwrap();
        assert_eq!(text.text.as_deref(), Some("again"));
        assert_eq!(text.context_info.as_option().unwrap().is_forwarded, Some(true));
    }
}

//! Tests of [`super`]: who a message is from, and which messages are carried.

mod around;
mod catalogue;
mod examples;
mod kinds;
mod offers;
mod sent;
mod strangers;
mod unnamed;
mod votes;

use std::sync::Arc;

use wharf_domain::ClientId;
use whatsapp_rust::wacore::types::message::{EditAttribute, MessageSource};
use whatsapp_rust::waproto::{
    buffa::MessageField,
    whatsapp::{
        ContextInfo,
        message::{
            ExtendedTextMessage, FutureProofMessage, ImageMessage, ProtocolMessage, SenderKeyDistributionMessage,
        },
    },
};

use super::*;

const PN: &str = "5511999999999:3@s.whatsapp.net";
const LID: &str = "100000012345678:3@lid";
const GROUP: &str = "120363000000000001@g.us";
/// The linked number.
const OWN: &str = "5511888888888";

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn source(chat: &str, sender: &str, alternative: Option<&str>) -> MessageSource {
    MessageSource {
        chat: jid(chat).to_non_ad(),
        sender: jid(sender),
        is_group: chat.ends_with("g.us"),
        sender_alt: alternative.map(jid),
        ..MessageSource::default()
    }
}

fn info(source: MessageSource) -> MessageInfo {
    MessageInfo {
        source,
        id: "3EB0C767".into(),
        push_name: "Maria".into(),
        timestamp: whatsapp_rust::chrono::DateTime::from_timestamp(1_762_352_580, 0).unwrap(),
        ..MessageInfo::default()
    }
}

fn conversation(text: &str) -> Message {
    Message {
        conversation: Some(text.into()),
        ..Message::default()
    }
}

fn extended(text: &str, context: ContextInfo) -> Message {
    Message {
        extended_text_message: MessageField::some(ExtendedTextMessage {
            text: Some(text.into()),
            context_info: MessageField::some(context),
            ..ExtendedTextMessage::default()
        }),
        ..Message::default()
    }
}

fn wrapped(message: Message) -> MessageField<FutureProofMessage> {
    MessageField::some(FutureProofMessage {
        message: MessageField::some(message),
    })
}

fn protocol(protocol: ProtocolMessage) -> Message {
    Message {
        protocol_message: MessageField::some(protocol),
        ..Message::default()
    }
}

fn around() -> Surroundings<'static> {
    Surroundings {
        people: People::new(OWN),
        ballot: Ballot::Sealed,
        recipient: None,
    }
}

/// A vote that was opened.
fn ballot(options: &[&str], hashes: &[Vec<u8>]) -> Ballot {
    Ballot::Opened {
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        hashes: hashes.to_vec(),
    }
}

/// A message that is carried.
fn carried(source: MessageSource, message: &Message) -> IncomingMessage {
    carried_with(source, message, &around())
}

fn carried_with(source: MessageSource, message: &Message, around: &Surroundings<'_>) -> IncomingMessage {
    match convert(&info(source), message, around) {
        Converted::Message(message) => *message,
        Converted::Skipped(reason) => panic!("skipped as {reason}"),
    }
}

/// The whole payload.
fn payload(message: &IncomingMessage) -> String {
    message.payload(ClientId(1), &OWN.parse().unwrap())
}

/// What stands after the seven keys.
fn extras(message: &IncomingMessage) -> serde_json::Value {
    let mut value: serde_json::Value = serde_json::from_str(&payload(message)).unwrap();
    let keys = value.as_object_mut().unwrap();
    for key in ["client_id", "message_id", "from", "to", "timestamp", "type", "content"] {
        assert!(keys.shift_remove(key).is_some(), "{key} is missing");
    }
    value
}

fn skipped(source: MessageSource, message: &Message) -> &'static str {
    match convert(&info(source), message, &around()) {
        Converted::Skipped(reason) => reason,
        Converted::Message(message) => panic!("became {message:?}"),
    }
}

fn direct() -> MessageSource {
    source(PN, PN, Some(LID))
}

#[test]
fn a_text_of_one_person_to_another_is_the_seven_keys() {
    let message = carried(direct(), &conversation("hi"));
    assert_eq!(
        message,
        IncomingMessage {
            chat: "5511999999999@s.whatsapp.net".into(),
            sender: "5511999999999@s.whatsapp.net".into(),
            message_id: "3EB0C767".into(),
            from: "5511999999999".into(),
            timestamp: Timestamp::from_seconds(1_762_352_580),
            kind: MessageKind::Text,
            content: "hi".into(),
            details: None,
        }
    );
    // Also with what phones put around a text of their own accord.
    let with_a_link = extended("hi", ContextInfo::default());
    assert_eq!(carried(direct(), &with_a_link), message);
    assert_eq!(
        payload(&message),
        r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"hi"}"#
    );
}

#[test]
fn by_number_or_by_lid_it_is_the_same_message() {
    let by_number = source(PN, PN, None);
    let by_lid = source(LID, LID, Some("5511999999999@s.whatsapp.net"));
    let hosted = source("5511999999999@hosted", "5511999999999:99@hosted", None);
    let [one, other, third] = [by_number, by_lid, hosted].map(|source| carried(source, &conversation("hi")));
    assert_eq!(one, other);
    assert_eq!(one, third);
    let groups = [source(GROUP, PN, Some(LID)), source(GROUP, LID, Some(PN))];
    let [one, other] = groups.map(|source| carried(source, &conversation("hi")));
    assert_eq!(one, other);
}

#[test]
fn a_hidden_number_is_shown_once_it_is_known_and_changes_nothing_else() {
    let hidden = source(LID, LID, None);
    let looked_up = hidden_in(&info(hidden.clone()), &conversation("hi"));
    assert_eq!(looked_up, [jid("100000012345678@lid")]);
    let unknown = carried(hidden.clone(), &conversation("hi"));
    assert_eq!(
        (unknown.chat.as_str(), unknown.from.as_str()),
        ("100000012345678@lid", "100000012345678")
    );
    assert_eq!(
        extras(&unknown),
        serde_json::json!({"push_name": "Maria", "from_lid": "100000012345678"})
    );

    let mut around = around();
    around.people.know("100000012345678", "5511999999999");
    let known = carried_with(hidden, &conversation("hi"), &around);
    assert_eq!((known.from.as_str(), known.details.as_ref()), ("5511999999999", None));
    let webhook = wharf_domain::WebhookId(uuid());
    assert_eq!(known.key(webhook), unknown.key(webhook));
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::from_u128(1)
}

#[test]
fn a_group_is_the_chat_and_the_participant_the_sender() {
    let message = carried(source(GROUP, LID, Some(PN)), &conversation("hi"));
    assert_eq!(message.chat, GROUP);
    assert_eq!(message.sender, "5511999999999@s.whatsapp.net");
    assert_eq!(message.from, "5511999999999");
    assert_eq!(
        extras(&message),
        serde_json::json!({"push_name": "Maria", "group": {"id": GROUP}})
    );
}

#[test]
fn a_broadcast_list_is_the_chat_with_its_owner() {
    let message = carried(source("1699999999@broadcast", PN, None), &conversation("hi"));
    assert_eq!(message.chat, "5511999999999@s.whatsapp.net");
    assert_eq!(message.details, None);
}

#[test]
fn text_is_found_in_its_wrappers() {
    let extended = extended("a link", ContextInfo::default());
    let ephemeral = Message {
        ephemeral_message: wrapped(extended.clone()),
        ..Message::default()
    };
    let view_once = Message {
        view_once_message_v2: wrapped(ephemeral.clone()),
        ..Message::default()
    };
    let flags = [
        (extended, serde_json::json!({})),
        (ephemeral, serde_json::json!({"push_name": "Maria", "ephemeral": true})),
        (
            // Which no app of WhatsApp shows a text as.
            view_once,
            serde_json::json!({"push_name": "Maria", "ephemeral": true}),
        ),
    ];
    for (message, flags) in flags {
        let message = carried(direct(), &message);
        assert_eq!((message.content.as_str(), extras(&message)), ("a link", flags));
    }
    let picture = Message {
        image_message: MessageField::some(ImageMessage::default()),
        ..Message::default()
    };
    let once = Message {
        view_once_message: wrapped(picture),
        ..Message::default()
    };
    assert_eq!(extras(&carried(direct(), &once))["view_once"], true);
}

#[test]
fn what_is_not_understood_is_unknown_and_not_lost() {
    let deep = (0..40).fold(conversation("deep"), |inner, _| Message {
        ephemeral_message: wrapped(inner),
        ..Message::default()
    });
    for message in [deep, Message::default()] {
        let message = carried(direct(), &message);
        assert_eq!(message.kind, MessageKind::Unknown);
        assert_eq!(message.content, "A message of a kind that is not known here");
        assert_eq!(
            extras(&message)["unknown"],
            serde_json::json!({"reason": "unsupported"})
        );
        assert!(!message.is_undecryptable());
    }
}

#[test]
fn what_is_not_carried() {
    let mut own = direct();
    own.is_from_me = true;
    assert!(skipped(own, &conversation("hi")).contains("this account"));
    let mut posted = source("status@broadcast", PN, None);
    posted.is_from_me = true;
    assert!(skipped(posted, &conversation("hi")).contains("this account"));
    let psa = source("0@s.whatsapp.net", "0@s.whatsapp.net", None);
    assert!(skipped(psa, &conversation("hi")).contains("announcement"));
    let newsletter = source("120363000000000002@newsletter", PN, None);
    assert!(skipped(newsletter, &conversation("hi")).contains("newsletter"));
    assert!(skipped(direct(), &conversation("")).contains("empty"));
    assert!(skipped(direct(), &protocol(ProtocolMessage::default())).contains("protocol"));
    let keys = Message {
        sender_key_distribution_message: MessageField::some(SenderKeyDistributionMessage::default()),
        ..Message::default()
    };
    assert!(skipped(source(GROUP, PN, None), &keys).contains("keys"));
    let mut peer = info(direct());
    peer.category = MessageCategory::Peer;
    let skipped = convert(&peer, &conversation("hi"), &around());
    assert_eq!(skipped, Converted::Skipped("between devices of this account"));
}

#[test]
fn what_could_not_be_decrypted_is_told_under_a_key_of_its_own() {
    let lost = |unavailable, mode| {
        let lost = UndecryptableMessage::builder()
            .info(Arc::new(info(direct())))
            .is_unavailable(false)
            .unavailable_type(unavailable)
            .decrypt_fail_mode(mode)
            .build();
        match undecryptable(&lost, &People::new(OWN), None) {
            Converted::Message(message) => *message,
            Converted::Skipped(reason) => panic!("skipped as {reason}"),
        }
    };
    let message = lost(UnavailableType::Unknown, DecryptFailMode::Show);
    assert_eq!(message.content, "A message that could not be decrypted");
    assert_eq!(
        extras(&message)["unknown"],
        serde_json::json!({"reason": "undecryptable"})
    );
    let hidden = lost(UnavailableType::Unknown, DecryptFailMode::Hide);
    assert!(hidden.content.starts_with("A change to a message"));
    let once = lost(UnavailableType::ViewOnce, DecryptFailMode::Show);
    assert_eq!(extras(&once)["view_once"], true);
    assert_eq!(extras(&once)["unknown"], serde_json::json!({"reason": "phone_only"}));
    // What comes late after all is an event of its own, and the report never is a second one.
    let webhook = wharf_domain::WebhookId(uuid());
    assert_ne!(
        message.key(webhook),
        carried(direct(), &conversation("late")).key(webhook)
    );
    assert_eq!(message.key(webhook), hidden.key(webhook));
}

#[test]
fn an_edit_and_its_message_are_two_events_even_under_one_id() {
    let edit = protocol(ProtocolMessage {
        key: MessageField::some(MessageKey {
            id: Some("3EB0C767".into()),
            from_me: Some(true),
            ..MessageKey::default()
        }),
        r#type: Some(whatsapp_rust::waproto::whatsapp::message::protocol_message::Type::MESSAGE_EDIT),
        edited_message: MessageField::some(conversation("better")),
        ..ProtocolMessage::default()
    });
    let mut stanza = info(direct());
    stanza.edit = EditAttribute::MessageEdit;
    let Converted::Message(edit) = convert(&stanza, &edit, &around()) else {
        panic!("skipped")
    };
    let webhook = wharf_domain::WebhookId(uuid());
    assert_ne!(edit.key(webhook), carried(direct(), &conversation("good")).key(webhook));
}

#[test]
fn a_status_update_lies_in_a_chat_of_its_authors_own() {
    let posted = source("status@broadcast", LID, Some("5511999999999@s.whatsapp.net"));
    let message = carried(posted, &conversation("good morning"));
    assert_eq!(message.chat, "status@broadcast/5511999999999@s.whatsapp.net");
    assert_eq!(
        (message.from.as_str(), message.event()),
        ("5511999999999", wharf_domain::EventKind::Update)
    );
    assert!(message.details.is_some_and(|details| details.group.is_none()));
}

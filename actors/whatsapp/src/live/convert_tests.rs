//! Tests of [`super`]: who a message is from, and which messages are carried.

use std::sync::Arc;

use whatsapp_rust::waproto::{
    buffa::MessageField,
    whatsapp::message::{ExtendedTextMessage, FutureProofMessage, ImageMessage, ProtocolMessage, ReactionMessage},
};

use super::*;

const PN: &str = "5511888888888:3@s.whatsapp.net";
const LID: &str = "100000012345678:3@lid";
const GROUP: &str = "120363000000000001@g.us";

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

fn inbound(source: MessageSource, message: Message) -> InboundMessage {
    let info = MessageInfo {
        source,
        id: "3EB0C767".into(),
        timestamp: whatsapp_rust::chrono::DateTime::from_timestamp(1_762_352_580, 0).unwrap(),
        ..MessageInfo::default()
    };
    InboundMessage::builder()
        .message(Arc::new(message))
        .info(Arc::new(info))
        .build()
}

fn conversation(text: &str) -> Message {
    Message {
        conversation: Some(text.into()),
        ..Message::default()
    }
}

fn wrapped(message: Message) -> MessageField<FutureProofMessage> {
    MessageField::some(FutureProofMessage {
        message: MessageField::some(message),
    })
}

fn text(inbound: &InboundMessage) -> IncomingMessage {
    match convert(inbound) {
        Converted::Text(message, _) => *message,
        Converted::Skipped(reason) => panic!("skipped as {reason}"),
    }
}

fn skipped(source: MessageSource, message: Message) -> &'static str {
    match convert(&inbound(source, message)) {
        Converted::Skipped(reason) => reason,
        Converted::Text(message, _) => panic!("became {message:?}"),
    }
}

#[test]
fn a_text_by_number() {
    let message = text(&inbound(source(PN, PN, Some(LID)), conversation("hi")));
    assert_eq!(
        message,
        IncomingMessage {
            chat: "5511888888888@s.whatsapp.net".into(),
            sender: "5511888888888@s.whatsapp.net".into(),
            message_id: "3EB0C767".into(),
            from: "5511888888888".into(),
            timestamp: Timestamp::from_seconds(1_762_352_580),
            kind: "text".into(),
            content: "hi".into(),
        }
    );
}

#[test]
fn by_number_or_by_lid_it_is_the_same_message() {
    let by_number = inbound(source(PN, PN, None), conversation("hi"));
    let by_lid = inbound(
        source(LID, LID, Some("5511888888888@s.whatsapp.net")),
        conversation("hi"),
    );
    let hosted = inbound(
        source("5511888888888@hosted", "5511888888888:99@hosted", None),
        conversation("hi"),
    );
    assert_eq!(text(&by_number), text(&by_lid));
    assert_eq!(text(&by_number), text(&hosted));
    let groups = [source(GROUP, PN, Some(LID)), source(GROUP, LID, Some(PN))];
    let [one, other] = groups.map(|source| text(&inbound(source, conversation("hi"))));
    assert_eq!(one, other);
}

#[test]
fn a_hidden_number_is_left_to_be_looked_up() {
    let Converted::Text(message, unresolved) = convert(&inbound(source(LID, LID, None), conversation("hi"))) else {
        panic!("skipped");
    };
    assert_eq!(
        (message.chat.as_str(), message.from.as_str()),
        ("100000012345678@lid", "100000012345678")
    );
    assert_eq!(unresolved, Some(jid("100000012345678@lid")));
}

#[test]
fn a_group_is_the_chat_and_the_participant_the_sender() {
    let message = text(&inbound(source(GROUP, LID, Some(PN)), conversation("hi")));
    assert_eq!(message.chat, GROUP);
    assert_eq!(message.sender, "5511888888888@s.whatsapp.net");
    assert_eq!(message.from, "5511888888888");
}

#[test]
fn a_broadcast_list_is_the_chat_with_its_owner() {
    let message = text(&inbound(source("1699999999@broadcast", PN, None), conversation("hi")));
    assert_eq!(message.chat, "5511888888888@s.whatsapp.net");
}

#[test]
fn text_is_found_in_its_wrappers() {
    let extended = Message {
        extended_text_message: MessageField::some(ExtendedTextMessage {
            text: Some("a link".into()),
            ..ExtendedTextMessage::default()
        }),
        ..Message::default()
    };
    let ephemeral = Message {
        ephemeral_message: wrapped(extended.clone()),
        ..Message::default()
    };
    let view_once = Message {
        view_once_message_v2: wrapped(ephemeral.clone()),
        ..Message::default()
    };
    for message in [extended, ephemeral, view_once] {
        assert_eq!(text(&inbound(source(PN, PN, None), message)).content, "a link");
    }
}

#[test]
fn wrappers_without_end_are_given_up() {
    let deep = (0..40).fold(conversation("deep"), |inner, _| Message {
        ephemeral_message: wrapped(inner),
        ..Message::default()
    });
    assert!(skipped(source(PN, PN, None), deep).contains("not carried"));
}

#[test]
fn what_is_not_carried() {
    let mut own = source(PN, PN, None);
    own.is_from_me = true;
    assert!(skipped(own, conversation("hi")).contains("this account"));
    assert!(skipped(source("status@broadcast", PN, None), conversation("hi")).contains("status"));
    assert!(skipped(source("0@s.whatsapp.net", "0@s.whatsapp.net", None), conversation("hi")).contains("announcement"));
    assert!(skipped(source("120363000000000002@newsletter", PN, None), conversation("hi")).contains("newsletter"));

    let direct = || source(PN, PN, None);
    let image = Message {
        image_message: MessageField::some(ImageMessage::default()),
        ..Message::default()
    };
    assert!(skipped(direct(), image).contains("not carried"));
    assert!(skipped(direct(), conversation("")).contains("not carried"));
    let protocol = Message {
        protocol_message: MessageField::some(ProtocolMessage::default()),
        ..Message::default()
    };
    assert!(skipped(direct(), protocol).contains("protocol"));
    let reaction = Message {
        reaction_message: MessageField::some(ReactionMessage::default()),
        ..Message::default()
    };
    assert!(skipped(direct(), reaction).contains("reaction"));
    let edit = Message {
        edited_message: wrapped(conversation("new words")),
        ..Message::default()
    };
    assert!(skipped(direct(), edit).contains("edit"));
}

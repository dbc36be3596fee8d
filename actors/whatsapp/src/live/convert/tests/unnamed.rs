//! What there is no `type` for, and yet is more than its name.

use serde_json::json;
use whatsapp_rust::waproto::whatsapp::message::{
    EncEventResponseMessage, EventMessage, ImageMessage, RequestPaymentMessage, SendPaymentMessage,
    protocol_message::Type,
};

use super::{
    examples::{self, key},
    *,
};

fn regatta() -> Message {
    Message {
        event_message: MessageField::some(EventMessage {
            name: Some("Regatta".into()),
            description: Some("at noon".into()),
            ..EventMessage::default()
        }),
        ..Message::default()
    }
}

#[test]
fn the_picture_of_an_event_is_a_picture() {
    let image = Message {
        image_message: MessageField::some(ImageMessage::default()),
        ..Message::default()
    };
    let cover = Message {
        event_cover_image: wrapped(image),
        ..Message::default()
    };
    assert_eq!(carried(direct(), &cover).kind, MessageKind::Image);
}

#[test]
fn an_answer_to_an_event_says_to_which() {
    let answer = Message {
        enc_event_response_message: MessageField::some(EncEventResponseMessage {
            event_creation_message_key: key("3EB0AA11", true),
            ..EncEventResponseMessage::default()
        }),
        ..Message::default()
    };
    let answer = carried(direct(), &answer);
    assert_eq!(answer.content, "An answer to an event");
    assert_eq!(extras(&answer)["target"]["message_id"], "3EB0AA11");
}

#[test]
fn what_is_written_to_a_payment_is_told() {
    let quoting = ContextInfo {
        stanza_id: Some("3EB0AA11".into()),
        ..ContextInfo::default()
    };
    let sent = |note: MessageField<Message>| Message {
        send_payment_message: MessageField::some(SendPaymentMessage {
            note_message: note,
            ..SendPaymentMessage::default()
        }),
        ..Message::default()
    };
    let asked = Message {
        request_payment_message: MessageField::some(RequestPaymentMessage {
            note_message: MessageField::some(Message {
                ephemeral_message: wrapped(extended("for the boat", quoting)),
                ..Message::default()
            }),
            ..RequestPaymentMessage::default()
        }),
        ..Message::default()
    };
    let told = |message: &Message| carried(direct(), message);
    assert_eq!(
        told(&sent(MessageField::some(conversation("thanks")))).content,
        "thanks"
    );
    assert_eq!(
        told(&sent(MessageField::default())).content,
        "A message about a payment"
    );
    let asked = told(&asked);
    assert_eq!(asked.content, "for the boat");
    let extras = extras(&asked);
    assert_eq!(
        (&extras["reply_to"]["message_id"], &extras["unknown"]["name"]),
        (&json!("3EB0AA11"), &json!("requestPaymentMessage"))
    );
}

#[test]
fn a_number_that_is_shared_is_told_as_one_that_is_asked_for() {
    let shared = protocol(ProtocolMessage {
        r#type: Some(Type::SHARE_PHONE_NUMBER),
        ..ProtocolMessage::default()
    });
    let shared = carried(direct(), &shared);
    assert_eq!(
        (shared.kind, shared.content.as_str()),
        (MessageKind::Unknown, "The phone number was shared")
    );
}

#[test]
fn a_changed_event_is_no_new_one() {
    let mut stanza = info(direct());
    stanza.edit = EditAttribute::MessageEdit;
    let Converted::Message(changed) = convert(&stanza, &regatta(), &around()) else {
        panic!("skipped")
    };
    assert_eq!(changed.content, "An event was changed: Regatta");
    assert_eq!(extras(&changed)["event_details"]["description"], "at noon");

    let edit = protocol(ProtocolMessage {
        key: key("3EB0AA11", true),
        r#type: Some(Type::MESSAGE_EDIT),
        edited_message: MessageField::some(regatta()),
        ..ProtocolMessage::default()
    });
    let edit = carried(direct(), &edit);
    assert_eq!((edit.kind, edit.content.as_str()), (MessageKind::Edit, "Regatta"));
    assert_eq!(extras(&edit)["event_details"]["description"], "at noon");
}

/// Nobody votes in it: votes go by the id of the poll that was changed.
#[test]
fn a_changed_poll_is_no_new_one() {
    let mut stanza = info(direct());
    let poll = examples::poll();
    stanza.edit = EditAttribute::MessageEdit;
    let Converted::Message(changed) = convert(&stanza, &poll, &around()) else {
        panic!("skipped")
    };
    let asked = carried(direct(), &poll);
    assert_eq!(changed.kind, MessageKind::Unknown);
    assert_eq!(changed.content, format!("A poll was changed: {}", asked.content));
    let (changed, asked) = (extras(&changed), extras(&asked));
    assert_eq!(
        (&changed["poll"], &changed["unknown"]["name"]),
        (&asked["poll"], &json!("pollCreationMessage"))
    );
}

//! Tests of [`super`].

use super::*;

fn message(content: &str) -> IncomingMessage {
    IncomingMessage {
        chat: "5511999999999@s.whatsapp.net".into(),
        sender: "5511999999999@s.whatsapp.net".into(),
        message_id: "3EB0C767".into(),
        from: "5511999999999".into(),
        timestamp: Timestamp::from_seconds(1_762_352_580),
        kind: MessageKind::Text,
        content: content.into(),
        details: None,
    }
}

#[test]
fn payload_has_the_seven_keys_in_order() {
    let to = "5511888888888".parse().unwrap();
    assert_eq!(
        message("Your message here").payload(ClientId(1), &to),
        r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"Your message here"}"#
    );
}

#[test]
fn a_key_tells_messages_apart_and_begins_with_the_time() {
    let webhook = WebhookId(uuid::Uuid::from_u128(1));
    let first = message("a");
    assert_eq!(first.key(webhook), message("another text").key(webhook));
    assert_eq!(first.key(webhook)[..4], 1_762_352_580_u32.to_be_bytes());
    let mut others = [first.clone(), first.clone(), first.clone(), first.clone()];
    others[0].chat.push('1');
    others[1].sender.push('1');
    others[2].message_id.push('1');
    (others[3].sender, others[3].message_id) = (format!("{}3", first.sender), "EB0C767".into());
    assert!(others.iter().all(|other| other.key(webhook) != first.key(webhook)));
    assert_ne!(first.key(WebhookId(uuid::Uuid::from_u128(2))), first.key(webhook));
}

#[test]
fn details_come_after_the_seven_keys_in_their_order() {
    let details = Details {
        push_name: Some("Maria".into()),
        group: Some(Group {
            id: "1@g.us".into(),
            subject: None,
        }),
        view_once: true,
        body: Some(Body::Emoji("👍".into())),
        ..Details::default()
    };
    let mut message = message("👍");
    message.kind = MessageKind::Reaction;
    message.details = Some(Box::new(details));
    let payload = message.payload(ClientId(1), &"5511888888888".parse().unwrap());
    let (_, extras) = payload.split_once(r#""content":"👍","#).unwrap();
    assert_eq!(
        extras,
        r#""push_name":"Maria","group":{"id":"1@g.us"},"view_once":true,"emoji":"👍"}"#
    );
}

fn told(happening: Happening) -> IncomingMessage {
    IncomingMessage {
        details: Some(Box::new(Details {
            happening: Some(happening),
            ..Details::default()
        })),
        ..message("a")
    }
}

fn status(status: SendStatus, participant: Option<&str>) -> IncomingMessage {
    told(Happening::Status {
        to: "5511977776666".into(),
        to_lid: None,
        status,
        code: None,
        participant: participant.map(str::to_owned),
    })
}

#[test]
fn a_status_is_one_event_whenever_and_by_whatever_name_of_the_chat_it_is_told() {
    let webhook = WebhookId(uuid::Uuid::from_u128(1));
    let read = status(SendStatus::Read, None);
    let again = IncomingMessage {
        chat: "1@lid".into(),
        timestamp: Timestamp::from_seconds(1_800_000_000),
        ..read.clone()
    };
    assert_eq!(read.key(webhook), again.key(webhook));
    let others = [
        message("a"),
        status(SendStatus::Delivered, None),
        status(SendStatus::Read, Some("5511977776666")),
        IncomingMessage {
            message_id: "3EB0".into(),
            ..read.clone()
        },
        told(Happening::Sent {
            to: "5511977776666".into(),
            to_lid: None,
            is_from_me: true,
        }),
    ];
    for (place, other) in others.iter().enumerate() {
        assert_ne!(read.key(webhook), other.key(webhook), "{place}");
    }
}

#[test]
fn an_event_names_itself_right_after_the_seven_keys() {
    let number: PhoneNumber = "5511888888888".parse().unwrap();
    let read = status(SendStatus::Read, Some("5511966665555"));
    assert_eq!(read.event(), EventKind::Status);
    assert_eq!(
        read.payload(ClientId(1), &number),
        r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"5511977776666","timestamp":"2025-11-05T14:23:00Z","type":"read","content":"a","event":"message.status","status":"read","participant":"5511966665555"}"#
    );
    let mut online = told(Happening::Presence {
        presence: Presence {
            state: PresenceState::Available,
            last_seen: None,
        },
    });
    online.message_id = String::new();
    assert_eq!(
        online.payload(ClientId(1), &number),
        r#"{"client_id":1,"from":"5511999999999","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"available","content":"a","event":"presence","presence":{"state":"available"}}"#
    );
    let mut sent = told(Happening::Sent {
        to: "1@g.us".into(),
        to_lid: None,
        is_from_me: true,
    });
    sent.details.as_mut().unwrap().view_once = true;
    assert_eq!(
        sent.payload(ClientId(1), &number),
        r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"1@g.us","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"a","event":"message.sent","is_from_me":true,"view_once":true}"#
    );
    let hidden = told(Happening::Sent {
        to: "7".into(),
        to_lid: Some("7".into()),
        is_from_me: true,
    });
    assert_eq!(
        hidden.payload(ClientId(1), &number),
        r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"7","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"a","event":"message.sent","to_lid":"7","is_from_me":true}"#
    );
}

#[test]
fn what_has_no_id_is_told_apart_by_its_time() {
    let webhook = WebhookId(uuid::Uuid::from_u128(1));
    let now = told(Happening::Connection {
        connection: ConnectionChange {
            status: crate::ConnectionStatus::Connected,
            reason: None,
            reason_code: crate::session::ReasonCode::Online,
            jid: None,
        },
    });
    let later = IncomingMessage {
        timestamp: Timestamp(now.timestamp.0 + 1),
        ..now.clone()
    };
    assert_ne!(now.key(webhook), later.key(webhook));
    assert_eq!(now.key(webhook), now.clone().key(webhook));
}

#[test]
fn a_name_alone_is_nothing_to_tell() {
    let named = Details {
        push_name: Some("Maria".into()),
        ..Details::default()
    };
    assert!(named.is_plain());
    let forwarded = Details {
        forwarded: true,
        ..named
    };
    assert!(!forwarded.is_plain());
}

#[test]
fn what_concerns_another_message_is_never_taken_for_it() {
    let webhook = WebhookId(uuid::Uuid::from_u128(1));
    let of = |kind, reason| {
        let mut message = message("a");
        message.kind = kind;
        let unknown = |reason| Unknown { reason, name: None };
        message.details = Some(Box::new(Details {
            unknown: Option::map(reason, unknown),
            ..Details::default()
        }));
        message.key(webhook)
    };
    let text = message("a").key(webhook);
    for kind in MessageKind::ALL {
        // A redelivery of anything else is recognised whatever it is read as.
        assert_eq!(of(kind, None) != text, kind.concerns_another(), "{kind:?}");
    }
    let unknown = |reason| of(MessageKind::Unknown, Some(reason));
    assert_eq!(unknown(UnknownReason::Unsupported), text);
    assert_ne!(unknown(UnknownReason::Undecryptable), text);
    assert_eq!(unknown(UnknownReason::Undecryptable), unknown(UnknownReason::PhoneOnly));
}

#[test]
fn a_test_event_is_marked() {
    let number: PhoneNumber = "5511888888888".parse().unwrap();
    let message = IncomingMessage::test(Uuid::from_u128(7), &number, Timestamp::from_seconds(1_762_352_580));
    assert!(is_test_chat(&message.chat));
    assert_eq!(
        message.payload(ClientId(1), &number),
        r#"{"client_id":1,"message_id":"test-00000000-0000-0000-0000-000000000007","from":"5511888888888","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"A test of this webhook; no message was received.","test":true}"#
    );
    for chat in ["5511999999999@s.whatsapp.net", "test-1@g.us", "", "tes"] {
        assert!(!is_test_chat(chat), "{chat}");
    }
}

#[test]
fn any_text_survives() {
    let text = "\"quotes\" \\ \n\t\u{0} emoji 🦀 \u{2028}";
    let payload = message(text).payload(ClientId(1), &"5511888888888".parse().unwrap());
    let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(value["content"], text);
}

#[test]
fn what_says_more_of_a_message_makes_a_status_old_news() {
    let webhook = WebhookId(uuid::Uuid::from_u128(1));
    let of = |further: SendStatus, who: Option<&str>| status(further, who).key(webhook);
    use SendStatus::{Delivered, Failed, Played, Read, Sent};
    for member in [None, Some("5511966665555")] {
        let beyond = |told| status(told, member).keys_beyond(webhook);
        assert_eq!(beyond(Delivered), [of(Read, member), of(Played, member)]);
        assert_eq!(beyond(Played), [[0; MESSAGE_KEY_BYTES]; 0]);
        let receivers = [of(Delivered, member), of(Read, member), of(Played, member)];
        // The server may refuse what it took, and take what it was thought to have refused.
        assert_eq!(beyond(Sent), receivers);
        assert_eq!(beyond(Failed), receivers);
    }
    assert_eq!(message("a").keys_beyond(webhook), [[0; MESSAGE_KEY_BYTES]; 0]);
}

#[test]
fn a_status_update_is_told_as_one_in_a_chat_of_its_author() {
    let number: PhoneNumber = "5511888888888".parse().unwrap();
    let mut posted = told(Happening::Update {});
    posted.chat = update_chat(&posted.sender);
    assert_eq!(posted.event(), EventKind::Update);
    assert!(is_update_chat(&posted.chat) && !is_update_chat(&posted.sender));
    assert_eq!(crate::ChatKind::of(&posted.chat), Some(crate::ChatKind::Person));
    assert_eq!(
        posted.payload(ClientId(1), &number),
        r#"{"client_id":1,"message_id":"3EB0C767","from":"5511999999999","to":"5511888888888","timestamp":"2025-11-05T14:23:00Z","type":"text","content":"a","event":"status"}"#
    );
    let webhook = WebhookId(uuid::Uuid::from_u128(1));
    assert_ne!(posted.key(webhook), message("a").key(webhook));
}

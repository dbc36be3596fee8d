//! A message is acknowledged when, and only when, the inbox has it.

use std::time::Duration;

use wharf_domain::{EventKind, EventKinds, MessageKind};
use wharf_testnet::{Content, FaultKind, NewMessage, PollContent, ProtoContent, RevokeContent};
use wharf_whatsapp::CloseReason;
use whatsapp_rust::waproto::{
    buffa::MessageField,
    codec::message_to_vec,
    whatsapp::{
        Message, MessageKey,
        message::{PollAddOptionMessage, ProtocolMessage, poll_creation_message, protocol_message::Type},
    },
};

use crate::support::{OURS, THEIRS, World, eventually, send};

/// Somebody asks something.
async fn ask(world: &World) -> String {
    let poll = PollContent {
        question: "Lunch?".into(),
        options: vec!["Pizza".into(), "Salad".into()],
        selectable: 1,
    };
    let poll = NewMessage::from(Content::Poll(poll));
    world.network.send(THEIRS, OURS, &poll).await.unwrap().id
}

#[tokio::test]
async fn an_inbox_that_refuses_for_a_moment_gets_the_message_once() {
    let (world, line) = World::paired().await;
    line.inbox.refuse(2);
    let id = world.write("patience").await;
    eventually("a refusal", async || line.inbox.refused() > 0).await;
    assert_eq!(world.acknowledged(&id).await, 0);
    eventually("the text", async || line.inbox.texts() == ["patience"]).await;
    assert_eq!(line.inbox.refused(), 2);
    eventually("the receipt", async || world.acknowledged(&id).await > 0).await;
    line.link.close().await;
}

#[tokio::test]
async fn an_inbox_that_keeps_refusing_ends_the_link_and_gets_the_message_with_the_next() {
    let world = World::with(|config| config.inbox_patience = Duration::from_millis(500)).await;
    let mut line = world.pair().await;
    line.inbox.refuse(usize::MAX);
    let id = world.write("again").await;
    let reason = line.closed().await;
    assert!(
        matches!(&reason, CloseReason::Lost(why) if why.contains("stored")),
        "{reason:?}"
    );
    line.link.close().await;
    assert_eq!(world.acknowledged(&id).await, 0);

    line.inbox.refuse(0);
    let mut line = world.open_into(line.inbox).await;
    line.connected().await;
    eventually("the text", async || line.inbox.texts() == ["again"]).await;
    eventually("the receipt", async || world.acknowledged(&id).await > 0).await;
    line.link.close().await;
}

#[tokio::test]
async fn what_was_written_while_the_link_was_down_arrives_in_order() {
    let (mut world, line) = World::paired().await;
    world.write("0").await;
    eventually("the first", async || line.inbox.texts() == ["0"]).await;
    line.link.close().await;
    for text in ["1", "2", "3"] {
        world.write(text).await;
    }
    world.restart();
    let mut line = world.open().await;
    line.connected().await;
    eventually("the rest", async || line.inbox.texts() == ["1", "2", "3"]).await;
    line.link.close().await;
}

#[tokio::test]
async fn what_whatsapp_sends_twice_has_the_same_key() {
    let (world, line) = World::paired().await;
    world.trouble(FaultKind::Duplicate, None, Duration::from_secs(60)).await;
    for text in ["one", "two"] {
        world.write(text).await;
    }
    eventually("both", async || line.inbox.texts() == ["one", "two"]).await;
    line.link.close().await;
    let mut line = world.open_into(line.inbox).await;
    line.connected().await;
    world.write("three").await;
    eventually("the third", async || line.inbox.texts().contains(&"three".to_owned())).await;
    assert_eq!(line.inbox.texts(), ["one", "two", "three"]);
    assert!(world.network.stats().await.messages_out > 3, "nothing was sent twice");
    line.link.close().await;
}

/// A phone that did not hear that its message was taken; the server says when the second came.
#[tokio::test]
async fn what_its_sender_sends_again_has_the_same_key() {
    let (world, line) = World::paired().await;
    line.inbox.want(EventKinds::of([EventKind::Message, EventKind::Sent]));
    let send = async |from: &str, to: &str, text: &str, id: &str, timestamp: u64| {
        let mut message = NewMessage::text(text);
        (message.options.id, message.options.timestamp) = (Some(id.to_owned()), Some(timestamp));
        world.network.send(from, to, &message).await.unwrap();
    };
    for (round, from, to) in [(1, THEIRS, OURS), (2, OURS, THEIRS)] {
        for timestamp in [1_700_000_000, 1_700_000_060] {
            send(from, to, "one", "3EB0AA01", timestamp).await;
        }
        send(from, to, "two", "3EB0AA02", 1_700_000_060).await;
        let is_last = |texts: &[String]| texts.iter().filter(|text| *text == "two").count() == round;
        eventually("the last", async || is_last(&line.inbox.texts())).await;
        assert_eq!(line.inbox.texts(), ["one", "two"].repeat(round));
    }
    let told = line.inbox.messages();
    let times = [0, 1].map(|place: usize| told[place].timestamp.seconds());
    assert_eq!(times, [1_700_000_000, 1_700_000_060]);
    assert!(world.network.stats().await.messages_out >= 6);
    line.link.close().await;
}

#[tokio::test]
async fn a_poll_is_offered_as_patiently_as_a_message() {
    let (world, line) = World::paired().await;
    line.inbox.refuse(2);
    let id = ask(&world).await;
    eventually("the poll", async || line.inbox.texts() == ["Lunch?"]).await;
    assert_eq!(line.inbox.refused(), 2, "of what can be chosen, which is kept first");
    eventually("the receipt", async || world.acknowledged(&id).await > 0).await;
    line.link.close().await;
}

#[tokio::test]
async fn what_is_added_to_a_poll_is_kept_with_it() {
    let (world, line) = World::paired().await;
    let id = ask(&world).await;
    let key = MessageKey {
        id: Some(id.clone()),
        from_me: Some(true),
        ..MessageKey::default()
    };
    let added = PollAddOptionMessage {
        poll_creation_message_key: MessageField::some(key),
        add_option: MessageField::some(poll_creation_message::Option {
            option_name: Some("Soup".to_owned()),
            ..poll_creation_message::Option::default()
        }),
        ..PollAddOptionMessage::default()
    };
    let message = Message {
        poll_add_option_message: MessageField::some(added),
        ..Message::default()
    };
    let proto = Some(message_to_vec(&message));
    let added = NewMessage::from(Content::Proto(ProtoContent { proto }));
    world.network.send(THEIRS, OURS, &added).await.unwrap();
    eventually("both", async || line.inbox.messages().len() == 2).await;
    let told = line.inbox.messages().remove(1);
    assert_eq!((told.kind, told.content.as_str()), (MessageKind::Unknown, "Soup"));
    let kept = line.inbox.polls();
    assert_eq!(
        kept,
        [
            (id.clone(), vec!["Pizza".into(), "Salad".into()]),
            (id, vec!["Soup".into()])
        ]
    );
    line.link.close().await;
}

/// An account may follow thousands who ask things all day.
#[tokio::test]
async fn a_poll_that_is_for_nobody_is_not_kept() {
    let (world, line) = World::paired().await;
    let poll = NewMessage::from(Content::Poll(PollContent {
        question: "Breakfast?".into(),
        options: vec!["Bread".into(), "Fruit".into()],
        selectable: 1,
    }));
    world.network.send(THEIRS, "status@broadcast", &poll).await.unwrap();
    let id = ask(&world).await;
    eventually("the question", async || !line.inbox.messages().is_empty()).await;
    eventually("that all is taken", async || {
        let devices = world.network.devices(OURS).await.unwrap();
        devices.iter().all(|device| device.unacked == 0)
    })
    .await;
    let kept: Vec<String> = line.inbox.polls().into_iter().map(|(id, _)| id).collect();
    assert_eq!((kept, line.inbox.messages().len()), (vec![id], 1));
    line.link.close().await;
}

/// It would come again with every link, and end it.
#[tokio::test]
async fn a_message_that_cannot_be_read_without_a_panic_is_told_and_ends_nothing() {
    let (world, line) = World::paired().await;
    line.inbox.panic_at_polls();
    let id = ask(&world).await;
    world.write("the next one").await;
    eventually("both", async || line.inbox.messages().len() == 2).await;
    let told = line.inbox.messages().remove(0);
    assert_eq!(
        (told.kind, told.message_id.as_str()),
        (MessageKind::Unknown, id.as_str())
    );
    assert_eq!(told.content, "A message of a kind that is not known here");
    eventually("the receipt", async || world.acknowledged(&id).await > 0).await;
    line.link.close().await;
}

/// As a client that somebody tampered with can send it: another text for a message of ours, or its deletion.
fn forged(message_id: &str, kind: Type) -> NewMessage {
    let key = MessageKey {
        id: Some(message_id.to_owned()),
        from_me: Some(false),
        ..MessageKey::default()
    };
    let edited = Message {
        conversation: Some("forged".to_owned()),
        ..Message::default()
    };
    let change = ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(kind),
        edited_message: match kind {
            Type::MESSAGE_EDIT => MessageField::some(edited),
            _ => MessageField::none(),
        },
        ..ProtocolMessage::default()
    };
    let message = Message {
        protocol_message: MessageField::some(change),
        ..Message::default()
    };
    let proto = Some(message_to_vec(&message));
    NewMessage::from(Content::Proto(ProtoContent { proto }))
}

#[tokio::test]
async fn only_an_admin_of_a_group_changes_what_we_wrote() {
    let (world, line) = World::paired().await;
    let deadline = Duration::from_secs(20);
    let sent = send(&line.link, THEIRS, "ours", deadline).await.unwrap();
    for kind in [Type::MESSAGE_EDIT, Type::REVOKE] {
        world.network.send(THEIRS, OURS, &forged(&sent, kind)).await.unwrap();
    }
    world.write("behind them").await;
    eventually("what came behind them", async || line.inbox.texts() == ["behind them"]).await;

    let made = world.network.create_group(THEIRS, "Harbour", &[OURS.to_owned()]).await;
    let group = made.unwrap().id;
    let message_id = send(&line.link, &group, "ours as well", deadline).await.unwrap();
    eventually("the admin has it", async || {
        let received = world.network.messages(THEIRS).await.unwrap();
        received.iter().any(|message| message.id == message_id)
    })
    .await;
    let revoke = NewMessage::from(Content::Revoke(RevokeContent { message_id }));
    world.network.send(THEIRS, &group, &revoke).await.unwrap();
    eventually("the deletion", async || {
        line.inbox
            .messages()
            .last()
            .is_some_and(|last| last.kind == MessageKind::Revoke)
    })
    .await;
    line.link.close().await;
}

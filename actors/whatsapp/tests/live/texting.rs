//! Texts in and out.

use std::time::Duration;

use futures::FutureExt as _;
use wharf_domain::{EventKind, EventKinds, outgoing::News};
use wharf_testnet::FaultKind;
use wharf_whatsapp::{CloseReason, LinkEvent, SendError};

use crate::support::{NOBODYS, OURS, THEIRS, World, eventually, send, within};

const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn texts_travel_both_ways() {
    let (world, line) = World::paired().await;

    let id = world.write("hello").await;
    eventually("the text", async || line.inbox.texts() == ["hello"]).await;
    let message = line.inbox.messages().remove(0);
    assert_eq!(
        (
            message.message_id.as_str(),
            message.from.as_str(),
            message.kind.as_str()
        ),
        (&*id, THEIRS, "text")
    );
    assert_eq!(message.chat, message.sender);
    eventually("the receipt", async || world.acknowledged(&id).await > 0).await;

    let sent = send(&line.link, THEIRS, "hi yourself", DEADLINE).await.unwrap();
    eventually("the answer", async || {
        let received = world.network.messages(THEIRS).await.unwrap();
        received
            .iter()
            .any(|message| message.id == sent && message.text == "hi yourself")
    })
    .await;
    assert_eq!(line.inbox.texts(), ["hello"], "our own message is not incoming");
    line.link.close().await;
}

#[tokio::test]
async fn a_number_that_nobody_has_is_refused() {
    let (_world, line) = World::paired().await;
    let refused = send(&line.link, NOBODYS, "anybody?", DEADLINE).await;
    assert!(
        matches!(&refused, Err(SendError::NotOnWhatsApp(number)) if number.as_str() == NOBODYS),
        "{refused:?}"
    );
    line.link.close().await;
    assert_eq!(
        send(&line.link, THEIRS, "late", DEADLINE).await,
        Err(SendError::NotConnected)
    );
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_sent() {
    let (world, line) = World::paired().await;
    let soon = Duration::ZERO;
    let given_up = send(&line.link, THEIRS, "too late", soon).await;
    assert_eq!(given_up, Err(SendError::TimedOut(soon)));
    for text in ["then", "and then"] {
        send(&line.link, THEIRS, text, DEADLINE).await.unwrap();
    }
    eventually("what was sent", async || {
        let received = world.network.messages(THEIRS).await.unwrap();
        assert!(received.iter().all(|message| message.text != "too late"));
        received.len() == 2
    })
    .await;
    line.link.close().await;
}

#[tokio::test]
async fn a_message_that_nobody_could_read_is_not_sent() {
    let (world, line) = World::paired().await;
    world
        .trouble_of(THEIRS, FaultKind::Keyless, None, Duration::from_secs(600))
        .await;
    let refused = send(&line.link, THEIRS, "first", DEADLINE).await;
    assert_eq!(refused, Err(SendError::NoKeys));
    let own = world.network.messages(OURS).await.unwrap();
    assert!(own.is_empty(), "nor is a copy on the own phone: {own:?}");
}

/// The client writes to the account then, as to a device.
#[tokio::test]
async fn one_whose_devices_are_not_told_is_written_to_if_the_account_has_keys() {
    for code in [None, Some("503")] {
        let (world, line) = World::paired().await;
        let lasts = Duration::from_secs(600);
        world.trouble_of(THEIRS, FaultKind::Deviceless, code, lasts).await;
        world.trouble_of(THEIRS, FaultKind::Keyless, None, lasts).await;
        let refused = send(&line.link, THEIRS, "first", DEADLINE).await;
        assert_eq!(refused, Err(SendError::NoKeys), "{code:?}");
        let own = world.network.messages(OURS).await.unwrap();
        assert!(own.is_empty(), "nor is a copy on the own phone: {own:?}");
        world.trouble_of(THEIRS, FaultKind::Keyless, None, Duration::ZERO).await;
        send(&line.link, THEIRS, "second", DEADLINE).await.unwrap();
        eventually("the second", async || {
            let received = world.network.messages(THEIRS).await.unwrap();
            received.iter().any(|message| message.text == "second")
        })
        .await;
        line.link.close().await;
    }
}

#[tokio::test]
async fn nothing_is_sent_before_the_link_is_up() {
    let world = World::start().await;
    let mut line = world.open().await;
    line.qr().await;
    assert_eq!(line.link.silence(), None);
    assert_eq!(
        send(&line.link, THEIRS, "early", DEADLINE).await,
        Err(SendError::NotConnected)
    );
    line.link.close().await;
    assert_eq!(line.closed().await, CloseReason::Requested);
}

/// The link counts as connected before, after half a minute; the client would hold up what it is given.
#[tokio::test]
async fn nothing_is_sent_while_what_waited_at_whatsapp_still_comes() {
    let world = World::start().await;
    world.pair().await.link.close().await;
    world.trouble(FaultKind::Backlog, None, Duration::from_secs(600)).await;
    let mut line = world.open().await;
    let connected = tokio::time::timeout(Duration::from_secs(90), line.events.recv()).await;
    assert!(
        matches!(connected, Ok(Some(LinkEvent::Connected { .. }))),
        "{connected:?}"
    );
    world.write("comes in").await;
    eventually("the text", async || line.inbox.texts() == ["comes in"]).await;
    let early = send(&line.link, THEIRS, "early", DEADLINE).await;
    assert_eq!(early, Err(SendError::NotConnected));
    world.trouble(FaultKind::Backlog, None, Duration::ZERO).await;
    eventually("the end of what waited", async || {
        let sent = send(&line.link, THEIRS, "in time", DEADLINE).await;
        assert!(matches!(sent, Ok(_) | Err(SendError::NotConnected)), "{sent:?}");
        sent.is_ok()
    })
    .await;
    line.link.close().await;
}

#[tokio::test]
async fn a_server_that_says_nothing_shows_and_sends_time_out() {
    let (world, line) = World::paired().await;
    assert!(send(&line.link, THEIRS, "before", DEADLINE).await.is_ok());
    world.trouble(FaultKind::Stall, None, Duration::from_secs(60)).await;
    let short = Duration::from_secs(2);
    let sent = send(&line.link, THEIRS, "into the void", short).await;
    assert_eq!(sent, Err(SendError::TimedOut(short)));
    eventually("silence", async || line.link.silence() >= Some(short)).await;
    line.link.close().await;
    assert_eq!(line.link.silence(), None);
}

/// To a hidden id, whose number is known: the chat is that of the number's messages.
#[tokio::test]
async fn what_is_answered_late_and_what_fails_lie_in_the_chat_of_the_messages() {
    let (world, line) = World::paired().await;
    line.inbox.want(EventKinds::of([EventKind::Message, EventKind::Status]));
    world.write("first").await;
    eventually("the text", async || line.inbox.texts() == ["first"]).await;
    let chat = line.inbox.messages().remove(0).chat;
    let hidden = world.network.create_account(THEIRS).await.unwrap().lid;
    let message = wharf_domain::Outgoing::text(hidden.parse().unwrap(), "hello");
    assert_ne!(message.to.jid(), chat);
    assert!(line.link.send("3EB0A1B2C3D4", &message, DEADLINE).await.is_ok());
    let place = line.link.place(&message.to).now_or_never().flatten();
    let place = place.expect("it is known at once");
    assert_eq!(
        (&place.chat, place.to),
        (&chat, hidden.trim_end_matches("@lid").to_owned())
    );
    let late = || line.inbox.told().into_iter().find(|told| told.news == News::Sent);
    // Sooner or later one is given up between its sending and the server's answer.
    let one_late = async {
        for (n, soon) in (1..=20).cycle().map(Duration::from_millis).enumerate() {
            let sent = line.link.send(&format!("3EB0{n:08}"), &message, soon).await;
            assert!(sent.is_ok() || sent == Err(SendError::TimedOut(soon)), "{sent:?}");
            if let Some(late) = late() {
                return late;
            }
        }
        unreachable!("it goes on for ever")
    };
    let late = within("the server's word", one_late).await;
    assert_eq!(late.place.map(|place| place.chat), Some(chat));
    line.link.close().await;
}

#[tokio::test]
async fn a_send_that_waits_when_the_link_breaks_ends_at_once() {
    let (world, mut line) = World::paired().await;
    assert!(send(&line.link, THEIRS, "before", DEADLINE).await.is_ok());
    world.trouble(FaultKind::Stall, None, Duration::from_secs(60)).await;
    let link = line.link.clone();
    let sending = tokio::spawn(async move { send(&link, THEIRS, "lost", Duration::from_secs(300)).await });
    eventually("silence", async || line.link.silence() > Some(Duration::from_secs(1))).await;
    line.link.close().await;
    assert!(matches!(
        sending.await.unwrap(),
        Err(SendError::Failed(_) | SendError::NotConnected)
    ));
    assert_eq!(line.closed().await, CloseReason::Requested);
}

#[tokio::test]
async fn a_text_to_oneself_arrives_at_ones_phone() {
    let (_world, line) = World::paired().await;
    send(&line.link, OURS, "note", DEADLINE).await.unwrap();
    assert!(line.inbox.messages().is_empty());
    line.link.close().await;
}

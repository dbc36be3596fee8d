//! Tests of [`super`].

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use tokio::sync::mpsc;
use wharf_domain::{ClientId, MessageKind};

use super::*;
use crate::{Incoming, Link, SendError};

#[derive(Default)]
struct Counting {
    refusals: AtomicUsize,
    committed: AtomicUsize,
}

#[async_trait]
impl Inbox for Counting {
    async fn commit(&self, batch: Vec<Incoming>) -> Result<(), NotCommitted> {
        if self.refusals.load(Ordering::Relaxed) > 0 {
            self.refusals.fetch_sub(1, Ordering::Relaxed);
            return Err(NotCommitted("scripted".into()));
        }
        self.committed.fetch_add(batch.len(), Ordering::Relaxed);
        Ok(())
    }
}

fn key() -> ConnectionKey {
    ConnectionKey::new(ClientId(1), "5511999999999".parse().unwrap())
}

fn message() -> IncomingMessage {
    IncomingMessage {
        chat: "5511888888888@s.whatsapp.net".into(),
        sender: "5511888888888@s.whatsapp.net".into(),
        message_id: "3EB0".into(),
        from: "5511888888888".into(),
        timestamp: Timestamp(0),
        kind: MessageKind::Text,
        details: None,
        content: "hi".into(),
    }
}

async fn open(factory: &ScriptedFactory) -> (Arc<dyn Link>, mpsc::UnboundedReceiver<LinkEvent>) {
    let (sender, events) = mpsc::unbounded_channel();
    let link = factory
        .open(
            &key(),
            LinkOptions::default(),
            sender.into(),
            Arc::new(Counting::default()),
        )
        .await
        .unwrap();
    (link, events)
}

#[tokio::test]
async fn events_come_in_order_and_closed_ends_them() {
    let factory = ScriptedFactory::new();
    let (link, mut events) = open(&factory).await;
    let handle = factory.link(&key()).unwrap();
    assert_eq!(link.silence(), None);
    handle.qr("2@ref", Timestamp(60_000));
    handle.pair("5511999999999:1@s.whatsapp.net", "5511999999999");
    handle.connect("5511999999999:1@s.whatsapp.net", Some("Ana"));
    handle.silent_for(Duration::from_secs(50));
    assert_eq!(link.silence(), Some(Duration::from_secs(50)));
    handle.close(CloseReason::Replaced);
    link.close().await;
    handle.qr("2@late", Timestamp(0));

    let mut seen = Vec::new();
    while let Some(event) = events.recv().await {
        seen.push(event);
    }
    assert!(matches!(
        seen.as_slice(),
        [
            LinkEvent::Qr { .. },
            LinkEvent::Paired { .. },
            LinkEvent::Connected { .. },
            LinkEvent::Closed(CloseReason::Replaced)
        ]
    ));
    assert_eq!(
        factory.counters(),
        Counters {
            opened: 1,
            closed: 1,
            ..Counters::default()
        }
    );
    assert!(factory.link(&key()).is_none());
}

#[tokio::test(start_paused = true)]
async fn sends_are_recorded_and_answered_as_scripted() {
    let factory = ScriptedFactory::new();
    let (link, _events) = open(&factory).await;
    let handle = factory.link(&key()).unwrap();
    let deadline = Duration::from_secs(5);
    let send = async |text: &str| {
        let message = Outgoing::text("5511888888888".parse().unwrap(), text);
        link.send(text, &message, deadline).await
    };
    assert_eq!(send("early").await, Err(SendError::NotConnected));
    handle.connect("jid", None);
    assert!(send("one").await.is_ok());
    handle.on_send(SendScript::Refuse("463".into()));
    assert!(matches!(send("two").await, Err(SendError::Refused { code, .. }) if code == "463"));
    handle.on_send(SendScript::Hang);
    assert_eq!(send("three").await, Err(SendError::TimedOut(deadline)));
    handle.on_send(SendScript::Nobody);
    assert!(matches!(send("four").await, Err(SendError::NotOnWhatsApp(_))));
    handle.on_send(SendScript::Gone);
    assert_eq!(send("five").await, Err(SendError::NotConnected));
    let ids: Vec<_> = handle.sent().into_iter().map(|sent| sent.id).collect();
    assert_eq!(ids, ["one", "two", "three", "four"]);
    link.act(&Action::Groups, deadline).await.unwrap();
    assert_eq!(handle.acts(), [Action::Groups]);
    handle.on_send(SendScript::Hang);
    let (sent, ()) = tokio::join!(send("six"), async { handle.close(CloseReason::Lost("gone".into())) });
    assert!(matches!(sent, Err(SendError::Failed(_))), "{sent:?}");
}

#[tokio::test]
async fn deliveries_go_through_the_inbox() {
    let factory = ScriptedFactory::new();
    let inbox = Arc::new(Counting {
        refusals: AtomicUsize::new(1),
        ..Counting::default()
    });
    let link = factory
        .open(&key(), LinkOptions::default(), LinkEvents::new(drop), inbox.clone())
        .await
        .unwrap();
    let handle = factory.link(&key()).unwrap();
    assert!(handle.deliver(vec![message()]).await.is_err());
    assert!(handle.deliver(vec![message()]).await.is_ok());
    assert_eq!(inbox.committed.load(Ordering::Relaxed), 1);
    link.log_out().await.unwrap();
    assert!(handle.deliver(vec![message()]).await.is_err());
    assert_eq!(
        factory.counters(),
        Counters {
            opened: 1,
            closed: 1,
            logged_out: 1,
            forgotten: 0,
            overlaps: 0
        }
    );
}

#[tokio::test]
async fn opening_can_fail_and_panic_and_be_waited_for() {
    let factory = ScriptedFactory::new();
    let attempt = || {
        let factory = factory.clone();
        async move {
            factory
                .open(
                    &key(),
                    LinkOptions::default(),
                    LinkEvents::new(drop),
                    Arc::new(Counting::default()),
                )
                .await
                .map(drop)
        }
    };
    factory.on_open(OpenScript::Fail("no keys".into()));
    assert!(attempt().await.is_err());
    factory.on_open(OpenScript::Panic);
    assert!(std::panic::AssertUnwindSafe(attempt()).catch_unwind().await.is_err());
    factory.on_open(OpenScript::Open);
    let key = key();
    let (handle, opened) = tokio::join!(factory.wait_for_link(&key), attempt());
    opened.unwrap();
    assert!(!handle.is_closed());
    factory.forget(&key).await.unwrap();
    assert_eq!(
        factory.counters(),
        Counters {
            opened: 1,
            forgotten: 1,
            ..Counters::default()
        }
    );
}

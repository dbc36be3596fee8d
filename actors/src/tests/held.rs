//! Messages that no link will bring are reported, and what waits behind one that nobody waits for any more, or should have reported
//! long ago, is told.

use std::{pin::pin, time::Duration};

use futures::poll;
use wharf_domain::{
    ConnectionKey, ConnectionStatus, EventStatus, IncomingMessage, MessageKind, Timestamp, Webhook, retention::Keep,
    session::CloseReason,
};
use wharf_store::{AwaitedId, AwaitedMessage, Behind, NewEvent};
use wharf_whatsapp::Incoming;

use super::world::{WITHIN, World, message, number, settings};
use crate::{
    Settings, clock,
    persistence::{Arrival, Arrived, Write, new_event},
};

const CHAT: &str = "5511000000001";

fn awaited() -> AwaitedId {
    AwaitedId {
        message_id: "A".to_owned(),
        chat: format!("{CHAT}@s.whatsapp.net"),
        sender: format!("{CHAT}@s.whatsapp.net"),
    }
}

fn edit() -> IncomingMessage {
    IncomingMessage {
        kind: MessageKind::Edit,
        ..message(CHAT, "E", "better")
    }
}

fn event(key: &ConnectionKey, message: IncomingMessage) -> NewEvent {
    new_event(key, message, clock::now())
}

/// As the link writes down what the stanza of a text said.
const HEAD: &str = r#"{"sent_at":1762352580,"is_group":false,"is_change":false}"#;

impl World {
    /// A message is waited for that was to be reported so long ago.
    async fn misses(&self, webhook: &Webhook, head: &str, ago: Duration) {
        let overdue = AwaitedMessage {
            id: awaited(),
            head: head.to_owned(),
            due_at: Timestamp(clock::now().0 - i64::try_from(ago.as_millis()).unwrap()),
        };
        let persistence = &self.gateway.shared.persistence;
        let kept = persistence.commit(Write::KeepAwaited, (webhook.key(), vec![overdue]));
        kept.await.unwrap();
    }

    /// An edit waits behind a message, whose row cannot be read, that was to be reported so long ago.
    async fn holds(&self, webhook: &Webhook, ago: Duration) {
        self.misses(webhook, "{}", ago).await;
        self.edits(webhook).await;
    }

    /// An edit waits behind the message that is waited for.
    async fn edits(&self, webhook: &Webhook) {
        let (key, persistence) = (webhook.key(), &self.gateway.shared.persistence);
        let arrived = Arrived {
            all: vec![Arrival {
                event: Some(event(&key, edit())),
                behind: Some(awaited().into()),
                came: None,
            }],
            key,
        };
        persistence.commit(Write::RecordArrived, arrived).await.unwrap();
    }

    /// What was told of a number, in its order: ids and types.
    async fn told(&self, webhook: &Webhook, count: usize) -> Vec<(String, String)> {
        let mut told = self.wait_for_events(webhook, EventStatus::Delivered, count).await;
        told.sort_by_key(|event| event.sequence);
        let named = told.into_iter();
        named.map(|event| (event.message_id, event.message_type)).collect()
    }

    /// Waits until the janitor has been through two more rounds: the one that runs may have begun before.
    async fn cleans_twice(&self) {
        let mut cleaned = self.gateway.shared.cleaned.subscribe();
        let before = cleaned.borrow().cleaned;
        let rounds = cleaned.wait_for(|rounds| rounds.cleaned >= before + 2);
        tokio::time::timeout(WITHIN, rounds).await.expect("rounds end").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_janitor_tells_what_waits_in_vain_and_leaves_the_rest_to_the_link() {
    let mut keep = Keep::days(0, 0);
    keep.look_every = Duration::from_millis(200);
    let world = World::start_with(Settings { keep, ..settings() }).await;
    let client = world.add_client("a").await.id;
    let (here, _link) = world.linked(client, &number(1), "/ok").await;
    let (away, _) = world.linked(client, &number(2), "/ok").await;
    let (lately, _) = world.linked(client, &number(3), "/ok").await;
    let (opening, link) = world.linked(client, &number(4), "/ok").await;
    let (opening_long, other_link) = world.linked(client, &number(5), "/ok").await;
    for (of, link) in [(4, link), (5, other_link)] {
        link.close(CloseReason::Lost("first".into()));
        world
            .wait_for_status(client, &number(of), ConnectionStatus::Connecting)
            .await;
    }
    for of in [2, 3] {
        world.gateway.disconnect(client, &number(of)).await.unwrap();
        world
            .wait_for_status(client, &number(of), ConnectionStatus::Disconnected)
            .await;
    }
    let long = Duration::from_secs(3600);
    world.holds(&here, 2 * long).await;
    world.holds(&opening, long / 2).await;
    world.holds(&opening_long, 2 * long).await;
    world.holds(&lately, Duration::from_secs(60)).await;
    world.holds(&away, long).await;
    let told = world.wait_for_events(&away, EventStatus::Delivered, 1).await;
    assert_eq!(told[0].message_id, "E");
    world.wait_for_events(&opening_long, EventStatus::Delivered, 1).await;
    world.cleans_twice().await;
    for webhook in [&here, &lately, &opening] {
        assert!(world.events(webhook).await.is_empty());
    }

    // Whatever became of the message that it waits for.
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    assert!(group.end_awaited(&here.key(), &awaited()).await.unwrap());
    group.commit().await.unwrap();
    world.wait_for_events(&here, EventStatus::Delivered, 1).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_message_with_the_same_id_ends_no_wait() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    world.holds(&webhook, Duration::ZERO).await;
    let came = Incoming {
        came: Some(awaited()),
        ..message(CHAT, "A", "good").into()
    };
    let batch = vec![message("5511000000002", "A", "a stranger's").into(), came];
    link.inbox().commit(batch).await.unwrap();
    let mut told = world.wait_for_events(&webhook, EventStatus::Delivered, 3).await;
    told.sort_by_key(|event| event.sequence);
    let told: Vec<_> = told
        .iter()
        .map(|event| (event.from.as_str(), event.message_type.as_str()))
        .collect();
    assert_eq!(told, [("5511000000002", "text"), (CHAT, "text"), (CHAT, "edit")]);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_to_wait_follows_a_message_of_the_same_batch() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    world.holds(&webhook, Duration::ZERO).await;
    let edit = |n: usize| Incoming {
        behind: Some(awaited().into()),
        ..IncomingMessage {
            kind: MessageKind::Edit,
            ..message(CHAT, &format!("E{n}"), "better")
        }
        .into()
    };
    let came = Incoming {
        came: Some(awaited()),
        ..message(CHAT, "A", "good").into()
    };
    let batch = (0..70).map(edit).chain([came, message(CHAT, "B", "more").into()]);
    link.inbox().commit(batch.collect()).await.unwrap();
    let mut told = world.wait_for_events(&webhook, EventStatus::Delivered, 73).await;
    told.sort_by_key(|event| event.sequence);
    let told: Vec<_> = told.iter().map(|event| event.message_id.clone()).collect();
    let edits = (0..70).map(|n| format!("E{n}"));
    let expected = ["A".to_owned(), "E".to_owned()]
        .into_iter()
        .chain(edits)
        .chain(["B".to_owned()]);
    assert_eq!(told, expected.collect::<Vec<_>>());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_committed_is_found_where_its_message_comes() {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    world.holds(&webhook, Duration::ZERO).await;
    let inbox = link.inbox();
    // From here on there is room in the queue without a look at the store.
    inbox.commit(vec![message(CHAT, "B", "more").into()]).await.unwrap();
    let mut other = world.store.writer().await.unwrap();
    let lock = other.begin().await.unwrap();
    let sealed = Incoming {
        behind: Some(Behind {
            id: awaited(),
            sealed: Some(b"F".to_vec()),
        }),
        ..message(CHAT, "F", "as it came").into()
    };
    let mut committing = pin!(inbox.commit(vec![sealed]));
    assert!(poll!(&mut committing).is_pending());
    let id = awaited();
    let mut reading = pin!(inbox.sealed_behind(&id));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut reading).await;
    early.expect_err("it waits for what is on its way");
    drop(lock);
    drop(other);
    committing.await.unwrap();
    assert_eq!(reading.await.unwrap(), [b"F"]);
    world.gateway.stop().await;
}

fn missed_and_edited() -> Vec<(String, String)> {
    [("A", "unknown"), ("E", "edit")]
        .map(|(id, kind)| (id.to_owned(), kind.to_owned()))
        .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_janitor_reports_what_no_link_brings_in_a_day_or_ever() {
    let mut keep = Keep::days(0, 0);
    keep.look_every = Duration::from_millis(200);
    let world = World::start_with(Settings { keep, ..settings() }).await;
    let client = world.add_client("a").await.id;
    let (here, _link) = world.linked(client, &number(1), "/ok").await;
    let (unlinked, link) = world.linked(client, &number(2), "/ok").await;
    let (away, _) = world.linked(client, &number(3), "/ok").await;
    let (lately, _) = world.linked(client, &number(4), "/ok").await;
    link.close(CloseReason::LoggedOut("on the phone".into()));
    world
        .wait_for_status(client, &number(2), ConnectionStatus::LoggedOut)
        .await;
    for of in [3, 4] {
        world.gateway.disconnect(client, &number(of)).await.unwrap();
        world
            .wait_for_status(client, &number(of), ConnectionStatus::Disconnected)
            .await;
    }
    let hour = Duration::from_secs(3600);
    world.misses(&here, HEAD, 48 * hour).await;
    world.misses(&lately, HEAD, 23 * hour).await;
    world.misses(&away, HEAD, 25 * hour).await;
    world.misses(&unlinked, HEAD, hour).await;
    world.edits(&unlinked).await;
    assert_eq!(world.told(&unlinked, 2).await, missed_and_edited());
    assert_eq!(world.told(&away, 1).await, missed_and_edited()[..1]);
    world.cleans_twice().await;
    for webhook in [&here, &lately] {
        assert!(world.events(webhook).await.is_empty());
        assert_eq!(world.store.awaited_messages(&webhook.key()).await.unwrap().len(), 1);
    }
    assert!(world.store.awaited_messages(&away.key()).await.unwrap().is_empty());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_is_deleted_reports_what_it_waits_for() {
    let world = World::start().await;
    let (_, webhook, _link) = world.client_with_webhook("/ok").await;
    world.misses(&webhook, HEAD, Duration::ZERO).await;
    world.edits(&webhook).await;
    let key = webhook.key();
    world
        .gateway
        .delete_connection(key.client_id, &key.phone_number)
        .await
        .unwrap();
    assert_eq!(world.told(&webhook, 2).await, missed_and_edited());
    world.gateway.stop().await;
}

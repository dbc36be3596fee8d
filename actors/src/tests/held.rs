//! What waits behind a message that nobody waits for any more, or should have reported long ago, is told.

use std::time::Duration;

use wharf_domain::{ConnectionKey, ConnectionStatus, EventStatus, MessageKind, Timestamp, Webhook, retention::Keep};
use wharf_store::{AwaitedId, AwaitedMessage, NewEvent};

use super::world::{WITHIN, World, message, number, settings};
use crate::{
    Settings, clock,
    persistence::{Arrived, Write, new_event},
};

const CHAT: &str = "5511000000001";

fn awaited() -> AwaitedId {
    AwaitedId {
        message_id: "A".to_owned(),
        chat: format!("{CHAT}@s.whatsapp.net"),
        sender: format!("{CHAT}@s.whatsapp.net"),
    }
}

fn edit(key: &ConnectionKey) -> NewEvent {
    let mut edit = message(CHAT, "E", "better");
    edit.kind = MessageKind::Edit;
    new_event(key, edit, clock::now())
}

impl World {
    /// An edit waits behind a message that was to be reported so long ago.
    async fn holds(&self, webhook: &Webhook, ago: Duration) {
        let (key, persistence) = (webhook.key(), &self.gateway.shared.persistence);
        let overdue = AwaitedMessage {
            id: awaited(),
            head: "{}".to_owned(),
            due_at: Timestamp(clock::now().0 - i64::try_from(ago.as_millis()).unwrap()),
        };
        let kept = persistence.commit(Write::KeepAwaited, (key.clone(), vec![overdue]));
        kept.await.unwrap();
        let arrived = Arrived {
            events: vec![(edit(&key), Some(awaited().into()))],
            came: Vec::new(),
            key,
        };
        persistence.commit(Write::RecordArrived, arrived).await.unwrap();
    }

    /// Waits until the janitor has been through two more rounds: the one that runs may have begun before.
    async fn cleans_twice(&self) {
        let mut cleaned = self.gateway.shared.cleaned.subscribe();
        for _ in 0..2 {
            let round = cleaned.changed();
            tokio::time::timeout(WITHIN, round)
                .await
                .expect("a round ends")
                .unwrap();
        }
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
    for of in [2, 3] {
        world.gateway.disconnect(client, &number(of)).await.unwrap();
        world
            .wait_for_status(client, &number(of), ConnectionStatus::Disconnected)
            .await;
    }
    let long = Duration::from_secs(3600);
    world.holds(&here, long).await;
    world.holds(&lately, Duration::from_secs(60)).await;
    world.holds(&away, long).await;
    let told = world.wait_for_events(&away, EventStatus::Delivered, 1).await;
    assert_eq!(told[0].message_id, "E");
    world.cleans_twice().await;
    for webhook in [&here, &lately] {
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

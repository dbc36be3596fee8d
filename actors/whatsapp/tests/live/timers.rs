//! Chats whose messages disappear.

use std::{sync::Arc, time::Duration};

use wharf_domain::{
    GroupId,
    action::{Action, GroupPatch},
};
use wharf_testnet::{GroupChange, Network, NewMessage};
use wharf_whatsapp::Link;

use crate::support::{OURS, THEIRS, World, eventually, send};

const DEADLINE: Duration = Duration::from_secs(20);

/// After how long a text disappears that is sent there and arrives at their phone.
async fn expires(network: &Network, link: &Arc<dyn Link>, to: &str) -> Option<u32> {
    let id = send(link, to, "hello", DEADLINE).await.unwrap();
    let find = async || {
        let messages = network.messages(THEIRS).await.unwrap();
        messages.into_iter().find(|message| message.id == id)
    };
    eventually("the message", async || find().await.is_some()).await;
    find().await.unwrap().details.and_then(|details| details.ephemeral)
}

#[tokio::test]
async fn what_is_sent_into_a_chat_with_a_timer_disappears_also_after_a_restart() {
    let mut world = World::start().await;
    let network = world.network.clone();
    let line = world.pair().await;
    assert_eq!(expires(&network, &line.link, THEIRS).await, None);
    let mut timed = NewMessage::text("for a day");
    timed.options.ephemeral = Some(86_400);
    network.send(THEIRS, OURS, &timed).await.unwrap();
    eventually("their message", async || line.inbox.texts() == ["for a day"]).await;
    // It is learnt behind the commit.
    eventually("one that disappears", async || {
        expires(&network, &line.link, THEIRS).await == Some(86_400)
    })
    .await;
    line.link.close().await;

    world.restart();
    let mut line = world.open().await;
    line.connected().await;
    assert_eq!(expires(&network, &line.link, THEIRS).await, Some(86_400));
    line.link.close().await;
}

#[tokio::test]
async fn a_groups_timer_is_asked_for_and_followed() {
    let world = World::start().await;
    let network = &world.network;
    let line = world.pair().await;
    let group = network
        .create_group(OURS, "Harbour", &[THEIRS.to_owned()])
        .await
        .unwrap();
    let set = async |seconds| {
        let change = GroupChange {
            ephemeral: Some(seconds),
            ..GroupChange::default()
        };
        network.change_group(&group.id, change).await.unwrap();
    };
    set(604_800).await;
    let sent = async || expires(network, &line.link, &group.id).await;
    eventually("a week", async || sent().await == Some(604_800)).await;
    set(86_400).await;
    eventually("a day", async || sent().await == Some(86_400)).await;
    set(0).await;
    eventually("for ever", async || sent().await.is_none()).await;

    // By a request of our own, of which nobody tells us.
    let id: GroupId = group.id.parse().unwrap();
    let patch = GroupPatch {
        ephemeral_seconds: Some(7_776_000),
        ..GroupPatch::default()
    };
    let change = Action::ChangeGroup { group: id, patch };
    line.link.act(&change, DEADLINE).await.unwrap();
    assert_eq!(sent().await, Some(7_776_000));
    line.link.close().await;
}

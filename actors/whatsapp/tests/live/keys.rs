//! What a link does with its keys when they cannot be written, and after it ended.

use std::{sync::atomic::Ordering, time::Duration};

use wharf_store::{KeyKind, StoredKey};
use wharf_testnet::ReceivedMessage;
use wharf_whatsapp::{CloseReason, LinkFactory, SendError};

use crate::support::{OURS, THEIRS, World, eventually, key, send};

const DEADLINE: Duration = Duration::from_secs(20);
/// More than the counters of one lease, so that a new one is needed on the way.
const MANY: usize = 70;

fn texts(messages: Vec<ReceivedMessage>) -> Vec<String> {
    messages.into_iter().map(|message| message.text).collect()
}

#[tokio::test]
async fn what_cannot_be_made_durable_stays_off_the_wire() {
    let (mut world, line) = World::paired().await;
    send(&line.link, THEIRS, "first", DEADLINE).await.unwrap();

    world.keeper.refuse(true);
    let mut sent = vec!["first".to_owned()];
    let mut refused = 0;
    for n in 0..MANY {
        let text = format!("while refused {n}");
        match send(&line.link, THEIRS, &text, DEADLINE).await {
            Ok(_) => sent.push(text),
            Err(SendError::Failed(_)) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 0, "no lease covers {MANY} messages");
    world.keeper.refuse(false);
    for n in 0..3 {
        let text = format!("again {n}");
        send(&line.link, THEIRS, &text, DEADLINE).await.unwrap();
        sent.push(text);
    }
    eventually("exactly what was reported as sent", async || {
        texts(world.network.messages(THEIRS).await.unwrap()) == sent
    })
    .await;

    // What is on the disk is as good as what was in memory.
    line.link.close().await;
    world.restart();
    let mut line = world.open().await;
    line.connected().await;
    send(&line.link, THEIRS, "after the restart", DEADLINE).await.unwrap();
    sent.push("after the restart".to_owned());
    eventually("the session goes on", async || {
        texts(world.network.messages(THEIRS).await.unwrap()) == sent
    })
    .await;
    world.write("and back").await;
    eventually("an answer", async || line.inbox.texts() == ["and back"]).await;
    assert_eq!(world.network.stats().await.reused_keys, 0);
    line.link.close().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_kept_is_not_acknowledged() {
    let (world, line) = World::paired().await;
    world.write("before").await;
    eventually("the first text", async || line.inbox.texts() == ["before"]).await;
    world.keeper.refuse(true);
    let id = world.write("meanwhile").await;
    // It is decrypted and neither offered nor acknowledged while its copy cannot be written.
    let refused = || world.keeper.refused.load(Ordering::Relaxed);
    let before = refused();
    eventually("two tries", async || refused() > before + 1).await;
    assert_eq!((line.inbox.texts().len(), world.acknowledged(&id).await), (1, 0));
    line.link.close().await;
    world.keeper.refuse(false);
    let mut line = world.open_into(line.inbox).await;
    line.connected().await;
    eventually("it comes again", async || line.inbox.texts() == ["before", "meanwhile"]).await;
    eventually("its receipt", async || world.acknowledged(&id).await > 0).await;
    line.link.close().await;
}

/// The client writes its ratchets as soon as it can, whatever became of the messages that moved them.
#[tokio::test]
async fn a_message_that_could_not_be_kept_for_a_moment_is_not_lost() {
    let (world, line) = World::paired().await;
    world.write("before").await;
    eventually("the first text", async || line.inbox.texts() == ["before"]).await;
    world.keeper.refuse(true);
    let refused = || world.keeper.refused.load(Ordering::Relaxed);
    let before = refused();
    let id = world.write("meanwhile").await;
    eventually("two tries", async || refused() > before + 1).await;
    world.keeper.refuse(false);
    eventually("it is there", async || line.inbox.texts() == ["before", "meanwhile"]).await;
    eventually("its receipt", async || world.acknowledged(&id).await > 0).await;
    line.link.close().await;
}

#[tokio::test]
async fn a_message_that_could_not_be_kept_ends_the_link_and_comes_with_the_next() {
    let world = World::with(|config| config.inbox_patience = Duration::from_millis(500)).await;
    let mut line = world.pair().await;
    world.write("before").await;
    eventually("the first text", async || line.inbox.texts() == ["before"]).await;
    world.keeper.refuse(true);
    let id = world.write("meanwhile").await;
    let reason = line.closed().await;
    assert!(
        matches!(&reason, CloseReason::Lost(why) if why.contains("stored")),
        "{reason:?}"
    );
    world.keeper.refuse(false);
    line.link.close().await;
    assert_eq!((line.inbox.texts().len(), world.acknowledged(&id).await), (1, 0));
    let mut line = world.open_into(line.inbox).await;
    line.connected().await;
    eventually("it comes again", async || line.inbox.texts() == ["before", "meanwhile"]).await;
    eventually("its receipt", async || world.acknowledged(&id).await > 0).await;
    line.link.close().await;
}

/// By the names that the client itself has for devices and sessions: whoever is not found gets the key with each message.
#[tokio::test]
async fn who_got_the_key_of_a_group_is_known_to_have_it() {
    let (world, line) = World::paired().await;
    let group = world.network.create_group(OURS, "Harbour", &[THEIRS.to_owned()]).await;
    send(&line.link, &group.unwrap().id, "hello", DEADLINE).await.unwrap();
    let hidden = world.network.create_account(THEIRS).await.unwrap().lid;
    let kind = KeyKind::SenderKeyDevice;
    let cipher = world.keys.keeper.cipher(&key()).unwrap();
    eventually("it is known", async || {
        let rows = world.keys.store.keys_of(&key(), kind, b"").await.unwrap();
        let has_key = |row: &StoredKey| cipher.open(kind, &row.name, &row.value).unwrap() == [1];
        let given: Vec<_> = rows.into_iter().filter(has_key).map(|row| row.name).collect();
        given.len() == 1 && given[0].ends_with(hidden.as_bytes())
    })
    .await;
    line.link.close().await;
}

#[tokio::test]
async fn a_number_that_is_forgotten_leaves_no_key() {
    let (world, line) = World::paired().await;
    send(&line.link, THEIRS, "hi", DEADLINE).await.unwrap();
    line.link.close().await;
    let kept = async |kind| world.keys.store.keys_of(&key(), kind, b"").await.unwrap().len();
    for kind in [KeyKind::Device, KeyKind::Session, KeyKind::PreKey, KeyKind::SyncKey] {
        assert!(kept(kind).await > 0, "{kind:?}");
    }
    world.factory.forget(&key()).await.unwrap();
    assert_eq!(kept(KeyKind::Device).await, 0, "at once");
    // As whoever forgets a number does then.
    world.keys.keeper.remove_left(&key()).await.unwrap();
    for kind in KeyKind::ALL {
        assert_eq!(kept(kind).await, 0, "{kind:?}");
    }
    assert!(world.keeper.commits() > 0);
    world.factory.forget(&key()).await.unwrap();
}

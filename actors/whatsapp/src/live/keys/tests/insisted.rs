//! Reads of a store that is away.

use std::fs;

use tokio::sync::mpsc;
use wharf_store::{Store, StoreOptions};
use whatsapp_rust::store::traits::{ProtocolStore, SignalStore};

use super::{DeviceKeys, KeyStore, PATIENCE, Reporter, World, numbers};

/// The same keys in a store of which nothing was read yet, and the link that reads them.
async fn unread(world: &World) -> (DeviceKeys, std::sync::Arc<Reporter>) {
    let options = StoreOptions {
        url: format!("sqlite://{}", database(world).display()),
        readers: 1,
        exclusive: false,
    };
    let keys = KeyStore {
        store: Store::open(&options).await.unwrap(),
        ..world.keys.clone()
    };
    let link = Reporter::new(numbers()[0].clone(), mpsc::unbounded_channel().0);
    let device = DeviceKeys::new(&keys, std::sync::Arc::clone(&link), PATIENCE).unwrap();
    (device, link)
}

fn database(world: &World) -> std::path::PathBuf {
    world.dir.path().join("wharf.db")
}

#[tokio::test]
async fn what_a_message_is_decrypted_with_is_read_when_the_store_is_back() {
    let world = World::start().await;
    let writing = world.device(&numbers()[0]);
    writing.put_session("1@s", b"session").await.unwrap();
    let (keys, link) = unread(&world).await;
    let (there, away) = (database(&world), world.dir.path().join("away"));
    fs::rename(&there, &away).unwrap();
    let mut reading = Box::pin(keys.get_session("1@s"));
    let early = tokio::time::timeout(PATIENCE / 3, reading.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    fs::rename(&away, &there).unwrap();
    assert_eq!(reading.await.unwrap().unwrap(), b"session".as_slice());
    assert!(!link.over().is_cancelled());
}

#[tokio::test]
async fn a_store_that_stays_away_ends_the_link_and_answers_nobody() {
    let world = World::start().await;
    let (keys, link) = unread(&world).await;
    fs::rename(database(&world), world.dir.path().join("away")).unwrap();
    let reading = keys.get_sender_key("1@s");
    tokio::select! {
        answered = reading => panic!("the client would refuse the message for good: {answered:?}"),
        () = link.over().cancelled() => {}
    }
    let copy = tokio::time::timeout(PATIENCE / 3, keys.get_pending_inbound("c", "s", "1")).await;
    assert!(copy.is_err(), "{copy:?}");
}

//! Reads of a store that is away.

use std::{fs, time::Duration};

use tokio::time::timeout;
use wharf_store::{Store, StoreOptions};
use whatsapp_rust::store::traits::{ProtocolStore, SignalStore};

use super::{DeviceKeys, KeyStore, LinkEvents, PATIENCE, Reporter, World, numbers};

/// Long enough for a loaded machine; a passing test waits for a fraction of it.
const WITHIN: Duration = Duration::from_secs(60);
/// How long it is looked whether somebody is answered after all.
const A_WHILE: Duration = Duration::from_millis(250);

/// The same keys in a store of which nothing was read yet, and the link that reads them and refuses a message for so long.
async fn unread(world: &World, patience: Duration) -> (DeviceKeys, std::sync::Arc<Reporter>) {
    let options = StoreOptions {
        url: format!("sqlite://{}", database(world).display()),
        readers: 1,
        exclusive: false,
    };
    let keys = KeyStore {
        store: Store::open(&options).await.unwrap(),
        ..world.keys.clone()
    };
    let link = Reporter::new(numbers()[0].clone(), LinkEvents::new(drop));
    let device = DeviceKeys::new(&keys, std::sync::Arc::clone(&link), patience).unwrap();
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
    let (keys, link) = unread(&world, WITHIN).await;
    let (there, away) = (database(&world), world.dir.path().join("away"));
    fs::rename(&there, &away).unwrap();
    let mut reading = Box::pin(keys.get_session("1@s"));
    let early = timeout(A_WHILE, reading.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    fs::rename(&away, &there).unwrap();
    let read = timeout(WITHIN, reading).await.expect("it is asked again");
    assert_eq!(read.unwrap().unwrap(), b"session".as_slice());
    assert!(!link.over().is_cancelled());
}

#[tokio::test]
async fn a_store_that_stays_away_ends_the_link_and_answers_nobody() {
    let world = World::start().await;
    let (keys, link) = unread(&world, PATIENCE).await;
    fs::rename(database(&world), world.dir.path().join("away")).unwrap();
    let ended = async {
        tokio::select! {
            answered = keys.get_sender_key("1@s") => panic!("the client would refuse the message for good: {answered:?}"),
            () = link.over().cancelled() => {}
        }
    };
    timeout(WITHIN, ended).await.expect("the link ends");
    let copy = timeout(A_WHILE, keys.get_pending_inbound("c", "s", "1")).await;
    assert!(copy.is_err(), "{copy:?}");
}

//! The keys of linked devices: committed with everything else, encrypted, and refused where everything else is.

use std::sync::Arc;

use futures::future::join_all;
use wharf_domain::ConnectionKey;
use wharf_store::{KeyChange, KeyKind, KeyRange, StoredKey};
use wharf_whatsapp::{KeyStore, KeysError, ScriptedFactory};

use super::world::{World, message, number, open_store, settings};
use crate::{Gateway, SecretsKey, Settings, StartError, VaultError};

/// Nothing else in a database looks like this.
const MARK: &[u8] = b"the private half of a ratchet";

/// A second gateway on the world's database would be one writer too many: this one's own keys.
fn keys(world: &World) -> KeyStore {
    KeyStore {
        store: world.store.clone(),
        keeper: world.gateway.key_keeper(),
    }
}

fn put(keys: &KeyStore, of: &ConnectionKey, name: &str, value: &[u8]) -> KeyChange {
    let sealed = keys
        .keeper
        .cipher(of)
        .unwrap()
        .seal(KeyKind::Session, name.as_bytes(), value);
    KeyChange::Put(StoredKey::new(KeyKind::Session, name, sealed.unwrap()))
}

/// A client with a linked number.
async fn linked(world: &World) -> (ConnectionKey, wharf_whatsapp::ScriptedHandle) {
    let (client, _, link) = world.client_with_webhook("/ok").await;
    let of = ConnectionKey::new(client, number(1));
    (of, link)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_messages_share_their_commits() {
    let world = World::start().await;
    let (of, link) = linked(&world).await;
    let keys = keys(&world);
    let before = world.gateway.commits();
    let messages = (0..200).map(|n| link.deliver(vec![message("5511000000001", &format!("M{n}"), "text")]));
    let changes = (0..200).map(|n| keys.keeper.commit(&of, vec![put(&keys, &of, &format!("{n}@s"), b"1")]));
    let (messages, changes) = futures::join!(join_all(messages), join_all(changes));
    assert!(messages.into_iter().all(|kept| kept.is_ok()) && changes.into_iter().all(|kept| kept.is_ok()));
    let now = world.gateway.commits();
    let (commits, writes) = (now.commits - before.commits, now.writes - before.writes);
    assert!(
        writes >= 400 && commits < writes / 4,
        "{commits} commits for {writes} writes"
    );
    assert_eq!(keys.store.keys_of(&of, KeyKind::Session, b"").await.unwrap().len(), 200);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_show_no_key_and_another_secret_opens_none() {
    let world = World::start().await;
    let (of, _link) = linked(&world).await;
    let keys = keys(&world);
    keys.keeper
        .commit(&of, vec![put(&keys, &of, "1@s", MARK)])
        .await
        .unwrap();
    let row = keys.store.key(&of, KeyKind::Session, b"1@s").await.unwrap().unwrap();
    let opened = keys
        .keeper
        .cipher(&of)
        .unwrap()
        .open(KeyKind::Session, b"1@s", &row.value);
    assert_eq!(opened.unwrap(), MARK);
    let paths = std::fs::read_dir(world.dir.path())
        .unwrap()
        .map(|file| file.unwrap().path());
    for path in paths.filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(
            !bytes.windows(MARK.len()).any(|part| part == MARK),
            "{}",
            path.display()
        );
    }
    world.gateway.stop().await;

    // The webhooks' secrets were made with the file's key, too; without them the keys alone are noticed.
    let store = open_store(&world.dir).await;
    let other: SecretsKey = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=".parse().unwrap();
    let other = Settings {
        secrets_key: Some(other),
        ..settings()
    };
    let started = Gateway::start(other, store, Arc::new(ScriptedFactory::new())).await;
    assert!(matches!(started, Err(StartError::Secrets(VaultError::WrongKey(_)))));
}

/// The one key of a device that there is, and a webhook's secret that opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_value_does_not_end_the_start_for_all() {
    let world = World::start().await;
    let (of, _link) = linked(&world).await;
    let damaged = StoredKey::new(KeyKind::Session, "1@s", b"damaged".to_vec());
    let put = vec![KeyChange::Put(damaged)];
    keys(&world).keeper.commit(&of, put).await.unwrap();
    world.gateway.stop().await;

    let store = open_store(&world.dir).await;
    let gateway = Gateway::start(settings(), store, Arc::new(ScriptedFactory::new())).await;
    gateway.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_without_a_connection_are_refused_alone() {
    let world = World::start().await;
    let (of, link) = linked(&world).await;
    let keys = keys(&world);
    let nobody = ConnectionKey::new(of.client_id, number(2));
    let bad = keys.keeper.commit(&nobody, vec![put(&keys, &nobody, "1@s", b"1")]);
    let good = keys.keeper.commit(&of, vec![put(&keys, &of, "1@s", b"1")]);
    let delivered = link.deliver(vec![message("5511000000001", "M1", "text")]);
    let (bad, good, delivered) = futures::join!(bad, good, delivered);
    assert!(matches!(bad, Err(KeysError::Rejected(_))), "{bad:?}");
    assert!(good.is_ok() && delivered.is_ok());
    assert_eq!(world.gateway.ready().await, Ok(()), "that is nobody's trouble");

    world.gateway.delete_connection(of.client_id, &number(1)).await.unwrap();
    assert_eq!(keys.store.any_key().await.unwrap(), None);
    world.gateway.stop().await;
}

/// A group may have thousands of devices, a collection of settings a hundred thousand entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_that_go_at_once_go_in_steps() {
    let world = World::start().await;
    let (of, _link) = linked(&world).await;
    let keys = keys(&world);
    let many = |prefix: &str| {
        (0..2_000)
            .map(|n| put(&keys, &of, &format!("{prefix}{n}"), b"1"))
            .collect()
    };
    for prefix in ["a", "b"] {
        keys.keeper.commit(&of, many(prefix)).await.unwrap();
    }
    let range = KeyRange::Beginning(KeyKind::Session, b"a".to_vec());
    world.cleaned().await;
    let before = world.gateway.commits();
    assert_eq!(keys.keeper.remove(&of, range.clone()).await, Ok(2_000));
    let steps = world.gateway.commits().writes - before.writes;
    assert!(steps > 3, "{steps}");
    assert_eq!(keys.keeper.remove(&of, range).await, Ok(0));
    assert_eq!(
        keys.store.keys_of(&of, KeyKind::Session, b"").await.unwrap().len(),
        2_000
    );
    world.gateway.stop().await;
}

/// As when it ended while they were being removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_process_removes_what_a_device_left() {
    let world = World::start().await;
    let (of, _link) = linked(&world).await;
    world.linked(of.client_id, &number(2), "/ok").await;
    let neighbour = ConnectionKey {
        phone_number: number(2),
        ..of.clone()
    };
    let keys = keys(&world);
    let many = (0..200).map(|n| put(&keys, &of, &format!("{n}@s"), b"1")).collect();
    keys.keeper.commit(&of, many).await.unwrap();
    let device = KeyChange::Put(StoredKey::new(KeyKind::Device, "", Vec::new()));
    let kept = vec![device, put(&keys, &neighbour, "1@s", b"1")];
    keys.keeper.commit(&neighbour, kept).await.unwrap();
    world.gateway.stop().await;
    let left = world.store.has_left_keys(&of).await.unwrap();
    assert!(left, "nobody has removed them yet");

    let store = open_store(&world.dir).await;
    let next = Gateway::start(settings(), store.clone(), Arc::new(ScriptedFactory::new())).await;
    let next = next.unwrap();
    wharf_support::wait_until("they are gone", super::world::WITHIN, || async {
        (!store.has_left_keys(&of).await.unwrap()).then_some(())
    })
    .await;
    assert_eq!(store.keys_of(&neighbour, KeyKind::Session, b"").await.unwrap().len(), 1);
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_keys_and_keeps_what_was_there() {
    let world = World::start_on("?max_page_count=200").await;
    let (of, _link) = linked(&world).await;
    let keys = keys(&world);
    let (mut last, mut refused) = (0_u8, None);
    while refused.is_none() {
        let next = last + 1;
        let values = (0..40).map(|n| put(&keys, &of, &format!("{next}:{n}@s"), &[next; 900]));
        match keys.keeper.commit(&of, values.collect()).await {
            Ok(_) => last = next,
            Err(error) => refused = Some(error),
        }
    }
    assert!(matches!(refused, Some(KeysError::Unavailable(why)) if why.contains("space")));
    let kept = keys.store.keys_of(&of, KeyKind::Session, b"").await.unwrap();
    assert_eq!(kept.len(), usize::from(last) * 40, "all of a change or nothing");
    assert!(world.gateway.ready().await.is_err());
    keys.keeper.remove_left(&of).await.unwrap();
    wharf_support::wait_until("there is room again", super::world::WITHIN, || async {
        world.gateway.ready().await.ok()
    })
    .await;
    world.gateway.stop().await;
}

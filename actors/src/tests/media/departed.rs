//! Files of clients that are gone: nothing is left that no row knows of.

use std::fs;

use uuid::Uuid;
use wharf_domain::{EventId, EventStatus};
use wharf_support::wait_until;

use super::{files_below, host::Act, host::Host, path_of, picture, with_media};
use crate::{
    Gateway, MediaSettings, clock,
    tests::world::{WITHIN, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_comes_when_its_client_is_gone_is_not_kept() {
    for is_pulled in [false, true] {
        a_file_comes_late(is_pulled).await;
    }
}

async fn a_file_comes_late(is_pulled: bool) {
    let host = Host::start().await;
    let world = World::start_with(with_media(&host, MediaSettings::default())).await;
    let (client, _, link) = match is_pulled {
        true => world.client_that_pulls().await,
        false => world.client_with_webhook("/ok").await,
    };
    let slow = picture(&host, "5511999999999", "M1", 300_000);
    host.script(&path_of(&slow), [Act::Hang]);
    link.deliver(vec![slow]).await.unwrap();
    let directory = world.dir.path().join("media");
    wait_until("half of it is here", WITHIN, || async { files_below(&directory) == 1 }).await;
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    group.remove_client(client, clock::now()).await.unwrap();
    group.commit().await.unwrap();
    wait_until("the client is gone", WITHIN, || async {
        world.store.removed_clients().await.unwrap().is_empty()
    })
    .await;
    host.go_on();
    wait_until("no file is left", WITHIN, || async { files_below(&directory) == 0 }).await;
    assert_eq!(world.store.strays().await.unwrap(), [""; 0]);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_left_of_a_removed_client_goes_at_the_next_start() {
    let host = Host::start().await;
    let more = with_media(&host, MediaSettings::default());
    let mut world = World::start_with(more.clone()).await;
    let (client, webhook, link) = world.client_with_webhook("/ok").await;
    link.deliver(vec![picture(&host, "5511999999999", "M1", 100)])
        .await
        .unwrap();
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;
    world.gateway.stop().await;
    let directory = world.dir.path().join("media");
    // Of an older database, which knows nothing of the one and would not of the other.
    let old = EventId(Uuid::from_u128(
        (u128::from(clock::now().0.unsigned_abs()) - 8 * 86_400_000) << 80,
    ));
    let unknown = world.gateway.shared.media.files.path(client, old);
    let young = world.gateway.shared.media.files.path(client, EventId(Uuid::now_v7()));
    for file in [&unknown, &young] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "x").unwrap();
    }
    let left = directory.join("4711").join("01a20a");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("01a20a72eabd73e093f2626b9513b3cb"), "x").unwrap();
    // Not a client's: somebody put it there.
    fs::create_dir_all(directory.join("notes")).unwrap();
    world.gateway = Gateway::start(more, world.store.clone(), std::sync::Arc::new(world.links.clone()))
        .await
        .unwrap();
    wait_until("it is gone", WITHIN, || async { !directory.join("4711").exists() }).await;
    wait_until("what is old and unknown is gone", WITHIN, || async {
        !unknown.exists()
    })
    .await;
    assert!(young.exists());
    assert_eq!(files_below(&directory), 2, "whose client is there stays");
    assert!(directory.join("notes").exists());
    world.gateway.stop().await;
}

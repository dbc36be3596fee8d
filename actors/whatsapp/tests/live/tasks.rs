//! What a link leaves behind: nothing.

use std::{sync::Arc, time::Duration};

use wharf_testnet::FaultKind;
use wharf_whatsapp::CloseReason;

use crate::support::{OURS, World, eventually};

/// Runs a test on a current-thread runtime of its own, as an Arbiter is one, with the network elsewhere.
fn alone<F: Future<Output = ()>>(test: impl FnOnce(Arc<World>) -> F) {
    let elsewhere = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let world = Arc::new(elsewhere.block_on(World::start()));
    let here = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    here.block_on(test(Arc::clone(&world)));
    assert_eq!(here.metrics().num_alive_tasks(), 0);
    elsewhere.shutdown_background();
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[test]
fn a_closed_link_has_no_tasks() {
    alone(async |world| {
        let line = world.pair().await;
        world.write("hello").await;
        eventually("the text", async || line.inbox.texts() == ["hello"]).await;
        assert!(tasks() > 0);
        line.link.close().await;
        eventually("the tasks to end", async || tasks() == 0).await;
        line.link.close().await;
    });
}

#[test]
fn neither_has_a_lost_one_nor_one_that_was_closed_while_it_opened() {
    alone(async |world| {
        let mut line = world.pair().await;
        world.trouble(FaultKind::Drop, None, Duration::ZERO).await;
        line.closed().await;
        // Not closed by us: it clears up by itself.
        eventually("the tasks to end", async || tasks() == 0).await;

        let line = world.open().await;
        line.link.close().await;
        eventually("the tasks to end", async || tasks() == 0).await;

        world.trouble(FaultKind::Stall, None, Duration::from_secs(120)).await;
        let before = world.network.stats().await.handshakes;
        let line = world.open().await;
        eventually("a link that waits for its login", async || {
            world.network.stats().await.handshakes > before
        })
        .await;
        line.link.close().await;
        eventually("the tasks to end", async || tasks() == 0).await;
    });
}

#[test]
fn a_link_that_was_left_open_is_closed_by_the_next() {
    alone(async |world| {
        let mut left = world.pair().await;
        let mut line = world.open().await;
        assert_eq!(left.closed().await, CloseReason::Requested);
        line.connected().await;
        let devices = world.network.devices(OURS).await.unwrap();
        assert_eq!(devices.len(), 1);
        line.link.close().await;
        eventually("the tasks to end", async || tasks() == 0).await;
    });
}

#[test]
fn a_runtime_that_goes_away_ends_its_links() {
    let elsewhere = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let world = elsewhere.block_on(World::start());
    let here = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut line = here.block_on(world.pair());
    drop(here);
    elsewhere.block_on(async {
        assert!(matches!(line.closed().await, CloseReason::Lost(_)));
        line.link.close().await;
        let mut line = world.open().await;
        line.connected().await;
        line.link.close().await;
    });
}

//! Copies of messages that have come in, which the ratchets wait for.

use std::sync::atomic::Ordering;

use wharf_store::KeyKind;
use whatsapp_rust::store::traits::{ProtocolStore, SignalStore};

use super::{super::reason, LinkEvents, Reporter, World, copy, numbers};

#[tokio::test]
async fn a_ratchet_waits_for_the_copies_of_messages() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    world.keeper.refuse(true);
    let kept = keys.store_pending_inbound("c", "s", "1", b"text");
    let moved = async {
        // Asked for while the copy is refused, and not refused itself.
        while world.keeper.refused.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let moving = keys.put_session("1@s", b"moved on");
        let mut moving = std::pin::pin!(moving);
        assert!(futures::poll!(moving.as_mut()).is_pending());
        world.keeper.refuse(false);
        moving.await.unwrap();
        assert_eq!(
            keys.rows(KeyKind::PendingMessage, b"").await.unwrap().len(),
            1,
            "after it"
        );
    };
    let (kept, ()) = tokio::join!(kept, moved);
    kept.unwrap();
}

#[tokio::test]
async fn once_a_message_could_not_be_kept_its_link_ends_and_writes_nothing_more() {
    let world = World::start().await;
    let link = Reporter::new(numbers()[0].clone(), LinkEvents::new(drop));
    let keys = world.device_of(&link);
    keys.put_session("1@s", b"before").await.unwrap();
    world.keeper.refuse(true);
    let refused = keys.store_pending_inbound_batch(&[copy("1")]).await.unwrap_err();
    assert_eq!(reason(&refused), "the test says no");
    assert!(link.over().is_cancelled());
    world.keeper.refuse(false);
    keys.put_session("1@s", b"moved on").await.unwrap_err();
    assert_eq!(keys.get_session("1@s").await.unwrap().unwrap(), b"before".as_slice());
    // The next link begins anew.
    let keys = world.device(&numbers()[0]);
    keys.store_pending_inbound_batch(&[copy("1")]).await.unwrap();
    keys.put_session("1@s", b"moved on").await.unwrap();
}

#[tokio::test]
async fn a_copy_that_nobody_waits_for_any_more_was_given_up() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    world.keeper.refuse(true);
    let mut keeping = Box::pin(keys.store_pending_inbound("c", "s", "1", b"text"));
    assert!(futures::poll!(keeping.as_mut()).is_pending());
    drop(keeping);
    world.keeper.refuse(false);
    keys.put_session("1@s", b"moved on").await.unwrap_err();
}

//! How many commits it takes to keep what comes in masses.

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use wharf_store::KeyKind;
use whatsapp_rust::{
    store::traits::{AppSyncStore as _, MsgSecretEntry, MsgSecretStore as _, SignalStore as _},
    wacore::appstate::processor::AppStateMutationMAC,
};

use super::{World, numbers};
use crate::live::keys::WAITING_REMOVALS;

#[tokio::test]
async fn the_removal_of_consumed_prekeys_rides_on_the_next_change() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    let prekeys: Vec<(u32, Bytes)> = (1..=200).map(|id| (id, vec![1; 9].into())).collect();
    keys.store_prekeys_batch(&prekeys, true).await.unwrap();
    let kept = async || keys.rows(KeyKind::PreKey, b"").await.unwrap().len();
    let sessions: Vec<(Arc<str>, Bytes)> = (0..50).map(|n| (format!("{n}@s").into(), vec![2; 9].into())).collect();
    let identities: Vec<(Arc<str>, [u8; 32])> = (0..50).map(|n| (format!("{n}@s").into(), [3; 32])).collect();
    let before = world.keeper.commits();
    // A flush of whatsapp-rust's, in its order.
    keys.put_sessions_batch(&sessions).await.unwrap();
    for id in 151..=200 {
        keys.remove_prekey(id).await.unwrap();
        assert_eq!(keys.load_prekey(id).await.unwrap(), None, "nobody is given it");
    }
    assert_eq!(kept().await, 200, "their sessions come first");
    let loaded = keys.load_prekeys_batch(&[150, 151]).await.unwrap();
    assert_eq!(loaded.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [150]);
    keys.put_identities_batch(&identities).await.unwrap();
    assert_eq!((world.keeper.commits() - before, kept().await), (2, 150));
    // A removal that was refused is no removal.
    keys.remove_prekey(150).await.unwrap();
    world.keeper.refuse(true);
    keys.put_session("1@s", b"moved on").await.unwrap_err();
    keys.settle().await.unwrap_err();
    world.keeper.refuse(false);
    assert_eq!((keys.load_prekey(150).await.unwrap(), kept().await), (None, 150));
    assert_eq!(keys.get_max_prekey_id().await.unwrap(), 149);
    assert_eq!(kept().await, 149);
    // So many do not wait, and none waits when the link ends.
    for id in 1..=WAITING_REMOVALS {
        keys.remove_prekey(u32::try_from(id).unwrap()).await.unwrap();
    }
    assert_eq!(kept().await, 149 - WAITING_REMOVALS);
    keys.remove_prekey(149).await.unwrap();
    keys.settle().await.unwrap();
    assert_eq!(kept().await, 148 - WAITING_REMOVALS);
}

/// An account's history brings tens of thousands of each, and others wait for the writer.
#[tokio::test]
async fn collections_of_keys_are_written_in_pieces() {
    let world = World::start().await;
    let keys = world.device(&numbers()[0]);
    let commits = async |work: BoxFuture<'_, ()>| {
        let before = world.keeper.commits();
        work.await;
        world.keeper.commits() - before
    };
    let names: Vec<Vec<u8>> = (0..600_u32).map(|n| n.to_be_bytes().repeat(8)).collect();
    let macs: Vec<AppStateMutationMAC> = names
        .iter()
        .map(|name| AppStateMutationMAC {
            index_mac: name.clone(),
            value_mac: vec![7; 32],
        })
        .collect();
    let secrets: Vec<MsgSecretEntry> = (0..600)
        .map(|n| MsgSecretEntry {
            chat: "c".into(),
            sender: "s".into(),
            msg_id: n.to_string().into(),
            secret: [1; 32],
            expires_at: 0,
            message_ts: 0,
        })
        .collect();
    let kept = async |kind| keys.rows(kind, b"").await.unwrap().len();
    let put = async { keys.put_mutation_macs("regular", 1, &macs).await.unwrap() };
    assert_eq!((commits(put.boxed()).await, kept(KeyKind::MutationMac).await), (3, 600));
    let put = async { assert_eq!(keys.put_msg_secrets(secrets).await.unwrap(), 600) };
    assert_eq!(
        (commits(put.boxed()).await, kept(KeyKind::MessageSecret).await),
        (3, 600)
    );
    let delete = async { keys.delete_mutation_macs("regular", &names).await.unwrap() };
    assert_eq!(
        (commits(delete.boxed()).await, kept(KeyKind::MutationMac).await),
        (3, 0)
    );
    let nothing = async { keys.put_mutation_macs("regular", 1, &[]).await.unwrap() };
    assert_eq!(commits(nothing.boxed()).await, 0);
}

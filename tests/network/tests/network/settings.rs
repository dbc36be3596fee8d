//! Settings that a phone and its devices share (app state): snapshots, patches, and who was faster.

use std::cell::Cell;

use serde_json::json;
use wacore::types::events::Event;
use wharf_testnet::Network;
use whatsapp_rust::Jid;

use crate::admin::request;
use crate::companion::{ANA, BOB, Companion, network, until};

/// What was heard of muted chats: whose, and whether it is.
fn mutes(companion: &Companion) -> Vec<(String, bool)> {
    companion.all(|event| match event {
        Event::MuteUpdate(update) => Some((update.jid.to_string(), update.action.muted == Some(true))),
        _ => None,
    })
}

/// The mutes that Ana's phone knows of: the collection of each, and the version that it is at.
async fn muted(network: &Network) -> Vec<(String, u64)> {
    let settings = network.settings(ANA).await.unwrap();
    let mutes = settings.into_iter().filter(|one| one.index[0] == "mute");
    mutes.map(|one| (one.collection, one.version)).collect()
}

fn renamed(companion: &Companion) -> Option<String> {
    companion
        .all(|event| match event {
            Event::SelfPushNameUpdated(update) => Some(update.new_name.clone()),
            _ => None,
        })
        .pop()
}

/// How often a client dropped the news of a change, since a sync of the same collection was under way: it hears of that
/// change with the next one only (whatsapp-rust 0.7), and a device that was just linked is in the middle of its first sync.
fn dropped(companion: &Companion) -> usize {
    companion
        .all(|event| match event {
            Event::AppStateSyncFailed(failed) if !failed.skipped.is_empty() => Some(()),
            _ => None,
        })
        .len()
}

/// Sets something, and once more whenever the device dropped the news of it, until the device has heard.
async fn until_heard<S>(what: &str, device: &Companion, set: impl Fn() -> S, heard: impl Fn() -> bool)
where
    S: Future<Output = ()>,
{
    let before = Cell::new(dropped(device));
    set().await;
    until(what, || async {
        if heard() {
            return Some(());
        }
        let now = dropped(device);
        if before.replace(now) < now {
            set().await;
        }
        None
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_phone_sets_reaches_its_devices_by_patches_and_by_snapshot() {
    let network = network().await;
    let first = Companion::linked(&network, ANA).await;
    let set = async |body| {
        request(&network, "POST", &format!("/accounts/{ANA}/settings"), Some(body)).await;
    };
    let named = |companion: &Companion| {
        let names = companion.all(|event| match event {
            Event::ContactUpdate(update) => update.action.full_name.clone(),
            _ => None,
        });
        names.iter().any(|name| name == "Bob of the harbour")
    };
    let contact = json!({ "contact": { "phone": BOB, "name": "Bob of the harbour" } });
    until_heard("the contact", &first, || set(contact.clone()), || named(&first)).await;
    let mute = json!({ "mute": { "chat": BOB, "muted": true } });
    until_heard("the mute", &first, || set(mute.clone()), || !mutes(&first).is_empty()).await;
    set(json!({ "push_name": "Ana" })).await;
    let name = json!({ "push_name": "Ana Maria" });
    let renamed = || renamed(&first).is_some_and(|name| name == "Ana Maria");
    until_heard("the name", &first, || set(name.clone()), renamed).await;

    // A device that is linked later gets the whole.
    let second = Companion::linked(&network, ANA).await;
    until("the name", || async {
        (second.client.push_name() == "Ana Maria").then_some(())
    })
    .await;
    until("the mute", || async { mutes(&second).pop() }).await;
    assert!(network.stats().await.downloads >= 2, "snapshots are files");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_sets_reaches_the_phone_and_the_other_devices() {
    let network = network().await;
    let first = Companion::linked(&network, ANA).await;
    let second = Companion::linked(&network, ANA).await;
    let chat = Jid::pn(BOB);
    let actions = first.client.chat_actions();
    let told = |to: bool| mutes(&second).iter().any(|(_, muted)| *muted == to);
    let mute = async || actions.mute_chat(&chat).await.unwrap();
    until_heard("the other device hears", &second, mute, || told(true)).await;
    let unmute = async || actions.unmute_chat(&chat).await.unwrap();
    until_heard("the other device hears", &second, unmute, || told(false)).await;
    let before = muted(&network).await[0].1;
    // Both at once: whoever is slower makes the patch again on top of the other's.
    let [chat, elsewhere] = ["5511777777777", "5511666666666"].map(Jid::pn);
    let (here, there) = (first.client.chat_actions(), second.client.chat_actions());
    let (one, other) = tokio::join!(here.mute_chat(&chat), there.mute_chat(&elsewhere));
    one.unwrap();
    other.unwrap();
    assert_eq!(muted(&network).await, vec![("regular_high".to_owned(), before + 2); 3]);
}

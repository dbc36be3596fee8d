//! Settings that a phone and its devices share (app state): snapshots, patches, and who was faster.

use serde_json::json;
use wacore::types::events::Event;
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

fn renamed(companion: &Companion) -> Option<String> {
    companion
        .all(|event| match event {
            Event::SelfPushNameUpdated(update) => Some(update.new_name.clone()),
            _ => None,
        })
        .pop()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_phone_sets_reaches_its_devices_by_patches_and_by_snapshot() {
    let network = network().await;
    let first = Companion::linked(&network, ANA).await;
    let set = async |body| request(&network, "POST", &format!("/accounts/{ANA}/settings"), Some(body)).await;
    set(json!({ "contact": { "phone": BOB, "name": "Bob of the harbour" } })).await;
    set(json!({ "mute": { "chat": BOB, "muted": true } })).await;
    set(json!({ "push_name": "Ana" })).await;
    set(json!({ "push_name": "Ana Maria" })).await;
    let contact = first.saw("the contact", |event| match event {
        Event::ContactUpdate(update) => update.action.full_name.clone(),
        _ => None,
    });
    assert_eq!(contact.await, "Bob of the harbour");
    until("the name", || async {
        renamed(&first).filter(|name| name == "Ana Maria")
    })
    .await;
    until("the mute", || async { (mutes(&first).len() == 1).then_some(()) }).await;

    // A device that is linked later gets the whole.
    let second = Companion::linked(&network, ANA).await;
    until("the name", || async {
        (second.client.push_name() == "Ana Maria").then_some(())
    })
    .await;
    until("the mute", || async { (mutes(&second).len() == 1).then_some(()) }).await;
    assert!(network.stats().await.downloads >= 2, "snapshots are files");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_sets_reaches_the_phone_and_the_other_devices() {
    let network = network().await;
    let first = Companion::linked(&network, ANA).await;
    let second = Companion::linked(&network, ANA).await;
    let chat = Jid::pn(BOB);
    first.client.chat_actions().mute_chat(&chat).await.unwrap();
    until("the other device hears", || async {
        mutes(&second).into_iter().find(|(_, muted)| *muted)
    })
    .await;
    first.client.chat_actions().unmute_chat(&chat).await.unwrap();
    until("the other device hears", || async {
        mutes(&second).into_iter().find(|(_, muted)| !*muted)
    })
    .await;
    // Both at once: whoever is slower makes the patch again on top of the other's.
    let [chat, elsewhere] = ["5511777777777", "5511666666666"].map(Jid::pn);
    let (here, there) = (first.client.chat_actions(), second.client.chat_actions());
    let (one, other) = tokio::join!(here.mute_chat(&chat), there.mute_chat(&elsewhere));
    one.unwrap();
    other.unwrap();
    let settings = network.settings(ANA).await.unwrap();
    let mutes: Vec<(&str, u64)> = settings
        .iter()
        .filter(|one| one.index[0] == "mute")
        .map(|one| (one.collection.as_str(), one.version))
        .collect();
    assert_eq!(mutes, [("regular_high", 4); 3], "{settings:?}");
}

//! What reaches a device beside its chats: status updates, and what the phone sets.

use serde_json::{Value, json};
use wharf_testnet::Setting;

use super::world::{CONTACT, NUMBER, WITHIN, World};

const PATH: &str = "/api/whatsapp/connections/5511888888888";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_updates_are_taken_and_make_no_event() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    for text in ["good morning", "good night"] {
        world
            .network
            .send_text(CONTACT, "status@broadcast", text)
            .await
            .unwrap();
    }
    let picture = json!({"to": "status@broadcast", "kind": "image", "mime_type": "image/png", "size": 5000});
    world.phone_sends(CONTACT, &picture).await;
    let id = world.text("for you").await;
    let events = world.api().wait_for_events(&webhook, "delivered", 1).await;
    world.all_taken().await;
    assert_eq!((events.len(), &events[0]["message_id"]), (1, &json!(id)));
    assert_eq!(world.api().events(&webhook).await.len(), 1);
    assert_eq!(
        world.network.stats().await.downloads,
        0,
        "and no file of them is fetched"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_that_the_phone_sets_is_the_connections() {
    let world = World::start().await;
    world.linked("/ok").await;
    let settings = [
        Setting::Contact {
            phone: CONTACT.to_owned(),
            name: "Maria".to_owned(),
        },
        Setting::Mute {
            chat: CONTACT.to_owned(),
            muted: true,
        },
        Setting::PushName("Harbour Office".to_owned()),
    ];
    for setting in &settings {
        world.network.change_setting(NUMBER, setting).await.unwrap();
    }
    world
        .api()
        .wait_for(PATH, "the name", |shown| shown["push_name"] == "Harbour Office")
        .await;
    assert!(world.network.stats().await.downloads >= 1, "a snapshot was fetched");
    world.stop().await;
}

/// The client library would write both names as addresses, and WhatsApp end the link for it, at every login anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_may_have_an_at() {
    let mut world = World::start().await;
    for (phone, name) in [(NUMBER, "Shop @ Home"), (CONTACT, "Ana @ Work")] {
        world.network.create_account(phone).await.unwrap();
        let name = Setting::PushName(name.to_owned());
        world.network.change_setting(phone, &name).await.unwrap();
    }
    let webhook = world.linked("/ok").await;
    let shown = |shown: &Value| shown["push_name"] == "Shop \u{ff20} Home" && shown["status"] == "connected";
    for round in 1..=2 {
        world.api().wait_for(PATH, "the name that others see", shown).await;
        let place = json!({"to": NUMBER, "kind": "location", "latitude": -23.5, "longitude": -46.6});
        world.phone_sends(CONTACT, &place).await;
        let events = world.api().wait_for_events(&webhook, "delivered", round).await;
        assert!(
            events.iter().all(|event| event["payload"]["push_name"] == "Ana @ Work"),
            "{events:?}"
        );
        world.restart_gateway().await;
    }
    world.stop().await;
}

/// Each later change comes while the device is at work on what it was given of the one before, and whatsapp-rust drops the
/// news of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_names_in_a_row_the_last_is_shown() {
    let world = World::start().await;
    world.linked("/ok").await;
    let syncs = async || world.network.stats().await.syncs;
    for round in 0..10 {
        let before = syncs().await;
        for change in ["first", "second"] {
            let name = Setting::PushName(format!("the {change} of {round}"));
            world.network.change_setting(NUMBER, &name).await.unwrap();
            // At once, and not only when it is looked for the next time.
            let given = async {
                while syncs().await == before {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(WITHIN, given).await.expect("the device asks");
        }
        let last = format!("the second of {round}");
        world
            .api()
            .wait_for(PATH, &last, |shown| shown["push_name"] == *last)
            .await;
    }
    world.stop().await;
}

//! Profiles, pictures and blocks, between phones and devices.

use serde_json::{Value, json};
use wharf_testnet::Network;
use whatsapp_rust::Jid;

use crate::admin::request;
use crate::companion::{ANA, BOB, Companion, network, until};

async fn change(network: &Network, phone: &str, change: Value) -> Value {
    let path = format!("/accounts/{phone}/profile");
    let (status, _, profile) = request(network, "PATCH", &path, Some(change)).await;
    assert_eq!(status, 200, "{profile}");
    profile
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_phone_shows_is_told_to_those_who_may_see_it() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let contacts = companion.client.contacts();
    let bob = Jid::pn(BOB);
    let info = async || {
        contacts
            .get_user_info(std::slice::from_ref(&bob))
            .await
            .unwrap()
            .into_values()
            .next()
    };
    let nothing = info().await.unwrap();
    assert_eq!(
        (nothing.status, nothing.picture_id, nothing.is_business),
        (None, None, false)
    );
    assert!(contacts.get_profile_picture(&bob, false).await.unwrap().is_none());
    let shown = json!({ "about": "At sea", "picture": "/9j/", "verified_name": "Harbour Ltd" });
    let profile = change(&network, BOB, shown).await;
    let told = info().await.unwrap();
    assert_eq!(told.status.as_deref(), Some("At sea"));
    assert_eq!(told.picture_id, profile["picture_id"].as_u64().map(|id| id.to_string()));
    assert_eq!(
        told.verified_name.and_then(|verified| verified.name).as_deref(),
        Some("Harbour Ltd")
    );
    let picture = contacts.get_profile_picture(&bob, true).await.unwrap().unwrap();
    assert_eq!(Some(picture.id), told.picture_id);
    assert_eq!(network.picture(BOB).await.unwrap(), [0xff, 0xd8, 0xff]);

    // Hidden from all, then from her alone.
    for hides in [json!({ "hidden": true }), json!({ "hidden": false, "block": [ANA] })] {
        change(&network, BOB, hides.clone()).await;
        let told = info().await.unwrap();
        assert_eq!((told.status.as_deref(), told.picture_id), (Some(""), None), "{hides}");
        assert!(
            contacts.get_profile_picture(&bob, true).await.unwrap().is_none(),
            "{hides}"
        );
    }
    change(&network, BOB, json!({ "unblock": [ANA], "about": "", "picture": "" })).await;
    let told = info().await.unwrap();
    assert_eq!((told.status, told.picture_id), (None, None));
    let (status, ..) = request(&network, "GET", &format!("/accounts/{BOB}/profile/picture"), None).await;
    assert_eq!(status, 404);
    let (status, ..) = request(&network, "PATCH", "/accounts/5511000000000/profile", Some(json!({}))).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_id_that_nobody_has_is_left_out() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let bob: Jid = network.create_account(BOB).await.unwrap().lid.parse().unwrap();
    let asked = [bob.clone(), Jid::lid("999")];
    let told = companion.client.contacts().is_on_whatsapp(&asked).await.unwrap();
    assert_eq!(told.iter().map(|answer| &answer.jid).collect::<Vec<_>>(), [&bob]);
    assert_eq!(told[0].pn_jid, Some(Jid::pn(BOB)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_changes_the_profile_of_its_account() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let profile = companion.client.profile();
    profile.set_push_name("Ana from the device").await.unwrap();
    profile.set_status_text("Here").await.unwrap();
    let set = profile.set_profile_picture(vec![0xff, 0xd8, 0xff, 1]).await.unwrap();
    until("the name", || async {
        (network.profile(ANA).await.unwrap().name == "Ana from the device").then_some(())
    })
    .await;
    let seen = network.profile(ANA).await.unwrap();
    assert_eq!(
        (seen.about.as_deref(), seen.picture_id.map(|id| id.to_string())),
        (Some("Here"), Some(set.id))
    );
    assert!(profile.set_profile_picture(vec![1]).await.is_err(), "no JPEG");
    profile.remove_profile_picture().await.unwrap();
    profile.set_status_text("").await.unwrap();
    let seen = network.profile(ANA).await.unwrap();
    assert_eq!((seen.about, seen.picture_id), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_reaches_neither_phone_nor_devices() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    let bob = Jid::pn(BOB);
    // The other id is learned first.
    companion
        .client
        .contacts()
        .is_on_whatsapp(std::slice::from_ref(&bob))
        .await
        .unwrap();
    companion.client.blocking().block(&bob).await.unwrap();
    assert!(companion.client.blocking().is_blocked(&bob).await.unwrap());
    network.send_text(BOB, ANA, "unheard").await.unwrap();
    network.call(BOB, ANA, false).await.unwrap();
    companion.client.blocking().unblock(&bob).await.unwrap();
    assert_eq!(companion.client.blocking().get_blocklist().await.unwrap().len(), 0);
    network.send_text(BOB, ANA, "heard").await.unwrap();
    companion.text("heard").await;
    let texts: Vec<_> = companion.texts().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["heard"]);
    let phones: Vec<_> = network.messages(ANA).await.unwrap();
    assert_eq!(
        phones.iter().map(|message| &*message.text).collect::<Vec<_>>(),
        ["heard"]
    );

    // A device that is blocked is told nothing of it.
    change(&network, BOB, json!({ "block": [ANA] })).await;
    let id = companion.send(BOB, "into the void").await;
    assert_eq!(companion.server_ack(&id).await, None, "it is taken");
    change(&network, BOB, json!({ "unblock": [ANA] })).await;
    let id = companion.send(BOB, "and out of it").await;
    until("the text", || async {
        let got = network.messages(BOB).await.unwrap();
        got.iter().any(|message| message.id == id).then_some(())
    })
    .await;
    assert!(
        !network
            .messages(BOB)
            .await
            .unwrap()
            .iter()
            .any(|message| message.text == "into the void")
    );
}

//! Pairing, login, unlinking.

use std::sync::Arc;

use wacore::store::traits::AppSyncStore as _;
use wacore::types::events::Event;
use wharf_testnet::{NetworkError, PhoneSettings};

use crate::companion::{ANA, BOB, Companion, network, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_scanned_device_is_linked_and_connected() {
    let network = network().await;
    // What the device is to have it gets without asking: there is no answer.
    let silent = PhoneSettings {
        answers_devices: Some(false),
        ..PhoneSettings::default()
    };
    network.set_phone(ANA, &silent).await.unwrap();
    let companion = Companion::fresh(&network).await;
    let jid = companion.scan_with(ANA).await.unwrap();
    assert_eq!(jid, format!("{ANA}:1@s.whatsapp.net"));
    let paired = companion
        .saw("PairSuccess", |event| match event {
            Event::PairSuccess(success) => Some((success.id.to_string(), success.lid.to_string())),
            _ => None,
        })
        .await;
    let lid = network.create_account(ANA).await.unwrap().lid.replace('@', ":1@");
    assert_eq!(paired, (jid.clone(), lid));
    companion.connected().await;
    // Without it the client would have waited ten seconds, and then asked.
    until("the app-state key", || async {
        companion.backend.get_latest_sync_key_id().await.unwrap()
    })
    .await;
    let device = until("the device with its prekeys", || async {
        network
            .devices(ANA)
            .await
            .unwrap()
            .into_iter()
            .find(|device| device.prekeys > 0 && device.unacked == 0)
    })
    .await;
    assert_eq!((device.jid, device.connected), (jid, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qr_is_scanned_once_and_by_an_account() {
    let network = network().await;
    let companion = Companion::fresh(&network).await;
    let qr = companion.qr().await;
    assert!(matches!(
        network.scan("5511000000000", &qr).await,
        Err(NetworkError::NotFound(_))
    ));
    assert!(matches!(
        network.scan(ANA, "hello").await,
        Err(NetworkError::Invalid(_))
    ));
    let (_, other_keys) = qr.split_once(',').unwrap();
    let unknown = format!("2@unknown,{other_keys}");
    assert!(matches!(
        network.scan(ANA, &unknown).await,
        Err(NetworkError::Conflict(_))
    ));
    network.scan(ANA, &qr).await.unwrap();
    assert!(matches!(network.scan(BOB, &qr).await, Err(NetworkError::Conflict(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_device_logs_in_again_by_xx_and_then_by_ik() {
    let network = network().await;
    let mut backend = Companion::linked_and_gone(&network, ANA).await;
    // The pairing and the first login were XX; the client keeps the chain from that login and resumes by IK.
    for round in 0..2 {
        let companion = Companion::start(&network, Arc::clone(&backend)).await;
        companion.connected().await;
        network.send_text(BOB, ANA, &format!("round {round}")).await.unwrap();
        companion.text(&format!("round {round}")).await;
        backend = companion.stop().await;
    }
    let stats = network.stats().await;
    assert_eq!((stats.handshakes, stats.resumed), (4, 2));
    until("the socket to be gone", || async {
        (!network.devices(ANA).await.unwrap()[0].connected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_device_is_logged_out_at_once_and_cannot_come_back() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    network.unlink(ANA, 1).await.unwrap();
    let logged_out = |event: &Event| match event {
        Event::LoggedOut(out) => Some(out.on_connect),
        _ => None,
    };
    assert!(!companion.saw("LoggedOut", logged_out).await);
    assert!(network.devices(ANA).await.unwrap().is_empty());
    assert!(matches!(network.unlink(ANA, 1).await, Err(NetworkError::NotFound(_))));
    let again = Companion::start(&network, companion.stop().await).await;
    assert!(again.saw("LoggedOut on connect", logged_out).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_can_unlink_itself() {
    let network = network().await;
    let companion = Companion::linked(&network, ANA).await;
    companion.client.logout().await;
    until("no device", || async {
        network.devices(ANA).await.unwrap().is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_login_of_a_device_replaces_the_first() {
    let network = network().await;
    let first = Companion::linked(&network, ANA).await;
    let second = Companion::start(&network, Arc::clone(&first.backend)).await;
    second.connected().await;
    first
        .saw("StreamReplaced", |event| {
            matches!(event, Event::StreamReplaced(_)).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_the_same_name_belong_to_the_same_account() {
    let network = network().await;
    let scan = async |name: &str| {
        let companion = Companion::start_with(&network, Default::default(), Some(name), None).await;
        let (account, jid) = network.scan_by_name(&companion.qr().await).await.unwrap();
        companion.connected().await;
        (account.phone, jid)
    };
    let (first, _) = scan("ana").await;
    let (again, jid) = scan("ana").await;
    let (other, _) = scan("bob").await;
    assert_eq!((&again, jid), (&first, format!("{first}:2@s.whatsapp.net")));
    assert_ne!(other, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_an_earlier_network_is_told_that_it_is_logged_out() {
    let backend = {
        let earlier = network().await;
        let backend = Companion::linked_and_gone(&earlier, ANA).await;
        earlier.stop().await;
        backend
    };
    // It resumes by IK with the earlier server's key, falls back, and then hears that nobody knows it.
    let network = network().await;
    let companion = Companion::start(&network, backend).await;
    let logged_out = |event: &Event| match event {
        Event::LoggedOut(out) => Some(out.on_connect),
        _ => None,
    };
    assert!(companion.saw("LoggedOut", logged_out).await);
}

//! Sessions as clients see them: pairing, reconnecting, what is set of them, and their end.

use std::time::Duration;

use wharf_domain::{ConnectionKey, ConnectionStatus, Timestamp, proxy::Proxy, session::CloseReason};
use wharf_store::ByNumber;
use wharf_support::wait_until;
use wharf_whatsapp::SendScript;

use super::world::{WITHIN, World, number};
use crate::{ConnectionPatch, GatewayError, clock, session};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_shows_its_qr_code_and_reconnects_until_it_is_told_not_to() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    let of = number(7);
    let created = world.gateway.create_connection(client.id, of.clone()).await.unwrap();
    let twice = world.gateway.create_connection(client.id, of.clone()).await;
    assert!(matches!(twice, Err(GatewayError::Conflict(_))));
    let link = world.links.wait_for_link(&created.key()).await;
    link.qr("2@abc", clock::now() + Duration::from_secs(60));
    world
        .wait_for_status(client.id, &of, ConnectionStatus::AwaitingScan)
        .await;
    assert_eq!(world.gateway.qr(client.id, &of).await.unwrap().qr, "2@abc");
    link.pair("551180000007:3@s.whatsapp.net", of.as_str());
    link.connect("551180000007:3@s.whatsapp.net", Some("Me"));
    world.wait_for_status(client.id, &of, ConnectionStatus::Connected).await;
    let without_a_code = async |cure: &str| {
        let shown = world.gateway.qr(client.id, &of).await;
        assert!(
            matches!(&shown, Err(GatewayError::Conflict(why)) if why.contains(cure)),
            "{shown:?}"
        );
    };
    without_a_code("is connected: it is linked already").await;

    link.close(CloseReason::Lost("the socket broke".into()));
    let link = world.relinked(client.id, &of).await;
    link.close(CloseReason::LoggedOut("unlinked by the phone".into()));
    world.wait_for_status(client.id, &of, ConnectionStatus::LoggedOut).await;
    let shown = world.gateway.connection(client.id, &of).await.unwrap();
    assert_eq!(
        (shown.session.reason.as_deref(), shown.session.jid),
        (Some("unlinked by the phone"), None)
    );
    wait_until("the keys are forgotten", WITHIN, || async {
        world.links.counters().forgotten == 1
    })
    .await;

    without_a_code("is logged_out (unlinked by the phone); POST …/connect opens it again").await;
    world.gateway.connect(client.id, &of).await.unwrap();
    world.relinked(client.id, &of).await;
    world.gateway.disconnect(client.id, &of).await.unwrap();
    world
        .wait_for_status(client.id, &of, ConnectionStatus::Disconnected)
        .await;
    world
        .gateway
        .delete_connection(client.id, &of)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(
        world
            .gateway
            .connections(client.id, &ByNumber::ALL)
            .await
            .unwrap()
            .is_empty()
    );
    world.gateway.stop().await;
}

/// The next link would log in with them, and be logged out once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_of_no_use_are_gone_before_the_next_link_opens() {
    let world = World::start().await;
    let (client, link) = world.client_with_number().await;
    world.links.keep_keys(2);
    link.close(CloseReason::LoggedOut("unlinked by the phone".into()));
    world
        .wait_for_status(client, &number(1), ConnectionStatus::LoggedOut)
        .await;
    world.gateway.connect(client, &number(1)).await.unwrap();
    let next = world.links.wait_for_link(&ConnectionKey::new(client, number(1))).await;
    assert_eq!(world.links.counters().forgotten, 1);
    next.qr("2@abc", clock::now() + Duration::from_secs(60));
    world
        .wait_for_status(client, &number(1), ConnectionStatus::AwaitingScan)
        .await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_phone_is_unlinked() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    let created = world.gateway.create_connection(client.id, number(7)).await.unwrap();
    let link = world.links.wait_for_link(&created.key()).await;
    link.qr("2@abc", Timestamp(clock::now().0 + 60_000));
    link.pair("5511999999999:3@s.whatsapp.net", "5511999999999");
    world
        .wait_for_status(client.id, &number(7), ConnectionStatus::Failed)
        .await;
    let shown = world.gateway.connection(client.id, &number(7)).await.unwrap();
    assert_eq!(shown.session.reason.as_deref(), Some("wrong number"));
    wait_until("the device is unlinked", WITHIN, || async {
        world.links.counters().logged_out == 1
    })
    .await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_outlived_its_caller_can_be_repeated() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    world.connected(client.id, &number(7)).await;
    let key = ConnectionKey::new(client.id, number(7));
    let actor = world.gateway.shared.directory.session(&key).unwrap().actor.unwrap();
    // Its caller is gone, so nobody deletes the row.
    let _gave_up = actor.call(session::Message::Delete, Some(Duration::ZERO)).await;
    wait_until("the session has ended", WITHIN, || async {
        world.gateway.shared.directory.session(&key).unwrap().actor.is_none()
    })
    .await;
    assert_eq!(world.links.counters().logged_out, 1);
    wait_until("it is deleted", WITHIN, || async {
        world.gateway.delete_connection(client.id, &number(7)).await.is_ok()
    })
    .await;
    let gone = world.gateway.connection(client.id, &number(7)).await;
    assert_eq!(gone.unwrap_err(), GatewayError::NotFound("connection"));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_opened_with_what_its_client_set_and_anew_when_that_changes() {
    let mut world = World::start().await;
    let client = world.add_client("a").await.id;
    let proxy = |n: u8| format!("socks5://ana:secret{n}@127.0.0.{n}:1080");
    let settings = ConnectionPatch {
        device_name: Some(Some("Shop".to_owned())),
        proxy: Some(Some(proxy(1))),
        ..ConnectionPatch::default()
    };
    let made = world
        .gateway
        .create_connection_with(client, number(1), settings)
        .await
        .unwrap();
    assert_eq!(made.proxy.as_deref(), Some("socks5://127.0.0.1:1080"));
    let link = world.links.wait_for_link(&made.key()).await;
    assert_eq!(link.options().device_name.as_deref(), Some("Shop"));
    assert_eq!(
        link.options().proxy.unwrap().to_text(),
        Proxy::from_text(&proxy(1)).unwrap().to_text()
    );
    link.connect("5511800000001:1@s.whatsapp.net", None);
    world
        .wait_for_status(client, &number(1), ConnectionStatus::Connected)
        .await;

    // As it is shown: nothing is new, and the login stays.
    let shown = ConnectionPatch {
        proxy: Some(made.proxy.clone()),
        ..ConnectionPatch::default()
    };
    let sealed = async || world.store.sealed_proxy(&made.key()).await.unwrap();
    let before = sealed().await;
    let same = world
        .gateway
        .update_connection(client, &number(1), shown)
        .await
        .unwrap();
    assert_eq!(
        (same.proxy, same.session.status),
        (made.proxy.clone(), ConnectionStatus::Connected)
    );
    assert_eq!((sealed().await, link.is_closed()), (before, false));

    let other = ConnectionPatch {
        proxy: Some(Some(proxy(2))),
        ..ConnectionPatch::default()
    };
    world
        .gateway
        .update_connection(client, &number(1), other)
        .await
        .unwrap();
    wait_until("the old way is closed", WITHIN, || async { link.is_closed() }).await;
    let link = world.relinked(client, &number(1)).await;
    assert_eq!(link.options().proxy.unwrap().host, "127.0.0.2");
    assert_eq!(link.options().device_name.as_deref(), Some("Shop"));
    // The name is told when the device is linked: no reason to open anew.
    let name = ConnectionPatch {
        device_name: Some(None),
        ..ConnectionPatch::default()
    };
    let changed = world.gateway.update_connection(client, &number(1), name).await.unwrap();
    assert_eq!(
        (changed.device_name, changed.session.status),
        (None, ConnectionStatus::Connected)
    );
    let bad = ConnectionPatch {
        proxy: Some(Some("ftp://x".to_owned())),
        ..ConnectionPatch::default()
    };
    let refused = world.gateway.update_connection(client, &number(1), bad).await;
    assert!(matches!(refused, Err(GatewayError::Invalid(field)) if field.field == "proxy"));
    assert_eq!(world.links.counters().overlaps, 0);
    // It is encrypted, and what it is encrypted with survives a restart.
    for file in std::fs::read_dir(world.dir.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(7).any(|part| part == b"secret2"), "{}", path.display());
    }
    world.restart_with("").await;
    let link = world.relink(client, &number(1)).await;
    assert_eq!(link.options().proxy.unwrap().host, "127.0.0.2");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_code_is_asked_for_while_a_phone_is_waited_for() {
    let world = World::start().await;
    let client = world.add_client("a").await.id;
    let made = world.gateway.create_connection(client, number(1)).await.unwrap();
    let link = world.links.wait_for_link(&made.key()).await;
    link.on_send(SendScript::Slow(Duration::from_millis(200)));
    let of = number(1);
    let ask = || world.gateway.pair_code(client, &of);
    let shows = async { link.qr("2@a", clock::now() + Duration::from_secs(60)) };
    let (code, same, ()) = tokio::join!(ask(), ask(), shows);
    let code = code.unwrap();
    assert_eq!(same.unwrap(), code, "two at once are shown the same");
    assert_eq!(code.code, "SCRIPTED");
    let shown = wait_until("it is shown", WITHIN, || async {
        world
            .gateway
            .shown(client, &number(1))
            .await
            .ok()
            .filter(|shown| shown.pair_code.is_some())
    })
    .await;
    assert_eq!((shown.pair_code, shown.qr.unwrap().qr), (Some(code), "2@a".to_owned()));
    link.connect("5511800000001:1@s.whatsapp.net", None);
    world
        .wait_for_status(client, &number(1), ConnectionStatus::Connected)
        .await;
    let late = world.gateway.pair_code(client, &number(1)).await;
    assert!(
        matches!(&late, Err(GatewayError::Conflict(why)) if why.ends_with("it is linked already")),
        "{late:?}"
    );
    world.gateway.stop().await;
}

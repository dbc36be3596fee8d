//! Linking by pair code, the passkey gate, and the way through a proxy.

use std::{sync::Arc, time::Duration};

use wharf_domain::{address::TargetPolicy, proxy::Proxy};
use wharf_support::proxy;
use wharf_testnet::FaultKind;
use wharf_whatsapp::{CloseReason, LinkEvent, LinkFactory, LinkOptions, PairCodeError};

use crate::support::{Line, Memory, OURS, World, key};

/// Debug builds derive the key of a code slowly.
const DEADLINE: Duration = Duration::from_secs(60);

/// Lets the QR codes pass, and answers what comes otherwise.
async fn past_codes(line: &mut Line) -> LinkEvent {
    loop {
        match line.next().await {
            LinkEvent::Qr { .. } | LinkEvent::PairCode { .. } => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_code_that_is_typed_into_the_phone_links() {
    let world = World::start().await;
    let mut line = world.open().await;
    let number = key().phone_number;
    assert_eq!(
        line.link.pair_code(&number, DEADLINE).await,
        Err(PairCodeError::NotPairing),
        "not yet"
    );
    line.qr().await;
    let code = line.link.pair_code(&number, DEADLINE).await.unwrap();
    assert_eq!(code.code.len(), 8);
    // Asking twice is no second code: the library refuses, the session shows the one that is good.
    assert!(line.link.pair_code(&number, DEADLINE).await.is_err());
    let wrong = if code.code == "ABCD1234" {
        "ABCD1235"
    } else {
        "ABCD1234"
    };
    assert!(world.network.enter_pair_code(OURS, wrong).await.is_err());
    let jid = world.network.enter_pair_code(OURS, &code.code).await.unwrap();
    let LinkEvent::Paired {
        jid: paired,
        phone_number,
    } = past_codes(&mut line).await
    else {
        panic!("not paired")
    };
    assert_eq!((paired.as_str(), phone_number.as_str()), (jid.as_str(), OURS));
    assert_eq!(line.connected().await, jid);
    assert_eq!(
        line.link.pair_code(&number, DEADLINE).await,
        Err(PairCodeError::NotPairing)
    );
    world.write("hello").await;
    crate::support::eventually("the text", async || line.inbox.texts() == ["hello"]).await;
    line.link.close().await;
}

#[tokio::test]
async fn an_account_with_a_passkey_says_so() {
    let world = World::start().await;
    world.trouble(FaultKind::Passkey, None, Duration::from_secs(600)).await;
    let mut line = world.open().await;
    let code = line.qr().await;
    assert!(
        world.network.scan(OURS, &code).await.is_err(),
        "the phone does not link it"
    );
    assert_eq!(past_codes(&mut line).await, LinkEvent::PasskeyNeeded);
    line.link.close().await;
}

fn through(url: &str) -> LinkOptions {
    LinkOptions {
        proxy: Some(Proxy::from_text(url).unwrap()),
        ..LinkOptions::default()
    }
}

async fn private(proxies: bool) -> World {
    World::with(|config| {
        config.proxies = TargetPolicy {
            allow_private_networks: proxies,
            ..TargetPolicy::default()
        }
    })
    .await
}

#[tokio::test]
async fn a_link_goes_through_its_proxy() {
    let world = private(true).await;
    world.pair().await.link.close().await;
    for scheme in ["http", "socks5"] {
        let proxy = proxy::Proxy::start().await;
        let inbox = Arc::new(Memory::default());
        let mut line = world.open_with(through(&proxy.url(scheme)), inbox).await;
        line.connected().await;
        assert_eq!(proxy.opened(), 1, "{scheme}");
        world.write(scheme).await;
        crate::support::eventually("the text", async || line.inbox.texts() == [scheme]).await;
        line.link.close().await;
    }
}

#[tokio::test]
async fn a_proxy_that_lets_nothing_through_is_said_and_not_passed_by() {
    let world = private(true).await;
    world.pair().await.link.close().await;
    let handshakes = world.network.stats().await.handshakes;
    let good = proxy::Proxy::start().await;
    let place = good.address;
    for (url, why) in [
        (format!("http://{place}"), "user name and password"),
        (format!("http://ana:wrong@{place}"), "user name and password"),
        (format!("socks5://{place}"), "user name and password"),
        (format!("socks5://ana:wrong@{place}"), "user name and password"),
        ("http://127.0.0.1:9".to_owned(), "cannot be reached"),
        // Not a proxy at all.
        (world.network.admin_url(), "the proxy"),
        (world.network.admin_url().replace("http", "socks5"), "the proxy"),
    ] {
        let mut line = world.open_with(through(&url), Arc::default()).await;
        let reason = line.closed().await;
        let CloseReason::ProxyFailed(said) = &reason else {
            panic!("{url}: {reason:?}")
        };
        assert!(said.contains(why) && !said.contains("wrong"), "{url}: {said}");
        line.link.close().await;
    }
    assert_eq!(good.opened(), 0);
    assert_eq!(world.network.stats().await.handshakes, handshakes, "never directly");
}

#[tokio::test]
async fn a_proxy_inside_is_refused_when_it_is_connected_to() {
    let world = private(false).await;
    let proxy = proxy::Proxy::start().await;
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("socks5://{host}:{}", proxy.address.port());
        let mut line = world.open_with(through(&url), Arc::default()).await;
        let reason = line.closed().await;
        let refused = matches!(&reason, CloseReason::ProxyFailed(why) if why.contains("public address"));
        assert!(refused, "{reason:?}");
        line.link.close().await;
    }
    world.factory.forget(&key()).await.unwrap();
}

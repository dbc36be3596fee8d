//! Ways through a real proxy to a host that speaks TLS.

use std::io::Write as _;

use wharf_domain::{
    ClientId,
    address::TargetPolicy,
    message::{Asked, MediaError, MediaKind, MediaReference},
};
use wharf_support::{Identity, Receiver, proxy::Proxy as Loopback};
use wharf_whatsapp::{Http as _, HttpRequest, MediaHosts};

use super::*;
use crate::web::{
    Web,
    download::MediaSource,
    tests::{OPEN, maker},
    upload::{MediaUpload, UploadError},
};

fn key(n: u8) -> ConnectionKey {
    ConnectionKey::new(ClientId(1), format!("55118888800{n:02}").parse().unwrap())
}

fn way(n: u8, proxy: &str) -> Way {
    Way {
        key: key(n),
        proxy: Some(Proxy::parse(&OPEN, proxy).unwrap()),
    }
}

struct Hosts {
    receiver: Receiver,
    maker: Maker,
}

/// A media host that speaks TLS, by name.
async fn host() -> Hosts {
    let identity = Identity::for_names(&["localhost"]);
    let receiver = Receiver::start_tls(&identity).await;
    let url = format!("https://localhost:{}", receiver.address().port());
    let maker = Maker::new(Checked::new(OPEN), identity.root_pem(), url.parse().ok()).unwrap();
    Hosts { receiver, maker }
}

async fn upload(upload: &MediaUpload, way: &Way) -> Result<(), UploadError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&[7; 5000]).unwrap();
    let reference = MediaReference {
        kind: MediaKind::Image,
        direct_path: String::new(),
        media_key: vec![],
        enc_sha256: vec![1; 32],
        sha256: vec![],
        size: 5000,
        by_proxy: false,
        asked: Asked::No,
    };
    let hosts = MediaHosts {
        hosts: vec![],
        auth: "a".into(),
    };
    upload
        .upload(way, ("mmg.whatsapp.net", &hosts), &reference, file.path(), false)
        .await
        .map(drop)
}

#[tokio::test]
async fn files_go_through_the_proxy_both_ways_and_never_past_it() {
    for scheme in ["http", "socks5"] {
        let (Hosts { receiver, maker }, proxy) = (host().await, Loopback::start().await);
        let (source, uploads) = (
            MediaSource::new(maker.clone()).unwrap(),
            MediaUpload::new(maker).unwrap(),
        );
        let good = way(1, &proxy.url(scheme));
        let mut stream = source.open(&good, "/ok", 1).await.unwrap();
        while stream.next().await.unwrap().is_some() {}
        assert_eq!((proxy.opened(), receiver.count()), (1, 1), "{scheme}");
        // The receiver says nothing of where it lies, but it was there.
        assert!(matches!(
            upload(&uploads, &good).await,
            Err(UploadError::Unreachable(_))
        ));
        assert_eq!((proxy.opened(), receiver.count()), (2, 2), "{scheme}");
        let sent = receiver.requests().pop().unwrap();
        assert_eq!(sent.body.len(), 5000);

        let wrong = way(2, &proxy.wrong_url(scheme));
        let (asked, connections) = (proxy.asked(), receiver.connections());
        let refused = source.open(&wrong, "/ok", 1).await.unwrap_err();
        assert_eq!(refused, MediaError::ProxyFailed, "{scheme}");
        match upload(&uploads, &wrong).await {
            Err(UploadError::Proxy(why)) => {
                assert!(
                    why.contains(&proxy.address.to_string()) && !why.contains("wrong"),
                    "{why}"
                );
            }
            other => panic!("{scheme}: {other:?}"),
        }
        assert_eq!(proxy.asked(), asked + 2, "{scheme}");
        assert_eq!(receiver.connections(), connections, "{scheme}: nothing went past it");
    }
}

#[tokio::test]
async fn a_proxy_may_lie_where_a_webhook_may_when_it_is_used_too() {
    let strict = TargetPolicy {
        allow_http: true,
        allow_private_networks: false,
        allowed_networks: Vec::new(),
    };
    let (hosts, proxy) = (host().await, Loopback::start().await);
    let checked = Checked::answering(strict, proxy.address.ip());
    let source = MediaSource::new(Maker { checked, ..hosts.maker }).unwrap();
    let by_name = format!("proxy.example.com:{}", proxy.address.port());
    for scheme in ["http", "socks5"] {
        for place in [proxy.address.to_string(), by_name.clone()] {
            let way = way(1, &format!("{scheme}://ana:secret@{place}"));
            let refused = source.open(&way, "/ok", 1).await.unwrap_err();
            assert_eq!(refused, MediaError::ProxyFailed, "{scheme} {place}");
        }
    }
    assert_eq!((proxy.asked(), hosts.receiver.connections()), (0, 0));
}

#[tokio::test]
async fn what_the_link_asks_for_goes_through_its_proxy() {
    let (receiver, proxy) = (Receiver::start().await, Loopback::start().await);
    let web = Web::new(OPEN, receiver.url("/").parse().ok()).unwrap();
    let request = |proxy: String| HttpRequest {
        method: "GET".to_owned(),
        url: "https://mmg.whatsapp.net/ok".to_owned(),
        headers: Vec::new(),
        body: None,
        proxy: Proxy::from_text(&proxy),
    };
    for scheme in ["http", "socks5"] {
        assert_eq!(web.execute(request(proxy.url(scheme))).await.unwrap().status, 200);
    }
    assert_eq!((proxy.opened(), receiver.count()), (2, 2));
    let refused = web.execute(request(proxy.wrong_url("socks5"))).await.unwrap_err();
    assert!(refused.contains("does not lead there"), "{refused}");
    assert_eq!(receiver.count(), 2);
}

#[test]
fn clients_are_kept_for_those_who_used_theirs_last() {
    let clients = Clients::new(maker(None), |builder| builder).unwrap();
    let kept = || -> Vec<ConnectionKey> { clients.own.lock().iter().map(|(key, ..)| key.clone()).collect() };
    clients.by(&way(1, "http://a:b@127.0.0.1:1")).unwrap();
    clients.by(&way(2, "socks5://a:b@127.0.0.1:1")).unwrap();
    clients.by(&way(1, "http://a:b@127.0.0.1:1")).unwrap();
    assert_eq!(kept(), [key(1), key(2)]);
    // Another password is another way.
    let changed = way(2, "socks5://a:c@127.0.0.1:1");
    clients.by(&changed).unwrap();
    assert_eq!(clients.own.lock()[0].1, changed.proxy.unwrap());
    let direct = Way {
        key: key(2),
        proxy: None,
    };
    clients.by(&direct).unwrap();
    assert_eq!(kept(), [key(1)], "who has none any more keeps none");
    clients.forget(|gone| *gone == key(1));
    assert_eq!(kept(), []);
    for n in 0..=OWN_CLIENTS {
        clients
            .by(&way(n.try_into().unwrap(), "http://a:b@127.0.0.1:1"))
            .unwrap();
    }
    assert_eq!(kept().len(), OWN_CLIENTS);
    assert!(!kept().contains(&key(0)), "the one that was used longest ago goes");
}

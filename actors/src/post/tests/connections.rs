//! Kept connections, TLS and HTTP/2.

use std::sync::atomic::AtomicBool;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[tokio::test]
async fn a_port_that_does_not_speak_tls_is_etls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"\x15\x03\x03\0\x02\x02\x28",
            b"",
            b"",
        ] {
            let (socket, _) = listener.accept().await.unwrap();
            socket.readable().await.unwrap();
            socket.writable().await.unwrap();
            // Dropped with the greeting unread: a reset follows.
            let _ = socket.try_write(answer);
        }
    });
    let poster = poster();
    for _ in 0..4 {
        let error = error_of(&post(&poster, &url).await);
        assert!(error.starts_with("ETLS: "), "{error}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let receiver = Receiver::start().await;
    let poster = poster();
    for _ in 0..5 {
        assert_eq!(post(&poster, &receiver.url("/ok")).await.http_status(), Some(200));
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_not_used() {
    let receiver = Receiver::start().await;
    let poster = poster();
    for round in 1..=20 {
        let result = post(&poster, &receiver.url("/ok-then-close")).await;
        assert_eq!(result.http_status(), Some(200), "round {round}: {result:?}");
        wait_until("the receiver to close", PATIENCE, || async {
            receiver.open_connections() == 0
        })
        .await;
    }
    assert_eq!(receiver.connections(), 20);
}

#[cfg_attr(
    not(target_os = "linux"),
    ignore = "127.0.0.1 is the only address of the loopback there"
)]
#[tokio::test]
async fn a_receiver_that_moved_is_found_although_its_connection_is_never_idle() {
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    let new_place = tokio::net::TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = new_place.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while socket.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nmoved";
                    socket.write_all(answer).await.unwrap();
                }
            });
        }
    });
    let has_moved = Arc::new(AtomicBool::new(false));
    let moving = Arc::clone(&has_moved);
    let lookups = Lookups::new(OPEN, move |_| {
        let place = if moving.load(Ordering::Relaxed) { 2 } else { 1 };
        Ok(vec![Ipv4Addr::new(127, 0, 0, place).into()])
    });
    let client_life = Duration::from_millis(500);
    let options = PosterOptions {
        client_life,
        ..options(OPEN)
    };
    let poster = Poster::with_lookups(options, lookups).unwrap();
    let url = receiver.url_of("receiver.test", "/ok");
    let begun = Instant::now();
    assert_eq!(post(&poster, &url).await.response(), Some("ok"));
    has_moved.store(true, Ordering::Relaxed);
    wait_until("it to be found at its new place", PATIENCE, || async {
        post(&poster, &url).await.response() == Some("moved")
    })
    .await;
    assert!(begun.elapsed() >= client_life);
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn tls_is_verified() {
    let good = Identity::for_names(&["receiver.test", "127.0.0.1"]);
    let stale = Identity::expired(&["receiver.test"]);
    let (fine, expired) = (Receiver::start_tls(&good).await, Receiver::start_tls(&stale).await);
    let extra_roots_pem = format!("{}{}", good.root_pem(), stale.root_pem());
    let names: &[(&str, &[IpAddr])] = &[("receiver.test", LOOPBACK), ("other.test", LOOPBACK)];
    let poster = poster_knowing(
        PosterOptions {
            extra_roots_pem,
            ..options(OPEN)
        },
        names,
    );
    assert_eq!(post(&poster, &fine.url("/ok")).await.http_status(), Some(200));
    assert_eq!(
        post(&poster, &fine.url_of("receiver.test", "/ok")).await.http_status(),
        Some(200)
    );
    let stranger = poster_knowing(options(OPEN), names);
    for (poster, url, part) in [
        (&poster, fine.url_of("other.test", "/ok"), "not valid for name"),
        (&poster, expired.url_of("receiver.test", "/ok"), "expired"),
        (&stranger, fine.url_of("receiver.test", "/ok"), "UnknownIssuer"),
    ] {
        let error = error_of(&post(poster, &url).await);
        assert!(error.starts_with("ETLS: ") && error.contains(part), "{url}: {error}");
    }
    assert_eq!(expired.count(), 0);
}

#[tokio::test]
async fn a_tls_receiver_that_closes_without_farewell() {
    let identity = Identity::for_names(&["127.0.0.1"]);
    let receiver = Receiver::start_tls(&identity).await;
    let extra_roots_pem = identity.root_pem().to_owned();
    let poster = poster_knowing(
        PosterOptions {
            extra_roots_pem,
            ..options(OPEN)
        },
        &[],
    );
    let whole = Bytes::from_static(b"HTTP/1.0 200 OK\r\n\r\ndone");
    receiver.script("/hook", [Reply::Raw(whole), Reply::Close]);
    assert_eq!(post(&poster, &receiver.url("/hook")).await.response(), Some("done"));
    assert!(
        error_of(&post(&poster, &receiver.url("/hook")).await).starts_with("ECONNRESET"),
        "closed"
    );
}

#[test]
fn broken_extra_roots_are_an_error_at_start() {
    for pem in [
        "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydA==\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    ] {
        let options = PosterOptions {
            extra_roots_pem: pem.into(),
            ..options(OPEN)
        };
        assert!(matches!(Poster::new(options), Err(PosterError::Roots(_))), "{pem}");
    }
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    let identity = Identity::for_names(&["127.0.0.1"]);
    let receiver = Http2Receiver::start(&identity).await;
    let extra_roots_pem = identity.root_pem().to_owned();
    let timeout = Duration::from_secs(1);
    let poster = poster_knowing(
        PosterOptions {
            extra_roots_pem,
            ..options(OPEN)
        },
        &[],
    );
    let ok = AttemptResult::Answered {
        http_status: 200,
        response: Some("ok".into()),
    };
    assert_eq!(post(&poster, &receiver.url("/ok")).await, ok);
    assert_eq!(
        post(&poster, &receiver.url("/status/404")).await.http_status(),
        Some(404)
    );
    let hang = post_within(&poster, &receiver.url("/hang"), timeout).await;
    assert_eq!(hang, AttemptResult::TimedOut);
    assert!(error_of(&post(&poster, &receiver.url("/reset")).await).starts_with("EPROTO: "));
    let requests = receiver.requests();
    assert_eq!(
        post(&poster, &receiver.url("/refuse-once")).await,
        ok,
        "refused means not processed: sent again"
    );
    assert_eq!(receiver.requests(), requests + 2);
    let endless = AttemptResult::Answered {
        http_status: 200,
        response: Some("x".repeat(1024)),
    };
    assert_eq!(post(&poster, &receiver.url("/endless")).await, endless);
    assert_eq!(receiver.connections(), 1, "one connection carries them all");
    let dropped = error_of(&post(&poster, &receiver.url("/drop")).await);
    assert!(dropped.starts_with("ECONNRESET: "), "{dropped}");
    assert_eq!(
        post(&poster, &receiver.url("/ok")).await,
        ok,
        "and a new one replaces it"
    );
}

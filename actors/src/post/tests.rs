//! Every row of CONTRACT.md section 4's table and of section 7's rulings on it, over real sockets.

mod bodies;
mod connections;
mod direct;
mod hostile;
mod memory;
mod targets;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Instant,
};

use uuid::Uuid;
use wharf_support::{ClosedPort, Http2Receiver, Identity, Receiver, Reply, wait_until};

use super::*;

const STRICT: TargetPolicy = TargetPolicy {
    allow_http: true,
    allow_private_networks: false,
    allowed_networks: Vec::new(),
};
const OPEN: TargetPolicy = TargetPolicy {
    allow_http: true,
    allow_private_networks: true,
    allowed_networks: Vec::new(),
};
const BODY: &[u8] = br#"{"client_id":1}"#;
/// An attempt's deadline where it is not what is tested.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOPBACK: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::LOCALHOST)];

fn options(policy: TargetPolicy) -> PosterOptions {
    PosterOptions {
        connect_timeout: PATIENCE,
        ..PosterOptions::new(policy)
    }
}

/// A poster whose resolver knows these names.
fn poster_knowing(options: PosterOptions, names: &[(&str, &[IpAddr])]) -> Poster {
    let names: HashMap<String, Vec<IpAddr>> = names
        .iter()
        .map(|(name, addresses)| ((*name).to_owned(), addresses.to_vec()))
        .collect();
    let lookups = Lookups::new(options.policy.clone(), move |name| {
        names
            .get(name)
            .cloned()
            .ok_or_else(|| io::Error::other("Name or service not known"))
    });
    Poster::with_lookups(options, lookups).unwrap()
}

fn poster() -> Poster {
    poster_knowing(options(OPEN), &[])
}

fn event_id() -> EventId {
    EventId(Uuid::from_u128(7))
}

async fn post(poster: &Poster, url: &str) -> AttemptResult {
    post_within(poster, url, PATIENCE).await
}

async fn post_within(poster: &Poster, url: &str, timeout: Duration) -> AttemptResult {
    post_with(poster, url, timeout, &HeaderLines::default()).await.result
}

async fn post_with(poster: &Poster, url: &str, timeout: Duration, headers: &HeaderLines) -> Posted {
    let target = match poster.target(url) {
        Ok(target) => target,
        Err(refused) => return refused.into(),
    };
    let post = Post {
        event_id: event_id(),
        sequence: 7,
        attempt: 3,
        timestamp: Timestamp(1_762_352_580_999),
        timeout,
        headers,
        signatures: Default::default(),
        body: Bytes::from_static(BODY),
    };
    poster.post(&target, post).await
}

fn error_of(result: &AttemptResult) -> String {
    result.failure().map(|failure| failure.error).unwrap_or_default()
}

#[tokio::test]
async fn sends_the_contracts_headers_and_no_others() {
    let receiver = Receiver::start().await;
    let result = post(&poster(), &receiver.url("/ok?secret=1")).await;
    assert_eq!(
        result,
        AttemptResult::Answered {
            http_status: 200,
            response: Some("ok".into())
        }
    );
    let request = &receiver.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str(), &request.body[..]),
        ("POST", "/ok?secret=1", BODY)
    );
    let mut headers = request.headers.clone();
    headers.sort();
    let expected = [
        ("accept", "*/*".to_owned()),
        ("content-length", BODY.len().to_string()),
        ("content-type", "application/json".to_owned()),
        ("host", receiver.address().to_string()),
        ("user-agent", format!("wharf/{}", env!("CARGO_PKG_VERSION"))),
        ("webhook-attempt", "3".to_owned()),
        ("webhook-id", event_id().to_string()),
        ("webhook-sequence", "7".to_owned()),
        ("webhook-timestamp", "1762352580".to_owned()),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[tokio::test]
async fn own_headers_go_beside_ours() {
    let receiver = Receiver::start().await;
    let own = OwnHeaders::check([("Authorization", "Bearer hunter2"), ("X-Tenant", "pier 2")]).unwrap();
    let lines = HeaderLines::new(&own);
    assert!(!format!("{lines:?}").contains("hunter2"));
    post_with(&poster(), &receiver.url("/ok"), PATIENCE, &lines).await;
    let request = &receiver.requests()[0];
    for (name, value) in [
        ("authorization", "Bearer hunter2"),
        ("x-tenant", "pier 2"),
        ("content-type", "application/json"),
        ("webhook-attempt", "3"),
    ] {
        assert_eq!(request.header(name), Some(value));
    }
    assert_eq!(request.headers.len(), 9 + 2);
}

#[tokio::test]
async fn retry_after_is_read_in_both_forms() {
    let receiver = Receiver::start().await;
    let poster = poster();
    for (text, seconds) in [
        ("30", Some(30)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("soon", None),
    ] {
        let answer = Reply::Answer(503, vec![("retry-after", text.into())], Bytes::new());
        receiver.script("/hook", [answer]);
        let before = clock::now();
        let posted = post_with(&poster, &receiver.url("/hook"), PATIENCE, &HeaderLines::default()).await;
        assert_eq!(posted.result.http_status(), Some(503));
        let waits = posted.retry_after.map(|at| at.since(before).as_secs());
        // Counted from when the answer came, somewhat later.
        let late = |waits: u64, seconds: u64| (seconds..seconds + PATIENCE.as_secs()).contains(&waits);
        assert_eq!(waits.is_some(), seconds.is_some(), "{text}");
        assert!(
            waits.zip(seconds).is_none_or(|(waits, seconds)| late(waits, seconds)),
            "{text}: {waits:?}"
        );
    }
}

#[tokio::test]
async fn statuses_are_reported_as_they_come() {
    let receiver = Receiver::start().await;
    let poster = poster();
    for status in [
        101, 200, 201, 204, 299, 300, 301, 302, 303, 304, 307, 308, 400, 401, 404, 407, 410, 429, 500, 503, 599,
    ] {
        let result = post(&poster, &receiver.url(&format!("/status/{status}"))).await;
        assert_eq!(result.http_status(), Some(status), "{result:?}");
        let has_body = !matches!(status, 101 | 204 | 304);
        assert_eq!(result.response(), has_body.then(|| status.to_string()).as_deref());
    }
    // Interim answers are not the answer.
    let interim =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    receiver.script("/interim", [Reply::Raw(Bytes::from_static(interim))]);
    let result = post(&poster, &receiver.url("/interim")).await;
    assert_eq!(
        result,
        AttemptResult::Answered {
            http_status: 200,
            response: None
        }
    );
}

#[tokio::test]
async fn network_trouble_has_the_contracts_names() {
    let receiver = Receiver::start().await;
    let (port, closed) = (receiver.address().port(), ClosedPort::take());
    let poster = poster();
    let rows = [
        (
            receiver.url("/close"),
            "ECONNRESET",
            "closed the connection without an answer",
        ),
        (receiver.url("/reset"), "ECONNRESET", "reset the connection"),
        (receiver.url("/garbage"), "EPROTO", "did not answer in HTTP"),
        (
            format!("https://127.0.0.1:{port}/ok"),
            "ETLS",
            "ended the connection during the TLS handshake",
        ),
        (
            format!("http://127.0.0.1:{}/", closed.number()),
            "ECONNREFUSED",
            "refused the connection",
        ),
        (
            "http://nowhere.test/".to_owned(),
            "ENOTFOUND",
            "nowhere.test: Name or service not known",
        ),
        // Linux refuses to open TCP to a group.
        ("http://224.0.0.1/".to_owned(), "EHOSTUNREACH", "unreachable"),
    ];
    for (url, code, part) in rows {
        let result = post(&poster, &url).await;
        assert!(
            matches!(&result, AttemptResult::Failed { code: said, detail } if *said == code && detail.contains(part)),
            "{url}: {result:?}"
        );
        assert!(result.failure().is_some_and(|failure| failure.retry));
    }
}

#[tokio::test]
async fn answers_that_break_http_are_eproto() {
    let receiver = Receiver::start().await;
    let poster = poster();
    let long_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1024 * 1024));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(200));
    let heads = [
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/3.7 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{50}",
        &long_head,
        &many_headers,
    ];
    for head in heads {
        receiver.script("/hook", [Reply::Raw(Bytes::copy_from_slice(head.as_bytes()))]);
        let result = post(&poster, &receiver.url("/hook")).await;
        let head: String = head.chars().take(60).collect();
        assert!(
            matches!(&result, AttemptResult::Failed { code: "EPROTO", .. }),
            "{head:?}: {result:?}"
        );
    }
}

#[tokio::test]
async fn one_deadline_for_everything() {
    let receiver = Receiver::start().await;
    let tls = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeout = Duration::from_millis(300);
    let options = options(OPEN);
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let lookups = Lookups::new(OPEN, move |_| {
        let _ = held.lock().unwrap().recv();
        Ok(LOOPBACK.to_vec())
    });
    let poster = Poster::with_lookups(options, lookups).unwrap();
    let silent_tls = format!("https://{}/", tls.local_addr().unwrap());
    // A name server, a TLS handshake, an answer: none of them ends in time.
    for url in [
        "http://slow-dns.test/",
        &silent_tls,
        &receiver.url("/hang"),
        &receiver.url("/slow/60000"),
    ] {
        let started = Instant::now();
        assert_eq!(
            post_within(&poster, url, timeout).await,
            AttemptResult::TimedOut,
            "{url}"
        );
        assert!(
            (timeout..PATIENCE).contains(&started.elapsed()),
            "{url}: {:?}",
            started.elapsed()
        );
    }
    drop(release);
}

#[tokio::test]
async fn dropping_the_attempt_aborts_the_request() {
    let receiver = Receiver::start().await;
    let poster = poster();
    let url = receiver.url("/hang");
    let attempt = tokio::spawn(async move { post(&poster, &url).await });
    receiver.wait_for(1, PATIENCE).await;
    attempt.abort();
    wait_until("the connection to close", PATIENCE, || async {
        receiver.open_connections() == 0
    })
    .await;
}

#[tokio::test]
async fn no_detail_shows_the_path_or_query() {
    let receiver = Receiver::start().await;
    let poster = poster();
    for path in ["/close", "/garbage", "/reset"] {
        let error = error_of(&post(&poster, &receiver.url(&format!("{path}?token=hunter2"))).await);
        assert!(
            !error.is_empty() && !error.contains("hunter2") && !error.contains(path),
            "{error}"
        );
    }
}

//! Slow clients, full houses and stopping.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use wharf_support::wait_until;

use super::{
    super::server::STOP_TIME,
    ALPHA, Facade, LIMITS, NUMBER, ServerLimits,
    client::{Ask, Reply},
};

/// Shorter than what no client is waited for here (`idle_timeout`), longer than any machine takes for what it has to do.
const PATIENCE: Duration = Duration::from_secs(30);

fn message(facade: &Facade, text: &str) -> Ask {
    let path = format!("/api/whatsapp/connections/{NUMBER}/messages");
    facade
        .ask("POST", &path)
        .json(&json!({"to": NUMBER, "type": "text", "text": text}))
}

fn limits(request_timeout: u64, max_connections: usize) -> ServerLimits {
    ServerLimits {
        request_timeout: Duration::from_millis(request_timeout),
        max_connections,
        max_requests_per_client: max_connections,
        ..LIMITS
    }
}

/// Waits until a message has come to the desk.
async fn is_asked(facade: &Facade) {
    wait_until("the desk is asked", PATIENCE, || async {
        facade.desk.asked().starts_with("(None, ")
    })
    .await;
}

/// Writes raw bytes and reads until the server closes.
pub(super) async fn raw(facade: &Facade, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(facade.address).await.unwrap();
    // The rest of what is refused may be cut off.
    let _cut_off = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _cut_off = timeout(PATIENCE, socket.read_to_end(&mut answer))
        .await
        .expect("closes");
    answer
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let facade = Facade::start_with(limits(600, 10)).await;
    let head = format!(
        "POST /api/webhooks/register HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"phone"
    );
    let reply = Reply::parse(&raw(&facade, head.as_bytes()).await);
    assert_eq!(reply.status, 408);
    assert!(reply.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_chunked_body_is_limited_too() {
    let facade = Facade::start().await;
    let mut request = format!(
        "POST /api/webhooks/register HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\nconnection: close\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    for _ in 0..20 {
        request += &format!("2000\r\n{}\r\n", " ".repeat(0x2000));
    }
    request += "0\r\n\r\n";
    assert_eq!(Reply::parse(&raw(&facade, request.as_bytes()).await).status, 413);
}

#[tokio::test]
async fn bytes_that_are_not_http_end_the_connection() {
    let facade = Facade::start().await;
    for bytes in [
        "\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = raw(&facade, bytes.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{bytes:?}: {answer:?}"
        );
    }
    assert_eq!(facade.bare("GET", "/healthz").send().await.status, 200);
}

/// hyper answers these by itself, before there is a request.
#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_like_any_other() {
    let facade = Facade::start().await;
    let many: String = (0..150).map(|n| format!("x-{n}: y\r\n")).collect();
    let large = format!("GET / HTTP/1.1\r\n{many}\r\n");
    let twice = "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n";
    for (request, status) in [
        ("GET /a b HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nbad name: x\r\n\r\n", 400),
        (twice, 400),
        (large.as_str(), 431),
    ] {
        let reply = Reply::parse(&raw(&facade, request.as_bytes()).await);
        reply.check(request, "GET");
        assert_eq!(reply.status, status, "{reply:?}");
        let length = reply.header("content-length").and_then(|length| length.parse().ok());
        assert_eq!(length, Some(reply.body.len()));
        assert_eq!(reply.header("connection"), Some("close"));
    }
}

/// Its target is a host and no path, which warp's filters take for granted.
#[tokio::test]
async fn a_connect_request_is_answered_like_a_path_that_is_not_there() {
    let facade = Facade::start().await;
    let answer = raw(
        &facade,
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(Reply::parse(&answer).status, 404);
}

#[tokio::test]
async fn a_desk_that_hangs_is_504_at_the_deadline() {
    let facade = Facade::start_with(limits(400, 10)).await;
    let begun = Instant::now();
    assert_eq!(message(&facade, "hang").send().await.status, 504);
    assert!(begun.elapsed() < LIMITS.request_timeout, "its own deadline");
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_what_it_asked_for() {
    let facade = Facade::start().await;
    let asking = tokio::spawn(message(&facade, "slow").send());
    is_asked(&facade).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled(), "it hung up before the answer");
    // On one thread: whoever comes later is served after the facade has seen that.
    assert_eq!(facade.bare("GET", "/healthz").send().await.status, 200);
    facade.desk.go_on.notify_one();
    wait_until("it is sent all the same", PATIENCE, || async {
        facade.desk.asked() == "\"sent\""
    })
    .await;
}

#[tokio::test]
async fn a_full_house_waits_and_serves_when_there_is_room() {
    let facade = Facade::start_with(limits(20_000, 2)).await;
    // Requests that are carried out keep their places; these two have been asked for their bodies.
    let head = format!(
        "POST /api/webhooks/register HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n"
    );
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(facade.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut asked = [0; 12];
        socket.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100");
        busy.push(socket);
    }
    let waiting = facade.bare("GET", "/healthz");
    let waiting = tokio::spawn(waiting.send());
    sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    drop(busy);
    assert_eq!(waiting.await.unwrap().status, 200);
}

#[tokio::test]
async fn stopping_finishes_what_runs_and_takes_nothing_new() {
    let mut facade = Facade::start().await;
    let running = tokio::spawn(message(&facade, "slow").send());
    let idle = TcpStream::connect(facade.address).await.unwrap();
    is_asked(&facade).await;
    let stopping = Instant::now();
    facade.stop.take().unwrap().send(()).unwrap();
    wait_until("nobody listens any more", PATIENCE, || async {
        TcpStream::connect(facade.address).await.is_err()
    })
    .await;
    facade.desk.go_on.notify_one();
    assert_eq!(running.await.unwrap().status, 201);
    timeout(PATIENCE, facade.task).await.expect("stops").unwrap();
    assert!(stopping.elapsed() < STOP_TIME, "without waiting for idle clients");
    drop(idle);
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let mut facade = Facade::start_with(limits(600_000, 10)).await;
    let hanging = tokio::spawn(timeout(PATIENCE * 4, message(&facade, "hang").send()));
    is_asked(&facade).await;
    facade.stop.take().unwrap().send(()).unwrap();
    timeout(PATIENCE, facade.task).await.expect("stops").unwrap();
    hanging.abort();
}

//! Clients that mean harm: slow, silent, oversized, garbled. Each ends by its own limit, and others are served.

use std::{io, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};

use super::{ALPHA, Facade, LIMITS, NUMBER, ServerLimits, client::Reply, sockets::raw};

/// Sockets that do nothing, where the process may have enough files open.
const IDLE: usize = 2000;
/// What a client may have to wait while others misbehave: less than it takes until those are shown out, where they are not
/// by limits of their own.
const SERVED_WITHIN: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(60);

fn head(more: &str) -> String {
    format!(
        "POST /api/webhooks/register HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\n\
         content-type: application/json\r\n{more}\r\n"
    )
}

async fn is_served(facade: &Facade) {
    let asked = timeout(SERVED_WITHIN, facade.ask("GET", "/api/webhooks/list").send()).await;
    assert_eq!(asked.expect("others are served").status, 200);
}

/// Writes `first`, then `again` for ever with this pause, until the server closes; how long that took, and its answer.
async fn drip(facade: &Facade, first: &str, again: &str, pause: Duration) -> (Duration, Vec<u8>) {
    // Before the server can have begun to count.
    let began = Instant::now();
    let mut socket = TcpStream::connect(facade.address).await.unwrap();
    socket.write_all(first.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = socket.split();
    let mut answer = Vec::new();
    let read = async {
        // A reset is an end, too.
        let _ = reading.read_to_end(&mut answer).await;
    };
    let write = async {
        for byte in again.bytes().cycle() {
            sleep(pause).await;
            if writing.write_all(&[byte]).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let end = async {
        tokio::select! { () = read => {}, () = write => {} }
    };
    timeout(PATIENCE, end).await.expect("it is cut off");
    (began.elapsed(), answer)
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let header_timeout = Duration::from_millis(500);
    let facade = Facade::start_with(ServerLimits {
        header_timeout,
        ..LIMITS
    })
    .await;
    let pause = Duration::from_millis(20);
    for first in [
        "",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let (took, answer) = tokio::join!(drip(&facade, first, "x: y\r\n", pause), is_served(&facade)).0;
        assert!(
            (header_timeout..LIMITS.header_timeout).contains(&took),
            "{first:?}: {took:?}"
        );
        let answered = first.ends_with("\r\n\r\n");
        assert_eq!(
            answer.starts_with(b"HTTP/1.1 200"),
            answered,
            "what was whole was answered"
        );
    }
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_408() {
    let facade = Facade::start_with(ServerLimits {
        request_timeout: Duration::from_secs(4),
        ..LIMITS
    })
    .await;
    let pause = Duration::from_millis(20);
    for (more, again) in [
        ("content-length: 60000\r\n", " "),
        ("transfer-encoding: chunked\r\n", "1\r\n \r\n"),
    ] {
        let head = head(more);
        let (took, answer) = tokio::join!(drip(&facade, &head, again, pause), is_served(&facade)).0;
        assert!(took < LIMITS.request_timeout, "{took:?}");
        assert_eq!(Reply::parse(&answer).status, 408, "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_idle_sockets_keep_nobody_out_and_are_closed() {
    let idle_timeout = Duration::from_secs(4);
    let facade = Facade::start_with(ServerLimits {
        idle_timeout,
        max_connections: 4000,
        ..LIMITS
    })
    .await;
    let sockets = idle_sockets(&facade).await;
    let began = Instant::now();
    for _ in 0..20 {
        is_served(&facade).await;
    }
    for mut socket in sockets {
        let mut rest = Vec::new();
        timeout(PATIENCE, socket.read_to_end(&mut rest))
            .await
            .expect("is closed")
            .unwrap();
        assert!(rest.is_empty());
    }
    assert!(began.elapsed() < LIMITS.idle_timeout, "{:?}", began.elapsed());
    is_served(&facade).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_sockets_beyond_the_limit_give_way_to_who_asks() {
    let facade = Facade::start_with(ServerLimits {
        max_connections: 200,
        ..LIMITS
    })
    .await;
    // Half of them say nothing, half have begun a head.
    let mut sockets = idle_sockets(&facade).await;
    for socket in sockets.iter_mut().skip(1).step_by(2) {
        // Those that gave way already are gone.
        let _ = socket.write_all(b"GET / HTTP/1.1\r\nx: ").await;
    }
    for _ in 0..50 {
        is_served(&facade).await;
    }
    let mut held = sockets;
    let within = Instant::now() + SERVED_WITHIN;
    while held.len() > 200 && Instant::now() < within {
        for mut socket in std::mem::take(&mut held) {
            let read = timeout(Duration::from_millis(1), socket.read(&mut [0; 64])).await;
            if !matches!(read, Ok(Ok(0) | Err(_))) {
                held.push(socket);
            }
        }
    }
    assert!(held.len() <= 200, "{} did not give way", held.len());
}

async fn idle_sockets(facade: &Facade) -> Vec<TcpStream> {
    // Both ends are in this process, and so are other tests.
    let limit = wharf_actors::open_files::raise().and_then(|limit| usize::try_from(limit).ok());
    let count = limit.map_or(IDLE, |limit| IDLE.min(limit / 8));
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        sockets.push(
            timeout(PATIENCE, TcpStream::connect(facade.address))
                .await
                .unwrap()
                .unwrap(),
        );
    }
    sockets
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_cut_off() {
    let facade = Facade::start_with(ServerLimits {
        request_timeout: Duration::from_secs(5),
        ..LIMITS
    })
    .await;
    // A small buffer on this side, so that few pictures fill what is between the two.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(facade.address).await.unwrap();
    let picture = format!(
        "GET /api/whatsapp/connections/{NUMBER}/qr?format=svg HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\n\r\n"
    );
    let cut_off = async {
        let mut sent = socket.write_all(picture.repeat(3000).as_bytes()).await;
        // Only writing shows that the other side is gone, as long as nothing is read.
        while sent.is_ok() {
            sleep(Duration::from_millis(20)).await;
            sent = socket.write_all(b"G").await;
        }
        sent.map_err(|error| error.kind())
    };
    let error = timeout(PATIENCE * 3, cut_off).await.expect("is cut off");
    assert!(
        matches!(error, Err(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)),
        "{error:?}"
    );
    is_served(&facade).await;
}

/// What is oversized is refused with the status that says so. A reset may overtake the answer of one that is still
/// writing: then there is none.
#[tokio::test]
async fn whatever_is_oversized_is_refused() {
    let facade = Facade::start().await;
    let big = "x".repeat(40_000);
    let many: String = (0..150).map(|n| format!("x-{n}: y\r\n")).collect();
    let large: String = (0..80).map(|n| format!("x-{n}: {}\r\n", "y".repeat(1000))).collect();
    let chunks = format!("2000\r\n{}\r\n", " ".repeat(0x2000)).repeat(600);
    // Whether all of it is read, so that nothing resets the connection.
    let rows: [(&str, String, &[u16], bool); 11] = [
        (
            "the path",
            format!("GET /{big} HTTP/1.1\r\nhost: x\r\n\r\n"),
            &[414, 431],
            false,
        ),
        (
            "a path beyond hyper's own limit",
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000)),
            &[414, 431],
            false,
        ),
        ("the method", format!("{big} / HTTP/1.1\r\n\r\n"), &[400, 431], false),
        (
            "one header",
            format!("GET / HTTP/1.1\r\nx: {big}\r\n\r\n"),
            &[431],
            false,
        ),
        (
            "a header's name",
            format!("GET / HTTP/1.1\r\n{big}{big}: x\r\n\r\n"),
            &[400, 431],
            false,
        ),
        ("many headers", format!("GET / HTTP/1.1\r\n{many}\r\n"), &[431], true),
        ("large headers", format!("GET / HTTP/1.1\r\n{large}\r\n"), &[431], false),
        (
            "an announced body",
            head("content-length: 10737418240\r\nconnection: close\r\n"),
            &[413],
            true,
        ),
        (
            "a length beyond numbers",
            head("content-length: 99999999999999999999999\r\n"),
            &[400],
            true,
        ),
        (
            "a chunked body",
            head("transfer-encoding: chunked\r\nconnection: close\r\n") + &chunks,
            &[413],
            false,
        ),
        (
            "a chunk's extension",
            head("transfer-encoding: chunked\r\nconnection: close\r\n") + "1;" + &"x".repeat(1 << 20),
            &[400],
            false,
        ),
    ];
    for (what, request, statuses, must_answer) in rows {
        let answer = raw_or_reset(&facade, request.as_bytes()).await;
        assert!(!must_answer || !answer.is_empty(), "{what} is not answered");
        if !answer.is_empty() {
            let status = Reply::parse(&answer).status;
            assert!(statuses.contains(&status), "{what}: {status}");
        }
        is_served(&facade).await;
    }
}

/// As [`raw`], of a server that may close while it is being written to.
async fn raw_or_reset(facade: &Facade, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(facade.address).await.unwrap();
    let (mut reading, mut writing) = socket.split();
    let mut answer = Vec::new();
    let both = async {
        let (_cut_off, _reset) = tokio::join!(writing.write_all(bytes), reading.read_to_end(&mut answer));
    };
    timeout(PATIENCE, both).await.expect("closes");
    answer
}

#[tokio::test]
async fn a_head_just_below_the_limit_is_read() {
    let facade = Facade::start().await;
    let reply = facade
        .bare("GET", "/healthz")
        .header("x", &"y".repeat(31_000))
        .send()
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn deeply_nested_json_is_400_and_no_stack_overflow() {
    let facade = Facade::start().await;
    let opened = 30_000;
    for body in [
        "[".repeat(60_000),
        "{\"a\":".repeat(10_000),
        format!("{{\"metadata\":{}{}}}", "[".repeat(opened), "]".repeat(opened)),
        format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000)),
    ] {
        let ask = facade.ask("POST", "/api/webhooks/register");
        let reply = ask.header("content-type", "application/json").bytes(body).send().await;
        assert_eq!(reply.status, 400);
    }
    // As deep as JSON is read at all, it is kept and comes back.
    let mut metadata = json!(1);
    for _ in 0..100 {
        metadata = json!({ "a": metadata });
    }
    let body = json!({"phone_number": "5511777777777", "webhook_url": "https://example.com/", "metadata": metadata});
    let reply = facade.ask("POST", "/api/webhooks/register").json(&body).send().await;
    assert_eq!((reply.status, &reply.json()["metadata"]), (201, &metadata));
}

/// The statuses of all answers in these bytes.
fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    let heads = text.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].parse().unwrap()).collect()
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_garbage_ends_them() {
    let facade = Facade::start().await;
    let ok = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let unread = "GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello";
    let chunked = "GET /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let twice = "GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!";
    let rows: [(String, &[u16]); 12] = [
        ([ok, ok, ok, last].concat(), &[200, 200, 200, 404]),
        // A body that nobody wants is not the next request.
        ([unread, last].concat(), &[200, 404]),
        ([chunked, last].concat(), &[200, 404]),
        ([ok, "garbage\r\n\r\n"].concat(), &[200, 400]),
        ([ok, "\0\0\0\0\r\n\r\n"].concat(), &[200, 400]),
        ([ok, twice].concat(), &[200, 400]),
        (
            [ok, "GET /healthz HTTP/1.1\r\nbad header\r\n\r\n"].concat(),
            &[200, 400],
        ),
        ([ok, "GET /healthz HTTP/1.1\r\nhost : x\r\n\r\n"].concat(), &[200, 400]),
        ([ok, "GET /healthz HTTP/1.1\r\nx: a\0b\r\n\r\n"].concat(), &[200, 400]),
        (
            [ok, "GET /healthz HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n"].concat(),
            &[200, 400],
        ),
        (
            [ok, "GET /healthz HTTP/1.1\r\ntransfer-encoding: chunked, x\r\n\r\n"].concat(),
            &[200, 400],
        ),
        ([ok, "GET /healthz HTTP/2.0\r\n\r\n"].concat(), &[200, 400]),
    ];
    for (bytes, expected) in rows {
        let answers = raw(&facade, bytes.as_bytes()).await;
        assert_eq!(statuses(&answers), expected, "{bytes:?}");
        // What hyper refuses by itself is answered as all else is, after another answer as well.
        let refused = String::from_utf8_lossy(&answers).contains("application/problem+json");
        assert!(refused, "{bytes:?}");
    }
    // Two ways to say where a body ends: whichever is believed, nothing of it is taken for a request.
    let smuggled = format!(
        "POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nX{last}"
    );
    let answers = statuses(&raw(&facade, smuggled.as_bytes()).await);
    assert!(!answers.contains(&200) && answers.len() <= 2, "{answers:?}");
    is_served(&facade).await;
}

//! One client that takes all that it can get, and another one that asks for little.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use wharf_domain::Metadata;
use wharf_support::wait_until;

use super::{
    ALPHA, BETA, Facade, LIMITS, NUMBER, ServerLimits,
    client::{Ask, Reply},
    media,
};

/// What anybody waits for who is served at all; no place becomes free by itself within it.
const SERVED_WITHIN: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(30);

fn limits(max_connections: usize, max_requests_per_client: usize) -> ServerLimits {
    ServerLimits {
        request_timeout: Duration::from_secs(60),
        max_connections,
        max_requests_per_client,
        ..LIMITS
    }
}

async fn ask(facade: &Facade, token: &str) -> Reply {
    let ask = facade.bare("GET", "/api/webhooks/list").token(token);
    timeout(SERVED_WITHIN, ask.send()).await.expect("is answered")
}

async fn is_served(facade: &Facade, token: &str) {
    assert_eq!(ask(facade, token).await.status, 200);
}

/// A connection on which this was written.
async fn open(facade: &Facade, request: &str) -> TcpStream {
    // A small buffer on this side, so that what is not read stays on the other one.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(facade.address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// The beginning of the answer.
async fn status(socket: &mut TcpStream) -> String {
    let mut status = [0; 12];
    let read = timeout(SERVED_WITHIN, socket.read_exact(&mut status));
    read.await.expect("is answered").unwrap();
    String::from_utf8_lossy(&status).into_owned()
}

fn slow_body(token: &str) -> String {
    format!(
        "POST /api/webhooks/register HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n"
    )
}

fn stream() -> String {
    format!(
        "GET /api/whatsapp/connections/{NUMBER}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_client_with_all_the_slow_bodies_and_streams_that_it_can_open_keeps_nobody_out() {
    for request in [slow_body(ALPHA), stream()] {
        let facade = Facade::start_with(limits(8, 4)).await;
        *facade.desk.changes.lock().unwrap() = Some(watch::Sender::new(()));
        let mut held = Vec::new();
        for number in 0..12 {
            let mut socket = open(&facade, &request).await;
            let status = status(&mut socket).await;
            // In a full house a stream makes room, for another one as well.
            if number < 8 {
                assert_eq!(status == "HTTP/1.1 429", number >= 4, "{number}: {status}");
            }
            held.push(socket);
        }
        for _ in 0..20 {
            is_served(&facade, BETA).await;
        }
        let refused = ask(&facade, ALPHA).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
        let detail = refused.json()["detail"].to_string();
        assert!(
            detail.contains("4 requests") && detail.contains("http.max_requests_per_client"),
            "{detail}"
        );
        // Health, and what has no token, is nobody's.
        assert_eq!(facade.bare("GET", "/healthz").send().await.status, 200);
        assert_eq!(facade.bare("GET", "/api/webhooks/list").send().await.status, 401);
        drop(held);
        wait_until("its places come back", PATIENCE, || async {
            ask(&facade, ALPHA).await.status == 200
        })
        .await;
    }
}

/// Who watches the process would end it for all.
#[tokio::test]
async fn clients_that_fill_the_house_together_leave_room_for_health() {
    let facade = Facade::start_with(limits(32, 16)).await;
    let mut held = Vec::new();
    for number in 0..32 {
        let token = if number % 2 == 0 { ALPHA } else { BETA };
        let mut socket = open(&facade, &slow_body(token)).await;
        let expected = if number < 30 { "HTTP/1.1 100" } else { "HTTP/1.1 503" };
        assert_eq!(status(&mut socket).await, expected, "{number}");
        held.push(socket);
    }
    for _ in 0..20 {
        let asked = facade.bare("GET", "/healthz").send();
        let health = timeout(SERVED_WITHIN, asked).await.expect("is answered");
        assert_eq!(health.status, 200);
    }
    let refused = ask(&facade, ALPHA).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    held.pop();
    drop(held);
    wait_until("its places come back", PATIENCE, || async {
        ask(&facade, ALPHA).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn an_answer_counts_until_it_is_taken_whether_it_has_a_token_or_a_signed_link() {
    let facade = Facade::start_with(limits(8, 1)).await;
    facade.desk.files.grow(64 * 1024 * 1024);
    let request = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", media::path("film.mp4"));
    let mut unread = open(&facade, &request).await;
    assert_eq!(status(&mut unread).await, "HTTP/1.1 200");
    for _ in 0..20 {
        assert_eq!(ask(&facade, ALPHA).await.status, 429);
        is_served(&facade, BETA).await;
    }
    let forged = request.replace("signature=", "signature=x");
    assert_eq!(
        status(&mut open(&facade, &forged).await).await,
        "HTTP/1.1 403",
        "is nobody's"
    );
    drop(unread);
    wait_until("its place comes back", PATIENCE, || async {
        ask(&facade, ALPHA).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded_by_their_bytes() {
    let facade = Facade::start_with(limits(100, 50)).await;
    let large = serde_json::json!({ "a": "x".repeat(40 << 20) });
    facade.desk.webhook.lock().unwrap().metadata = Some(Metadata::of_checked(large.to_string()).unwrap());
    let request = format!("GET /api/webhooks/list HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\n\r\n");
    let mut unread = open(&facade, &request).await;
    assert_eq!(status(&mut unread).await, "HTTP/1.1 200");
    let refused = ask(&facade, ALPHA).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.json()["detail"].to_string().contains("64 MiB"), "{refused:?}");
    is_served(&facade, BETA).await;
    let path = format!("/api/whatsapp/connections/{NUMBER}");
    assert_eq!(facade.ask("GET", &path).send().await.status, 200, "what is small");
    drop(unread);
    wait_until("its bytes come back", PATIENCE, || async {
        ask(&facade, ALPHA).await.status == 200
    })
    .await;
}

/// Answers that count for nobody, which fill the sockets of whoever asks for thousands and reads none.
#[tokio::test]
async fn strangers_who_read_nothing_keep_nobody_out() {
    for request in [
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /api/webhooks/list HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let facade = Facade::start_with(ServerLimits {
            request_timeout: Duration::from_secs(600),
            ..limits(4, 2)
        })
        .await;
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut socket = open(&facade, request).await;
            let pipelined = request.repeat(1000);
            let filling = async {
                // Until the server takes no more: its answers have nowhere to go.
                while let Ok(written) =
                    timeout(Duration::from_millis(500), socket.write_all(pipelined.as_bytes())).await
                {
                    written.unwrap();
                }
            };
            timeout(4 * PATIENCE, filling).await.expect("it is full some time");
            held.push(socket);
        }
        // When the last of what they have sent is answered, as far as there is room for it.
        let ask = facade.bare("GET", "/api/webhooks/list").token(BETA);
        assert_eq!(ask.send().await.status, 200);
    }
}

/// Whoever asks again at once, however many times at a time.
#[tokio::test]
async fn a_client_that_does_not_heed_a_refusal_is_refused_more_slowly() {
    let facade = Facade::start_with(limits(100, 50)).await;
    facade.desk.read_out.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    let mut rude = JoinSet::new();
    for _ in 0..8 {
        let ask = (facade.address, format!("Bearer {ALPHA}"));
        rude.spawn(async move {
            for _ in 0..10 {
                let ask = Ask::new(ask.0, "GET", "/api/webhooks/list").header("authorization", &ask.1);
                assert_eq!(ask.send().await.status, 429);
            }
        });
    }
    // What is not refused, and who is not.
    let path = format!("/api/whatsapp/connections/{NUMBER}");
    assert_eq!(facade.ask("GET", &path).send().await.status, 200);
    assert_eq!(ask(&facade, BETA).await.status, 429, "it reads too much as well");
    rude.join_all().await;
    // 20 at once, and 20 a second.
    assert!(begun.elapsed() > Duration::from_millis(2900), "{:?}", begun.elapsed());
}

fn list_request(token: &str) -> String {
    format!("GET /api/webhooks/list HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n")
}

#[tokio::test]
async fn requests_one_after_the_other_are_one_at_a_time() {
    let facade = Facade::start_with(limits(8, 1)).await;
    let one = format!("GET /api/webhooks/list HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\n");
    let requests = format!("{one}\r\n").repeat(50) + &one + "connection: close\r\n\r\n";
    let mut socket = TcpStream::connect(facade.address).await.unwrap();
    let (mut reading, mut writing) = socket.split();
    let mut answers = String::new();
    let both = async {
        tokio::join!(
            writing.write_all(requests.as_bytes()),
            reading.read_to_string(&mut answers)
        )
    };
    let (sent, read) = timeout(PATIENCE, both).await.expect("closes");
    sent.unwrap();
    read.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 51, "{answers}");
}

#[tokio::test]
async fn whoever_has_the_most_connections_makes_room_first() {
    let facade = Facade::start_with(limits(8, 4)).await;
    // The longest idle one of all.
    let mut others = open(&facade, &list_request(BETA)).await;
    assert_eq!(status(&mut others).await, "HTTP/1.1 200");
    let mut held = Vec::new();
    for _ in 0..30 {
        let mut socket = open(&facade, &list_request(ALPHA)).await;
        assert_eq!(status(&mut socket).await, "HTTP/1.1 200");
        held.push(socket);
    }
    let last = list_request(BETA).replace("host: x", "host: x\r\nconnection: close");
    others.write_all(last.as_bytes()).await.unwrap();
    let mut rest = String::new();
    let read = timeout(PATIENCE, others.read_to_string(&mut rest));
    read.await.unwrap().unwrap();
    assert_eq!(rest.matches("HTTP/1.1 200").count(), 1, "it was kept: {rest}");
}

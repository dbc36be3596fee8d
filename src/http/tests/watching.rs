//! Following a connection: server-sent events, the long poll of the QR code, and what a client may set.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use wharf_actors::Qr;
use wharf_domain::{ConnectionStatus, Timestamp, session::ReasonCode};

use super::{
    super::server::{STOP_TIME, ServerLimits},
    ALPHA, BETA, Facade, LIMITS, NUMBER,
    pictures::CODE,
};

const PATH: &str = "/api/whatsapp/connections/5511999999999";
const SOON: Duration = Duration::from_secs(30);

/// A stream of events as it arrives.
struct Listener {
    socket: TcpStream,
    heard: String,
}

impl Listener {
    async fn open(facade: &Facade) -> Self {
        let mut socket = TcpStream::connect(facade.address).await.unwrap();
        let request = format!("GET {PATH}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let heard = String::new();
        Self { socket, heard }
    }

    /// Reads until this was heard.
    async fn hears(&mut self, text: &str) {
        self.hears_times(text, 1).await;
    }

    /// Reads until this was heard so often.
    async fn hears_times(&mut self, text: &str, times: usize) {
        let reading = async {
            while self.heard.matches(text).count() < times {
                let mut bytes = [0; 4096];
                let read = self.socket.read(&mut bytes).await.unwrap();
                assert!(read > 0, "ended before {text:?}: {}", self.heard);
                self.heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        };
        let heard = timeout(SOON, reading).await;
        assert!(heard.is_ok(), "no {text:?} in {}", self.heard);
    }

    async fn ends(mut self) -> String {
        let mut rest = Vec::new();
        timeout(SOON, self.socket.read_to_end(&mut rest))
            .await
            .expect("it ends")
            .unwrap();
        self.heard + &String::from_utf8_lossy(&rest)
    }
}

fn told(facade: &Facade) -> watch::Sender<()> {
    let changes = watch::Sender::new(());
    *facade.desk.changes.lock().unwrap() = Some(changes.clone());
    changes
}

fn show(facade: &Facade, code: &str) {
    let qr = Qr {
        qr: code.into(),
        expires_at: Timestamp(0),
    };
    *facade.desk.qr.lock().unwrap() = Some(qr);
}

#[tokio::test]
async fn a_stream_tells_what_is_and_what_changes() {
    let mut facade = Facade::start().await;
    let changes = told(&facade);
    let mut listener = Listener::open(&facade).await;
    listener.hears("event:qr").await;
    assert!(
        listener.heard.contains("content-type: text/event-stream"),
        "{}",
        listener.heard
    );
    assert!(listener.heard.contains("event:status"), "{}", listener.heard);
    assert!(
        listener.heard.contains("\"status\":\"awaiting_scan\""),
        "{}",
        listener.heard
    );
    assert!(listener.heard.contains(CODE));

    show(&facade, "2@the-next");
    changes.send_replace(());
    listener.hears("2@the-next").await;
    // A mere sign of life says nothing; what comes next does.
    let row = facade.desk.connection.lock().unwrap().clone().unwrap();
    let mut alive = row.clone();
    alive.session.last_event_at = Some(Timestamp(5));
    *facade.desk.connection.lock().unwrap() = Some(alive);
    changes.send_replace(());
    let mut connected = row;
    (connected.session.status, connected.session.reason_code) = (ConnectionStatus::Connected, ReasonCode::Online);
    *facade.desk.qr.lock().unwrap() = None;
    *facade.desk.connection.lock().unwrap() = Some(connected);
    changes.send_replace(());
    listener.hears("\"reason_code\":\"online\"").await;
    assert_eq!(listener.heard.matches("event:status").count(), 2, "{}", listener.heard);

    // The facade does not wait for those who only listen.
    let stopping = Instant::now();
    facade.stop.take().unwrap().send(()).unwrap();
    timeout(SOON, &mut facade.task).await.unwrap().unwrap();
    assert!(stopping.elapsed() < STOP_TIME, "{:?}", stopping.elapsed());
    listener.ends().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_connection() {
    let facade = Facade::start().await;
    let changes = told(&facade);
    let mut listener = Listener::open(&facade).await;
    listener.hears("event:qr").await;
    *facade.desk.connection.lock().unwrap() = None;
    changes.send_replace(());
    listener.hears("event:deleted").await;
}

#[tokio::test]
async fn nothing_more_is_seen_with_a_token_that_was_taken_away() {
    let facade = Facade::start().await;
    let changes = told(&facade);
    let mut listener = Listener::open(&facade).await;
    listener.hears("event:qr").await;
    let waiting = facade.ask("GET", &format!("{PATH}/qr?wait=20&after={CODE}")).send();
    let rotating = async {
        wharf_support::wait_until("both follow", SOON, || async { changes.receiver_count() >= 2 }).await;
        facade.desk.rotated.store(true, Ordering::Relaxed);
        show(&facade, "2@not-for-them");
        changes.send_replace(());
    };
    let (waited, ()) = tokio::join!(waiting, rotating);
    assert_eq!(waited.status, 401, "{waited:?}");
    // The last chunk: the stream ends, and the connection is there for another request.
    listener.hears("\r\n0\r\n\r\n").await;
    assert!(!listener.heard.contains("2@not-for-them"), "{}", listener.heard);
}

/// Long before the next sign of life, after which it was noticed before.
#[tokio::test]
async fn a_silent_stream_hears_of_a_token_that_was_taken_away() {
    let facade = Facade::start().await;
    let changes = told(&facade);
    let mut listener = Listener::open(&facade).await;
    listener.hears("event:qr").await;
    let waiting = facade.ask("GET", &format!("{PATH}/qr?wait=20&after={CODE}")).send();
    let begun = Instant::now();
    let rotating = async {
        wharf_support::wait_until("both follow", SOON, || async { changes.receiver_count() >= 2 }).await;
        // Another client's: they go on.
        facade.desk.tokens.send_replace(());
        facade.desk.rotated.store(true, Ordering::Relaxed);
        facade.desk.tokens.send_replace(());
    };
    let (waited, ()) = tokio::join!(waiting, rotating);
    assert_eq!(waited.status, 401, "{waited:?}");
    listener.hears("\r\n0\r\n\r\n").await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_has_a_bounded_number_of_streams() {
    let facade = Facade::start().await;
    let _changes = told(&facade);
    let mut listeners = Vec::new();
    for _ in 0..16 {
        let mut listener = Listener::open(&facade).await;
        listener.hears("event:qr").await;
        listeners.push(listener);
    }
    let reply = facade.ask("GET", &format!("{PATH}/events")).send().await;
    assert_eq!(reply.status, 429, "{reply:?}");
    let reply = facade.ask("GET", &format!("{PATH}/qr?wait=5")).send().await;
    assert_eq!(reply.status, 429, "waiting counts too");
    assert_eq!(facade.ask("GET", &format!("{PATH}/qr")).send().await.status, 200);
    let other = facade.bare("GET", &format!("{PATH}/events")).token(BETA).send().await;
    assert_eq!(other.status, 404, "another client has its own");
    // Who hangs up gives the place back.
    drop(listeners);
    wharf_support::wait_until("a place is free", SOON, || async {
        facade.ask("GET", &format!("{PATH}/qr?wait=0")).send().await.status == 200
    })
    .await;
}

#[tokio::test]
async fn what_is_followed_outlasts_short_times_of_the_configuration() {
    let facade = Facade::start_with(ServerLimits {
        idle_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_millis(2500),
        ..LIMITS
    })
    .await;
    let _changes = told(&facade);
    let mut listener = Listener::open(&facade).await;
    listener.hears("event:qr").await;
    // Longer than a connection may be idle.
    listener.hears_times(":\n\n", 4).await;
    let asked = format!("{PATH}/qr?wait=20&after={CODE}");
    let reply = facade.ask("GET", &asked).send().await;
    assert_eq!(reply.status, 200, "what there is then: {reply:?}");
}

/// A session that is connected says so every five seconds, and nothing is told of that.
#[tokio::test]
async fn signs_of_life_go_out_however_often_there_is_nothing_new() {
    let facade = Facade::start_with(ServerLimits {
        idle_timeout: Duration::from_secs(3),
        ..LIMITS
    })
    .await;
    let changes = told(&facade);
    let mut listener = Listener::open(&facade).await;
    listener.hears("event:qr").await;
    let ticking = async {
        loop {
            changes.send_replace(());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = listener.hears_times(":\n\n", 2) => {}
        () = ticking => {}
    }
}

/// Nobody tells that a session has been silent for too long to be believed.
#[tokio::test]
async fn what_no_change_says_is_told_with_the_next_sign_of_life() {
    let facade = Facade::start_with(ServerLimits {
        idle_timeout: Duration::from_secs(3),
        ..LIMITS
    })
    .await;
    let _changes = told(&facade);
    let mut listener = Listener::open(&facade).await;
    listener.hears("event:qr").await;
    facade.desk.connection.lock().unwrap().as_mut().unwrap().session.status = ConnectionStatus::Connected;
    listener.hears("\"status\":\"connected\"").await;
}

#[tokio::test]
async fn the_long_poll_waits_for_another_code() {
    let facade = Facade::start().await;
    let changes = told(&facade);
    let first = facade.ask("GET", &format!("{PATH}/qr?wait=20")).send().await;
    assert_eq!(first.json()["qr"], CODE, "without `after` any code will do");
    show(&facade, "2@a");
    let waiting = facade.ask("GET", &format!("{PATH}/qr?wait=20&after=2%40a")).send();
    let showing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        changes.send_replace(());
        tokio::time::sleep(Duration::from_millis(200)).await;
        show(&facade, "2@b");
        changes.send_replace(());
    };
    let begun = Instant::now();
    let (second, ()) = tokio::join!(waiting, showing);
    assert_eq!(second.json()["qr"], "2@b");
    assert!(begun.elapsed() >= Duration::from_millis(400));
    let same = facade.ask("GET", &format!("{PATH}/qr?wait=1&after=2%40b")).send().await;
    assert_eq!(same.json()["qr"], "2@b", "after the wait what there is");
    *facade.desk.qr.lock().unwrap() = None;
    facade.desk.connection.lock().unwrap().as_mut().unwrap().session.status = ConnectionStatus::Connected;
    let begun = Instant::now();
    facade.ask("GET", &format!("{PATH}/qr?wait=20")).send().await;
    assert!(begun.elapsed() < Duration::from_secs(20), "no code will come");
    for bad in ["wait=26", "wait=-1", "wait=x", "wait=1.5"] {
        let reply = facade.ask("GET", &format!("{PATH}/qr?{bad}")).send().await;
        assert_eq!(
            (reply.status, reply.json()["errors"][0]["field"].as_str()),
            (400, Some("wait")),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn name_proxy_and_pace_are_set_changed_and_cleared() {
    let facade = Facade::start().await;
    let patch = |body: serde_json::Value| facade.ask("PATCH", PATH).json(&body);
    for (body, asked) in [
        (json!({}), "device_name: None, proxy: None, sending: None"),
        (
            json!({"device_name": "Shop"}),
            "device_name: Some(Some(\"Shop\")), proxy: None",
        ),
        (
            json!({"device_name": null, "proxy": null}),
            "device_name: Some(None), proxy: Some(None)",
        ),
        (
            json!({"proxy": "http://x:1"}),
            "device_name: None, proxy: Some(Some(\"http://x:1\"))",
        ),
        (
            json!({"sending": {"per_second": 2, "burst": 7}}),
            "sending: Some(Some(Pace { per_second: 2, burst: 7 }))",
        ),
        (json!({"sending": null}), "sending: Some(None), reject_calls: None"),
        (json!({"reject_calls": true}), "reject_calls: Some(true)"),
        (json!({"mark_read": true}), "mark_read: Some(true)"),
    ] {
        assert_eq!(patch(body.clone()).send().await.status, 200, "{body}");
        assert!(facade.desk.asked().contains(asked), "{body}: {}", facade.desk.asked());
    }
    for (body, field) in [
        (json!({"device_name": ""}), "device_name"),
        (json!({"device_name": "x".repeat(51)}), "device_name"),
        (json!({"device_name": "a\nb"}), "device_name"),
        (json!({"device_name": 1}), "device_name"),
        (json!({"proxy": {"host": "x"}}), "proxy"),
        (json!({"proxy": "bad"}), "proxy"),
        (json!({"sending": 1}), "sending"),
        (json!({"sending": {"per_second": 1}}), "sending.burst"),
        (json!({"sending": {"per_second": -1, "burst": 1}}), "sending.per_second"),
        (
            json!({"sending": {"per_second": 1, "burst": 1, "per_minute": 1}}),
            "sending.per_minute",
        ),
        (json!({"reject_calls": null}), "reject_calls"),
        (json!({"mark_read": 1}), "mark_read"),
        (json!({"phone_number": NUMBER}), "phone_number"),
    ] {
        let reply = patch(body.clone()).send().await;
        assert_eq!(
            (reply.status, reply.json()["errors"][0]["field"].as_str()),
            (400, Some(field)),
            "{body}"
        );
    }
    let made = json!({"phone_number": "551188888888", "device_name": "Shop", "proxy": "socks5://p:1080"});
    let reply = facade.ask("POST", "/api/whatsapp/connections").json(&made).send().await;
    assert_eq!(reply.status, 201);
    assert!(facade.desk.asked().contains("socks5://p:1080"));
    let code = facade.ask("POST", &format!("{PATH}/pair-code")).send().await;
    assert_eq!((code.status, code.json()["code"].as_str()), (200, Some("ABCD1234")));
    assert!(code.json()["expires_at"].is_string());
}

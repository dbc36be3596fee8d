//! Pages on which whoever holds the phone links a number: made with a token, seen without one.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use wharf_actors::Qr;
use wharf_domain::{ConnectionStatus, Timestamp, session::ReasonCode};

use super::{
    BETA, Facade, NUMBER,
    client::{Ask, Reply},
    fake::{EXPIRED, FORMER, PAGE, TITLE},
    pictures::CODE,
};

const MAKE: &str = "/api/whatsapp/connections/5511999999999/link-page";

fn of_page(facade: &Facade, method: &str, rest: &str) -> Ask {
    facade.bare(method, &format!("/link/{PAGE}{rest}"))
}

/// What the page would show.
async fn state(facade: &Facade, rest: &str) -> serde_json::Value {
    let reply = of_page(facade, "GET", &format!("/state{rest}")).send().await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// The connection is there from now on.
fn stands(facade: &Facade, status: ConnectionStatus, code: ReasonCode) {
    let mut connection = facade.desk.connection.lock().unwrap();
    let session = &mut connection.as_mut().unwrap().session;
    (session.status, session.reason_code) = (status, code);
    (session.reason, session.push_name) = (Some("for operators".into()), Some("Ana".into()));
    session.jid = Some(format!("{NUMBER}:7@s.whatsapp.net"));
}

fn text(reply: &Reply) -> &str {
    std::str::from_utf8(&reply.body).unwrap()
}

#[tokio::test]
async fn a_page_is_made_for_as_long_and_with_the_title_that_is_asked_for() {
    let facade = Facade::start().await;
    let make = |body| facade.ask("POST", MAKE).json(&body);
    for (body, asked) in [
        (json!({}), "(600, \"\")"),
        (json!({"expires_in_seconds": 60}), "(60, \"\")"),
        (
            json!({"expires_in_seconds": 86_400.0, "title": "Olá"}),
            "(86400, \"Olá\")",
        ),
        (
            json!({"title": "é".repeat(80)}),
            &format!("(600, {:?})", "é".repeat(80)),
        ),
    ] {
        let made = make(body.clone()).send().await;
        assert_eq!((made.status, facade.desk.asked().as_str()), (201, asked), "{body}");
        let made = made.json();
        assert_eq!(made["url"], format!("https://wharf.example/link/{PAGE}"));
        assert_eq!(made["expires_at"], "1970-01-01T00:10:00.000Z");
    }
    assert_eq!(facade.ask("POST", MAKE).send().await.status, 201, "without a body");
    for (body, field) in [
        (json!({"expires_in_seconds": 59}), "expires_in_seconds"),
        (json!({"expires_in_seconds": 86_401}), "expires_in_seconds"),
        (json!({"expires_in_seconds": 60.5}), "expires_in_seconds"),
        (json!({"expires_in_seconds": "600"}), "expires_in_seconds"),
        (json!({"expires_in_seconds": null}), "expires_in_seconds"),
        (json!({"title": ""}), "title"),
        (json!({"title": "a\nb"}), "title"),
        (json!({"title": "é".repeat(81)}), "title"),
        (json!({"title": 1}), "title"),
        (json!({"titel": "x"}), "titel"),
    ] {
        make(body.clone()).send().await.is_refused_for(&[field], body);
    }
    assert_eq!(facade.bare("POST", MAKE).json(&json!({})).send().await.status, 401);
    let other = facade.bare("POST", MAKE).token(BETA).json(&json!({})).send().await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn the_page_is_one_text_that_runs_its_own_script_and_nothing_else() {
    let facade = Facade::start().await;
    let page = of_page(&facade, "GET", "").send().await;
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "noindex"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let policy = page.header("content-security-policy").unwrap();
    for tag in ["script", "style"] {
        let (_, rest) = text(&page).split_once(&format!("<{tag}>")).unwrap();
        let (inner, _) = rest.split_once(&format!("</{tag}>")).unwrap();
        let hash = STANDARD.encode(Sha256::digest(inner));
        assert!(policy.contains(&format!("{tag}-src 'sha256-{hash}';")), "{policy}");
    }
    for rule in [
        "default-src 'none';",
        "connect-src 'self';",
        "base-uri 'none';",
        "form-action 'none';",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(policy.ends_with("frame-ancestors *") && page.header("x-frame-options").is_none());
    for needed in [
        "<html lang=\"en\">",
        "role=\"status\"",
        "alt=\"QR code",
        "name=\"viewport\"",
        "<noscript>",
    ] {
        assert!(text(&page).contains(needed), "{needed}");
    }
    assert!(
        !text(&page).contains("Porto") && !text(&page).contains(CODE),
        "the same for all"
    );
}

/// Programs that show what is behind a link fetch it.
#[tokio::test]
async fn a_page_that_is_fetched_begins_nothing() {
    let facade = Facade::start().await;
    stands(&facade, ConnectionStatus::LoggedOut, ReasonCode::Unlinked);
    for (method, rest) in [
        ("GET", ""),
        ("HEAD", ""),
        ("OPTIONS", "/start"),
        ("GET", "/state"),
        ("GET", "/start"),
    ] {
        of_page(&facade, method, rest).send().await;
    }
    assert_eq!(state(&facade, "").await["status"], "not_linked");
    assert_eq!(facade.desk.asked(), "");
}

#[tokio::test]
async fn the_state_has_the_code_as_text_and_picture_and_no_more_than_whoever_scans_needs() {
    let facade = Facade::start().await;
    stands(&facade, ConnectionStatus::AwaitingScan, ReasonCode::WaitingForPhone);
    let shown = state(&facade, "").await;
    let keys: Vec<_> = shown.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["status", "qr", "image", "expires_at", "title"]);
    assert_eq!(
        (&shown["status"], &shown["qr"]),
        (&json!("awaiting_scan"), &json!(CODE))
    );
    assert_eq!(
        (&shown["title"], &shown["expires_at"]),
        (&json!(TITLE), &json!("1970-01-01T00:00:20.000Z"))
    );
    let path = format!("/api/whatsapp/connections/{NUMBER}/qr?format=png");
    let png = STANDARD.encode(facade.ask("GET", &path).send().await.body);
    assert_eq!(shown["image"], format!("data:image/png;base64,{png}"));
    for (status, code, told) in [
        (ConnectionStatus::Connected, ReasonCode::Online, "linked"),
        (ConnectionStatus::Connecting, ReasonCode::LinkLost, "connecting"),
        (ConnectionStatus::Failed, ReasonCode::Banned, "unavailable"),
        (ConnectionStatus::Failed, ReasonCode::QrExpired, "not_scanned"),
        (ConnectionStatus::Failed, ReasonCode::WrongNumber, "wrong_number"),
        (
            ConnectionStatus::AwaitingPasskey,
            ReasonCode::PasskeyRequired,
            "passkey",
        ),
    ] {
        stands(&facade, status, code);
        assert_eq!(
            state(&facade, "").await,
            json!({"status": told, "title": TITLE}),
            "{status:?}"
        );
    }
    let refused = of_page(&facade, "GET", "/state?waits=1&wait=26").send().await;
    refused.is_refused_for(&["wait", "waits"], "parameters");
}

#[tokio::test]
async fn the_state_is_waited_for_as_a_code_is() {
    let facade = Facade::start().await;
    let changes = watch::Sender::new(());
    *facade.desk.changes.lock().unwrap() = Some(changes.clone());
    assert_eq!(state(&facade, "?wait=20").await["qr"], CODE, "without `after` at once");
    let another = |code: Option<&str>| {
        *facade.desk.qr.lock().unwrap() = code.map(|code| Qr {
            qr: code.into(),
            expires_at: Timestamp(0),
        });
    };
    another(Some("2@a"));
    let begun = Instant::now();
    let changing = async {
        for code in ["2@a", "2@b"] {
            tokio::time::sleep(Duration::from_millis(200)).await;
            another(Some(code));
            changes.send_replace(());
        }
    };
    let (shown, ()) = tokio::join!(state(&facade, "?wait=20&after=2%40a"), changing);
    assert_eq!(shown["qr"], "2@b");
    assert!(begun.elapsed() >= Duration::from_millis(400));
    // Where there is no code it is the status that changes.
    let linking = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stands(&facade, ConnectionStatus::Connected, ReasonCode::Online);
        changes.send_replace(());
    };
    let (shown, ()) = tokio::join!(state(&facade, "?wait=20&after=2%40b"), linking);
    assert_eq!((&shown["status"], shown.get("qr")), (&json!("linked"), None));
    let begun = Instant::now();
    assert_eq!(state(&facade, "?wait=1&after=linked").await["status"], "linked");
    assert!(begun.elapsed() >= Duration::from_secs(1), "it changes no more");
}

#[tokio::test]
async fn linking_is_begun_where_a_connect_does_no_harm_and_not_otherwise() {
    let facade = Facade::start().await;
    for (status, code, begins) in [
        (ConnectionStatus::LoggedOut, ReasonCode::Unlinked, true),
        (ConnectionStatus::Disconnected, ReasonCode::Requested, true),
        (ConnectionStatus::Failed, ReasonCode::QrExpired, true),
        (ConnectionStatus::Disconnected, ReasonCode::BeingDeleted, false),
        (ConnectionStatus::Failed, ReasonCode::Banned, false),
        (ConnectionStatus::Failed, ReasonCode::Conflict, false),
        (ConnectionStatus::Connected, ReasonCode::Online, false),
        (ConnectionStatus::AwaitingScan, ReasonCode::WaitingForPhone, false),
    ] {
        stands(&facade, status, code);
        facade.desk.asked.lock().unwrap().clear();
        let reply = of_page(&facade, "POST", "/start").send().await;
        assert_eq!(reply.status, 202, "{code:?}: {reply:?}");
        assert_eq!(facade.desk.asked().contains("begin"), begins, "{code:?}");
        assert_eq!(reply.json()["status"] == "connecting", begins, "{code:?}");
    }
}

#[tokio::test]
async fn a_code_to_type_is_given_and_refused_in_plain_words() {
    let facade = Facade::start().await;
    let ask = || of_page(&facade, "POST", "/pair-code").send();
    let given = ask().await;
    assert_eq!((given.status, given.json()["code"].as_str()), (200, Some("ABCD1234")));
    for (status, code, expected) in [
        (ConnectionStatus::Connected, ReasonCode::Online, 409),
        (ConnectionStatus::Failed, ReasonCode::Banned, 422),
        (ConnectionStatus::Connecting, ReasonCode::LinkLost, 503),
    ] {
        stands(&facade, status, code);
        let reply = ask().await;
        assert_eq!(reply.status, expected, "{reply:?}");
        for secret in [NUMBER, "/var/lib", "bans", "operators"] {
            assert!(!text(&reply).contains(secret), "{secret}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn links_that_are_none_or_not_any_more_tell_nothing() {
    let facade = Facade::start().await;
    let routes = [
        ("GET", ""),
        ("GET", "/state"),
        ("GET", "/state?wait=20"),
        ("POST", "/start"),
        ("POST", "/pair-code"),
    ];
    for (token, status) in [("made-up", 404), (EXPIRED, 410), (FORMER, 410)] {
        let mut told = Vec::new();
        for (method, rest) in routes {
            let path = format!("/link/{token}{rest}");
            let reply = facade.bare(method, &path).send().await;
            assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
            told.push(reply.json()["detail"].clone());
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{token}: {told:?}");
        // Who opens it in a browser gets a page that says it.
        let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
        let opened = facade.bare("GET", &format!("/link/{token}")).header("accept", accept);
        let opened = opened.send().await;
        assert_eq!(
            (opened.status, opened.header("cache-control")),
            (status, Some("no-store"))
        );
        assert!(text(&opened).contains("<!doctype html>") && opened.header("content-security-policy").is_some());
        let asked = facade
            .bare("GET", &format!("/link/{token}/state"))
            .header("accept", accept);
        assert_eq!(
            asked.send().await.header("content-type"),
            Some("application/problem+json")
        );
    }
    // A deleted connection, and a token that was taken away.
    let connection = facade.desk.connection.lock().unwrap().take();
    assert_eq!(of_page(&facade, "GET", "/state").send().await.status, 410);
    *facade.desk.connection.lock().unwrap() = connection;
    assert_eq!(of_page(&facade, "GET", "/state").send().await.status, 200);
    facade.desk.rotated.store(true, Ordering::Relaxed);
    assert_eq!(of_page(&facade, "GET", "/state").send().await.status, 410);
    for path in ["/link", "/link/", "/link/a/b", "/link/a/state/b"] {
        assert_eq!(facade.bare("GET", path).send().await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn who_waits_hears_that_the_link_is_good_no_more() {
    let facade = Facade::start().await;
    let changes = watch::Sender::new(());
    *facade.desk.changes.lock().unwrap() = Some(changes.clone());
    let wait = || of_page(&facade, "GET", &format!("/state?wait=20&after={CODE}")).send();
    let begun = Instant::now();
    let rotating = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        facade.desk.rotated.store(true, Ordering::Relaxed);
        facade.desk.tokens.send_replace(());
    };
    let (waited, ()) = tokio::join!(wait(), rotating);
    assert_eq!(waited.status, 410, "{waited:?}");
    facade.desk.rotated.store(false, Ordering::Relaxed);
    // Made again meanwhile: another connection, of the same number.
    let making = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        facade.desk.connection.lock().unwrap().as_mut().unwrap().created_at = Timestamp(7);
        changes.send_replace(());
    };
    let (waited, ()) = tokio::join!(wait(), making);
    assert_eq!(waited.status, 410, "{waited:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

/// Whoever has the link may be anybody.
#[tokio::test]
async fn a_stranger_with_a_link_takes_nothing_from_its_client() {
    let facade = Facade::start().await;
    let changes = watch::Sender::new(());
    *facade.desk.changes.lock().unwrap() = Some(changes.clone());
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..12 {
        waiting.spawn(of_page(&facade, "GET", &format!("/state?wait=20&after={CODE}")).send());
    }
    let mut refused = 0;
    while refused < 4 {
        let reply = waiting.join_next().await.unwrap().unwrap();
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (429, Some("1")),
            "{reply:?}"
        );
        refused += 1;
    }
    // All that is asked for by links to the number counts, also what would be answered at once.
    let more = of_page(&facade, "GET", "/state").send().await;
    assert_eq!(more.status, 429);
    assert!(!text(&more).contains(NUMBER));
    // The client itself has its own, to wait with as well.
    let own = format!("/api/whatsapp/connections/{NUMBER}/qr?wait=1&after={CODE}");
    assert_eq!(facade.ask("GET", &own).send().await.status, 200);
    assert_eq!(facade.ask("GET", "/api/webhooks/list").send().await.status, 200);
    // Those that hang up give their places back.
    waiting.shutdown().await;
    wharf_support::wait_until("a place is free", Duration::from_secs(30), || async {
        of_page(&facade, "GET", "/state").send().await.status == 200
    })
    .await;
}

#[tokio::test]
async fn what_is_begun_by_a_link_over_and_over_is_refused() {
    let facade = Facade::start().await;
    let mut answers = Vec::new();
    for _ in 0..8 {
        stands(&facade, ConnectionStatus::LoggedOut, ReasonCode::Unlinked);
        answers.push(of_page(&facade, "POST", "/start").send().await.status);
    }
    assert_eq!(answers, [202, 202, 202, 202, 202, 429, 429, 429]);
    let code = of_page(&facade, "POST", "/pair-code").send().await;
    let wait: u64 = code.header("retry-after").unwrap().parse().unwrap();
    assert_eq!((code.status, (5..=13).contains(&wait)), (429, true), "{code:?}");
    assert_eq!(
        state(&facade, "").await["status"],
        "not_linked",
        "looking is another matter"
    );
}

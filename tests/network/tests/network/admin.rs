//! The admin routes over HTTP.

use serde_json::{Value, json};
use wharf_testnet::{Network, NetworkConfig};

use crate::companion::{ANA, BOB, Companion, network, until};

/// The client wants a TLS provider even where it speaks plain HTTP.
#[expect(
    clippy::disallowed_methods,
    reason = "it asks the network's own routes, not a webhook"
)]
pub(crate) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

pub(crate) async fn request(network: &Network, method: &str, path: &str, body: Option<Value>) -> (u16, String, Value) {
    let url = format!("{}{path}", network.admin_url());
    let mut request = http().request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let kind = response
        .headers()
        .get("content-type")
        .map(|kind| kind.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    (
        status,
        kind.unwrap_or_default(),
        serde_json::from_str(&text).unwrap_or(Value::Null),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_of_the_contract_in_one_life() {
    let network = Network::start(NetworkConfig {
        admin: Some("127.0.0.1:0".parse().unwrap()),
        ..Default::default()
    })
    .await
    .unwrap();
    for phone in [ANA, BOB] {
        let (status, _, account) = request(&network, "POST", "/accounts", Some(json!({ "phone": phone }))).await;
        assert_eq!((status, &account["phone"]), (200, &json!(phone)));
    }
    let companion = Companion::fresh(&network).await;
    let scan = json!({ "qr": companion.qr().await });
    let (status, _, linked) = request(&network, "POST", &format!("/accounts/{ANA}/scan"), Some(scan.clone())).await;
    assert_eq!(
        (status, linked),
        (200, json!({ "jid": format!("{ANA}:1@s.whatsapp.net") }))
    );
    assert_eq!(
        request(&network, "POST", &format!("/accounts/{ANA}/scan"), Some(scan))
            .await
            .0,
        409
    );
    companion.connected().await;

    let texts = json!({ "to": ANA, "text": "n", "count": 3, "rate_per_s": 100 });
    let (_, _, sent) = request(&network, "POST", &format!("/accounts/{BOB}/messages"), Some(texts)).await;
    assert_eq!(sent["ids"].as_array().unwrap().len(), 3);
    until("three texts", || async { (companion.texts().len() == 3).then_some(()) }).await;
    assert_eq!(
        companion.texts().into_iter().map(|(_, text)| text).collect::<Vec<_>>(),
        ["n 1", "n 2", "n 3"]
    );

    until("three receipts", || async {
        let receipts = request(&network, "GET", &format!("/accounts/{BOB}/receipts"), None)
            .await
            .2;
        let of = |id: &Value| {
            receipts
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["id"] == *id))
        };
        sent["ids"].as_array()?.iter().all(of).then_some(())
    })
    .await;
    let received = request(&network, "GET", &format!("/accounts/{ANA}/messages"), None)
        .await
        .2;
    assert_eq!(
        (&received[0]["text"], &received[0]["from"]),
        (&json!("n 1"), &json!(BOB))
    );
    until("everything to be acknowledged", || async {
        let path = format!("/accounts/{ANA}/devices");
        let devices = request(&network, "GET", &path, None).await.2;
        (devices[0]["connected"] == true && devices[0]["unacked"] == 0).then_some(())
    })
    .await;
    let stats = request(&network, "GET", "/stats", None).await.2;
    assert_eq!(stats["devices"], 1);
    assert_eq!(
        request(&network, "POST", "/faults", Some(json!({ "kind": "drop" })))
            .await
            .0,
        204
    );
    assert_eq!(
        request(&network, "DELETE", &format!("/accounts/{ANA}/devices/1"), None)
            .await
            .0,
        204
    );
    assert_eq!(
        request(&network, "DELETE", &format!("/accounts/{ANA}/devices/1"), None)
            .await
            .0,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problems_that_say_what_is_wrong() {
    let network = network().await;
    let messages = format!("/accounts/{ANA}/messages");
    let cases = [
        ("GET", "/nothing", None, 404, "no route"),
        ("GET", "/accounts", None, 405, "POST"),
        (
            "POST",
            "/accounts",
            Some(json!({ "phone": "12" })),
            400,
            "8 to 15 digits",
        ),
        (
            "POST",
            "/accounts",
            Some(json!({ "phone": ANA, "more": 1 })),
            400,
            "more",
        ),
        ("POST", "/accounts", None, 415, "application/json"),
        ("GET", "/accounts/5511000000000/messages", None, 404, "no account"),
        (
            "POST",
            messages.as_str(),
            Some(json!({ "to": "5511000000000", "text": "x" })),
            404,
            "no account",
        ),
        (
            "POST",
            "/accounts",
            Some(json!({ "phone": "1".repeat(70_000) })),
            413,
            "65536",
        ),
        (
            "POST",
            messages.as_str(),
            Some(json!({ "to": BOB, "text": "x", "count": 0 })),
            400,
            "count",
        ),
        (
            "POST",
            messages.as_str(),
            Some(json!({ "to": BOB, "kind": "audio", "caption": "no" })),
            400,
            "an audio has no caption",
        ),
        (
            "POST",
            messages.as_str(),
            Some(json!({ "to": BOB, "kind": "location", "latitude": 1 })),
            400,
            "longitude",
        ),
        (
            "POST",
            messages.as_str(),
            Some(json!({ "to": "120363000000000000@g.us", "text": "x" })),
            404,
            "no group",
        ),
        ("GET", "/groups/x", None, 404, "no group"),
        (
            "POST",
            "/faults",
            Some(json!({ "kind": "earthquake" })),
            400,
            "earthquake",
        ),
        ("GET", "/ws/chat", None, 400, "upgrade"),
    ];
    for (method, path, body, expected, words) in cases {
        let (status, kind, problem) = request(&network, method, path, body).await;
        assert_eq!(
            (status, kind.as_str()),
            (expected, "application/problem+json"),
            "{method} {path}: {problem}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(words),
            "{method} {path}: {problem}"
        );
        assert_eq!(problem["status"], expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_stop_nothing_listens() {
    let network = network().await;
    let url = network.admin_url();
    network.stop().await;
    assert!(http().get(format!("{url}/stats")).send().await.is_err());
}

#[tokio::test]
async fn the_program_says_where_it_listens_and_ends_on_sigterm() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_wharf-testnet"))
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let line = BufReader::new(program.stdout.take().unwrap())
        .lines()
        .next_line()
        .await
        .unwrap()
        .unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    assert!(said["ws"].as_str().unwrap().ends_with("/ws/chat"), "{said}");
    let stats = http()
        .get(format!("{}/stats", said["admin"].as_str().unwrap()))
        .send()
        .await
        .unwrap();
    assert_eq!(stats.status(), 200);
    // The shell's own `kill`: a small system has no other.
    let kill = format!("kill -TERM {}", program.id().unwrap());
    let signalled = std::process::Command::new("sh").args(["-c", &kill]).status();
    assert!(signalled.unwrap().success());
    let ended = tokio::time::timeout(crate::companion::DEADLINE, program.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(ended.success(), "{ended}");
}

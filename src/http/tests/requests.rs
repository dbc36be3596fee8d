//! What each route makes of its fields, parameters and headers.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{ALPHA, Facade, LIMITS, NUMBER, OPERATOR, client::Reply, fake::ID};

/// A request of client 1 with a body.
pub(super) async fn post(facade: &Facade, path: &str, body: Value) -> Reply {
    facade.ask("POST", path).json(&body).send().await
}

async fn send(facade: &Facade, text: &str) -> Reply {
    let body = json!({"to": "+55 11 8888-8888", "type": "text", "text": text});
    post(facade, &format!("/api/whatsapp/connections/{NUMBER}/messages"), body).await
}

#[tokio::test]
async fn every_bad_field_is_named_in_one_answer() {
    let facade = Facade::start().await;
    let register = "/api/webhooks/register";
    let good = json!({"phone_number": "551188888888", "webhook_url": "https://e.com", "max_retries": 3, "is_active": true, "metadata": {}});
    for (field, bad) in [
        (
            "phone_number",
            vec![
                json!(null),
                json!(5_511_999_999_999_i64),
                json!(""),
                json!("123"),
                json!([]),
                json!("x".repeat(99)),
            ],
        ),
        (
            "webhook_url",
            vec![
                json!(null),
                json!(1),
                json!(""),
                json!({}),
                json!("http://e.com"),
                json!("x".repeat(2049)),
            ],
        ),
        (
            "max_retries",
            vec![
                json!(null),
                json!(0),
                json!(21),
                json!(-1),
                json!(1.5),
                json!("3"),
                json!(u64::MAX),
                json!(true),
            ],
        ),
        ("is_active", vec![json!(null), json!(0), json!("true"), json!([])]),
        (
            "metadata",
            vec![json!(null), json!([]), json!("x"), json!({"x": "y".repeat(9000)})],
        ),
        (
            "events",
            vec![
                json!(null),
                json!([]),
                json!("message"),
                json!(["message", 1]),
                json!(["message.read"]),
                json!(["Message"]),
                json!({"message": true}),
            ],
        ),
        ("surprise", vec![json!(null), json!(1)]),
    ] {
        for value in bad {
            let mut body = good.clone();
            body[field] = value;
            let reply = post(&facade, register, body.clone()).await;
            reply.is_refused_for(&[field], &body);
        }
    }
    let reply = post(&facade, register, json!({"max_retries": null, "x": 1, "y": 2})).await;
    assert_eq!(
        reply.bad_fields(),
        ["phone_number", "webhook_url", "max_retries", "x", "y"]
    );
    let nothing = facade.ask("POST", register).send().await;
    nothing.is_refused_for(&["phone_number", "webhook_url"], "no body");
}

#[tokio::test]
async fn many_unknown_fields_do_not_make_a_large_answer() {
    let facade = Facade::start().await;
    let body: serde_json::Map<String, Value> = (0..3000).map(|i| (format!("field{i}"), Value::Null)).collect();
    let reply = post(&facade, "/api/whatsapp/connections", Value::Object(body)).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.len() < 4096, "{} bytes", reply.body.len());
}

#[tokio::test]
async fn what_is_not_a_json_object_is_400() {
    let facade = Facade::start().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let bodies: [&[u8]; 10] = [
        b" ",
        b"{",
        b"[]",
        b"null",
        b"\"x\"",
        b"{\"a\":1e999}",
        b"{}{}",
        b"{\"a\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let ask = facade
            .ask("POST", "/api/webhooks/register")
            .header("content-type", "application/json");
        assert_eq!(
            ask.bytes(body).send().await.status,
            400,
            "{:?}",
            String::from_utf8_lossy(&body[..body.len().min(20)])
        );
    }
}

#[tokio::test]
async fn events_are_listed_by_status_limit_and_cursor() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/{ID}/events");
    let ask = |query: String| facade.ask("GET", &format!("{path}?{query}"));
    let reply = ask(String::new()).send().await;
    assert_eq!(reply.status, 200);
    let cursor = reply.json()["next_cursor"].as_str().unwrap().to_owned();
    assert!(
        facade.desk.asked().contains("limit: 50, cursor: None"),
        "{}",
        facade.desk.asked()
    );
    assert!(
        String::from_utf8_lossy(&reply.body).contains(r#""payload":{"b":1,"a":2}"#),
        "the payload keeps its order"
    );
    for good in [
        "limit=1",
        "limit=200",
        "status=failed",
        "status=&limit=&cursor=",
        &format!("cursor={cursor}&status=pending"),
    ] {
        assert_eq!(ask(good.into()).send().await.status, 200, "{good}");
    }
    for (bad, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.0", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("status=unknown", "status"),
        ("status=Failed", "status"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("statsu=failed", "statsu"),
        ("limit=1&limit=2", "limit"),
    ] {
        let reply = ask(bad.into()).send().await;
        reply.is_refused_for(&[field], bad);
    }
    let reply = ask("limit=0&status=x&cursor=y".into()).send().await;
    assert_eq!(reply.bad_fields(), ["status", "limit", "cursor"]);
}

#[tokio::test]
async fn a_retry_needs_no_body() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/events/{ID}/retry");
    assert_eq!(facade.ask("POST", &path).send().await.status, 202);
    assert_eq!(facade.desk.asked(), "false");
    assert_eq!(post(&facade, &path, json!({"force": true})).await.status, 202);
    assert_eq!(facade.desk.asked(), "true");
    for bad in [json!({"force": "yes"}), json!({"force": null}), json!({"Force": true})] {
        assert_eq!(post(&facade, &path, bad).await.status, 400);
    }
}

#[tokio::test]
async fn text_that_is_no_id_is_404_and_text_that_is_no_number_is_400() {
    let facade = Facade::start().await;
    for path in ["/api/webhooks/7", "/api/webhooks/%20", "/api/webhooks/x/events"] {
        assert_eq!(facade.ask("GET", path).send().await.status, 404, "{path}");
    }
    for written in ["+5511999999999", "%2B55%20(11)%2099999-9999", "55-11-99999-9999"] {
        let reply = facade
            .ask("GET", &format!("/api/whatsapp/connections/{written}"))
            .send()
            .await;
        assert_eq!(
            (reply.status, &reply.json()["phone_number"]),
            (200, &json!(NUMBER)),
            "{written}"
        );
    }
    let reply = facade.ask("GET", "/api/whatsapp/connections/12x").send().await;
    reply.is_refused_for(&["phone_number"], "12x");
}

#[tokio::test]
async fn a_text_is_sent() {
    let facade = Facade::start().await;
    let reply = send(&facade, "hello").await;
    assert_eq!(reply.status, 201);
    let keys: Vec<String> = reply.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["message_id", "to", "status", "timestamp"]);
    assert_eq!(reply.json()["to"], "551188888888");
    let path = format!("/api/whatsapp/connections/{NUMBER}/messages");
    let reply = post(&facade, &path, json!({"type": "hologram", "text": ""})).await;
    reply.is_refused_for(&["to", "type"], "which fields there may be is not known");
    let reply = post(&facade, &path, json!({"to": "551188888888", "text": "hello"})).await;
    assert_eq!(reply.bad_fields(), ["type"]);
    let message = &reply.json()["errors"][0]["message"];
    assert!(
        message.as_str().is_some_and(|text| text.contains("text, image")),
        "{message}"
    );
}

#[tokio::test]
async fn the_desks_errors_have_their_status() {
    let facade = Facade::start().await;
    assert_eq!(send(&facade, "refuse").await.status, 422);
    assert_eq!(send(&facade, "time out").await.status, 504);
    let busy = send(&facade, "too many").await;
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("1")));
    assert_eq!(send(&facade, "panic").await.status, 500);
    assert_eq!(send(&facade, "still there").await.status, 201);
    let connections = "/api/whatsapp/connections";
    assert_eq!(
        post(&facade, connections, json!({"phone_number": NUMBER})).await.status,
        409
    );
    let full = post(&facade, connections, json!({"phone_number": "10000000"})).await;
    assert_eq!((full.status, full.header("retry-after")), (503, Some("1")));
    assert_eq!(full.json()["detail"], "the disk is full");
}

/// One that there is already keeps its name, so that it can be looked at and deleted.
#[tokio::test]
async fn numbers_to_be_reached_have_their_country_code() {
    let facade = Facade::start().await;
    let connection = format!("/api/whatsapp/connections/{NUMBER}");
    let national = "011 99999-9999";
    for (path, body, field) in [
        (
            "/api/whatsapp/connections".to_owned(),
            json!({"phone_number": national}),
            "phone_number",
        ),
        (
            "/api/webhooks/register".to_owned(),
            json!({"phone_number": national, "webhook_url": "https://example.com/hook"}),
            "phone_number",
        ),
        (
            format!("{connection}/messages"),
            json!({"to": national, "type": "text", "text": "x"}),
            "to",
        ),
        (
            format!("{connection}/read"),
            json!({"from": national, "message_ids": ["3EB0"]}),
            "from",
        ),
    ] {
        let reply = post(&facade, &path, body).await;
        reply.is_refused_for(&[field], &path);
        assert!(reply.json().to_string().contains("country code"), "{path}: {reply:?}");
    }
    let check = format!("{connection}/contacts/check?numbers=5511888888888,{}", "01199999999");
    facade
        .ask("GET", &check)
        .send()
        .await
        .is_refused_for(&["numbers"], &check);
    let old = facade
        .ask("DELETE", "/api/whatsapp/connections/01199999999")
        .send()
        .await;
    assert!([202, 204, 404].contains(&old.status), "{old:?}");
}

#[tokio::test]
async fn who_reads_as_much_as_may_be_is_asked_to_wait_and_reads_single_things_all_the_same() {
    let facade = Facade::start().await;
    facade.desk.read_out.store(true, Ordering::Relaxed);
    let webhook = format!("/api/webhooks/{ID}");
    let connection = format!("/api/whatsapp/connections/{NUMBER}");
    for (method, path) in [
        ("GET", "/api/webhooks/list"),
        ("GET", &*format!("{webhook}/events")),
        ("GET", &*format!("{webhook}/stats")),
        ("POST", &*format!("{webhook}/retry")),
        ("GET", "/api/events"),
        ("GET", "/api/whatsapp/connections"),
        ("GET", &*format!("{connection}/messages")),
    ] {
        let reply = match method {
            "POST" => post(&facade, path, json!({"status": "failed"})).await,
            _ => facade.ask(method, path).send().await,
        };
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")), "{path}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{path}");
        assert_eq!(reply.json()["detail"], "32 of this client are being read", "{path}");
    }
    for path in [webhook, format!("/api/webhooks/events/{ID}"), connection] {
        assert_eq!(facade.ask("GET", &path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_idempotency_key_is_passed_on_or_refused() {
    let facade = Facade::start().await;
    let ask = || {
        let path = format!("/api/whatsapp/connections/{NUMBER}/messages");
        facade
            .ask("POST", &path)
            .json(&json!({"to": NUMBER, "type": "text", "text": "refuse"}))
    };
    ask().header("Idempotency-Key", "key-1").send().await;
    assert!(
        facade.desk.asked().starts_with("(Some(\"key-1\")"),
        "{}",
        facade.desk.asked()
    );
    for bad in ["", "a b", &"x".repeat(256)] {
        let reply = ask().header("idempotency-key", bad).send().await;
        reply.is_refused_for(&["Idempotency-Key"], format_args!("{bad:?}"));
    }
    let twice = ask().header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(twice.send().await.status, 400);
}

/// Its question is in the query, so the same key and an empty body are not the same question.
#[tokio::test]
async fn what_only_asks_has_no_use_for_an_idempotency_key() {
    let facade = Facade::start().await;
    for (path, asked) in [
        ("contacts/check?numbers=551188888888", "CheckNumbers"),
        ("groups", "Groups"),
        ("groups/120363000000000001@g.us", "Group("),
    ] {
        let path = format!("/api/whatsapp/connections/{NUMBER}/{path}");
        let reply = facade.ask("GET", &path).header("idempotency-key", "key-1").send().await;
        assert_eq!(reply.status, 200);
        let wanted = format!("(None, {asked}");
        assert!(facade.desk.asked().starts_with(&wanted), "{}", facade.desk.asked());
    }
}

/// Readers differ in which one counts.
#[tokio::test]
async fn a_field_that_is_given_twice_is_refused_by_name() {
    let facade = Facade::start().await;
    let path = format!("/api/whatsapp/connections/{NUMBER}");
    for (body, named) in [
        (r#"{"device_name": "a", "device_name": "a"}"#, "device_name"),
        (
            r#"{"sending": {"per_second": 1, "burst": 1, "burst": 2}}"#,
            "sending.burst",
        ),
    ] {
        let ask = facade.ask("PATCH", &path).header("content-type", "application/json");
        let reply = ask.bytes(body).send().await;
        reply.is_refused_for(&[named], body);
    }
}

#[tokio::test]
async fn health_needs_no_token() {
    let facade = Facade::start().await;
    assert_eq!(facade.bare("GET", "/healthz").send().await.status, 200);
    assert_eq!(facade.bare("GET", "/readyz").send().await.status, 200);
    facade.desk.ready.store(false, Ordering::Relaxed);
    let reply = facade.bare("GET", "/readyz").send().await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(reply.json()["detail"], "the disk is full");
    assert_eq!(facade.bare("GET", "/healthz").send().await.status, 200);
}

#[tokio::test]
async fn metrics_are_for_the_operator_alone_and_only_where_there_is_one() {
    let facade = Facade::start().await;
    let ask = |token| facade.bare("GET", "/metrics").token(token).send();
    let reply = ask(OPERATOR).await;
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"# EOF\n".as_slice()));
    let of_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(reply.header("content-type"), Some(of_metrics));
    for refused in [ask(ALPHA).await, facade.bare("GET", "/metrics").send().await] {
        assert_eq!(
            (refused.status, refused.header("www-authenticate")),
            (401, Some("Bearer"))
        );
    }
    assert_eq!(
        facade
            .bare("GET", "/api/webhooks/list")
            .token(OPERATOR)
            .send()
            .await
            .status,
        401
    );
    let facade = Facade::start_for(LIMITS, None).await;
    let reply = facade.bare("GET", "/metrics").token(OPERATOR).send().await;
    assert_eq!(reply.status, 404);
}

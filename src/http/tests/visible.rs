//! What happened to events, tests, retries together, and pulling.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Facade, NUMBER, fake::ID};

#[tokio::test]
async fn an_event_and_its_attempts_are_shown() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/events/{ID}");
    let event = facade.ask("GET", &path).send().await;
    assert_eq!((event.status, &event.json()["sequence"]), (200, &json!(1)));
    let attempts = facade.ask("GET", &format!("{path}/attempts")).send().await.json();
    let expected = json!({"data": [{
        "number": 1, "started_at": "1970-01-01T00:00:00.000Z", "duration_ms": 7, "http_status": 503,
        "error": "Server error (503)", "response": "busy", "manual": false,
    }]});
    assert_eq!(attempts, expected);
    for path in ["/api/webhooks/events/7", "/api/webhooks/events/x/attempts"] {
        assert_eq!(facade.ask("GET", path).send().await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn events_are_filtered() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/{ID}/events");
    let ask = |query: &str| facade.ask("GET", &format!("{path}?{query}"));
    for (query, asked) in [
        (
            "chat=%2B55+11+99999-9999",
            r#"chat: Some(Number(PhoneNumber("5511999999999")))"#,
        ),
        ("event=message.status", "event: Some(Status)"),
        (
            "event=message&status=failed",
            "status: Some(Failed), event: Some(Message)",
        ),
        ("chat=120363@g.us", r#"chat: Some(Jid("120363@g.us"))"#),
        (
            "chat=5511999999999@c.us",
            r#"chat: Some(Jid("5511999999999@s.whatsapp.net"))"#,
        ),
        ("chat=status@broadcast", r#"chat: Some(Jid("status@broadcast"))"#),
        (
            "chat=1699999999@broadcast",
            r#"chat: Some(Jid("1699999999@broadcast"))"#,
        ),
        (
            "chat=status@broadcast/1@lid",
            r#"chat: Some(Jid("status@broadcast/1@lid"))"#,
        ),
        ("chat=6834123@c.us", r#"chat: Some(Jid("6834123@s.whatsapp.net"))"#),
        ("chat=120363@newsletter", r#"chat: Some(Jid("120363@newsletter"))"#),
        ("message_id=3EB0", r#"message_id: Some("3EB0")"#),
        ("since=2025-11-05T14:23:00Z", "since: Some(Timestamp(1762352580000))"),
        (
            "until=2025-11-05T14:23:00.5%2B00:00",
            "until: Some(Timestamp(1762352580500))",
        ),
        (
            "until=2025-11-05T14:23:00+00:00",
            "until: Some(Timestamp(1762352580000))",
        ),
        (
            "status=delivered&chat=1@lid&limit=7",
            "status: Some(Delivered), event: None, chat: Some(Jid(\"1@lid\"))",
        ),
    ] {
        let reply = ask(query).send().await;
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        assert!(facade.desk.asked().contains(asked), "{query}: {}", facade.desk.asked());
    }
    let long = format!("message_id={}", "x".repeat(257));
    for (bad, field) in [
        ("chat=x", "chat"),
        ("chat=123", "chat"),
        ("chat=x@c.us", "chat"),
        ("chat=somebody@example.com", "chat"),
        ("chat=@broadcast", "chat"),
        ("chat=1@lid@newsletter", "chat"),
        ("chat=status@broadcasts/1", "chat"),
        ("event=messages", "event"),
        ("since=yesterday", "since"),
        ("since=1762352580", "since"),
        ("until=2025-11-05", "until"),
        ("since=2025-11-05T14:23:00Z&until=2025-11-05T14:23:00Z", "until"),
        (&long, "message_id"),
        ("from=2025-11-05T14:23:00Z", "from"),
    ] {
        let reply = ask(bad).send().await;
        reply.is_refused_for(&[field], bad);
    }
}

#[tokio::test]
async fn pulling_goes_on_where_it_was_and_says_when_the_place_is_lost() {
    let facade = Facade::start().await;
    let ask = |query: &str| facade.ask("GET", &format!("/api/events{query}"));
    let first = ask("").send().await;
    assert_eq!((first.status, first.json()["data"].as_array().unwrap().len()), (200, 1));
    assert!(
        facade
            .desk
            .asked()
            .contains("after: None, phone_number: None, limit: 50")
    );
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let second = ask(&format!("?after={cursor}&limit=200&phone_number=5511999999999"))
        .send()
        .await
        .json();
    assert_eq!((&second["data"], &second["next_cursor"]), (&json!([]), &json!(cursor)));
    assert!(facade.desk.asked().contains("limit: 200"), "{}", facade.desk.asked());
    let lost = ask(&format!("?after={}", "0".repeat(48))).send().await;
    assert_eq!(lost.status, 410);
    assert!(lost.json()["detail"].as_str().unwrap().contains("without `after`"));
    for (bad, field) in [
        ("?after=x", "after"),
        (&format!("?after={}", ID.simple()), "after"),
        ("?limit=0", "limit"),
        ("?limit=201", "limit"),
        ("?phone_number=1", "phone_number"),
        ("?cursor=x", "cursor"),
    ] {
        let reply = ask(bad).send().await;
        reply.is_refused_for(&[field], bad);
    }
}

#[tokio::test]
async fn statistics_have_nulls_where_nothing_was_measured() {
    let facade = Facade::start().await;
    let stats = facade
        .ask("GET", &format!("/api/webhooks/{ID}/stats"))
        .send()
        .await
        .json();
    let period = json!({"attempts": 0, "delivered": 0, "failed": 0, "success_rate": null, "latency_ms": null});
    assert_eq!((&stats["last_hour"], &stats["last_day"]), (&period, &period));
    let queue = json!({
        "pending": 1, "at_least": false, "oldest_pending_at": "1970-01-01T00:00:00.000Z", "oldest_pending_age_ms": 0,
    });
    assert_eq!((&stats["queue"], &stats["sampled"]), (&queue, &json!(false)));
}

#[tokio::test]
async fn a_test_answers_its_attempt_or_202() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/{ID}/test");
    let reply = facade.ask("POST", &path).send().await;
    assert_eq!(
        (reply.status, &reply.json()["attempt"]["http_status"]),
        (200, &json!(503))
    );
    facade.desk.prompt.store(false, Ordering::Relaxed);
    let reply = facade.ask("POST", &path).send().await;
    assert_eq!((reply.status, &reply.json()["attempt"]), (202, &Value::Null));
    assert_eq!(reply.json()["event"]["id"], ID.to_string());
}

#[tokio::test]
async fn a_deletion_that_takes_its_time_is_accepted_and_goes_on() {
    let facade = Facade::start().await;
    let path = format!("/api/whatsapp/connections/{NUMBER}");
    assert_eq!(facade.ask("DELETE", &path).send().await.status, 204);
    facade.desk.prompt.store(false, Ordering::Relaxed);
    let reply = facade.ask("DELETE", &path).send().await;
    assert_eq!((reply.status, &reply.json()["phone_number"]), (202, &json!(NUMBER)));
}

#[tokio::test]
async fn failed_events_are_retried_together() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/{ID}/retry");
    let ask = |body: Value| facade.ask("POST", &path).json(&body);
    let reply = ask(json!({"status": "failed"})).send().await;
    assert_eq!(
        (reply.status, reply.json()),
        (202, json!({"retrying": 3, "next_since": null}))
    );
    assert_eq!(
        facade.desk.asked(),
        "FailedFilter { since: None, until: None, error: None, limit: 1000 }"
    );
    let all = json!({
        "status": "failed", "since": "2025-11-05T14:23:00Z", "until": "2025-11-05T11:24:00-03:00",
        "error": "Server error", "limit": 10_000,
    });
    assert_eq!(ask(all).send().await.status, 202);
    let asked = facade.desk.asked();
    assert!(
        asked.contains("until: Some(Timestamp(1762352640000)), error: Some(\"Server error\"), limit: 10000"),
        "{asked}"
    );
    for (field, bads) in [
        (
            "status",
            vec![json!(null), json!("delivered"), json!("pending"), json!(["failed"])],
        ),
        (
            "since",
            vec![json!(null), json!(1_762_352_580), json!("now"), json!("2025-11-05")],
        ),
        ("until", vec![json!(null), json!(""), json!("2025-11-05T14:23:00Z")]),
        (
            "error",
            vec![json!(null), json!(""), json!("x".repeat(1025)), json!(500)],
        ),
        (
            "limit",
            vec![json!(null), json!(0), json!(10_001), json!(1.5), json!("10")],
        ),
        ("force", vec![json!(true)]),
    ] {
        for bad in bads {
            let mut body = json!({"status": "failed", "since": "2025-11-05T14:23:00Z"});
            body[field] = bad;
            let reply = ask(body.clone()).send().await;
            reply.is_refused_for(&[field], &body);
        }
    }
    let nothing = facade.ask("POST", &path).send().await;
    nothing.is_refused_for(&["status"], "never by accident");
}

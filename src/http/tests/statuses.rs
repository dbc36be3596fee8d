//! Status updates, as far as the facade reads them.

use serde_json::json;

use super::{Facade, fake::GROUP, sending::post};

#[tokio::test]
async fn a_status_update_says_who_gets_it_and_what_it_stands_on() {
    let facade = Facade::start().await;
    let to = json!(["+55 11 77777-7777", "100000000000007@lid", "5511777777777"]);
    let media = json!({"url": "https://a.b"});
    for (body, read) in [
        (
            json!({"type": "text", "text": "x", "recipients": to, "background_color": "#00ff00", "font": 2}),
            "update: Some(StatusUpdate { recipients: [Number(PhoneNumber(\"5511777777777\")), Hidden(\"100000000000007\")], \
             background_color: Some(Color(65280)), font: Some(2) })",
        ),
        (
            json!({"type": "image", "media": media, "caption": "x", "recipients": to}),
            "background_color: None, font: None })",
        ),
        (
            json!({"type": "video", "media": media, "gif": true, "recipients": to}),
            "font: None })",
        ),
        (
            json!({"type": "voice", "media": media, "recipients": to, "background_color": "#000001"}),
            "background_color: Some(Color(1))",
        ),
        (json!({"type": "revoke", "target": {"message_id": "M"}}), "update: None"),
        (
            json!({"type": "revoke", "target": {"message_id": "M"}, "recipients": to}),
            "update: Some(",
        ),
    ] {
        let mut body = body;
        body["to"] = "status@broadcast".into();
        let reply = post(&facade, "messages", body.clone()).await;
        assert_eq!(reply.status, 201, "{body}: {reply:?}");
        assert_eq!(reply.json()["to"], "status@broadcast");
        assert!(facade.desk.asked().contains(read), "{}", facade.desk.asked());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_status_update_is_named() {
    let facade = Facade::start().await;
    let to = json!(["5511777777777"]);
    let many: Vec<String> = (0..=2048).map(|n| format!("55110000{n:05}")).collect();
    for (body, fields) in [
        (json!({"type": "text", "text": "x"}), vec!["recipients"]),
        (
            json!({"type": "text", "text": "x", "recipients": []}),
            vec!["recipients"],
        ),
        (
            json!({"type": "text", "text": "x", "recipients": many}),
            vec!["recipients"],
        ),
        (
            json!({"type": "text", "text": "x", "recipients": [GROUP]}),
            vec!["recipients"],
        ),
        (
            json!({"type": "text", "text": "x", "recipients": ["status@broadcast"]}),
            vec!["recipients"],
        ),
        (
            json!({"type": "text", "text": "x", "recipients": to, "background_color": "green", "font": 5}),
            vec!["background_color", "font"],
        ),
        (
            json!({"type": "text", "text": "x", "recipients": to, "mentions": ["5511777777777"],
                "reply_to": {"message_id": "Q"}, "typing_seconds": 3}),
            vec!["mentions", "reply_to", "typing_seconds"],
        ),
        (
            json!({"type": "image", "media": {"url": "https://a.b"}, "recipients": to, "view_once": true, "font": 1}),
            vec!["view_once", "font"],
        ),
        (
            json!({"type": "poll", "poll": {"question": "?", "options": ["a", "b"]}}),
            vec!["type"],
        ),
        (
            json!({"type": "revoke", "target": {"message_id": "M", "from": "5511777777777"}}),
            vec!["target.from"],
        ),
    ] {
        let mut body = body;
        body["to"] = "status@broadcast".into();
        let reply = post(&facade, "messages", body.clone()).await;
        assert_eq!(
            (reply.status, reply.bad_fields()),
            (400, fields.iter().map(ToString::to_string).collect()),
            "{body}"
        );
    }
    for field in ["recipients", "background_color", "font"] {
        let mut body = json!({"to": "5511999999999", "type": "text", "text": "x"});
        body[field] = json!(null);
        assert_eq!(post(&facade, "messages", body).await.bad_fields(), [field]);
    }
    for (rest, body) in [
        ("presence", json!({"to": "status@broadcast", "state": "typing"})),
        ("chats/status@broadcast/archive", json!({"archived": true})),
        ("read", json!({"chat": "status@broadcast", "message_ids": ["M"]})),
    ] {
        assert_eq!(post(&facade, rest, body).await.status, 400, "{rest}");
    }
}

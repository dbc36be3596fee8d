//! What goes out, as far as the facade reads and shows it.

use serde_json::{Value, json};

use super::{
    Facade, NUMBER,
    client::Reply,
    fake::{GROUP, MESSAGE},
};

pub(super) fn path(rest: &str) -> String {
    format!("/api/whatsapp/connections/{NUMBER}/{rest}")
}

pub(super) async fn post(facade: &Facade, rest: &str, body: Value) -> Reply {
    facade.ask("POST", &path(rest)).json(&body).send().await
}

/// The fields that are refused in a message.
async fn refused(facade: &Facade, body: Value) -> Vec<String> {
    let reply = post(facade, "messages", body).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    reply.bad_fields()
}

#[tokio::test]
async fn every_type_is_read() {
    let facade = Facade::start().await;
    let target = json!({"message_id": "M", "from": "5511777777777"});
    for (body, read) in [
        (
            json!({"type": "text", "text": "see https://a.b", "mentions": ["+55 11 77777-7777"],
                "link_preview": {"url": "https://a.b", "title": "A"}, "reply_to": {"message_id": "Q", "text": "?"}}),
            "Text { text: \"see https://a.b\", mentions: People([Number(PhoneNumber(\"5511777777777\"))]), link_preview: Some(",
        ),
        (
            json!({"type": "text", "text": "@1",
                "mentions": ["5511777777777@c.us", "5511777777777@s.whatsapp.net", "100000000000007@lid"]}),
            "mentions: People([Number(PhoneNumber(\"5511777777777\")), Hidden(\"100000000000007\")])",
        ),
        (
            json!({"type": "location", "latitude": -23.5, "longitude": 46, "name": "Here"}),
            "Location { latitude: -23.5, longitude: 46.0, name: Some(\"Here\"), address: None }",
        ),
        (
            json!({"type": "contact", "contacts": [{"name": "Ana", "phone_number": "5511777777777"}]}),
            "Contact { contacts: [ContactCard { name: \"Ana\"",
        ),
        (
            json!({"type": "reaction", "target": target, "emoji": "👍"}),
            "Reaction { target: Target { message_id: \"M\", from: Some(Number(",
        ),
        (
            json!({"type": "poll", "poll": {"question": "?", "options": ["a", "b"]}}),
            "selectable_count: 1",
        ),
        (
            json!({"type": "edit", "target": {"message_id": "M"}, "text": "new"}),
            "Edit { target",
        ),
        (
            json!({"type": "edit", "target": {"message_id": "M"}, "text": "new", "mentions": ["5511777777777"]}),
            "text: \"new\", mentions: People([Number(PhoneNumber(\"5511777777777\"))]), caption_of: None",
        ),
        (
            json!({"type": "revoke", "target": {"message_id": "M"}}),
            "Revoke { target",
        ),
        (
            json!({"type": "edit", "target": {"message_id": "M", "from": NUMBER}, "text": "new"}),
            "Edit { target",
        ),
        (
            json!({"type": "revoke", "target": {"message_id": "M", "from": NUMBER}}),
            "Revoke { target",
        ),
        (
            json!({"type": "text", "text": "x", "typing_seconds": 20}),
            "typing_seconds: Some(20)",
        ),
        (json!({"type": "forward", "message_id": "M"}), "Forward(Sent(\"M\"))"),
        (
            json!({"type": "forward", "event_id": "01900000-0000-7000-8000-000000000001"}),
            "Forward(Event(",
        ),
    ] {
        for to in ["5511999999999", GROUP, "100000000000007@lid"] {
            let mut body = body.clone();
            body["to"] = to.into();
            if to == GROUP && body["reply_to"].is_object() {
                body["reply_to"]["from"] = "5511777777777".into();
            }
            let reply = post(&facade, "messages", body.clone()).await;
            assert_eq!(reply.status, 201, "{body}: {reply:?}");
            assert_eq!(reply.json()["to"], to);
            assert!(facade.desk.asked().contains(read), "{}", facade.desk.asked());
        }
    }
}

#[tokio::test]
async fn everybody_in_a_group_is_mentioned_by_one_word() {
    let facade = Facade::start().await;
    let media = json!({"url": "https://a.b"});
    for body in [
        json!({"to": GROUP, "type": "text", "text": "@all", "mentions": "all"}),
        json!({"to": GROUP, "type": "image", "media": media, "caption": "@all", "mentions": "all"}),
    ] {
        assert_eq!(post(&facade, "messages", body.clone()).await.status, 201, "{body}");
        let asked = facade.desk.asked();
        assert!(asked.contains("mentions: All"), "{asked}");
    }
}

#[tokio::test]
async fn everything_wrong_is_named() {
    let facade = Facade::start().await;
    let to = NUMBER;
    for (body, fields) in [
        (json!({}), vec!["to", "type"]),
        (json!({"to": "x@g.us", "type": "text", "text": "x"}), vec!["to"]),
        (json!({"to": to, "type": "hologram"}), vec!["type"]),
        (
            json!({"to": to, "type": "text", "text": "", "colour": 1}),
            vec!["text", "colour"],
        ),
        (
            json!({"to": to, "type": "text", "text": "x", "mentions": ["1"]}),
            vec!["mentions"],
        ),
        (
            json!({"to": GROUP, "type": "text", "text": "x", "mentions": [GROUP]}),
            vec!["mentions"],
        ),
        (
            json!({"to": GROUP, "type": "text", "text": "x", "mentions": "some"}),
            vec!["mentions"],
        ),
        // In a chat of two there is nobody else.
        (
            json!({"to": to, "type": "text", "text": "@all", "mentions": "all"}),
            vec!["mentions"],
        ),
        (
            json!({"to": to, "type": "image", "media": {"url": "https://a.b"}, "caption": "@all", "mentions": "all"}),
            vec!["mentions"],
        ),
        (
            json!({"to": GROUP, "type": "image", "media": {"url": "https://a.b"}, "mentions": "all"}),
            vec!["mentions"],
        ),
        (
            json!({"to": to, "type": "text", "text": "x", "link_preview": {"url": "https://a.b", "title": "A"}}),
            vec!["link_preview"],
        ),
        (
            json!({"to": to, "type": "text", "text": "x", "reply_to": {"from": GROUP, "x": 1}}),
            vec!["reply_to.message_id", "reply_to.from", "reply_to.x"],
        ),
        (
            json!({"to": GROUP, "type": "text", "text": "x", "reply_to": {"message_id": "Q"}}),
            vec!["reply_to.from"],
        ),
        (
            json!({"to": to, "type": "text", "text": "x", "typing_seconds": 21}),
            vec!["typing_seconds"],
        ),
        (
            json!({"to": to, "type": "text", "text": "x", "typing_seconds": 0}),
            vec!["typing_seconds"],
        ),
        (
            json!({"to": to, "type": "revoke", "target": {"message_id": "M"}, "typing_seconds": 3}),
            vec!["typing_seconds"],
        ),
        (
            json!({"to": to, "type": "text", "text": "x", "reply_to": "Q"}),
            vec!["reply_to"],
        ),
        (
            json!({"to": to, "type": "location", "latitude": 91, "longitude": "west"}),
            vec!["latitude", "longitude"],
        ),
        (json!({"to": to, "type": "contact"}), vec!["contacts"]),
        (json!({"to": to, "type": "contact", "contacts": []}), vec!["contacts"]),
        (
            json!({"to": to, "type": "contact", "contacts": [{"name": "A", "phone_number": "5511777777777"}, {"age": 3}]}),
            vec!["contacts[1].name", "contacts[1].phone_number", "contacts[1].age"],
        ),
        (
            json!({"to": to, "type": "reaction", "emoji": "no"}),
            vec!["target", "emoji"],
        ),
        (
            json!({"to": GROUP, "type": "reaction", "emoji": "👍", "target": {"message_id": "M"}}),
            vec!["target.from"],
        ),
        (json!({"to": to, "type": "poll"}), vec!["poll"]),
        (
            json!({"to": to, "type": "poll", "poll": {"question": "", "options": ["a"]}}),
            vec!["poll.question", "poll.options"],
        ),
        (
            json!({"to": to, "type": "poll", "poll": {"question": "?", "options": ["a", "b"], "selectable_count": 3}}),
            vec!["poll.selectable_count"],
        ),
        (json!({"to": to, "type": "edit", "text": 1}), vec!["target", "text"]),
        (
            json!({"to": to, "type": "revoke", "target": {"message_id": "a b"}}),
            vec!["target.message_id"],
        ),
        // Only its own, and in groups as an admin: WhatsApp would take anything else, and nothing would come of it.
        (
            json!({"to": GROUP, "type": "edit", "text": "x", "target": {"message_id": "M", "from": "5511777777777"}}),
            vec!["target.from"],
        ),
        (
            json!({"to": to, "type": "edit", "text": "x", "target": {"message_id": "M", "from": "100000000000007@lid"}}),
            vec!["target.from"],
        ),
        (
            json!({"to": to, "type": "revoke", "target": {"message_id": "M", "from": "5511777777777"}}),
            vec!["target.from"],
        ),
        (json!({"to": to, "type": "forward"}), vec!["event_id"]),
        (
            json!({"to": to, "type": "forward", "event_id": "x", "reply_to": {}}),
            vec!["event_id", "reply_to"],
        ),
        (
            json!({"to": to, "type": "text", "text": "x", "queue": "yes"}),
            vec!["queue"],
        ),
    ] {
        assert_eq!(refused(&facade, body.clone()).await, fields, "{body}");
    }
    let reply = facade.ask("POST", &path("messages?wait=perhaps"));
    let reply = reply.json(&json!({"to": to, "type": "text", "text": "x"})).send().await;
    reply.is_refused_for(&["wait"], "perhaps");
}

#[tokio::test]
async fn what_waits_is_accepted_and_not_created() {
    let facade = Facade::start().await;
    let body = json!({"to": NUMBER, "type": "text", "text": "x", "queue": true});
    let reply = facade
        .ask("POST", &path("messages?wait=false"))
        .json(&body)
        .send()
        .await;
    assert_eq!((reply.status, &reply.json()["status"]), (202, &json!("queued")));
    assert!(
        facade.desk.asked().contains("queue: true, wait: false"),
        "{}",
        facade.desk.asked()
    );
}

#[tokio::test]
async fn messages_are_shown_and_listed() {
    let facade = Facade::start().await;
    let one = facade.ask("GET", &path(&format!("messages/{MESSAGE}"))).send().await;
    assert_eq!(one.status, 200);
    let keys: Vec<String> = one.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "message_id",
            "to",
            "type",
            "status",
            "error_code",
            "error",
            "message",
            "created_at",
            "sent_at",
            "delivered_at",
            "read_at",
            "played_at",
            "failed_at"
        ]
    );
    assert_eq!(
        one.json()["message"],
        json!({"to": "551188888888", "type": "text", "text": "hi"})
    );
    assert_eq!(facade.ask("GET", &path("messages/nothing")).send().await.status, 404);
    let listed = facade
        .ask(
            "GET",
            &path("messages?status=read&chat=%2B55+11+99999-9999&limit=2&cursor=3EB1"),
        )
        .send()
        .await;
    assert_eq!((listed.status, &listed.json()["next_cursor"]), (200, &json!(MESSAGE)));
    let asked = "OutgoingFilter { status: Some(Read), chat: Some(Number(PhoneNumber(\"5511999999999\"))), limit: 2, \
                 cursor: Some(\"3EB1\") }";
    assert_eq!(facade.desk.asked(), asked);
    for (bad, field) in [
        ("status=lost", "status"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=a%20b", "cursor"),
        ("page=2", "page"),
    ] {
        let reply = facade.ask("GET", &path(&format!("messages?{bad}"))).send().await;
        reply.is_refused_for(&[field], bad);
    }
}

#[tokio::test]
async fn messages_are_listed_by_what_they_were_sent_to() {
    let facade = Facade::start().await;
    let ask = |chat: &str| facade.ask("GET", &path(&format!("messages?chat={chat}")));
    for (chat, read) in [
        ("5511999999999", "Number(PhoneNumber(\"5511999999999\"))"),
        ("5511999999999@c.us", "Number(PhoneNumber(\"5511999999999\"))"),
        ("100000000000007@lid", "Hidden(\"100000000000007\")"),
        (GROUP, "Group(GroupId("),
        ("status@broadcast", "Status"),
    ] {
        assert_eq!(ask(chat).send().await.status, 200, "{chat}");
        let asked = facade.desk.asked();
        assert!(asked.contains(&format!("chat: Some({read}")), "{chat}: {asked}");
    }
    // As `to` of a message, with what would be accepted.
    for bad in ["x", "123", "x@g.us", "1@newsletter", "011+99999-9999"] {
        let reply = ask(bad).send().await;
        reply.is_refused_for(&["chat"], bad);
        let said = reply.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(said.contains("@g.us") || said.contains("country code"), "{bad}: {said}");
    }
}

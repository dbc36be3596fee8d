//! Contacts, blocks, the own profile, calls and chats, as far as the facade reads and shows them.

use serde_json::json;

use super::{Facade, NUMBER, client::Reply};

fn path(rest: &str) -> String {
    format!("/api/whatsapp/connections/{NUMBER}/{rest}")
}

async fn ask(facade: &Facade, method: &str, rest: &str) -> Reply {
    facade.ask(method, &path(rest)).send().await
}

#[tokio::test]
async fn somebody_is_looked_up_by_number_or_hidden_id() {
    let facade = Facade::start().await;
    let reply = ask(&facade, "GET", "contacts/+55%2011%208888-8888").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let expected = json!({
        "number": "551188888888", "jid": "551188888888@s.whatsapp.net", "lid": "100000000000007@lid", "exists": true,
        "about": "At sea", "picture_id": "1700000000", "business": {"verified_name": "Harbour Ltd"}, "devices": [0, 7],
    });
    assert_eq!(reply.json(), expected);
    let hidden = ask(&facade, "GET", "contacts/100000000000007@lid").await;
    assert_eq!(hidden.json()["jid"], "100000000000007@lid");
    assert!(
        facade.desk.asked().contains("Contact(Hidden("),
        "{}",
        facade.desk.asked()
    );
    for bad in ["contacts/12", "contacts/120363000000000001@g.us", "contacts/x@lid"] {
        let reply = ask(&facade, "GET", bad).await;
        reply.is_refused_for(&["number"], bad);
    }
}

#[tokio::test]
async fn a_picture_is_its_address_or_404_that_says_why() {
    let facade = Facade::start().await;
    for (query, preview) in [("", false), ("?preview=true", true), ("?preview=false", false)] {
        let reply = ask(&facade, "GET", &format!("contacts/551188888888/picture{query}")).await;
        let expected = json!({"id": "1700000000", "url": format!("https://pps.example/{preview}")});
        assert_eq!((reply.status, reply.json()), (200, expected), "{query}");
    }
    let none = ask(&facade, "GET", "contacts/100000000000007@lid/picture").await;
    assert_eq!(none.status, 404);
    assert!(
        none.json()["detail"].as_str().unwrap().contains("none is set"),
        "{none:?}"
    );
    let bad = ask(&facade, "GET", "contacts/551188888888/picture?preview=1").await;
    bad.is_refused_for(&["preview"], "1");
}

#[tokio::test]
async fn people_are_blocked_and_unblocked_once_under_a_key() {
    let facade = Facade::start().await;
    let listed = ask(&facade, "GET", "blocks").await;
    let expected = json!({"data": [{"jid": "100000000000007@lid", "phone_number": "551188888888"}]});
    assert_eq!((listed.status, listed.json()), (200, expected));
    for (method, what) in [("PUT", "Block(Number("), ("DELETE", "Unblock(Number(")] {
        let asked = facade.ask(method, &path("blocks/551188888888"));
        assert_eq!(
            asked.header("idempotency-key", "k1").send().await.status,
            204,
            "{method}"
        );
        let asked = facade.desk.asked();
        assert!(asked.starts_with("(Some(\"k1\")") && asked.contains(what), "{asked}");
        let bad = ask(&facade, method, "blocks/120363000000000001@g.us").await;
        bad.is_refused_for(&["number"], method);
    }
}

#[tokio::test]
async fn the_profile_is_shown_and_changed() {
    let facade = Facade::start().await;
    let shown = ask(&facade, "GET", "profile").await;
    let expected = json!({
        "jid": "5511999999999@s.whatsapp.net", "lid": "100000000000001@lid", "name": "Shop", "about": null,
        "picture_id": null,
    });
    assert_eq!((shown.status, shown.json()), (200, expected));
    let patch = async |body: serde_json::Value| facade.ask("PATCH", &path("profile")).json(&body).send().await;
    for (body, asked) in [
        (json!({}), "ChangeProfile { name: None, about: None }"),
        (json!({"name": "Café"}), "name: Some(\"Café\"), about: None"),
        (json!({"about": ""}), "name: None, about: Some(\"\")"),
        (
            json!({"name": "A", "about": "B"}),
            "name: Some(\"A\"), about: Some(\"B\")",
        ),
    ] {
        assert_eq!(patch(body.clone()).await.status, 204, "{body}");
        assert!(facade.desk.asked().contains(asked), "{body}: {}", facade.desk.asked());
    }
    for (body, fields) in [
        (json!({"name": "", "about": "x".repeat(140)}), vec!["name", "about"]),
        (json!({"name": "x".repeat(26)}), vec!["name"]),
        (json!({"name": null}), vec!["name"]),
        (json!({"picture": "x"}), vec!["picture"]),
    ] {
        let reply = patch(body.clone()).await;
        reply.is_refused_for(&fields, &body);
    }
}

#[tokio::test]
async fn a_call_is_turned_down_by_its_id() {
    let facade = Facade::start().await;
    let reject = async |id: &str, body: serde_json::Value| {
        facade
            .ask("POST", &path(&format!("calls/{id}/reject")))
            .json(&body)
            .send()
            .await
    };
    for from in ["551188888888", "100000000000007@lid"] {
        assert_eq!(reject("A1B2C3D4", json!({"from": from})).await.status, 204, "{from}");
    }
    let asked = facade.desk.asked();
    assert!(
        asked.contains("RejectCall { call_id: \"A1B2C3D4\", from: Hidden("),
        "{asked}"
    );
    assert_eq!(reject("A1B2C3D4", json!({})).await.bad_fields(), ["from"]);
    let bad = reject("a%20b", json!({"from": "551188888888"})).await;
    bad.is_refused_for(&["call_id"], "a b");
}

#[tokio::test]
async fn a_picture_comes_as_a_part_in_base64_or_from_an_address() {
    let facade = Facade::start().await;
    let place = path("profile/picture");
    let put = || facade.ask("PUT", &place).header("idempotency-key", "k1");
    let part = |name: &str, content: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.jpg\"\r\n\r\n{content}\r\n")
    };
    let parts = async |parts: &[String]| {
        let body = format!("{}--b--\r\n", parts.concat());
        let ask = put().header("content-type", "multipart/form-data; boundary=b");
        ask.bytes(body).send().await
    };
    assert_eq!(parts(&[part("file", "AB")]).await.status, 204);
    assert_eq!(facade.desk.asked(), "(Some(\"k1\"), None, \"in file\")");
    assert_eq!(*facade.desk.file.lock().unwrap(), b"AB");
    for (wrong, field) in [
        (vec![part("file", "AB"), part("file", "AB")], "file"),
        (vec![part("message", "{}"), part("file", "AB")], "message"),
        (vec![], "file"),
    ] {
        let reply = parts(&wrong).await;
        reply.is_refused_for(&[field], format_args!("{wrong:?}"));
    }
    for (media, asked) in [
        (json!({"base64": "QUI="}), "in media.base64"),
        (
            json!({"url": "https://example.com/a.jpg"}),
            "at https://example.com/a.jpg",
        ),
    ] {
        let reply = put().json(&json!({"media": media})).send().await;
        assert_eq!(reply.status, 204, "{media}: {reply:?}");
        assert_eq!(facade.desk.asked(), format!("(Some(\"k1\"), None, \"{asked}\")"));
    }
    for (body, field) in [
        (json!({}), "media"),
        (json!({"media": {}}), "media.url"),
        (
            json!({"media": {"base64": "QUI=", "url": "https://x.example"}}),
            "media.url",
        ),
        (json!({"media": {"base64": "!"}}), "media.base64"),
        (json!({"media": {"base64": ""}}), "media.base64"),
        (json!({"media": {"base64": "QUI="}, "caption": "x"}), "caption"),
    ] {
        let reply = put().json(&body).send().await;
        reply.is_refused_for(&[field], &body);
    }
    assert_eq!(ask(&facade, "DELETE", "profile/picture").await.status, 204);
    assert!(facade.desk.asked().contains("picture: None"));
}

#[tokio::test]
async fn chats_are_archived_pinned_and_muted() {
    let facade = Facade::start().await;
    let arrange = async |rest: &str, body: serde_json::Value| {
        let ask = facade.ask("POST", &path(&format!("chats/{rest}"))).json(&body);
        ask.send().await
    };
    let person = "551188888888";
    for (rest, body, asked) in [
        ("archive", json!({"archived": true}), "Archived(true)"),
        ("archive", json!({"archived": false}), "Archived(false)"),
        ("pin", json!({"pinned": true}), "Pinned(true)"),
        ("mute", json!({"muted": true}), "Muted(true)"),
        ("mute", json!({"muted": false}), "Muted(false)"),
        (
            "mute",
            json!({"muted": true, "until": "2100-01-01T00:00:00Z"}),
            "MutedUntil(Timestamp(4102444800000))",
        ),
    ] {
        assert_eq!(
            arrange(&format!("{person}/{rest}"), body.clone()).await.status,
            204,
            "{body}"
        );
        assert!(facade.desk.asked().contains(asked), "{body}: {}", facade.desk.asked());
    }
    let group = arrange("120363000000000001@g.us/pin", json!({"pinned": false})).await;
    assert_eq!(group.status, 204);
    assert!(facade.desk.asked().contains("Group("), "{}", facade.desk.asked());
    for (rest, body, field) in [
        ("551188888888/archive", json!({}), "archived"),
        ("551188888888/pin", json!({"pinned": "yes"}), "pinned"),
        (
            "551188888888/mute",
            json!({"muted": false, "until": "2100-01-01T00:00:00Z"}),
            "until",
        ),
        (
            "551188888888/mute",
            json!({"muted": true, "until": "tomorrow"}),
            "until",
        ),
        ("12/pin", json!({"pinned": true}), "chat"),
    ] {
        let reply = arrange(rest, body.clone()).await;
        reply.is_refused_for(&[field], format_args!("{rest} {body}"));
    }
}

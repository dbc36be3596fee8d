//! Groups, their pictures and their invite links, as far as the facade reads and shows them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    Facade, NUMBER,
    client::Reply,
    fake::{CODE, GROUP},
};

const BOUNDARY: &str = "b-o-u-n-d";

fn path(rest: &str) -> String {
    format!("/api/whatsapp/connections/{NUMBER}/{rest}")
}

async fn get(facade: &Facade, rest: &str) -> Reply {
    facade.ask("GET", &path(rest)).send().await
}

async fn ask(facade: &Facade, method: &str, rest: &str, body: Value) -> Reply {
    facade.ask(method, &path(rest)).json(&body).send().await
}

async fn patch(facade: &Facade, body: Value) -> Reply {
    ask(facade, "PATCH", &format!("groups/{GROUP}"), body).await
}

#[tokio::test]
async fn every_setting_of_a_group_is_read() {
    let facade = Facade::start().await;
    let all = json!({
        "subject": "Harbour", "description": "Boats\nand tides", "announce": true, "locked": false,
        "ephemeral_seconds": 604_800, "join_approval": true, "member_add_mode": "all",
    });
    let reply = patch(&facade, all).await;
    assert_eq!((reply.status, &reply.json()["id"]), (200, &json!(GROUP)), "{reply:?}");
    let asked = facade.desk.asked();
    let read = "patch: GroupPatch { subject: Some(\"Harbour\"), description: Some(Some(\"Boats\\nand tides\")), announce: \
                Some(true), locked: Some(false), ephemeral_seconds: Some(604800), join_approval: Some(true), \
                member_add_mode: Some(All) }";
    assert!(asked.contains(read), "{asked}");
    for empty in [json!({"description": null}), json!({"description": ""})] {
        assert_eq!(patch(&facade, empty).await.status, 200);
        assert!(
            facade.desk.asked().contains("description: Some(None)"),
            "{}",
            facade.desk.asked()
        );
    }
    // Nothing changes, and the group is shown.
    let nothing = patch(&facade, json!({})).await;
    assert_eq!(
        (nothing.status, &nothing.json()["member_add_mode"]),
        (200, &json!("admins"))
    );
    assert!(facade.desk.asked().contains("description: None, announce: None"));
    let shown = get(&facade, &format!("groups/{GROUP}")).await.json();
    assert_eq!(
        (&shown["ephemeral_seconds"], &shown["join_approval"]),
        (&json!(0), &json!(false))
    );
}

#[tokio::test]
async fn all_that_is_wrong_with_a_change_is_named_at_once() {
    let facade = Facade::start().await;
    let wrong = json!({
        "subject": "", "description": "x".repeat(2049), "announce": "yes", "locked": null, "ephemeral_seconds": 3600,
        "join_approval": 1, "member_add_mode": "some", "colour": "red",
    });
    let reply = patch(&facade, wrong).await;
    let fields = [
        "subject",
        "description",
        "announce",
        "locked",
        "ephemeral_seconds",
        "join_approval",
        "member_add_mode",
        "colour",
    ];
    reply.is_refused_for(&fields, "all at once");
    let text = reply.json().to_string();
    for said in [
        "one of 86400, 604800, 7776000",
        "admins, all",
        "at most 2048 characters, this has 2049",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert_eq!(facade.desk.asked(), "", "nobody was asked to do a part of it");
    assert_eq!(
        ask(&facade, "PATCH", "groups/5511", json!({})).await.bad_fields(),
        ["group_id"]
    );
}

#[tokio::test]
async fn invite_links_are_shown_reset_looked_at_and_followed() {
    let facade = Facade::start().await;
    let link = get(&facade, &format!("groups/{GROUP}/invite")).await;
    let wanted = json!({"code": CODE, "url": format!("https://chat.whatsapp.com/{CODE}")});
    assert_eq!((link.status, link.json()), (200, wanted.clone()));
    assert!(facade.desk.asked().contains("reset: false"));
    let reset = ask(&facade, "POST", &format!("groups/{GROUP}/invite/reset"), json!({})).await;
    assert_eq!((reset.status, reset.json()), (200, wanted));
    assert!(facade.desk.asked().contains("reset: true"));

    let whole = format!("https%3A%2F%2Fchat.whatsapp.com%2F{CODE}%3Fmode%3Dac_t");
    for written in [CODE, &whole] {
        let seen = get(&facade, &format!("invites/{written}")).await;
        assert_eq!((seen.status, &seen.json()["size"]), (200, &json!(3)), "{seen:?}");
        assert!(
            facade
                .desk
                .asked()
                .contains(&format!("InvitedTo(InviteCode(\"{CODE}\"))"))
        );
        let joined = ask(&facade, "POST", &format!("invites/{written}/join"), json!({})).await;
        assert_eq!(
            (joined.status, joined.json()),
            (200, json!({"id": GROUP, "status": "joined"}))
        );
    }
    let asks = ask(&facade, "POST", "invites/guarded/join", json!({})).await;
    assert_eq!(
        (asks.status, asks.json()),
        (202, json!({"id": GROUP, "status": "requested"}))
    );
    let invitation = json!({"group": GROUP, "from": "5511999999999", "expires_at": "2026-01-01T00:00:00Z"});
    let invited = json!({"invitation": invitation});
    let joined = ask(&facade, "POST", &format!("invites/{CODE}/join"), invited).await;
    assert_eq!(
        (joined.status, joined.json()),
        (200, json!({"id": GROUP, "status": "joined"}))
    );
    let asked = facade.desk.asked();
    assert!(
        asked.contains("AcceptInvitation") && asked.contains("5511999999999"),
        "{asked}"
    );
    let wrong = json!({"invitation": {"group": "5511999999999", "expires_at": 1, "id": GROUP}});
    let refused = ask(&facade, "POST", &format!("invites/{CODE}/join"), wrong).await;
    let fields = ["group", "from", "expires_at", "id"].map(|field| format!("invitation.{field}"));
    refused.is_refused_for(&fields, "an invitation");
    assert_eq!(get(&facade, "invites/old").await.status, 410);
    for wrong in ["a%20b", "https%3A%2F%2Fexample.com%2Fx"] {
        let reply = get(&facade, &format!("invites/{wrong}")).await;
        reply.is_refused_for(&["code"], wrong);
    }
}

#[tokio::test]
async fn who_asks_to_be_let_in_is_listed_and_decided_on() {
    let facade = Facade::start().await;
    let people = format!("groups/{GROUP}/requests");
    let listed = get(&facade, &people).await.json();
    let one = json!({"jid": "100000000000007@lid", "phone_number": null, "requested_at": "1970-01-01T00:00:00.000Z"});
    assert_eq!(listed, json!({"data": [one]}));
    // Whose number is not known is named by their hidden id.
    let decision = json!({"approve": ["+55 11 77777-7777", "5511777777777"], "reject": ["100000000000007@lid"]});
    let decided = ask(&facade, "POST", &people, decision).await;
    assert_eq!((decided.status, &decided.json()["data"][0]["ok"]), (200, &json!(true)));
    let asked = facade.desk.asked();
    let read = "approve: [Number(PhoneNumber(\"5511777777777\"))], reject: [Hidden(\"100000000000007\")]";
    assert!(asked.contains(read), "{asked}");
    for (wrong, fields) in [
        (json!({}), vec!["approve"]),
        (json!({"approve": []}), vec!["approve"]),
        (json!({"approve": ["x"], "reject": [GROUP]}), vec!["approve", "reject"]),
        (
            json!({"approve": ["5511777777777"], "reject": ["5511777777777"]}),
            vec!["reject"],
        ),
    ] {
        let reply = ask(&facade, "POST", &people, wrong.clone()).await;
        reply.is_refused_for(&fields, &wrong);
    }
}

fn part(name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.jpg\"\r\ncontent-type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), content, b"\r\n"].concat()
}

async fn put_parts(facade: &Facade, group: &str, parts: &[Vec<u8>]) -> Reply {
    let end = format!("--{BOUNDARY}--\r\n").into_bytes();
    let ask = facade.ask("PUT", &path(&format!("groups/{group}/picture")));
    let ask = ask.header("content-type", &format!("multipart/form-data; boundary={BOUNDARY}"));
    ask.header("idempotency-key", "k")
        .bytes([parts.concat(), end].concat())
        .send()
        .await
}

#[tokio::test]
async fn a_picture_comes_in_a_part_in_base64_or_from_an_address() {
    let facade = Facade::start().await;
    let picture = format!("groups/{GROUP}/picture");
    let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let base64 = json!({"media": {"base64": BASE64_STANDARD.encode(&content)}});
    let put = put_parts(&facade, GROUP, &[part("file", &content)]).await;
    assert_eq!(put.status, 204, "{put:?}");
    assert!(*facade.desk.file.lock().unwrap() == content && facade.desk.asked().contains("in file"));
    facade.desk.file.lock().unwrap().clear();
    let put = ask(&facade, "PUT", &picture, base64).await;
    assert_eq!(put.status, 204, "{put:?}");
    assert!(*facade.desk.file.lock().unwrap() == content && facade.desk.asked().contains("in media.base64"));
    let put = ask(
        &facade,
        "PUT",
        &picture,
        json!({"media": {"url": "https://example.com/a.jpg"}}),
    )
    .await;
    assert_eq!(put.status, 204, "{put:?}");
    assert!(facade.desk.asked().contains("at https://example.com/a.jpg"));
    assert_eq!(std::fs::read_dir(facade.desk.received.path()).unwrap().count(), 0);

    // Another file under the same key is another request.
    put_parts(&facade, GROUP, &[part("file", b"other")]).await;
    let hashes = facade.desk.hashes.lock().unwrap().clone();
    assert!(hashes.len() == 2 && hashes[0] != hashes[1]);

    let shown = get(&facade, &format!("{picture}?preview=true")).await;
    let wanted = json!({"id": "1700000000", "url": "https://pps.example/true"});
    assert_eq!((shown.status, shown.json()), (200, wanted));
    assert!(facade.desk.asked().contains("preview: true"));
    assert_eq!(
        get(&facade, &format!("{picture}?preview=1")).await.bad_fields(),
        ["preview"]
    );
    assert_eq!(facade.ask("DELETE", &path(&picture)).send().await.status, 204);
    assert!(facade.desk.asked().contains("picture: None"));
}

#[tokio::test]
async fn a_body_without_a_picture_is_refused_with_what_is_wanted() {
    let facade = Facade::start().await;
    let picture = format!("groups/{GROUP}/picture");
    for (body, field) in [
        (json!({}), "media"),
        (json!({"media": {}}), "media.url"),
        (json!({"media": {"url": "https://a.b", "base64": "AA=="}}), "media.url"),
        (json!({"media": {"base64": "?"}}), "media.base64"),
        (json!({"media": {"base64": ""}}), "media.base64"),
        (json!({"media": {"url": "https://a.b"}, "colour": 1}), "colour"),
    ] {
        let reply = ask(&facade, "PUT", &picture, body.clone()).await;
        reply.is_refused_for(&[field], &body);
    }
    // A large body is large by its picture, or refused.
    let url = json!({"media": {"url": "https://a.b", "file_name": "x".repeat(70_000)}});
    assert_ne!(ask(&facade, "PUT", &picture, url).await.status, 200);
    let values = json!({"media": {"base64": "AAAA"}, "more": vec![0; 70_000]});
    assert_eq!(ask(&facade, "PUT", &picture, values).await.status, 413);
    for (parts, status, said) in [
        (vec![], 400, "file"),
        (
            vec![part("message", b"{}"), part("file", b"x")],
            400,
            "the only part is file",
        ),
        (vec![part("file", &vec![b'x'; (16 << 20) + 1])], 413, "16777216"),
    ] {
        let reply = put_parts(&facade, GROUP, &parts).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.json().to_string().contains(said), "{reply:?}");
    }
    let no_group = put_parts(&facade, "5511", &[part("file", b"x")]).await;
    no_group.is_refused_for(&["group_id"], "a number");
    assert_eq!(std::fs::read_dir(facade.desk.received.path()).unwrap().count(), 0);
}

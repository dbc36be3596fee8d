//! What is done at WhatsApp besides sending: receipts, presence, numbers, groups.

use serde_json::{Value, json};

use super::{
    Facade,
    fake::GROUP,
    sending::{path, post},
};

#[tokio::test]
async fn receipts_and_presence_are_read() {
    let facade = Facade::start().await;
    let read = post(
        &facade,
        "read",
        json!({"from": "5511777777777", "message_ids": ["M", "N"]}),
    )
    .await;
    assert_eq!(read.status, 204, "{read:?}");
    assert!(
        facade.desk.asked().contains("MarkRead { chat: Number("),
        "{}",
        facade.desk.asked()
    );
    let in_group = json!({"chat": GROUP, "from": "5511777777777", "message_ids": ["M"]});
    assert_eq!(post(&facade, "read", in_group).await.status, 204);
    for (body, fields) in [
        (json!({}), vec!["message_ids", "from"]),
        (json!({"chat": GROUP, "message_ids": ["M"]}), vec!["from"]),
        (json!({"from": GROUP, "message_ids": []}), vec!["from", "message_ids"]),
    ] {
        let reply = post(&facade, "read", body.clone()).await;
        reply.is_refused_for(&fields, &body);
    }
    for state in ["typing", "recording", "paused"] {
        let shown = post(&facade, "presence", json!({"to": GROUP, "state": state})).await;
        assert_eq!(shown.status, 204, "{state}");
        let nowhere = post(&facade, "presence", json!({"state": state})).await;
        nowhere.is_refused_for(&["to"], state);
    }
    for state in ["available", "unavailable"] {
        assert_eq!(post(&facade, "presence", json!({"state": state})).await.status, 204);
        // It would be shown to everybody all the same.
        let to_one = post(&facade, "presence", json!({"to": GROUP, "state": state})).await;
        to_one.is_refused_for(&["to"], state);
    }
    assert_eq!(
        post(&facade, "presence", json!({"state": "asleep"})).await.bad_fields(),
        ["state"]
    );
}

#[tokio::test]
async fn numbers_are_checked() {
    let facade = Facade::start().await;
    let check = async |numbers: &str| {
        facade
            .ask("GET", &path(&format!("contacts/check{numbers}")))
            .send()
            .await
    };
    let reply = check("?numbers=551177777777,%2B55%2011%2077777-7777,551177777777").await;
    let numbers: Vec<Value> = reply.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["number"].clone())
        .collect();
    assert_eq!(numbers, [json!("551177777777"), json!("5511777777777")]);
    assert_eq!(reply.json()["data"][0]["exists"], false);
    let many = (0..51).map(|n| format!("5511{n:08}")).collect::<Vec<_>>().join(",");
    for bad in ["", "?numbers=1", "?numbers=,", &format!("?numbers={many}")] {
        let reply = check(bad).await;
        reply.is_refused_for(&["numbers"], bad);
    }
}

#[tokio::test]
async fn groups_are_made_and_changed() {
    let facade = Facade::start().await;
    let listed = facade.ask("GET", &path("groups")).send().await;
    assert_eq!(listed.json()["data"][0]["id"], GROUP);
    let one = facade.ask("GET", &path(&format!("groups/{GROUP}"))).send().await;
    assert_eq!((one.status, &one.json()["subject"]), (200, &json!("Friends")));
    assert_eq!(facade.ask("GET", &path("groups/5511")).send().await.status, 400);
    let made = post(
        &facade,
        "groups",
        json!({"subject": "Friends", "participants": ["5511777777777"]}),
    )
    .await;
    assert_eq!(
        (made.status, &made.json()["created_at"]),
        (201, &json!("1970-01-01T00:00:00.000Z"))
    );
    let bad = post(
        &facade,
        "groups",
        json!({"subject": "x".repeat(101), "participants": []}),
    )
    .await;
    assert_eq!(bad.bad_fields(), ["subject", "participants"]);
    let unnamed = json!({"subject": "Friends", "participants": ["100000000000007@lid"]});
    assert_eq!(post(&facade, "groups", unnamed).await.bad_fields(), ["participants"]);
    let people = format!("groups/{GROUP}/participants");
    let changed = post(
        &facade,
        &people,
        json!({"add": ["5511777777777"], "remove": ["100000000000007@lid"], "demote": ["5511666666666@c.us"]}),
    )
    .await;
    let asked = facade.desk.asked();
    assert!(
        asked.contains("remove: [Hidden(\"100000000000007\")]") && asked.contains("demote: [Number("),
        "{asked}"
    );
    assert_eq!((changed.status, &changed.json()["data"][0]["ok"]), (200, &json!(true)));
    assert_eq!(post(&facade, &people, json!({})).await.bad_fields(), ["add"]);
    assert_eq!(
        post(&facade, &format!("groups/{GROUP}/leave"), json!({})).await.status,
        204
    );
}

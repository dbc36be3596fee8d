//! What the facade makes of webhooks as they are registered and changed.

use std::time::Duration;

use serde_json::{Value, json};
use wharf_domain::{ChatKind, ChatKinds, EventKind, EventKinds};

use super::{Facade, fake::ID, requests::post};

#[tokio::test]
async fn a_webhook_is_registered_with_the_defaults_of_the_contract() {
    let facade = Facade::start().await;
    let body = json!({"phone_number": "+55 (11) 8888-8888", "webhook_url": "https://example.com/x"});
    let reply = post(&facade, "/api/webhooks/register", body).await;
    assert_eq!(reply.status, 201);
    let webhook = reply.json();
    assert_eq!(webhook["phone_number"], "551188888888");
    assert_eq!(
        (&webhook["max_retries"], &webhook["is_active"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(
        (&webhook["status"], &webhook["metadata"]),
        (&json!("active"), &Value::Null)
    );
    let keys = [
        "id",
        "client_id",
        "phone_number",
        "delivery",
        "webhook_url",
        "is_active",
        "status",
        "failure_count",
        "max_retries",
        "last_error",
        "last_success_at",
        "last_attempt_at",
        "metadata",
        "events",
        "chats",
        "sender",
        "hub_signature",
        "max_in_flight",
        "max_per_second",
        "timeout_ms",
        "ordering",
        "retry_client_errors",
        "recovery",
        "headers",
        "created_at",
        "updated_at",
        "secret",
    ];
    assert_eq!(webhook.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    assert_eq!(
        (&webhook["delivery"], &webhook["hub_signature"]),
        (&json!("push"), &json!(false))
    );
    assert_eq!(webhook["events"], json!(["message"]));
    assert_eq!(webhook["chats"], json!(["person", "group"]));
    let shown = facade.ask("GET", &format!("/api/webhooks/{ID}")).send().await.json();
    assert_eq!(
        shown.as_object().unwrap().keys().collect::<Vec<_>>(),
        keys[..keys.len() - 1],
        "no secret"
    );
}

/// JSON's numbers have any number of digits, and what is kept has not.
#[tokio::test]
async fn a_number_in_metadata_is_kept_exactly_or_refused() {
    let facade = Facade::start().await;
    let ask = |method, path: &str, metadata: &str| {
        let new = match method {
            "POST" => r#""phone_number":"551188888888","webhook_url":"https://e.com","#,
            _ => "",
        };
        let body = format!(r#"{{{new}"metadata":{metadata}}}"#);
        let ask = facade.ask(method, path).header("content-type", "application/json");
        ask.bytes(body).send()
    };
    let kept = r#"{"id":18446744073709551615,"rate":0.1,"tiny":1e-300}"#;
    let made = ask("POST", "/api/webhooks/register", kept).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["metadata"].to_string(), kept);
    let lost = r#"{"a":{"id":18446744073709551616},"b":[1,1e40]}"#;
    for (method, path) in [
        ("POST", "/api/webhooks/register".to_owned()),
        ("PATCH", format!("/api/webhooks/{ID}")),
    ] {
        let refused = ask(method, &path, lost).await;
        refused.is_refused_for(&["metadata.a.id", "metadata.b"], method);
        let said = refused.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(said.contains("64 bits") && said.contains("or a string"), "{said}");
    }
}

#[tokio::test]
async fn a_rotation_has_an_overlap_of_a_day_unless_it_says_otherwise() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/{ID}/rotate-secret");
    for (body, seconds) in [
        (json!({}), 86_400),
        (json!({"overlap_hours": 0}), 0),
        (json!({"overlap_hours": 168}), 604_800),
    ] {
        let reply = post(&facade, &path, body).await;
        assert_eq!(reply.status, 200);
        assert!(reply.json()["secret"].as_str().unwrap().starts_with("whsec_"));
        let overlap = Duration::from_secs(seconds);
        assert_eq!(facade.desk.asked(), format!("{overlap:?}"));
    }
    for bad in [json!(-1), json!(169), json!(1.5), json!("24"), json!(null)] {
        let reply = post(&facade, &path, json!({"overlap_hours": bad})).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert_eq!(reply.json()["errors"][0]["field"], "overlap_hours");
    }
    assert_eq!(facade.ask("POST", &path).send().await.status, 200, "no body at all");
}

#[tokio::test]
async fn a_patch_tells_left_out_from_null() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/{ID}");
    for body in [None, Some(json!({}))] {
        let ask = facade.ask("PATCH", &path);
        let reply = if let Some(body) = body {
            ask.json(&body).send().await
        } else {
            ask.send().await
        };
        assert_eq!(reply.status, 200);
        assert!(
            facade.desk.asked().contains("is_active: None, metadata: None"),
            "{}",
            facade.desk.asked()
        );
    }
    let reply = facade
        .ask("PATCH", &path)
        .json(&json!({"metadata": null, "is_active": false}))
        .send()
        .await;
    assert_eq!(reply.status, 200);
    assert!(
        facade
            .desk
            .asked()
            .contains("is_active: Some(false), metadata: Some(None)"),
        "{}",
        facade.desk.asked()
    );
    let reply = facade
        .ask("PATCH", &path)
        .json(&json!({"is_active": null, "phone_number": "551188888888"}))
        .send()
        .await;
    reply.is_refused_for(&["is_active", "phone_number"], "one is null, one is fixed");
}

#[tokio::test]
async fn events_are_taken_in_any_order_and_an_unknown_one_is_answered_with_all() {
    let facade = Facade::start().await;
    let body = json!({
        "phone_number": "551188888888", "webhook_url": "https://e.com",
        "events": ["presence", "message.status", "message", "presence"],
    });
    let made = post(&facade, "/api/webhooks/register", body).await.json();
    assert_eq!(made["events"], json!(["message", "message.status", "presence"]));
    let path = format!("/api/webhooks/{ID}");
    let patched = facade
        .ask("PATCH", &path)
        .json(&json!({"events": ["call"]}))
        .send()
        .await;
    assert_eq!(patched.status, 200);
    let asked = facade.desk.asked();
    assert!(
        asked.contains(&format!("events: Some({:?})", EventKinds::of([EventKind::Call]))),
        "{asked}"
    );
    let refused = facade
        .ask("PATCH", &path)
        .json(&json!({"events": ["calls"]}))
        .send()
        .await;
    let detail = refused.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    for kind in EventKind::ALL {
        assert!(detail.contains(&format!("\"{}\"", kind.as_str())), "{detail}");
    }
}

#[tokio::test]
async fn chats_are_taken_in_any_order_and_an_unknown_one_is_answered_with_all() {
    let facade = Facade::start().await;
    let register = "/api/webhooks/register";
    let new = |chats| json!({"phone_number": "551188888888", "webhook_url": "https://e.com", "chats": chats});
    for (asked, shown) in [
        (json!(["person"]), json!(["person"])),
        (json!(["group", "person", "group"]), json!(["person", "group"])),
    ] {
        let made = post(&facade, register, new(asked)).await.json();
        assert_eq!(made["chats"], shown);
    }
    let path = format!("/api/webhooks/{ID}");
    let patch = |body: Value| facade.ask("PATCH", &path).json(&body).send();
    for (body, expected) in [
        (
            json!({"chats": ["group"]}),
            format!("chats: {:?}", Some(ChatKinds::of([ChatKind::Group]))),
        ),
        (json!({}), "chats: None".to_owned()),
    ] {
        assert_eq!(patch(body).await.status, 200);
        let asked = facade.desk.asked();
        assert!(asked.contains(&expected), "{asked}");
    }
    for bad in [json!(["groups"]), json!([]), json!("person"), json!(null)] {
        let words = "must be an array of at least one of \"person\", \"group\"";
        for refused in [
            patch(json!({"chats": bad})).await,
            post(&facade, register, new(bad)).await,
        ] {
            assert_eq!((refused.status, refused.bad_fields()), (400, vec!["chats".to_owned()]));
            let said = refused.json()["errors"][0]["message"].as_str().unwrap().to_owned();
            assert!(said.starts_with(words), "{said}");
        }
    }
}

#[tokio::test]
async fn what_of_a_sender_is_told_and_which_client_errors_are_tried_again_is_the_owners_to_say() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/{ID}");
    let patch = |body: Value| facade.ask("PATCH", &path).json(&body).send();
    for (body, expected) in [
        (json!({"sender": "full"}), "sender: Some(Full)"),
        (json!({}), "sender: None"),
    ] {
        assert_eq!(patch(body).await.status, 200);
        let asked = facade.desk.asked();
        assert!(asked.contains(expected), "{asked}");
    }
    let new =
        json!({"phone_number": "551188888888", "webhook_url": "https://e.com", "retry_client_errors": [499, 404, 400]});
    let made = post(&facade, "/api/webhooks/register", new).await.json();
    assert_eq!(made["retry_client_errors"], json!([400, 404, 499]));
    for (name, bad, words) in [
        ("sender", json!("Full"), "must be \"short\" or \"full\""),
        ("sender", json!(null), "must be \"short\" or \"full\""),
        (
            "retry_client_errors",
            json!([410]),
            "must be an array of statuses from 400 to 499, without 410",
        ),
        (
            "retry_client_errors",
            json!([500]),
            "must be an array of statuses from 400 to 499, without 410",
        ),
    ] {
        let refused = patch(json!({name: bad})).await;
        assert_eq!((refused.status, refused.bad_fields()), (400, vec![name.to_owned()]));
        assert_eq!(refused.json()["errors"][0]["message"], words);
    }
}

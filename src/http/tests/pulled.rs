//! Webhooks that are pulled: what they are registered with, and what they are refused.

use serde_json::{Map, Value, json};
use wharf_domain::DeliveryMode;

use super::{
    super::{description::DESCRIPTION, webhooks::PUSHED_ONLY},
    Facade,
    client::Reply,
    fake::ID,
    requests::post,
};

const REGISTER: &str = "/api/webhooks/register";
/// What every webhook is registered with, or may be.
const OF_ANY: [&str; 6] = ["phone_number", "delivery", "events", "chats", "sender", "metadata"];

fn pulled(more: Value) -> Value {
    let mut body = json!({"phone_number": "551188888888", "delivery": "pull"});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

/// Each field that concerns deliveries, with a value that a webhook that is pushed may have.
fn of_pushed() -> Map<String, Value> {
    let fields = json!({
        "max_retries": 3, "is_active": true, "hub_signature": false, "max_in_flight": null, "max_per_second": 5, "timeout_ms": 5000,
        "ordering": "chat", "retry_client_errors": [429], "recovery": "manual", "headers": {},
    });
    fields.as_object().unwrap().clone()
}

/// What is said of the first field that is refused.
fn said(reply: &Reply) -> String {
    reply.json()["errors"][0]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_webhook_that_is_pulled_has_neither_a_secret_nor_what_concerns_deliveries() {
    let facade = Facade::start().await;
    let asked = json!({"events": ["call"], "chats": ["group"], "metadata": {"a": 1}});
    for more in [asked, json!({"webhook_url": null}), json!({})] {
        let reply = post(&facade, REGISTER, pulled(more.clone())).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let webhook = reply.json();
        assert!(webhook.get("secret").is_none(), "{webhook}");
        assert_eq!(
            (
                &webhook["max_retries"],
                &webhook["failure_count"],
                &webhook["last_error"]
            ),
            (&json!(3), &json!(0), &Value::Null),
            "the fields of the contract are there"
        );
        assert_eq!(
            (&webhook["delivery"], &webhook["webhook_url"]),
            (&json!("pull"), &Value::Null)
        );
        assert_eq!(
            (&webhook["is_active"], &webhook["status"]),
            (&json!(true), &json!("active"))
        );
        for (name, value) in more.as_object().unwrap() {
            assert_eq!(webhook[name], *value);
        }
    }
    let pushed = json!({"phone_number": "551188888888", "delivery": "push", "webhook_url": "https://example.com"});
    let pushed = post(&facade, REGISTER, pushed).await.json();
    assert_eq!(
        (&pushed["delivery"], &pushed["max_retries"]),
        (&json!("push"), &json!(3))
    );
}

#[tokio::test]
async fn what_belongs_to_webhooks_that_are_pushed_is_refused_by_its_name() {
    let facade = Facade::start().await;
    for (name, value) in of_pushed()
        .into_iter()
        .chain([("webhook_url".to_owned(), json!("https://e.com"))])
    {
        let body = pulled(json!({&name: value}));
        let reply = post(&facade, REGISTER, body).await;
        reply.is_refused_for(&[&name], &name);
        assert!(
            said(&reply).contains("belongs to webhooks that are pushed"),
            "{reply:?}"
        );
    }
    let all = post(&facade, REGISTER, pulled(Value::Object(of_pushed()))).await;
    all.is_refused_for(&PUSHED_ONLY, "all together");
    // None is missing of what there is.
    let described: Value = serde_json::from_str(DESCRIPTION).unwrap();
    let known = described["components"]["schemas"]["NewWebhook"]["properties"]
        .as_object()
        .unwrap();
    let rest = known
        .keys()
        .map(String::as_str)
        .filter(|name| !OF_ANY.contains(name) && *name != "webhook_url");
    let (mut rest, mut of_pushed) = (rest.collect::<Vec<_>>(), PUSHED_ONLY.to_vec());
    rest.sort_unstable();
    of_pushed.sort_unstable();
    assert_eq!(rest, of_pushed);
    for bad in [json!(null), json!("Pull"), json!("both"), json!(1)] {
        let body = json!({"phone_number": "551188888888", "webhook_url": "https://e.com", "delivery": bad});
        let reply = post(&facade, REGISTER, body).await;
        reply.is_refused_for(&["delivery"], &bad);
        assert_eq!(said(&reply), "must be \"push\" or \"pull\"");
        let body = json!({"phone_number": "551188888888", "delivery": bad});
        post(&facade, REGISTER, body).await.is_refused_for(&["delivery"], &bad);
    }
    for body in [json!({"delivery": "push"}), json!({})] {
        let mut whole = json!({"phone_number": "551188888888"});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let reply = post(&facade, REGISTER, whole).await;
        reply.is_refused_for(&["webhook_url"], "it has to be there");
        assert!(said(&reply).contains("\"delivery\": \"pull\""), "{reply:?}");
    }
}

#[tokio::test]
async fn a_patch_changes_neither_the_delivery_nor_what_there_is_none_of() {
    let facade = Facade::start().await;
    let path = format!("/api/webhooks/{ID}");
    let patch = |body: Value| facade.ask("PATCH", &path).json(&body).send();
    for delivery in ["push", "pull"] {
        let reply = patch(json!({"delivery": delivery})).await;
        reply.is_refused_for(&["delivery"], delivery);
        assert!(said(&reply).contains("register it anew"), "{reply:?}");
    }
    assert_eq!(
        patch(Value::Object(of_pushed())).await.status,
        200,
        "that one is pushed"
    );

    {
        let mut webhook = facade.desk.webhook.lock().unwrap();
        (webhook.delivery, webhook.webhook_url) = (DeliveryMode::Pull, None);
    }
    for body in [
        json!({"events": ["call"], "chats": ["person"], "metadata": null}),
        json!({}),
    ] {
        let reply = patch(body).await;
        assert_eq!(
            (reply.status, &reply.json()["delivery"]),
            (200, &json!("pull")),
            "{reply:?}"
        );
    }
    for (name, value) in of_pushed() {
        let reply = patch(json!({&name: value})).await;
        reply.is_refused_for(&[&name], &name);
        assert!(
            said(&reply).contains("belongs to webhooks that are pushed"),
            "{reply:?}"
        );
    }
    for url in [json!("https://e.com"), json!(null)] {
        let reply = patch(json!({"webhook_url": url, "timeout_ms": 1})).await;
        reply.is_refused_for(&["webhook_url", "timeout_ms"], &url);
        assert!(said(&reply).contains("delete it and register it anew"), "{reply:?}");
    }
    let elsewhere = path.replace(&ID.to_string(), "01900000-0000-7000-8000-00000000ffff");
    let ask = |body: Value| facade.ask("PATCH", &elsewhere).json(&body).send();
    assert_eq!(ask(json!({"timeout_ms": 5000})).await.status, 404);
    ask(json!({"timeout_ms": 1}))
        .await
        .is_refused_for(&["timeout_ms"], "whatever it is");
}

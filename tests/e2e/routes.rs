//! The routes that the gateway says it has, and what is good for them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{Api, CONTACT};

/// A route below `/api`.
pub struct Route {
    pub method: Method,
    /// The path, with names in braces where a value stands.
    pub template: String,
    /// A body that it takes.
    pub body: Option<Value>,
}

/// All of them, as `GET /openapi.json` describes them.
pub async fn all(api: &Api) -> Vec<Route> {
    let description = api.get("/openapi.json").await.expect(StatusCode::OK);
    let paths = description["paths"].as_object().unwrap();
    let paths = paths.iter().filter(|(path, _)| path.starts_with("/api/"));
    let routes = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        let methods = methods.filter(|(method, _)| *method != "parameters");
        methods.map(move |(method, about)| Route {
            method: method.to_uppercase().parse().unwrap(),
            template: path.clone(),
            body: about.get("requestBody").map(|_| good_body(path)),
        })
    });
    routes.collect()
}

fn good_body(path: &str) -> Value {
    match path.rsplit('/').next().unwrap_or_default() {
        "register" => json!({"phone_number": CONTACT, "webhook_url": "https://example.com"}),
        "connections" => json!({"phone_number": CONTACT}),
        "{webhook_id}" => json!({"is_active": false}),
        "retry" if path.contains("{webhook_id}") => json!({"status": "failed"}),
        "retry" => json!({"force": true}),
        "messages" => json!({"to": CONTACT, "type": "text", "text": "x"}),
        "read" => json!({"from": CONTACT, "message_ids": ["3EB0"]}),
        "presence" => json!({"state": "available"}),
        "picture" => json!({"media": {"base64": "/9j/"}}),
        "archive" => json!({"archived": true}),
        "pin" => json!({"pinned": true}),
        "mute" => json!({"muted": true}),
        "reject" => json!({"from": CONTACT}),
        "groups" => json!({"subject": "Harbour", "participants": [CONTACT]}),
        "requests" => json!({"approve": [CONTACT]}),
        "participants" => json!({"add": [CONTACT]}),
        _ => json!({}),
    }
}

impl Route {
    /// Whether it is about something with an id.
    pub fn has_id(&self) -> bool {
        self.template.contains('{')
    }

    /// Whether its answer is a stream of events without an end.
    pub fn is_endless(&self) -> bool {
        self.template.ends_with("/connections/{phone_number}/events")
    }

    /// The path of this number, webhook and event.
    pub fn path(&self, number: &str, webhook: &str, event: &str) -> String {
        let path = self
            .template
            .replace("{phone_number}", number)
            .replace("{webhook_id}", webhook)
            .replace("{event_id}", event)
            .replace("{message_id}", "3EB0")
            .replace("{group_id}", "120363000000000001@g.us")
            .replace("{number}", CONTACT)
            .replace("{chat}", CONTACT)
            .replace("{call_id}", "A1B2C3D4")
            .replace("{code}", "AbCdEfGhIjKlMnOpQrStUv")
            // The one route that does not work without a query.
            .replace("contacts/check", &format!("contacts/check?numbers={CONTACT}"));
        assert!(!path.contains('{'), "{path} has a name that nothing is known for");
        path
    }
}

//! Walks the whole table: what holds for every route.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    super::routes::{ROUTES, Route, Takes},
    BETA, Facade, NUMBER,
    client::Reply,
    fake::{CODE, GROUP, ID, MESSAGE, PAGE},
};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];

/// A path of this route whose variable segment names something of client 1.
pub(super) fn path(route: &Route) -> String {
    let number = route.path.replace(":phone_number", NUMBER);
    // The one route that does not work without a query.
    let number = number.replace("contacts/check", "contacts/check?numbers=551188888888");
    number
        .replace(":message_id", MESSAGE)
        .replace(":group_id", GROUP)
        .replace(":number", "551188888888")
        .replace(":chat", "551188888888")
        .replace(":call_id", "A1B2C3D4")
        .replace(":code", CODE)
        .replace(":token", PAGE)
        .replace(":webhook_id", &ID.to_string())
        .replace(":event_id", &ID.to_string())
}

fn api() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.path.starts_with("/api"))
}

fn assert_unauthorized(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 401, "{what}: {reply:?}");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{what}");
}

#[tokio::test]
async fn without_a_valid_token_everything_below_api_is_401() {
    let facade = Facade::start().await;
    let paths: BTreeSet<String> = api().map(path).collect();
    let others = ["/api", "/api/", "/api/nothing/here", "/%61pi/webhooks/list", "/api/%ff"].map(String::from);
    for path in paths.into_iter().chain(others) {
        for method in METHODS {
            let what = format!("{method} {path}");
            assert_unauthorized(&facade.bare(method, &path).send().await, &what);
            assert_unauthorized(&facade.bare(method, &path).token("nobody's").send().await, &what);
        }
    }
}

#[tokio::test]
async fn a_token_is_taken_in_one_form_only() {
    let facade = Facade::start().await;
    let ask = |value: &str| facade.bare("GET", "/api/webhooks/list").header("authorization", value);
    for good in ["Bearer alpha-token", "bearer alpha-token", "BEARER  alpha-token"] {
        assert_eq!(ask(good).send().await.status, 200, "{good:?}");
    }
    let long = format!("Bearer {}", "x".repeat(8000));
    for bad in [
        "",
        "alpha-token",
        "Bearer",
        "Bearer ",
        "Basic alpha-token",
        "Bearer alpha-token x",
        "Bearer\talpha",
        &long,
    ] {
        assert_unauthorized(&ask(bad).send().await, bad);
    }
    let twice = ask("Bearer alpha-token").header("authorization", "Bearer alpha-token");
    assert_unauthorized(&twice.send().await, "two headers");
    assert_unauthorized(
        &facade.bare("GET", "/api/webhooks/list?token=alpha-token").send().await,
        "in the query",
    );
}

#[tokio::test]
async fn other_methods_are_405_and_allow_is_exact() {
    let facade = Facade::start().await;
    for route in ROUTES {
        let path = path(route);
        let mut allowed: BTreeSet<&str> = ROUTES
            .iter()
            .filter(|other| other.path == route.path)
            .map(|other| other.method.as_str())
            .collect();
        if allowed.contains("GET") {
            allowed.insert("HEAD");
        }
        allowed.insert("OPTIONS");
        for method in METHODS
            .into_iter()
            .filter(|method| !allowed.contains(method) || *method == "OPTIONS")
        {
            let reply = facade.ask(method, &path).send().await;
            let expected = if method == "OPTIONS" { 204 } else { 405 };
            assert_eq!(reply.status, expected, "{method} {path}: {reply:?}");
            let allow: BTreeSet<&str> = reply.header("allow").expect("Allow").split(", ").collect();
            assert_eq!(allow, allowed, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn unknown_routes_are_404() {
    let facade = Facade::start().await;
    for path in [
        "/",
        "//",
        "/favicon.ico",
        "/healthz/",
        "/healthz/x",
        "/Healthz",
        "/api",
        "/api/",
        "/api/webhooks",
        "/api/webhooks/",
        "/api/webhooks/list/",
        "/api/webhooks//events",
        "/api/whatsapp/connections/",
        "/api/webhooks/x/y",
        "/api/v1",
        "/%ff",
        "/api/../healthz",
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            assert_eq!(facade.ask(method, path).send().await.status, 404, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_sent_as_json_is_415() {
    let facade = Facade::start().await;
    for route in api().filter(|route| route.takes != Takes::Nothing) {
        let ask = || facade.ask(route.method.as_str(), &path(route));
        assert_eq!(ask().bytes("{}").send().await.status, 415, "{}: no type", route.path);
        for bad in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "json",
            "text/json",
        ] {
            let reply = ask().header("content-type", bad).bytes("{}").send().await;
            assert_eq!(reply.status, 415, "{} {bad:?}", route.path);
        }
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
        ] {
            let reply = ask().header("content-type", good).bytes("{}").send().await;
            assert_ne!(reply.status, 415, "{} {good:?}", route.path);
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_one_at_the_limit_is_read() {
    let facade = Facade::start().await;
    for route in api().filter(|route| route.takes == Takes::Object) {
        for size in [65_537, 200_000, 3_000_000] {
            let ask = facade
                .ask(route.method.as_str(), &path(route))
                .header("content-type", "application/json");
            assert_eq!(
                ask.bytes(vec![b' '; size]).send().await.status,
                413,
                "{} {size}",
                route.path
            );
        }
        let ask = facade
            .ask(route.method.as_str(), &path(route))
            .header("content-type", "application/json");
        assert_eq!(ask.bytes(vec![b' '; 65_536]).send().await.status, 400, "{}", route.path);
    }
}

/// Bodies that each route accepts.
pub(super) fn good_body(route: &Route) -> serde_json::Value {
    match route.path.rsplit('/').next() {
        Some("register") => json!({"phone_number": "551188888888", "webhook_url": "https://example.com"}),
        Some("connections") => json!({"phone_number": "551188888888"}),
        Some("retry") if route.path.contains(":webhook_id") => json!({"status": "failed"}),
        Some("messages") => json!({"to": "551188888888", "type": "text", "text": "hi"}),
        Some("read") => json!({"from": "551188888888", "message_ids": ["3EB0"]}),
        Some("presence") => json!({"state": "available"}),
        Some("picture") => json!({"media": {"base64": "/9j/"}}),
        Some("archive") => json!({"archived": true}),
        Some("pin") => json!({"pinned": true}),
        Some("mute") => json!({"muted": true}),
        Some("reject") => json!({"from": "551188888888"}),
        Some("groups") => json!({"subject": "Friends", "participants": ["551188888888"]}),
        Some("requests") => json!({"approve": ["551188888888"]}),
        Some("participants") => json!({"add": ["551188888888"]}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn what_belongs_to_another_client_is_the_same_404_as_nothing() {
    let facade = Facade::start().await;
    for route in api().filter(|route| route.path.contains(':')) {
        let unknown = match route.path.contains(":phone_number") {
            true => path(route).replace(NUMBER, "5599999999999"),
            false => path(route).replace(&ID.to_string(), "01900000-0000-7000-8000-00000000ffff"),
        };
        let ask = |path: &str, token: &str| {
            let ask = facade.bare(route.method.as_str(), path).token(token);
            if route.takes != Takes::Nothing {
                ask.json(&good_body(route))
            } else {
                ask
            }
        };
        let own = ask(&path(route), super::ALPHA).send().await;
        assert!((200..300).contains(&own.status), "{}: {own:?}", route.path);
        let foreign = ask(&path(route), BETA).send().await;
        let missing = ask(&unknown, super::ALPHA).send().await;
        assert_eq!((foreign.status, missing.status), (404, 404), "{}", route.path);
        assert_eq!(foreign.json(), missing.json(), "{}", route.path);
    }
}

/// A filter that is misspelt, or of another route, is no question that may be answered.
#[tokio::test]
async fn a_parameter_that_a_route_does_not_read_is_refused_by_name() {
    let facade = Facade::start().await;
    for route in api() {
        let path = path(route);
        let sign = if path.contains('?') { '&' } else { '?' };
        let ask = facade.ask(route.method.as_str(), &format!("{path}{sign}surprise=1"));
        let ask = match route.takes {
            Takes::Nothing => ask,
            Takes::Object | Takes::Message | Takes::Picture => ask.json(&good_body(route)),
        };
        let reply = ask.send().await;
        reply.is_refused_for(&["surprise"], route.path);
    }
    assert_eq!(
        facade.bare("GET", "/healthz?t=1").send().await.status,
        200,
        "probes may"
    );
}

#[tokio::test]
async fn head_answers_like_get_without_the_body() {
    let facade = Facade::start().await;
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        let head = facade.ask("HEAD", &path(route)).send().await;
        let get = facade.ask("GET", &path(route)).send().await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{}", route.path);
        for name in ["content-type", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{}", route.path);
        }
    }
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_sane() {
    let facade = Facade::start().await;
    for (given, kept) in [
        ("abc-1.2_3", true),
        ("", false),
        ("a b", false),
        ("x\"y", false),
        (&"x".repeat(129), false),
    ] {
        for path in ["/healthz", "/nothing"] {
            let reply = facade.bare("GET", path).header("x-request-id", given).send().await;
            assert_eq!(reply.header("x-request-id") == Some(given), kept, "{given:?}");
        }
    }
}

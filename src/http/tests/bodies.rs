//! Bodies, paths and queries that nobody foresaw: no route may answer 5xx to one, or not at all.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRng, TestRunner},
};
use serde_json::{Map, Value};

use super::{
    super::routes::{ROUTES, Takes},
    Facade, NUMBER,
    fake::ID,
};

const BODIES_PER_ROUTE: usize = 200;

/// Names that some route knows, and one that none does.
const NAMES: [&str; 16] = [
    "phone_number",
    "webhook_url",
    "max_retries",
    "is_active",
    "metadata",
    "force",
    "status",
    "since",
    "until",
    "error",
    "limit",
    "to",
    "type",
    "text",
    "surprise",
    "",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        prop::sample::select(vec![
            "text",
            "failed",
            "2025-11-05T14:23:00Z",
            NUMBER,
            "https://example.com/",
            "\0",
            "🦀",
            "http://[::1]/"
        ])
        .prop_map(Value::from),
        (0_usize..3000).prop_map(|length| Value::from("x".repeat(length))),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Mostly objects with known names and odd values, now and then any JSON or any bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let object = prop::collection::vec((prop::sample::select(NAMES.to_vec()), value()), 0..8).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>()
    });
    prop_oneof![
        8 => object.prop_map(|object| Value::Object(object).to_string().into_bytes()),
        2 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..600),
    ]
}

#[tokio::test]
async fn no_body_makes_a_5xx_or_hangs() {
    let facade = Facade::start().await;
    // Seeded: a failure can be looked at again.
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let bodies = body();
    for route in ROUTES.iter().filter(|route| route.takes != Takes::Nothing) {
        let path = route.path.replace(":phone_number", NUMBER);
        let path = path
            .replace(":webhook_id", &ID.to_string())
            .replace(":event_id", &ID.to_string());
        for _ in 0..BODIES_PER_ROUTE {
            let body = bodies.new_tree(&mut runner).unwrap().current();
            let shown = String::from_utf8_lossy(&body).into_owned();
            let ask = facade
                .ask(route.method.as_str(), &path)
                .header("content-type", "application/json");
            // `send` checks the problem document, the request id, and that there is an answer.
            let reply = ask.bytes(body).send().await;
            assert!(reply.status < 500, "{} {path} with {shown}: {reply:?}", route.method);
        }
    }
}

/// Paths from known and unknown segments, with odd bytes percent-encoded as a client must.
fn target() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => prop::sample::select(vec!["api", "webhooks", "events", "whatsapp", "connections", "list", "qr", "retry", "attempts", "stats", "test", NUMBER]).prop_map(String::from),
        1 => Just(ID.to_string()),
        1 => prop::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| bytes.iter().map(|b| format!("%{b:02x}")).collect()),
        1 => "[%+.~;=@:-]{0,4}",
    ];
    let query = prop::collection::vec(
        prop_oneof![
            Just("limit=".to_owned()),
            Just("cursor=".into()),
            Just("after=".into()),
            Just("since=2025-11-05T14:23:00+00:00".into()),
            "[a-z0-9%+&=]{0,8}"
        ],
        0..4,
    );
    (prop::collection::vec(segment, 0..6), query)
        .prop_map(|(path, query)| format!("/{}?{}", path.join("/"), query.join("&")))
}

#[tokio::test]
async fn no_path_and_no_query_makes_a_5xx_or_hangs() {
    let facade = Facade::start().await;
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    for _ in 0..1000 {
        let path = target().new_tree(&mut runner).unwrap().current();
        for method in ["GET", "POST"] {
            let reply = facade.ask(method, &path).send().await;
            assert!(reply.status < 500, "{method} {path}: {reply:?}");
        }
    }
}

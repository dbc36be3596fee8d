//! Bodies, paths and queries that nobody foresaw: no route may answer 5xx to one, or not at all.

use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value};
use warp::http::Method;

use super::{
    super::{
        dispatch,
        routes::{self, ROUTES, Route, Takes},
    },
    Facade, NUMBER,
    fake::ID,
    openapi, table,
};

const BODIES_PER_ROUTE: usize = 200;
const REQUESTS: usize = 2000;

/// The one answer that does not end.
const ENDLESS: &str = "/api/whatsapp/connections/:phone_number/events";

/// What the variable of the environment seeds, as it does all property tests: a failure can be looked at again.
fn runner() -> TestRunner {
    TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    })
}

/// Any JSON; its objects have mostly fields of these names.
fn value(names: Vec<&'static str>) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        select(vec![
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
    leaf.prop_recursive(4, 32, 6, move |inner| {
        let name = prop_oneof![3 => select(names.clone()).prop_map(String::from), 1 => ".{0,8}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Mostly objects with names that the route knows and odd values, now and then any JSON or any bytes.
fn body(route: &Route) -> impl Strategy<Value = Vec<u8>> {
    select(openapi::forms(route)).prop_flat_map(|(constant, mut names)| {
        // One that no route knows, and none.
        names.extend(["surprise", ""]);
        let pairs = prop::collection::vec((select(names.clone()), value(names.clone())), 0..8);
        let object = pairs.prop_map(move |pairs| {
            let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
            constant.clone().into_iter().chain(pairs).collect::<Map<_, _>>()
        });
        prop_oneof![
            8 => object.prop_map(|object| Value::Object(object).to_string().into_bytes()),
            2 => value(names).prop_map(|value| value.to_string().into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 0..600),
        ]
    })
}

#[tokio::test]
async fn no_body_makes_a_5xx_or_hangs() {
    let facade = Facade::start().await;
    let mut runner = runner();
    for route in ROUTES.iter().filter(|route| route.takes != Takes::Nothing) {
        let (path, bodies) = (table::path(route), body(route));
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

/// A segment that nobody foresaw, with odd bytes percent-encoded as a client must.
fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6)
            .prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02x}")).collect()),
        "[%+.~;=@:-]{0,4}",
    ]
}

/// Parameters with these names and odd ones. None may wait.
fn query(mut names: Vec<String>) -> impl Strategy<Value = String> {
    names.retain(|name| name != "wait");
    names.push("surprise".into());
    let value = prop_oneof![
        select(vec!["", "1", "failed", "svg", NUMBER, "2025-11-05T14:23:00+00:00"]).prop_map(String::from),
        "[a-zA-Z0-9%+=,.:-]{0,12}",
    ];
    let parameter = prop_oneof![
        2 => (select(names), value).prop_map(|(name, value)| format!("{name}={value}")),
        1 => "[a-z0-9%+&=]{0,8}",
    ];
    prop::collection::vec(parameter, 0..4).prop_map(|parameters| parameters.join("&"))
}

/// What is asked: method, path with query, body.
type Asked = (Method, String, Option<Vec<u8>>);

/// Paths from known and unknown segments.
fn of_segments() -> impl Strategy<Value = Asked> {
    let segment = prop_oneof![
        4 => select(vec!["api", "webhooks", "events", "whatsapp", "connections", "list", "qr", "retry", "attempts", "stats", "test", NUMBER]).prop_map(String::from),
        1 => Just(ID.to_string()),
        2 => odd(),
    ];
    let names = ["limit", "cursor", "after", "since"].map(String::from);
    let path = prop::collection::vec(segment, 0..6);
    (select(vec![Method::GET, Method::POST]), path, query(names.into()))
        .prop_map(|(method, path, query)| (method, format!("/{}?{query}", path.join("/")), None))
}

/// What there is, with one or another thing wrong with it.
fn of_a_route() -> impl Strategy<Value = Asked> {
    (0..ROUTES.len()).prop_flat_map(|at| {
        let route = &ROUTES[at];
        let good = table::path(route);
        let good = good.split('?').next().unwrap_or_default().split('/');
        let segments = route.path.split('/').zip(good).skip(1).map(|(segment, good)| {
            let good = Just(good.to_owned());
            match segment.starts_with(':') {
                true => prop_oneof![3 => good, 1 => odd()].boxed(),
                false => good.boxed(),
            }
        });
        let body = match route.takes {
            Takes::Nothing => Just(None).boxed(),
            _ => body(route).prop_map(Some).boxed(),
        };
        let asked = (
            segments.collect::<Vec<_>>(),
            query(openapi::parameter_names(route)),
            body,
        );
        asked.prop_map(move |(path, query, body)| (route.method.clone(), format!("/{}?{query}", path.join("/")), body))
    })
}

#[tokio::test]
async fn no_path_and_no_query_makes_a_5xx_or_hangs() {
    let facade = Facade::start().await;
    let mut runner = runner();
    let requests = prop_oneof![of_segments(), of_a_route()];
    let mut reached = 0;
    for _ in 0..REQUESTS {
        let (method, target, body) = requests.new_tree(&mut runner).unwrap().current();
        let path = target.split('?').next().unwrap_or_default();
        let place = dispatch::decode(path).and_then(|segments| routes::place(&segments));
        if place.as_ref().is_some_and(|place| place.path == ENDLESS) {
            continue;
        }
        reached += usize::from(place.is_some());
        let ask = facade.ask(method.as_str(), &target);
        let ask = match body {
            Some(body) => ask.header("content-type", "application/json").bytes(body),
            None => ask,
        };
        let reply = ask.send().await;
        assert!(reply.status < 500, "{method} {target}: {reply:?}");
    }
    assert!(reached > 500, "or this looks at nothing: {reached}");
}

//! docs/openapi.json and the API say the same. [`check`] looks at every answer that a test of the facade gets, and at what it was
//! asked with; the tests here see to it that nothing is left out, and nothing is there that is not served.

mod requests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex, atomic::Ordering},
};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};
use wharf_domain::{
    ChatKind, ConnectionStatus, DeliveryMode, EventKind, EventStatus, Ordering as Order, Recovery, SendStatus,
    action::{self, EPHEMERAL_SECONDS, MemberAddMode, PARTICIPANTS_MAX, READ_MAX},
    link_page::PageStatus,
    message::{CallState, MediaError, MessageKind, PresenceState},
    outgoing::{CONTACTS_MAX, FileType, MENTIONS_MAX, POLL_OPTIONS, RECIPIENTS_MAX},
    session::ReasonCode,
};

use super::{
    super::{
        description, dispatch,
        media::PATTERN,
        routes::{self, ROUTES, Route, Takes},
    },
    Facade, NUMBER, OPERATOR,
    client::Reply,
    table::{good_body, path},
};

pub(super) use self::requests::forms;

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(description::DESCRIPTION).unwrap());

/// Its components, so that nothing passes that they do not name: for clients they leave room for keys of later versions.
static STRICT: LazyLock<Value> = LazyLock::new(|| {
    let mut components = DESCRIPTION["components"].clone();
    close(&mut components);
    components
});

fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(close);
            if object.get("properties").is_some_and(Value::is_object) {
                object.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

/// What a reference leads to.
fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(place) => resolve(DESCRIPTION.pointer(&place[1..]).expect(place)),
        None => value,
    }
}

/// A schema that was read.
struct Readable {
    all: Schemas,
    this: SchemaIndex,
}

fn readable(schema: &Value) -> Arc<Readable> {
    static READ: Mutex<BTreeMap<String, Arc<Readable>>> = Mutex::new(BTreeMap::new());
    let read = || {
        let mut schema = schema.clone();
        close(&mut schema);
        let (mut all, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        let name = "https://wharf.example/openapi.json";
        let whole = json!({"components": *STRICT, "allOf": [schema]});
        compiler.add_resource(name, whole).unwrap();
        let this = compiler.compile(name, &mut all).unwrap();
        Arc::new(Readable { all, this })
    };
    let mut known = READ.lock().unwrap();
    Arc::clone(known.entry(schema.to_string()).or_insert_with(read))
}

fn assert_fits(schema: &Value, value: &Value, what: &str) {
    let schema = readable(schema);
    if let Err(wrong) = schema.all.validate(value, schema.this) {
        panic!("{what}: {wrong:#}");
    }
}

/// A path as the description writes it.
fn template(path: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// What is said of a method of a path.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    DESCRIPTION["paths"][template(path)].get(method.to_ascii_lowercase())
}

/// The same, of a path that is asked for.
fn asked(method: &str, path: &str) -> Option<&'static Value> {
    let segments = dispatch::decode(path)?;
    match (segments.first().map(String::as_str), segments.len()) {
        (Some("media"), 4) => operation(method, PATTERN),
        _ => operation(method, routes::place(&segments)?.path),
    }
}

/// Parameters of a method of a path that stand in a certain place.
fn parameters(about: &'static Value, place: &str) -> Vec<&'static Value> {
    let all = about["parameters"].as_array().into_iter().flatten().map(resolve);
    all.filter(|parameter| parameter["in"] == place).collect()
}

fn names(parameters: &[&Value]) -> Vec<String> {
    let name = |parameter: &&Value| parameter["name"].as_str().unwrap().to_owned();
    parameters.iter().map(name).collect()
}

/// The names of the parameters that a route reads.
pub(super) fn parameter_names(route: &Route) -> Vec<String> {
    operation(route.method.as_str(), route.path).map_or_else(Vec::new, |about| names(&parameters(about, "query")))
}

/// The schema of a body in JSON; null where there is none.
fn body_schema(about: &'static Value) -> &'static Value {
    &resolve(&about["requestBody"])["content"]["application/json"]["schema"]
}

/// Checks an answer against what is said of it, and a request that was carried out against what is said of that.
pub(super) fn check(line: &str, sent: Option<&Value>, reply: &Reply) {
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(about) = asked(method, path) else { return };
    let answer = resolve(&about["responses"][reply.status.to_string()]);
    assert!(answer.is_object(), "{line}: {} is not described", reply.status);
    for (name, header) in answer["headers"].as_object().into_iter().flatten() {
        let there = reply.header(&name.to_ascii_lowercase()).is_some();
        assert!(there || resolve(header)["required"] != true, "{line}: {name}");
    }
    check_content(line, &answer["content"], reply);
    if !(200..300).contains(&reply.status) || !path.starts_with("/api") {
        return;
    }
    let known = names(&parameters(about, "query"));
    for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
        assert!(known.contains(&name.into_owned()), "{line}");
    }
    if let (Some(sent), Value::Object(_)) = (sent, body_schema(about)) {
        assert_fits(body_schema(about), sent, line);
    }
}

fn check_content(line: &str, described: &'static Value, reply: &Reply) {
    let Some(types) = described.as_object() else {
        assert!(reply.body.is_empty(), "{line}: {reply:?}");
        return;
    };
    let said = reply.header("content-type").unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default();
    let of_type = types.get(essence).or_else(|| types.get("*/*"));
    let of_type = of_type.unwrap_or_else(|| panic!("{line}: {said:?} is not described"));
    if essence.ends_with("json") && !types.contains_key("*/*") {
        assert_fits(&of_type["schema"], &reply.json(), line);
    }
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let mut served: BTreeSet<String> = BTreeSet::from([format!("GET {}", template(PATTERN))]);
    for route in ROUTES {
        let name = format!("{} {}", route.method, template(route.path));
        let about = operation(route.method.as_str(), route.path).expect(&name);
        assert_eq!(
            about["requestBody"].is_object(),
            route.takes != Takes::Nothing,
            "{name}: its body"
        );
        assert_eq!(!parameters(about, "query").is_empty(), route.asks, "{name}: parameters");
        let is_open = about["security"].is_array();
        assert_eq!(is_open, !route.path.starts_with("/api"), "{name}: the client's token");
        let item = &DESCRIPTION["paths"][template(route.path)];
        let variable = route.path.split('/').filter_map(|segment| segment.strip_prefix(':'));
        assert_eq!(
            names(&parameters(item, "path")),
            variable.collect::<Vec<_>>(),
            "{name}: the path"
        );
        served.insert(name);
    }
    let described = operations().map(|(name, _)| name).collect();
    assert_eq!(served, described);
    assert_eq!(DESCRIPTION["info"]["version"], env!("CARGO_PKG_VERSION"));
}

/// Each method of each path, and what is said of it.
fn operations() -> impl Iterator<Item = (String, &'static Value)> {
    let paths = DESCRIPTION["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        let methods = methods.filter(|(method, _)| *method != "parameters");
        methods.map(move |(method, about)| (format!("{} {path}", method.to_ascii_uppercase()), about))
    })
}

#[tokio::test]
async fn every_success_that_is_described_is_answered_as_described() {
    let facade = Facade::start().await;
    let mut seen: HashMap<String, BTreeSet<String>> = HashMap::new();
    for prompt in [true, false] {
        facade.desk.prompt.store(prompt, Ordering::Relaxed);
        for route in ROUTES {
            let token = if route.path == "/metrics" {
                OPERATOR
            } else {
                super::ALPHA
            };
            let ask = facade.bare(route.method.as_str(), &path(route)).token(token);
            let ask = match route.takes {
                Takes::Nothing => ask,
                Takes::Object | Takes::Message | Takes::Picture => ask.json(&good_body(route)),
            };
            let name = format!("{} {}", route.method, template(route.path));
            seen.entry(name)
                .or_default()
                .insert(ask.send().await.status.to_string());
        }
    }
    let number = format!("/api/whatsapp/connections/{NUMBER}");
    for (rest, template, body) in [
        (
            "messages?wait=false",
            "messages",
            json!({"to": NUMBER, "type": "text", "text": "x"}),
        ),
        ("invites/guarded/join", "invites/{code}/join", json!({})),
    ] {
        let reply = facade.ask("POST", &format!("{number}/{rest}")).json(&body).send().await;
        let name = format!("POST /api/whatsapp/connections/{{phone_number}}/{template}");
        seen.entry(name).or_default().insert(reply.status.to_string());
    }
    for (name, about) in operations().filter(|(name, _)| !name.contains("/media/")) {
        let statuses = about["responses"].as_object().unwrap().keys().cloned();
        let successes: BTreeSet<String> = statuses.filter(|status| status.starts_with('2')).collect();
        assert_eq!(seen[&name], successes, "{name}");
    }
}

#[test]
fn what_is_not_described_is_noticed() {
    let schema = readable(&json!({"$ref": "#/components/schemas/QrCode"}));
    let fits = |value: Value| schema.all.validate(&value, schema.this).is_ok();
    let at = "2025-11-05T14:23:00.000Z";
    assert!(fits(json!({"qr": "2@x", "expires_at": at})));
    assert!(!fits(json!({"qr": "2@x"})), "a key is missing");
    assert!(!fits(json!({"qr": "2@x", "expires_at": "soon"})), "it is no time");
    assert!(!fits(json!({"qr": "2@x", "expires_at": at, "more": 1})), "too many");
}

#[test]
fn words_and_numbers_are_those_of_the_program() {
    let at = |place: &str| {
        let place = format!("/components/schemas/{place}");
        DESCRIPTION.pointer(&place).unwrap_or_else(|| panic!("{place}"))
    };
    for (place, words) in [
        (
            "ConnectionStatus",
            json!(ConnectionStatus::ALL.map(ConnectionStatus::as_str)),
        ),
        ("ReasonCode", json!(ReasonCode::ALL.map(ReasonCode::as_str))),
        (
            "LinkState/properties/status",
            json!(PageStatus::ALL.map(PageStatus::as_str)),
        ),
        ("EventKind", json!(EventKind::ALL.map(EventKind::as_str))),
        ("ChatKind", json!(ChatKind::ALL.map(ChatKind::as_str))),
        ("SendStatus", json!(SendStatus::ALL.map(SendStatus::as_str))),
        ("MessageType", json!(MessageKind::ALL.map(MessageKind::as_str))),
        (
            "Event/properties/status",
            json!(EventStatus::ALL.map(EventStatus::as_str)),
        ),
        ("Media/properties/error", json!(MediaError::ALL.map(MediaError::as_str))),
        (
            "MessageWithPart/properties/type",
            json!(FileType::ALL.map(FileType::as_str)),
        ),
        (
            "Webhook/properties/delivery",
            json!(DeliveryMode::ALL.map(DeliveryMode::as_str)),
        ),
        (
            "NewWebhook/properties/delivery",
            json!(DeliveryMode::ALL.map(DeliveryMode::as_str)),
        ),
        ("Webhook/properties/ordering", json!(Order::ALL.map(Order::as_str))),
        (
            "Webhook/properties/recovery",
            json!(Recovery::ALL.map(Recovery::as_str)),
        ),
        (
            "GroupPatch/properties/member_add_mode",
            json!(MemberAddMode::ALL.map(MemberAddMode::as_str)),
        ),
        ("GroupPatch/properties/ephemeral_seconds", json!(EPHEMERAL_SECONDS)),
        (
            "NewPresence/properties/state",
            json!(action::PresenceState::ALL.map(action::PresenceState::as_str)),
        ),
        (
            "PresenceEvent/properties/presence/properties/state",
            json!(PresenceState::ALL.map(PresenceState::as_str)),
        ),
        (
            "CallEvent/properties/call/properties/state",
            json!(CallState::ALL.map(CallState::as_str)),
        ),
    ] {
        assert_eq!(at(place)["enum"], words, "{place}");
    }
    for (place, most) in [
        ("ContactMessage/properties/contacts", CONTACTS_MAX),
        ("Mentions/anyOf/0", MENTIONS_MAX),
        ("StatusRecipients", RECIPIENTS_MAX),
        ("NewPoll/properties/options", *POLL_OPTIONS.end()),
        ("ReadMessages/properties/message_ids", READ_MAX),
        ("NewGroup/properties/participants", PARTICIPANTS_MAX),
        ("JoinDecision/properties/approve", PARTICIPANTS_MAX),
    ] {
        assert_eq!(at(place)["maxItems"], most, "{place}");
    }
}

/// The examples are made by the program (`live/convert/tests/examples.rs`).
#[test]
fn the_bodies_of_events_are_described() {
    let page = include_str!("../../../docs/EVENTS.md");
    let mut kinds = BTreeSet::new();
    for block in page.split("```json\n").skip(1) {
        let body: Value = serde_json::from_str(block.split("```").next().unwrap()).unwrap();
        if body["client_id"].is_null() {
            continue;
        }
        let kind = body["event"].as_str().unwrap_or("message");
        let about = &DESCRIPTION["webhooks"][kind]["post"];
        assert_fits(body_schema(about), &body, &body.to_string());
        kinds.insert(kind.to_owned());
    }
    let all: BTreeSet<String> = EventKind::ALL.map(|kind| kind.as_str().to_owned()).into();
    let webhooks = DESCRIPTION["webhooks"].as_object().unwrap().keys().cloned();
    assert_eq!((&kinds, webhooks.collect()), (&all, all.clone()));
}

//! What may be sent, as the description has it, is what is taken.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    super::{
        super::routes::{ROUTES, Route, Takes},
        Facade, NUMBER,
        client::Reply,
        table::{good_body, path},
    },
    body_schema, operation, parameters, resolve,
};

/// The routes with a body, and each form that it may have in JSON.
fn bodies() -> impl Iterator<Item = (&'static Route, &'static Value)> {
    let routes = ROUTES.iter().filter(|route| route.takes != Takes::Nothing);
    routes.flat_map(|route| {
        let about = operation(route.method.as_str(), route.path).unwrap();
        let body = resolve(body_schema(about));
        let forms = match (&body["properties"], &body["oneOf"]) {
            (Value::Null, Value::Array(forms)) => forms.iter().map(resolve).collect(),
            _ => vec![body],
        };
        forms.into_iter().map(move |form| (route, form))
    })
}

/// The properties of an object.
fn properties(schema: &'static Value) -> impl Iterator<Item = (&'static str, &'static Value)> {
    let all = schema["properties"].as_object().into_iter().flatten();
    all.map(|(name, property)| (name.as_str(), resolve(property)))
}

/// The object that a value is, or may be; how its fields are named, and what it stands in.
fn within(name: &str, property: &'static Value) -> Option<(String, &'static Value, bool)> {
    let in_list = resolve(&property["items"]);
    if in_list["properties"].is_object() {
        return Some((format!("{name}[0]"), in_list, true));
    }
    let mut forms = property["anyOf"].as_array().into_iter().flatten().map(resolve);
    let found = [property].into_iter().chain(&mut forms);
    let object = found.into_iter().find(|form| form["properties"].is_object())?;
    Some((name.to_owned(), object, false))
}

/// An object with what `give` gives for each property that is no object.
fn filled(schema: &'static Value, give: &impl Fn(&mut Map<String, Value>, &str, &Value)) -> Value {
    let mut object = Map::new();
    for (name, property) in properties(schema) {
        match within(name, property) {
            Some((_, inner, true)) => object.insert(name.into(), json!([filled(inner, give)])),
            Some((_, inner, false)) => object.insert(name.into(), filled(inner, give)),
            None if property["const"].is_string() => object.insert(name.into(), property["const"].clone()),
            None => {
                give(&mut object, name, property);
                None
            }
        };
    }
    object.into()
}

/// The objects in a schema, each with what its fields are called before their own names.
fn objects(schema: &'static Value, before: &str) -> Vec<(String, &'static Value)> {
    let mut all = vec![(before.to_owned(), schema)];
    for (name, property) in properties(schema) {
        if let Some((name, inner, _)) = within(name, property) {
            all.extend(objects(inner, &format!("{before}{name}.")));
        }
    }
    all
}

/// The forms of a route's bodies: what stands in each of them in any case, and the names of all its fields and of what is in them.
pub(in super::super) fn forms(route: &Route) -> Vec<(Map<String, Value>, Vec<&'static str>)> {
    let forms = bodies().filter(|(of, _)| std::ptr::eq(*of, route));
    let taken_apart = forms.map(|(_, form)| {
        let constant = properties(form).filter(|(_, property)| property["const"].is_string());
        let constant = constant.map(|(name, property)| (name.to_owned(), property["const"].clone()));
        let objects = objects(form, "").into_iter();
        let names = objects.flat_map(|(_, object)| properties(object).map(|(name, _)| name));
        (constant.collect(), names.collect())
    });
    taken_apart.collect()
}

async fn send(facade: &Facade, route: &Route, body: &Value) -> Reply {
    facade.ask(route.method.as_str(), &path(route)).json(body).send().await
}

/// The fields of which something is said that begins so.
fn fields_of(reply: &Reply, message: &str) -> BTreeSet<String> {
    let reply = reply.json();
    let errors = reply["errors"].as_array().into_iter().flatten();
    let these = errors.filter(|error| error["message"].as_str().unwrap().starts_with(message));
    these.map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn bodies_have_the_fields_that_are_known() {
    let facade = Facade::start().await;
    for (route, form) in bodies() {
        let mut body = filled(form, &|object, name, _| {
            object.insert(name.into(), Value::Null);
        });
        add_surprises(&mut body);
        let reply = send(&facade, route, &body).await;
        let expected = objects(form, "").into_iter().map(|(before, _)| before + "surprise");
        let unknown = fields_of(&reply, "is not a known field");
        assert_eq!(unknown, expected.collect(), "{} {body}: {reply:?}", route.path);
    }
}

/// Adds a field that there is not to every object.
fn add_surprises(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(add_surprises);
            object.insert("surprise".into(), Value::Null);
        }
        Value::Array(list) => list.iter_mut().for_each(add_surprises),
        _ => {}
    }
}

#[tokio::test]
async fn bodies_have_to_have_what_is_required() {
    let facade = Facade::start().await;
    for (route, form) in bodies() {
        let body = filled(form, &|_, _, _| {});
        let reply = send(&facade, route, &body).await;
        let mut expected = BTreeSet::new();
        for (before, schema) in objects(form, "") {
            let required = schema["required"].as_array().into_iter().flatten();
            let required = required.map(|name| name.as_str().unwrap());
            let absent = required.filter(|name| {
                let property = resolve(&schema["properties"][name]);
                within(name, property).is_none() && !property["const"].is_string()
            });
            expected.extend(absent.map(|name| format!("{before}{name}")));
        }
        let missing = match reply.status {
            400 => fields_of(&reply, "is missing"),
            _ => BTreeSet::new(),
        };
        // What one of several fields is missing of is said of the first of them.
        let one_of = ["minProperties", "anyOf"].iter().any(|word| form.get(word).is_some());
        match one_of {
            true => assert!(missing.is_superset(&expected), "{} {body}: {reply:?}", route.path),
            false => assert_eq!(missing, expected, "{} {body}: {reply:?}", route.path),
        }
    }
    // What is given as an object above, and the type.
    let of_file = path_of_messages() + "?wait=true";
    for (body, missing) in [
        (json!({"to": NUMBER}), "type"),
        (json!({"to": NUMBER, "type": "image"}), "media"),
        (json!({"to": NUMBER, "type": "poll"}), "poll"),
        (json!({"to": NUMBER, "type": "revoke"}), "target"),
        (json!({"to": NUMBER, "type": "contact"}), "contacts"),
    ] {
        let reply = facade.ask("POST", &of_file).json(&body).send().await;
        assert_eq!(fields_of(&reply, "is missing"), BTreeSet::from([missing.to_owned()]));
    }
}

fn path_of_messages() -> String {
    format!("/api/whatsapp/connections/{NUMBER}/messages")
}

#[tokio::test]
async fn there_are_no_other_types_of_messages() {
    let facade = Facade::start().await;
    let body = json!({"to": NUMBER, "type": "surprise"});
    let reply = facade.ask("POST", &path_of_messages()).json(&body).send().await;
    let said = reply.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    let taken: BTreeSet<&str> = said.strip_prefix("must be one of ").unwrap().split(", ").collect();
    let forms = bodies().filter(|(route, _)| route.takes == Takes::Message);
    let described = forms.map(|(_, form)| form["properties"]["type"]["const"].as_str().unwrap());
    assert_eq!(taken, described.collect());
}

/// Values that are just allowed, and values that are just not.
fn edges(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let is = |word: &str| match &schema["type"] {
        Value::Array(words) => words.iter().any(|one| one == word),
        one => one == word,
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    if let Some(words) = schema["enum"].as_array() {
        good.extend(words.iter().cloned());
        let others = [json!("surprise"), json!(1)].into_iter();
        bad.extend(others.filter(|other| !words.contains(other)));
    } else if is("integer") || is("number") {
        let step = if is("integer") { 1 } else { 0 };
        for (limit, beyond) in [("minimum", -1), ("maximum", 1)] {
            if let Some(limit) = schema[limit].as_i64() {
                good.push(json!(limit));
                bad.push(match step {
                    0 => json!(limit as f64 + f64::from(beyond) / 8.0),
                    _ => json!(limit + i64::from(beyond)),
                });
            }
        }
        bad.push(json!("surprise"));
    } else if is("boolean") {
        good.extend([json!(true), json!(false)]);
        bad.push(json!("surprise"));
    } else if is("string") {
        let is_plain = schema["pattern"].is_null() && schema["format"].is_null();
        if schema["minLength"].as_u64() > Some(0) || schema["pattern"].is_string() {
            bad.push(json!(""));
        }
        if schema["format"] == "date-time" || schema["format"] == "uuid" {
            bad.push(json!("surprise"));
        }
        // Longer ones do not fit into a body.
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| *most < 60_000) {
            let most = usize::try_from(most).unwrap();
            good.extend(is_plain.then(|| json!("1".repeat(most))));
            bad.push(json!("1".repeat(most + 1)));
        }
    } else if schema["minItems"].as_u64() > Some(0) {
        bad.push(json!([]));
    }
    (good, bad)
}

/// Bodies with one value at the edge of what its field takes: the field's name, the body, whether it is taken.
fn at_the_edges(schema: &'static Value) -> Vec<(String, Value, bool)> {
    let mut all = Vec::new();
    for (name, property) in properties(schema) {
        if let Some((within, inner, in_list)) = within(name, property) {
            for (field, body, is_good) in at_the_edges(inner) {
                let body = if in_list { json!([body]) } else { body };
                all.push((format!("{within}.{field}"), json!({name: body}), is_good));
            }
            continue;
        }
        let (good, bad) = edges(property);
        let good = good.into_iter().map(|value| (value, true));
        for (value, is_good) in good.chain(bad.into_iter().map(|value| (value, false))) {
            all.push((name.to_owned(), json!({name: value}), is_good));
        }
    }
    all
}

#[tokio::test]
async fn limits_of_bodies_are_those_of_the_program() {
    let (facade, mut tried) = (Facade::start().await, 0);
    for (route, form) in bodies() {
        for (field, mut body, is_good) in at_the_edges(form) {
            tried += 1;
            if let Some(kind) = form["properties"]["type"]["const"].as_str() {
                body["type"] = kind.into();
            }
            let reply = send(&facade, route, &body).await;
            let refused = if reply.status == 400 {
                reply.bad_fields()
            } else {
                vec![]
            };
            assert_eq!(!refused.contains(&field), is_good, "{} {body}: {reply:?}", route.path);
        }
    }
    assert!(tried > 100, "or this looks at nothing: {tried}");
}

#[tokio::test]
async fn parameters_are_those_that_are_read() {
    let facade = Facade::start().await;
    for route in ROUTES.iter().filter(|route| route.asks) {
        let about = operation(route.method.as_str(), route.path).unwrap();
        for parameter in parameters(about, "query") {
            let name = parameter["name"].as_str().unwrap();
            let (good, bad) = edges(resolve(&parameter["schema"]));
            let good = good.into_iter().map(|value| (value, Some(true)));
            let bad = bad.into_iter().map(|value| (value, Some(false)));
            for (value, is_good) in good.chain(bad).chain([(json!("1"), None)]) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                // A parameter without a value counts as left out.
                if text.is_empty() {
                    continue;
                }
                let path = path(route);
                let path = format!("{}?{name}={text}", path.split('?').next().unwrap());
                let ask = facade.ask(route.method.as_str(), &path);
                let reply = match route.takes {
                    Takes::Nothing => ask.send().await,
                    _ => ask.json(&good_body(route)).send().await,
                };
                let refused = reply.status == 400 && reply.bad_fields().contains(&name.to_owned());
                assert!(is_good.is_none_or(|is_good| refused != is_good), "{path}: {reply:?}");
                assert!(
                    !refused || fields_of(&reply, "is not a known parameter").is_empty(),
                    "{path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn idempotency_keys_are_read_where_it_says_so() {
    let facade = Facade::start().await;
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/api")) {
        let about = operation(route.method.as_str(), route.path).unwrap();
        let ask = facade.ask(route.method.as_str(), &path(route));
        let ask = ask.header("idempotency-key", "no key");
        let reply = match route.takes {
            Takes::Nothing => ask.send().await,
            _ => ask.json(&good_body(route)).send().await,
        };
        let refused = reply.status == 400 && reply.bad_fields() == ["Idempotency-Key"];
        assert_eq!(
            refused,
            !parameters(about, "header").is_empty(),
            "{}: {reply:?}",
            route.path
        );
    }
}

//! The API as a whole: clients cannot see each other, no body makes a 5xx, an operator reads the metrics.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    routes,
    world::{Answer, Api, NUMBER, World},
};

async fn ask(api: &Api, method: &Method, path: &str, body: Option<&Value>) -> Answer {
    let request = api.request(method.clone(), path);
    api.send(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_cannot_see_each_other_on_any_route() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world.text("secret").await;
    let event = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    let before = world
        .api()
        .get(&format!("/api/webhooks/{webhook}"))
        .await
        .expect(StatusCode::OK);
    let other = world.add_client("other").await;
    let nobody = Api::new(world.api().address, "wharf_unknown");
    let nowhere = "01890000-0000-7000-8000-000000000000";
    let mut tried = 0;
    for route in routes::all(world.api()).await.iter().filter(|route| route.has_id()) {
        tried += 1;
        let (method, body) = (&route.method, route.body.as_ref());
        let path = route.path(NUMBER, &webhook, event["id"].as_str().unwrap());
        let answer = ask(&other, method, &path, body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.body);
        assert!(!answer.body.to_string().contains("secret"));
        let absent = route.path("5511700000000", nowhere, nowhere);
        let mut without = ask(&other, method, &absent, body).await.body;
        let mut with = answer.body;
        for body in [&mut without, &mut with] {
            body.as_object_mut().unwrap().remove("instance");
        }
        assert_eq!(with, without, "{method} {path}: the same as for what does not exist");
        let answer = ask(&nobody, method, &path, body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    assert!(tried > 50, "or this looks at nothing: {tried}");
    let pulled = world.api().get("/api/events").await.expect(StatusCode::OK);
    let place = pulled["next_cursor"].as_str().unwrap();
    let foreign = other.get(&format!("/api/events?after={place}")).await;
    let absent = other
        .get(&format!("/api/events?after={}{:016x}", "1".repeat(32), 0))
        .await;
    assert_eq!((foreign.status, absent.status), (StatusCode::GONE, StatusCode::GONE));
    assert_eq!(foreign.body, absent.body);
    for list in ["/api/webhooks/list", "/api/whatsapp/connections", "/api/events"] {
        assert_eq!(
            other.get(list).await.expect(StatusCode::OK)["data"],
            json!([]),
            "{list}"
        );
    }
    assert_eq!(
        world
            .api()
            .get(&format!("/api/webhooks/{webhook}"))
            .await
            .expect(StatusCode::OK),
        before
    );
    world.stop().await;
}

/// A small generator, so that a failure can be repeated: the seed is in every message.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.next(if depth == 0 { 7 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.next(2) == 0),
            2 => json!(self.next(1000) as f64 - 500.5),
            3 => json!(u64::MAX - self.next(5) as u64),
            4 => json!("5511777777777"),
            5 => json!("http://127.0.0.1:1/x"),
            6 => json!("\u{0}\u{feff}'\"; drop table clients; --\u{202e}🦀".repeat(self.next(20))),
            7 => Value::Array((0..self.next(4)).map(|_| self.value(depth - 1)).collect()),
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        const FIELDS: [&str; 17] = [
            "phone_number",
            "webhook_url",
            "max_retries",
            "is_active",
            "metadata",
            "to",
            "type",
            "text",
            "force",
            "status",
            "since",
            "until",
            "error",
            "limit",
            "x",
            "",
            "id",
        ];
        let count = self.next(7);
        Value::Object(
            (0..count)
                .map(|_| (FIELDS[self.next(FIELDS.len())].to_owned(), self.value(depth)))
                .collect(),
        )
    }

    fn body(&mut self) -> Vec<u8> {
        let mut bytes = match self.next(4) {
            0 => self.value(3).to_string().into_bytes(),
            _ => self.object(3).to_string().into_bytes(),
        };
        if self.next(5) == 0 && !bytes.is_empty() {
            let at = self.next(bytes.len());
            bytes[at] = u8::try_from(self.next(256)).unwrap();
        }
        if self.next(20) == 0 {
            bytes.resize(70_000, b' ');
        }
        bytes
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_random_bodies_on_every_route_make_no_server_error() {
    let world = World::start().await;
    let webhook = world.linked("/ok").await;
    world.text("one").await;
    let event = world.api().wait_for_events(&webhook, "delivered", 1).await.remove(0);
    let mut routes = routes::all(world.api()).await;
    routes.retain(|route| !route.is_endless());
    // What ends the connection comes last, and then deletions, or there would be nothing left to be random on.
    routes.sort_by_key(|route| match route.template.rsplit('/').next() {
        Some("{phone_number}" | "{webhook_id}") if route.method == Method::DELETE => 2,
        Some("disconnect") => 1,
        _ => 0,
    });
    for (n, route) in routes.iter().enumerate() {
        let method = &route.method;
        let path = &route.path(NUMBER, &webhook, event["id"].as_str().unwrap());
        let mut random = Random(n as u64);
        // A send to WhatsApp waits for an ack, so most of them are for the fields alone.
        for round in 0..200 {
            let request = world
                .api()
                .request(method.clone(), path)
                .header("content-type", "application/json");
            let answer = world.api().send(request.body(random.body())).await;
            let code = answer.status.as_u16();
            assert!(
                code < 500 || code == 503,
                "{method} {path}, seed {n}, round {round}: {code} {}",
                answer.body
            );
            if code >= 400 {
                assert_eq!(answer.headers["content-type"], "application/problem+json");
            }
            assert!(answer.headers.contains_key("x-request-id"));
        }
    }
    let alive = world.api().get("/readyz").await;
    assert_eq!(alive.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_reads_the_metrics_with_a_token_of_the_configuration() {
    let token = "of-the-operator-0";
    let world = World::start_with(&[("WHARF_HTTP__METRICS_TOKEN", token)]).await;
    let of_client = world.api().get("/metrics").await;
    assert_eq!(of_client.status, StatusCode::UNAUTHORIZED, "{}", of_client.body);
    let answer = Api::new(world.api().address, token).get("/metrics").await;
    let text = String::from_utf8(answer.bytes).unwrap();
    assert!(
        text.contains("\nwharf_ready 1\n") && text.ends_with("# EOF\n"),
        "{text}"
    );
    world.stop().await;
}

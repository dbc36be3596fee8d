//! The API as a whole: clients cannot see each other, no body makes a 5xx, the command line works beside the server.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{Api, CONTACT, NUMBER, World, variables};

/// Every route of CONTRACT.md section 2, with a body that is good for it.
fn routes(webhook: &str, event: &str) -> Vec<(Method, String, Option<Value>)> {
    let connection = format!("/api/whatsapp/connections/{NUMBER}");
    vec![
        (Method::GET, format!("/api/webhooks/{webhook}"), None),
        (
            Method::PATCH,
            format!("/api/webhooks/{webhook}"),
            Some(json!({"is_active": false})),
        ),
        (Method::GET, format!("/api/webhooks/{webhook}/events"), None),
        (Method::GET, format!("/api/webhooks/{webhook}/stats"), None),
        (Method::POST, format!("/api/webhooks/{webhook}/test"), None),
        (
            Method::POST,
            format!("/api/webhooks/{webhook}/retry"),
            Some(json!({"status": "failed"})),
        ),
        (Method::POST, format!("/api/webhooks/{webhook}/rotate-secret"), None),
        (Method::GET, format!("/api/webhooks/events/{event}"), None),
        (Method::GET, format!("/api/webhooks/events/{event}/attempts"), None),
        (
            Method::POST,
            format!("/api/webhooks/events/{event}/retry"),
            Some(json!({"force": true})),
        ),
        (Method::GET, connection.clone(), None),
        (Method::GET, format!("{connection}/qr"), None),
        (Method::POST, format!("{connection}/connect"), None),
        (Method::POST, format!("{connection}/disconnect"), None),
        (
            Method::POST,
            format!("{connection}/messages"),
            Some(json!({"to": CONTACT, "type": "text", "text": "x"})),
        ),
        (Method::DELETE, connection, None),
        (Method::DELETE, format!("/api/webhooks/{webhook}"), None),
    ]
}

async fn ask(api: &Api, method: &Method, path: &str, body: Option<&Value>) -> super::world::Answer {
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
    let nowhere = "01890000-0000-7000-8000-000000000000";
    let theirs = routes(&webhook, event["id"].as_str().unwrap());
    for ((method, path, body), (_, absent, _)) in theirs.iter().zip(routes(nowhere, nowhere)) {
        let answer = ask(&other, method, path, body.as_ref()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.body);
        assert!(!answer.body.to_string().contains("secret"));
        let mut without = ask(&other, method, &absent, body.as_ref()).await.body;
        let mut with = answer.body;
        for body in [&mut without, &mut with] {
            body.as_object_mut().unwrap().remove("instance");
        }
        assert_eq!(with, without, "{method} {path}: the same as for what does not exist");
    }
    let pulled = world.api().get("/api/events").await.expect(StatusCode::OK);
    let place = pulled["next_cursor"].as_str().unwrap();
    let foreign = other.get(&format!("/api/events?after={place}")).await;
    let absent = other
        .get(&format!("/api/events?after={}{:016x}", "0".repeat(32), 0))
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
    let nobody = Api::new(world.api().address, "wharf_unknown");
    for (method, path, body) in &theirs {
        let answer = ask(&nobody, method, path, body.as_ref()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
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
    let mut routes = routes(&webhook, event["id"].as_str().unwrap());
    routes.push((Method::POST, "/api/webhooks/register".to_owned(), None));
    routes.push((Method::POST, "/api/whatsapp/connections".to_owned(), None));
    // Deletions last, or there would be nothing left to be random on.
    routes.sort_by_key(|(method, ..)| *method == Method::DELETE);
    for (n, (method, path, _)) in routes.iter().enumerate() {
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

/// A command in another directory would look into a database of its own, and say that there are no clients.
#[test]
fn only_adding_a_client_makes_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        command.current_dir(directory.path()).env_remove("WHARF_STORE__URL");
        let output = command.args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let file = directory.path().join("data/wharf.db");
    for arguments in [["list", "--json"].as_slice(), &["rotate", "1"], &["remove", "1"]] {
        let (code, out, told) = run(&[&["client"], arguments].concat());
        assert_eq!((code, out.as_str()), (Some(1), ""), "{told}");
        assert!(told.contains("data/wharf.db") && told.contains("--config"), "{told}");
        assert!(!file.exists());
    }
    let (code, out, told) = run(&["client", "add", "a", "--json"]);
    let added: Value = serde_json::from_str(&out).expect("one JSON value and nothing else");
    assert_eq!((code, &added["id"]), (Some(0), &json!(1)));
    assert!(told.contains("there was no database") && file.exists(), "{told}");
    let (code, out, told) = run(&["client", "list", "--json"]);
    assert_eq!((code, told.as_str()), (Some(0), ""), "{out}");
}

/// Shells begin a program with few, and let it have more. The API never gets them all.
#[test]
#[cfg(target_os = "linux")]
fn the_server_has_as_many_files_open_as_it_is_let() {
    let directory = tempfile::tempdir().unwrap();
    let start = |limit: &str| {
        let mut server = Command::new("sh")
            .args([
                "-c",
                &format!("ulimit {limit} && exec \"$0\""),
                env!("CARGO_BIN_EXE_wharf"),
            ])
            .current_dir(directory.path())
            .env_remove("WHARF_STORE__URL")
            .env("WHARF_HTTP__LISTEN", "127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = String::new();
        let mut lines = BufReader::new(server.stderr.take().unwrap());
        while !log.contains("listening") {
            assert_ne!(lines.read_line(&mut log).unwrap(), 0, "it ended: {log}");
        }
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        (words[3].clone(), words[4].clone(), log)
    };
    let (soft, hard, log) = start("-Sn 128");
    assert_eq!(soft, hard);
    let few = hard.parse::<u64>().is_ok_and(|hard| hard < 2048);
    assert_eq!(log.contains("max_connections"), few, "{log}");
    let (soft, hard, log) = start("-n 128");
    assert_eq!((soft.as_str(), hard.as_str()), ("128", "128"));
    assert!(log.contains("http.max_connections is 64"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_manages_clients_while_the_server_runs() {
    let world = World::start().await;
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        let output = command
            .args(arguments)
            .envs(variables(&world.dir, &world.network))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("one JSON value and nothing else")
    };
    let added = run(&["client", "add", "Pier 2", "--json"]);
    assert_eq!((&added["id"], &added["name"]), (&json!(2), &json!("Pier 2")));
    let address = world.api().address;
    let api = Api::new(address, added["token"].as_str().unwrap());
    api.get("/api/webhooks/list").await.expect(StatusCode::OK);
    let url = world.receiver.url("/ok");
    api.post(
        "/api/webhooks/register",
        json!({"phone_number": NUMBER, "webhook_url": url}),
    )
    .await
    .expect(StatusCode::CREATED);
    let rotated = run(&["client", "rotate", "2", "--json"]);
    api.get("/api/webhooks/list").await.expect(StatusCode::UNAUTHORIZED);
    let api = Api::new(address, rotated["token"].as_str().unwrap());
    api.get("/api/webhooks/list").await.expect(StatusCode::OK);
    let listed = run(&["client", "list", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains("token"));

    world.network.create_account(NUMBER).await.unwrap();
    api.post("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
        .await
        .expect(StatusCode::CREATED);
    let qr = api.wait_for_qr(NUMBER).await;
    world.network.scan(NUMBER, &qr).await.unwrap();
    api.wait_for_status(&format!("/api/whatsapp/connections/{NUMBER}"), "connected")
        .await;
    run(&["client", "remove", "2", "--json"]);
    api.get("/api/webhooks/list").await.expect(StatusCode::UNAUTHORIZED);
    wharf_support::wait_until("its device is unlinked", super::world::WITHIN, || async {
        world.network.devices(NUMBER).await.unwrap().is_empty()
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_made_while_the_server_runs_can_be_used() {
    let mut world = World::start().await;
    let webhook = world.linked("/ok").await;
    world.text("before").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let mut wharf = Command::new(env!("CARGO_BIN_EXE_wharf"));
    let made = wharf
        .envs(variables(&world.dir, &world.network))
        .arg("backup")
        .arg(&copy);
    let made = made.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    world.text("after").await;
    world.api().wait_for_events(&webhook, "delivered", 2).await;

    // Brought back as its owner would: the copy in the place of the database, beside the key.
    world.stop_gateway().await;
    let database = world.dir.path().join("wharf.db");
    for beside in ["-wal", "-shm"] {
        let _not_there = std::fs::remove_file(format!("{}{beside}", database.display()));
    }
    std::fs::rename(&copy, &database).unwrap();
    world.start_gateway().await;
    let events = world.api().events(&webhook).await;
    assert_eq!(events.len(), 1, "{events:?}");
    world.stop().await;
}

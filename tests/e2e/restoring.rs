//! A database that is put back from its backup, after what was in it went on.

use std::{fs, path::Path, process::Command};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_support::wait_until;

use super::world::{Api, CONTACT, NUMBER, WITHIN, World, variables};

const SECOND: &str = "5511777777777";
const THIRD: &str = "5511666666666";

impl World {
    /// How the program ends that is called on this world's database, and what it prints and complains of.
    fn command(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        let output = command
            .args(arguments)
            .envs(variables(&self.dir, &self.network))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn command_json(&self, arguments: &[&str]) -> Value {
        let (code, out, told) = self.command(&[arguments, &["--json"]].concat());
        assert_eq!(code, Some(0), "{told}");
        serde_json::from_str(&out).expect("one JSON value and nothing else")
    }

    /// As its owner would: the copy in the place of the database, beside the key.
    fn put_back(&self, copy: &Path) {
        let database = self.dir.path().join("wharf.db");
        for beside in ["-wal", "-shm"] {
            let _not_there = fs::remove_file(format!("{}{beside}", database.display()));
        }
        fs::rename(copy, &database).unwrap();
    }

    /// What the contact's phone was sent.
    async fn sent(&self) -> Vec<String> {
        let messages = self.network.messages(CONTACT).await.unwrap();
        messages.into_iter().map(|message| message.text).collect()
    }
}

fn connection(number: &str) -> String {
    format!("/api/whatsapp/connections/{number}")
}

async fn cursor(api: &Api) -> String {
    let page = api.get("/api/events").await.expect(StatusCode::OK);
    page["next_cursor"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_away_since_a_backup_does_not_come_back_by_itself() {
    let mut world = World::start().await;
    let webhook = world.linked("/status/503").await;
    let hook = format!("/api/webhooks/{webhook}");
    let patient = world.api().patch(&hook, json!({"max_retries": 20})).await;
    patient.expect(StatusCode::OK);
    world.text("in the copy").await;
    world.api().wait_for_events(&webhook, "pending", 1).await;
    world.link(SECOND).await;
    let ask = format!("{}/disconnect", connection(SECOND));
    world.api().call(Method::POST, &ask).await.expect(StatusCode::ACCEPTED);
    let message = json!({"to": CONTACT, "type": "text", "text": "once", "queue": true});
    let queued = world
        .api()
        .post(&format!("{}/messages", connection(SECOND)), message)
        .await;
    let queued = queued.expect(StatusCode::ACCEPTED);
    let places = cursor(world.api()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    assert_eq!(world.command(&["backup", copy.to_str().unwrap()]).0, Some(0));

    // What the copy knows nothing of: an event, a message that was sent, a new token, a webhook that is gone.
    world.text("lost").await;
    world.api().wait_for_events(&webhook, "pending", 2).await;
    let ask = format!("{}/connect", connection(SECOND));
    world.api().call(Method::POST, &ask).await.expect(StatusCode::ACCEPTED);
    wait_until("it is sent", WITHIN, || async { world.sent().await == ["once"] }).await;
    let rotated = world.command_json(&["client", "rotate", "1"]);
    let api = Api::new(world.api().address, rotated["token"].as_str().unwrap());
    let lost = cursor(&api).await;
    api.call(Method::DELETE, &hook).await.expect(StatusCode::NO_CONTENT);
    let (code, out, told) = world.command(&["restored"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(told.contains("stop that one"), "{told}");

    world.stop_gateway().await;
    world.put_back(&copy);
    let done = wait_until("the database is free", WITHIN, || async {
        let (code, out, _) = world.command(&["restored", "--json"]);
        (code == Some(0)).then(|| serde_json::from_str::<Value>(&out).unwrap())
    })
    .await;
    assert_eq!(done["clients"][0]["name"], "default", "{done}");
    assert_eq!(done["disconnected"], json!([{"client_id": 1, "phone_number": NUMBER}]));
    let switched_off = &done["webhooks_switched_off"];
    assert_eq!(
        (&switched_off[0]["id"], &done["messages_ended"]),
        (&json!(webhook), &json!(1))
    );
    let (_, told, _) = world.command(&["restored"]);
    assert!(
        told.contains("clients, 1:") && told.contains("numbers that do not connect, 0:"),
        "{told}"
    );

    // Its token is the old one again, and that is all that is.
    let (links, posts) = (world.network.stats().await.handshakes, world.receiver.count());
    world.start_gateway().await;
    let path = format!(
        "{}/messages/{}",
        connection(SECOND),
        queued["message_id"].as_str().unwrap()
    );
    let ended = world.api().wait_for_status(&path, "failed").await;
    assert_eq!(ended["error_code"], "unknown", "{ended}");
    for number in [NUMBER, SECOND] {
        let shown = world.api().get(&connection(number)).await.expect(StatusCode::OK);
        assert_eq!(shown["reason_code"], "requested", "{shown}");
    }
    for place in [&places, &lost] {
        world
            .api()
            .get(&format!("/api/events?after={place}"))
            .await
            .expect(StatusCode::GONE);
    }
    let tested = world.webhook(THIRD, "/ok").await;
    let test = format!("/api/webhooks/{tested}/test");
    world.api().call(Method::POST, &test).await.expect(StatusCode::OK);
    assert_eq!(world.receiver.count(), posts + 1, "the test alone");
    assert_eq!(world.network.stats().await.handshakes, links, "no link was opened");
    assert_eq!(world.sent().await, ["once"]);

    // What waited waits for its owner.
    let on = json!({"is_active": true, "webhook_url": world.receiver.url("/ok")});
    world.api().patch(&hook, on).await.expect(StatusCode::OK);
    world.api().wait_for_events(&webhook, "delivered", 1).await;
    let tested = world.api().call(Method::POST, &format!("{hook}/test")).await;
    let event = &tested.expect(StatusCode::OK)["event"];
    assert!(event["sequence"].as_i64().unwrap() > 1_000_000, "{event}");
    world.stop().await;
}

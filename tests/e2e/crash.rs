//! SIGKILL in the middle of a stream, ten times over.

use std::{
    collections::HashSet,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_support::{Receiver, temp_dir, wait_until};
use wharf_testnet::{Network, NetworkConfig};

use super::world::{Api, CONTACT, NUMBER, WITHIN, id, variables};

/// The gateway as its own process; killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start(variables: &[(&'static str, String)]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command
        .arg("serve")
        .envs(variables.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Process(command.stderr(Stdio::null()).spawn().unwrap())
}

async fn all_events(api: &Api, webhook: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api
            .get(&format!("/api/webhooks/{webhook}/events?limit=200{cursor}"))
            .await
            .expect(StatusCode::OK);
        events.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return events,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_lose_nothing() {
    let dir = temp_dir();
    let network = Network::start(NetworkConfig::default()).await.unwrap();
    let receiver = Receiver::start().await;
    let mut settings = variables(&dir, &network);
    let address = format!("127.0.0.1:{}", wharf_support::closed_port());
    settings[0].1.clone_from(&address);
    let store_url = settings[1].1.clone();
    let options = wharf_store::StoreOptions {
        url: store_url,
        readers: 1,
        exclusive: false,
    };
    let store = wharf_store::Store::open(&options).await.unwrap();
    let client = wharf::clients::add(&store, "killed").await.unwrap();
    drop(store);
    let api = Api::new(address.parse().unwrap(), &client.token);
    let up = || async {
        api.request(reqwest::Method::GET, "/readyz")
            .send()
            .await
            .is_ok_and(|it| it.status().is_success())
    };

    let mut process = start(&settings);
    wait_until("the gateway is up", WITHIN, up).await;
    let chats: Vec<String> = (0..8).map(|n| format!("55119000000{n:02}")).collect();
    for phone in chats.iter().map(String::as_str).chain([NUMBER, CONTACT]) {
        network.create_account(phone).await.unwrap();
    }
    // One answer in seven fails at first, so that retries are under way too.
    let webhook = json!({"phone_number": NUMBER, "webhook_url": receiver.url("/flaky/14"), "max_retries": 10});
    let webhook = id(&api
        .post("/api/webhooks/register", webhook)
        .await
        .expect(StatusCode::CREATED));
    api.post("/api/whatsapp/connections", json!({"phone_number": NUMBER}))
        .await
        .expect(StatusCode::CREATED);
    let qr = api.wait_for_qr(NUMBER).await;
    network.scan(NUMBER, &qr).await.unwrap();
    api.wait_for_status(&format!("/api/whatsapp/connections/{NUMBER}"), "connected")
        .await;

    let mut sent = HashSet::new();
    for round in 0..10_u64 {
        for n in 0..40_u64 {
            let chat = &chats[usize::try_from(n).unwrap() % chats.len()];
            sent.insert(
                network
                    .send_text(chat, NUMBER, &format!("round {round}, {n}"))
                    .await
                    .unwrap(),
            );
            if n == 5 + round * 3 {
                drop(process);
                process = start(&settings);
            }
        }
        wait_until("the gateway is up again", WITHIN, up).await;
    }
    let what = format!("all {} messages are delivered", sent.len());
    wait_until(&what, Duration::from_secs(180), || async {
        all_events(&api, &webhook)
            .await
            .iter()
            .filter(|event| event["status"] == "delivered")
            .count()
            == sent.len()
    })
    .await;
    let events = all_events(&api, &webhook).await;
    let rows: HashSet<String> = events
        .iter()
        .map(|event| event["message_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events.len(), sent.len(), "exactly one row each");
    assert_eq!(rows, sent);
    let received: HashSet<String> = receiver
        .requests()
        .iter()
        .map(|request| {
            serde_json::from_slice::<Value>(&request.body).unwrap()["message_id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(received, sent, "each at least once");
    drop(process);
    network.stop().await;
}

//! The gateway as a process of its own: SIGKILL in the middle of a stream, ten times over, and the signals that end it
//! in order; and a few rounds of the crash harness (`examples/crash.rs`), whose audit knows more. `CRASH_SEED=n` plans them otherwise.

use std::{
    collections::HashSet,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_support::{Receiver, temp_dir, wait_until};
use wharf_testnet::{Network, NetworkConfig};

use super::{
    harness::{self, Failure, Plan, child},
    world::{Api, CONTACT, NUMBER, WITHIN, id, variables},
};

/// The gateway as its own process; killed when dropped.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Process {
    /// Sends these signals, one right after the other.
    fn signal(&self, names: &[&str]) {
        // The shell's own `kill`: a small system has no other.
        let kills = names.iter().map(|name| format!("kill -{name} {}", self.0.id()));
        let kills = kills.collect::<Vec<_>>().join(" && ");
        let signalled = Command::new("sh").args(["-c", &kills]).status().unwrap();
        assert!(signalled.success());
    }

    /// Its exit code, once it has ended.
    async fn ended(&mut self) -> Option<i32> {
        let status = wait_until("it has ended", WITHIN, || {
            let ended = self.0.try_wait().unwrap();
            async move { ended }
        });
        status.await.code()
    }
}

fn start(variables: &[(&'static str, String)]) -> Process {
    start_as(Command::new(env!("CARGO_BIN_EXE_wharf")), variables)
}

fn start_as(mut command: Command, variables: &[(&'static str, String)]) -> Process {
    command
        .arg("serve")
        .envs(variables.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Process(command.stderr(Stdio::null()).spawn().unwrap())
}

pub(crate) async fn all_events(api: &Api, webhook: &str) -> Vec<Value> {
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

/// A database with one client, and how its gateway is started and asked.
pub(crate) struct Ground {
    pub(crate) dir: TempDir,
    pub(crate) network: Network,
    pub(crate) receiver: Receiver,
    settings: Vec<(&'static str, String)>,
    pub(crate) api: Api,
}

impl Ground {
    pub(crate) async fn prepare() -> Self {
        let dir = temp_dir();
        let network = Network::start(NetworkConfig::default()).await.unwrap();
        let mut settings = variables(&dir, &network);
        // As much traffic as there can be.
        settings.push(("WHARF_SENDING__PER_SECOND", "0".to_owned()));
        let address = format!("127.0.0.1:{}", wharf_support::free_port());
        settings[0].1.clone_from(&address);
        let options = wharf_store::StoreOptions {
            url: settings[1].1.clone(),
            readers: 1,
            exclusive: false,
        };
        let store = wharf_store::Store::open(&options).await.unwrap();
        let client = wharf::clients::add(&store, "alone").await.unwrap();
        let api = Api::new(address.parse().unwrap(), &client.token);
        Self {
            dir,
            network,
            receiver: Receiver::start().await,
            settings,
            api,
        }
    }

    pub(crate) async fn start(&self) -> Process {
        let process = start(&self.settings);
        self.wait_until_up().await;
        process
    }

    async fn wait_until_up(&self) {
        wait_until("the gateway is up", WITHIN, || async {
            let asked = self.api.request(reqwest::Method::GET, "/readyz").send().await;
            asked.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    /// Links the number, with a webhook to `path` of the receiver. Answers the webhook's id.
    pub(crate) async fn link(&self, path: &str) -> String {
        self.network.create_account(NUMBER).await.unwrap();
        let webhook = json!({"phone_number": NUMBER, "webhook_url": self.receiver.url(path), "max_retries": 10});
        let webhook = id(&self
            .api
            .post("/api/webhooks/register", webhook)
            .await
            .expect(StatusCode::CREATED));
        let connection = json!({"phone_number": NUMBER});
        self.api
            .post("/api/whatsapp/connections", connection)
            .await
            .expect(StatusCode::CREATED);
        let qr = self.api.wait_for_qr(NUMBER).await;
        self.network.scan(NUMBER, &qr).await.unwrap();
        self.api
            .wait_for_status(&format!("/api/whatsapp/connections/{NUMBER}"), "connected")
            .await;
        webhook
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_attempt_is_waited_for_at_sigterm() {
    let ground = Ground::prepare().await;
    let mut process = ground.start().await;
    let webhook = ground.link("/slow/3000").await;
    ground.network.create_account(CONTACT).await.unwrap();
    ground.network.send_text(CONTACT, NUMBER, "slowly").await.unwrap();
    ground.receiver.wait_for(1, WITHIN).await;
    process.signal(&["TERM"]);
    assert_eq!(process.ended().await, Some(0));
    let _process = ground.start().await;
    let event = ground.api.wait_for_events(&webhook, "delivered", 1).await.remove(0);
    assert_eq!(
        (&event["attempt_count"], ground.receiver.count()),
        (&json!(1), 1),
        "its outcome was committed"
    );
}

/// Whether this program was started to outlive its terminal: what it starts is, too.
fn outlives_its_terminal() -> bool {
    let hangup = Command::new("sh").args(["-c", "kill -HUP $$"]).status().unwrap();
    hangup.success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_that_says_to_stop_or_is_closed_ends_it_in_order() {
    let ground = Ground::prepare().await;
    for name in ["INT", "HUP"] {
        if name == "HUP" && outlives_its_terminal() {
            continue;
        }
        let mut process = ground.start().await;
        process.signal(&[name]);
        assert_eq!(process.ended().await, Some(0), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let ground = Ground::prepare().await;
    let mut process = ground.start().await;
    let webhook = ground.link("/slow/9000").await;
    ground.network.create_account(CONTACT).await.unwrap();
    ground.network.send_text(CONTACT, NUMBER, "slowly").await.unwrap();
    ground.receiver.wait_for(1, WITHIN).await;
    process.signal(&["TERM", "INT"]);
    assert_eq!(process.ended().await, Some(130), "128 and the number of SIGINT");
    let _process = ground.start().await;
    let events = ground.api.events(&webhook).await;
    assert_eq!(events.len(), 1, "what was committed is there: {events:?}");
}

/// As `nohup` starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_terminal_is_nothing_to_who_was_started_to_outlive_it() {
    let ground = Ground::prepare().await;
    let mut nohup = Command::new("sh");
    nohup.args(["-c", r#"trap "" HUP; exec "$0" "$@""#, env!("CARGO_BIN_EXE_wharf")]);
    let mut process = start_as(nohup, &ground.settings);
    ground.wait_until_up().await;
    process.signal(&["HUP"]);
    ground.link("/ok").await;
    process.signal(&["TERM"]);
    assert_eq!(process.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_lose_nothing() {
    let ground = Ground::prepare().await;
    let mut process = ground.start().await;
    // One answer in seven fails at first, so that retries are under way too.
    let webhook = ground.link("/flaky/14").await;
    let Ground {
        network, receiver, api, ..
    } = &ground;
    let chats: Vec<String> = (0..8).map(|n| format!("55119000000{n:02}")).collect();
    for phone in &chats {
        network.create_account(phone).await.unwrap();
    }

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
                process = start(&ground.settings);
            }
        }
        ground.wait_until_up().await;
    }
    let what = format!("all {} messages are delivered", sent.len());
    wait_until(&what, Duration::from_secs(180), || async {
        all_events(api, &webhook)
            .await
            .iter()
            .filter(|event| event["status"] == "delivered")
            .count()
            == sent.len()
    })
    .await;
    let events = all_events(api, &webhook).await;
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
}

/// What the harness's child is started with.
const SETTING: &str = "WHARF_TEST_CRASH_CHILD";

/// This test program again, as the gateway that is killed.
fn harness_child(setting: &child::Setting) -> Result<tokio::process::Command, Failure> {
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command
        .args(["crash::the_child_of_the_harness", "--exact", "--ignored", "--nocapture"])
        .env(SETTING, serde_json::to_string(setting)?)
        .stderr(Stdio::null());
    Ok(command)
}

/// Not a test: what `harness_child` starts. Does nothing in a run of all ignored tests.
#[ignore = "started by the_harness_finds_nothing_lost"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_of_the_harness() {
    if let Ok(setting) = std::env::var(SETTING) {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        child::run(serde_json::from_str(&setting).unwrap()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_harness_finds_nothing_lost() {
    let directory = temp_dir();
    let seed = std::env::var("CRASH_SEED").ok().and_then(|text| text.parse().ok());
    let plan = Plan {
        rounds: 5,
        seed: seed.unwrap_or(1),
        webhooks: 4,
        chats: 6,
        directory: directory.path().to_owned(),
        child: harness_child,
    };
    let ran = harness::run(&plan, |_, _| {}).await;
    let report = ran.unwrap_or_else(|error| panic!("CRASH_SEED={}: {error}", plan.seed));
    let summary = report.json(&plan, 0.0);
    assert!(report.is_clean(), "{summary}: {:?}", report.wrong);
    assert!(report.messages > 0 && report.posts >= report.messages, "{summary}");
}

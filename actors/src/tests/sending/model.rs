//! Messages that go out through whatever may happen to them, by lot: requests of every kind and repeated ones, links that are
//! lost, refuse, hang, panic and are slow, receipts in any order, sessions and writers that die, programs that start anew, a store that is
//! held up, a connection that is deleted. What is promised in docs/SENDING.md holds all the same:
//!
//! - WhatsApp is handed each message once at the most, and what a key stands for once at the most;
//! - what a caller was told stays true;
//! - a status goes forward only, and its steps are told in their order;
//! - chats keep the order in which their messages were taken;
//! - every message reaches an end.
//!
//! `SENDING_SEED=n` begins at that world, `SENDING_WORLDS=n` runs so many.

mod laws;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use wharf_domain::{
    ClientId, ConnectionKey, EventKind, EventKinds, EventStatus, OutgoingMessage, SendStatus, Webhook,
    outgoing::{Content, News, Pacing, code},
    session::CloseReason,
    webhook::WebhookPatch,
};
use wharf_store::OutgoingFilter;
use wharf_support::wait_until;
use wharf_whatsapp::{OpenScript, ScriptedHandle, SendScript, SentMessage as OnTheWire};

use super::super::world::{WITHIN, World, number, settings};
use crate::{
    Gateway, GatewayError, IdempotencyKey, NewMessage, SentMessage, Settings, clock, persistence, session,
    supervision::Crash,
};

/// Chats of a world.
const CHATS: [&str; 3] = ["5511999999991", "5511999999992", "120363000000000001@g.us"];
/// Steps of a world.
const STEPS: usize = 60;
/// Deaths of an actor of which its supervisor thinks nothing yet.
const DEATHS: u32 = 3;
/// Codes of what was certainly not handed over.
const NEVER_HANDED_OVER: [&str; 4] = [code::EXPIRED, code::NOT_CONNECTED, code::NOT_RECORDED, code::DELETED];

type Told = Arc<Mutex<Option<Result<SentMessage, GatewayError>>>>;

/// One request.
struct Asked {
    /// What it says; nobody else's says the same but its repetitions'.
    words: String,
    key: Option<String>,
    told: Told,
}

struct Model {
    seed: u64,
    lot: Rng,
    world: World,
    client: ClientId,
    webhook: Webhook,
    asked: Vec<Asked>,
    /// What was handed to links of programs before this one.
    before: Vec<OnTheWire>,
    rows: HashMap<String, OutgoingMessage>,
    /// Whether there were links that answer nothing.
    hung: bool,
    session_deaths: u32,
    writer_deaths: u32,
}

fn sending() -> Settings {
    Settings {
        sending: Pacing {
            per_second: 100,
            burst: 3,
            queue_max: 8,
            deadline: Duration::from_millis(1500),
            ..Pacing::default()
        },
        ..settings()
    }
}

/// What a message says.
fn words(content: &Content) -> &str {
    match content {
        Content::Text { text, .. } => text,
        other => panic!("{other:?} was not asked for"),
    }
}

impl Model {
    async fn start(seed: u64) -> Self {
        let world = World::start_with(sending()).await;
        let client = world.add_client("a").await.id;
        let webhook = world.webhook(client, &number(1), "/ok").await;
        let patch = WebhookPatch {
            events: Some(EventKinds::of([EventKind::Status])),
            ..WebhookPatch::default()
        };
        let told = world.gateway.update_webhook(client, webhook.id, patch);
        told.await.unwrap();
        world.links.on_open(OpenScript::Login);
        world.gateway.create_connection(client, number(1)).await.unwrap();
        Self {
            seed,
            lot: Rng::with_seed(seed),
            world,
            client,
            webhook,
            asked: Vec::new(),
            before: Vec::new(),
            rows: HashMap::new(),
            hung: false,
            session_deaths: 0,
            writer_deaths: 0,
        }
    }

    fn key(&self) -> ConnectionKey {
        ConnectionKey::new(self.client, number(1))
    }

    fn link(&self) -> Option<ScriptedHandle> {
        self.world.links.link(&self.key())
    }

    fn on_the_wire(&self) -> Vec<OnTheWire> {
        let mut all = self.before.clone();
        all.extend(self.world.links.sent());
        all
    }

    async fn step(&mut self) {
        match self.lot.usize(..32) {
            0..=11 => self.ask(),
            12 | 13 => self.repeat(),
            14..=16 => self.script(),
            17 | 18 => {
                if let Some(link) = self.link() {
                    link.close(CloseReason::Lost("by lot".into()));
                }
            }
            19 => drop(self.world.gateway.disconnect(self.client, &number(1)).await),
            20..=22 => drop(self.world.gateway.connect(self.client, &number(1)).await),
            23..=26 => self.receipt().await,
            27 => self.kill_session(),
            28 => self.kill_writer(),
            29 if self.lot.usize(..3) == 0 => self.restart().await,
            30 => self.hold_store_up().await,
            _ => {}
        }
        let pause = [0, 0, 1, 5, 20, 100][self.lot.usize(..6)];
        tokio::time::sleep(Duration::from_millis(pause)).await;
        self.look().await;
    }

    fn ask(&mut self) {
        let words = self.asked.len().to_string();
        let key = (self.lot.usize(..3) == 0).then(|| format!("key {words}"));
        self.request(words, key);
    }

    fn repeat(&mut self) {
        let keyed: Vec<usize> = (0..self.asked.len())
            .filter(|at| self.asked[*at].key.is_some())
            .collect();
        if !keyed.is_empty() {
            let again = &self.asked[keyed[self.lot.usize(..keyed.len())]];
            let (words, key) = (again.words.clone(), again.key.clone());
            self.request(words, key);
        }
    }

    fn request(&mut self, words: String, key: Option<String>) {
        // A repetition goes to the same chat.
        let chat = CHATS[words.parse::<usize>().unwrap() % CHATS.len()];
        let message = NewMessage {
            queue: self.lot.usize(..2) == 0,
            wait: self.lot.usize(..2) == 0,
            ..NewMessage::text(chat.parse().unwrap(), words.clone())
        };
        let idempotency = key.clone().map(|key| IdempotencyKey {
            key,
            body_hash: [7; 32],
        });
        let told = Told::default();
        self.asked.push(Asked {
            words,
            key,
            told: Arc::clone(&told),
        });
        let (gateway, client): (Gateway, _) = (self.world.gateway.clone(), self.client);
        tokio::spawn(async move {
            let answer = gateway.send(client, &number(1), message, idempotency).await;
            *told.lock().unwrap() = Some(answer);
        });
    }

    fn script(&mut self) {
        let script = match self.lot.usize(..12) {
            0..=4 => SendScript::Accept,
            5 => SendScript::Refuse("463".into()),
            6 => SendScript::Nobody,
            7 => SendScript::Gone,
            8 => SendScript::Hang,
            9 => SendScript::Panic,
            _ => SendScript::Slow(Duration::from_millis(30)),
        };
        if let Some(link) = self.link() {
            self.hung |= matches!(script, SendScript::Hang);
            link.on_send(script);
        }
    }

    async fn receipt(&mut self) {
        let sent = self.on_the_wire();
        let (Some(link), false) = (self.link(), sent.is_empty()) else {
            return;
        };
        let id = sent[self.lot.usize(..sent.len())].id.clone();
        let news = match self.lot.usize(..6) {
            0 | 1 => News::Delivered,
            2 => News::Read,
            3 => News::Played,
            4 => News::failed("479", "by lot"),
            _ => News::failed("463", "by lot"),
        };
        let _refused = link.tell_of(&[&id], news, clock::now(), None).await;
    }

    fn kill_session(&mut self) {
        let session = self.world.gateway.shared.directory.session(&self.key());
        if self.session_deaths < DEATHS
            && let Some(actor) = session.and_then(|entry| entry.actor)
        {
            self.session_deaths += 1;
            let _stopped = actor.cast(session::Message::Crash(Crash::Fail));
        }
    }

    fn kill_writer(&mut self) {
        if self.writer_deaths < DEATHS
            && let Some(actor) = self.world.gateway.shared.directory.persistence()
        {
            self.writer_deaths += 1;
            let _stopped = actor.cast(persistence::Message::Crash(Crash::Fail));
        }
    }

    async fn restart(&mut self) {
        self.world.gateway.stop().await;
        self.before.extend(self.world.links.sent());
        let links = wharf_whatsapp::ScriptedFactory::new();
        links.on_open(OpenScript::Login);
        self.world.links = links.clone();
        let store = self.world.store.clone();
        self.world.gateway = Gateway::start(sending(), store, Arc::new(links)).await.unwrap();
        (self.session_deaths, self.writer_deaths) = (0, 0);
    }

    /// Somebody else writes for a moment.
    async fn hold_store_up(&mut self) {
        let long = Duration::from_millis([10, 50, 200][self.lot.usize(..3)]);
        let mut writer = self.world.store.writer().await.unwrap();
        if let Ok(group) = writer.begin().await {
            tokio::time::sleep(long).await;
            drop(group);
        }
    }

    /// Reads all rows, and holds them against what they were.
    async fn look(&mut self) {
        let filter = OutgoingFilter {
            limit: 200,
            ..OutgoingFilter::default()
        };
        let page = self.world.store.outgoing_messages(&self.key(), &filter).await.unwrap();
        for row in page.unwrap().messages {
            if let Some(before) = self.rows.get(&row.message_id) {
                let refused_after_all = before.status == SendStatus::Sent && row.error_code.as_deref() == Some("463");
                assert!(
                    row.status >= before.status || refused_after_all,
                    "seed {}: {before:?} went back to {row:?}",
                    self.seed
                );
            }
            self.rows.insert(row.message_id.clone(), row);
        }
    }

    /// Nothing is in the way any more.
    async fn settle(&mut self) {
        let seed = self.seed;
        // Nobody waits for its deadline.
        if self.hung
            && let Some(link) = self.link()
        {
            link.close(CloseReason::Lost("by lot".into()));
        }
        drop(self.world.gateway.connect(self.client, &number(1)).await);
        wait_until(
            &format!("seed {seed}: all is answered and at an end"),
            WITHIN,
            || async {
                // Whatever opens now, works.
                if let Some(link) = self.link() {
                    link.on_send(SendScript::Accept);
                }
                let waits = self.world.store.queued_messages(&self.key()).await.unwrap();
                let answered = self.asked.iter().all(|asked| asked.told.lock().unwrap().is_some());
                // What the store did not take at once is written a moment after it was told.
                waits.is_empty() && answered && self.world.gateway.shared.notes.is_empty()
            },
        )
        .await;
        self.look().await;
    }

    /// What waits ends with its connection, and does not go on with another of the same number.
    async fn delete(&mut self) {
        if let Some(link) = self.link() {
            link.close(CloseReason::Lost("by lot".into()));
        }
        for _ in 0..4 {
            self.ask();
        }
        tokio::time::sleep(Duration::from_millis(self.lot.usize(..60) as u64)).await;
        let deleted = wait_until("it is deleted", WITHIN, || async {
            match self.world.gateway.delete_connection(self.client, &number(1)).await {
                Err(GatewayError::Unavailable(_)) => None,
                other => Some(other),
            }
        });
        deleted.await.unwrap();
        let waits = self.world.store.queued_messages(&self.key()).await.unwrap();
        assert_eq!(waits, [], "seed {}", self.seed);
        let again = self.world.gateway.create_connection(self.client, number(1)).await;
        again.unwrap();
    }
}

async fn live(seed: u64) {
    let mut model = Model::start(seed).await;
    for _ in 0..STEPS {
        model.step().await;
    }
    if model.lot.usize(..3) == 0 {
        model.delete().await;
    }
    model.settle().await;
    model.check();
    model.check_events().await;
    model.world.gateway.stop().await;
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_a_message_what_was_promised_of_it_holds() {
    let first = from_environment("SENDING_SEED").unwrap_or(1);
    let worlds = from_environment("SENDING_WORLDS").unwrap_or(4);
    for seed in first..first + worlds {
        live(seed).await;
    }
}

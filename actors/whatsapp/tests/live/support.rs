//! A network with two accounts, a factory, and a number whose link the test holds in its hand.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::mpsc;
use wharf_domain::{ClientId, ConnectionKey, EventKinds, IncomingMessage, WebhookId};
use wharf_store::AwaitedId;
use wharf_testnet::{Fault, FaultCode, FaultKind, Network, NetworkConfig};
use wharf_whatsapp::{
    CloseReason, Inbox, Incoming, KeyStore, Link, LinkEvent, LinkFactory, LinkOptions, LiveConfig, LiveFactory,
    NotCommitted, SendError, Told,
};

use crate::keeper::{Keeper, key_store};

/// The linked number.
pub(crate) const OURS: &str = "5511999999999";
/// Somebody who writes to it.
pub(crate) const THEIRS: &str = "5511888888888";
/// A number that nobody has.
pub(crate) const NOBODYS: &str = "5511777777777";
/// How long anything may take that has to happen: debug builds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// An inbox in memory that can refuse.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    panics: bool,
    polls: Vec<(String, Vec<String>)>,
    panics_at_polls: bool,
    panics_when_told: bool,
    refusals_left: usize,
    refused: usize,
    messages: Vec<IncomingMessage>,
    told: Vec<Told>,
    wanted: EventKinds,
    rejects_calls: bool,
}

impl Memory {
    /// The next `times` commits are refused.
    pub(crate) fn refuse(&self, times: usize) {
        self.0.lock().unwrap().refusals_left = times;
    }

    /// What is wanted from now on; messages only, at first.
    pub(crate) fn want(&self, wanted: EventKinds) {
        self.0.lock().unwrap().wanted = wanted;
    }

    /// Whether calls are turned down from now on; they are not, at first.
    pub(crate) fn reject_calls(&self, rejects: bool) {
        self.0.lock().unwrap().rejects_calls = rejects;
    }

    /// The next commit panics.
    pub(crate) fn panic_once(&self) {
        self.0.lock().unwrap().panics = true;
    }

    /// Whatever is a poll panics.
    pub(crate) fn panic_at_polls(&self) {
        self.0.lock().unwrap().panics_at_polls = true;
    }

    /// What is told next panics.
    pub(crate) fn panic_when_told(&self) {
        self.0.lock().unwrap().panics_when_told = true;
    }

    pub(crate) fn refused(&self) -> usize {
        self.0.lock().unwrap().refused
    }

    /// What was committed, each message once.
    pub(crate) fn messages(&self) -> Vec<IncomingMessage> {
        self.0.lock().unwrap().messages.clone()
    }

    /// What was told of messages that went out, as it came.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.0.lock().unwrap().told.clone()
    }

    /// The polls that are kept, each with what can be chosen, in their order.
    pub(crate) fn polls(&self) -> Vec<(String, Vec<String>)> {
        self.0.lock().unwrap().polls.clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.messages().into_iter().map(|message| message.content).collect()
    }
}

#[async_trait]
impl Inbox for Memory {
    fn wanted(&self) -> EventKinds {
        self.0.lock().unwrap().wanted
    }

    fn rejects_calls(&self) -> bool {
        self.0.lock().unwrap().rejects_calls
    }

    async fn commit(&self, batch: Vec<Incoming>) -> Result<(), NotCommitted> {
        let mut kept = self.0.lock().unwrap();
        if std::mem::take(&mut kept.panics) {
            drop(kept);
            panic!("as the test wants");
        }
        kept.refusal()?;
        let messages = batch.into_iter().filter_map(|incoming| incoming.message);
        messages.for_each(|message| kept.keep(message));
        Ok(())
    }

    async fn keep_poll(&self, poll_id: &str, options: &[String]) -> Result<(), NotCommitted> {
        let mut kept = self.0.lock().unwrap();
        if kept.panics_at_polls {
            drop(kept);
            panic!("as the test wants");
        }
        kept.refusal()?;
        kept.polls.push((poll_id.to_owned(), options.to_vec()));
        Ok(())
    }

    /// As a store that has no rows: each receiver's word becomes an event, in its order with the messages.
    async fn told(&self, told: Vec<Told>, _behind: Vec<(String, AwaitedId)>) -> Result<(), NotCommitted> {
        let mut kept = self.0.lock().unwrap();
        if std::mem::take(&mut kept.panics_when_told) {
            drop(kept);
            panic!("as the test wants");
        }
        kept.refusal()?;
        for told in told {
            for id in &told.message_ids {
                if let Some(change) = told.of_unrecorded(&key(), id) {
                    kept.keep(change.event());
                }
            }
            kept.told.push(told);
        }
        Ok(())
    }
}

impl Kept {
    fn refusal(&mut self) -> Result<(), NotCommitted> {
        if self.refusals_left == 0 {
            return Ok(());
        }
        self.refusals_left -= 1;
        self.refused += 1;
        Err(NotCommitted("the test says no".into()))
    }

    fn keep(&mut self, message: IncomingMessage) {
        let webhook = WebhookId(uuid::Uuid::nil());
        let key = message.key(webhook);
        if !self.messages.iter().any(|other| other.key(webhook) == key) {
            self.messages.push(message);
        }
    }
}

/// The world of one test.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) keys: KeyStore,
    pub(crate) keeper: Arc<Keeper>,
    _directory: TempDir,
    pub(crate) factory: LiveFactory,
}

/// A link and what it says.
pub(crate) struct Line {
    pub(crate) link: Arc<dyn Link>,
    pub(crate) events: mpsc::UnboundedReceiver<LinkEvent>,
    pub(crate) inbox: Arc<Memory>,
}

pub(crate) fn key() -> ConnectionKey {
    ConnectionKey::new(ClientId(1), OURS.parse().unwrap())
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A world with a linked number.
    pub(crate) async fn paired() -> (Self, Line) {
        let world = Self::start().await;
        let line = world.pair().await;
        (world, line)
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut LiveConfig)) -> Self {
        let network = Network::start(NetworkConfig::default()).await.unwrap();
        for phone in [OURS, THEIRS] {
            network.create_account(phone).await.unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let (keys, keeper) = key_store(&directory, &[key()]).await;
        let mut config = config(&network);
        adjust(&mut config);
        let factory = LiveFactory::new(config, keys.clone()).unwrap();
        Self {
            network,
            keys,
            keeper,
            _directory: directory,
            factory,
        }
    }

    /// As after a restart of the program: nothing is left but the keys.
    pub(crate) fn restart(&mut self) {
        self.factory = LiveFactory::new(config(&self.network), self.keys.clone()).unwrap();
    }

    pub(crate) async fn open(&self) -> Line {
        self.open_into(Arc::new(Memory::default())).await
    }

    pub(crate) async fn open_into(&self, inbox: Arc<Memory>) -> Line {
        self.open_with(LinkOptions::default(), inbox).await
    }

    pub(crate) async fn open_with(&self, options: LinkOptions, inbox: Arc<Memory>) -> Line {
        let (sender, events) = mpsc::unbounded_channel();
        let key = key();
        let opened = self.factory.open(&key, options, sender.into(), inbox.clone());
        let link = opened.await.unwrap();
        Line { link, events, inbox }
    }

    /// Opens the link and lets the phone of `phone` scan it.
    pub(crate) async fn scan(&self, phone: &str) -> Line {
        let mut line = self.open().await;
        let code = line.qr().await;
        self.network.scan(phone, &code).await.unwrap();
        line
    }

    /// Opens the link, has it scanned by the right phone, and waits until it is connected.
    pub(crate) async fn pair(&self) -> Line {
        let mut line = self.scan(OURS).await;
        let LinkEvent::Paired { jid, phone_number } = line.next().await else {
            panic!("not paired")
        };
        assert_eq!(phone_number, OURS);
        assert!(jid.starts_with(OURS) && jid.ends_with("@s.whatsapp.net"), "{jid}");
        assert_eq!(line.connected().await, jid);
        line
    }

    /// Makes trouble for the linked number.
    pub(crate) async fn trouble(&self, kind: FaultKind, code: Option<&str>, lasts: Duration) {
        self.trouble_of(OURS, kind, code, lasts).await;
    }

    /// Makes trouble for somebody.
    pub(crate) async fn trouble_of(&self, phone: &str, kind: FaultKind, code: Option<&str>, lasts: Duration) {
        let for_ms = u64::try_from(lasts.as_millis()).ok();
        let code = code.map(|code| FaultCode::Name(code.to_owned()));
        self.network
            .fault(Fault {
                kind,
                phone: Some(phone.into()),
                code,
                for_ms,
            })
            .await
            .unwrap();
    }

    pub(crate) async fn write(&self, text: &str) -> String {
        self.network.send_text(THEIRS, OURS, text).await.unwrap()
    }

    /// How many devices have acknowledged a message.
    pub(crate) async fn acknowledged(&self, id: &str) -> usize {
        let receipts = self.network.receipts(THEIRS).await.unwrap();
        receipts
            .iter()
            .filter(|receipt| receipt.id == id && receipt.kind != "retry")
            .count()
    }
}

fn config(network: &Network) -> LiveConfig {
    LiveConfig {
        server_url: Some(network.ws_url()),
        ..LiveConfig::default()
    }
}

impl Line {
    pub(crate) async fn next(&mut self) -> LinkEvent {
        within("an event", self.events.recv()).await.expect("the events ended")
    }

    pub(crate) async fn qr(&mut self) -> String {
        match self.next().await {
            LinkEvent::Qr { code, .. } => code,
            other => panic!("{other:?} instead of a QR code"),
        }
    }

    /// The next event is that the link is connected; as which device.
    pub(crate) async fn connected(&mut self) -> String {
        match self.next().await {
            LinkEvent::Connected { jid, .. } => jid,
            other => panic!("{other:?} instead of connected"),
        }
    }

    /// The next event is the last one; says why.
    pub(crate) async fn closed(&mut self) -> CloseReason {
        let LinkEvent::Closed(reason) = self.next().await else {
            panic!("not closed")
        };
        assert_eq!(within("the end of the events", self.events.recv()).await, None);
        assert_eq!(self.link.silence(), None);
        reason
    }
}

/// Waits for `what`, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long for {what}"),
    }
}

/// Waits until a condition holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    within(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Sends a text under an id of its own; answers the id.
pub(crate) async fn send(link: &Arc<dyn Link>, to: &str, text: &str, deadline: Duration) -> Result<String, SendError> {
    let id = format!("3EB0{}", uuid::Uuid::new_v4().simple());
    let message = wharf_domain::Outgoing::text(to.parse().unwrap(), text);
    link.send(&id, &message, deadline).await.map(|_| id)
}

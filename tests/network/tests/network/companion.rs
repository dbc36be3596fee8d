//! A companion device: the real client, with what it saw kept for the tests to wait on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use wacore::store::InMemoryBackend;
use wacore::types::events::{Event, EventHandler};
use wharf_support::wait_until;
use wharf_testnet::{Network, NetworkConfig, NetworkError};
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::prelude::*;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::{InboundDurabilityHook, Jid, TokioRuntime, anyhow};

/// Far beyond what anything takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const ANA: &str = "5511888888888";
pub(crate) const BOB: &str = "5511999999999";

/// Sends what the client asks of WhatsApp's media hosts to the network's store.
struct Redirected {
    base: String,
    http: reqwest::Client,
}

impl Redirected {
    #[expect(
        clippy::disallowed_methods,
        reason = "it asks the network's own store, not a webhook"
    )]
    fn to(network: &Network) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            base: network.media_url(),
            http: reqwest::Client::new(),
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Redirected {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let path = request
            .url
            .strip_prefix("https://")
            .and_then(|rest| rest.split_once('/'))
            .map(|(_, path)| path);
        let url = format!("{}/{}", self.base, path.unwrap_or_default());
        let mut there = self.http.request(request.method.parse()?, url);
        for (name, value) in &request.headers {
            there = there.header(name, value);
        }
        if let Some(body) = request.body {
            there = there.body(body);
        }
        let response = there.send().await?;
        Ok(HttpResponse {
            status_code: response.status().as_u16(),
            body: response.bytes().await?.to_vec(),
        })
    }
}

/// Everything that a client reported.
#[derive(Default)]
pub(crate) struct Diary {
    events: Mutex<Vec<Arc<Event>>>,
    grown: Notify,
}

struct Writer(Arc<Diary>);

impl EventHandler for Writer {
    fn handle_event(&self, event: Arc<Event>) {
        self.0.events.lock().unwrap().push(event);
        self.0.grown.notify_waiters();
    }
}

/// A hook that keeps texts, or refuses to keep anything.
#[derive(Clone, Default)]
pub(crate) struct Keeper {
    pub(crate) refuses: bool,
    pub(crate) kept: Arc<Mutex<Vec<String>>>,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait::async_trait]
impl InboundDurabilityHook for Keeper {
    async fn on_messages(&self, _: Arc<Client>, batch: &[InboundMessage]) -> anyhow::Result<()> {
        let texts: Vec<_> = batch
            .iter()
            .filter_map(|one| one.message.conversation.clone())
            .collect();
        self.asked.lock().unwrap().extend(texts.clone());
        if self.refuses && !texts.is_empty() {
            anyhow::bail!("the disk is full");
        }
        self.kept.lock().unwrap().extend(texts);
        Ok(())
    }
}

/// A running client and its store, which outlives it.
pub(crate) struct Companion {
    pub(crate) backend: Arc<InMemoryBackend>,
    pub(crate) diary: Arc<Diary>,
    pub(crate) client: Arc<Client>,
    handle: BotHandle,
    network: Network,
}

/// A network on loopback, with accounts for Ana and Bob.
pub(crate) async fn network() -> Network {
    let _ = tracing_subscriber::fmt()
        .with_test_writer()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .try_init();
    let network = Network::start(NetworkConfig::default()).await.unwrap();
    network.create_account(ANA).await.unwrap();
    network.create_account(BOB).await.unwrap();
    network
}

/// Waits until `check` returns something.
pub(crate) async fn until<T, F>(what: &str, check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    wait_until(what, DEADLINE, check).await
}

impl Companion {
    /// A client on an empty store.
    pub(crate) async fn fresh(network: &Network) -> Self {
        Self::start(network, Arc::new(InMemoryBackend::new())).await
    }

    /// A client on a store; it logs in if the store holds a linked device, else it shows a QR.
    pub(crate) async fn start(network: &Network, backend: Arc<InMemoryBackend>) -> Self {
        Self::start_with(network, backend, None, None).await
    }

    /// A client with a name of its own, or with a hook that runs before a message is receipted.
    pub(crate) async fn start_with(
        network: &Network,
        backend: Arc<InMemoryBackend>,
        name: Option<&str>,
        keeper: Option<Keeper>,
    ) -> Self {
        let diary = Arc::new(Diary::default());
        let mut builder = Bot::builder()
            .with_backend_arc(Arc::clone(&backend) as _)
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(network.ws_url()))
            .with_http_client(Redirected::to(network))
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1_030_000_000))
            .with_wanted_pre_key_count(20)
            .with_event_handler(Writer(Arc::clone(&diary)));
        if let Some(name) = name {
            builder = builder.with_push_name(name);
        }
        if let Some(keeper) = keeper {
            builder = builder.with_inbound_durability_hook(keeper);
        }
        let bot = builder.build().await.unwrap();
        let client = bot.client();
        Self {
            backend,
            diary,
            client,
            handle: bot.spawn(),
            network: network.clone(),
        }
    }

    /// A client that the account's phone has linked and that is connected.
    pub(crate) async fn linked(network: &Network, phone: &str) -> Self {
        let companion = Self::fresh(network).await;
        companion.scan_with(phone).await.unwrap();
        companion.connected().await;
        companion
    }

    /// A device that was linked, took what its phone gave it then, and is gone; its store.
    pub(crate) async fn linked_and_gone(network: &Network, phone: &str) -> Arc<InMemoryBackend> {
        let companion = Self::linked(network, phone).await;
        // It is connected before it has said that it has its phone's keys.
        until("nothing to be left in the queue", || async {
            (network.stats().await.unacked == 0).then_some(())
        })
        .await;
        let device = companion.client.pn().unwrap().to_string();
        let backend = companion.stop().await;
        until("the socket to be gone", || async {
            let devices = network.devices(phone).await.unwrap();
            devices
                .iter()
                .all(|one| one.jid != device || !one.connected)
                .then_some(())
        })
        .await;
        backend
    }

    /// Lets the account's phone scan the QR that the client shows.
    pub(crate) async fn scan_with(&self, phone: &str) -> Result<String, NetworkError> {
        let qr = self.qr().await;
        self.network.scan(phone, &qr).await
    }

    pub(crate) async fn qr(&self) -> String {
        self.saw("a QR", |event| match event {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the first event that `pick` likes, among past ones too.
    pub(crate) async fn saw<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let grown = self.diary.grown.notified();
                if let Some(found) = self.all(&pick).into_iter().next() {
                    return found;
                }
                grown.await;
            }
        };
        match tokio::time::timeout(DEADLINE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain for {what}; saw {:#?}", self.kinds()),
        }
    }

    /// Everything that `pick` likes.
    pub(crate) fn all<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.diary
            .events
            .lock()
            .unwrap()
            .iter()
            .filter_map(|event| pick(event))
            .collect()
    }

    fn kinds(&self) -> Vec<String> {
        self.all(|event| Some(format!("{event:?}").chars().take(160).collect()))
    }

    pub(crate) async fn connected(&self) {
        self.connected_times(1).await;
    }

    /// Waits until it has been connected so many times.
    pub(crate) async fn connected_times(&self, times: usize) {
        wait_until(&format!("connection {times}"), DEADLINE, || async {
            let connected = self.all(|event| matches!(event, Event::Connected(_)).then_some(()));
            (connected.len() >= times)
                .then_some(())
                .ok_or_else(|| format!("{:#?}", self.kinds()))
        })
        .await;
    }

    /// The texts that arrived, oldest first, with their sender's address by number.
    pub(crate) fn texts(&self) -> Vec<(String, String)> {
        self.all(|event| match event {
            Event::Messages(batch) => Some(batch.messages.to_vec()),
            _ => None,
        })
        .into_iter()
        .flatten()
        .filter_map(|inbound| {
            let text = inbound.message.conversation.clone()?;
            let source = &inbound.info.source;
            let from = source.sender_alt.as_ref().unwrap_or(&source.sender);
            Some((from.user.to_string(), text))
        })
        .collect()
    }

    /// The message of that id, once it has arrived.
    pub(crate) async fn message(&self, id: &str) -> InboundMessage {
        self.saw(&format!("the message {id}"), |event| match event {
            Event::Messages(batch) => batch.messages.iter().find(|one| one.info.id == id).cloned(),
            _ => None,
        })
        .await
    }

    pub(crate) async fn text(&self, text: &str) -> String {
        until(&format!("the text {text:?}"), || async {
            self.texts()
                .into_iter()
                .find(|(_, seen)| seen == text)
                .map(|(from, _)| from)
        })
        .await
    }

    pub(crate) async fn send(&self, to: &str, text: &str) -> String {
        let sent = tokio::time::timeout(DEADLINE, self.client.send_text(Jid::pn(to), text)).await;
        sent.expect("send_text hung").unwrap().message_id
    }

    /// The server's acknowledgement of a message: its error, if any.
    pub(crate) async fn server_ack(&self, id: &str) -> Option<String> {
        self.saw("the server's ack", |event| match event {
            Event::ServerAck(ack) if ack.id == id => Some(ack.error.clone()),
            _ => None,
        })
        .await
    }

    /// Stops the client and gives its store back.
    pub(crate) async fn stop(self) -> Arc<InMemoryBackend> {
        self.handle.shutdown().await;
        self.backend
    }
}

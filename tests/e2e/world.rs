//! A test network, a gateway and a receiver, and a client of the gateway's REST API.

use std::{net::SocketAddr, sync::Once, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use wharf::{
    config::{Config, Loaded, Sources},
    serve,
};
use wharf_support::{Receiver, wait_until};
use wharf_testnet::{Network, NetworkConfig};

/// Long enough for a loaded machine; a passing test waits for a fraction of it.
pub const WITHIN: Duration = Duration::from_secs(60);

/// The number that is linked in most tests, and one who writes to it.
pub const NUMBER: &str = "5511888888888";
pub const CONTACT: &str = "5511999999999";

/// A gateway in this process.
pub struct Running {
    pub api: Api,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(WITHIN, self.serving)
            .await
            .expect("stops in time")
            .unwrap();
    }
}

pub struct World {
    pub dir: TempDir,
    pub network: Network,
    pub receiver: Receiver,
    pub token: String,
    /// What is configured beyond [`variables`].
    more: Vec<(&'static str, &'static str)>,
    running: Option<Running>,
}

/// The variables that configure a gateway of this world.
pub fn variables(dir: &TempDir, network: &Network) -> Vec<(&'static str, String)> {
    vec![
        ("WHARF_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        (
            "WHARF_STORE__URL",
            format!("sqlite://{}", dir.path().join("wharf.db").display()),
        ),
        ("WHARF_WHATSAPP__SERVER_URL", network.ws_url()),
        ("WHARF_DELIVERY__ALLOW_HTTP", "true".to_owned()),
        ("WHARF_DELIVERY__ALLOW_PRIVATE_NETWORKS", "true".to_owned()),
    ]
}

fn log_when_asked() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = std::env::var("WHARF_TEST_LOG").unwrap_or_else(|_| "off".to_owned());
        let _set_elsewhere = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .try_init();
    });
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these variables besides the usual ones.
    pub async fn start_with(more: &[(&'static str, &'static str)]) -> Self {
        log_when_asked();
        let dir = wharf_support::temp_dir();
        let network = Network::start(NetworkConfig::default()).await.unwrap();
        let mut world = Self {
            dir,
            network,
            receiver: Receiver::start().await,
            token: String::new(),
            more: more.to_vec(),
            running: None,
        };
        world.token = world.start_gateway().await.expect("a new database has a first client");
        world
    }

    fn config(&self) -> Config {
        let variables = variables(&self.dir, &self.network);
        let more = self.more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let variables = variables
            .into_iter()
            .chain(more)
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Loaded::load(&Sources { file: None, variables }).unwrap().config
    }

    /// Starts the gateway, again; answers the first client's token when the database is new.
    pub async fn start_gateway(&mut self) -> Option<String> {
        let config = self.config();
        // The lock on the database goes a moment after the tree.
        let ready = wait_until("the database is free", WITHIN, || async {
            serve::prepare(&config).await.ok()
        })
        .await;
        let first = ready.first_client.as_ref().map(|client| client.token.clone());
        let api = Api::new(ready.address, first.as_ref().unwrap_or(&self.token));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(ready.serve(async {
            let _ = stopped.await;
        }));
        self.running = Some(Running { api, stop, serving });
        first
    }

    /// Why the gateway does not start.
    pub async fn refusal(&self) -> String {
        let config = self.config();
        wait_until("the gateway refuses to start", WITHIN, || async {
            let error = serve::prepare(&config).await.err().map(|error| error.to_string());
            // The lock on the database goes a moment after the tree.
            error.filter(|error| !error.contains("another wharf serve"))
        })
        .await
    }

    pub async fn stop_gateway(&mut self) {
        self.running.take().expect("it runs").stop().await;
    }

    pub async fn restart_gateway(&mut self) {
        self.stop_gateway().await;
        self.start_gateway().await;
    }

    /// With these variables besides the usual ones from then on.
    pub async fn restart_gateway_with(&mut self, more: &[(&'static str, &'static str)]) {
        self.more = more.to_vec();
        self.restart_gateway().await;
    }

    pub fn api(&self) -> &Api {
        &self.running.as_ref().expect("it runs").api
    }

    pub async fn stop(mut self) {
        self.stop_gateway().await;
        self.network.stop().await;
    }

    /// Another client, made as `wharf client add` does.
    pub async fn add_client(&self, name: &str) -> Api {
        let url = format!("sqlite://{}", self.dir.path().join("wharf.db").display());
        let options = wharf_store::StoreOptions {
            url,
            readers: 1,
            exclusive: false,
        };
        let store = wharf_store::Store::open(&options).await.unwrap();
        let client = wharf::clients::add(&store, name).await.unwrap();
        Api::new(self.api().address, &client.token)
    }

    /// Registers a webhook to `path` of the receiver.
    pub async fn webhook(&self, number: &str, path: &str) -> String {
        let url = self.receiver.url(path);
        let webhook = self
            .api()
            .post(
                "/api/webhooks/register",
                json!({"phone_number": number, "webhook_url": url}),
            )
            .await;
        id(&webhook.expect(StatusCode::CREATED))
    }

    /// Links a number by its QR code.
    pub async fn link(&self, number: &str) {
        self.network.create_account(number).await.unwrap();
        let path = format!("/api/whatsapp/connections/{number}");
        self.api()
            .post("/api/whatsapp/connections", json!({"phone_number": number}))
            .await
            .expect(StatusCode::CREATED);
        let qr = self.api().wait_for_qr(number).await;
        self.network.scan(number, &qr).await.unwrap();
        self.api().wait_for_status(&path, "connected").await;
    }

    /// A linked number with a webhook, and an account that writes to it. Answers the webhook's id.
    pub async fn linked(&self, path: &str) -> String {
        self.network.create_account(CONTACT).await.unwrap();
        let webhook = self.webhook(NUMBER, path).await;
        self.link(NUMBER).await;
        webhook
    }

    pub async fn text(&self, text: &str) -> String {
        self.network.send_text(CONTACT, NUMBER, text).await.unwrap()
    }

    /// Nothing of the network waits to be taken by a device.
    pub async fn all_taken(&self) {
        wait_until("every message is acknowledged", WITHIN, || async {
            self.network.stats().await.unacked == 0
        })
        .await;
    }

    /// Brings about trouble, given as to the network's `POST /faults`.
    pub async fn fault(&self, fault: Value) {
        let fault = serde_json::from_value(fault).unwrap();
        self.network.fault(fault).await.unwrap();
    }

    /// Asks the linked number's connection for this, which goes on after the answer.
    pub async fn ask(&self, what: &str) {
        let path = format!("/api/whatsapp/connections/{NUMBER}/{what}");
        // Right after a start its session may not be there yet.
        let answer = wait_until("its session is there", WITHIN, || async {
            let answer = self.api().call(Method::POST, &path).await;
            (answer.status != StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
        });
        answer.await.expect(StatusCode::ACCEPTED);
    }
}

pub fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

/// A client of the REST API with its token.
#[derive(Clone)]
pub struct Api {
    pub address: SocketAddr,
    token: String,
    http: reqwest::Client,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub bytes: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

impl Api {
    pub fn new(address: SocketAddr, token: &str) -> Self {
        // `reqwest` is built without a provider of its own.
        let _installed_already = rustls::crypto::ring::default_provider().install_default();
        #[expect(clippy::disallowed_methods, reason = "a client of the API, not the poster")]
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            address,
            token: token.to_owned(),
            http,
        }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("http://{}{path}", self.address))
            .bearer_auth(&self.token)
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap().to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status,
            headers,
            body,
            bytes,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn call(&self, method: Method, path: &str) -> Answer {
        self.send(self.request(method, path)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn wait_for_qr(&self, number: &str) -> String {
        let path = format!("/api/whatsapp/connections/{number}/qr");
        let answer = wait_until("a QR code is shown", WITHIN, || async {
            let answer = self.get(&path).await;
            (answer.status == StatusCode::OK).then_some(answer.body)
        })
        .await;
        answer["qr"].as_str().unwrap().to_owned()
    }

    /// Waits until what `path` shows has this status.
    pub async fn wait_for_status(&self, path: &str, status: &str) -> Value {
        self.wait_for(path, &format!("{path} is {status}"), |body| body["status"] == status)
            .await
    }

    pub async fn wait_for(&self, path: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let is = &is;
        wait_until(what, WITHIN, || async {
            let answer = self.get(path).await;
            (answer.status == StatusCode::OK && is(&answer.body)).then_some(answer.body)
        })
        .await
    }

    pub async fn events(&self, webhook: &str) -> Vec<Value> {
        let path = format!("/api/webhooks/{webhook}/events?limit=200");
        self.get(&path).await.expect(StatusCode::OK)["data"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// Waits until this many of a webhook's events have this status; answers all events, newest first.
    pub async fn wait_for_events(&self, webhook: &str, status: &str, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} events are {status}"), WITHIN, || async {
            let events = self.events(webhook).await;
            (events.iter().filter(|event| event["status"] == status).count() == count).then_some(events)
        })
        .await
    }
}

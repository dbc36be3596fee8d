//! The handle that the outside has of the tree: what a facade may ask, in the domain's words. No actor reference
//! leaves this crate.

mod connections;
mod events;
mod files;
mod media;
mod once;
mod portrait;
mod sending;
mod webhooks;

pub use connections::Deletion;
pub use portrait::NewPicture;
pub use sending::{NewContent, NewFile, NewMedia, NewMessage, SentMessage};

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorRef};
use serde::Serialize;
use thiserror::Error;
use tokio::{
    runtime::{Handle, RuntimeMetrics},
    sync::watch,
};
use tokio_util::task::TaskTracker;
use wharf_domain::{
    Attempt, ClientId, Connection, Courtesy, Event, EventKinds, InvalidField, OwnHeaders, PhoneNumber, Timestamp,
    TokenHash, Webhook, fair::Caps, outgoing::Pace, signing::Secret,
};
use wharf_store::{Store, StoreError};
use wharf_whatsapp::{KeyStore, LinkError, LinkFactory};

pub use self::media::{MediaFile, NoMedia};
use crate::{
    backlog::Backlog,
    bulkhead::{BulkheadError, Bulkheads},
    by_hand::ByHand,
    deletions::Deletions,
    directory::Directory,
    media::{
        MediaRoom,
        owner::{self, OwnerError},
    },
    metrics::Commits,
    persistence::{Keeper, Persistence, WriteError},
    post::{Poster, PosterError, PosterOptions, fetch::Fetcher},
    reads::Reads,
    root::{self, RootActor},
    shared::{BulkRetries, Pacer, Settings, Shared},
    slots::Slots,
    tally::Tally,
    tenant,
    vault::{Vault, VaultError},
};

/// What a webhook is registered with; defaults are the facade's reading of CONTRACT.md section 2.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWebhook {
    /// The number whose messages it gets.
    pub phone_number: PhoneNumber,
    /// Where they are posted to.
    pub webhook_url: String,
    /// Attempts in all, 1 to 20.
    pub max_retries: u32,
    /// Whether it takes events at once.
    pub is_active: bool,
    /// The client's own object.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// What it is told of.
    pub events: EventKinds,
    /// Whether to sign as Meta does, too.
    pub hub_signature: bool,
    /// What its deliveries shall be like.
    pub courtesy: Courtesy,
    /// Its own headers.
    pub headers: OwnHeaders,
}

/// A webhook with its new secret: the only answers that show one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WebhookWithSecret {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// What its deliveries are signed with from now on.
    #[serde(serialize_with = "Secret::reveal_in")]
    pub secret: Secret,
}

/// A QR code to scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Qr {
    /// The text to draw.
    pub qr: String,
    /// When WhatsApp stops accepting it.
    pub expires_at: Timestamp,
}

/// A code to type into the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownPairCode {
    /// Eight characters.
    pub code: String,
    /// When WhatsApp stops accepting it.
    pub expires_at: Timestamp,
}

/// A connection and what is to be shown of it to whoever holds the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The connection.
    pub connection: Connection,
    /// The QR code to scan.
    pub qr: Option<Qr>,
    /// The code to type.
    pub pair_code: Option<ShownPairCode>,
}

/// What a client sets of a connection; `None` leaves it as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionPatch {
    /// The device's name on the phone, told when it is linked.
    pub device_name: Option<Option<String>>,
    /// The way to WhatsApp, as [`wharf_domain::proxy::Proxy::parse`] reads it.
    pub proxy: Option<Option<String>>,
    /// How fast it sends.
    pub sending: Option<Option<Pace>>,
    /// Whether it turns down every call as it rings; it does not unless that is said.
    pub reject_calls: Option<bool>,
}

/// The `Idempotency-Key` of a request, and what it was sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The client's key.
    pub key: String,
    /// SHA-256 of the request's body, so that another body under the same key is noticed.
    pub body_hash: [u8; 32],
}

/// Why a request to the gateway was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GatewayError {
    /// No such thing for this client (404).
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It clashes with what is there (409); the text says with what.
    #[error("{0}")]
    Conflict(String),
    /// A field was refused (400).
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// A file has more bytes than it may (413); the text says how many it may have.
    #[error("{0}")]
    TooLarge(String),
    /// It was there and is not any more (410); the text says what to do.
    #[error("{0}")]
    Gone(&'static str),
    /// WhatsApp refused it (422).
    #[error("{0}")]
    Refused(String),
    /// As much waits as may (429); worth trying again in a while.
    #[error("{0}")]
    Busy(String),
    /// The store takes no writes, or the part of the tree that is needed is being restarted (503).
    #[error("{0}")]
    Unavailable(String),
    /// WhatsApp gave no answer; what was asked may have been done (504).
    #[error("{0}")]
    TimedOut(String),
}

/// What became of a test.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    /// The test event.
    pub event: Event,
    /// Its attempt; `None` when it has not ended yet.
    pub attempt: Option<Attempt>,
}

/// What a retry of many failed events will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BulkRetry {
    /// Events that are pending again.
    pub retrying: usize,
    /// When more events may match: from where to ask again. `None` when all that matched are among them.
    pub next_since: Option<Timestamp>,
}

/// What the gateway could not be started for.
#[derive(Debug, Error)]
pub enum StartError {
    /// The threads for sessions.
    #[error(transparent)]
    Bulkheads(#[from] BulkheadError),
    /// The HTTP client for deliveries.
    #[error(transparent)]
    Poster(#[from] PosterError),
    /// The webhooks' secrets.
    #[error(transparent)]
    Secrets(#[from] VaultError),
    /// The directory of media.
    #[error(transparent)]
    Media(#[from] OwnerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The links to WhatsApp.
    #[error("whatsapp: {0}")]
    Links(#[from] LinkError),
    /// The root of the tree.
    #[error("the supervision tree cannot be started: {0}")]
    Tree(String),
}

/// How long the tree may take to come up.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long a manual retry may take to be committed.
const RETRY_DEADLINE: Duration = Duration::from_secs(20);
/// A send: 5 s until it starts, WhatsApp's 15 s, and a little for the way.
const SEND_DEADLINE: Duration = Duration::from_secs(24);
/// Everything stops within 12 s for the tenants, 3 s for what became of sent messages and 5 s for the last commit.
const STOP_DEADLINE: Duration = Duration::from_secs(21);

/// The log has some 64 MB at the most, and mostly far less.
const EMPTY_LOG_DEADLINE: Duration = Duration::from_secs(5);

/// The running gateway. Cheap to clone; the tree runs until [`Gateway::stop`].
#[derive(Clone)]
pub struct Gateway {
    pub(crate) root: ActorRef<root::Message>,
    pub(crate) shared: Arc<Shared>,
}

impl Gateway {
    /// Starts the tree and waits until it is up: clients loaded, the store open for writing or known not to be.
    ///
    /// # Errors
    /// `StartError` when a part that nothing can do without cannot be had.
    pub async fn start(settings: Settings, store: Store, links: Arc<dyn LinkFactory>) -> Result<Self, StartError> {
        Self::start_with(settings, store, |_| Ok(links)).await
    }

    /// The same for links that keep their keys in the gateway's store: `links` is given that.
    ///
    /// # Errors
    /// As [`Gateway::start`], and what `links` refuses.
    pub async fn start_with(
        settings: Settings,
        store: Store,
        links: impl FnOnce(KeyStore) -> Result<Arc<dyn LinkFactory>, LinkError>,
    ) -> Result<Self, StartError> {
        let directory = Arc::new(Directory::default());
        let vault = Arc::new(Vault::open_for(&store, settings.secrets_key.as_ref()).await?);
        let persistence = Persistence::new(Arc::clone(&directory));
        let keeper = Arc::new(Keeper {
            vault: Arc::clone(&vault),
            persistence: persistence.clone(),
        });
        let links = links(KeyStore {
            store: store.clone(),
            keeper,
        })?;
        let mut poster = PosterOptions::new(settings.targets);
        poster.extra_roots_pem.clone_from(&settings.extra_roots_pem);
        let caps = Caps {
            total: settings.max_in_flight,
            per_client: settings.max_in_flight_per_client,
        };
        let media_directory = settings.media.directory.clone();
        let media_directory = media_directory.unwrap_or_else(|| store.directory().join("media"));
        owner::claim(&media_directory, store.installation().await?)?;
        let poster = Poster::new(poster)?;
        let fetcher = Fetcher::beside(&poster, &settings.extra_roots_pem)?;
        let media = MediaRoom::new(&settings.media, media_directory, poster.checked())?;
        let shared = Arc::new(Shared {
            persistence,
            directory,
            health: Arc::default(),
            metrics: Arc::default(),
            poster,
            fetcher,
            vault,
            links,
            bulkheads: Bulkheads::start(settings.bulkheads).await?,
            slots: Slots::new(caps, settings.client_weights.clone()),
            reads: Reads::new(store.readers()),
            tests: Tally::new(events::TESTS_PER_CLIENT),
            pacer: Pacer::new(settings.session_starts_per_second),
            backlog: Backlog::new(store.clone(), settings.limits.pending_per_client),
            bulk_retries: BulkRetries::default(),
            by_hand: ByHand::new(settings.manual_per_second),
            deletions: Deletions::default(),
            tokens: watch::Sender::new(()),
            media,
            notes: TaskTracker::new(),
            store,
            settings,
        });
        // Before anything can be sent: what has no row now belongs to nobody.
        if let Err(error) = shared.media.outbound.sweep(&shared.store).await {
            tracing::warn!(%error, "files that were left over could not be looked for");
        }
        let (root, _handle) = Actor::spawn(None, RootActor, Arc::clone(&shared))
            .await
            .map_err(|error| StartError::Tree(error.to_string()))?;
        let gateway = Self { root, shared };
        let up = async {
            while !gateway.shared.health.tree_is_up() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(START_DEADLINE, up).await.is_err() {
            tracing::warn!("the clients cannot be read yet; going on");
        }
        Ok(gateway)
    }

    /// Stops the tree: sessions close, running attempts get up to 10 s, then the last commit.
    pub async fn stop(&self) {
        let _late = self.root.call(root::Message::Stop, Some(STOP_DEADLINE)).await;
        // Whoever copies a stopped database copies one file; without this it would lack what was committed last.
        match tokio::time::timeout(EMPTY_LOG_DEADLINE, self.shared.store.empty_log()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the write-ahead log stays: copy it along with the database"),
            Err(_) => {
                tracing::warn!("the write-ahead log is not carried over in time: copy it along with the database")
            }
        }
    }

    /// # Errors
    /// Says why the gateway cannot do its work at present.
    pub async fn ready(&self) -> Result<(), String> {
        self.shared.health.check(&self.shared.store).await
    }

    #[cfg(test)]
    pub(crate) fn end_threads(&self) {
        self.shared.bulkheads.stop();
    }

    #[cfg(test)]
    pub(crate) fn key_keeper(&self) -> Arc<dyn wharf_whatsapp::KeyKeeper> {
        Arc::new(Keeper {
            vault: Arc::clone(&self.shared.vault),
            persistence: self.shared.persistence.clone(),
        })
    }

    /// What was committed since the start, for measurements.
    pub fn commits(&self) -> Commits {
        self.shared.metrics.commits()
    }

    /// What the runtimes count: the caller's first, then those that sessions run on. For measurements; they go on counting
    /// when the gateway has stopped.
    pub async fn runtimes(&self) -> Vec<RuntimeMetrics> {
        let mut all = self.shared.bulkheads.metrics().await;
        all.insert(0, Handle::current().metrics());
        all
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn client_of_token(&self, token: &TokenHash) -> Result<Option<ClientId>, GatewayError> {
        Ok(self.shared.store.client_of_token(token).await?)
    }

    /// A client's tenant, started if need be: `wharf client add` may have run a moment ago.
    async fn tenant(&self, client: ClientId) -> Result<ActorRef<tenant::Message>, GatewayError> {
        if let Some(tenant) = self.shared.directory.tenant(client) {
            return Ok(tenant);
        }
        let _restarting = self
            .root
            .call(|reply| root::Message::Ensure(client, reply), Some(RETRY_DEADLINE))
            .await;
        self.shared.directory.tenant(client).ok_or_else(restarting)
    }
}

/// The limits are looked at before the row is written: requests of one moment may pass together.
fn at_limit(what: &str, key: &str, limit: u32) -> GatewayError {
    GatewayError::Conflict(format!(
        "limit reached: this client has {limit} {what}, as many as limits.{key} allows; delete one first"
    ))
}

pub(crate) fn restarting() -> GatewayError {
    GatewayError::Unavailable("this part of the gateway is being restarted; try again in a moment".to_owned())
}

impl From<VaultError> for GatewayError {
    fn from(error: VaultError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<StoreError> for GatewayError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<WriteError> for GatewayError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Unavailable(text) | WriteError::Unknown(text) | WriteError::Damaged(text) => {
                Self::Unavailable(text)
            }
            WriteError::Rejected(text) => Self::Conflict(text),
        }
    }
}

//! The handle that the outside has of the tree: what a facade may ask, in the domain's words. No actor reference
//! leaves this crate.

mod connections;
mod earlier;
mod events;
mod files;
mod link_page;
mod media;
mod once;
mod portrait;
mod sending;
mod webhooks;
mod words;

pub use connections::Deletion;
pub use link_page::{MadeLinkPage, NewLinkPage};
pub use portrait::NewPicture;
pub use sending::{NewContent, NewFile, NewMedia, NewMessage, SentMessage};
pub use words::{
    BulkRetry, ConnectionPatch, GatewayError, IdempotencyKey, NewWebhook, Qr, Shown, ShownPairCode, StartError, Tested,
    WebhookWithSecret,
};

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorRef};
use tokio::{
    runtime::{Handle, RuntimeMetrics},
    sync::watch,
};
use tokio_util::task::TaskTracker;
use wharf_domain::{ClientId, ConnectionKey, TokenHash, fair::Caps};
use wharf_store::{Store, WrittenAs};
use wharf_whatsapp::{KeyStore, LinkError, LinkFactory};

pub use self::media::{MediaFile, NoMedia};
use crate::{
    allowance::Allowance,
    backlog::Backlog,
    bulkhead::Bulkheads,
    deletions::Deletions,
    directory::Directory,
    media::{MediaRoom, owner},
    metrics::Commits,
    pacer::Pacer,
    persistence::{Keeper, Persistence},
    post::{Poster, PosterOptions, fetch::Fetcher},
    reads::Reads,
    root::{self, RootActor},
    shared::{BulkRetries, Settings, Shared},
    slots::Slots,
    tally::Tally,
    tenant,
    vault::Vault,
};

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
        let mut poster = PosterOptions::new(settings.targets.clone());
        poster.extra_roots_pem.clone_from(&settings.extra_roots_pem);
        let caps = Caps {
            total: settings.max_in_flight,
            per_client: settings.max_in_flight_per_client,
        };
        let media_directory = settings.media.directory.clone();
        let media_directory = media_directory.unwrap_or_else(|| store.directory().join("media"));
        owner::claim(&media_directory, store.installation().await?, store.has_media().await?)?;
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
            slots: Slots::weighted(caps, settings.client_weights.clone()),
            reads: Reads::new(store.readers()),
            tests: Tally::new(events::TESTS_PER_CLIENT),
            pacer: Pacer::new(settings.session_starts_per_second),
            places: Arc::default(),
            backlog: Backlog::new(store.clone(), settings.limits.pending_per_client),
            bulk_retries: BulkRetries::default(),
            by_hand: Allowance::at_receivers(settings.manual_per_second),
            keyed_acts: Allowance::under_keys(),
            changes: Allowance::for_changes(settings.limits.changes_per_second),
            deletions: Deletions::default(),
            tokens: watch::Sender::new(()),
            media,
            notes: TaskTracker::new(),
            #[cfg(test)]
            cleaned: watch::Sender::default(),
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

    /// Ends when the tree has, by [`Self::stop`] or because its root failed, which nothing in it can repair.
    pub async fn ended(&self) {
        let _in_any_time = self.root.wait(None).await;
    }

    /// # Errors
    /// Says why the gateway cannot do its work at present.
    pub async fn ready(&self) -> Result<(), String> {
        self.shared.ready().await
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

    /// Why the writer made nothing of a number: `again`, where there `is` one, or `full`, where requests of one moment were more than
    /// the limit leaves.
    async fn not_made(
        &self,
        key: &ConnectionKey,
        limit: u32,
        is: fn(WrittenAs) -> bool,
        again: GatewayError,
        full: GatewayError,
    ) -> Result<GatewayError, GatewayError> {
        if let Some(otherwise) = self.written_otherwise(key).await? {
            return Ok(otherwise);
        }
        let is_there = is(self.shared.store.written_as(key).await?);
        Ok(if is_there || limit == 0 { again } else { full })
    }

    /// Why a number was not taken where that is its other way of writing, which this client uses already: events are matched by
    /// the digits.
    async fn written_otherwise(&self, key: &ConnectionKey) -> Result<Option<GatewayError>, GatewayError> {
        let Some(other) = key.phone_number.other_writing() else {
            return Ok(None);
        };
        let other = ConnectionKey::new(key.client_id, other);
        let what = match self.shared.store.written_as(&other).await? {
            WrittenAs { connection: true, .. } => "connection",
            WrittenAs { webhook: true, .. } => "webhook",
            WrittenAs { .. } => return Ok(None),
        };
        Ok(Some(GatewayError::Conflict(format!(
            "this client has a {what} as {}: write the number the same way",
            other.phone_number
        ))))
    }
}

fn at_limit(what: &str, key: &str, limit: u32) -> GatewayError {
    GatewayError::Conflict(format!(
        "limit reached: this client has {limit} {what}, as many as limits.{key} allows; delete one first"
    ))
}

fn conflict<T>(text: &str) -> Result<T, GatewayError> {
    Err(GatewayError::Conflict(text.to_owned()))
}

/// That a webhook is pulled, where something sent was to be `done`.
fn pulled<T>(done: &str) -> Result<T, GatewayError> {
    conflict(&format!(
        "the webhook is pulled, not pushed: nothing is sent that could be {done}; GET /api/events has its events"
    ))
}

pub(crate) fn restarting() -> GatewayError {
    GatewayError::Unavailable("this part of the gateway is being restarted; try again in a moment".to_owned())
}

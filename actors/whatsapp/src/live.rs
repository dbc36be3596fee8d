//! The real link: one whatsapp-rust client for each open number.
//!
//! - Every task of a client runs on the runtime that opened its link, and is counted; a closed link has none left.
//! - The client's own reconnecting is off, but for the moment between the scan and the first login: a link that breaks
//!   ends, and the session actor owns back-off.
//! - Two clients with the same keys destroy them. So opening a number whose link was left open (its actor crashed)
//!   closes that one first.
//! - Keys are rows of the server's own database, encrypted (`live/keys.rs` says what holds).

mod acks;
mod acts;
mod audience;
mod awaited;
mod calls;
mod compose;
mod convert;
mod dial;
mod driver;
mod follow;
mod groups;
mod http;
mod ids;
mod inbound;
mod invites;
mod keys;
mod lane;
mod meaning;
mod members;
mod memory;
mod numbers;
mod online;
mod proxy;
mod reporter;
mod resolver;
mod resync;
mod reupload;
mod runtime;
mod seen;
mod send;
mod session;
mod silence;
mod subjects;
mod tellers;
mod texts;
mod timers;
mod transport;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use wharf_domain::{ConnectionKey, address::TargetPolicy, session::Patience};
use wharf_store::{KeyChange, KeyKind};
use whatsapp_rust::wacore::store::DevicePropsOverride;
use whatsapp_rust::{CacheConfig, Client, store::persistence_manager::PersistenceManager};

pub use awaited::report_of;
pub use http::{Http, HttpRequest, HttpResponse};
pub use resolver::Resolver;

pub(crate) use self::reporter::now;
use self::{
    driver::{Driver, Finish},
    follow::Follow,
    http::{ClientHttp, VersionSource},
    inbound::{Aside, Ear, Hook, Inbound, watch},
    keys::DeviceKeys,
    memory::Memory,
    reporter::Reporter,
    resolver::SystemResolver,
    resync::Resync,
    runtime::LinkRuntime,
    session::{Control, LiveLink},
    timers::Timers,
    transport::Dialer,
};
use crate::{Inbox, KeyStore, KeysError, Link, LinkError, LinkEvents, LinkFactory, LinkOptions};

/// One-time prekeys made at a time. The client's 812 are a phone's habit: they cost most of the time and space of a
/// first login. A hundred last for a hundred first messages of new senders, more are made when they run low, and a
/// sender who finds none uses the signed prekey.
const PREKEYS: usize = 100;
/// How long a message that was sent can be sent once more to a device that could not decrypt it. The client's two hours are over
/// when a phone is switched on in the morning: the message stays "Waiting for this message" there for ever, and so do the next
/// ones, since the client answers nothing, not even with new keys, for a message that it does not have. A weekend passes.
const SENT_KEPT: Duration = Duration::from_hours(72);
/// How often the client writes changed device state that nothing else has flushed: its own default.
const DEVICE_SAVE: Duration = Duration::from_secs(30);
/// How often a device that is not seen online says for a moment that it is there: otherwise it is unlinked after two weeks.
const SEEN: Duration = Duration::from_hours(12);
/// How long an inbox may refuse a message before the link is given up. Long enough for a database to come back, short
/// enough that a server which waits for the ack does not drop the connection first.
const INBOX_PATIENCE: Duration = Duration::from_secs(30);
/// How long a message that cannot be decrypted is waited for. A sender who is online answers in seconds; one who is not may
/// take days, and what comes then is an event of its own.
const UNDECRYPTABLE_PATIENCE: Duration = Duration::from_secs(180);
/// How long a new link may take to bring what is missing, before what was due meanwhile is reported.
const NEW_LINK_PATIENCE: Duration = Duration::from_secs(60);

/// How links are made.
#[derive(Clone)]
pub struct LiveConfig {
    /// A server to use instead of WhatsApp's (`ws://…/ws/chat`). Only with the cargo feature `testnet`.
    pub server_url: Option<String>,
    /// The name that a phone shows for the linked device.
    pub device_name: String,
    /// For WhatsApp Web's version and for app state (contacts, the account's push name). A link to WhatsApp itself wants
    /// one: without, the version is a pinned one that WhatsApp will refuse some day, and after pairing the client
    /// reconnects every three minutes in search of its app state. A test network needs none.
    pub http: Option<Arc<dyn Http>>,
    /// Where the version is looked up, if not at WhatsApp Web. Also with a test network, which has no web site.
    pub version_url: Option<String>,
    /// Looks up WhatsApp's host and proxies.
    pub resolver: Arc<dyn Resolver>,
    /// Which addresses a connection's own proxy may have.
    pub proxies: TargetPolicy,
    /// How long an inbox may refuse a message before the link is given up.
    pub inbox_patience: Duration,
    /// How long a message that cannot be decrypted is waited for before it is reported as `unknown`.
    pub undecryptable_patience: Duration,
    /// How long WhatsApp may say nothing while a link is opened.
    pub opening_silence: Duration,
    /// Whether the history that a phone sends after linking is taken in. Where it is not, the client reads it all the same for
    /// what it needs itself: by which tokens people let the account write to them, and whose hidden id is whose number.
    pub history_sync: bool,
    /// How often a device that is not seen online says for a moment that it is there.
    pub seen_every: Duration,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            server_url: None,
            device_name: "Wharf".to_owned(),
            http: None,
            version_url: None,
            resolver: Arc::new(SystemResolver),
            proxies: TargetPolicy::default(),
            inbox_patience: INBOX_PATIENCE,
            undecryptable_patience: UNDECRYPTABLE_PATIENCE,
            opening_silence: Patience::default().opening,
            history_sync: false,
            seen_every: SEEN,
        }
    }
}

/// Opens links to WhatsApp.
pub struct LiveFactory {
    config: LiveConfig,
    keys: KeyStore,
    versions: Arc<VersionSource>,
    open: Mutex<HashMap<ConnectionKey, Control>>,
    memories: Mutex<HashMap<ConnectionKey, Arc<Memory>>>,
}

impl LiveFactory {
    /// Links whose keys are in `keys`.
    ///
    /// # Errors
    /// `LinkError` when `server_url` is set in a build without the feature `testnet`.
    pub fn new(config: LiveConfig, keys: KeyStore) -> Result<Self, LinkError> {
        if config.server_url.is_some() && !cfg!(feature = "testnet") {
            return Err(LinkError(
                "a server other than WhatsApp's needs a build with the cargo feature `testnet`".to_owned(),
            ));
        }
        // A test network is not WhatsApp: nothing about it is to be learned there.
        let http = config.http.clone();
        let versions = match &config.version_url {
            Some(url) => VersionSource::at(url, http),
            None => VersionSource::new(http.filter(|_| config.server_url.is_none())),
        };
        Ok(Self {
            config,
            keys,
            versions: Arc::new(versions),
            open: Mutex::default(),
            memories: Mutex::default(),
        })
    }

    /// What the links of a number remember; before the first one, also what the process before this one waited for.
    async fn memory(&self, key: &ConnectionKey, inbox: &dyn Inbox) -> Result<Arc<Memory>, LinkError> {
        let memory = Arc::clone(self.memories.lock().entry(key.clone()).or_default());
        let patience = self.config.undecryptable_patience;
        if !memory.awaited().is_loaded() {
            let rows = inbox.awaited().await?;
            let unreadable = memory.awaited().load(&rows, Instant::now(), now(), patience);
            if !unreadable.is_empty()
                && let Err(refused) = inbox.commit(unreadable.into_iter().map(Into::into).collect()).await
            {
                tracing::warn!(%refused, "rows that cannot be read are left");
            }
        }
        memory
            .awaited()
            .postpone(Instant::now() + patience.min(NEW_LINK_PATIENCE));
        Ok(memory)
    }

    async fn inbound(
        &self,
        key: &ConnectionKey,
        runtime: &LinkRuntime,
        reporter: &Arc<Reporter>,
        inbox: Arc<dyn Inbox>,
        keys: Arc<DeviceKeys>,
    ) -> Result<Arc<Inbound>, LinkError> {
        let memory = self.memory(key, inbox.as_ref()).await?;
        let timers = Timers::new(Arc::clone(&memory), keys);
        Ok(Arc::new(Inbound {
            inbox,
            reporter: Arc::clone(reporter),
            runtime: runtime.clone(),
            memory,
            timers: Arc::new(timers),
            patience: self.config.inbox_patience,
            undecryptable_patience: self.config.undecryptable_patience,
            lane: Mutex::default(),
            moved: Notify::new(),
            follow: Follow::default(),
            typing: tokio::sync::Mutex::default(),
        }))
    }

    /// Takes a number for a new link, after closing one that was left open.
    async fn claim(&self, key: &ConnectionKey, control: Option<&Control>) {
        loop {
            let left_open = {
                let mut open = self.open.lock();
                open.retain(|_, link| !link.done.is_cancelled());
                match (open.get(key), control) {
                    (Some(link), _) => link.clone(),
                    (None, Some(control)) => {
                        open.insert(key.clone(), control.clone());
                        return;
                    }
                    (None, None) => return,
                }
            };
            tracing::warn!(client_id = %key.client_id, phone_number = %key.phone_number, "closing a link that was left open");
            left_open.close().await;
        }
    }

    async fn client(
        &self,
        options: LinkOptions,
        runtime: &LinkRuntime,
        inbound: &Arc<Inbound>,
        keys: Arc<DeviceKeys>,
    ) -> Result<Arc<Client>, LinkError> {
        let reporter = &inbound.reporter;
        let device = PersistenceManager::new(keys).await;
        let device = device.map_err(|error| unreadable(&keys::reason(&error)))?;
        let build = Client::builder()
            .with_runtime(runtime.clone())
            .with_persistence_manager(Arc::new(device))
            .with_transport_factory(Dialer::new(
                self.config.server_url.as_deref(),
                options.proxy.clone().map(|proxy| (proxy, self.config.proxies.clone())),
                Arc::clone(&self.config.resolver),
                Arc::clone(reporter),
            ))
            .with_http_client(ClientHttp {
                http: self.config.http.clone(),
                proxy: options.proxy.clone(),
            })
            .with_inbound_durability_hook(Hook(Arc::clone(inbound)))
            .with_cache_config(CacheConfig {
                sent_message_ttl_secs: SENT_KEPT.as_secs(),
                seed_msg_secrets_from_history: self.config.history_sync,
                ..CacheConfig::default()
            })
            .with_wanted_pre_key_count(PREKEYS)
            .with_background_saver_interval(DEVICE_SAVE)
            .build()
            .await;
        let client = build
            .map_err(|error| LinkError(format!("cannot start a WhatsApp client: {error}")))?
            .into_client();
        client
            .enable_auto_reconnect
            .store(false, std::sync::atomic::Ordering::Relaxed);
        if client.pn().is_none() {
            let name = options.device_name.as_ref().unwrap_or(&self.config.device_name);
            client.set_device_props(DevicePropsOverride::new().with_os(name)).await;
        }
        // What cannot be decrypted is waited for before what is behind it in the lane goes on.
        let aside = Aside {
            inbound: Arc::clone(inbound),
            client: Arc::downgrade(&client),
            takes_history: self.config.history_sync,
        };
        client.subscribe_handler(Arc::new(aside)).detach();
        client.subscribe_handler(Arc::new(Ear::new(inbound, &client))).detach();
        reporter.listen(&client);
        online::see_to(&client, inbound, self.config.seen_every);
        client
            .subscribe_handler(Arc::new(Resync::new(runtime, &client)))
            .detach();
        watch(inbound);
        Ok(client)
    }
}

fn unreadable(why: &str) -> LinkError {
    LinkError(format!("cannot read the WhatsApp keys: {why}"))
}

#[async_trait]
impl LinkFactory for LiveFactory {
    async fn open(
        &self,
        key: &ConnectionKey,
        options: LinkOptions,
        events: LinkEvents,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Arc<dyn Link>, LinkError> {
        let runtime = LinkRuntime::current().ok_or_else(|| LinkError("no tokio runtime to run the link on".into()))?;
        let control = Control {
            reporter: Reporter::new(key.clone(), events),
            done: CancellationToken::new(),
        };
        let reporter = Arc::clone(&control.reporter);
        self.claim(key, Some(&control)).await;
        let finish = Finish {
            reporter: Arc::clone(&reporter),
            done: control.done.clone(),
        };

        let proxy = options.proxy.clone();
        let building = async {
            let keys = DeviceKeys::new(&self.keys, Arc::clone(&reporter), self.config.inbox_patience);
            let keys = Arc::new(keys.map_err(|error| unreadable(&error.to_string()))?);
            let inbound = self.inbound(key, &runtime, &reporter, inbox, Arc::clone(&keys)).await?;
            let client = self.client(options, &runtime, &inbound, Arc::clone(&keys)).await?;
            Ok((inbound, client, keys))
        };
        let (inbound, client, keys) = match building.await {
            Ok(built) => built,
            Err(error) => {
                reporter.discard();
                return Err(error);
            }
        };
        let link = LiveLink {
            client: Arc::downgrade(&client),
            runtime: runtime.clone(),
            control,
            memory: Arc::clone(&inbound.memory),
            timers: Arc::clone(&inbound.timers),
            inbound: Arc::downgrade(&inbound),
        };
        let driver = Driver {
            client,
            keys,
            runtime: runtime.clone(),
            versions: Arc::clone(&self.versions),
            proxy,
            opening_silence: self.config.opening_silence,
            finish,
        };
        runtime.start_driver(driver.drive());
        Ok(Arc::new(link))
    }

    async fn forget(&self, key: &ConnectionKey) -> Result<(), KeysError> {
        self.claim(key, None).await;
        self.memories.lock().remove(key);
        let device = KeyChange::Remove(KeyKind::Device, Vec::new());
        self.keys.keeper.commit(key, vec![device]).await
    }
}

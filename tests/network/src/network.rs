//! The handle through which tests, the demo and the binary use the network.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::state::{Command, World};
use crate::{
    Account, DeviceView, NetworkError, NewMessage, ReceiptRecord, ReceivedMessage, SentMessage, Stats, admin, reading,
    serve, state,
};

/// Accounts made for devices that name none get numbers from here on.
const FIRST_NUMBER: u64 = 559_980_000_001;

/// Where the network listens.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The address of the WebSocket and the admin routes; port 0 picks a free one.
    pub listen: SocketAddr,
    /// A second address for the admin routes alone.
    pub admin: Option<SocketAddr>,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            admin: None,
        }
    }
}

/// A running network. Clones share it; it runs until [`Network::stop`] or until the last clone is dropped.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    world: Arc<World>,
    listen: SocketAddr,
    admin: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    servers: tokio::sync::Mutex<JoinSet<()>>,
    /// Accounts of devices that were scanned by name.
    named: Mutex<Named>,
}

impl Inner {
    fn close_links(&self) {
        self.stop.send_replace(true);
        for link in self.world.links.of(None) {
            link.tell(Command::Close(None));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close_links();
    }
}

#[derive(Default)]
struct Named {
    phones: HashMap<String, String>,
    made: u64,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("listen", &self.inner.listen)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// Starts listening and returns at once.
    ///
    /// # Errors
    /// [`NetworkError::Listen`] if an address cannot be bound.
    pub async fn start(config: NetworkConfig) -> Result<Network, NetworkError> {
        let world = Arc::new(World::new()?);
        let (main, listen) = bind(config.listen)?;
        // Set once: the world is new.
        let _ = world.media_host.set(listen.to_string());
        let second = match config.admin {
            Some(addr) => Some(bind(addr)?),
            None => None,
        };
        let (stop, stopped) = watch::channel(false);
        let network = Self {
            inner: Arc::new(Inner {
                world: Arc::clone(&world),
                listen,
                admin: second.as_ref().map(|(_, addr)| *addr),
                stop,
                servers: tokio::sync::Mutex::new(JoinSet::new()),
                named: Mutex::default(),
            }),
        };
        let mut servers = network.inner.servers.lock().await;
        servers.spawn(admin::serve_all(main, network.downgrade(), world, stopped.clone()));
        if let Some((listener, _)) = second {
            servers.spawn(admin::serve_admin(listener, network.downgrade(), stopped));
        }
        drop(servers);
        Ok(network)
    }

    /// `ws://127.0.0.1:PORT/ws/chat`, for the client.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws/chat", self.inner.listen)
    }

    /// `http://127.0.0.1:PORT`, the base of the admin routes; the second address if one was asked for.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.inner.admin.unwrap_or(self.inner.listen))
    }

    /// `http://127.0.0.1:PORT`, the media store. Clients build `https://HOST/…` links for WhatsApp's media hosts and for
    /// the one that `media_conn` names; each of them is served here under the same path.
    #[must_use]
    pub fn media_url(&self) -> String {
        format!("http://{}", self.inner.listen)
    }

    /// The public key of the root that signs the server's certificates, made anew at every start. A client that can be
    /// told to trust it need not turn its checks off.
    #[must_use]
    pub fn root_key(&self) -> [u8; 32] {
        self.inner.world.identity.root
    }

    /// Makes an account with a primary phone, or returns the one that exists.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] if `phone` is not 8 to 15 digits.
    pub async fn create_account(&self, phone: &str) -> Result<Account, NetworkError> {
        Ok(self.inner.world.create(phone, None)?.view())
    }

    /// The account's phone scans a QR; returns the address of the device that it links.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] for an unknown account, [`NetworkError::Invalid`] for text that is no QR,
    /// [`NetworkError::Conflict`] for a QR that nobody shows any more.
    pub async fn scan(&self, phone: &str, qr: &str) -> Result<String, NetworkError> {
        let world = &self.inner.world;
        let account = world.account(phone)?;
        serve::pair(world, account, serve::read_qr(world, qr)?).await
    }

    /// A person types a pair code into the account's phone; returns the address of the device that it links.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] for an unknown account, [`NetworkError::Conflict`] if no device waits for a code of this
    /// number, or shows another one.
    pub async fn enter_pair_code(&self, phone: &str, code: &str) -> Result<String, NetworkError> {
        let world = &self.inner.world;
        let account = world.account(phone)?;
        serve::enter_pair_code(world, account, code).await
    }

    /// Scans with the account that belongs to the name the device gave itself, and makes one if there is none. A
    /// device without a name gets an account of its own. Returns the account and the device's address.
    ///
    /// # Errors
    /// As [`Network::scan`].
    pub async fn scan_by_name(&self, qr: &str) -> Result<(Account, String), NetworkError> {
        let world = &self.inner.world;
        let scanned = serve::read_qr(world, qr)?;
        let phone = self.phone_for(scanned.name());
        let account = world.create(&phone, scanned.name())?;
        let view = account.view();
        Ok((view, serve::pair(world, account, scanned).await?))
    }

    fn phone_for(&self, name: Option<&str>) -> String {
        let mut named = state::lock(&self.inner.named);
        if let Some(phone) = name.and_then(|name| named.phones.get(name)) {
            return phone.clone();
        }
        let phone = (FIRST_NUMBER + named.made).to_string();
        named.made += 1;
        if let Some(name) = name {
            named.phones.insert(name.to_owned(), phone.clone());
        }
        phone
    }

    /// `from`'s phone sends a text to the account or group `to`; returns the message id.
    ///
    /// # Errors
    /// As [`Network::send`].
    pub async fn send_text(&self, from: &str, to: &str, text: &str) -> Result<String, NetworkError> {
        Ok(self.send(from, to, &NewMessage::text(text)).await?.id)
    }

    /// `from`'s phone sends a message of any kind to the account or group `to`.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if an account, a group or a message that is named does not exist,
    /// [`NetworkError::Invalid`] if the content does not fit, [`NetworkError::Conflict`] if the account may not write
    /// to the group.
    pub async fn send(&self, from: &str, to: &str, message: &NewMessage) -> Result<SentMessage, NetworkError> {
        serve::send(&self.inner.world, from, to, message).await
    }

    /// What the account's phone received, oldest first; what later messages say about earlier ones is noted at both.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn messages(&self, phone: &str) -> Result<Vec<ReceivedMessage>, NetworkError> {
        Ok(reading::fold(self.inner.world.account(phone)?.received()))
    }

    /// The receipts for what the account's phone sent, oldest first.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn receipts(&self, phone: &str) -> Result<Vec<ReceiptRecord>, NetworkError> {
        Ok(self.inner.world.account(phone)?.receipts())
    }

    /// The account's linked devices.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn devices(&self, phone: &str) -> Result<Vec<DeviceView>, NetworkError> {
        let devices = self.inner.world.account(phone)?.devices();
        Ok(devices.iter().map(|device| device.view()).collect())
    }

    /// The account's phone unlinks a device.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account or the device does not exist.
    pub async fn unlink(&self, phone: &str, device: u16) -> Result<(), NetworkError> {
        let account = self.inner.world.account(phone)?;
        if serve::unlink(&self.inner.world, &account, device).await {
            return Ok(());
        }
        Err(NetworkError::NotFound(format!(
            "account {} has no linked device {device}",
            account.phone
        )))
    }

    /// Counters and what is open now.
    pub async fn stats(&self) -> Stats {
        self.inner.world.stats()
    }

    /// Closes every socket and stops listening.
    pub async fn stop(self) {
        self.inner.close_links();
        let mut servers = self.inner.servers.lock().await;
        servers.shutdown().await;
    }

    /// What the network knows.
    pub(crate) fn world(&self) -> &Arc<World> {
        &self.inner.world
    }

    fn downgrade(&self) -> WeakNetwork {
        WeakNetwork {
            inner: Arc::downgrade(&self.inner),
        }
    }
}

/// A handle that does not keep the network running; the network's own servers hold it.
#[derive(Clone)]
pub(crate) struct WeakNetwork {
    inner: std::sync::Weak<Inner>,
}

impl WeakNetwork {
    /// The network, while it runs.
    ///
    /// # Errors
    /// [`NetworkError::Conflict`] when it is being stopped.
    pub(crate) fn get(&self) -> Result<Network, NetworkError> {
        let inner = self
            .inner
            .upgrade()
            .ok_or_else(|| NetworkError::Conflict("the network is stopping".to_owned()))?;
        Ok(Network { inner })
    }
}

/// Connections that may wait to be accepted, as for other servers.
const BACKLOG: u32 = 1024;

fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), NetworkError> {
    let failed = |source| NetworkError::Listen { addr, source };
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.map_err(failed)?;
    // Connections inherit it. Frames are small and many: none shall wait for the one before to be acknowledged.
    socket.set_nodelay(true).map_err(failed)?;
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(addr).map_err(failed)?;
    let listener = socket.listen(BACKLOG).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

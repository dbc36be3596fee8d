//! `wharf serve`: puts the parts together, and takes them apart in the right order.

use std::{
    future::Future,
    io::{ErrorKind, IsTerminal as _, Write, stdout},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use url::Url;
use wharf_actors::{Gateway, Settings, StartError, Web, open_files};
use wharf_domain::{TokenHash, media_link::PublicUrl};
use wharf_store::{Store, StoreError, StoreOptions, private};
use wharf_whatsapp::{KeyStore, LinkError, LinkFactory, LiveConfig, LiveFactory};

use crate::{
    clients::{self, ClientsError, WithToken},
    config::Config,
    http::{self, ServerLimits},
};

/// What a second signal exits with: 128 + SIGINT, as shells have it.
const IMPATIENT_EXIT: i32 = 130;

/// Why the gateway did not start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("http.listen = \"{0}\" cannot be listened on: {1}; {advice}", advice = advice(.1))]
    Bind(SocketAddr, std::io::Error),
    /// The directory of media.
    #[error("media.directory = {0:?} cannot be used: {1}; name a directory that this user may write to, or \"\"")]
    MediaDirectory(PathBuf, std::io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first client could not be made.
    #[error("the first client could not be made: {0}")]
    FirstClient(#[from] ClientsError),
    /// Its token could not be shown.
    #[error("the first client's token could not be shown: {0}; `wharf client rotate 1` makes another")]
    FirstToken(std::io::Error),
    /// The tree.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    /// The tree ended while it was to run. Nothing in the process can start it again.
    #[error("the supervision tree failed (the log says why); start wharf again")]
    TreeFailed,
}

/// What to do about an address that cannot be listened on.
fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "another program listens there: end it, or name another port",
        ErrorKind::AddrNotAvailable => "name an address that this machine has, or 0.0.0.0 for all of them",
        ErrorKind::PermissionDenied => "name a port from 1024, or let this user have the lower ones",
        _ => "name another address",
    }
}

/// A gateway that is up, behind an address that nobody is answered at yet.
pub struct Ready {
    gateway: Gateway,
    listener: TcpListener,
    limits: ServerLimits,
    operator: Option<TokenHash>,
    /// Where it listens; the port is the one that was given out when the configuration says 0.
    pub address: SocketAddr,
    /// The first client of a database that never had one, with its token.
    pub first_client: Option<WithToken>,
}

/// Runs until SIGTERM, SIGHUP or Ctrl-C.
///
/// # Errors
/// Why it did not start. Once it runs, a signal ends it, which is no error, or the failure of the whole tree.
pub async fn run(config: Config) -> Result<(), ServeError> {
    let shutdown = shutdown_signal()?;
    let ready = prepare(&config).await?;
    if let Some(client) = &ready.first_client {
        announce(client).map_err(ServeError::FirstToken)?;
    }
    tracing::info!(address = %ready.address, version = env!("CARGO_PKG_VERSION"), "listening");
    let gateway = ready.gateway().clone();
    let mut failed = false;
    let stop = async {
        tokio::select! {
            () = shutdown => {}
            () = gateway.ended() => failed = true,
        }
    };
    ready.serve(stop).await;
    if failed {
        return Err(ServeError::TreeFailed);
    }
    tracing::info!("stopped");
    Ok(())
}

/// Puts the parts together.
///
/// # Errors
/// The first part that cannot be had.
pub async fn prepare(config: &Config) -> Result<Ready, ServeError> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let open_files = open_files::raise();
    let max_connections = open_files::for_the_api(config.http.max_connections, open_files);
    if max_connections < config.http.max_connections {
        tracing::warn!(
            ?open_files,
            "http.max_connections is {max_connections}, half of the files that this process may have open; raise that limit"
        );
    }
    // The address and the database's lock come first: a second server by mistake ends here, before it has bothered
    // WhatsApp. Connections that come early wait in the kernel's queue.
    let listen = config.http.listen;
    let cannot_bind = |error| ServeError::Bind(listen, error);
    let listener = TcpListener::bind(listen).await.map_err(cannot_bind)?;
    let address = listener.local_addr().map_err(cannot_bind)?;
    let store = open(config).await?;
    if let Some(directory) = &config.gateway.media.directory {
        check_writable(directory).map_err(|error| ServeError::MediaDirectory(directory.clone(), error))?;
    }
    let gateway = Gateway::start_with(settings(config, address), store.clone(), |keys| links(config, keys)).await?;
    // Last: its token is shown once, which a start that fails behind this would not come to.
    let first_client = match first_client(&store).await {
        Ok(first_client) => first_client,
        Err(error) => {
            gateway.stop().await;
            return Err(error);
        }
    };
    let limits = ServerLimits {
        request_timeout: config.http.request_timeout,
        header_timeout: config.http.header_timeout,
        idle_timeout: config.http.idle_timeout,
        max_header_bytes: config.http.max_header_bytes,
        max_connections,
        max_requests_per_client: match config.http.max_requests_per_client {
            0 => (max_connections / 2).max(1),
            most => most,
        },
    };
    Ok(Ready {
        gateway,
        listener,
        limits,
        operator: config.http.metrics_token,
        address,
        first_client,
    })
}

impl Ready {
    /// The gateway, for a program that has it inside and looks at it.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Serves until `shutdown` ends, then stops in this order: no new requests, running requests, sessions, running
    /// attempts, last commit.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let desk = Arc::new(self.gateway.clone());
        http::serve(self.listener, desk, self.limits, self.operator, shutdown).await;
        tracing::info!("no more requests; closing sessions");
        self.gateway.stop().await;
    }
}

/// Makes a directory that is not there, and tries to write: files that arrive later would be lost for their events.
fn check_writable(directory: &Path) -> std::io::Result<()> {
    private::make_directory(directory)?;
    let file = directory.join(format!(".wharf-{}", std::process::id()));
    std::fs::write(&file, [])?;
    std::fs::remove_file(&file)
}

async fn open(config: &Config) -> Result<Store, StoreError> {
    let options = StoreOptions {
        url: config.store.url.clone(),
        readers: config.store.readers,
        exclusive: true,
    };
    Store::open(&options).await
}

fn links(config: &Config, keys: KeyStore) -> Result<Arc<dyn LinkFactory>, LinkError> {
    let targets = &config.gateway.targets;
    let web = Web::new(targets.clone(), test_network(config)).map_err(|error| LinkError(error.to_string()))?;
    let live = LiveConfig {
        server_url: config.whatsapp.server_url.clone(),
        resolver: web.resolver(),
        proxies: targets.clone(),
        device_name: config.whatsapp.device_name.clone(),
        history_sync: config.whatsapp.history_sync,
        undecryptable_patience: config.whatsapp.undecryptable_wait,
        opening_silence: config.gateway.patience.opening,
        http: Some(Arc::new(web)),
        ..LiveConfig::default()
    };
    Ok(Arc::new(LiveFactory::new(live, keys)?))
}

/// What links to media and to pages begin with when the configuration does not say it: where the API listens, on this machine.
fn local_url(mut address: SocketAddr) -> Option<PublicUrl> {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}").parse().ok()
}

/// The media store of a test network: on the port of its WebSocket.
fn test_network(config: &Config) -> Option<Url> {
    let rest = config.whatsapp.server_url.as_deref()?.strip_prefix("ws")?;
    Url::parse(&format!("http{rest}")).ok()
}

fn settings(config: &Config, address: SocketAddr) -> Settings {
    let mut settings = config.gateway.clone();
    settings.media.public_url = config.http.public_url.clone().or_else(|| local_url(address));
    settings.media.test_network = test_network(config);
    settings
}

/// Makes the first client of a database that never had one.
async fn first_client(store: &Store) -> Result<Option<WithToken>, ServeError> {
    if !store.ever_had_clients().await? {
        return Ok(Some(clients::add(store, "default").await?));
    }
    Ok(None)
}

/// Shows the first client's token on standard output, apart from the log.
fn announce(client: &WithToken) -> std::io::Result<()> {
    let WithToken { id, name, token } = client;
    let rule = "-".repeat(78);
    let mut out = stdout().lock();
    writeln!(
        out,
        "{rule}\nThis database is new. Its first client is {id} ({name}), with this token, shown this once:"
    )?;
    writeln!(out, "\n    {token}\n\n{rule}")?;
    out.flush()
}

/// Ends at the first SIGTERM, SIGHUP (the terminal was closed) or Ctrl-C; at a second SIGTERM or Ctrl-C the process exits where it stands. A
/// terminal that is closed says so more than once.
fn shutdown_signal() -> Result<impl Future<Output = ()> + Send, ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let mut hangup = match hangup_is_ignored() {
        false => Some(signal(SignalKind::hangup()).map_err(ServeError::Signals)?),
        true => None,
    };
    let (first, stop) = oneshot::channel();
    tokio::spawn(async move {
        let mut first = Some(first);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                Some(_) = next(&mut hangup), if first.is_some() => {}
            }
            match first.take() {
                Some(first) => {
                    tracing::info!("stopping; a second signal stops at once");
                    let _ = first.send(());
                }
                None => std::process::exit(IMPATIENT_EXIT),
            }
        }
    });
    Ok(async {
        let _ = stop.await;
    })
}

/// Whether the process was started to outlive its terminal, as `nohup` does it. Where the system does not say that, as on macOS: whether
/// it writes to none, which `nohup` sees to.
fn hangup_is_ignored() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return !std::io::stdout().is_terminal() && !std::io::stderr().is_terminal();
    };
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

/// The next one of a signal that may not be listened to.
async fn next(signals: &mut Option<Signal>) -> Option<()> {
    match signals {
        Some(signals) => signals.recv().await,
        None => None,
    }
}

#[cfg(test)]
mod tests;

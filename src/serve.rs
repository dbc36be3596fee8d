//! `wharf serve`: puts the parts together, and takes them apart in the right order.

use std::{
    future::Future,
    io::{Write, stdout},
    net::SocketAddr,
    sync::Arc,
};

use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use wharf_actors::{Gateway, Settings, StartError};
use wharf_domain::address::TargetPolicy;
use wharf_store::{Store, StoreError, StoreOptions};
use wharf_whatsapp::{LinkError, LinkFactory, LiveConfig, LiveFactory};

use crate::{
    clients::{self, ClientsError},
    config::Config,
    http::{self, Limits},
};

/// What a second signal exits with: 128 + SIGINT, as shells have it.
const IMPATIENT_EXIT: i32 = 130;

/// Why the gateway did not start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("http.listen = \"{0}\" cannot be listened on: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first client could not be made.
    #[error("the first client could not be made: {0}")]
    FirstClient(#[from] ClientsError),
    /// Its token could not be shown.
    #[error("the first client's token could not be shown: {0}; `wharf client rotate 1` makes another")]
    FirstToken(std::io::Error),
    /// The link to WhatsApp.
    #[error("whatsapp: {0}")]
    Link(#[from] LinkError),
    /// The tree.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// Why it did not start. Once it runs, only a signal ends it, and that is no error.
pub async fn run(config: Config) -> Result<(), ServeError> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shutdown = shutdown_signal()?;
    // The address and the database's lock come first: a second server by mistake ends here, before it has bothered
    // WhatsApp. Connections that come early wait in the kernel's queue.
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| ServeError::Bind(listen, error))?;
    let store = open(&config).await?;
    first_client(&store).await?;
    let links = links(&config)?;
    let gateway = Gateway::start(settings(&config), store, links).await?;
    let address = listener.local_addr().unwrap_or(listen);
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    let limits = Limits {
        request_timeout: config.http.request_timeout,
        max_connections: config.http.max_connections,
    };
    http::serve(listener, Arc::new(gateway.clone()), limits, shutdown).await;
    tracing::info!("no more requests; closing sessions");
    gateway.stop().await;
    tracing::info!("stopped");
    Ok(())
}

async fn open(config: &Config) -> Result<Store, StoreError> {
    let options = StoreOptions {
        url: config.store.url.clone(),
        readers: config.store.readers,
        exclusive: true,
    };
    Store::open(&options).await
}

fn links(config: &Config) -> Result<Arc<dyn LinkFactory>, LinkError> {
    let mut live = LiveConfig::new(&config.whatsapp.keys);
    live.server_url.clone_from(&config.whatsapp.server_url);
    live.device_name.clone_from(&config.whatsapp.device_name);
    Ok(Arc::new(LiveFactory::new(live)?))
}

fn settings(config: &Config) -> Settings {
    let delivery = &config.delivery;
    Settings {
        bulkheads: config.sessions.bulkheads,
        session_starts_per_second: config.sessions.start_per_second,
        max_in_flight: delivery.max_in_flight,
        max_in_flight_per_client: delivery.max_in_flight_per_client,
        max_in_flight_per_webhook: delivery.max_in_flight_per_webhook,
        targets: TargetPolicy {
            allow_http: delivery.allow_http,
            allow_private_networks: delivery.allow_private_networks,
        },
        extra_roots_pem: delivery.extra_roots_pem.clone(),
        ..Settings::default()
    }
}

/// Makes the first client of a database that never had one, and shows its token on standard output, apart from the log.
async fn first_client(store: &Store) -> Result<(), ServeError> {
    if !store.clients().await?.is_empty() || !store.removed_clients().await?.is_empty() {
        return Ok(());
    }
    let client = clients::add(store, "default").await?;
    let rule = "-".repeat(78);
    let text = format!(
        "{rule}\nThis database is new. Its first client is {} ({}), with this token, shown this once:\n\n    {}\n\n{rule}\n",
        client.id, client.name, client.token
    );
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(ServeError::FirstToken)
}

/// Ends at the first SIGTERM or Ctrl-C; at the second one the process exits where it stands.
fn shutdown_signal() -> Result<impl Future<Output = ()> + Send, ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let (first, stop) = oneshot::channel();
    tokio::spawn(async move {
        let mut first = Some(first);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
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

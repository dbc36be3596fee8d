//! The three processes that a real installation has, in this one: WhatsApp, the gateway, a receiver.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use wharf_testnet::{Network, NetworkConfig};

use super::{DemoError, api::Api, receiver::Receiver, script};
use crate::{
    config::Config,
    serve::{self, Ready, ServeError},
};

/// The gateway gives requests and attempts ten seconds each when it stops.
const STOPS_WITHIN: Duration = Duration::from_secs(25);

/// Everything that runs.
pub(super) struct Stage {
    pub(super) network: Network,
    pub(super) receiver: Receiver,
    pub(super) api: Api,
    close: oneshot::Sender<()>,
    gateway: JoinHandle<()>,
    directory: TempDir,
}

impl Stage {
    /// Starts everything; the gateway on a new database.
    pub(super) async fn set(config: Config, any_port: bool) -> Result<Self, DemoError> {
        let directory = tempfile::Builder::new()
            .prefix("wharf-demo-")
            .tempdir()
            .map_err(DemoError::Directory)?;
        let network = Network::start(NetworkConfig::default()).await?;
        network.create_account(script::NUMBER).await?;
        for contact in &script::CONTACTS {
            network.create_account(contact.phone).await?;
        }
        let receiver = Receiver::start().await?;
        let mut ready = prepare(adapted(config, &directory, &network), any_port).await?;
        let token = ready.first_client.take().ok_or(DemoError::NoToken)?.token;
        let api = Api::new(ready.address, token)?;
        let (close, closed) = oneshot::channel();
        let gateway = tokio::spawn(ready.serve(async {
            let _ = closed.await;
        }));
        Ok(Self {
            network,
            receiver,
            api,
            close,
            gateway,
            directory,
        })
    }

    /// Stops everything, the gateway first, and removes what it wrote.
    pub(super) async fn strike(self) {
        // Fails only if it has ended by itself.
        let _ = self.close.send(());
        match timeout(STOPS_WITHIN, self.gateway).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the gateway ended badly"),
            Err(_) => tracing::error!("the gateway did not stop within {STOPS_WITHIN:?}"),
        }
        self.network.stop().await;
        let path = self.directory.path().to_owned();
        if let Err(error) = self.directory.close() {
            tracing::error!(%error, path = %path.display(), "the temporary directory is still there");
        }
    }
}

/// The user's configuration, in a world of its own.
fn adapted(mut config: Config, directory: &TempDir, network: &Network) -> Config {
    config.store.url = format!("sqlite://{}", directory.path().join("wharf.db").display());
    // Beside that database: a gateway removes files that no row of its database knows of.
    config.gateway.media.directory = None;
    config.whatsapp.server_url = Some(network.ws_url());
    config.gateway.targets.allow_http = true;
    config.gateway.targets.allow_private_networks = true;
    config
}

async fn prepare(mut config: Config, any_port: bool) -> Result<Ready, ServeError> {
    match Box::pin(serve::prepare(&config)).await {
        Err(ServeError::Bind(_, error)) if any_port && error.kind() == ErrorKind::AddrInUse => {
            config.http.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            Box::pin(serve::prepare(&config)).await
        }
        done => done,
    }
}

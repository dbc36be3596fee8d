//! The test network as a process of its own.

use std::io;

use serde_json::json;
use wharf_testnet::{Network, NetworkConfig};

use crate::{print_line, process::Failure};

/// Says on standard output where it listens, and runs until its standard input ends.
pub(crate) async fn run() -> Result<(), Failure> {
    let network = Network::start(NetworkConfig::default()).await?;
    print_line(&json!({"ws": network.ws_url(), "admin": network.admin_url()}));
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    network.stop().await;
    Ok(())
}

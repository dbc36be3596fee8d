//! The test network as a process of its own.

use serde_json::json;
use tokio::io::AsyncReadExt;
use wharf_testnet::{Network, NetworkConfig};

use crate::{print_line, world::Failure};

/// Says on standard output where it listens, and runs until its standard input ends.
pub(crate) async fn run() -> Result<(), Failure> {
    let network = Network::start(NetworkConfig::default()).await?;
    print_line(&json!({"ws": network.ws_url(), "admin": network.admin_url()}));
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    network.stop().await;
    Ok(())
}

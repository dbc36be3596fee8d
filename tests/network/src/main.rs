//! `wharf-testnet`: the network as a program of its own. Prints where it listens as one JSON line, and runs until
//! Ctrl-C or SIGTERM.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use wharf_testnet::{Network, NetworkConfig};

/// A local WhatsApp network that speaks the real wire protocol.
#[derive(Parser)]
#[command(name = "wharf-testnet", version)]
struct Arguments {
    /// Address of the WebSocket and the admin routes; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A second address for the admin routes alone.
    #[arg(long)]
    admin: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the network cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let config = NetworkConfig {
        listen: arguments.listen,
        admin: arguments.admin,
    };
    let network = Network::start(config).await?;
    let root = BASE64_STANDARD.encode(network.root_key());
    let line = serde_json::json!({
        "ws": network.ws_url(), "admin": network.admin_url(), "media": network.media_url(), "root": root,
    });
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    network.stop().await;
    Ok(())
}

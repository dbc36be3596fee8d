//! The facade over real sockets, against a desk that remembers in memory.

mod acting;
mod bodies;
mod client;
mod crowd;
mod fake;
mod groups;
mod hostile;
mod link_page;
mod lists;
mod log;
mod media;
mod openapi;
mod people;
mod pictures;
mod pulled;
mod requests;
mod room;
mod sending;
mod sockets;
mod statuses;
mod table;
mod uploads;
mod values;
mod visible;
mod watching;
mod webhooks;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use wharf_domain::TokenHash;

use super::{ServerLimits, serve};
use client::Ask;
use fake::FakeDesk;

/// The token of client 1.
const ALPHA: &str = "alpha-token";
/// The token of client 2.
const BETA: &str = "beta-token";
/// The token for the metrics.
const OPERATOR: &str = "operator-token-0";
/// A number that client 1 has a connection and a webhook for.
const NUMBER: &str = "5511999999999";

/// Limits that no test runs into by accident.
pub(super) const LIMITS: ServerLimits = ServerLimits {
    request_timeout: Duration::from_secs(20),
    header_timeout: Duration::from_secs(20),
    idle_timeout: Duration::from_secs(60),
    max_header_bytes: 32 * 1024,
    max_connections: 100,
    max_requests_per_client: 50,
};

/// A running facade.
struct Facade {
    address: SocketAddr,
    desk: Arc<FakeDesk>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Facade {
    async fn start() -> Self {
        Self::start_with(LIMITS).await
    }

    async fn start_with(limits: ServerLimits) -> Self {
        Self::start_for(limits, Some(TokenHash::of(OPERATOR))).await
    }

    async fn start_for(limits: ServerLimits, operator: Option<TokenHash>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(FakeDesk::default());
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, desk.clone(), limits, operator, shutdown));
        Self {
            address,
            desk,
            stop: Some(stop),
            task,
        }
    }

    /// A request without token.
    fn bare(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.address, method, path)
    }

    /// A request of client 1.
    fn ask(&self, method: &str, path: &str) -> Ask {
        self.bare(method, path).token(ALPHA)
    }
}

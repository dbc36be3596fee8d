//! The WebSocket to WhatsApp, with a memory for why it could not be opened: the client keeps that to its log.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use whatsapp_rust::wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::{anyhow, async_channel, bytes::Bytes, transport::TokioWebSocketTransportFactory};

use super::reporter::Reporter;

/// How long saying goodbye on a socket may take. A peer that reads nothing would hold it up for ever.
const GOODBYE: Duration = Duration::from_secs(2);

pub(crate) struct Dialer {
    socket: TokioWebSocketTransportFactory,
    reporter: Arc<Reporter>,
}

impl Dialer {
    /// To WhatsApp, or to `server_url` instead.
    pub(crate) fn new(server_url: Option<&str>, reporter: Arc<Reporter>) -> Self {
        let socket = TokioWebSocketTransportFactory::new();
        let socket = match server_url {
            Some(url) => socket.with_url(url),
            None => socket,
        };
        Self { socket, reporter }
    }
}

#[async_trait]
impl TransportFactory for Dialer {
    async fn create_transport(
        &self,
    ) -> Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>), anyhow::Error> {
        match self.socket.create_transport().await {
            Ok((socket, events)) => {
                self.reporter
                    .hint("WhatsApp took the connection and then ended it".to_owned());
                Ok((Arc::new(Socket(socket)), events))
            }
            Err(error) => {
                self.reporter.hint(format!("WhatsApp could not be reached: {error:#}"));
                Err(error)
            }
        }
    }
}

struct Socket(Arc<dyn Transport>);

#[async_trait]
impl Transport for Socket {
    async fn send(&self, data: Bytes) -> Result<(), anyhow::Error> {
        self.0.send(data).await
    }

    async fn disconnect(&self) {
        let _ = tokio::time::timeout(GOODBYE, self.0.disconnect()).await;
    }
}

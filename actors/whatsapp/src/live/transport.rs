//! The WebSocket to WhatsApp, with a memory for why it could not be opened: the client keeps that to its log.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderValue, Uri, header::ORIGIN};
use tokio_websockets::ClientBuilder;
use wharf_domain::{address::TargetPolicy, proxy::Proxy};
use whatsapp_rust::transport::{Connector, TokioWebSocketTransportFactory, default_tls_connector, from_websocket};
use whatsapp_rust::wacore::net::{
    Transport, TransportEvent, TransportFactory, WHATSAPP_WEB_ORIGIN, WHATSAPP_WEB_WS_URL,
};
use whatsapp_rust::{anyhow, async_channel, bytes::Bytes};

use super::{proxy::tunnel, reporter::Reporter};
use crate::CloseReason;

/// How long saying goodbye on a socket may take. A peer that reads nothing would hold it up for ever.
const GOODBYE: Duration = Duration::from_secs(2);

type Opened = (Arc<dyn Transport>, async_channel::Receiver<TransportEvent>);

pub(crate) struct Dialer {
    url: String,
    /// The way there, if not direct, and where it may lead through.
    proxy: Option<(Proxy, TargetPolicy)>,
    reporter: Arc<Reporter>,
}

impl Dialer {
    /// To WhatsApp, or to `server_url` instead.
    pub(crate) fn new(server_url: Option<&str>, proxy: Option<(Proxy, TargetPolicy)>, reporter: Arc<Reporter>) -> Self {
        Self {
            url: server_url.unwrap_or(WHATSAPP_WEB_WS_URL).to_owned(),
            proxy,
            reporter,
        }
    }

    async fn dial(&self) -> Result<Opened, anyhow::Error> {
        match &self.proxy {
            Some((proxy, policy)) => self.dial_through(proxy, *policy).await,
            None => {
                let direct = TokioWebSocketTransportFactory::new().with_url(&self.url);
                direct.create_transport().await
            }
        }
    }

    /// As the client dials, but for the stream below it. TLS is spoken with WhatsApp, through the proxy.
    async fn dial_through(&self, proxy: &Proxy, policy: TargetPolicy) -> Result<Opened, anyhow::Error> {
        let uri: Uri = self.url.parse()?;
        let host = uri.host().ok_or_else(|| anyhow::anyhow!("{uri} names no host"))?;
        let encrypted = uri.scheme_str() == Some("wss");
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let stream = match tunnel(proxy, policy, host, port).await {
            Ok(stream) => stream,
            Err(error) => {
                self.reporter.end(CloseReason::ProxyFailed(error.to_string()));
                return Err(error.into());
            }
        };
        let connector = if encrypted {
            default_tls_connector()
        } else {
            Connector::Plain
        };
        let stream = connector.wrap(host, stream).await?;
        let origin = HeaderValue::from_static(WHATSAPP_WEB_ORIGIN);
        let builder = ClientBuilder::from_uri(uri.clone()).add_header(ORIGIN, origin)?;
        let (socket, _) = builder.connect_on(stream).await?;
        Ok(from_websocket(socket))
    }
}

#[async_trait]
impl TransportFactory for Dialer {
    async fn create_transport(&self) -> Result<Opened, anyhow::Error> {
        match self.dial().await {
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

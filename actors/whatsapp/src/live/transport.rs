//! The WebSocket to WhatsApp, with a memory for why it could not be opened: the client keeps that to its log.

use std::{
    io,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderValue, Uri, header::ORIGIN};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, client::Resumption},
};
use tokio_websockets::ClientBuilder;
use wharf_domain::{address::TargetPolicy, proxy::Proxy};
use whatsapp_rust::transport::{Connector, default_tls_connector, from_websocket};
use whatsapp_rust::wacore::net::{
    Transport, TransportEvent, TransportFactory, WHATSAPP_WEB_ORIGIN, WHATSAPP_WEB_WS_URL,
};
use whatsapp_rust::{anyhow, async_channel, bytes::Bytes};

use super::{dial, proxy::tunnel, reporter::Reporter};
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

    /// As the client itself dials, but for the stream below it. TLS is spoken with WhatsApp, also through a proxy.
    async fn dial(&self) -> Result<Opened, anyhow::Error> {
        let uri: Uri = self.url.parse()?;
        let host = uri.host().ok_or_else(|| anyhow::anyhow!("{uri} names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let encrypted = uri.scheme_str() == Some("wss");
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let stream = self.stream_to(host, port).await?;
        let stream = connector(encrypted).wrap(host, stream).await?;
        let origin = HeaderValue::from_static(WHATSAPP_WEB_ORIGIN);
        let builder = ClientBuilder::from_uri(uri.clone()).add_header(ORIGIN, origin)?;
        let (socket, _) = builder.connect_on(stream).await?;
        Ok(from_websocket(socket))
    }

    async fn stream_to(&self, host: &str, port: u16) -> Result<TcpStream, anyhow::Error> {
        let Some((proxy, policy)) = &self.proxy else {
            return Ok(direct(host, port).await?);
        };
        tunnel(proxy, *policy, host, port).await.map_err(|error| {
            self.reporter.end(CloseReason::ProxyFailed(error.to_string()));
            error.into()
        })
    }
}

/// A stream to the first address of the host that takes one.
async fn direct(host: &str, port: u16) -> io::Result<TcpStream> {
    let found = lookup_host((host, port)).await?;
    let opened = dial::first(found, TcpStream::connect).await;
    let stream = opened.map_err(|refusal| refusal.unwrap_or_else(|| io::ErrorKind::NotFound.into()))?;
    // Frames are small and many: Nagle's algorithm would hold each second one up until the first is acknowledged.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn connector(encrypted: bool) -> Connector {
    match (encrypted, TLS.as_ref()) {
        (false, _) => Connector::Plain,
        (true, Some(tls)) => Connector::Rustls(tls.clone()),
        (true, None) => default_tls_connector(),
    }
}

/// The client's own, but one for all links, because the roots are large; and nothing of a session is kept, because two
/// numbers that come by different proxies shall not be seen to be of one host. `None` if the client's is none of rustls.
static TLS: LazyLock<Option<TlsConnector>> = LazyLock::new(|| match default_tls_connector() {
    Connector::Rustls(connector) => {
        let mut config = ClientConfig::clone(connector.config());
        config.resumption = Resumption::disabled();
        Some(TlsConnector::from(Arc::new(config)))
    }
    Connector::Plain => None,
});

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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_frame_does_not_wait_for_the_one_before_to_be_acknowledged() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        assert!(direct("localhost", port).await.unwrap().nodelay().unwrap());
    }

    #[test]
    fn links_share_their_roots_and_keep_no_sessions() {
        let config = || match connector(true) {
            Connector::Rustls(tls) => Arc::clone(tls.config()),
            Connector::Plain => panic!("not encrypted"),
        };
        assert!(Arc::ptr_eq(&config(), &config()));
        let shown = format!("{:?}", config().resumption);
        assert!(shown.contains("NoClientSessionStorage"), "{shown}");
    }
}

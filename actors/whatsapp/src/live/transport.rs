//! The WebSocket to WhatsApp, with a memory for why it could not be opened: the client keeps that to its log.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderValue, Uri, header::ORIGIN};
use tokio::net::TcpStream;
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

use super::{
    dial,
    proxy::{ProxyError, tunnel},
    reporter::Reporter,
    resolver::{Resolver, resolve},
};
use crate::CloseReason;

/// How long saying goodbye on a socket may take. A peer that reads nothing would hold it up for ever.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long the way through a proxy may take, until WhatsApp has answered behind it. The client gives any dialing up after
/// 20 s, and does not say what it was waiting for.
const THROUGH_PROXY: Duration = Duration::from_secs(15);

type Opened = (Arc<dyn Transport>, async_channel::Receiver<TransportEvent>);

pub(crate) struct Dialer {
    url: String,
    /// The way there, if not direct, and where it may lead through.
    proxy: Option<(Proxy, TargetPolicy)>,
    proxy_patience: Duration,
    resolver: Arc<dyn Resolver>,
    reporter: Arc<Reporter>,
}

impl Dialer {
    /// To WhatsApp, or to `server_url` instead.
    pub(crate) fn new(
        server_url: Option<&str>,
        proxy: Option<(Proxy, TargetPolicy)>,
        resolver: Arc<dyn Resolver>,
        reporter: Arc<Reporter>,
    ) -> Self {
        Self {
            url: server_url.unwrap_or(WHATSAPP_WEB_WS_URL).to_owned(),
            proxy,
            proxy_patience: THROUGH_PROXY,
            resolver,
            reporter,
        }
    }

    async fn dial(&self) -> Result<Opened, anyhow::Error> {
        let uri: Uri = self.url.parse()?;
        let host = uri.host().ok_or_else(|| anyhow::anyhow!("{uri} names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let encrypted = uri.scheme_str() == Some("wss");
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let Some((proxy, policy)) = &self.proxy else {
            let stream = direct(self.addresses(host, port).await?).await?;
            return opened(&uri, host, encrypted, stream).await;
        };
        let through = async {
            let addresses = self.addresses(&proxy.host, proxy.port);
            let stream = tunnel(proxy, addresses, policy, host, port).await?;
            opened(&uri, host, encrypted, stream).await
        };
        let through = tokio::time::timeout(self.proxy_patience, through).await;
        let through = through.unwrap_or_else(|_| Err(ProxyError::Silent(proxy.place()).into()));
        through.inspect_err(|error| {
            if let Some(error) = error.downcast_ref::<ProxyError>() {
                self.reporter.end(CloseReason::ProxyFailed(error.to_string()));
            }
        })
    }

    async fn addresses(&self, host: &str, port: u16) -> io::Result<impl Iterator<Item = SocketAddr> + use<>> {
        resolve(self.resolver.as_ref(), self.reporter.key().client_id, host, port).await
    }
}

/// As the client itself opens one, but for the stream below it. TLS is spoken with WhatsApp, also through a proxy.
async fn opened(uri: &Uri, host: &str, encrypted: bool, stream: TcpStream) -> Result<Opened, anyhow::Error> {
    let stream = connector(encrypted).wrap(host, stream).await?;
    let origin = HeaderValue::from_static(WHATSAPP_WEB_ORIGIN);
    let builder = ClientBuilder::from_uri(uri.clone()).add_header(ORIGIN, origin)?;
    let (socket, _) = builder.connect_on(stream).await?;
    Ok(from_websocket(socket))
}

/// A stream to the first of a host's addresses that takes one.
async fn direct(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let opened = dial::first(addresses, TcpStream::connect).await;
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
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::mpsc,
    };
    use wharf_domain::ClientId;

    use super::*;
    use crate::{
        LinkEvent,
        live::{reporter::tests::reporter, resolver::SystemResolver},
    };

    /// One name is of this machine; the name servers of all others are dead.
    struct Hanging {
        asked: mpsc::UnboundedSender<(ClientId, String)>,
    }

    #[async_trait]
    impl Resolver for Hanging {
        async fn addresses(&self, client: ClientId, host: &str) -> io::Result<Vec<IpAddr>> {
            self.asked.send((client, host.to_owned())).unwrap();
            match host {
                "here.example" => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
                _ => std::future::pending().await,
            }
        }
    }

    #[test]
    fn names_take_no_thread_that_the_sessions_need() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        runtime.spawn_blocking(move || held.recv());
        runtime.block_on(async {
            let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("ws://here.example:{}/", server.local_addr().unwrap().port());
            let (asked, mut names) = mpsc::unbounded_channel();
            let resolver: Arc<dyn Resolver> = Arc::new(Hanging { asked });
            let (reporter, _events) = reporter();
            let dial = |proxy: Option<&str>| {
                let proxy = proxy.map(|proxy| (Proxy::from_text(proxy).unwrap(), TargetPolicy::default()));
                let dialer = Dialer::new(Some(url.as_str()), proxy, Arc::clone(&resolver), Arc::clone(&reporter));
                tokio::spawn(async move { dialer.dial().await.map(drop) })
            };
            let tunnels: Vec<_> = (0..50).map(|_| dial(Some("http://dead.example:1"))).collect();
            let _direct = dial(None);
            server.accept().await.unwrap();
            assert!(tunnels.iter().all(|tunnel| !tunnel.is_finished()));
            names.close();
            let mut all = Vec::new();
            while let Some(asked) = names.recv().await {
                all.push(asked);
            }
            let dead = all
                .iter()
                .filter(|asked| **asked == (ClientId(1), "dead.example".into()));
            assert_eq!((dead.count(), all.len()), (50, 51));
        });
        drop(release);
    }

    /// A proxy that answers `CONNECT` with that and then says nothing.
    async fn silent_after(answer: &'static [u8]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer).await.unwrap();
            while stream.read(&mut [0; 512]).await.is_ok_and(|read| read > 0) {}
        });
        Proxy::from_text(&format!("http://127.0.0.1:{port}")).unwrap()
    }

    #[tokio::test]
    async fn a_proxy_that_says_nothing_is_named() {
        for answer in [&b""[..], b"HTTP/1.1 200 OK\r\n\r\n"] {
            let (reporter, mut events) = reporter();
            let policy = TargetPolicy {
                allow_private_networks: true,
                ..TargetPolicy::default()
            };
            let proxy = Some((silent_after(answer).await, policy));
            let dialer = Dialer {
                proxy_patience: Duration::from_millis(200),
                ..Dialer::new(None, proxy, Arc::new(SystemResolver), Arc::clone(&reporter))
            };
            assert!(dialer.create_transport().await.is_err());
            reporter.close();
            let Some(LinkEvent::Closed(CloseReason::ProxyFailed(why))) = events.recv().await else {
                panic!("it is not said")
            };
            assert!(
                why.starts_with("the proxy 127.0.0.1") && why.ends_with("in time"),
                "{why}"
            );
        }
    }

    #[tokio::test]
    async fn a_frame_does_not_wait_for_the_one_before_to_be_acknowledged() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let addresses = resolve(&SystemResolver, ClientId(1), "localhost", port).await.unwrap();
        assert!(direct(addresses).await.unwrap().nodelay().unwrap());
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

//! The way of HTTP to WhatsApp's hosts: from this server's own address, or through the proxy of the number that it is for
//! and then never past it.
//!
//! A proxy is an address that a client of ours gave: what it says of itself is judged when a client for it is made, and each
//! address of its name when it is connected to, as a webhook's is. The proxy resolves the names of WhatsApp's hosts.

use std::{collections::VecDeque, error::Error as _, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::{Client, ClientBuilder, Url, redirect};
use rustls::{ClientConfig, client::Resumption};
use thiserror::Error;
use wharf_domain::{
    ClientId, ConnectionKey,
    proxy::{Proxy, ProxyKind},
};
use wharf_whatsapp::Resolver;

use crate::post::{Checked, PosterError, tls};

/// For a connection, the way through a proxy included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Clients with a proxy that are kept of each kind, so that the next file finds an open connection. One takes 5 KiB beside
/// its connections, which end when they were idle for 90 s.
const OWN_CLIENTS: usize = 64;

/// The way that the requests for one number take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) key: ConnectionKey,
    /// Its own proxy; without one the way is direct.
    pub(crate) proxy: Option<Proxy>,
}

/// Why a way cannot be taken.
#[derive(Debug, Error)]
pub(crate) enum NoWay {
    /// The proxy may not be used.
    #[error("the connection's proxy {0}")]
    Refused(String),
    /// The HTTP client cannot be made.
    #[error("there is no HTTP client for the connection's proxy: {0}")]
    Client(#[from] reqwest::Error),
}

/// What makes a client one of its kind.
pub(crate) type Kind = fn(ClientBuilder) -> ClientBuilder;

/// What all clients for WhatsApp's hosts have in common. Clones share the roots, which are large.
#[derive(Clone)]
pub(crate) struct Maker {
    tls: ClientConfig,
    checked: Checked,
    test_network: Option<Url>,
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maker")
            .field("test_network", &self.test_network)
            .finish_non_exhaustive()
    }
}

impl Maker {
    /// Reads the root certificates, and those in `extra_roots_pem` besides. With a test network everything is asked of that.
    ///
    /// # Errors
    /// [`PosterError`] when the machine's TLS set-up cannot be used.
    pub(crate) fn new(checked: Checked, extra_roots_pem: &str, test_network: Option<Url>) -> Result<Self, PosterError> {
        Ok(Self {
            tls: tls::client_config(extra_roots_pem)?,
            checked,
            test_network,
        })
    }

    /// Who is asked instead of WhatsApp.
    pub(crate) fn test_network(&self) -> Option<&Url> {
        self.test_network.as_ref()
    }

    /// What looks names up for it.
    pub(crate) fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::new(self.checked.clone())
    }

    /// A client whose requests go directly, whatever the environment says of proxies (`HTTPS_PROXY`): the socket to WhatsApp
    /// does not ask that, and a number would come from two places.
    ///
    /// # Errors
    /// What reqwest says.
    pub(crate) fn direct(&self, kind: Kind) -> reqwest::Result<Client> {
        self.client(kind, self.tls.clone(), ClientBuilder::no_proxy)
    }

    /// An HTTP client whose requests all go through `proxy`, which is `of` this client if that is known.
    ///
    /// # Errors
    /// [`NoWay`]; then nothing may be sent.
    pub(crate) fn through(&self, of: Option<ClientId>, proxy: &Proxy, kind: Kind) -> Result<Client, NoWay> {
        proxy.check(self.checked.policy()).map_err(NoWay::Refused)?;
        let text = proxy.to_text();
        let way = match proxy.kind {
            ProxyKind::Http => reqwest::Proxy::all(text)?,
            // With the `h` the proxy resolves names; without, this server would ask its own name server for them.
            ProxyKind::Socks5 => reqwest::Proxy::all(text.replacen("socks5:", "socks5h:", 1))?,
        };
        let checked = of.map_or_else(|| self.checked.clone(), |of| self.checked.for_client(of));
        // Two numbers that come by different proxies shall not be seen to be of one host.
        let mut tls = self.tls.clone();
        tls.resumption = Resumption::disabled();
        Ok(self.client(kind, tls, |builder| builder.proxy(way).dns_resolver(checked))?)
    }

    #[expect(clippy::disallowed_methods, reason = "for WhatsApp's hosts, not for receivers")]
    fn client(
        &self,
        kind: Kind,
        tls: ClientConfig,
        way: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> reqwest::Result<Client> {
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(self.test_network.is_none())
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        way(kind(builder)).build()
    }
}

/// The clients of one kind: one for all numbers that go directly, and one for each of those that went through a proxy of their
/// own last.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    maker: Maker,
    kind: Kind,
    direct: Client,
    /// The one that was used last first.
    own: Arc<Mutex<VecDeque<(ConnectionKey, Proxy, Client)>>>,
}

impl Clients {
    /// # Errors
    /// What reqwest says.
    pub(crate) fn new(maker: Maker, kind: Kind) -> reqwest::Result<Self> {
        Ok(Self {
            direct: maker.direct(kind)?,
            maker,
            kind,
            own: Arc::default(),
        })
    }

    /// The client for a way.
    ///
    /// # Errors
    /// [`NoWay`]; then nothing may be sent.
    pub(crate) fn by(&self, way: &Way) -> Result<Client, NoWay> {
        let mut own = self.own.lock();
        let place = own.iter().position(|(key, ..)| *key == way.key);
        let known = place.and_then(|place| own.remove(place));
        let Some(proxy) = &way.proxy else {
            return Ok(self.direct.clone());
        };
        let client = match known {
            Some((_, by, client)) if by == *proxy => client,
            _ => self.maker.through(Some(way.key.client_id), proxy, self.kind)?,
        };
        own.push_front((way.key.clone(), proxy.clone(), client.clone()));
        own.truncate(OWN_CLIENTS);
        Ok(client)
    }

    /// Lets go of the clients of numbers that are gone.
    pub(crate) fn forget(&self, gone: impl Fn(&ConnectionKey) -> bool) {
        let mut own = self.own.lock();
        own.retain(|(key, ..)| !gone(key));
    }

    /// Who is asked instead of WhatsApp.
    pub(crate) fn test_network(&self) -> Option<&Url> {
        self.maker.test_network()
    }
}

/// Why a request did not come through its proxy, in words; `None` if it was not the way that failed.
pub(crate) fn blocked_way(way: Option<&Proxy>, error: &reqwest::Error) -> Option<String> {
    let proxy = way.filter(|_| error.is_connect())?;
    let mut cause: &dyn std::error::Error = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(format!("the proxy {} does not lead there: {cause}", proxy.place()))
}

#[cfg(test)]
#[path = "tests/way.rs"]
mod tests;

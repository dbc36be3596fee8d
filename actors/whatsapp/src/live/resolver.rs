//! Names to addresses, for WhatsApp's host and for proxies.
//!
//! The system's resolver blocks a thread, for half a minute where a name server is dead. Links run on threads that have few to
//! block, which their keys and their cryptography need as well, and a client may name any proxy. So the look-ups come in
//! from outside, like HTTP.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use async_trait::async_trait;
use wharf_domain::ClientId;

/// Looks names up.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of a host's name, in the order of preference, for a client's link. Takes no thread of the runtime that
    /// asks. Has no deadline of its own.
    ///
    /// # Errors
    /// What the resolver said.
    async fn addresses(&self, client: ClientId, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's, on the blocking threads of the runtime that asks: for tests and measurements.
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, _client: ClientId, host: &str) -> io::Result<Vec<IpAddr>> {
        // Port 0: only the addresses are wanted.
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Where `host:port` may be connected to; nobody is asked about an address.
pub(crate) async fn resolve(
    resolver: &dyn Resolver,
    client: ClientId,
    host: &str,
    port: u16,
) -> io::Result<impl Iterator<Item = SocketAddr> + use<>> {
    let found = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => resolver.addresses(client, host).await?,
    };
    Ok(found.into_iter().map(move |address| SocketAddr::new(address, port)))
}

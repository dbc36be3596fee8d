//! The way through a proxy: a TCP stream to WhatsApp's server that HTTP `CONNECT` or SOCKS5 opened.
//!
//! A proxy is an address that a client of ours gave, so each address that its name resolves to is judged as a webhook's
//! is, and the connection goes to the address that was judged.

use std::{future::Future, io, net::SocketAddr};

use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use wharf_domain::{
    address::{TargetPolicy, refused_as},
    proxy::{Proxy, ProxyKind, ProxyLogin},
};

use super::dial;

/// An answer to `CONNECT` has no more than this in its head.
const LONGEST_HEAD: usize = 8 * 1024;

/// Why there is no way through.
#[derive(Debug, Error)]
pub(crate) enum ProxyError {
    /// Its name does not resolve, or it cannot be reached.
    #[error("the proxy {0} cannot be reached: {1}")]
    Unreachable(String, io::Error),
    /// It lies where the gateway does not connect to.
    #[error("the proxy {0} must have a public address; its address is {1}")]
    Blocked(String, &'static str),
    /// It wants other credentials, or any.
    #[error("the proxy {0} refused the user name and password")]
    Credentials(String),
    /// It does not connect us to WhatsApp.
    #[error("the proxy {0} refused the connection: {1}")]
    Refused(String, String),
    /// It does not speak as it should.
    #[error("the proxy {0} did not answer as such a proxy does")]
    Unintelligible(String),
    /// It went away half-way.
    #[error("the proxy {0} ended the connection: {1}")]
    Broken(String, io::Error),
    /// It says nothing, or lets nothing through.
    #[error("the proxy {0} did not answer in time")]
    Silent(String),
}

/// Opens a stream to `host:port` through `proxy`, whose addresses are being looked up. Has no deadline of its own.
pub(crate) async fn tunnel<A: Iterator<Item = SocketAddr>>(
    proxy: &Proxy,
    addresses: impl Future<Output = io::Result<A>>,
    policy: &TargetPolicy,
    host: &str,
    port: u16,
) -> Result<TcpStream, ProxyError> {
    let mut stream = reach(proxy, addresses, policy).await?;
    let way = Way { proxy, host, port };
    match proxy.kind {
        ProxyKind::Http => way.connect(&mut stream).await?,
        ProxyKind::Socks5 => way.socks5(&mut stream).await?,
    }
    Ok(stream)
}

async fn reach<A: Iterator<Item = SocketAddr>>(
    proxy: &Proxy,
    addresses: impl Future<Output = io::Result<A>>,
    policy: &TargetPolicy,
) -> Result<TcpStream, ProxyError> {
    let unreachable = |error| ProxyError::Unreachable(proxy.place(), error);
    let found = addresses.await.map_err(unreachable)?;
    let opened = dial::first(found, |address| open(address, policy)).await;
    opened.map_err(|refusal| match refusal {
        Some(Closed::Blocked(why)) => ProxyError::Blocked(proxy.place(), why),
        Some(Closed::Failed(error)) => unreachable(error),
        None => unreachable(io::Error::from(io::ErrorKind::NotFound)),
    })
}

enum Closed {
    Blocked(&'static str),
    Failed(io::Error),
}

async fn open(address: SocketAddr, policy: &TargetPolicy) -> Result<TcpStream, Closed> {
    // Which address a name resolved to is nothing for whoever named it.
    if let Some(kind) = refused_as(policy, address.ip()) {
        return Err(Closed::Blocked(kind));
    }
    let stream = TcpStream::connect(address).await.map_err(Closed::Failed)?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// From a proxy to its target.
struct Way<'a> {
    proxy: &'a Proxy,
    host: &'a str,
    port: u16,
}

impl Way<'_> {
    fn broken(&self, error: io::Error) -> ProxyError {
        ProxyError::Broken(self.proxy.place(), error)
    }

    fn unintelligible(&self) -> ProxyError {
        ProxyError::Unintelligible(self.proxy.place())
    }

    fn refused(&self, why: impl Into<String>) -> ProxyError {
        ProxyError::Refused(self.proxy.place(), why.into())
    }

    async fn send(&self, stream: &mut TcpStream, bytes: &[u8]) -> Result<(), ProxyError> {
        stream.write_all(bytes).await.map_err(|error| self.broken(error))
    }

    async fn read<const N: usize>(&self, stream: &mut TcpStream) -> Result<[u8; N], ProxyError> {
        let mut bytes = [0; N];
        stream
            .read_exact(&mut bytes)
            .await
            .map_err(|error| self.broken(error))?;
        Ok(bytes)
    }

    /// HTTP/1.1 `CONNECT`. The answer is read byte by byte, so that nothing of what follows it is taken.
    async fn connect(&self, stream: &mut TcpStream) -> Result<(), ProxyError> {
        let target = match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        };
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n");
        if let Some(ProxyLogin { user, password }) = &self.proxy.login {
            let basic = base64(format!("{user}:{password}").as_bytes());
            request.push_str(&format!("proxy-authorization: Basic {basic}\r\n"));
        }
        request.push_str("\r\n");
        self.send(stream, request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= LONGEST_HEAD {
                return Err(self.unintelligible());
            }
            head.extend_from_slice(&self.read::<1>(stream).await?);
        }
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|_| self.unintelligible())?;
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        match status.and_then(|status| status.parse::<u16>().ok()) {
            Some(200..=299) => Ok(()),
            Some(407) => Err(ProxyError::Credentials(self.proxy.place())),
            Some(status) => Err(self.refused(format!("HTTP status {status}"))),
            None => Err(self.unintelligible()),
        }
    }

    /// SOCKS5 (RFC 1928), with a user name and password (RFC 1929) if there are any. The proxy resolves the name.
    async fn socks5(&self, stream: &mut TcpStream) -> Result<(), ProxyError> {
        const NONE: u8 = 0;
        const PASSWORD: u8 = 2;
        let method = if self.proxy.login.is_some() { PASSWORD } else { NONE };
        self.send(stream, &[5, 1, method]).await?;
        match self.read(stream).await? {
            [5, chosen] if chosen == method => {}
            [5, 0xff] => return Err(ProxyError::Credentials(self.proxy.place())),
            _ => return Err(self.unintelligible()),
        }
        if let Some(ProxyLogin { user, password }) = &self.proxy.login {
            let mut login = vec![1];
            for text in [user, password] {
                login.push(u8::try_from(text.len()).map_err(|_| ProxyError::Credentials(self.proxy.place()))?);
                login.extend_from_slice(text.as_bytes());
            }
            self.send(stream, &login).await?;
            if self.read::<2>(stream).await?[1] != 0 {
                return Err(ProxyError::Credentials(self.proxy.place()));
            }
        }
        let length = u8::try_from(self.host.len()).map_err(|_| self.refused("the target's name is too long"))?;
        let mut request = vec![5, 1, 0, 3, length];
        request.extend_from_slice(self.host.as_bytes());
        request.extend_from_slice(&self.port.to_be_bytes());
        self.send(stream, &request).await?;
        let [version, reply, _, kind] = self.read(stream).await?;
        if version != 5 {
            return Err(self.unintelligible());
        }
        if reply != 0 {
            return Err(self.refused(socks_words(reply)));
        }
        // The address that it is bound to, which nobody needs.
        match kind {
            1 => drop(self.read::<6>(stream).await?),
            4 => drop(self.read::<18>(stream).await?),
            3 => {
                let [length] = self.read(stream).await?;
                let mut rest = vec![0; usize::from(length) + 2];
                stream.read_exact(&mut rest).await.map_err(|error| self.broken(error))?;
            }
            _ => return Err(self.unintelligible()),
        }
        Ok(())
    }
}

/// RFC 1928 section 6.
fn socks_words(reply: u8) -> String {
    let words = match reply {
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "it took too long",
        _ => return format!("SOCKS reply {reply}"),
    };
    words.to_owned()
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

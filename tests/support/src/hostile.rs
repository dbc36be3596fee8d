//! A receiver that means harm, or is broken in ways that no HTTP server is: it writes bytes, not answers.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{Identity, reply::Socket};

/// What is written at a time where there is no end.
const BLOCK: usize = 16 * 1024;

/// What a [`HostileReceiver`] does with every connection.
#[derive(Debug, Clone)]
pub enum Hostility {
    /// Resets the connection before it has read anything.
    ResetAtOnce,
    /// Resets it after this many bytes of what the sender sends: of its TLS greeting, of the request's line, of its head.
    ResetAfterReading(usize),
    /// Reads the request, writes these bytes and resets.
    WriteThenReset(&'static [u8]),
    /// Reads the request, writes these bytes and ends the connection.
    WriteThenClose(&'static [u8]),
    /// Reads the request, writes the first bytes, then the second for ever, as fast as they are taken.
    Flood(&'static [u8], &'static [u8]),
    /// As [`Hostility::Flood`], but at a few megabytes in a second: for what costs more to take in than to send, so that
    /// a test without optimization does not do nothing else.
    Paced(&'static [u8], &'static [u8]),
    /// As [`Hostility::Flood`], but the second in pieces of one byte with this pause.
    Drip(&'static [u8], &'static [u8], Duration),
    /// Reads the request, writes these bytes and then nothing, and keeps the connection.
    WriteThenHang(&'static [u8]),
}

/// Listens on a port of its own, without TLS or with it, and treats every connection the same way. Dropping it closes
/// its port and its connections.
pub struct HostileReceiver {
    scheme: &'static str,
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    open: AtomicUsize,
    written: AtomicU64,
}

impl Drop for HostileReceiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl HostileReceiver {
    /// Without TLS.
    pub async fn start(hostility: Hostility) -> Self {
        Self::listen(hostility, None).await
    }

    /// With TLS, offering only this application protocol (`h2` or `http/1.1`).
    pub async fn start_tls(hostility: Hostility, identity: &Identity, protocol: &str) -> Self {
        let mut config = (*identity.config()).clone();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Self::listen(hostility, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(hostility: Hostility, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port for the receiver");
        let address = listener.local_addr().expect("a bound port");
        let counts = Arc::<Counts>::default();
        Self {
            scheme: if tls.is_some() { "https" } else { "http" },
            address,
            accepting: tokio::spawn(accept(listener, hostility, tls, Arc::clone(&counts))),
            counts,
        }
    }

    /// The URL of a path, by address.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The same under another scheme than it speaks.
    pub fn url_with(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// Bytes that the kernel took, over all connections.
    pub fn bytes_written(&self) -> u64 {
        self.counts.written.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, hostility: Hostility, tls: Option<TlsAcceptor>, counts: Arc<Counts>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { return };
                counts.connections.fetch_add(1, Ordering::Relaxed);
                counts.open.fetch_add(1, Ordering::Relaxed);
                let (hostility, tls, counts) = (hostility.clone(), tls.clone(), Arc::clone(&counts));
                connections.spawn(async move {
                    // The sender may be gone; it is the one that is tested.
                    let _ = connection(socket, hostility, tls, &counts.written).await;
                    counts.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    mut socket: TcpStream,
    hostility: Hostility,
    tls: Option<TlsAcceptor>,
    written: &AtomicU64,
) -> io::Result<()> {
    // These two are below TLS.
    match hostility {
        Hostility::ResetAtOnce => return socket.set_zero_linger(),
        Hostility::ResetAfterReading(bytes) => {
            socket.read_exact(&mut vec![0; bytes]).await?;
            return socket.set_zero_linger();
        }
        _ => {}
    }
    match tls {
        None => act(&mut socket, hostility, written).await,
        Some(tls) => act(&mut tls.accept(socket).await?, hostility, written).await,
    }
}

async fn act(socket: &mut dyn Socket, hostility: Hostility, written: &AtomicU64) -> io::Result<()> {
    socket.tcp().set_nodelay(true)?;
    read_request(socket).await?;
    match hostility {
        Hostility::ResetAtOnce | Hostility::ResetAfterReading(_) => Ok(()),
        Hostility::WriteThenReset(bytes) => {
            write(socket, bytes, written).await?;
            // What was written shall arrive: a reset throws away what the peer has not read yet.
            tokio::time::sleep(Duration::from_millis(50)).await;
            socket.tcp().set_zero_linger()
        }
        Hostility::WriteThenClose(bytes) => write(socket, bytes, written).await,
        Hostility::Flood(first, again) => {
            write(socket, first, written).await?;
            let block = again.repeat((BLOCK / again.len()).max(1));
            flood(socket, &block, Duration::ZERO, written).await
        }
        Hostility::Paced(first, again) => {
            write(socket, first, written).await?;
            let block = again.repeat((BLOCK / again.len()).max(1));
            flood(socket, &block, Duration::from_millis(5), written).await
        }
        Hostility::Drip(first, again, pause) => {
            write(socket, first, written).await?;
            for byte in again.iter().cycle() {
                tokio::time::sleep(pause).await;
                write(socket, std::slice::from_ref(byte), written).await?;
            }
            Ok(())
        }
        Hostility::WriteThenHang(bytes) => {
            write(socket, bytes, written).await?;
            drain(socket).await
        }
    }
}

/// Of HTTP/1.1 what comes first, which is the whole request: it is small. Of HTTP/2 everything up to the request's
/// headers, because nothing may be answered to a stream that is not open.
async fn read_request(socket: &mut dyn Socket) -> io::Result<()> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const HEADERS: u8 = 1;
    let mut request = BytesMut::with_capacity(4096);
    while socket.read_buf(&mut request).await? > 0 {
        let Some(mut frames) = request.strip_prefix(PREFACE) else {
            if PREFACE.starts_with(&request) {
                continue;
            }
            return Ok(());
        };
        while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = frames {
            if *kind == HEADERS {
                return Ok(());
            }
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            frames = rest.get(length..).unwrap_or_default();
        }
    }
    Ok(())
}

async fn write(socket: &mut dyn Socket, bytes: &[u8], written: &AtomicU64) -> io::Result<()> {
    socket.write_all(bytes).await?;
    socket.flush().await?;
    written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(())
}

/// Writes for ever, and reads what comes, as a peer must that wants all of its bytes taken.
async fn flood(socket: &mut dyn Socket, block: &[u8], pause: Duration, written: &AtomicU64) -> io::Result<()> {
    let (mut reading, mut writing) = tokio::io::split(socket);
    let write = async {
        loop {
            writing.write_all(block).await?;
            writing.flush().await?;
            written.fetch_add(block.len() as u64, Ordering::Relaxed);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    };
    let read = async {
        let mut taken = vec![0; BLOCK];
        while reading.read(&mut taken).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        ended = write => ended,
        ended = read => ended,
    }
}

async fn drain(socket: &mut dyn Socket) -> io::Result<()> {
    let mut rest = vec![0; 1024];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}

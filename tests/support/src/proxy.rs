//! A small proxy that lets in only who knows its user name and password: HTTP (`CONNECT`, and requests that it passes on) and
//! SOCKS5 on one port, told apart by the first byte.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Who is let in; in base64 as `CONNECT` has it.
const USER: &str = "ana";
const PASSWORD: &str = "s:e cret";
const BASIC: &str = "YW5hOnM6ZSBjcmV0";

/// See the module. Ends when dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    opened: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Proxy {
    /// Listens on loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let opened = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, came) = (Arc::clone(&opened), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                came.fetch_add(1, Ordering::Relaxed);
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let _closed = serve(stream, &count).await;
                });
            }
        });
        Self {
            address,
            opened,
            asked,
            serving,
        }
    }

    /// `SCHEME://USER:PASSWORD@HOST:PORT`, as it lets in.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{USER}:s%3Ae%20cret@{}", self.address)
    }

    /// As [`Proxy::url`], with a password that is another's.
    pub fn wrong_url(&self, scheme: &str) -> String {
        format!("{scheme}://{USER}:wrong@{}", self.address)
    }

    /// Connections that came, let in or not.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Ways that were opened through it.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, opened: &AtomicUsize) -> io::Result<()> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    let way = if first == [5] {
        socks(&mut stream).await?
    } else {
        http(&mut stream).await?
    };
    let Some((target, first)) = way else { return Ok(()) };
    let mut server = TcpStream::connect(target).await?;
    opened.fetch_add(1, Ordering::Relaxed);
    server.write_all(&first).await?;
    copy_bidirectional(&mut stream, &mut server).await?;
    Ok(())
}

/// Where to, and what to say there first.
type Way = Option<(String, Vec<u8>)>;

async fn http(stream: &mut TcpStream) -> io::Result<Way> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
    let known = lines
        .any(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == format!("Basic {BASIC}"));
    if !known {
        stream
            .write_all(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
            )
            .await?;
        return Ok(None);
    }
    let asked = head.split(' ').nth(1).unwrap_or_default();
    // A request to pass on, as the server itself would be asked.
    if let Some(rest) = asked.strip_prefix("http://") {
        let host = rest.split('/').next().unwrap_or_default();
        let passed_on = head.replacen(&format!("http://{host}"), "", 1);
        return Ok(Some((host.to_owned(), passed_on.into_bytes())));
    }
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n")
        .await?;
    Ok(Some((asked.to_owned(), Vec::new())))
}

async fn text(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn socks(stream: &mut TcpStream) -> io::Result<Way> {
    let _version = stream.read_u8().await?;
    let methods = text(stream).await?;
    if !methods.contains('\u{2}') {
        stream.write_all(&[5, 0xff]).await?;
        return Ok(None);
    }
    stream.write_all(&[5, 2]).await?;
    let _version = stream.read_u8().await?;
    let (user, password) = (text(stream).await?, text(stream).await?);
    let known = (user.as_str(), password.as_str()) == (USER, PASSWORD);
    stream.write_all(&[1, u8::from(!known)]).await?;
    if !known {
        return Ok(None);
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    let host = match request {
        [5, 1, 0, 1] => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        [5, 1, 0, 3] => text(stream).await?,
        other => panic!("neither an address nor a name for the proxy to resolve: {other:?}"),
    };
    let port = stream.read_u16().await?;
    // Bound to a name, so that whoever reads it has to read its length.
    stream.write_all(b"\x05\x00\x00\x03\x04test\x00\x50").await?;
    Ok(Some((format!("{host}:{port}"), Vec::new())))
}

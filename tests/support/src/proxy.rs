//! A small proxy that lets in only who knows its user name and password: HTTP `CONNECT` and SOCKS5 on one port, told apart
//! by the first byte.

use std::{
    io,
    net::SocketAddr,
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
        let count = Arc::clone(&opened);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let _closed = serve(stream, &count).await;
                });
            }
        });
        Self {
            address,
            opened,
            serving,
        }
    }

    /// `SCHEME://USER:PASSWORD@HOST:PORT`, as it lets in.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{USER}:s%3Ae%20cret@{}", self.address)
    }

    /// Ways that were opened through it.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, opened: &AtomicUsize) -> io::Result<()> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    let target = if first == [5] {
        socks(&mut stream).await?
    } else {
        connect(&mut stream).await?
    };
    let Some(target) = target else { return Ok(()) };
    let mut server = TcpStream::connect(target).await?;
    opened.fetch_add(1, Ordering::Relaxed);
    copy_bidirectional(&mut stream, &mut server).await?;
    Ok(())
}

async fn connect(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if !head.contains(&format!("proxy-authorization: Basic {BASIC}\r\n")) {
        stream
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n")
            .await?;
        return Ok(None);
    }
    let target = head.split(' ').nth(1).map(str::to_owned);
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n")
        .await?;
    Ok(target)
}

async fn text(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn socks(stream: &mut TcpStream) -> io::Result<Option<String>> {
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
    assert_eq!(request, [5, 1, 0, 3], "a name, for the proxy to resolve");
    let host = text(stream).await?;
    let port = stream.read_u16().await?;
    // Bound to a name, so that whoever reads it has to read its length.
    stream.write_all(b"\x05\x00\x00\x03\x04test\x00\x50").await?;
    Ok(Some(format!("{host}:{port}")))
}

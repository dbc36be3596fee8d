//! What a receiver does with a request.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// The body of `/big`.
const BIG: usize = 1024 * 1024;
/// What `/endless` and `/big` write at a time.
const CHUNK: [u8; 8192] = [b'x'; 8192];

/// One answer, or the lack of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// 200 with the body `ok`; the connection is kept.
    Ok,
    /// This status with its number as the body (none for 1xx, 204 and 304); the connection is kept.
    Status(u16),
    /// A whole answer: status, headers, body; the connection is kept.
    Answer(u16, Vec<(&'static str, String)>, Bytes),
    /// 308 to this location.
    Redirect(String),
    /// 200 after this long.
    Slow(Duration),
    /// 200 at once, then a body of one byte at a time with this pause, 1,000 of them.
    Drip(Duration),
    /// Nothing at all until the sender gives up.
    Hang,
    /// Closes the connection (FIN) without an answer.
    Close,
    /// Resets the connection (RST) without an answer.
    Reset,
    /// 200, then closes the connection without having said so: the next request on it comes too late.
    OkThenClose,
    /// These bytes as they are, then FIN, and no TLS farewell.
    Raw(Bytes),
    /// A 200 that promises 100 bytes, gives 10 and closes.
    Cut,
    /// A 200 whose body never ends.
    Endless,
    /// A 200 with a body of 1 MiB.
    Big,
}

impl Reply {
    /// What the path asks for: `/status/503`, `/slow/MS`, `/drip/MS`, `/flaky/PERCENT` (evenly spread 503s; `nth` is
    /// how many requests this path has had), `/hang`, `/close`, `/reset`, `/garbage`, `/cut`, `/endless`, `/big`,
    /// `/redirect` (to `/ok`), `/ok-then-close`. Anything else, `/ok` among it, is 200.
    pub fn of_path(path: &str, nth: u64) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        let (verb, argument) = path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or((path.trim_start_matches('/'), ""));
        let number = argument.parse::<u64>();
        match (verb, number) {
            ("status", Ok(status)) => Self::Status(u16::try_from(status).expect("a status")),
            ("slow", Ok(ms)) => Self::Slow(Duration::from_millis(ms)),
            ("drip", Ok(ms)) => Self::Drip(Duration::from_millis(ms)),
            ("flaky", Ok(percent)) if nth * percent % 100 < percent => Self::Status(503),
            ("hang", _) => Self::Hang,
            ("close", _) => Self::Close,
            ("reset", _) => Self::Reset,
            ("garbage", _) => Self::garbage(),
            ("cut", _) => Self::Cut,
            ("endless", _) => Self::Endless,
            ("big", _) => Self::Big,
            ("redirect", _) => Self::Redirect("/ok".into()),
            ("ok-then-close", _) => Self::OkThenClose,
            _ => Self::Ok,
        }
    }

    /// The greeting of something that is no web server.
    pub fn garbage() -> Self {
        Self::Raw(Bytes::from_static(b"220 mail.example.com ESMTP ready\r\n"))
    }

    /// Does it. `true` when the connection may carry another request.
    pub(crate) async fn perform(self, socket: &mut dyn Socket, sent: &AtomicU64) -> io::Result<bool> {
        match self {
            Self::Ok => answer(socket, 200, &[], b"ok").await.map(|()| true),
            Self::Status(status) => status_only(socket, status).await.map(|()| true),
            Self::Answer(status, headers, body) => answer(socket, status, &headers, &body).await.map(|()| true),
            Self::Redirect(location) => answer(socket, 308, &[("location", location)], b"").await.map(|()| true),
            Self::Slow(wait) => {
                tokio::time::sleep(wait).await;
                answer(socket, 200, &[], b"ok").await.map(|()| true)
            }
            Self::Drip(pause) => drip(socket, pause).await.map(|()| true),
            Self::Hang => hang(socket).await.map(|()| false),
            Self::Close => Ok(false),
            Self::Reset => socket.tcp().set_zero_linger().map(|()| false),
            Self::OkThenClose => answer(socket, 200, &[], b"ok").await.map(|()| false),
            Self::Raw(bytes) => raw(socket, &bytes).await.map(|()| false),
            Self::Cut => raw(socket, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789")
                .await
                .map(|()| false),
            Self::Endless => stream(socket, u64::MAX, sent).await.map(|()| false),
            Self::Big => stream(socket, BIG as u64, sent).await.map(|()| true),
        }
    }
}

/// A connection of either kind, with the TCP socket below it.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

async fn raw(socket: &mut dyn Socket, bytes: &[u8]) -> io::Result<()> {
    socket.write_all(bytes).await?;
    socket.flush().await
}

async fn answer(
    socket: &mut dyn Socket,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> io::Result<()> {
    let mut whole = format!("HTTP/1.1 {status} As Told\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        whole.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    whole.extend_from_slice(b"\r\n");
    whole.extend_from_slice(body);
    raw(socket, &whole).await
}

async fn status_only(socket: &mut dyn Socket, status: u16) -> io::Result<()> {
    if status < 200 || status == 204 || status == 304 {
        return raw(socket, format!("HTTP/1.1 {status} As Told\r\n\r\n").as_bytes()).await;
    }
    answer(socket, status, &[], status.to_string().as_bytes()).await
}

async fn drip(socket: &mut dyn Socket, pause: Duration) -> io::Result<()> {
    raw(socket, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
    for _ in 0..1000 {
        tokio::time::sleep(pause).await;
        raw(socket, b".").await?;
    }
    Ok(())
}

/// Waits until the sender closes.
async fn hang(socket: &mut dyn Socket) -> io::Result<()> {
    let mut rest = [0; 1024];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}

/// A chunked body of `length` bytes, counting what went out.
async fn stream(socket: &mut dyn Socket, length: u64, sent: &AtomicU64) -> io::Result<()> {
    raw(socket, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    let head = format!("{:x}\r\n", CHUNK.len());
    let mut left = length;
    while left > 0 {
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(&CHUNK).await?;
        socket.write_all(b"\r\n").await?;
        sent.fetch_add(CHUNK.len() as u64, Ordering::Relaxed);
        left = left.saturating_sub(CHUNK.len() as u64);
    }
    raw(socket, b"0\r\n\r\n").await
}

//! A webhook receiver over real sockets that behaves as it is told.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{Identity, Reply, reply::Socket};

/// A request longer than this is no webhook of ours.
const LONGEST_REQUEST: usize = 1024 * 1024;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Bytes,
    /// When its last byte was there.
    pub at: Instant,
    /// The connection it came on, from 1.
    pub connection: usize,
    /// What is done with it.
    pub reply: Reply,
}

impl Recorded {
    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A scriptable receiver on a port of its own. By itself it answers as the path says ([`Reply::of_path`]); a script
/// for a path goes first. Dropping it closes its port and its connections.
pub struct Receiver {
    scheme: &'static str,
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    scripts: Mutex<HashMap<String, VecDeque<Reply>>>,
    rules: Mutex<HashMap<String, Reply>>,
    asked: Mutex<HashMap<String, u64>>,
    requests: Mutex<Vec<Recorded>>,
    count: watch::Sender<usize>,
    connections: AtomicUsize,
    open: AtomicUsize,
    sent: AtomicU64,
    tls: Option<TlsAcceptor>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1, without TLS.
    pub async fn start() -> Self {
        Self::listen(None, 0).await
    }

    /// The same on a given port, to come back where another receiver was.
    pub async fn start_on(port: u16) -> Self {
        Self::listen(None, port).await
    }

    /// Listens on a free port of 127.0.0.1 with TLS (HTTP/1.1).
    pub async fn start_tls(identity: &Identity) -> Self {
        Self::listen(Some(TlsAcceptor::from(identity.config())), 0).await
    }

    async fn listen(tls: Option<TlsAcceptor>, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("a port for the receiver");
        let shared = Arc::new(Shared {
            scripts: Mutex::default(),
            rules: Mutex::default(),
            asked: Mutex::default(),
            requests: Mutex::default(),
            count: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            tls,
        });
        Self {
            scheme: if shared.tls.is_some() { "https" } else { "http" },
            address: listener.local_addr().expect("a bound port"),
            accepting: tokio::spawn(accept(listener, Arc::clone(&shared))),
            shared,
        }
    }

    /// The URL of a path, by address.
    pub fn url(&self, path: &str) -> String {
        self.url_of("127.0.0.1", path)
    }

    /// The URL of a path under another name, which must resolve to 127.0.0.1.
    pub fn url_of(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Queues replies for a path (without its query). When they are used up, the path answers as before.
    pub fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shared.scripts)
            .entry(path.to_owned())
            .or_default()
            .extend(replies);
    }

    /// From now on this path answers so, once its script is used up.
    pub fn always(&self, path: &str, reply: Reply) {
        lock(&self.shared.rules).insert(path.to_owned(), reply);
    }

    /// All requests so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.requests).clone()
    }

    /// Takes the requests so far away, for a receiver that runs for long: they are counted no more.
    pub fn take_requests(&self) -> Vec<Recorded> {
        let mut requests = lock(&self.shared.requests);
        self.shared.count.send_replace(0);
        std::mem::take(&mut *requests)
    }

    /// How many requests came so far; cheaper than [`Receiver::requests`].
    pub fn count(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// Waits until `n` requests came in all, and returns all.
    ///
    /// # Panics
    /// When `within` has passed, with what came instead.
    pub async fn wait_for(&self, n: usize, within: Duration) -> Vec<Recorded> {
        let mut count = self.shared.count.subscribe();
        let came = tokio::time::timeout(within, count.wait_for(|count| *count >= n))
            .await
            .is_ok();
        let requests = self.requests();
        if !came {
            let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
            panic!(
                "waited {within:?} in vain for {n} requests; {} came: {paths:?}",
                paths.len()
            );
        }
        requests
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Bytes of `/endless` and `/big` bodies that the kernel took.
    pub fn body_bytes_sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn reply_to(&self, path_and_query: &str) -> Reply {
        let path = path_and_query.split('?').next().unwrap_or_default();
        if let Some(reply) = lock(&self.scripts).get_mut(path).and_then(VecDeque::pop_front) {
            return reply;
        }
        if let Some(reply) = lock(&self.rules).get(path) {
            return reply.clone();
        }
        let mut asked = lock(&self.asked);
        let nth = asked.entry(path.to_owned()).or_default();
        *nth += 1;
        Reply::of_path(path, *nth - 1)
    }

    fn record(&self, request: Recorded) {
        let mut requests = lock(&self.requests);
        requests.push(request);
        self.count.send_replace(requests.len());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Aborts the connections when the receiver goes.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
                connections.spawn(connection(socket, number, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(socket: TcpStream, number: usize, shared: Arc<Shared>) {
    let _open = Open::new(Arc::clone(&shared));
    // What goes wrong here went wrong for the sender too, whose report is what tests look at.
    let _ = match shared.tls.clone() {
        None => serve(&mut { socket }, number, &shared).await,
        Some(tls) => match tls.accept(socket).await {
            Ok(mut socket) => serve(&mut socket, number, &shared).await,
            Err(error) => Err(error),
        },
    };
}

/// Counts a connection as open for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(socket: &mut dyn Socket, number: usize, shared: &Shared) -> io::Result<()> {
    socket.tcp().set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(4096);
    while let Some(request) = read_request(socket, &mut buffer, number).await? {
        let reply = shared.reply_to(&request.path);
        shared.record(Recorded {
            reply: reply.clone(),
            ..request
        });
        if !reply.perform(socket, &shared.sent).await? {
            break;
        }
    }
    Ok(())
}

/// The next request; `None` when the sender closed between two.
async fn read_request(socket: &mut dyn Socket, buffer: &mut BytesMut, number: usize) -> io::Result<Option<Recorded>> {
    loop {
        if let Some((mut request, head, length)) = parse_head(buffer, number)? {
            while buffer.len() < head + length {
                if socket.read_buf(buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            let whole = buffer.split_to(head + length).freeze();
            request.body = whole.slice(head..);
            request.at = Instant::now();
            return Ok(Some(request));
        }
        if buffer.len() > LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if socket.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}

/// The request's head, once it is all there, its length and that of the body.
fn parse_head(buffer: &[u8], connection: usize) -> io::Result<Option<(Recorded, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let status = request
        .parse(buffer)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(head) = status else {
        return Ok(None);
    };
    let headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|header| {
            (
                header.name.to_ascii_lowercase(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        })
        .collect();
    let recorded = Recorded {
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        headers,
        body: Bytes::new(),
        at: Instant::now(),
        connection,
        reply: Reply::Ok,
    };
    // Senders of webhooks give a length; a chunked request would be a change worth failing on.
    let length = recorded
        .header("content-length")
        .map_or(Ok(0), str::parse)
        .map_err(io::Error::other)?;
    Ok(Some((recorded, head, length)))
}

//! The receiver: fails now and then, and remembers every POST with the life of the gateway that sent it.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::Failure;

/// How a POST is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// 200.
    Took,
    /// 503.
    Unable,
    /// 404.
    Unwanted,
    /// The connection is closed.
    Closed,
    /// Nothing, until the gateway gives up.
    Hung,
}

/// One POST.
#[derive(Debug, Clone)]
pub(super) struct Post {
    /// `webhook-id`.
    pub(super) event: String,
    /// `webhook-attempt`.
    pub(super) attempt: u32,
    /// `webhook-timestamp`: when the attempt began, Unix seconds.
    pub(super) begun: i64,
    /// Which start of the gateway sent it, from 0.
    pub(super) life: u32,
    /// When all of it was here, Unix milliseconds.
    pub(super) at: i64,
    /// What was decided.
    pub(super) answer: Answer,
    /// Whether the answer was written before the gateway was gone.
    pub(super) answered: bool,
}

/// What the receiver is in the mood for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Some answers are slow, some fail; every fourth webhook fails mostly.
    Moody,
    /// 200 at once.
    Kind,
    /// 404.
    Unkind,
}

struct Desk {
    posts: Vec<Post>,
    rng: Rng,
    life: u32,
    mood: Mood,
}

struct Shared {
    desk: Mutex<Desk>,
    /// Connections that have not ended.
    open: AtomicUsize,
    /// A 200 was just written.
    took: Notify,
}

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    pub(super) async fn start(seed: u64) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let shared = Arc::new(Shared {
            desk: Mutex::new(Desk {
                posts: Vec::new(),
                rng: Rng::with_seed(seed),
                life: 0,
                mood: Mood::Moody,
            }),
            open: AtomicUsize::new(0),
            took: Notify::new(),
        });
        let address = listener.local_addr()?;
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared })
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.shared.desk().mood = mood;
    }

    pub(super) fn posts(&self) -> Vec<Post> {
        self.shared.desk().posts.clone()
    }

    /// Returns when the next 200 has been written.
    pub(super) async fn took(&self) {
        self.shared.took.notified().await;
    }

    /// The gateway is dead: takes in what it had sent, so that it counts as that life's, and begins the next one.
    pub(super) async fn next_life(&self) -> Result<(), Failure> {
        // Connections are accepted in their order: when this one is answered, no earlier one is left waiting.
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
        stream.read_u8().await?;
        drop(stream);
        while self.shared.open.load(SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.shared.desk().life += 1;
        Ok(())
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.open.fetch_add(1, SeqCst);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _broken = converse(stream, &shared).await;
            shared.open.fetch_sub(1, SeqCst);
        });
    }
}

struct Request {
    method: String,
    line: usize,
    event: String,
    attempt: u32,
    begun: i64,
    length: usize,
}

/// Reads a request; `None` until all of it is there.
fn parse(buffer: &[u8]) -> Option<Request> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&buffer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let mut request = Request {
        method: method.to_owned(),
        line: path.trim_start_matches('/').parse().unwrap_or_default(),
        event: String::new(),
        attempt: 0,
        begun: 0,
        length: end + 4,
    };
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => request.event = value.to_owned(),
            "webhook-attempt" => request.attempt = value.parse().ok()?,
            "webhook-timestamp" => request.begun = value.parse().ok()?,
            "content-length" => request.length += value.parse::<usize>().ok()?,
            _ => {}
        }
    }
    (buffer.len() >= request.length).then_some(request)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the audit compares this clock with the gateway's, on one machine"
)]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Desk {
    /// Decides how a POST to a line is answered, and after which pause.
    fn decide(&mut self, line: usize) -> (Answer, Duration) {
        let (roll, pause) = (self.rng.u32(..100), Duration::from_millis(self.rng.u64(5..150)));
        match self.mood {
            Mood::Kind => (Answer::Took, Duration::ZERO),
            Mood::Unkind => (Answer::Unwanted, Duration::ZERO),
            Mood::Moody if line % 4 == 3 && roll < 60 => (Answer::Unable, Duration::ZERO),
            Mood::Moody => match roll {
                0..=4 => (Answer::Unable, Duration::ZERO),
                5..=6 => (Answer::Unable, pause),
                7..=8 => (Answer::Closed, Duration::ZERO),
                9 => (Answer::Hung, Duration::MAX),
                10 => (Answer::Unwanted, Duration::ZERO),
                11..=30 => (Answer::Took, pause),
                _ => (Answer::Took, Duration::ZERO),
            },
        }
    }

    /// Notes a POST; answers its place, and what to do.
    fn note(&mut self, request: Request) -> (usize, Answer, Duration) {
        let (answer, pause) = self.decide(request.line);
        self.posts.push(Post {
            event: request.event,
            attempt: request.attempt,
            begun: request.begun,
            life: self.life,
            at: now_ms(),
            answer,
            answered: false,
        });
        (self.posts.len() - 1, answer, pause)
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(4096);
    loop {
        let Some(request) = parse(&buffer) else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        buffer.drain(..request.length);
        if request.method != "POST" {
            stream.write_all(&reply("200 OK")).await?;
            continue;
        }
        let (place, answer, pause) = shared.desk().note(request);
        let text = match answer {
            Answer::Took => reply("200 OK"),
            Answer::Unable => reply("503 Service Unavailable"),
            Answer::Unwanted => reply("404 Not Found"),
            Answer::Closed => return Ok(()),
            Answer::Hung => Vec::new(),
        };
        if !pause.is_zero() && gone_within(&mut stream, &mut buffer, pause).await? {
            return Ok(());
        }
        stream.write_all(&text).await?;
        shared.desk().posts[place].answered = true;
        if answer == Answer::Took {
            shared.took.notify_waiters();
        }
    }
}

/// Waits, but not longer than the other side is there.
async fn gone_within(stream: &mut TcpStream, buffer: &mut Vec<u8>, pause: Duration) -> io::Result<bool> {
    match tokio::time::timeout(pause, stream.read_buf(buffer)).await {
        Err(_elapsed) => Ok(false),
        Ok(read) => Ok(read? == 0),
    }
}

fn reply(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok").into_bytes()
}

//! The receiver that both contenders post to. It shares the processor with them, so it does as little as it can: one
//! thread, a parser for what HTTP clients send to a webhook (HTTP/1.1, `content-length`), answers made beforehand.

use std::{
    cell::RefCell,
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::LocalSet,
};

/// Larger than any request of the benchmark; a client that sends more is cut off.
const REQUEST_MAX: usize = 256 * 1024;
/// How long `/slow` takes when the path does not say.
const SLOW_MS: u64 = 1000;
/// What every second answer of `/flaky` is when the path does not say.
const FLAKY_PERCENT: u64 = 50;

/// Microseconds since 1970, the clock that both contenders stamp their messages with.
#[expect(
    clippy::disallowed_methods,
    reason = "the benchmark compares this clock in two processes of one machine"
)]
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// What has arrived since the last `/reset`.
#[derive(Default)]
struct Arrivals {
    received: u64,
    /// Hashes of the `webhook-id`s.
    ids: HashSet<u64>,
    duplicates: u64,
    /// Of each first arrival that says when it was injected.
    latencies_us: Vec<u64>,
    hasher: RandomState,
}

impl Arrivals {
    fn note(&mut self, request: &Request<'_>) {
        self.received += 1;
        let known = request.id.is_some_and(|id| !self.ids.insert(self.hasher.hash_one(id)));
        if known {
            self.duplicates += 1;
        } else if let Some(injected) = injected_at(request.body) {
            self.latencies_us.push(now_us().saturating_sub(injected));
        }
    }

    fn stats(&mut self) -> String {
        self.latencies_us.sort_unstable();
        let at = |per_mille: usize| {
            let last = self.latencies_us.len().saturating_sub(1);
            self.latencies_us
                .get(last * per_mille / 1000)
                .copied()
                .unwrap_or_default()
        };
        json!({
            "received": self.received,
            "distinct": self.received - self.duplicates,
            "duplicates": self.duplicates,
            "p50_us": at(500),
            "p99_us": at(990),
            "max_us": at(1000),
        })
        .to_string()
    }
}

/// The number in the body's `@t=<unix µs>;`.
fn injected_at(body: &[u8]) -> Option<u64> {
    let at = body.windows(3).position(|window| window == b"@t=")? + 3;
    let digits = body[at..].split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// One request as it lies in the buffer.
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    id: Option<&'a [u8]>,
    body: &'a [u8],
    /// Bytes of the buffer that it takes.
    length: usize,
}

/// Reads a request; `None` until all of it is there.
fn parse(buffer: &[u8]) -> Option<Request<'_>> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut lines = buffer[..head].split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let mut words = std::str::from_utf8(lines.next()?).ok()?.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let (mut id, mut length) = (None, 0);
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // The original calls its header x-webhook-id.
        if name.eq_ignore_ascii_case(b"webhook-id") || name.eq_ignore_ascii_case(b"x-webhook-id") {
            id = Some(value);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(value).ok()?.parse().ok()?;
        }
    }
    let body = buffer.get(head + 4..)?.get(..length)?;
    Some(Request {
        method,
        path,
        id,
        body,
        length: head + 4 + length,
    })
}

/// What a path asks for.
enum Reply {
    /// This, now.
    Now(u16),
    /// 200 after a while.
    After(Duration),
    /// Nothing, and the connection stays open.
    Never,
    /// The end of the connection.
    Close,
}

/// `/status/503`, `/hang`, `/slow[/MS]`, `/flaky[/PERCENT]` (that many answers in a hundred are 503), `/close`;
/// everything else is answered 200.
fn reply_to(path: &str, received: u64) -> Reply {
    let mut words = path.split('?').next().unwrap_or_default().split('/').skip(1);
    let word = words.next().unwrap_or_default();
    let number = words.next().and_then(|word| word.parse::<u64>().ok());
    match word {
        "status" => Reply::Now(number.and_then(|number| u16::try_from(number).ok()).unwrap_or(200)),
        "hang" => Reply::Never,
        "slow" => Reply::After(Duration::from_millis(number.unwrap_or(SLOW_MS))),
        // 37 is prime to 100: the bad answers are spread, and every hundred requests have exactly so many.
        "flaky" if received * 37 % 100 < number.unwrap_or(FLAKY_PERCENT) => Reply::Now(503),
        "close" => Reply::Close,
        _ => Reply::Now(200),
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";

fn with_body(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Answers the requests of one connection, one after another.
async fn converse(mut stream: TcpStream, arrivals: Rc<RefCell<Arrivals>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(4096);
    loop {
        let Some(request) = parse(&buffer) else {
            if buffer.len() > REQUEST_MAX || stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let length = request.length;
        if request.method == "POST" {
            let received = {
                let mut arrivals = arrivals.borrow_mut();
                arrivals.note(&request);
                arrivals.received
            };
            match reply_to(request.path, received) {
                Reply::Now(200) => stream.write_all(OK).await?,
                Reply::Now(status) => stream.write_all(&with_body(status, "{}")).await?,
                Reply::After(pause) => {
                    tokio::time::sleep(pause).await;
                    stream.write_all(OK).await?;
                }
                Reply::Never => std::future::pending().await,
                Reply::Close => return Ok(()),
            }
        } else {
            let (status, body) = match request.path {
                "/stats" => (200, arrivals.borrow_mut().stats()),
                "/count" => (200, arrivals.borrow().received.to_string()),
                "/reset" => {
                    *arrivals.borrow_mut() = Arrivals::default();
                    (200, "{}".to_owned())
                }
                _ => (404, "{}".to_owned()),
            };
            stream.write_all(&with_body(status, &body)).await?;
        }
        buffer.drain(..length);
    }
}

/// Says on standard output where it listens, and runs until the process ends.
#[expect(
    clippy::print_stdout,
    reason = "whoever started this process reads the address there"
)]
pub(crate) fn run(listen: SocketAddr) -> io::Result<()> {
    wharf_actors::open_files::raise();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(listen).await?;
        println!("listening on {}", listener.local_addr()?);
        let arrivals = Rc::new(RefCell::new(Arrivals::default()));
        loop {
            let (stream, _) = listener.accept().await?;
            // A broken connection is its client's affair.
            tokio::task::spawn_local(converse(stream, Rc::clone(&arrivals)));
        }
    })
}

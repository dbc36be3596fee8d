//! What this process costs, as the kernel counts it, and the receiver in a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Linux counts processor time for `/proc` in hundredths of a second, whatever the kernel's own clock.
const TICK_US: u64 = 10_000;
/// How often a receiver is asked what it has, and for how long: far longer than any run takes to deliver.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(600);

/// The processor time that this process has used, in µs; its children (the receiver) are not in it.
pub(crate) fn cpu_us() -> Result<u64, Failure> {
    cpu_us_of("self")
}

/// The same of another process.
pub(crate) fn cpu_us_of(pid: &str) -> Result<u64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // After the name, which may hold anything: utime and stime are the 12th and 13th.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/self/stat has another form")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    Ok(ticks * TICK_US)
}

/// Resident memory and its peak, in KiB.
pub(crate) fn memory_kib() -> Result<(u64, u64), Failure> {
    memory_kib_of("self")
}

/// The same of another process.
pub(crate) fn memory_kib_of(pid: &str) -> Result<(u64, u64), Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |name: &str| -> Result<u64, Failure> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let words = line.and_then(|line| line.split_whitespace().next());
        Ok(words.ok_or("/proc/self/status has another form")?.parse()?)
    };
    Ok((of("VmRSS:")?, of("VmHWM:")?))
}

/// A receiver: somebody's, or one that was started for this run and ends with it.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    child: Option<Child>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// What `/stats` answers.
#[derive(Deserialize)]
pub(crate) struct Stats {
    pub(crate) distinct: u64,
    pub(crate) duplicates: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

impl Receiver {
    /// The one at `url`, or this program once more under its other name.
    pub(crate) fn at(url: Option<&str>) -> Result<Self, Failure> {
        if let Some(url) = url {
            let address = url.trim_start_matches("http://").trim_end_matches('/');
            return Ok(Self {
                address: address.parse()?,
                child: None,
            });
        }
        let mut child = Command::new(std::env::current_exe()?)
            .args(["receiver", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("the receiver has no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .ok_or("the receiver did not start")?;
        Ok(Self {
            address: address.parse()?,
            child: Some(child),
        })
    }

    /// `GET path`, on a connection of its own that the receiver's answer leaves half read.
    pub(crate) async fn get(&self, path: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address).as_bytes())
            .await?;
        let mut answer = Vec::new();
        loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("the receiver closed the connection".into());
            }
            let text = std::str::from_utf8(&answer)?;
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.ok_or("no content-length")?.parse()? {
                    return Ok(body.to_owned());
                }
            }
        }
    }

    /// How many POSTs it has counted.
    pub(crate) async fn count(&self) -> Result<u64, Failure> {
        Ok(self.get("/count").await?.parse()?)
    }

    /// Returns when it has counted so many.
    ///
    /// # Errors
    /// When they do not come.
    pub(crate) async fn wait_for(&self, count: u64) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let came = self.count().await?;
            if came >= count {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{came} of {count} came").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn stats(&self) -> Result<Stats, Failure> {
        Ok(serde_json::from_str(&self.get("/stats").await?)?)
    }
}

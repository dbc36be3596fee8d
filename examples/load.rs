//! Load on the whole product path: `cargo run --release --example load -- burst --events 50000` (or `steady`, `idle`).
//!
//! Scripted links stand in for WhatsApp (but for `keys`, which runs real ones on a test network); everything after them is what `wharf serve` runs: the session's inbox, group
//! commits (SQLite, WAL, synchronous=FULL), delivery actors, HTTP to a receiver in another process, outcomes committed.
//! Prints one line of JSON. docs/BENCHMARKS.md says what the figures mean and how they compare.

#[path = "bench/fair.rs"]
mod fair;
#[path = "bench/keys.rs"]
mod keys;
#[path = "bench/process.rs"]
mod process;
#[path = "bench/receiver.rs"]
mod receiver;
#[path = "bench/world.rs"]
mod world;

use std::{
    io::{IsTerminal, Write, stderr},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wharf_domain::{EventKind, EventKinds};

use process::{Failure, Receiver, cpu_us, memory_kib};
use receiver::now_us;
use world::{Line, World};

/// Load on the whole product path.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    shape: Shape,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// Numbers, each with a link and a webhook.
    #[arg(long, default_value_t = 100, global = true)]
    webhooks: usize,
    /// Chats that the messages come from.
    #[arg(long, default_value_t = 1000, global = true)]
    chats: u64,
    /// Messages that are offered at once in a burst, their commits awaited.
    #[arg(long, default_value_t = 100, global = true)]
    in_flight: usize,
    /// A receiver that runs already, http://127.0.0.1:9900 say; otherwise one is started.
    #[arg(long, global = true)]
    receiver: Option<String>,
    /// The path of the receiver that is posted to.
    #[arg(long, default_value = "/ok", global = true)]
    path: String,
    /// `sqlite://PATH`; otherwise a new database under target/, removed afterwards.
    #[arg(long, global = true)]
    store: Option<String>,
}

#[derive(Subcommand)]
enum Shape {
    /// As fast as it goes.
    Burst {
        /// Messages.
        #[arg(long, default_value_t = 50_000)]
        events: u64,
    },
    /// At an even rate.
    Steady {
        /// Messages per second.
        #[arg(long, default_value_t = 200)]
        rate: u64,
        /// Seconds.
        #[arg(long, default_value_t = 15)]
        seconds: u64,
    },
    /// Half of the webhooks are black holes: the other half's latencies alone, and among them.
    Fair {
        /// Messages per second, of each half.
        #[arg(long, default_value_t = 100)]
        rate: u64,
        /// Seconds, of each measurement.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// Clients that the webhooks belong to.
        #[arg(long, default_value_t = 4)]
        clients: usize,
    },
    /// Real links on a test network: messages and commits of numbers whose keys are in the store.
    Keys {
        /// Linked numbers.
        #[arg(long, default_value_t = 50)]
        numbers: usize,
        /// Texts each way of each number.
        #[arg(long, default_value_t = 200)]
        messages: u64,
        /// The webhooks ask for statuses beside messages.
        #[arg(long)]
        statuses: bool,
    },
    /// Nothing: what it costs to start with so many webhooks, and to have them.
    Idle,
    /// Registers the webhooks of `idle`.
    #[command(hide = true)]
    Register,
    /// The receiver itself.
    #[command(hide = true)]
    Receiver {
        #[arg(long)]
        listen: SocketAddr,
    },
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    if let Shape::Receiver { listen } = options.shape {
        return Ok(receiver::run(listen)?);
    }
    wharf_actors::open_files::raise();
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(run(options))?;
    if PROGRESSED.load(Relaxed) {
        let _closed = writeln!(stderr());
    }
    print_line(&report);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the result")]
fn print_line(report: &Value) {
    println!("{report}");
}

async fn run(Options { shape, common }: Options) -> Result<Value, Failure> {
    match shape {
        Shape::Idle => return idle(&common).await,
        Shape::Register => return register(&common).await,
        Shape::Keys {
            numbers,
            messages,
            statuses,
        } => {
            let events = match statuses {
                true => EventKinds::of([EventKind::Message, EventKind::Status]),
                false => EventKinds::default(),
            };
            return keys::run(numbers, messages, events, common.store.as_deref()).await;
        }
        Shape::Fair { rate, seconds, clients } => {
            let fair = fair::Fair {
                // Half of them are as many as the other shapes have.
                webhooks: common.webhooks * 2,
                clients,
                chats: common.chats,
                rate,
                seconds,
            };
            return fair::run(&fair, common.store.as_deref()).await;
        }
        _ => {}
    }
    let receiver = Receiver::at(common.receiver.as_deref())?;
    let world = World::start(common.store.as_deref()).await?;
    let target = format!("http://{}{}", receiver.address, common.path);
    let lines: Arc<[Line]> = world.lines(common.webhooks, &target).await?.into();
    // As with the original, what is measured is not the first message of all.
    let mut session = Session {
        receiver,
        world,
        lines,
        run: now_us(),
        chats: common.chats.max(1),
    };
    let warm = u64::try_from(common.webhooks)?;
    session.burst(warm, common.in_flight).await?;
    session.world.settled(&session.lines).await?;
    session.run += 1;
    session.receiver.get("/reset").await?;

    let (cpu, begin, commits) = (cpu_us()?, Instant::now(), session.world.gateway.commits().commits);
    let (mode, total, in_time) = match shape {
        Shape::Burst { events } => {
            session.burst(events, common.in_flight).await?;
            ("burst", events, begin.elapsed())
        }
        Shape::Steady { rate, seconds } => {
            session.steady(rate.max(1), rate.max(1) * seconds).await?;
            ("steady", rate.max(1) * seconds, begin.elapsed())
        }
        Shape::Idle | Shape::Register | Shape::Keys { .. } | Shape::Fair { .. } | Shape::Receiver { .. } => {
            return Err("not a load".into());
        }
    };
    session.world.settled(&session.lines).await?;
    let (seconds, cpu) = (begin.elapsed().as_secs_f64(), cpu_us()? - cpu);
    let commits = session.world.gateway.commits().commits - commits;
    let (rss, peak) = memory_kib()?;
    let stats = session.receiver.stats().await?;
    session.world.gateway.stop().await;
    let per = |of: f64| (of / total as f64 * 10.0).round() / 10.0;
    Ok(json!({
        "mode": mode,
        "total": total,
        "seconds": (seconds * 1000.0).round() / 1000.0,
        "events_per_s": (total as f64 / seconds).round(),
        "inject_per_s": (total as f64 / in_time.as_secs_f64()).round(),
        "p50_us": stats.p50_us,
        "p99_us": stats.p99_us,
        "max_us": stats.max_us,
        "lost": total.saturating_sub(stats.distinct),
        "duplicates": stats.duplicates,
        "cpu_us_per_event": per(cpu as f64),
        "commits_per_event": (commits as f64 / total as f64 * 1000.0).round() / 1000.0,
        "rss_mb": mb(rss),
        "rss_peak_mb": mb(peak),
        "webhooks": common.webhooks,
        "in_flight": common.in_flight,
    }))
}

fn mb(kib: u64) -> f64 {
    (kib as f64 / 1024.0 * 10.0).round() / 10.0
}

struct Session {
    receiver: Receiver,
    world: World,
    lines: Arc<[Line]>,
    /// Part of the messages' ids, so that no two runs on one store have the same.
    run: u64,
    chats: u64,
}

impl Session {
    /// Injects `total` messages, `in_flight` at once.
    async fn burst(&self, total: u64, in_flight: usize) -> Result<(), Failure> {
        let next = Arc::new(AtomicU64::new(0));
        let mut injectors = JoinSet::new();
        for _ in 0..in_flight.max(1) {
            let (next, lines, run, chats) = (Arc::clone(&next), Arc::clone(&self.lines), self.run, self.chats);
            injectors.spawn(async move {
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    if n >= total {
                        return Ok::<_, Failure>(());
                    }
                    line(&lines, n).inject(run, n, chats, now_us()).await?;
                    if n % 1024 == 0 {
                        progress(n, total);
                    }
                }
            });
        }
        while let Some(ended) = injectors.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Injects `total` messages at `rate` per second, none of them waiting for another.
    async fn steady(&self, rate: u64, total: u64) -> Result<(), Failure> {
        steady(&self.lines, self.run, self.chats, rate, total).await
    }
}

/// Each message's clock begins when it is due, not when its turn comes: a gateway that keeps the machine busy delays them, too.
async fn steady(lines: &Arc<[Line]>, run: u64, chats: u64, rate: u64, total: u64) -> Result<(), Failure> {
    let (lines, gateway) = (Arc::clone(lines), tokio::runtime::Handle::current());
    // A thread of its own: tokio's clock counts in milliseconds, and its workers are the gateway's.
    let offering = tokio::task::spawn_blocking(move || {
        let mut injections = JoinSet::new();
        let (begin, begin_us) = (Instant::now(), now_us());
        for n in 0..total {
            let after = Duration::from_nanos(1_000_000_000 / rate * n);
            #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
            std::thread::sleep((begin + after).saturating_duration_since(Instant::now()));
            let lines = Arc::clone(&lines);
            let due_us = begin_us + u64::try_from(after.as_micros())?;
            let injection = async move { line(&lines, n).inject(run, n, chats, due_us).await };
            injections.spawn_on(injection, &gateway);
            while let Some(ended) = injections.try_join_next() {
                ended??;
            }
            if n % rate == 0 {
                progress(n, total);
            }
        }
        Ok::<_, Failure>(injections)
    });
    let mut injections = offering.await??;
    while let Some(ended) = injections.join_next().await {
        ended??;
    }
    Ok(())
}

fn line(lines: &[Line], n: u64) -> &Line {
    &lines[usize::try_from(n).unwrap_or_default() % lines.len()]
}

/// Whether there is a line of progress that has no end.
static PROGRESSED: AtomicBool = AtomicBool::new(false);

fn progress(done: u64, total: u64) {
    if stderr().is_terminal() {
        PROGRESSED.store(true, Relaxed);
        let _closed = write!(stderr(), "\r{done} of {total} injected ");
    }
}

/// Starts on a store that another process has filled, and waits until nothing is left to do.
async fn idle(common: &Common) -> Result<Value, Failure> {
    let (url, _directory) = world::store_url(common.store.as_deref())?;
    let registering = std::process::Command::new(std::env::current_exe()?)
        .args(["register", "--store", &url, "--webhooks", &common.webhooks.to_string()])
        .stdout(std::process::Stdio::null())
        .status()?;
    if !registering.success() {
        return Err("the webhooks could not be registered".into());
    }
    let (before, begin) = (memory_kib()?.0, Instant::now());
    let world = World::start(Some(&url)).await?;
    let (mut cpu, mut last) = (cpu_us()?, begin.elapsed());
    // The gateway's deliveries read their rows by themselves; they are done when the process rests.
    while begin.elapsed() - last < Duration::from_millis(300) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = cpu_us()?;
        if now > cpu {
            (cpu, last) = (now, begin.elapsed());
        }
    }
    let (rss, peak) = memory_kib()?;
    let stopping = Instant::now();
    world.gateway.stop().await;
    Ok(json!({
        "mode": "idle",
        "webhooks": common.webhooks,
        "start_s": (last.as_secs_f64() * 1000.0).round() / 1000.0,
        "stop_s": (stopping.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        "cpu_s": cpu as f64 / 1e6,
        "rss_mb": mb(rss),
        "rss_peak_mb": mb(peak),
        "kb_per_webhook": ((rss - before) as f64 / common.webhooks as f64 * 100.0).round() / 100.0,
    }))
}

async fn register(common: &Common) -> Result<Value, Failure> {
    let world = World::start(common.store.as_deref()).await?;
    world.webhooks(common.webhooks, "http://127.0.0.1:9/").await?;
    world.gateway.stop().await;
    Ok(Value::Null)
}

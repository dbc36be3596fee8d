//! A thousand numbers on one host: `cargo run --release --example numbers -- --count 1000`.
//!
//! A test network, a receiver and the gateway run as processes of their own, so that the gateway's figures are the
//! gateway's alone; all it lacks of `wharf serve` is the log. It links the numbers through the real link, restarts, sends
//! texts both ways, stops, and in the end measures how much two clients that burn processor time hold up a third one.
//! Prints one line of JSON. docs/BENCHMARKS.md says what the figures mean.

#[path = "numbers/api.rs"]
mod api;
#[path = "numbers/children.rs"]
#[expect(dead_code, reason = "`soak` uses the rest")]
mod children;
#[path = "numbers/gateway.rs"]
mod gateway;
#[path = "numbers/host.rs"]
mod host;
#[path = "numbers/neighbours.rs"]
mod neighbours;
#[path = "numbers/network.rs"]
mod network;
#[path = "bench/process.rs"]
#[expect(dead_code, reason = "`load` uses the rest")]
mod process;
#[path = "bench/receiver.rs"]
mod receiver;
#[path = "bench/world.rs"]
#[expect(dead_code, reason = "`load` uses the rest")]
mod world;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use process::Failure;

/// A thousand numbers on one host.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    run: Run,
}

#[derive(Args, Clone)]
struct Run {
    /// Linked numbers, each with a webhook and a contact.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Texts in all: a quarter in, a quarter out, and half both ways at once.
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// Clients that the numbers belong to.
    #[arg(long, default_value_t = 2)]
    clients: usize,
    /// Seconds of quiet before memory is read.
    #[arg(long, default_value_t = 10)]
    quiet_s: u64,
    /// Links that are opened per second at the most; the configuration's default if left out.
    #[arg(long)]
    per_second: Option<u32>,
    /// Whether sessions run on threads of their own (`sessions.bulkheads` as configured) or with everything else.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    bulkheads: Switch,
    #[command(flatten)]
    neighbours: Neighbours,
}

#[derive(Args, Clone)]
struct Neighbours {
    /// Seconds of each measurement among neighbours, with bulkheads and without; 0 leaves it out.
    #[arg(long, default_value_t = 10)]
    neighbours_s: u64,
    /// Milliseconds for which a neighbour's session holds its thread at a time.
    #[arg(long, default_value_t = 50)]
    burn_ms: u64,
    /// Messages per second of the client that is measured.
    #[arg(long, default_value_t = 100)]
    rate: u64,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Switch {
    On,
    Off,
}

#[derive(Subcommand)]
enum Part {
    /// Only what neighbours do to each other.
    Neighbours(Neighbours),
    /// The gateway itself.
    #[command(hide = true)]
    Gateway(gateway::Options),
    /// The test network.
    #[command(hide = true)]
    Network,
    /// The receiver.
    #[command(hide = true)]
    Receiver {
        #[arg(long)]
        listen: SocketAddr,
    },
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    if let Some(Part::Receiver { listen }) = options.part {
        return Ok(receiver::run(listen)?);
    }
    // Its children inherit it.
    wharf_actors::open_files::raise();
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = match options.part {
        None => runtime.block_on(whole(&options.run))?,
        Some(Part::Neighbours(neighbours)) => runtime.block_on(neighbours::both(&neighbours))?,
        Some(Part::Gateway(options)) => return runtime.block_on(gateway::run(options)),
        Some(Part::Network) => return runtime.block_on(network::run()),
        Some(Part::Receiver { .. }) => return Ok(()),
    };
    print_line(&report);
    Ok(())
}

async fn whole(run: &Run) -> Result<Value, Failure> {
    let mut report = host::run(run).await?;
    if run.neighbours.neighbours_s > 0 {
        report["neighbours"] = neighbours::both(&run.neighbours).await?;
    }
    Ok(report)
}

/// To whoever started this process.
#[expect(clippy::print_stdout, reason = "this is the result")]
fn print_line(line: &Value) {
    println!("{line}");
}

/// Where a run keeps its database: beside this program, under `target/`, so on a real disk.
fn directory() -> Result<tempfile::TempDir, Failure> {
    let beside = std::env::current_exe()?;
    let beside = beside.parent().map_or_else(PathBuf::new, PathBuf::from);
    Ok(tempfile::Builder::new().prefix("numbers-").tempdir_in(beside)?)
}

/// Progress, for who waits.
fn say(what: impl std::fmt::Display) {
    use std::io::Write as _;
    let _nobody_reads = writeln!(std::io::stderr(), "{what}");
}

/// A figure with one digit behind the point.
fn rounded(figure: f64) -> Value {
    json!((figure * 10.0).round() / 10.0)
}

//! It runs for months: `cargo run --release --example soak -- --minutes 20`.
//!
//! The gateway, a test network and a receiver run as processes of their own, and everything that happens to a gateway in
//! months happens to it in minutes: texts and files both ways, webhooks and devices that come and go, receivers that fail, callers
//! that misbehave, clients that are added and removed, SIGTERM and SIGKILL. Then every message is audited, what grew and
//! what is left over is told. Prints one line of JSON, and ends with 1 when anything is wrong.
//! docs/RELIABILITY.md says what is checked.

#[path = "soak/api.rs"]
mod api;
#[path = "soak/book.rs"]
mod book;
#[path = "soak/callers.rs"]
mod callers;
#[path = "numbers/children.rs"]
#[expect(dead_code, reason = "`numbers` uses the rest")]
mod children;
#[path = "soak/churn.rs"]
mod churn;
#[path = "soak/clients.rs"]
mod clients;
#[path = "numbers/gateway.rs"]
mod gateway;
#[path = "soak/growth.rs"]
mod growth;
#[path = "soak/hooks.rs"]
mod hooks;
#[path = "soak/line.rs"]
mod line;
#[path = "soak/lives.rs"]
mod lives;
#[path = "soak/log.rs"]
mod log;
#[path = "numbers/network.rs"]
mod network;
#[path = "bench/process.rs"]
#[expect(dead_code, reason = "`load` uses the rest")]
mod process;
#[path = "soak/pull.rs"]
mod pull;
#[path = "soak/receiver.rs"]
mod receiver;
#[path = "soak/settle.rs"]
mod settle;
#[path = "soak/traffic.rs"]
mod traffic;
#[path = "soak/whole.rs"]
mod whole;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};

use process::Failure;

/// Months of a gateway's life in minutes.
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
    /// Minutes of churn; what comes before and after takes some seconds more.
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// Decides what happens, and when; a random one if left out. The machine's own timing is not in it.
    #[arg(long)]
    seed: Option<u64>,
    /// Numbers, each with a webhook, contacts and a group.
    #[arg(long, default_value_t = 9)]
    numbers: usize,
    /// Clients that the numbers belong to; one more comes and goes.
    #[arg(long, default_value_t = 3)]
    clients: usize,
    /// Messages per second in all, two in three of them coming in.
    #[arg(long, default_value_t = 40.0)]
    rate: f64,
    /// Leave the log, and what else there is, here (a directory that is not there yet).
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// The gateway itself.
    #[command(hide = true)]
    Gateway(gateway::Options),
    /// The test network.
    #[command(hide = true)]
    Network,
    /// The receiver.
    #[command(hide = true)]
    Receiver,
}

fn main() -> Result<ExitCode, Failure> {
    let options = Options::parse();
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match options.part {
        Some(Part::Gateway(options)) => runtime.block_on(gateway::run(options))?,
        Some(Part::Network) => runtime.block_on(network::run())?,
        Some(Part::Receiver) => runtime.block_on(receiver::run())?,
        None => return soak(&runtime, &options.run),
    }
    Ok(ExitCode::SUCCESS)
}

fn soak(runtime: &tokio::runtime::Runtime, run: &Run) -> Result<ExitCode, Failure> {
    let seed = run.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    // Beside this program: under `target/`, so on a real disk.
    let beside = std::env::current_exe()?;
    let beside = beside.parent().map_or_else(PathBuf::new, PathBuf::from);
    let directory = tempfile::Builder::new().prefix("soak-").tempdir_in(beside)?;
    let ran = runtime.block_on(whole::run(run, seed, directory.path()));
    let (report, wrong) = match ran {
        Ok(ran) => ran,
        Err(error) => (json!({"seed": seed}), vec![error.to_string()]),
    };
    print_line(&report);
    for what in wrong.iter().take(40) {
        say(format!("WRONG: {what}"));
    }
    if wrong.is_empty() && run.keep.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    let kept = directory.keep();
    match &run.keep {
        Some(place) => std::fs::rename(kept, place)?,
        None => say(format!("what there is to look at is left in {}", kept.display())),
    }
    Ok(if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// To whoever started this process.
#[expect(clippy::print_stdout, reason = "this is the result")]
fn print_line(line: &Value) {
    println!("{line}");
}

/// Progress, for who waits.
fn say(what: impl std::fmt::Display) {
    let _nobody_reads = writeln!(std::io::stderr(), "{what}");
}

/// A figure with one digit behind the point.
fn rounded(figure: f64) -> Value {
    json!((figure * 10.0).round() / 10.0)
}

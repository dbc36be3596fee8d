//! Nothing lost, proved: `cargo run --release --example crash -- --rounds 200`.
//!
//! A gateway in a process of its own is killed (SIGKILL) at random moments under load, with retries running; afterwards
//! every message is audited. Prints one line of JSON, and ends with 1 when anything was lost or is not explained.
//! docs/RELIABILITY.md says what is checked.

#[path = "crash/harness.rs"]
mod harness;

use std::{
    io::{IsTerminal, Write, stderr},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::{Parser, Subcommand};
use tokio::process::Command;

use harness::{Failure, Plan, Report, child};

/// Kills a gateway under load again and again, and audits every message.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    /// Kills.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Decides when the kills come and how the receiver answers; a random one if left out. The machine's own timing is
    /// not in it.
    #[arg(long)]
    seed: Option<u64>,
    /// Numbers, each with a link and a webhook.
    #[arg(long, default_value_t = 8)]
    webhooks: usize,
    /// Chats of each number.
    #[arg(long, default_value_t = 12)]
    chats: usize,
}

#[derive(Subcommand)]
enum Role {
    /// The gateway that is killed.
    #[command(hide = true)]
    Child {
        /// JSON.
        setting: String,
    },
}

fn main() -> Result<ExitCode, Failure> {
    let options = Options::parse();
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(Role::Child { setting }) = &options.role {
        runtime.block_on(child::run(serde_json::from_str(setting)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    // Beside this program: under `target/`, so on a real disk.
    let beside = std::env::current_exe()?
        .parent()
        .map_or_else(PathBuf::new, PathBuf::from);
    let directory = tempfile::Builder::new().prefix("crash-").tempdir_in(beside)?;
    let plan = Plan {
        rounds: options.rounds,
        seed: options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000)),
        webhooks: options.webhooks.clamp(1, 999),
        chats: options.chats.clamp(1, 999_999),
        directory: directory.path().to_owned(),
        child: command,
    };
    let begin = Instant::now();
    let ran = runtime.block_on(harness::run(&plan, |round, messages| {
        progress(round, plan.rounds, messages);
    }));
    if stderr().is_terminal() {
        let _closed = writeln!(stderr());
    }
    let report = ran.map_err(|error| format!("seed {}: {error}", plan.seed))?;
    print(&report, &plan, begin.elapsed().as_secs_f64());
    if report.is_clean() {
        return Ok(ExitCode::SUCCESS);
    }
    // To look at.
    let kept = directory.keep();
    let _closed = writeln!(stderr(), "the database is left in {}", kept.display());
    Ok(ExitCode::FAILURE)
}

fn command(setting: &child::Setting) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", &serde_json::to_string(setting)?]);
    Ok(command)
}

#[expect(clippy::print_stdout, reason = "this is the result")]
fn print(report: &Report, plan: &Plan, seconds: f64) {
    println!("{}", report.json(plan, seconds));
    for what in report.wrong.iter().take(20) {
        let _closed = writeln!(stderr(), "{what}");
    }
}

fn progress(round: u32, rounds: u32, messages: usize) {
    const WIDTH: usize = 40;
    if stderr().is_terminal() {
        let share = f64::from(round) / f64::from(rounds.max(1));
        let done = (share * WIDTH as f64) as usize;
        let _closed = write!(
            stderr(),
            "\r[{:#<done$}{:.<left$}] {round} of {rounds} kills, {messages} messages ",
            "",
            "",
            left = WIDTH.saturating_sub(done)
        );
    }
}

//! The delivery machines of a whole gateway on a virtual clock, with crashes, manual retries, changes of webhooks and
//! receivers that fail: `cargo run --release --example simulate -- --events 1000000 --webhooks 5000`.
//!
//! Prints one line of JSON, and ends with 1 when a law is broken, naming the seed. docs/RELIABILITY.md says which laws.

#[path = "../actors/domain/tests/simulation/world.rs"]
mod world;

use std::{
    io::{IsTerminal, Write, stderr},
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use serde_json::json;

use world::{Plan, World};

/// Simulates the deliveries of a whole gateway.
#[derive(Parser)]
struct Options {
    /// Events that come in, within a simulated hour.
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Webhooks.
    #[arg(long, default_value_t = 5000)]
    webhooks: usize,
    /// Decides everything; a random one if left out.
    #[arg(long)]
    seed: Option<u64>,
}

#[expect(clippy::print_stdout, reason = "this is the result")]
fn main() -> ExitCode {
    let options = Options::parse();
    let plan = Plan {
        seed: options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000)),
        events: options.events,
        webhooks: options.webhooks,
    };
    let begin = Instant::now();
    let ran = World::run(plan, |done| progress(done, plan.events));
    if stderr().is_terminal() {
        let _closed = writeln!(stderr());
    }
    match ran {
        Ok(summary) => {
            println!(
                "{}",
                json!({
                    "events": summary.events,
                    "webhooks": plan.webhooks,
                    "attempts": summary.attempts,
                    "delivered": summary.delivered,
                    "failed": summary.failed,
                    "crashes": summary.crashes,
                    "restarts": summary.restarts,
                    "renewals": summary.renewals,
                    "bulk_renewals": summary.bulk_renewals,
                    "pauses": summary.pauses,
                    "deactivations": summary.deactivations,
                    "slots_awaited": summary.slots_awaited,
                    "put_back": summary.put_back,
                    "watched": summary.watched,
                    "revivals": summary.revivals,
                    "duplicates": summary.duplicates,
                    "steps": summary.steps,
                    "virtual_seconds": summary.virtual_s,
                    "seed": plan.seed,
                    "seconds": (begin.elapsed().as_secs_f64() * 100.0).round() / 100.0,
                })
            );
            ExitCode::SUCCESS
        }
        Err(broken) => {
            let _closed = writeln!(stderr(), "--seed {}: {broken}", plan.seed);
            ExitCode::FAILURE
        }
    }
}

fn progress(done: usize, events: usize) {
    if stderr().is_terminal() {
        let _closed = write!(stderr(), "\r{done} of {events} events ");
    }
}

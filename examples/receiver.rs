//! A webhook receiver to measure with: `cargo run --release --example receiver -- --listen 127.0.0.1:9900`.
//!
//! It reads the time of injection from the body (`@t=<unix µs>;`) and answers `GET /stats` (`received, distinct,
//! duplicates, p50_us, p99_us, max_us`), `GET /count` and `GET /reset`. How it answers a POST is in the path: `/ok`,
//! `/status/503`, `/hang`, `/slow/250` (ms), `/flaky/20` (per cent of 503), `/close`. docs/BENCHMARKS.md has more.

#[path = "bench/receiver.rs"]
mod receiver;

use std::net::SocketAddr;

use clap::Parser;

/// A webhook receiver to measure with.
#[derive(Parser)]
struct Options {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:9900")]
    listen: SocketAddr,
}

fn main() -> std::io::Result<()> {
    receiver::run(Options::parse().listen)
}

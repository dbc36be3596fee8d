//! Wharf's binary as a library: command line, configuration, log, and the REST facade over the supervision tree of
//! `wharf-actors`. What happens to a message is decided in the crates below this one.
//!
//! Imports run one way, `domain ← store ← whatsapp ← actors ← this`. The facade sees the gateway's handle and never an
//! actor; `main` is one line, so that tests can do everything that the program does.

use mimalloc::MiMalloc;

/// glibc's allocator takes a fifth of what a message costs (docs/BENCHMARKS.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

pub mod cli;
pub mod clients;
pub mod config;
#[cfg(feature = "testnet")]
pub mod demo;
pub mod http;
pub mod restored;
pub mod serve;
pub mod telemetry;

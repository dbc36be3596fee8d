//! How large a file of the process may get, where whoever started it set a limit (`ulimit -f`).
//!
//! The system ends a process that writes beyond it, by a signal that leaves no word behind. A gateway has a better end for a
//! write that fails: the store says why, `/readyz` too, and it goes on when there is room.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Has a write beyond the limit fail as one on a full disk does, for the rest of the process. To be called within the async runtime.
///
/// # Errors
/// What the system says.
pub fn outlive_limit() -> io::Result<()> {
    // Only that somebody listens counts: the listener stays, whoever waits for what it hears.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

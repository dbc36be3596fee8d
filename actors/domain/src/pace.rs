//! How fast bytes have to come and go at the least: whoever drips holds what others wait for.

use std::time::Duration;

/// The least pace in the long run, in bytes per second.
pub const LEAST_BYTES_PER_SECOND: u32 = 16 * 1024;

/// The time that so many bytes may take.
pub fn earned(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / f64::from(LEAST_BYTES_PER_SECOND))
}

//! The pause before a reconnect.

use std::time::Duration;

/// A connection that lasted this long was a good one: the next reconnect is quick again.
pub(super) const STEADY: Duration = Duration::from_secs(30);
/// The longest pause. After an outage of hours a number is back within this.
const LONGEST: Duration = Duration::from_secs(60);

/// 2^`level` seconds, at most a minute, of which the later half is drawn by `jitter` (0.0 to 1.0), so that many
/// sessions that lost their links together do not come back together.
pub(super) fn wait(level: u32, jitter: f64) -> Duration {
    let full = Duration::from_secs(1 << level.min(6)).min(LONGEST);
    full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

//! The pause before a reconnect.

use std::time::Duration;

/// A connection that lasted this long was a good one: the next reconnect is quick again.
pub(super) const STEADY: Duration = Duration::from_secs(30);
/// The longest pause. After an outage of hours all numbers of a host shall be back within a minute: the last of them
/// begin after this, and have a third of the minute left to log in.
const LONGEST: Duration = Duration::from_secs(40);
/// The first and the longest pause of a client that WhatsApp calls outdated. The first attempt looks the version up anew,
/// which is what heals it in nearly all cases; where it does not, only a newer program will.
const OUTDATED_FIRST: Duration = Duration::from_secs(60);
const OUTDATED_LONGEST: Duration = Duration::from_secs(6 * 3600);
/// The longest pause of a client that WhatsApp does not want for another reason. What heals it is not known, but
/// not thousands of logins a day.
const UNWANTED_LONGEST: Duration = Duration::from_secs(3600);

/// 2^`level` seconds, at most [`LONGEST`], of which the later half is drawn by `jitter` (0.0 to 1.0), so that many
/// sessions that lost their links together do not come back together.
pub(super) fn wait(level: u32, jitter: f64) -> Duration {
    let full = Duration::from_secs(1 << level.min(6)).min(LONGEST);
    full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

/// The pause after the `times`-th refusal in a row (from 1) for being outdated: a minute, four, sixteen, … six hours, of
/// which the later half is drawn.
pub(super) fn outdated(times: u32, jitter: f64) -> Duration {
    growing(times, OUTDATED_LONGEST, jitter)
}

/// The same for a client that WhatsApp does not want: a minute, four, sixteen, an hour.
pub(super) fn unwanted(times: u32, jitter: f64) -> Duration {
    growing(times, UNWANTED_LONGEST, jitter)
}

fn growing(times: u32, longest: Duration, jitter: f64) -> Duration {
    let full = OUTDATED_FIRST.saturating_mul(4_u32.saturating_pow(times.saturating_sub(1)));
    full.min(longest).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

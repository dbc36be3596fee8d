//! The one place that reads the wall clock and draws random numbers; everything else is given them.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use wharf_domain::Timestamp;

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "this is the one file that may")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A clock that nobody puts forward or back: the wall's when it was read first, and what has elapsed since. For waits
/// and distances; what it says is no time of day.
pub(crate) fn steady() -> Timestamp {
    static BEGAN: OnceLock<(Timestamp, Instant)> = OnceLock::new();
    let (wall, began) = *BEGAN.get_or_init(|| (now(), Instant::now()));
    wall + began.elapsed()
}

/// How long until `at`; zero when it has passed.
pub fn until(at: Timestamp) -> Duration {
    at.since(now())
}

/// A number from 0.0 to 1.0 that spreads what would otherwise happen together.
pub fn jitter() -> f64 {
    fastrand::f64()
}

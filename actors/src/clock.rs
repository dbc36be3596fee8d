//! The one place that reads the wall clock and draws random numbers; everything else is given them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wharf_domain::Timestamp;

/// The present moment.
#[allow(clippy::disallowed_methods, reason = "this is the one file that may")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// How long until `at`; zero when it has passed.
pub fn until(at: Timestamp) -> Duration {
    at.since(now())
}

/// A number from 0.0 to 1.0 that spreads what would otherwise happen together.
pub fn jitter() -> f64 {
    fastrand::f64()
}

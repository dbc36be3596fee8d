//! The retry schedule (CONTRACT.md section 4), and when a receiver wants to be asked again.

use std::time::{Duration, UNIX_EPOCH};

use crate::Timestamp;

/// The wait before the second attempt.
const FIRST_WAIT_MS: u64 = 5_000;
/// The longest wait, before jitter.
const LONGEST_WAIT_MS: u64 = 3_600_000;
/// Jitter is 0 to this share of the wait, so that receivers that failed together are not asked again together.
const JITTER_SHARE: f64 = 0.10;

/// The longest wait with the most jitter.
pub const LONGEST_WAIT: Duration = Duration::from_millis(LONGEST_WAIT_MS + LONGEST_WAIT_MS / 10);

/// The wait between the end of the `finished`-th attempt of a budget (from 1) and the start of the next:
/// 5000·2^(finished−1) ms, at most an hour, plus `jitter` (0.0 to 1.0) times ten percent of it.
pub fn wait_after(finished: u32, jitter: f64) -> Duration {
    let doublings = finished.saturating_sub(1).min(32);
    let base = FIRST_WAIT_MS.saturating_mul(1 << doublings).min(LONGEST_WAIT_MS);
    let share = if jitter.is_finite() {
        jitter.clamp(0.0, 1.0) * JITTER_SHARE
    } else {
        0.0
    };
    Duration::from_millis(base) + Duration::from_millis(base).mul_f64(share)
}

/// When a `Retry-After` (RFC 9110 section 10.2.3: seconds, or a date in any of HTTP's three forms) allows the next
/// request; `None` when it is neither. A date counts by our clock.
pub fn retry_after_at(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a long time too.
        return Some(now + Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_of_the_contract() {
        let seconds = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600];
        for (finished, expected) in (1..).zip(seconds) {
            assert_eq!(
                wait_after(finished, 0.0),
                Duration::from_secs(expected),
                "after attempt {finished}"
            );
            assert_eq!(
                wait_after(finished, 1.0),
                Duration::from_millis(expected * 1100),
                "after attempt {finished}"
            );
        }
    }

    #[test]
    fn odd_numbers_stay_within_the_schedule() {
        assert_eq!(wait_after(0, -1.0), Duration::from_secs(5));
        assert_eq!(wait_after(u32::MAX, 7.0), LONGEST_WAIT);
        assert_eq!(wait_after(1, f64::NAN), Duration::from_secs(5));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp(1_000_000);
        let date = Some(Timestamp(784_111_777_000));
        for (text, at) in [
            ("0", Some(now)),
            (" 120 ", Some(Timestamp(1_120_000))),
            ("99999999999999999999999", Some(Timestamp(i64::MAX))),
            ("Sun, 06 Nov 1994 08:49:37 GMT", date),
            ("Sunday, 06-Nov-94 08:49:37 GMT", date),
            ("Sun Nov  6 08:49:37 1994", date),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after_at(text, now), at, "{text:?}");
        }
    }
}

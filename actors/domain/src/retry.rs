//! The retry schedule (CONTRACT.md section 4).

use std::time::Duration;

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
}

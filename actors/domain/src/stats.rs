//! What a webhook's attempts of late come to.

use std::time::Duration;

use serde::Serialize;

use crate::{Timestamp, WebhookId};

/// The longer of the two periods that are counted.
pub const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

/// What counts of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptMade {
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Whether the receiver took the event.
    pub delivered: bool,
    /// Whether the event stands `failed`, and this was its last attempt.
    pub failed: bool,
}

/// The time that attempts took, in milliseconds: for each share the duration that this share of them did not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of them.
    pub p50: i64,
    /// 90 %.
    pub p90: i64,
    /// 99 %.
    pub p99: i64,
    /// The longest.
    pub max: i64,
}

/// The attempts of one period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Period {
    /// Attempts made.
    pub attempts: usize,
    /// Of them, those that delivered their event; of a webhook that is pulled its events that came.
    pub delivered: usize,
    /// Events that were given up with an attempt of this period.
    pub failed: usize,
    /// `delivered` / `attempts`, 0 to 1; null without attempts.
    pub success_rate: Option<f64>,
    /// How long they took; null without attempts.
    pub latency_ms: Option<Latency>,
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// Pending events.
    pub pending: u32,
    /// Whether there may be more of them than that.
    pub at_least: bool,
    /// When the oldest of them came in.
    pub oldest_pending_at: Option<Timestamp>,
    /// How long ago that is, in milliseconds.
    pub oldest_pending_age_ms: Option<u64>,
}

/// `GET /api/webhooks/:webhook_id/stats`
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WebhookStats {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// When this was counted.
    pub at: Timestamp,
    /// The last 60 minutes.
    pub last_hour: Period,
    /// The last 24 hours.
    pub last_day: Period,
    /// Whether only the newest events were looked at, because there were too many.
    pub sampled: bool,
    /// What waits.
    pub queue: Queue,
}

impl Queue {
    /// From the number of pending events, whether there may be more, and when the oldest came in.
    pub fn new(pending: u32, at_least: bool, oldest: Option<Timestamp>, now: Timestamp) -> Self {
        let age = oldest.map(|oldest| u64::try_from(now.since(oldest).as_millis()).unwrap_or(u64::MAX));
        Self {
            pending,
            at_least,
            oldest_pending_at: oldest,
            oldest_pending_age_ms: age,
        }
    }
}

/// The last hour and the last day before `now`.
pub fn periods(attempts: &[AttemptMade], now: Timestamp) -> (Period, Period) {
    (period(attempts, now, HOUR), period(attempts, now, DAY))
}

/// The same of a webhook that is pulled, from the times at which its events counted as delivered: without attempts there is no time
/// that they took.
pub fn pulled_periods(delivered: &[Timestamp], now: Timestamp) -> (Period, Period) {
    let period = |length| Period {
        attempts: 0,
        delivered: delivered.iter().filter(|at| now.since(**at) < length).count(),
        failed: 0,
        success_rate: None,
        latency_ms: None,
    };
    (period(HOUR), period(DAY))
}

fn period(attempts: &[AttemptMade], now: Timestamp, length: Duration) -> Period {
    // An attempt that began after `now` was made by a clock that was set back since: it counts as of now.
    let within: Vec<&AttemptMade> = attempts
        .iter()
        .filter(|attempt| now.since(attempt.started_at) < length)
        .collect();
    let mut durations: Vec<i64> = within.iter().map(|attempt| attempt.duration_ms).collect();
    durations.sort_unstable();
    let count = |is: fn(&AttemptMade) -> bool| within.iter().filter(|attempt| is(attempt)).count();
    let delivered = count(|attempt| attempt.delivered);
    Period {
        attempts: within.len(),
        delivered,
        failed: count(|attempt| attempt.failed),
        success_rate: (!within.is_empty()).then(|| delivered as f64 / within.len() as f64),
        latency_ms: latency(&durations),
    }
}

/// By nearest rank, so that each value is one that was measured.
fn latency(sorted: &[i64]) -> Option<Latency> {
    let at = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    };
    Some(Latency {
        p50: at(50)?,
        p90: at(90)?,
        p99: at(99)?,
        max: at(100)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_762_352_580_000);

    fn attempt(seconds_ago: i64, duration_ms: i64, delivered: bool, failed: bool) -> AttemptMade {
        AttemptMade {
            started_at: Timestamp(NOW.0 - seconds_ago * 1000),
            duration_ms,
            delivered,
            failed,
        }
    }

    #[test]
    fn nothing_has_no_latency() {
        let (hour, day) = periods(&[], NOW);
        assert_eq!((hour, day), (day, hour));
        assert_eq!((hour.attempts, hour.success_rate, hour.latency_ms), (0, None, None));
    }

    #[test]
    fn an_hour_is_part_of_its_day_and_the_rest_is_of_neither() {
        let attempts = [
            attempt(-5, 1, true, false),
            attempt(0, 2, true, false),
            attempt(3599, 3, false, true),
            attempt(3600, 4, false, false),
            attempt(86_399, 5, true, false),
            attempt(86_400, 6, true, false),
        ];
        let (hour, day) = periods(&attempts, NOW);
        assert_eq!((hour.attempts, hour.delivered, hour.failed), (3, 2, 1));
        assert_eq!((day.attempts, day.delivered, day.failed), (5, 3, 1));
        assert_eq!(day.success_rate, Some(0.6));
        assert_eq!(day.latency_ms.map(|latency| latency.max), Some(5));
    }

    #[test]
    fn what_is_pulled_is_counted_and_has_no_latency() {
        let delivered = [-5, 0, 3599, 3600, 86_400].map(|ago| Timestamp(NOW.0 - ago * 1000));
        let (hour, day) = pulled_periods(&delivered, NOW);
        assert_eq!((hour.attempts, hour.delivered, day.delivered), (0, 3, 4));
        assert_eq!((day.failed, day.success_rate, day.latency_ms), (0, None, None));
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<AttemptMade> = (1..=100).rev().map(|ms| attempt(1, ms, true, false)).collect();
        let expected = Latency {
            p50: 50,
            p90: 90,
            p99: 99,
            max: 100,
        };
        assert_eq!(periods(&hundred, NOW).0.latency_ms, Some(expected));
        let one = Latency {
            p50: 7,
            p90: 7,
            p99: 7,
            max: 7,
        };
        assert_eq!(periods(&[attempt(1, 7, true, false)], NOW).0.latency_ms, Some(one));
    }

    #[test]
    fn the_age_of_the_oldest_is_never_negative() {
        let queue = Queue::new(1, false, Some(Timestamp(NOW.0 + 5)), NOW);
        assert_eq!(queue.oldest_pending_age_ms, Some(0));
        assert_eq!(Queue::new(0, false, None, NOW).oldest_pending_age_ms, None);
    }
}

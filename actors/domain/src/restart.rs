//! When a failed child is started again: the restart budget of one child (ARCHITECTURE.md, the laws).

use std::{collections::VecDeque, time::Duration};

use crate::Timestamp;

/// Restarts within [`WINDOW`] before a child is parked.
pub const BUDGET: usize = 5;
/// The window of the budget.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The wait before the first restart; doubled for each further one within the window.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// How long a child is parked the first time; doubled each time it fails again.
const FIRST_PARKING: Duration = Duration::from_secs(30);
/// The longest parking: long enough to cost nothing, short enough that a repair shows within minutes.
const LONGEST_PARKING: Duration = Duration::from_secs(600);
/// Jitter on every wait, so that children that failed together do not come back together.
const JITTER_SHARE: f64 = 0.2;

/// What to do with a child that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Start it again after this.
    After(Duration),
    /// Its budget is used up: leave it alone for this long, visibly.
    Park(Duration),
}

impl Restart {
    /// The wait, whichever it is.
    pub fn wait(self) -> Duration {
        match self {
            Self::After(wait) | Self::Park(wait) => wait,
        }
    }
}

/// The record of one child's failures.
#[derive(Debug, Clone, Default)]
pub struct RestartBudget {
    recent: VecDeque<Timestamp>,
    /// Parkings in a row, and when the last one ends.
    parkings: u32,
    parked_until: Option<Timestamp>,
    restarts: u32,
}

impl RestartBudget {
    /// Restarts since the supervisor first started this child.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Records a failure at `now`; `jitter` is 0.0 to 1.0.
    pub fn failed(&mut self, now: Timestamp, jitter: f64) -> Restart {
        self.restarts = self.restarts.saturating_add(1);
        while self.recent.front().is_some_and(|first| now.since(*first) > WINDOW) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        // A child that fails soon after a parking has not shown that it is well: it is parked again, for longer.
        let on_probation = self.parked_until.is_some_and(|until| now.since(until) <= WINDOW);
        if !on_probation {
            self.parkings = 0;
        }
        let spread = |wait: Duration| wait + wait.mul_f64(jitter.clamp(0.0, 1.0) * JITTER_SHARE);
        if on_probation || self.recent.len() > BUDGET {
            let wait = spread(
                FIRST_PARKING
                    .saturating_mul(1 << self.parkings.min(8))
                    .min(LONGEST_PARKING),
            );
            self.parkings = self.parkings.saturating_add(1);
            self.parked_until = Some(now + wait);
            self.recent.clear();
            return Restart::Park(wait);
        }
        let doublings = u32::try_from(self.recent.len() - 1).unwrap_or(u32::MAX).min(6);
        Restart::After(spread(FIRST_WAIT.saturating_mul(1 << doublings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_restarts_then_parking() {
        let mut budget = RestartBudget::default();
        let start = Timestamp(1_000_000);
        for n in 0..5 {
            assert!(
                matches!(budget.failed(start + Duration::from_secs(n), 0.0), Restart::After(_)),
                "failure {n}"
            );
        }
        assert_eq!(
            budget.failed(start + Duration::from_secs(6), 0.0),
            Restart::Park(FIRST_PARKING)
        );
        assert_eq!(budget.restarts(), 6);
    }

    #[test]
    fn failing_again_after_a_parking_parks_for_longer_and_health_resets() {
        let mut budget = RestartBudget::default();
        let mut now = Timestamp(0);
        let park = |budget: &mut RestartBudget, now: Timestamp| budget.failed(now, 0.0);
        for _ in 0..5 {
            park(&mut budget, now);
        }
        let mut waits = Vec::new();
        for _ in 0..8 {
            let restart = park(&mut budget, now);
            assert!(matches!(restart, Restart::Park(_)));
            waits.push(restart.wait().as_secs());
            now = now + restart.wait() + Duration::from_secs(1);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600, 600]);
        let healthy = now + Duration::from_secs(3600);
        assert_eq!(park(&mut budget, healthy), Restart::After(FIRST_WAIT));
        let again: Vec<Restart> = (0..5).map(|_| park(&mut budget, healthy)).collect();
        assert_eq!(
            again.last(),
            Some(&Restart::Park(FIRST_PARKING)),
            "from the first parking on"
        );
    }

    #[test]
    fn what_failed_within_a_minute_counts_and_no_longer() {
        let mut budget = RestartBudget::default();
        let mut fail = |second| budget.failed(Timestamp::from_seconds(second), 0.0);
        for second in [0, 40, 41, 42, 43, 61] {
            assert!(
                matches!(fail(second), Restart::After(_)),
                "{second}: the first is over by then"
            );
        }
        assert!(matches!(fail(62), Restart::Park(_)), "the sixth within a minute");
    }

    #[test]
    fn failures_far_apart_never_park() {
        let mut budget = RestartBudget::default();
        for n in 0..1000 {
            let restart = budget.failed(Timestamp(n * 20_000), 1.0);
            assert!(
                matches!(restart, Restart::After(wait) if wait < Duration::from_secs(1)),
                "failure {n}: {restart:?}"
            );
        }
    }
}

//! When a webhook's next attempt may start: its owner's `max_per_second`, and what its receiver asked for with
//! `Retry-After`.

use std::{collections::VecDeque, time::Duration};

use crate::Timestamp;

/// The longest pause that a receiver is granted.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// See the module. Of a webhook without a pace or a pause it is empty.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The last starts, as many as one unit allows.
    starts: VecDeque<Timestamp>,
    paused_until: Option<Timestamp>,
}

/// So many starts in any stretch of this many milliseconds. Evenly spaced up to 100 a second; faster than that in
/// tenths of a second, because timers tick in milliseconds. Ten tenths never sum up to more than was asked for.
fn unit(per_second: u32) -> (usize, u64) {
    if per_second < 100 {
        (1, 1000_u64.div_ceil(per_second.max(1).into()))
    } else {
        ((per_second / 10) as usize, 100)
    }
}

impl Pace {
    /// `None` when an attempt may start now, else when.
    pub(super) fn closed_until(&mut self, now: Timestamp, per_second: Option<u32>) -> Option<Timestamp> {
        let paused = self.paused_until(now);
        let Some(per_second) = per_second else {
            return paused;
        };
        let (count, ms) = unit(per_second);
        // A clock that was set back must not hold anything up.
        while self.starts.back().is_some_and(|last| *last > now) {
            self.starts.pop_back();
        }
        let first = self
            .starts
            .len()
            .checked_sub(count)
            .and_then(|place| self.starts.get(place));
        let paced = first
            .map(|first| *first + Duration::from_millis(ms))
            .filter(|at| *at > now);
        paced.max(paused)
    }

    pub(super) fn started(&mut self, now: Timestamp, per_second: Option<u32>) {
        let Some(per_second) = per_second else { return };
        self.starts.push_back(now);
        while self.starts.len() > unit(per_second).0 {
            self.starts.pop_front();
        }
    }

    /// Takes the last [`Pace::started`] back.
    pub(super) fn not_started(&mut self, per_second: Option<u32>) {
        if per_second.is_some() {
            self.starts.pop_back();
        }
    }

    /// The receiver wants to be left alone until then; an earlier wish does not shorten a later one.
    pub(super) fn pause_until(&mut self, now: Timestamp, at: Timestamp) {
        let at = at.min(now + LONGEST_PAUSE);
        self.paused_until = self.paused_until(now).max(Some(at)).filter(|at| *at > now);
    }

    /// Until when it is paused, if it is.
    pub(super) fn paused_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        if let Some(at) = self.paused_until {
            // The clamp again, for a clock that was set back.
            self.paused_until = Some(at.min(now + LONGEST_PAUSE)).filter(|at| *at > now);
        }
        self.paused_until
    }

    /// Ends a pause.
    pub(super) fn resume(&mut self) {
        self.paused_until = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn no_second_has_more_starts_than_asked_for(
            per_second in 1..1100_u32,
            gaps in prop::collection::vec(0..40_i64, 1..600),
        ) {
            let (mut pace, mut now, mut starts) = (Pace::default(), 0, Vec::new());
            let rate = Some(per_second);
            for gap in gaps {
                now += gap;
                while pace.closed_until(Timestamp(now), rate).is_none() {
                    pace.started(Timestamp(now), rate);
                    if gap % 7 == 3 {
                        // No slot, for this one and for now.
                        pace.not_started(rate);
                        break;
                    }
                    starts.push(now);
                }
            }
            // One more than asked for takes a second at least.
            for pair in starts.windows(per_second as usize + 1) {
                prop_assert!(pair[per_second as usize] >= pair[0] + 1000, "{per_second} a second");
            }
        }

        #[test]
        fn what_was_asked_for_is_nearly_reached(per_second in 1..1001_u32) {
            // Within a tenth.
            let (mut pace, mut starts) = (Pace::default(), 0);
            let rate = Some(per_second);
            for now in 0..10_000 {
                while pace.closed_until(Timestamp(now), rate).is_none() {
                    pace.started(Timestamp(now), rate);
                    starts += 1;
                }
            }
            prop_assert!(starts * 11 >= per_second * 100, "{starts} in ten seconds of {per_second}");
        }
    }

    #[test]
    fn a_pause_is_clamped_and_a_clock_that_jumps_back_does_not_prolong_it() {
        let mut pace = Pace::default();
        let now = Timestamp(10_000_000_000);
        pace.pause_until(now, now + Duration::from_secs(90_000));
        let longest = now + LONGEST_PAUSE;
        assert_eq!(pace.closed_until(now, None), Some(longest));
        pace.pause_until(now, now + Duration::from_secs(1));
        assert_eq!(pace.closed_until(now, None), Some(longest), "the later one counts");
        assert_eq!(
            pace.closed_until(Timestamp(0), None),
            Some(Timestamp(0) + LONGEST_PAUSE)
        );
        assert_eq!(pace.closed_until(now, None), None);
        pace.started(now, Some(1));
        assert!(pace.closed_until(now, Some(1)).is_some());
        assert_eq!(pace.closed_until(Timestamp(5), Some(1)), None);
        pace.pause_until(now, Timestamp(3));
        assert_eq!(
            pace.closed_until(now + Duration::from_secs(2), Some(1)),
            None,
            "in the past"
        );
    }
}

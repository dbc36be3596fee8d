//! How fast one number sends: a bucket of tokens, one for each message.

use std::time::Duration;

use serde::Serialize;

use crate::{InvalidField, Timestamp};

/// What one token is in the bucket's own small coin, so that a millisecond at one a second is a whole number of it.
const TOKEN: u64 = 1000;

/// The most that can be asked for; more is no limit at all.
const PER_SECOND_MAX: u32 = 1000;

/// How fast one number sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pace {
    /// Messages per second in the long run; 0 is as fast as can be.
    pub per_second: u32,
    /// Messages that may go at once after a pause, at least 1.
    pub burst: u32,
}

/// How one number sends (config.toml, `[sending]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Messages per second in the long run; 0 is as fast as can be.
    pub per_second: u32,
    /// Messages that may go at once after a pause, at least 1.
    pub burst: u32,
    /// The fastest pace that a client may set for a number of its own, unless this one is faster.
    pub fastest: Pace,
    /// Messages that may wait.
    pub queue_max: u32,
    /// How long one may wait before it fails.
    pub deadline: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            per_second: 1,
            burst: 5,
            fastest: Pace {
                per_second: 10,
                burst: 100,
            },
            queue_max: 100,
            deadline: Duration::from_secs(300),
        }
    }
}

impl Pacing {
    /// The same for a number whose client has set its pace. A pace that was allowed once counts as far as it is now.
    #[must_use]
    pub fn at(self, own: Option<Pace>) -> Self {
        let Some(own) = own else { return self };
        let most = self.most();
        let per_second = match (own.per_second, most.per_second) {
            (own, 0) => own,
            (0, most) => most,
            (own, most) => own.min(most),
        };
        Self {
            per_second,
            burst: own.burst.clamp(1, most.burst.max(1)),
            ..self
        }
    }

    /// Whether a client may set this pace for a number.
    ///
    /// # Errors
    /// `InvalidField` that says what it may.
    pub fn check(&self, own: Pace) -> Result<Pace, InvalidField> {
        let most = self.most();
        let (least, limit, why) = match most.per_second {
            0 => (0, PER_SECOND_MAX, "0 is no limit"),
            most => (
                1,
                most,
                "no more than the configuration allows (sending.max_per_second)",
            ),
        };
        if !(least..=limit).contains(&own.per_second) {
            let text = format!("must be a whole number from {least} to {limit}: {why}");
            return Err(InvalidField::new("sending.per_second", text));
        }
        if !(1..=most.burst).contains(&own.burst) {
            let text = format!(
                "must be a whole number from 1 to {}: no more than the configuration allows (sending.max_burst)",
                most.burst
            );
            return Err(InvalidField::new("sending.burst", text));
        }
        Ok(own)
    }

    /// How long the last of a full queue waits for its pace, if that is longer than it may.
    pub fn too_long(&self) -> Option<Duration> {
        let seconds = self.queue_max.checked_div(self.per_second)?;
        Some(Duration::from_secs(seconds.into())).filter(|wait| *wait > self.deadline)
    }

    /// What all numbers may is no less than what one may.
    fn most(&self) -> Pace {
        let unlimited = self.per_second == 0 || self.fastest.per_second == 0;
        Pace {
            per_second: match unlimited {
                true => 0,
                false => self.fastest.per_second.max(self.per_second),
            },
            burst: self.fastest.burst.max(self.burst),
        }
    }
}

/// Tokens: `per_second` come in, at most `burst` are kept, each message takes one.
#[derive(Debug, Clone)]
pub struct Bucket {
    per_second: u64,
    most: u64,
    level: u64,
    at: Timestamp,
}

impl Bucket {
    /// One with a single token. What went before it is not known, and a process that ends over and over would otherwise let a
    /// burst go each time.
    pub fn new(pacing: Pacing, now: Timestamp) -> Self {
        let most = u64::from(pacing.burst.max(1)) * TOKEN;
        Self {
            per_second: pacing.per_second.into(),
            most,
            level: TOKEN,
            at: now,
        }
    }

    /// One that is full, for what nobody does before there is a bucket.
    pub fn full(pace: Pace, now: Timestamp) -> Self {
        let most = u64::from(pace.burst.max(1)) * TOKEN;
        Self {
            per_second: pace.per_second.into(),
            most,
            level: most,
            at: now,
        }
    }

    /// Whether nothing was taken that has not come in again: a full one says no more than none.
    pub fn is_full(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        self.level >= self.most
    }

    /// Goes on at another pace. What has gathered stays, up to the new burst.
    pub fn set(&mut self, pacing: Pacing, now: Timestamp) {
        self.fill(now);
        let Self { per_second, most, .. } = Self::new(pacing, now);
        (self.per_second, self.most) = (per_second, most);
        self.level = self.level.min(most);
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        if self.per_second == 0 {
            return true;
        }
        self.fill(now);
        let enough = self.level >= TOKEN;
        if enough {
            self.level -= TOKEN;
        }
        enough
    }

    /// Puts a token back that was not used.
    pub fn give_back(&mut self) {
        self.level = (self.level + TOKEN).min(self.most);
    }

    /// When there will be a token.
    pub fn next(&mut self, now: Timestamp) -> Timestamp {
        if self.per_second == 0 {
            return now;
        }
        self.fill(now);
        let missing = TOKEN.saturating_sub(self.level);
        now + Duration::from_millis(missing.div_ceil(self.per_second))
    }

    fn fill(&mut self, now: Timestamp) {
        // A clock that was put back fills nothing and holds nothing up.
        let elapsed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.at = now;
        self.level = self
            .most
            .min(self.level.saturating_add(elapsed.saturating_mul(self.per_second)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_itself_a_full_queue_is_sent_in_time() {
        let by_itself = Pacing::default();
        assert_eq!(by_itself.too_long(), None);
        let long = Pacing {
            queue_max: 301,
            ..by_itself
        };
        assert_eq!(long.too_long(), Some(Duration::from_secs(301)));
        for per_second in [0, 2] {
            assert_eq!(Pacing { per_second, ..long }.too_long(), None);
        }
    }

    /// A bucket of that age is full.
    const LONG_AGO: Timestamp = Timestamp(-100_000);

    fn pacing(per_second: u32, burst: u32) -> Pacing {
        Pacing {
            per_second,
            burst,
            ..Pacing::default()
        }
    }

    #[test]
    fn a_number_has_its_own_pace_within_what_is_allowed() {
        let pacing = Pacing::default();
        let pace = |per_second, burst| Pace { per_second, burst };
        for (own, shown) in [
            (None, (1, 5)),
            (Some(pace(10, 100)), (10, 100)),
            (Some(pace(3, 1)), (3, 1)),
            // Allowed once, and not any more.
            (Some(pace(0, 1000)), (10, 100)),
            (Some(pace(50, 0)), (10, 1)),
        ] {
            let at = pacing.at(own);
            assert_eq!((at.per_second, at.burst), shown, "{own:?}");
        }
        for (refused, field) in [
            (pace(0, 5), "sending.per_second"),
            (pace(11, 5), "sending.per_second"),
            (pace(1, 0), "sending.burst"),
            (pace(1, 101), "sending.burst"),
        ] {
            let error = pacing.check(refused).unwrap_err();
            assert_eq!(error.field, field);
            assert!(error.message.contains("1 to 10"), "{error}");
        }
        for allowed in [pace(1, 1), pace(10, 100)] {
            assert_eq!(pacing.check(allowed), Ok(allowed));
        }
        let as_fast_as_it_goes = Pacing {
            fastest: pace(0, 100),
            ..pacing
        };
        assert_eq!(as_fast_as_it_goes.check(pace(0, 5)), Ok(pace(0, 5)), "0 is no limit");
        let free = Pacing {
            per_second: 0,
            ..pacing
        };
        assert_eq!(free.check(pace(0, 5)), Ok(pace(0, 5)));
        assert!(free.check(pace(1001, 5)).unwrap_err().message.contains("0 to 1000"));
        assert_eq!(free.at(Some(pace(0, 5))).per_second, 0);
        let fast = Pacing {
            per_second: 30,
            burst: 300,
            ..pacing
        };
        assert_eq!(fast.check(pace(30, 300)), Ok(pace(30, 300)), "what all may");
    }

    #[test]
    fn another_pace_counts_at_once_and_gives_nothing_away() {
        let mut bucket = Bucket::new(pacing(1, 5), LONG_AGO);
        bucket.set(pacing(2, 10), Timestamp(0));
        assert_eq!(
            (0..10).filter(|_| bucket.take(Timestamp(0))).count(),
            5,
            "what had gathered"
        );
        assert_eq!(bucket.next(Timestamp(0)), Timestamp(500));
        bucket.set(pacing(1, 1), Timestamp(5000));
        assert_eq!((0..10).filter(|_| bucket.take(Timestamp(5000))).count(), 1);
        bucket.set(pacing(0, 1), Timestamp(5000));
        assert!(bucket.take(Timestamp(5000)));
        bucket.set(pacing(1, 5), Timestamp(9000));
        assert!(
            !bucket.take(Timestamp(9000)),
            "nothing gathers where nothing is counted"
        );
    }

    #[test]
    fn whoever_begins_anew_over_and_over_is_no_faster_than_one_that_goes_on() {
        let mut bucket = Bucket::new(Pacing::default(), Timestamp(0));
        assert!(bucket.take(Timestamp(0)) && !bucket.take(Timestamp(0)));
        assert!(bucket.take(Timestamp(1000)) && !bucket.take(Timestamp(1000)));
        assert_eq!((0..9).filter(|_| bucket.take(Timestamp(9000))).count(), 5);
    }

    #[test]
    fn five_at_once_then_one_a_second() {
        let mut bucket = Bucket::new(Pacing::default(), LONG_AGO);
        assert!((0..5).all(|_| bucket.take(Timestamp(0))));
        assert!(!bucket.take(Timestamp(999)));
        assert_eq!(bucket.next(Timestamp(999)), Timestamp(1000));
        assert!(bucket.take(Timestamp(1000)) && !bucket.take(Timestamp(1000)));
        bucket.give_back();
        assert!(bucket.take(Timestamp(1000)));
        assert!((0..5).all(|_| bucket.take(Timestamp(60_000))) && !bucket.take(Timestamp(60_000)));
    }

    #[test]
    fn a_full_one_gives_its_burst_and_is_full_again_when_all_of_it_has_come_in() {
        let pace = Pace {
            per_second: 2,
            burst: 3,
        };
        let mut bucket = Bucket::full(pace, Timestamp(0));
        assert!(bucket.is_full(Timestamp(0)));
        assert_eq!((0..9).filter(|_| bucket.take(Timestamp(0))).count(), 3);
        assert!(!bucket.is_full(Timestamp(1499)) && bucket.is_full(Timestamp(1500)));
    }

    #[test]
    fn no_pace_is_no_wait() {
        let mut bucket = Bucket::new(pacing(0, 1), LONG_AGO);
        assert!((0..1000).all(|_| bucket.take(Timestamp(0))));
        assert_eq!(bucket.next(Timestamp(7)), Timestamp(7));
    }

    proptest! {
        /// In no stretch of time go more than the burst and what that time brings.
        #[test]
        fn never_faster_than_it_may(per_second in 1u32..50, burst in 1u32..20, steps in prop::collection::vec(0i64..2000, 1..200)) {
            let mut bucket = Bucket::new(pacing(per_second, burst), LONG_AGO);
            let mut now = 0;
            let mut starts = Vec::new();
            for step in steps {
                now += step;
                while bucket.take(Timestamp(now)) {
                    starts.push(now);
                }
            }
            for (at, first) in starts.iter().enumerate() {
                for (to, last) in starts.iter().enumerate().skip(at) {
                    let allowed = u64::from(burst) * 1000 + (last - first).unsigned_abs() * u64::from(per_second);
                    prop_assert!((to - at + 1) as u64 * 1000 <= allowed);
                }
            }
        }

        /// There is a token at the time that was named, and not a millisecond before.
        #[test]
        fn the_next_is_when_it_says(per_second in 1u32..2000, burst in 1u32..5, taken in 0u32..10) {
            let mut bucket = Bucket::new(pacing(per_second, burst), LONG_AGO);
            for _ in 0..taken {
                bucket.take(Timestamp(0));
            }
            let next = bucket.next(Timestamp(0));
            if next > Timestamp(0) {
                prop_assert!(!bucket.clone().take(Timestamp(next.0 - 1)));
            }
            prop_assert!(bucket.take(next));
        }

        /// A clock that jumps either way lets nothing hang for longer than a token takes.
        #[test]
        fn a_jumping_clock_holds_nothing_up(times in prop::collection::vec(-1_000_000i64..1_000_000, 1..50)) {
            let mut bucket = Bucket::new(pacing(1, 1), LONG_AGO);
            for time in times {
                bucket.take(Timestamp(time));
                prop_assert!(bucket.next(Timestamp(time)).since(Timestamp(time)) <= Duration::from_secs(1));
            }
        }
    }
}

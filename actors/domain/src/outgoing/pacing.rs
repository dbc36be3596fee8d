//! How fast one number sends: a bucket of tokens, one for each message.

use std::time::Duration;

use crate::Timestamp;

/// What one token is in the bucket's own small coin, so that a millisecond at one a second is a whole number of it.
const TOKEN: u64 = 1000;

/// How one number sends (config.toml, `[sending]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Messages per second in the long run; 0 is as fast as can be.
    pub per_second: u32,
    /// Messages that may go at once after a pause, at least 1.
    pub burst: u32,
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
            queue_max: 100,
            deadline: Duration::from_secs(60),
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
    /// A full one.
    pub fn new(pacing: Pacing, now: Timestamp) -> Self {
        let most = u64::from(pacing.burst.max(1)) * TOKEN;
        Self {
            per_second: pacing.per_second.into(),
            most,
            level: most,
            at: now,
        }
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

    fn pacing(per_second: u32, burst: u32) -> Pacing {
        Pacing {
            per_second,
            burst,
            ..Pacing::default()
        }
    }

    #[test]
    fn five_at_once_then_one_a_second() {
        let mut bucket = Bucket::new(Pacing::default(), Timestamp(0));
        assert!((0..5).all(|_| bucket.take(Timestamp(0))));
        assert!(!bucket.take(Timestamp(999)));
        assert_eq!(bucket.next(Timestamp(999)), Timestamp(1000));
        assert!(bucket.take(Timestamp(1000)) && !bucket.take(Timestamp(1000)));
        bucket.give_back();
        assert!(bucket.take(Timestamp(1000)));
        assert!((0..5).all(|_| bucket.take(Timestamp(60_000))) && !bucket.take(Timestamp(60_000)));
    }

    #[test]
    fn no_pace_is_no_wait() {
        let mut bucket = Bucket::new(pacing(0, 1), Timestamp(0));
        assert!((0..1000).all(|_| bucket.take(Timestamp(0))));
        assert_eq!(bucket.next(Timestamp(7)), Timestamp(7));
    }

    proptest! {
        /// In no stretch of time go more than the burst and what that time brings.
        #[test]
        fn never_faster_than_it_may(per_second in 1u32..50, burst in 1u32..20, steps in prop::collection::vec(0i64..2000, 1..200)) {
            let mut bucket = Bucket::new(pacing(per_second, burst), Timestamp(0));
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
            let mut bucket = Bucket::new(pacing(per_second, burst), Timestamp(0));
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
            let mut bucket = Bucket::new(pacing(1, 1), Timestamp(0));
            for time in times {
                bucket.take(Timestamp(time));
                prop_assert!(bucket.next(Timestamp(time)).since(Timestamp(time)) <= Duration::from_secs(1));
            }
        }
    }
}

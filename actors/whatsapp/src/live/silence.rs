//! How long the server has been silent, by a clock that does not leap.
//!
//! The client notes by the wall clock when the last byte came. That clock is set, and leaps after a suspend: all links at
//! once would look dead, or none for as long as it was put back. So a change of that note is what counts, and how long
//! it has been seen unchanged.

use std::time::{Duration, Instant};

use wharf_domain::Timestamp;

/// What is known of the last byte of a link.
#[derive(Debug)]
pub(crate) struct Silence {
    /// What the client noted when it was looked at last, in Unix milliseconds; 0 is nothing.
    noted: u64,
    /// When that byte came.
    heard: Instant,
    /// When it was looked last.
    looked: Instant,
}

/// What a look has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// How long nothing has come.
    pub(crate) silent_for: Duration,
    /// Whether the last byte came after now, by the wall clock: that was put back. The client takes such a link for
    /// one that just spoke, and does not ping it until the clock is there again.
    pub(crate) ahead: bool,
}

impl Silence {
    /// Of a link that is opened now.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            noted: 0,
            heard: now,
            looked: now,
        }
    }

    /// Looks at what the client noted; `None` before the first byte.
    pub(crate) fn look(&mut self, noted: u64, wall: Timestamp, now: Instant) -> Option<Look> {
        let at = Timestamp(i64::try_from(noted).unwrap_or(i64::MAX));
        // What the client noted it forgets when its run ends.
        if noted != 0 && noted != self.noted {
            // It came since the last look, whatever the wall clock says.
            let ago = wall.since(at).min(now.saturating_duration_since(self.looked));
            (self.noted, self.heard) = (noted, now.checked_sub(ago).unwrap_or(now));
        }
        self.looked = now;
        (self.noted != 0).then(|| Look {
            silent_for: now.saturating_duration_since(self.heard),
            ahead: at > wall,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;

    /// Looks every five seconds at what a clock of both kinds says; answers the last look.
    struct World {
        silence: Silence,
        steady: Instant,
        wall: i64,
        noted: i64,
    }

    impl World {
        fn new() -> Self {
            let steady = Instant::now();
            Self {
                silence: Silence::new(steady),
                steady,
                wall: T0,
                noted: 0,
            }
        }

        fn pass(&mut self, ms: i64) {
            self.wall += ms;
            self.steady += Duration::from_millis(ms.unsigned_abs());
        }

        fn hear(&mut self) {
            self.noted = self.wall;
        }

        fn look(&mut self) -> Option<Look> {
            self.silence
                .look(self.noted.unsigned_abs(), Timestamp(self.wall), self.steady)
        }

        fn silent_for(&mut self) -> Duration {
            self.look().unwrap().silent_for
        }
    }

    #[test]
    fn nothing_is_known_before_the_first_byte_and_then_the_time_since_it() {
        let mut world = World::new();
        world.pass(5_000);
        assert_eq!(world.look(), None);
        world.pass(1_000);
        world.hear();
        world.pass(4_000);
        assert_eq!(world.silent_for(), Duration::from_secs(4));
        world.pass(5_000);
        let silent_for = Duration::from_secs(9);
        let ahead = false;
        assert_eq!(world.look(), Some(Look { silent_for, ahead }));
    }

    #[test]
    fn what_was_heard_stays_heard_when_the_client_forgets_it() {
        let mut world = World::new();
        world.hear();
        assert_eq!(world.silent_for(), Duration::ZERO);
        world.pass(7_000);
        world.noted = 0;
        assert_eq!(world.silent_for(), Duration::from_secs(7));
    }

    #[test]
    fn a_clock_that_leaps_makes_nobody_silent_and_nobody_speak() {
        for leap in [50_000, HOUR, -50_000, -HOUR] {
            let mut world = World::new();
            world.hear();
            assert_eq!(world.silent_for(), Duration::ZERO);
            world.pass(2_000);
            world.wall += leap;
            world.pass(3_000);
            assert_eq!(world.silent_for(), Duration::from_secs(5), "{leap}");
            assert_eq!(world.look().unwrap().ahead, leap < 0);
            // A stall afterwards is seen in its time.
            for _ in 0..10 {
                world.pass(5_000);
                world.look();
            }
            assert_eq!(world.silent_for(), Duration::from_secs(55), "{leap}");
            world.pass(1_000);
            world.hear();
            world.pass(1_000);
            let silent_for = Duration::from_secs(1);
            let ahead = false;
            assert_eq!(world.look(), Some(Look { silent_for, ahead }), "{leap}");
        }
    }

    #[test]
    fn a_byte_before_the_leap_is_never_older_than_the_look_before_it() {
        for (leap, silent_for) in [(HOUR, 5), (-HOUR, 0)] {
            let mut world = World::new();
            world.hear();
            world.look();
            world.pass(2_000);
            world.hear();
            world.wall += leap;
            world.pass(3_000);
            assert_eq!(world.silent_for(), Duration::from_secs(silent_for));
        }
    }
}

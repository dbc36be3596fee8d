//! What is old enough to go, how much of it at a time, and whether the clock can be believed.

use std::time::Duration;

use crate::{EventStatus, Timestamp};

/// A clock this far ahead of where it was seen last is doubted. A month without the program is common enough that
/// history may go at its end; a clock that was never set is off by years.
const LEAP: Duration = Duration::from_hours(30 * 24);
/// While the program runs, what a clock may be ahead of the time that went by. One that is set by hand, or by a server of time,
/// after a start is seldom off by so much.
const AHEAD: Duration = Duration::from_hours(1);
/// A doubted clock that stays where it is for this long, while the program runs, is believed.
const DOUBTED_FOR: Duration = Duration::from_hours(24);

/// How long a step may hold the writer before the next one is smaller: far enough from the 50 ms that nobody may be
/// held for that one slow step stays below them.
const LONG: Duration = Duration::from_millis(20);
/// A step that takes less than this makes the next one larger.
const SHORT: Duration = Duration::from_millis(8);
/// The pause after a step is this many times the step: the writer is live traffic's for three quarters of the time.
const PAUSE_SHARE: u32 = 3;
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Often enough that a batch stays small and a lost wake-up is no long wait.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// The walk begins anew this often, for what was pending or not old enough when it passed.
const ANEW_EVERY: Duration = Duration::from_hours(24);

/// How long finished events are kept; `None` is for ever. Pending ones are always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Delivered ones.
    pub delivered: Option<Duration>,
    /// Failed ones.
    pub failed: Option<Duration>,
    /// How often what is old enough is looked for. Nobody configures it: a run that shows months in minutes says less.
    pub look_every: Duration,
    /// How often that begins at the oldest event again.
    pub anew_every: Duration,
}

impl Keep {
    /// From whole days, of which 0 is for ever.
    pub fn days(delivered: u32, failed: u32) -> Self {
        let days = |days: u32| (days > 0).then(|| Duration::from_hours(24 * u64::from(days)));
        Self {
            delivered: days(delivered),
            failed: days(failed),
            look_every: LOOK_EVERY,
            anew_every: ANEW_EVERY,
        }
    }

    /// What that means at `now`.
    pub fn cutoffs(self, now: Timestamp) -> Cutoffs {
        let before = |keep: Option<Duration>| {
            let keep = keep.and_then(|keep| i64::try_from(keep.as_millis()).ok());
            keep.map_or(Timestamp(i64::MIN), |keep| Timestamp(now.0.saturating_sub(keep)))
        };
        Cutoffs {
            delivered: before(self.delivered),
            failed: before(self.failed),
        }
    }
}

/// What was created before these goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs {
    /// If it is delivered.
    pub delivered: Timestamp,
    /// If it is failed.
    pub failed: Timestamp,
}

impl Cutoffs {
    /// Whether an event goes, or a message that was sent.
    pub fn condemn(&self, status: EventStatus, created_at: Timestamp) -> bool {
        match status {
            EventStatus::Pending => false,
            EventStatus::Delivered => created_at < self.delivered,
            EventStatus::Failed => created_at < self.failed,
        }
    }

    /// Nothing that was created at or after this goes.
    pub fn latest(&self) -> Timestamp {
        self.delivered.max(self.failed)
    }
}

/// An event as the retention sees it, or a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visited {
    /// Its place in the order of arrival.
    pub seq: i64,
    /// Where it stands.
    pub status: EventStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// What its removal takes: rows of its own and of its attempts, and pages that its body has to itself.
    pub weight: usize,
}

/// A walk over the events in the order of arrival, from the oldest on, until everything is too young.
///
/// It goes on where it stopped. What it passed and left, since it was pending or failed then, is met again by
/// [`Walk::begin_anew`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walk {
    place: i64,
    /// The place before the young events that the walk has reached, if nothing old came after them.
    young_from: Option<i64>,
}

impl Walk {
    /// Where the next step begins: after this `seq`.
    pub fn place(&self) -> i64 {
        self.place
    }

    /// Goes back to the oldest event.
    pub fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// Judges the next events, at most `visit`: which of them go, and whether the walk is over for now.
    ///
    /// A clock that jumped leaves events with times out of order. One that lies in the future is no reason to stop, and
    /// neither is a young one with old ones behind it.
    pub fn step(&mut self, rows: &[Visited], visit: usize, cutoffs: &Cutoffs, now: Timestamp) -> (Vec<Visited>, bool) {
        let mut condemned = Vec::new();
        let (mut old, mut young) = (false, false);
        for row in rows {
            if row.created_at < cutoffs.latest() {
                (old, self.young_from) = (true, None);
            } else if row.created_at <= now {
                young = true;
                self.young_from.get_or_insert(row.seq - 1);
            }
            if cutoffs.condemn(row.status, row.created_at) {
                condemned.push(*row);
            }
            self.place = row.seq;
        }
        let over = rows.len() < visit || (young && !old);
        if over {
            self.place = self.young_from.take().unwrap_or(self.place);
        }
        (condemned, over)
    }
}

/// How much a step takes on, by its weight, from how long the one before held the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepPace {
    size: usize,
    most: usize,
}

impl StepPace {
    const LEAST: usize = 8;

    /// Begins small.
    pub fn new(first: usize, most: usize) -> Self {
        let most = most.max(Self::LEAST);
        Self {
            size: first.clamp(Self::LEAST, most),
            most,
        }
    }

    /// The size of the next step.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Learns from a step; how long to pause after it.
    pub fn took(&mut self, took: Duration) -> Duration {
        if took > LONG {
            self.size = (self.size / 2).max(Self::LEAST);
        } else if took < SHORT {
            self.size = (self.size + self.size / 2).min(self.most);
        }
        (took * PAUSE_SHARE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }
}

/// How many rows of these weights a step of `size` takes, one at the least, and what they come to.
pub fn fitting(weights: impl IntoIterator<Item = usize>, size: usize) -> (usize, usize) {
    let (mut taken, mut weight) = (0, 0_usize);
    for next in weights {
        let with_next = weight.saturating_add(next);
        if taken > 0 && with_next > size {
            break;
        }
        (taken, weight) = (taken + 1, with_next);
    }
    (taken, weight)
}

/// Whether the clock can be believed. One that leaps forward by months would condemn everything at once, and one that leaps by days
/// what its owner wanted kept for as long. Whoever suspends the machine has it doubted, too, which keeps things for a day longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockWatch {
    /// What it said when it was believed last, and how long the program had run by then.
    believed: Option<(Timestamp, Duration)>,
    /// How long the program had run when a leap was noticed.
    doubted_at: Option<Duration>,
}

impl ClockWatch {
    /// Whether to go by `now`. `seen_at` is when the clock was believed last, also by a program before, `running` for how long this
    /// one has run, by a clock that does not jump.
    pub fn believes(&mut self, seen_at: Option<Timestamp>, now: Timestamp, running: Duration) -> bool {
        let leapt = match self.believed {
            Some((wall, by_then)) => now.since(wall) > running.saturating_sub(by_then) + AHEAD,
            None => seen_at.is_some_and(|seen_at| now.since(seen_at) > LEAP),
        };
        if leapt {
            let doubted_at = *self.doubted_at.get_or_insert(running);
            if running.saturating_sub(doubted_at) < DOUBTED_FOR {
                return false;
            }
        }
        (self.believed, self.doubted_at) = (Some((now, running)), None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const NOW: Timestamp = Timestamp(1_762_352_580_000);

    fn days_ago(days: i64) -> Timestamp {
        Timestamp(NOW.0 - days * DAY)
    }

    fn row(seq: i64, status: EventStatus, days: i64) -> Visited {
        Visited {
            seq,
            status,
            created_at: days_ago(days),
            weight: 1,
        }
    }

    fn step(walk: &mut Walk, rows: &[Visited], cutoffs: &Cutoffs, now: Timestamp) -> (Vec<i64>, bool) {
        let (condemned, over) = walk.step(rows, rows.len().max(1), cutoffs, now);
        (condemned.iter().map(|row| row.seq).collect(), over)
    }

    #[test]
    fn each_status_has_its_age_and_pending_has_none() {
        let cutoffs = Keep::days(7, 30).cutoffs(NOW);
        for (status, kept, goes) in [(EventStatus::Delivered, 7, 8), (EventStatus::Failed, 30, 31)] {
            assert!(!cutoffs.condemn(status, days_ago(kept)), "{status:?}");
            assert!(cutoffs.condemn(status, days_ago(goes)), "{status:?}");
        }
        assert!(!cutoffs.condemn(EventStatus::Pending, days_ago(100_000)));
        let a_day = Keep::days(1, 1).cutoffs(NOW);
        assert!(a_day.condemn(EventStatus::Delivered, days_ago(2)) && a_day.condemn(EventStatus::Failed, days_ago(2)));
        let for_ever = Keep::days(0, 0).cutoffs(NOW);
        for status in [EventStatus::Delivered, EventStatus::Failed] {
            assert!(!for_ever.condemn(status, Timestamp(0)), "{status:?}");
        }
    }

    #[test]
    fn the_walk_stops_at_the_young_and_goes_on_there() {
        use EventStatus::{Delivered, Failed, Pending};
        let cutoffs = Keep::days(7, 30).cutoffs(NOW);
        let mut walk = Walk::default();
        let rows = [
            row(1, Delivered, 40),
            row(2, Failed, 40),
            row(3, Failed, 10),
            row(4, Pending, 10),
        ];
        assert_eq!(step(&mut walk, &rows, &cutoffs, NOW), (vec![1, 2], false));
        let rows = [
            row(5, Delivered, 8),
            row(6, Delivered, 6),
            row(7, Delivered, 5),
            row(8, Delivered, 5),
        ];
        assert_eq!(step(&mut walk, &rows, &cutoffs, NOW), (vec![5], false));
        let rows = [9, 10, 11, 12].map(|seq| row(seq, Delivered, 4));
        assert_eq!(step(&mut walk, &rows, &cutoffs, NOW), (vec![], true));
        assert_eq!(walk.place(), 5, "the next round begins with the first young one");
        let later = Timestamp(NOW.0 + 2 * DAY);
        let rows = [
            row(6, Delivered, 6),
            row(7, Delivered, 5),
            row(8, Delivered, 5),
            row(9, Delivered, 4),
        ];
        let cutoffs = Keep::days(7, 30).cutoffs(later);
        assert_eq!(step(&mut walk, &rows, &cutoffs, later), (vec![6], false));
        assert_eq!(step(&mut walk, &[], &cutoffs, later), (vec![], true));
        assert_eq!(walk.place(), 6);
        walk.begin_anew();
        assert_eq!(walk.place(), 0);
    }

    #[test]
    fn times_out_of_order_do_not_stop_the_walk() {
        use EventStatus::Delivered;
        let cutoffs = Keep::days(7, 30).cutoffs(NOW);
        let mut walk = Walk::default();
        let future = [row(1, Delivered, -900), row(2, Delivered, -900)];
        assert_eq!(step(&mut walk, &future, &cutoffs, NOW), (vec![], false));
        let mixed = [row(3, Delivered, 2), row(4, Delivered, 20)];
        assert_eq!(step(&mut walk, &mixed, &cutoffs, NOW), (vec![4], false));
        assert_eq!(step(&mut walk, &[], &cutoffs, NOW), (vec![], true));
        assert_eq!(walk.place(), 4, "the young one before it waits for the next pass");
    }

    #[test]
    fn a_step_that_holds_the_writer_makes_the_next_one_smaller() {
        let mut pace = StepPace::new(64, 512);
        assert_eq!(pace.took(Duration::from_millis(40)), Duration::from_millis(120));
        assert_eq!(pace.size(), 32);
        pace.took(Duration::from_millis(12));
        assert_eq!(pace.size(), 32, "just right");
        for _ in 0..100 {
            pace.took(Duration::from_secs(9));
        }
        assert_eq!(pace.size(), StepPace::LEAST);
        assert_eq!(pace.took(Duration::ZERO), SHORTEST_PAUSE);
        for _ in 0..100 {
            pace.took(Duration::from_millis(1));
        }
        assert_eq!(pace.size(), 512);
    }

    #[test]
    fn no_step_takes_more_than_its_size_but_for_a_single_row() {
        // Events with one attempt each, with twenty, with bodies of 1.4 MB.
        let weights = [(1_000, 2), (400, 21), (50, 344)].map(|(rows, weight)| vec![weight; rows]);
        let (weights, mut pace) = (weights.concat(), StepPace::new(64, 1_000));
        let (mut left, mut steps, mut most) = (weights.as_slice(), 0, 0);
        while !left.is_empty() {
            let (taken, weight) = fitting(left.iter().copied(), pace.size());
            assert_eq!(left[..taken].iter().sum::<usize>(), weight);
            assert!(weight <= pace.size() || taken == 1, "{weight} of {}", pace.size());
            left = &left[taken..];
            assert!(left.first().is_none_or(|next| weight + next > pace.size()));
            (steps, most) = (steps + 1, most.max(weight));
            pace.took(Duration::from_millis(1));
        }
        assert!(
            (25..60).contains(&steps) && most > 900,
            "{steps} steps, {most} at the most"
        );
        assert_eq!(fitting([344, 1], 64), (1, 344));
        assert_eq!(fitting([], 64), (0, 0));
        assert_eq!(fitting([usize::MAX, usize::MAX], usize::MAX), (2, usize::MAX));
    }

    fn hours(hours: u64) -> Duration {
        Duration::from_hours(hours)
    }

    #[test]
    fn a_clock_that_leapt_by_months_before_the_start_is_believed_after_a_day() {
        for (seen_at, what) in [
            (None, "nothing to compare it with"),
            (Some(days_ago(29)), "it was switched off"),
            (Some(days_ago(-4_000)), "it was set back"),
        ] {
            assert!(ClockWatch::default().believes(seen_at, NOW, hours(0)), "{what}");
        }
        let mut watch = ClockWatch::default();
        let leapt = Timestamp(NOW.0 + 3_650 * DAY);
        assert!(!watch.believes(Some(NOW), leapt, hours(5)));
        assert!(!watch.believes(Some(NOW), leapt, hours(28)));
        assert!(watch.believes(Some(NOW), NOW, hours(28)), "it was set right");
        assert!(!watch.believes(Some(NOW), leapt, hours(29)), "the day begins anew");
        assert!(!watch.believes(Some(NOW), leapt, hours(52)));
        assert!(watch.believes(Some(NOW), leapt, hours(53)));
        assert!(watch.believes(Some(leapt), leapt, hours(53)), "and from then on");
    }

    #[test]
    fn a_clock_that_leaps_while_the_program_runs_is_believed_after_a_day() {
        let at = |hours: i64| Timestamp(NOW.0 + hours * 3_600_000);
        let mut watch = ClockWatch::default();
        for now in [0_i64, 1, 24, 240] {
            let running = hours(now.unsigned_abs());
            assert!(watch.believes(Some(NOW), at(now), running), "{now} hours went by");
        }
        assert!(watch.believes(Some(NOW), at(242), hours(241)), "an hour is none");
        for days in [1, 29, 3_650] {
            let leapt = at(242 + 24 * days);
            assert!(!watch.believes(Some(at(242)), leapt, hours(241)), "{days} days");
        }
        assert!(!watch.believes(Some(at(242)), at(242 + 24 + 23), hours(241 + 23)));
        assert!(watch.believes(Some(at(242)), at(266), hours(265)), "it was set right");
        assert!(watch.believes(Some(at(266)), at(100), hours(266)), "it was set back");
        assert!(watch.believes(Some(at(100)), at(101), hours(267)));
        assert!(!watch.believes(Some(at(101)), at(126), hours(268)));
        assert!(
            watch.believes(Some(at(101)), at(150), hours(292)),
            "it stays where it is"
        );
        assert!(watch.believes(Some(at(150)), at(151), hours(293)));
    }
}

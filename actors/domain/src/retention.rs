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
        let before = |keep: Option<Duration>| keep.map_or(Timestamp(i64::MIN), |keep| now - keep);
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
mod tests;

//! Getting parked events out again by themselves (`recovery: auto`). Parked are those that ended `failed` because their
//! budget was used up; the store has them, with the time at which their schedule goes on.
//!
//! While the receiver is down, the oldest of them is a *probe*: attempted at the times of its own schedule, which goes
//! on where the budget ended (5 s·2^n, at most 1 h) and stands in the store, so that a restart changes nothing. When one
//! is delivered, or any other event is, the receiver is up and a *pass* begins: parked events in the order of arrival, a
//! few at a time, and the next few when these have ended. New events have slots of their own meanwhile.
//!
//! An event that the receiver will never take must not hide the others, nor be asked for without end. A pass gives each
//! event one attempt. It ends early when all of a batch failed, and the next one goes on behind it; passes that deliver
//! nothing come at the times of the schedule too. A probe that has failed often takes turns with the other parked events.

use std::{collections::HashMap, time::Duration};

use super::{Effect, ParkedEvent};
use crate::{EventId, Timestamp, retry::wait_after};

/// The pause between two batches of a pass. With half of 16 attempts at once that is 32 events a second at the most.
const BETWEEN_BATCHES: Duration = Duration::from_millis(250);
/// The pause after the store could not be read or did not take a revival.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// Failed probes after which the others take turns with it: the waits are minutes long by then.
const PROBES_ALONE: u32 = 5;
/// Before the first place in the order of arrival.
const BEGINNING: i64 = -1;

/// What a read, and what is revived after it, is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Probe,
    /// Another one after a probe that keeps failing.
    Turn,
    Pass,
}

/// How far a revived event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Revival {
    /// The store is asked for it.
    Asked,
    /// The event is pending, whatever else is asked for it meanwhile.
    Pending,
    /// An attempt ended; its outcome is on its way to the store.
    Ended { delivered: bool },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Recoveries {
    /// Whether the store may have parked events.
    suspected: bool,
    /// Whether one was parked while a read was under way.
    again: bool,
    reading: bool,
    generation: u64,
    round: Round,
    not_before: Option<Timestamp>,
    /// Those of the present round whose end is not committed.
    out: HashMap<EventId, Revival>,
    /// Of the present round: attempts that ended, and whether one delivered.
    attempted: bool,
    delivered: bool,
    passing: bool,
    /// Whether the pass delivered anything.
    fruitful: bool,
    /// Where the pass is, or the next one goes on.
    cursor: i64,
    idle_passes: u32,
    pass_ended: Option<Timestamp>,
    failed_probes: u32,
    turn_is_due: bool,
    /// Whose turn was the last.
    turn: i64,
}

impl Default for Recoveries {
    fn default() -> Self {
        Self {
            suspected: true,
            again: false,
            reading: false,
            generation: 0,
            round: Round::Probe,
            not_before: None,
            out: HashMap::new(),
            attempted: false,
            delivered: false,
            passing: false,
            fruitful: false,
            cursor: BEGINNING,
            idle_passes: 0,
            pass_ended: None,
            failed_probes: 0,
            turn_is_due: false,
            turn: BEGINNING,
        }
    }
}

impl Recoveries {
    /// Knows nothing any more but what is under way; a read's answer is stale.
    pub(super) fn start_over(&mut self) {
        *self = Self {
            generation: self.generation,
            out: std::mem::take(&mut self.out),
            ..Self::default()
        };
    }

    /// When time alone makes [`Recoveries::next`] answer something.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.not_before.filter(|_| self.idle())
    }

    fn idle(&self) -> bool {
        self.suspected && !self.reading && self.out.is_empty()
    }

    /// The next read, if it is time for one. `up` says that the last event that ended was delivered.
    pub(super) fn next(&mut self, now: Timestamp, up: bool, at_once: usize) -> Option<Effect> {
        if !self.idle() || self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        self.not_before = None;
        if up && !self.passing {
            let rested = self.pass_ended.map(|at| at + wait_after(self.idle_passes.max(1), 0.0));
            self.not_before = rested.filter(|at| *at > now);
            if self.not_before.is_some() {
                return None;
            }
            self.begin_pass();
        }
        let (round, after, limit) = if self.passing {
            (Round::Pass, self.cursor, at_once)
        } else if self.turn_is_due {
            (Round::Turn, self.turn, 1)
        } else {
            (Round::Probe, BEGINNING, 1)
        };
        (self.round, self.reading) = (round, true);
        self.generation += 1;
        Some(Effect::LoadParked {
            generation: self.generation,
            after,
            limit,
        })
    }

    fn begin_pass(&mut self) {
        (self.passing, self.fruitful) = (true, false);
    }

    /// Takes what a read found, `None` when it failed or nobody wants it any more; answers what to revive.
    pub(super) fn loaded(&mut self, now: Timestamp, generation: u64, parked: Option<Vec<ParkedEvent>>) -> Vec<EventId> {
        if !self.reading || generation != self.generation {
            return Vec::new();
        }
        self.reading = false;
        let Some(parked) = parked else {
            self.not_before = Some(now + AFTER_TROUBLE);
            return Vec::new();
        };
        let Some(last) = parked.last() else {
            self.nothing_found(now);
            return Vec::new();
        };
        self.again = false;
        match self.round {
            Round::Probe if last.next_retry_at > now => {
                self.not_before = Some(last.next_retry_at);
                return Vec::new();
            }
            Round::Probe => {}
            Round::Turn => self.turn = last.seq,
            Round::Pass => {
                self.cursor = last.seq;
                self.not_before = Some(now + BETWEEN_BATCHES);
            }
        }
        (self.attempted, self.delivered) = (false, false);
        self.out = parked.iter().map(|event| (event.id, Revival::Asked)).collect();
        parked.iter().map(|event| event.id).collect()
    }

    fn nothing_found(&mut self, now: Timestamp) {
        let at_all = match self.round {
            Round::Probe => false,
            Round::Turn => {
                (self.turn, self.turn_is_due) = (BEGINNING, false);
                true
            }
            Round::Pass => {
                let at_all = self.cursor != BEGINNING;
                self.cursor = BEGINNING;
                self.end_pass(now);
                at_all
            }
        };
        if !at_all {
            self.suspected = std::mem::take(&mut self.again);
            (self.idle_passes, self.failed_probes) = (0, 0);
        }
    }

    fn end_pass(&mut self, now: Timestamp) {
        self.passing = false;
        self.pass_ended = Some(now);
        self.idle_passes = if self.fruitful {
            0
        } else {
            self.idle_passes.saturating_add(1)
        };
    }

    /// An event of another origin was delivered after a failure.
    pub(super) fn receiver_is_well(&mut self) {
        if !self.passing {
            self.not_before = None;
        }
    }

    /// An attempt ended; answers whether it was of a revived event.
    pub(super) fn attempted(&mut self, event_id: EventId, delivered: bool) -> bool {
        let Some(revival) = self.out.get_mut(&event_id) else {
            return false;
        };
        *revival = Revival::Ended { delivered };
        true
    }

    /// The end of an attempt is in the store; `exhausted` when that parked its event.
    pub(super) fn settled(&mut self, now: Timestamp, event_id: EventId, exhausted: bool) {
        if exhausted {
            self.suspected = true;
            self.again |= self.reading;
        }
        if let Some(revival) = self.out.remove(&event_id) {
            self.attempted |= matches!(revival, Revival::Ended { .. });
            self.delivered |= revival == Revival::Ended { delivered: true };
            if self.out.is_empty() {
                self.round_ended(now);
            }
        }
    }

    /// An event is pending again.
    pub(super) fn renewed(&mut self, event_id: EventId) {
        if let Some(revival @ Revival::Asked) = self.out.get_mut(&event_id) {
            *revival = Revival::Pending;
        }
    }

    /// An event was not revived: somebody else does something with it, or the store refused. A refused retry of one that
    /// was revived before changes nothing.
    pub(super) fn not_revived(&mut self, now: Timestamp, event_id: EventId) {
        if self.out.get(&event_id) != Some(&Revival::Asked) {
            return;
        }
        self.out.remove(&event_id);
        if self.out.is_empty() {
            self.round_ended(now);
            self.not_before = self.not_before.max(Some(now + AFTER_TROUBLE));
        }
    }

    fn round_ended(&mut self, now: Timestamp) {
        match self.round {
            Round::Pass if self.delivered => self.fruitful = true,
            Round::Pass if self.attempted => self.end_pass(now),
            Round::Pass => {}
            Round::Probe | Round::Turn if self.delivered => {
                (self.failed_probes, self.turn_is_due) = (0, false);
                self.cursor = BEGINNING;
                self.begin_pass();
                self.fruitful = true;
            }
            Round::Probe => {
                self.failed_probes = self.failed_probes.saturating_add(u32::from(self.attempted));
                self.turn_is_due = self.failed_probes >= PROBES_ALONE;
            }
            Round::Turn => self.turn_is_due = false,
        }
    }
}

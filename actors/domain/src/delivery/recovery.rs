//! Getting parked events out again by themselves (`recovery: auto`). Parked are those that ended `failed` because their
//! budget was used up; the store has them, with the time at which their schedule goes on.
//!
//! While the receiver is down, the oldest of them is a *probe*: attempted at the times of its own schedule, which goes
//! on where the budget ended (5 s·2^n, at most 1 h) and stands in the store, so that a restart changes nothing. When one
//! is delivered, or any other event is, the receiver is up and a *pass* begins: parked events in the order of arrival, a
//! few at a time, and the next few when these have ended. New events have slots of their own meanwhile.
//!
//! A revived event may have to wait for another of its chat, for as long as that one's schedule says. A pass does not wait
//! for it: one chat must not hold the others up.
//!
//! An event that the receiver will never take must not hide the others, nor be asked for without end. A pass gives each
//! event one attempt. It ends early when all of a batch failed, and the next one goes on behind it; passes that deliver
//! nothing come at the times of the schedule too. A probe that has failed often takes turns with the other parked events.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{Delivery, Effect, ParkedEvent};
use crate::{EventId, Ordering, PendingEvent, Timestamp, retry::wait_after};

/// The pause between two batches of a pass, and before another probe. With half of 16 attempts at once that is 32 events a
/// second at the most. A probe that is not parked again (a 4xx, or a budget that was raised) leaves the next one due already.
const BETWEEN_BATCHES: Duration = Duration::from_millis(250);
/// The pause after the store could not be read or did not take a revival.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// Failed probes after which the others take turns with it: the waits are minutes long by then.
const PROBES_ALONE: u32 = 5;
/// Before the first place in the order of arrival.
const BEGINNING: i64 = -1;

/// What a read, and what is revived after it, is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Round {
    #[default]
    Probe,
    /// Another one after a probe that keeps failing.
    Turn,
    Pass,
}

/// How far a revived event has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Revival {
    /// The store is asked for it.
    Asked,
    /// The event of this chat is pending, whatever else is asked for it meanwhile.
    Pending(Box<str>),
    /// An attempt ended; its outcome is on its way to the store.
    Ended { delivered: bool },
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recoveries {
    /// Whether the store may have parked events.
    suspected: bool,
    /// Whether one was parked while a read was under way.
    again: bool,
    reading: bool,
    generation: u64,
    round: Round,
    /// When the last round that revived something began.
    round_began: Option<Timestamp>,
    /// Whether an event was delivered since the read under way was asked for.
    well_since: bool,
    not_before: Option<Timestamp>,
    /// Those of the present round whose end is not committed.
    out: HashMap<EventId, Revival>,
    /// Those of earlier rounds that wait for another of their chat.
    pub(super) behind: HashSet<EventId>,
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
    /// The last probe's place: those behind it take turns with it.
    probe: i64,
}

impl Recoveries {
    pub(super) fn new() -> Self {
        Self {
            suspected: true,
            cursor: BEGINNING,
            turn: BEGINNING,
            probe: BEGINNING,
            ..Self::default()
        }
    }

    /// Knows nothing any more but what is under way; a read's answer is stale.
    pub(super) fn start_over(&mut self) {
        *self = Self {
            generation: self.generation,
            out: std::mem::take(&mut self.out),
            behind: std::mem::take(&mut self.behind),
            ..Self::new()
        };
    }

    /// Whether the store is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.reading
    }

    /// Whether the store is being read, or what was revived has not ended.
    pub(super) fn is_under_way(&self) -> bool {
        self.reading || !self.out.is_empty()
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
            (Round::Turn, self.turn.max(self.probe), 1)
        } else {
            (Round::Probe, BEGINNING, 1)
        };
        (self.round, self.reading, self.well_since) = (round, true, false);
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
        let rested = self.round_began.map(|began| began + BETWEEN_BATCHES);
        let due = match self.round {
            Round::Probe => rested.max(Some(last.next_retry_at)),
            Round::Turn => rested,
            Round::Pass => None,
        };
        if due.is_some_and(|at| at > now) {
            // A receiver that took something meanwhile gets a pass instead.
            self.not_before = due.filter(|_| !self.well_since);
            return Vec::new();
        }
        match self.round {
            Round::Probe => self.probe = last.seq,
            Round::Turn => self.turn = last.seq,
            Round::Pass => {
                self.cursor = last.seq;
                self.not_before = Some(now + BETWEEN_BATCHES);
            }
        }
        (self.attempted, self.delivered) = (false, false);
        self.round_began = Some(now);
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
            self.well_since = true;
        }
    }

    /// An attempt ended; answers whether it was of a revived event.
    pub(super) fn attempted(&mut self, event_id: EventId, delivered: bool) -> bool {
        let Some(revival) = self.out.get_mut(&event_id) else {
            return self.behind.contains(&event_id);
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
        self.behind.remove(&event_id);
        if let Some(revival) = self.out.remove(&event_id) {
            self.attempted |= matches!(revival, Revival::Ended { .. });
            self.delivered |= revival == Revival::Ended { delivered: true };
            if self.out.is_empty() {
                self.round_ended(now);
            }
        }
    }

    /// An event is pending again.
    pub(super) fn renewed(&mut self, event: &PendingEvent) {
        if let Some(revival @ Revival::Asked) = self.out.get_mut(&event.id) {
            *revival = Revival::Pending(event.chat.clone());
        }
    }

    /// Waits no longer for those that wait for another of their chat themselves. While the receiver is down the round goes on:
    /// that other one is asked for then, which is enough.
    pub(super) fn let_go(&mut self, now: Timestamp, up: bool, waits: impl Fn(EventId, &str) -> bool) {
        if !(up || self.passing) {
            return;
        }
        let (out, behind) = (&mut self.out, &mut self.behind);
        let before = out.len();
        out.retain(|event_id, revival| {
            let waits = matches!(revival, Revival::Pending(chat) if waits(*event_id, chat));
            if waits {
                behind.insert(*event_id);
            }
            !waits
        });
        if out.is_empty() && before > 0 {
            self.round_ended(now);
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

impl Delivery {
    /// Revives what a read found, unless nobody wants it any more or somebody does something with it.
    pub(super) fn on_parked(
        &mut self,
        now: Timestamp,
        generation: u64,
        parked: Option<Vec<ParkedEvent>>,
        effects: &mut Vec<Effect>,
    ) {
        let wanted = parked.filter(|_| self.recovers() && self.may_start());
        let mut revived = self.recoveries.loaded(now, generation, wanted);
        revived.retain(|event_id| {
            let held = self.window.hold(*event_id);
            if !held {
                self.recoveries.not_revived(now, *event_id);
            }
            held
        });
        if !revived.is_empty() {
            effects.push(Effect::Revive(revived));
        }
    }

    /// Goes on with what recovery has to do.
    pub(super) fn recover(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let (up, at_once) = (self.failure_count == 0, (self.config.max_in_flight / 2).max(1));
        let (window, all_due_held) = (&self.window, self.catch_up.holds_all_due());
        if self.ordering == Ordering::Chat {
            self.recoveries.let_go(now, up, |event_id, chat| {
                window.waits_for_another(event_id, chat).unwrap_or(all_due_held)
            });
        }
        effects.extend(self.recoveries.next(now, up, at_once));
    }
}

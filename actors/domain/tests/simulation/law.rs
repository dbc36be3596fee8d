//! The laws, kept apart from the machine: what may begin, what has to follow from an answer, what has to be left at the
//! end. Nothing here asks the machine what it thinks, and the schedule is written down a second time.

use std::{collections::BTreeMap, time::Duration};

use wharf_domain::{
    AttemptOutcome, AttemptResult, EventId, EventStatus, Ordering, Timestamp,
    delivery::{DeliveryConfig, DeliveryEvent, DeliverySnapshot, Effect},
};

use super::{
    courtesy::Courtesies,
    recovery::Recovery,
    store::{Store, number},
};

/// What is known of a row beside what the store has.
#[derive(Debug, Default)]
struct Note {
    /// POSTs that began.
    posts: u32,
    /// Of those, what a crash took before its outcome was committed.
    lost: u32,
    /// POSTs that the receiver took.
    took: u32,
    /// Of those, what a crash made forgotten.
    forgotten: u32,
    /// Manual retries of a delivered event.
    forced: u32,
    /// Its manual retry is committed, and the machine was not told yet.
    untold: bool,
    /// Rows of its chat that were under way when the machine was told of its manual retry: they need not stop.
    behind: Vec<usize>,
    /// `max_retries` when its last attempt ended; becomes `budget` when that is committed.
    ended_under: u32,
    /// `max_retries` under which its next attempt was scheduled.
    budget: u32,
    /// Recovery has given it one attempt more.
    revived: bool,
}

#[derive(Debug)]
struct Recording {
    outcome: AttemptOutcome,
    committed: bool,
}

/// What was under way, and what became of every row of one webhook.
#[derive(Debug)]
pub(super) struct Books {
    notes: Vec<Note>,
    /// Attempts that are to be made and have no slot yet.
    waiting: BTreeMap<usize, u32>,
    running: BTreeMap<usize, u32>,
    recording: BTreeMap<usize, Recording>,
    failures: u32,
    /// Attempts that began.
    begun: usize,
    pub(super) courtesy: Courtesies,
    pub(super) recovery: Recovery,
    /// The answer that the machine is just being told.
    answer: Option<(AttemptResult, Timestamp)>,
}

/// What a webhook's rows came to.
pub(super) struct Tally {
    pub(super) delivered: usize,
    pub(super) failed: usize,
    pub(super) duplicates: usize,
}

/// CONTRACT.md section 4: 5 s, 10 s, 20 s, …, at most 1 h.
fn wait_ms(in_budget: u32) -> i64 {
    let doubled = 1_i64
        .checked_shl(in_budget.saturating_sub(1).min(20))
        .unwrap_or(i64::MAX);
    (5000 * doubled).min(3_600_000)
}

macro_rules! law {
    ($holds:expr, $($what:tt)+) => { if !$holds { return Err(format!($($what)+)); } };
}
pub(super) use law;

impl Books {
    pub(super) fn new(config: DeliveryConfig) -> Self {
        Self {
            notes: Vec::new(),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            recording: BTreeMap::new(),
            failures: 0,
            begun: 0,
            courtesy: Courtesies::new(config),
            recovery: Recovery::default(),
            answer: None,
        }
    }

    pub(super) fn arrived(&mut self) {
        self.notes.push(Note::default());
    }

    /// May this attempt be made, as soon as it has a slot?
    pub(super) fn chosen(
        &mut self,
        store: &Store,
        now: Timestamp,
        event_id: EventId,
        attempt: u32,
    ) -> Result<(), String> {
        let event = number(event_id);
        let row = store
            .rows
            .get(event)
            .ok_or("an attempt of an event that nobody knows")?;
        self.courtesy.chosen(now, self.in_flight())?;
        law!(row.status == EventStatus::Pending, "{row:?} is attempted");
        law!(attempt == row.attempt_count + 1, "attempt {attempt} of {row:?}");
        law!(
            store.is_due(event, now),
            "{row:?} is attempted at {now:?}, before its time"
        );
        let in_budget = attempt - row.budget_start;
        let note = &self.notes[event];
        let within = in_budget == 1 || in_budget <= note.budget || note.revived;
        law!(within, "attempt {attempt} of {row:?} is beyond its budget");
        let in_order = self.courtesy.ordering() == Ordering::Chat;
        for earlier in store.before(event).filter(|_| in_order) {
            let note = &self.notes[earlier];
            let excused = note.untold || note.behind.contains(&event);
            law!(excused, "event {event} overtakes {earlier} of the same chat");
        }
        let twice = self.is_under_way(event);
        law!(!twice, "event {event} is attempted twice at once");
        self.notes[event].untold = false;
        self.waiting.insert(event, attempt);
        Ok(())
    }

    /// An attempt that was chosen has its slot and begins.
    pub(super) fn begins(&mut self, now: Timestamp, event_id: EventId) -> Result<(), String> {
        let event = number(event_id);
        let attempt = self.waiting.remove(&event).ok_or("an attempt that was not chosen")?;
        self.courtesy.starts(now, self.in_flight() + 1)?;
        self.running.insert(event, attempt);
        self.notes[event].posts += 1;
        self.begun += 1;
        Ok(())
    }

    /// An attempt that was chosen is not made after all.
    pub(super) fn put_back(&mut self, now: Timestamp, event_id: EventId) -> Result<(), String> {
        let before = self.in_flight();
        self.waiting.remove(&number(event_id));
        self.courtesy.put_back(now, before)?;
        self.courtesy.left(now, before, before - 1);
        Ok(())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.waiting.len() + self.running.len() + self.recording.len()
    }

    fn under_way(&self) -> impl Iterator<Item = usize> {
        let chosen = self.waiting.keys().chain(self.running.keys());
        chosen.chain(self.recording.keys()).copied()
    }

    fn is_under_way(&self, event: usize) -> bool {
        self.waiting.contains_key(&event) || self.running.contains_key(&event) || self.recording.contains_key(&event)
    }

    /// Whether nothing keeps back an event that is due: nothing of its chat is under way or comes before it.
    pub(super) fn is_free(&self, store: &Store, event: usize) -> bool {
        match self.courtesy.ordering() {
            Ordering::None => !self.is_under_way(event),
            Ordering::Chat => {
                let mut under_way = self.under_way();
                !under_way.any(|other| store.same_chat(other, event)) && store.before(event).next().is_none()
            }
        }
    }

    /// Attempts that began, of this event and of all.
    pub(super) fn begun(&self, event: usize) -> (u32, usize) {
        (self.notes[event].posts, self.begun)
    }

    /// An attempt ends; the machine is told next.
    pub(super) fn answered(
        &mut self,
        event_id: EventId,
        result: &AttemptResult,
        retry_after: Option<Duration>,
        target: u64,
        now: Timestamp,
    ) {
        self.courtesy.answered(result, retry_after, target, now);
        if result.failure().is_none() {
            self.notes[number(event_id)].took += 1;
        }
        self.answer = Some((result.clone(), now));
    }

    /// Is this what follows from the answer?
    pub(super) fn record(&mut self, store: &Store, outcome: &AttemptOutcome) -> Result<(), String> {
        let event = number(outcome.event_id);
        if let Some(known) = self.recording.get_mut(&event) {
            known.outcome.webhook_failure_count = self.failures;
            law!(known.outcome == *outcome, "{outcome:?} was {:?} before", known.outcome);
            return Ok(());
        }
        let running = self.running.remove(&event);
        law!(running == Some(outcome.attempt), "{outcome:?} of attempt {running:?}");
        let (result, ended) = self.answer.take().ok_or("an outcome that no attempt had")?;
        let in_budget = outcome.attempt - store.rows[event].budget_start;
        let config = self.courtesy.config;
        let asked = config.courtesy.retry_client_errors;
        let status = match result.http_status() {
            Some(200..=299) => EventStatus::Delivered,
            Some(code @ 400..=499) if !asked.contains(code) => EventStatus::Failed,
            _ if in_budget < config.max_retries => EventStatus::Pending,
            _ => EventStatus::Failed,
        };
        let waits = match result.http_status() {
            Some(200..=299) => false,
            Some(code @ 400..=499) => asked.contains(code),
            _ => true,
        };
        let base = wait_ms(in_budget);
        let wait = outcome.next_retry_at.map(|at| at.0 - ended.0);
        let due = base..=base + base / 10 + 1;
        let spaced = wait.map_or(!waits, |wait| waits && due.contains(&wait));
        law!(spaced, "{wait:?} ms after attempt {in_budget} of a budget, {result:?}");
        law!(outcome.status == status, "{outcome:?} where {status:?} was expected");
        law!(
            outcome.finished_at == ended,
            "{outcome:?} of an attempt that ended at {ended:?}"
        );
        self.failures = match status {
            EventStatus::Delivered => 0,
            // One that was counted when it failed first.
            EventStatus::Failed if self.recovery.is_out(event) => self.failures.max(1),
            EventStatus::Failed => self.failures + 1,
            EventStatus::Pending => self.failures,
        };
        law!(
            outcome.webhook_failure_count == self.failures,
            "{outcome:?}, and {} events have failed",
            self.failures
        );
        self.recovery.ended(event, status, ended);
        self.notes[event].ended_under = config.max_retries;
        let outcome = outcome.clone();
        self.recording.insert(
            event,
            Recording {
                outcome,
                committed: false,
            },
        );
        Ok(())
    }

    pub(super) fn committed(&mut self, store: &Store, event_id: EventId) {
        let event = number(event_id);
        self.recovery.committed(store, self.courtesy.ordering());
        self.notes[event].budget = self.notes[event].ended_under;
        self.notes[event].revived = false;
        if let Some(recording) = self.recording.get_mut(&event) {
            recording.committed = true;
        }
    }

    pub(super) fn renewed(&mut self, store: &Store, event: usize, was_delivered: bool) {
        self.recovery.committed(store, self.courtesy.ordering());
        self.notes[event].untold = true;
        self.notes[event].forced += u32::from(was_delivered);
    }

    pub(super) fn revived(&mut self, store: &Store, event: usize) {
        self.recovery.committed(store, self.courtesy.ordering());
        (self.notes[event].untold, self.notes[event].revived) = (true, true);
        self.recovery.revived(event);
    }

    /// The machine is told something.
    pub(super) fn told(&mut self, event: &DeliveryEvent, store: &Store, now: Timestamp) {
        match event {
            DeliveryEvent::Configured(config) => {
                self.courtesy.configured(*config, now, self.in_flight());
                self.recovery.configured();
            }
            DeliveryEvent::Renewed(event) => {
                let renewed = number(event.id);
                let later = |other: &usize| *other > renewed && store.same_chat(*other, renewed);
                let behind: Vec<usize> = self.under_way().filter(later).collect();
                self.notes[renewed].behind.extend(behind);
                // A retry of many may be heard of before the end that made it possible: then the store has to be asked.
                self.notes[renewed].untold = self.recording.contains_key(&renewed);
            }
            DeliveryEvent::OutcomeCommitted { event_id, .. } => self.settled(number(*event_id), now),
            DeliveryEvent::NotRenewed(event_id) => self.recovery.refused(number(*event_id)),
            _ => {}
        }
    }

    fn settled(&mut self, event: usize, now: Timestamp) {
        let before = self.in_flight();
        if let Some(recording) = self.recording.remove(&event) {
            self.courtesy.committed(recording.outcome.http_status);
            self.courtesy.left(now, before, before - 1);
        }
        self.recovery.settled(event);
    }

    /// What the machine answers to what it was told.
    pub(super) fn stepped(&mut self, effects: &[Effect]) -> Result<(), String> {
        self.courtesy.stepped(effects)
    }

    /// The machine died, and what was under way with it.
    pub(super) fn restarted(&mut self, store: &Store) {
        self.waiting.clear();
        for event in std::mem::take(&mut self.running).into_keys() {
            self.notes[event].lost += 1;
        }
        for (event, recording) in std::mem::take(&mut self.recording) {
            if !recording.committed {
                self.notes[event].lost += 1;
                let took = recording.outcome.status == EventStatus::Delivered;
                self.notes[event].forgotten += u32::from(took);
            }
        }
        for note in &mut self.notes {
            note.untold = false;
            note.behind.clear();
        }
        self.failures = store.failure_count;
        self.recovery = Recovery::begin(self.failures > 0);
        self.courtesy = Courtesies::new(store.webhook);
    }

    /// Everything has ended: is it as it has to be?
    pub(super) fn close(&self, store: &Store, machine: DeliverySnapshot) -> Result<Tally, String> {
        law!(store.pending() == 0, "{} events are left lying", store.pending());
        let idle = (machine.window, machine.in_flight, machine.following) == (0, 0, true);
        law!(idle, "the machine still has something: {machine:?}");
        let counted = (machine.failure_count, store.failure_count);
        law!(
            counted == (self.failures, self.failures),
            "{counted:?} failures counted, and {} events have failed",
            self.failures
        );
        let mut tally = Tally {
            delivered: 0,
            failed: 0,
            duplicates: 0,
        };
        for (event, (row, note)) in store.rows.iter().zip(&self.notes).enumerate() {
            law!(
                note.posts == row.attempt_count + note.lost,
                "event {event}: {row:?} does not follow from {note:?}"
            );
            let excused = note.forgotten + note.forced;
            let taken = match row.status {
                EventStatus::Delivered => 1..=1 + excused,
                _ => 0..=excused,
            };
            law!(taken.contains(&note.took), "event {event} is {row:?}, and {note:?}");
            match row.status {
                EventStatus::Delivered => tally.delivered += 1,
                _ => tally.failed += 1,
            }
            tally.duplicates += note.took.saturating_sub(1 + note.forced) as usize;
        }
        Ok(tally)
    }
}

//! The laws, kept apart from the machine: what may begin, what has to follow from an answer, what has to be left at the
//! end. Nothing here asks the machine what it thinks, and the schedule is written down a second time.

use std::collections::BTreeMap;

use wharf_domain::{
    AttemptOutcome, AttemptResult, EventId, EventStatus, Timestamp,
    delivery::{DeliveryConfig, DeliveryEvent, DeliverySnapshot},
};

use super::{
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
#[derive(Debug, Default)]
pub(super) struct Books {
    notes: Vec<Note>,
    running: BTreeMap<usize, u32>,
    recording: BTreeMap<usize, Recording>,
    failures: u32,
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
    pub(super) fn arrived(&mut self) {
        self.notes.push(Note::default());
    }

    /// May this attempt begin?
    pub(super) fn begin(
        &mut self,
        store: &Store,
        config: DeliveryConfig,
        now: Timestamp,
        event_id: EventId,
        attempt: u32,
    ) -> Result<(), String> {
        let event = number(event_id);
        let row = store
            .rows
            .get(event)
            .ok_or("an attempt of an event that nobody knows")?;
        law!(config.is_active, "{row:?} is attempted though the webhook is inactive");
        law!(row.status == EventStatus::Pending, "{row:?} is attempted");
        law!(attempt == row.attempt_count + 1, "attempt {attempt} of {row:?}");
        let due = row.next_retry_at.is_none_or(|at| at <= now);
        law!(due, "{row:?} is attempted at {now:?}, before its time");
        let in_budget = attempt - row.budget_start;
        let note = &self.notes[event];
        let within = in_budget == 1 || in_budget <= note.budget || note.revived;
        law!(within, "attempt {attempt} of {row:?} is beyond its budget");
        for earlier in store.before(event) {
            let note = &self.notes[earlier];
            let excused = note.untold || note.behind.contains(&event);
            law!(excused, "event {event} overtakes {earlier} of the same chat");
        }
        let twice = self.recording.contains_key(&event) || self.running.insert(event, attempt).is_some();
        law!(!twice, "event {event} is attempted twice at once");
        let in_flight = self.running.len() + self.recording.len();
        law!(
            in_flight <= config.max_in_flight,
            "{in_flight} attempts are under way at once"
        );
        self.notes[event].posts += 1;
        Ok(())
    }

    /// An attempt ends; the machine is told next.
    pub(super) fn answered(&mut self, event_id: EventId, result: &AttemptResult, now: Timestamp) {
        if result.failure().is_none() {
            self.notes[number(event_id)].took += 1;
        }
        self.answer = Some((result.clone(), now));
    }

    /// Is this what follows from the answer?
    pub(super) fn record(
        &mut self,
        store: &Store,
        config: DeliveryConfig,
        outcome: &AttemptOutcome,
    ) -> Result<(), String> {
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
        let base = wait_ms(in_budget);
        let status = match result.http_status() {
            Some(200..=299) => EventStatus::Delivered,
            Some(400..=499) => EventStatus::Failed,
            _ if in_budget < config.max_retries => EventStatus::Pending,
            _ => EventStatus::Failed,
        };
        let waits = !matches!(result.http_status(), Some(200..=299 | 400..=499));
        let wait = outcome.next_retry_at.map(|at| at.0 - ended.0);
        let spaced = wait.map_or(!waits, |wait| waits && (base..=base + base / 10 + 1).contains(&wait));
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
        self.recovery.committed(store);
        self.notes[event].budget = self.notes[event].ended_under;
        self.notes[event].revived = false;
        if let Some(recording) = self.recording.get_mut(&event) {
            recording.committed = true;
        }
    }

    pub(super) fn renewed(&mut self, event: usize, was_delivered: bool) {
        self.notes[event].untold = true;
        self.notes[event].forced += u32::from(was_delivered);
    }

    pub(super) fn revived(&mut self, store: &Store, event: usize) {
        self.recovery.committed(store);
        (self.notes[event].untold, self.notes[event].revived) = (true, true);
        self.recovery.revived(event);
    }

    /// The machine is told something.
    pub(super) fn told(&mut self, event: &DeliveryEvent, store: &Store) {
        match event {
            DeliveryEvent::Renewed(event) => {
                let renewed = number(event.id);
                let under_way = self.running.keys().chain(self.recording.keys());
                let behind = under_way.filter(|other| **other > renewed && store.same_chat(**other, renewed));
                let behind: Vec<usize> = behind.copied().collect();
                self.notes[renewed].behind.extend(behind);
                self.notes[renewed].untold = false;
            }
            DeliveryEvent::OutcomeCommitted { event_id, .. } => {
                self.recording.remove(&number(*event_id));
                self.recovery.settled(number(*event_id));
            }
            DeliveryEvent::NotRenewed(event_id) => self.recovery.refused(number(*event_id)),
            _ => {}
        }
    }

    /// The machine died, and what was under way with it.
    pub(super) fn restarted(&mut self, store: &Store) {
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

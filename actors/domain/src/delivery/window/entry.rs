//! One event in the window, and what is being done with it.

use bytes::Bytes;

use crate::{AttemptOutcome, EventId, KEPT_PAYLOAD_BYTES, PendingEvent, Timestamp};

/// What is being done with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// May be attempted as soon as it is the front of its chat and a slot is free.
    Ready,
    /// Waits for its time.
    Waiting(Timestamp),
    /// A manual retry of it is on its way to the store.
    Held,
    /// An attempt is under way.
    Running,
    /// Its outcome is on its way to the store; `again_at` when the store refused it.
    Recording {
        outcome: Box<AttemptOutcome>,
        again_at: Option<Timestamp>,
    },
}

impl State {
    /// Whether an attempt or its commit is under way. Only a front ever is.
    pub(super) fn in_progress(&self) -> bool {
        matches!(self, State::Running | State::Recording { .. })
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: EventId,
    pub(super) seq: i64,
    pub(super) sequence: i64,
    pub(super) attempt_count: u32,
    pub(super) budget_start: u32,
    pub(super) next_retry_at: Option<Timestamp>,
    /// Dropped while the event or one before it waits for its time, and a large one always but for the step in which it came:
    /// the store has it, and a thousand dead receivers shall fit in memory.
    pub(super) payload: Option<Bytes>,
    pub(super) state: State,
}

impl Entry {
    pub(super) fn new(event: PendingEvent, now: Timestamp) -> Self {
        let PendingEvent {
            id,
            seq,
            sequence,
            attempt_count,
            budget_start,
            next_retry_at,
            payload,
            chat: _,
        } = event;
        let payload = payload.filter(|_| next_retry_at.is_none_or(|at| at <= now));
        let mut entry = Self {
            id,
            seq,
            sequence,
            attempt_count,
            budget_start,
            next_retry_at,
            payload,
            state: State::Ready,
        };
        entry.rest();
        entry
    }

    /// Whether its body is one that is not kept.
    pub(super) fn is_large(&self) -> bool {
        self.payload
            .as_ref()
            .is_some_and(|payload| payload.len() > KEPT_PAYLOAD_BYTES)
    }

    /// Whether it waits for a time that has not come.
    pub(super) fn waits(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Waiting(at) if at > now)
    }

    /// The state of an event with which nothing is being done.
    pub(super) fn rest(&mut self) {
        self.state = self.next_retry_at.map_or(State::Ready, State::Waiting);
    }
}

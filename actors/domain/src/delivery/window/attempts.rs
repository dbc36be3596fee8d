//! Attempts at the fronts of chats: begun, ended, written down.

use std::sync::Arc;

use super::{
    Drained, Window,
    entry::{Entry, State},
};
use crate::{AttemptOutcome, EventId, EventStatus, Timestamp, delivery::NextAttempt};

/// What came of an outcome that is in the store.
#[derive(Debug)]
pub(in crate::delivery) struct Committed {
    pub(in crate::delivery) http_status: Option<u16>,
    /// Its event ended because its budget was used up.
    pub(in crate::delivery) exhausted: bool,
    /// When that emptied its chat.
    pub(in crate::delivery) drained: Option<Drained>,
}

impl Window {
    /// The next attempt to make: the front of the chat that has waited longest.
    pub(in crate::delivery) fn start_next(&mut self) -> Option<NextAttempt> {
        let (_, key) = self.ready.pop_first()?;
        let chat = self.chats.get_mut(&key)?;
        chat.listed = None;
        let front = chat.queue.front_mut()?;
        front.state = State::Running;
        self.in_progress += 1;
        Some(NextAttempt {
            event_id: front.id,
            sequence: front.sequence,
            attempt: front.attempt_count + 1,
            payload: front.payload.clone(),
        })
    }

    fn front_mut(&mut self, event_id: EventId) -> Option<&mut Entry> {
        let chat = self.by_id.get(&event_id)?;
        self.chats
            .get_mut(chat)?
            .queue
            .front_mut()
            .filter(|front| front.id == event_id)
    }

    /// The place and the start of the budget of the event whose attempt with this number is under way.
    pub(in crate::delivery) fn running(&mut self, event_id: EventId, attempt: u32) -> Option<(i64, u32)> {
        let front = self.front_mut(event_id)?;
        (front.state == State::Running && front.attempt_count + 1 == attempt).then_some((front.seq, front.budget_start))
    }

    /// An attempt ended; its outcome goes to the store.
    pub(in crate::delivery) fn recording(&mut self, outcome: AttemptOutcome) {
        if let Some(front) = self.front_mut(outcome.event_id) {
            front.payload = None;
            front.state = State::Recording {
                outcome: Box::new(outcome),
                again_at: None,
            };
        }
    }

    /// The store refused an outcome: it is offered again at `at`. Answers whether it was this attempt's that is on its
    /// way.
    pub(in crate::delivery) fn record_again_at(&mut self, event_id: EventId, attempt: u32, at: Timestamp) -> bool {
        if let Some((key, entry)) = self.entry_mut(event_id)
            && let State::Recording {
                outcome,
                again_at: again_at @ None,
            } = &mut entry.state
            && outcome.attempt == attempt
        {
            *again_at = Some(at);
            self.relist(&key);
            return true;
        }
        false
    }

    /// Nearly always back to the front; behind an earlier event that was renewed in the meantime, or to the store: the window may be
    /// over its size only beside what is being worked on.
    fn take_back(&mut self, key: &Arc<str>, front: Entry) {
        let Some(chat) = self.chats.get_mut(key) else { return };
        let place = chat.queue.partition_point(|other| other.seq < front.seq);
        if place > 0 && place == chat.queue.len() && !chat.complete {
            // The store may have some that come before it.
            self.by_id.remove(&front.id);
            return;
        }
        if place == 0 && matches!(front.state, State::Waiting(_)) {
            // Those behind it wait as long.
            chat.queue.iter_mut().for_each(|entry| entry.payload = None);
        }
        chat.queue.insert(place, front);
    }

    /// The attempt that is under way has not begun after all, or came to nothing: its event is ready again, or at `due_at`.
    pub(in crate::delivery) fn put_back(&mut self, event_id: EventId, due_at: Option<Timestamp>) {
        let Some(key) = self.by_id.get(&event_id).cloned() else {
            return;
        };
        let Some(chat) = self.chats.get_mut(&key) else { return };
        let running = |front: &mut Entry| front.id == event_id && front.state == State::Running;
        let Some(mut front) = chat.queue.pop_front_if(running) else {
            return;
        };
        self.in_progress -= 1;
        front.state = State::Ready;
        if due_at.is_some() {
            (front.next_retry_at, front.payload) = (due_at, None);
            front.rest();
        }
        self.take_back(&key, front);
        self.relist(&key);
    }

    /// An outcome is in the store.
    pub(in crate::delivery) fn committed(&mut self, event_id: EventId, attempt: u32) -> Option<Committed> {
        let key = self.by_id.get(&event_id).cloned()?;
        let chat = self.chats.get_mut(&key)?;
        let mut front = chat.queue.pop_front_if(|front| {
            front.id == event_id
                && matches!(&front.state, State::Recording { outcome, .. } if outcome.attempt == attempt)
        })?;
        self.in_progress -= 1;
        let State::Recording { outcome, .. } = std::mem::replace(&mut front.state, State::Ready) else {
            return None;
        };
        let mut committed = Committed {
            http_status: outcome.http_status,
            exhausted: outcome.status == EventStatus::Failed && outcome.next_retry_at.is_some(),
            drained: None,
        };
        if outcome.status == EventStatus::Pending {
            front.next_retry_at = outcome.next_retry_at;
            front.attempt_count = attempt;
            front.rest();
            self.take_back(&key, front);
        } else {
            self.by_id.remove(&event_id);
        }
        match self.chats.get(&key) {
            Some(chat) if chat.queue.is_empty() => {
                let complete = chat.complete;
                self.forget(&key);
                committed.drained = Some(Drained { chat: key, complete });
            }
            _ => self.relist(&key),
        }
        Some(committed)
    }
}

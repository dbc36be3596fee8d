//! The events of one webhook that are in memory: a queue per chat, of which only the front is worked on.

#[cfg(test)]
mod check;
mod entry;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use self::entry::{Entry, State};
use super::WINDOW;
use crate::{AttemptOutcome, EventId, EventStatus, PendingEvent, Timestamp, message::is_test_chat};

/// Where a chat is listed, by the state of its front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// In `ready`, under this number.
    Ready(u64),
    /// In `due`, at this time.
    Due(Timestamp),
}

/// Never empty. In the order of arrival, but for a front that was being worked on when an earlier event was renewed.
#[derive(Debug)]
struct Chat {
    queue: VecDeque<Entry>,
    /// Whether the queue holds every pending event of this chat that the store has; else it holds the first ones.
    complete: bool,
    listed: Option<Listing>,
}

impl Chat {
    /// Nearly always back to the front; behind an earlier event that was renewed in the meantime.
    fn take_back(&mut self, front: Entry) {
        let place = self.queue.partition_point(|other| other.seq < front.seq);
        self.queue.insert(place, front);
    }
}

/// The last event of a chat left the window.
#[derive(Debug)]
pub(super) struct Drained {
    pub(super) chat: Arc<str>,
    /// False when the store may hold more of this chat.
    pub(super) complete: bool,
}

/// An attempt that can be made now.
#[derive(Debug)]
pub(super) struct NextAttempt {
    pub(super) event_id: EventId,
    pub(super) sequence: i64,
    pub(super) attempt: u32,
    pub(super) payload: Option<Bytes>,
}

/// What came of an outcome that is in the store.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) http_status: Option<u16>,
    /// Its event ended because its budget was used up.
    pub(super) exhausted: bool,
    /// When that emptied its chat.
    pub(super) drained: Option<Drained>,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    chats: HashMap<Arc<str>, Chat>,
    by_id: HashMap<EventId, Arc<str>>,
    in_progress: usize,
    /// Chats whose front is ready, first come first served.
    ready: BTreeMap<u64, Arc<str>>,
    last_ready: u64,
    /// Chats whose front waits for a time.
    due: BTreeSet<(Timestamp, Arc<str>)>,
    /// Events, here or not, whose manual retry is on its way to the store.
    renewing: HashSet<EventId>,
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no event is held, nor any manual retry on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty() && self.renewing.is_empty()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_progress
    }

    pub(super) fn contains(&self, event_id: EventId) -> bool {
        self.by_id.contains_key(&event_id)
    }

    /// Whether this is a test event.
    pub(super) fn is_test(&self, event_id: EventId) -> bool {
        self.by_id.get(&event_id).is_some_and(|chat| is_test_chat(chat))
    }

    /// Whether the window holds some of this chat's events.
    pub(super) fn holds_chat(&self, chat: &str) -> bool {
        self.chats.contains_key(chat)
    }

    /// Nothing is certain any more: every chat asks the store when it has drained.
    pub(super) fn doubt_all(&mut self) {
        self.chats.values_mut().for_each(|chat| chat.complete = false);
    }

    /// Takes a new or renewed event in, or leaves it to the store. `new_chats` says whether the store has nothing of
    /// chats that are not here. An error names the chat that is not here and was left to the store.
    pub(super) fn admit(&mut self, event: PendingEvent, new_chats: bool, now: Timestamp) -> Result<(), Box<str>> {
        let full = self.len() >= WINDOW;
        let Some(chat) = self.chats.get_mut(event.chat.as_ref()) else {
            if full || !new_chats {
                return Err(event.chat);
            }
            self.insert(event, now);
            return Ok(());
        };
        let last = chat
            .queue
            .front()
            .into_iter()
            .chain(chat.queue.back())
            .map(|entry| entry.seq)
            .max();
        let within = last.is_some_and(|last| event.seq < last);
        if !within && (full || !chat.complete) {
            chat.complete = false;
            return Ok(());
        }
        // Only a renewed event is within, and those behind it must not overtake it: the last of them makes place for it.
        // Beside one that is being worked on there is always place.
        if full {
            chat.complete = false;
            match chat
                .queue
                .pop_back_if(|last| !last.state.in_progress() && last.seq > event.seq)
            {
                Some(last) => drop(self.by_id.remove(&last.id)),
                None if chat.queue.len() == 1 => {}
                None => return Ok(()),
            }
        }
        self.insert(event, now);
        Ok(())
    }

    /// Adds a chat from the store.
    pub(super) fn load(&mut self, events: Vec<PendingEvent>, complete: bool, now: Timestamp) {
        let Some(chat) = events.first().map(|event| event.chat.clone()) else {
            return;
        };
        for event in events {
            self.insert(event, now);
        }
        if let Some(held) = self.chats.get_mut(chat.as_ref()) {
            held.complete = complete;
        }
    }

    /// Adds an event at its place in the order of arrival, but never before one that is being worked on.
    fn insert(&mut self, event: PendingEvent, now: Timestamp) {
        let known = self
            .chats
            .get_key_value(event.chat.as_ref())
            .map(|(key, _)| Arc::clone(key));
        let key = known.unwrap_or_else(|| Arc::from(event.chat.as_ref()));
        let chat = self.chats.entry(Arc::clone(&key)).or_insert_with(|| Chat {
            queue: VecDeque::new(),
            complete: true,
            listed: None,
        });
        let mut entry = Entry::new(event, now);
        if self.renewing.contains(&entry.id) {
            entry.state = State::Held;
        }
        let busy = chat.queue.front().is_some_and(|front| front.state.in_progress());
        let place = chat
            .queue
            .partition_point(|other| other.seq < entry.seq)
            .max(usize::from(busy));
        self.by_id.insert(entry.id, Arc::clone(&key));
        chat.queue.insert(place, entry);
        if place == 0 {
            self.relist(&key);
        }
    }

    /// Lists a chat anew after its front has changed.
    fn relist(&mut self, key: &Arc<str>) {
        let Some(chat) = self.chats.get_mut(key) else { return };
        let due = match chat.queue.front().map(|front| &front.state) {
            Some(State::Ready) if matches!(chat.listed, Some(Listing::Ready(_))) => return,
            Some(State::Ready) => {
                self.last_ready += 1;
                Some(Listing::Ready(self.last_ready))
            }
            Some(State::Waiting(at) | State::Recording { again_at: Some(at), .. }) => Some(Listing::Due(*at)),
            _ => None,
        };
        let before = std::mem::replace(&mut chat.listed, due);
        self.unlist(key, before);
        match due {
            Some(Listing::Ready(number)) => drop(self.ready.insert(number, Arc::clone(key))),
            Some(Listing::Due(at)) => drop(self.due.insert((at, Arc::clone(key)))),
            None => {}
        }
    }

    fn unlist(&mut self, key: &Arc<str>, listing: Option<Listing>) {
        match listing {
            Some(Listing::Ready(number)) => drop(self.ready.remove(&number)),
            Some(Listing::Due(at)) => drop(self.due.remove(&(at, Arc::clone(key)))),
            None => {}
        }
    }

    /// Forgets a chat: the store has it.
    fn forget(&mut self, key: &Arc<str>) {
        let Some(chat) = self.chats.remove(key) else { return };
        self.unlist(key, chat.listed);
        for entry in chat.queue {
            self.by_id.remove(&entry.id);
        }
    }

    /// Whether an attempt could be made now.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next attempt to make: the front of the chat that has waited longest.
    pub(super) fn start_next(&mut self) -> Option<NextAttempt> {
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

    /// When the next front becomes due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Makes ready what has become due, and gives back the outcomes that are to be offered to the store again.
    pub(super) fn fire(&mut self, now: Timestamp) -> Vec<AttemptOutcome> {
        let mut again = Vec::new();
        while let Some((_, key)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            if let Some(front) = self.chats.get_mut(&key).and_then(|chat| chat.queue.front_mut()) {
                match &mut front.state {
                    State::Recording { outcome, again_at } => {
                        *again_at = None;
                        again.push(outcome.as_ref().clone());
                    }
                    state => *state = State::Ready,
                }
            }
            self.relist(&key);
        }
        again
    }

    fn front_mut(&mut self, event_id: EventId) -> Option<&mut Entry> {
        let chat = self.by_id.get(&event_id)?;
        self.chats
            .get_mut(chat)?
            .queue
            .front_mut()
            .filter(|front| front.id == event_id)
    }

    fn entry_mut(&mut self, event_id: EventId) -> Option<(Arc<str>, &mut Entry)> {
        let chat = self.by_id.get(&event_id)?;
        let entry = self
            .chats
            .get_mut(chat)?
            .queue
            .iter_mut()
            .find(|entry| entry.id == event_id)?;
        Some((Arc::clone(chat), entry))
    }

    /// The place and the start of the budget of the event whose attempt with this number is under way.
    pub(super) fn running(&mut self, event_id: EventId, attempt: u32) -> Option<(i64, u32)> {
        let front = self.front_mut(event_id)?;
        (front.state == State::Running && front.attempt_count + 1 == attempt).then_some((front.seq, front.budget_start))
    }

    /// An attempt ended; its outcome goes to the store.
    pub(super) fn recording(&mut self, outcome: AttemptOutcome) {
        if let Some(front) = self.front_mut(outcome.event_id) {
            front.state = State::Recording {
                outcome: Box::new(outcome),
                again_at: None,
            };
        }
    }

    /// The store refused an outcome: it is offered again at `at`.
    pub(super) fn record_again_at(&mut self, event_id: EventId, attempt: u32, at: Timestamp) {
        if let Some((key, entry)) = self.entry_mut(event_id)
            && let State::Recording {
                outcome,
                again_at: again_at @ None,
            } = &mut entry.state
            && outcome.attempt == attempt
        {
            *again_at = Some(at);
            self.relist(&key);
        }
    }

    /// The attempt that is under way has not begun after all: its event is ready again.
    pub(super) fn put_back(&mut self, event_id: EventId) {
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
        chat.take_back(front);
        self.relist(&key);
    }

    /// An outcome is in the store.
    pub(super) fn committed(&mut self, event_id: EventId, attempt: u32) -> Option<Committed> {
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
            front.payload = None;
            front.rest();
            chat.take_back(front);
        } else {
            self.by_id.remove(&event_id);
        }
        if chat.queue.is_empty() {
            let complete = chat.complete;
            self.forget(&key);
            committed.drained = Some(Drained { chat: key, complete });
        } else {
            self.relist(&key);
        }
        Some(committed)
    }

    /// Holds an event back, here or to come, while its manual retry is on its way to the store. False when it is
    /// being worked on or held already.
    pub(super) fn hold(&mut self, event_id: EventId) -> bool {
        let here = self
            .entry_mut(event_id)
            .map(|(key, entry)| (key, entry.state.in_progress()));
        if matches!(here, Some((_, true))) || !self.renewing.insert(event_id) {
            return false;
        }
        if let Some((key, entry)) = self.entry_mut(event_id) {
            entry.state = State::Held;
            self.relist(&key);
        }
        true
    }

    /// Lets go of an event whose manual retry was refused.
    pub(super) fn release(&mut self, event_id: EventId) {
        if self.renewing.remove(&event_id)
            && let Some((key, entry)) = self.entry_mut(event_id)
            && entry.state == State::Held
        {
            entry.rest();
            self.relist(&key);
        }
    }

    /// Takes over a renewed event; gives it back when it is not here.
    pub(super) fn renew(&mut self, event: PendingEvent, now: Timestamp) -> Option<PendingEvent> {
        self.renewing.remove(&event.id);
        let Some((key, entry)) = self.entry_mut(event.id) else {
            return Some(event);
        };
        if !entry.state.in_progress() {
            *entry = Entry::new(event, now);
            self.relist(&key);
        }
        None
    }

    /// Drops every event with which nothing is being done.
    pub(super) fn drop_idle(&mut self) {
        let keys: Vec<_> = self.chats.keys().cloned().collect();
        for key in keys {
            let Some(chat) = self.chats.get_mut(&key) else { continue };
            if chat.queue.front().is_some_and(|front| front.state.in_progress()) {
                for entry in chat.queue.drain(1..) {
                    self.by_id.remove(&entry.id);
                }
            } else {
                self.forget(&key);
            }
        }
    }

    /// Drops chats that wait, those due last first, until `room` events fit. Answers how many, and when the first of
    /// them is due.
    pub(super) fn evict_waiting(&mut self, room: usize) -> (usize, Option<Timestamp>) {
        let (mut evicted, mut due_at) = (0, None);
        while self.len() + room > WINDOW {
            let waits = |key: &Arc<str>| {
                let front = self.chats.get(key).and_then(|chat| chat.queue.front());
                front.is_some_and(|front| matches!(front.state, State::Waiting(_)))
            };
            let Some((at, key)) = self.due.iter().rev().find(|(_, key)| waits(key)).cloned() else {
                break;
            };
            self.forget(&key);
            (evicted, due_at) = (evicted + 1, Some(at));
        }
        (evicted, due_at)
    }
}

//! The events of one webhook that are in memory: a queue per chat, of which only the front is worked on.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use crate::{AttemptOutcome, EventId, EventStatus, PendingEvent, Timestamp};

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
    Recording { outcome: Box<AttemptOutcome>, again_at: Option<Timestamp> },
}

#[derive(Debug)]
struct Entry {
    id: EventId,
    seq: i64,
    attempt_count: u32,
    budget_start: u32,
    next_retry_at: Option<Timestamp>,
    /// Dropped while the event waits: the store has it, and a thousand dead receivers shall fit in memory.
    payload: Option<Bytes>,
    state: State,
}

impl Entry {
    fn new(event: PendingEvent) -> Self {
        let PendingEvent { id, seq, attempt_count, budget_start, next_retry_at, payload, chat: _ } = event;
        let payload = if next_retry_at.is_some() { None } else { Some(payload) };
        let mut entry =
            Self { id, seq, attempt_count, budget_start, next_retry_at, payload, state: State::Ready };
        entry.rest();
        entry
    }

    /// The state of an event with which nothing is being done.
    fn rest(&mut self) {
        self.state = self.next_retry_at.map_or(State::Ready, State::Waiting);
    }
}

#[derive(Debug)]
struct Chat {
    queue: VecDeque<Entry>,
    /// Whether the queue holds every pending event of this chat that the store has.
    complete: bool,
}

/// The last event of a chat left the window.
#[derive(Debug)]
pub(super) struct Drained {
    pub(super) chat: Arc<str>,
    /// Whether the store may hold more of this chat.
    pub(super) complete: bool,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    chats: HashMap<Arc<str>, Chat>,
    by_id: HashMap<EventId, Arc<str>>,
    in_progress: usize,
    /// Chats whose front is ready, first come first served. May name a chat twice or in vain: checked when taken.
    ready: VecDeque<Arc<str>>,
    /// When fronts become due. May be out of date: checked when it fires.
    due: BTreeSet<(Timestamp, Arc<str>)>,
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_progress
    }

    pub(super) fn contains(&self, event_id: EventId) -> bool {
        self.by_id.contains_key(&event_id)
    }

    /// Whether the window holds some of this chat's events.
    pub(super) fn holds_chat(&self, chat: &str) -> bool {
        self.chats.contains_key(chat)
    }

    /// Whether the window holds all that the store has of this chat.
    pub(super) fn knows(&self, chat: &str) -> bool {
        self.chats.get(chat).is_some_and(|chat| chat.complete)
    }

    /// The same, when chats that are not here have nothing in the store.
    pub(super) fn knows_or_new(&self, chat: &str) -> bool {
        self.chats.get(chat).is_none_or(|chat| chat.complete)
    }

    pub(super) fn mark_incomplete(&mut self, chat: &str) {
        if let Some(chat) = self.chats.get_mut(chat) {
            chat.complete = false;
        }
    }

    /// Whether every chat here holds all that the store has of it.
    pub(super) fn all_complete(&self) -> bool {
        self.chats.values().all(|chat| chat.complete)
    }

    /// Adds an event behind those of its chat.
    pub(super) fn push(&mut self, event: PendingEvent) {
        self.insert_in_order(event);
    }

    /// Adds a chat from the store.
    pub(super) fn load(&mut self, events: Vec<PendingEvent>, complete: bool) {
        let Some(chat) = events.first().map(|event| Arc::<str>::from(event.chat.as_ref())) else { return };
        for event in events {
            self.insert_in_order(event);
        }
        if let Some(held) = self.chats.get_mut(&chat) {
            held.complete = complete;
        }
    }

    /// Adds an event at its place in the order of arrival, but never before one that is being worked on.
    pub(super) fn insert_in_order(&mut self, event: PendingEvent) {
        let key = self
            .chats
            .get_key_value(event.chat.as_ref())
            .map_or_else(|| Arc::from(event.chat.as_ref()), |(key, _)| Arc::clone(key));
        let chat =
            self.chats.entry(Arc::clone(&key)).or_insert_with(|| Chat { queue: VecDeque::new(), complete: true });
        let busy = chat.queue.front().is_some_and(|front| front.state.in_progress());
        let place = chat.queue.partition_point(|entry| entry.seq < event.seq).max(usize::from(busy));
        self.by_id.insert(event.id, Arc::clone(&key));
        chat.queue.insert(place, Entry::new(event));
        if place == 0 {
            self.enlist(&key);
        }
    }

    /// Notes when the front of a chat can be worked on.
    fn enlist(&mut self, chat: &Arc<str>) {
        let Some(front) = self.chats.get(chat).and_then(|chat| chat.queue.front()) else { return };
        match &front.state {
            State::Ready => self.ready.push_back(Arc::clone(chat)),
            State::Waiting(at) | State::Recording { again_at: Some(at), .. } => {
                self.due.insert((*at, Arc::clone(chat)));
            }
            State::Held | State::Running | State::Recording { again_at: None, .. } => {}
        }
    }

    /// The next attempt to make: the front of the chat that has waited longest.
    pub(super) fn start_next(&mut self) -> Option<(EventId, u32, Option<Bytes>)> {
        while let Some(key) = self.ready.pop_front() {
            let Some(front) = self.chats.get_mut(&key).and_then(|chat| chat.queue.front_mut()) else { continue };
            if front.state == State::Ready {
                front.state = State::Running;
                self.in_progress += 1;
                return Some((front.id, front.attempt_count + 1, front.payload.clone()));
            }
        }
        None
    }

    /// When the next front becomes due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Makes ready what has become due, and gives back the outcomes that are to be offered to the store again.
    pub(super) fn fire(&mut self, now: Timestamp) -> Vec<AttemptOutcome> {
        let mut again = Vec::new();
        while let Some((at, key)) = self.due.first().cloned() {
            if at > now {
                break;
            }
            self.due.remove(&(at, Arc::clone(&key)));
            let Some(front) = self.chats.get_mut(&key).and_then(|chat| chat.queue.front_mut()) else { continue };
            match &mut front.state {
                State::Waiting(due) if *due <= now => {
                    front.state = State::Ready;
                    self.ready.push_back(key);
                }
                State::Recording { outcome, again_at } if again_at.is_some_and(|at| at <= now) => {
                    *again_at = None;
                    again.push(outcome.as_ref().clone());
                }
                _ => {}
            }
        }
        again
    }

    fn front_mut(&mut self, event_id: EventId) -> Option<&mut Entry> {
        let chat = self.by_id.get(&event_id)?;
        self.chats.get_mut(chat)?.queue.front_mut().filter(|front| front.id == event_id)
    }

    fn entry_mut(&mut self, event_id: EventId) -> Option<&mut Entry> {
        let chat = self.by_id.get(&event_id)?;
        self.chats.get_mut(chat)?.queue.iter_mut().find(|entry| entry.id == event_id)
    }

    /// The start of the budget of the event whose attempt with this number is under way.
    pub(super) fn running(&mut self, event_id: EventId, attempt: u32) -> Option<u32> {
        let front = self.front_mut(event_id)?;
        (front.state == State::Running && front.attempt_count + 1 == attempt).then_some(front.budget_start)
    }

    /// An attempt ended; its outcome goes to the store.
    pub(super) fn recording(&mut self, outcome: AttemptOutcome) {
        if let Some(front) = self.front_mut(outcome.event_id) {
            front.state = State::Recording { outcome: Box::new(outcome), again_at: None };
        }
    }

    /// The store refused an outcome: it is offered again at `at`.
    pub(super) fn record_again_at(&mut self, event_id: EventId, attempt: u32, at: Timestamp) {
        let Some(front) = self.front_mut(event_id) else { return };
        if let State::Recording { outcome, again_at } = &mut front.state
            && outcome.attempt == attempt
        {
            *again_at = Some(at);
            if let Some(chat) = self.by_id.get(&event_id).cloned() {
                self.due.insert((at, chat));
            }
        }
    }

    /// An outcome is in the store. Answers when that emptied the chat.
    pub(super) fn committed(&mut self, event_id: EventId, attempt: u32) -> Option<Drained> {
        let front = self.front_mut(event_id)?;
        let State::Recording { outcome, .. } = &front.state else { return None };
        if outcome.attempt != attempt {
            return None;
        }
        let pending = outcome.status == EventStatus::Pending;
        front.next_retry_at = outcome.next_retry_at;
        front.attempt_count = attempt;
        front.payload = None;
        front.rest();
        self.in_progress -= 1;
        let key = self.by_id.get(&event_id).cloned()?;
        if pending {
            self.enlist(&key);
            return None;
        }
        self.by_id.remove(&event_id);
        let chat = self.chats.get_mut(&key)?;
        chat.queue.pop_front();
        if chat.queue.is_empty() {
            let complete = chat.complete;
            self.chats.remove(&key);
            return Some(Drained { chat: key, complete });
        }
        self.enlist(&key);
        None
    }

    /// Holds an event back while its manual retry is on its way to the store. False when it is being worked on; true
    /// also when it is not here.
    pub(super) fn hold(&mut self, event_id: EventId) -> bool {
        match self.entry_mut(event_id) {
            Some(entry) if entry.state.in_progress() => false,
            Some(entry) => {
                entry.state = State::Held;
                true
            }
            None => true,
        }
    }

    /// Lets go of an event that was held.
    pub(super) fn release(&mut self, event_id: EventId) {
        let Some(entry) = self.entry_mut(event_id) else { return };
        if entry.state == State::Held {
            entry.rest();
            if let Some(key) = self.by_id.get(&event_id).cloned() {
                self.enlist(&key);
            }
        }
    }

    /// Takes over a renewed event. False when it is not here.
    pub(super) fn renew(&mut self, event: &PendingEvent) -> bool {
        let Some(entry) = self.entry_mut(event.id) else { return false };
        if !entry.state.in_progress() {
            entry.attempt_count = event.attempt_count;
            entry.budget_start = event.budget_start;
            entry.next_retry_at = event.next_retry_at;
            entry.payload = Some(event.payload.clone());
            entry.rest();
            if let Some(key) = self.by_id.get(&event.id).cloned() {
                self.enlist(&key);
            }
        }
        true
    }

    /// Drops every event with which nothing is being done.
    pub(super) fn drop_idle(&mut self) {
        for chat in self.chats.values_mut() {
            chat.queue.retain(|entry| entry.state.in_progress());
        }
        self.chats.retain(|_, chat| !chat.queue.is_empty());
        let held: HashSet<EventId> =
            self.chats.values().flat_map(|chat| chat.queue.iter().map(|entry| entry.id)).collect();
        self.by_id.retain(|id, _| held.contains(id));
        self.ready.clear();
        let chats = &self.chats;
        self.due.retain(|(_, chat)| chats.contains_key(chat));
    }

    /// Drops chats that wait, those due last first, until `room` events fit below `limit`. Answers whether any was
    /// dropped: the store has them.
    pub(super) fn evict_waiting(&mut self, limit: usize, room: usize) -> bool {
        let mut evicted = false;
        let waiting: Vec<_> = self.due.iter().rev().cloned().collect();
        for (at, key) in waiting {
            if self.len() + room <= limit {
                break;
            }
            let front = self.chats.get(&key).and_then(|chat| chat.queue.front());
            if front.is_none_or(|front| front.state != State::Waiting(at)) {
                continue;
            }
            self.due.remove(&(at, Arc::clone(&key)));
            for entry in self.chats.remove(&key).into_iter().flat_map(|chat| chat.queue) {
                self.by_id.remove(&entry.id);
            }
            evicted = true;
        }
        evicted
    }
}

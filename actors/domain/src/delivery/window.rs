//! The events of one webhook that are in memory: a queue per chat, of which only the front is worked on.

mod attempts;
#[cfg(test)]
mod check;
mod entry;
mod stock;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use self::entry::{Entry, State};
use crate::{AttemptOutcome, EventId, PendingEvent, Timestamp, message::is_test_chat};

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

/// The last event of a chat left the window.
#[derive(Debug)]
pub(super) struct Drained {
    pub(super) chat: Arc<str>,
    /// False when the store may hold more of this chat.
    pub(super) complete: bool,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    /// How many events it holds; more only beside those that are being worked on.
    most: usize,
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
    /// Events that came with a body too large to be kept, since that was last dropped.
    large: Vec<EventId>,
}

impl Window {
    /// One that holds so many events.
    pub(super) fn of(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// How many more it holds.
    pub(super) fn room(&self) -> usize {
        self.most.saturating_sub(self.len())
    }

    /// The room that must be free before a load is worth its cost.
    pub(super) fn refill(&self) -> usize {
        self.most / 4
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether an attempt, its commit or a manual retry is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.in_progress > 0 || !self.renewing.is_empty()
    }

    /// Whether an event waits for another one of its chat, or could be attempted and is not.
    pub(super) fn has_more(&self) -> bool {
        self.by_id.len() > self.chats.len() || self.has_ready()
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

    /// Whether an event, here or left to the store, waits for one of its chat that waits for its time. `None` when nothing of
    /// the chat is here.
    pub(super) fn waits_for_another(&self, event_id: EventId, chat: &str) -> Option<bool> {
        let front = self.chats.get(chat)?.queue.front()?;
        Some(front.id != event_id && matches!(front.state, State::Waiting(_)))
    }

    /// Nothing is certain any more: every chat asks the store when it has drained.
    pub(super) fn doubt_all(&mut self) {
        self.chats.values_mut().for_each(|chat| chat.complete = false);
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
        let front = chat.queue.front();
        let busy = front.is_some_and(|front| front.state.in_progress());
        if front.is_some_and(|front| front.waits(now)) {
            entry.payload = None;
        }
        self.large.extend(entry.is_large().then_some(entry.id));
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
            let large = entry.is_large().then_some(entry.id);
            self.large.extend(large);
            self.relist(&key);
        }
        None
    }

    /// Drops the bodies that are too large to be kept: an attempt that began has its own hold of one.
    pub(super) fn drop_large(&mut self) {
        while let Some(event_id) = self.large.pop() {
            if let Some((_, entry)) = self.entry_mut(event_id) {
                entry.payload = None;
            }
        }
    }
}

//! Reading a backlog in bounded pieces.
//!
//! A sweep goes over the webhook's chats in the store's order, one load after another. When a sweep that left nothing
//! out has ended, the window holds everything and the machine follows. When too many chats wait for a retry to be
//! held, they are *parked*: the store alone has them, sweeps pass over what is not due, and the store's earliest due
//! time wakes the machine.

use std::{
    collections::HashSet,
    sync::Arc,
    time::Duration,
};

use super::{
    WINDOW,
    window::{Drained, Window},
};
use crate::{EventId, PendingEvent, Timestamp};

/// Events of one chat taken by one load: a lone busy chat shall not cost a read per message.
const PER_CHAT: usize = 32;
/// Chats looked at by one load, so that it stays a matter of milliseconds.
const VISIT: usize = 2048;
/// The room that must be free before a load is worth its cost.
const ROOM: usize = WINDOW / 4;
/// The pause after a sweep that found nothing to do although something is pending, and after a failed read.
const PAUSE: Duration = Duration::from_millis(250);

/// A question to the store: the heads of chats with pending events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueQuery {
    /// Begin after this chat; `None` is the beginning.
    pub after: Option<Box<str>>,
    /// The time that "due" refers to.
    pub now: Timestamp,
    /// Pass over chats whose first pending event is not due.
    pub only_due: bool,
    /// Chats at the most.
    pub chats: usize,
    /// Events at the most, over all chats.
    pub events: usize,
    /// Events at the most of one chat.
    pub per_chat: usize,
    /// Chats looked at, at the most.
    pub visit: usize,
}

/// The store's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuePage {
    /// Chats with their first events, in the store's order of chats.
    pub chats: Vec<DueChat>,
    /// Where the next load goes on; `None` when no chat is left.
    pub cursor: Option<Box<str>>,
    /// Chats passed over because they are not due.
    pub skipped: usize,
    /// When the earliest waiting event of the webhook is due.
    pub next_due_at: Option<Timestamp>,
}

/// A chat's first pending events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueChat {
    /// In the order of arrival; at least one.
    pub events: Vec<PendingEvent>,
    /// Whether the store has more of this chat.
    pub more: bool,
}

#[derive(Debug)]
struct Loading {
    generation: u64,
    /// Chats that left the window while the load was under way: what it says of them is out of date.
    touched: HashSet<Arc<str>>,
}

#[derive(Debug, Default)]
pub(super) struct CatchUp {
    following: bool,
    loading: Option<Loading>,
    generation: u64,
    /// Where the sweep goes on; `None` before and after a sweep.
    cursor: Option<Box<str>>,
    /// Whether something may be found by a sweep. Starts as the opposite, see [`CatchUp::wanted`].
    settled: bool,
    /// Whether the sweep under way has to be followed by another.
    unclean: bool,
    /// Whether the sweep under way brought anything, and what it passed over.
    found: usize,
    skipped: usize,
    /// Whether chats that wait are left in the store.
    parked: bool,
    store_due_at: Option<Timestamp>,
    not_before: Option<Timestamp>,
    renewing: HashSet<EventId>,
}

impl CatchUp {
    pub(super) fn following(&self) -> bool {
        self.following
    }

    /// False when a renewal of this event is under way already.
    pub(super) fn begin_renewal(&mut self, event_id: EventId) -> bool {
        self.renewing.insert(event_id)
    }

    pub(super) fn end_renewal(&mut self, event_id: EventId) {
        self.renewing.remove(&event_id);
    }

    /// An event of this chat was left to the store.
    pub(super) fn left_behind(&mut self, chat: &str) {
        if let Some(loading) = &mut self.loading {
            // The load under way may have read the store before this event was there.
            loading.touched.insert(Arc::from(chat));
        }
        self.following = false;
        self.settled = false;
        self.unclean = true;
    }

    /// A chat left the window.
    pub(super) fn drained(&mut self, drained: Drained) {
        if !drained.complete {
            self.left_behind(&drained.chat);
        } else if let Some(loading) = &mut self.loading {
            loading.touched.insert(drained.chat);
        }
    }

    /// When a load becomes possible by the passing of time alone.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        if self.following || self.loading.is_some() {
            return None;
        }
        if self.settled { self.store_due_at.max(self.not_before.filter(|_| self.store_due_at.is_some())) } else { self.not_before }
    }

    /// The next load, if one is wanted and there is room for what it brings.
    pub(super) fn next_load(&mut self, window: &mut Window, now: Timestamp) -> Option<(u64, DueQuery)> {
        if self.store_due_at.is_some_and(|at| at <= now) {
            self.settled = false;
        }
        if self.following || self.settled || self.loading.is_some() || self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        self.not_before = None;
        if window.len() + ROOM > WINDOW {
            self.parked |= window.evict_waiting(WINDOW, ROOM);
        }
        let room = WINDOW.saturating_sub(window.len());
        if room < ROOM {
            return None;
        }
        if self.cursor.is_none() {
            (self.unclean, self.found, self.skipped, self.store_due_at) = (false, 0, 0, None);
        }
        self.generation += 1;
        self.loading = Some(Loading { generation: self.generation, touched: HashSet::new() });
        let query = DueQuery {
            after: self.cursor.clone(),
            now,
            only_due: self.parked,
            chats: room,
            events: room,
            per_chat: PER_CHAT,
            visit: VISIT,
        };
        Some((self.generation, query))
    }

    /// A load could not read the store: once more after a pause.
    pub(super) fn load_failed(&mut self, now: Timestamp, generation: u64) {
        if self.loading.as_ref().is_some_and(|loading| loading.generation == generation) {
            self.loading = None;
            self.not_before = Some(now + PAUSE);
        }
    }

    /// Takes over what a load found.
    pub(super) fn loaded(&mut self, window: &mut Window, now: Timestamp, generation: u64, page: DuePage) {
        let Some(loading) = self.loading.take_if(|loading| loading.generation == generation) else { return };
        for DueChat { events, more } in page.chats {
            let Some(head) = events.first() else { continue };
            let outdated = loading.touched.contains(head.chat.as_ref())
                || events.iter().any(|event| self.renewing.contains(&event.id));
            if window.holds_chat(&head.chat) {
                // Not complete: it asks for a sweep when it has drained.
                continue;
            }
            if outdated || window.len() + events.len() > WINDOW {
                self.unclean = true;
                continue;
            }
            self.found += events.len();
            window.load(events, !more);
        }
        self.skipped += page.skipped;
        self.store_due_at = page.next_due_at.filter(|_| self.parked);
        self.cursor = page.cursor;
        if self.cursor.is_none() {
            self.sweep_ended(window, now);
        }
    }

    fn sweep_ended(&mut self, window: &Window, now: Timestamp) {
        let all_held = !self.unclean && window.all_complete();
        if all_held && !self.parked {
            (self.following, self.settled, self.store_due_at) = (true, true, None);
            return;
        }
        if self.parked && self.skipped + window.len() + ROOM <= WINDOW {
            // What waits fits in the window again: one sweep over everything.
            self.parked = false;
            self.settled = false;
            return;
        }
        self.settled = !self.unclean;
        if self.found == 0 {
            self.not_before = Some(now + PAUSE);
        }
    }
}

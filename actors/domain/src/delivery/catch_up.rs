//! Reading a backlog in bounded pieces.
//!
//! A sweep goes over the webhook's chats in the store's order, one load after another, and takes in those that are not
//! held. When it ends and nothing was left behind since it began, the machine follows. A chat that drained, and of which
//! the store may have more, is looked at by its name then: a busy chat does not cost a sweep over the others.
//!
//! When too many chats wait for a retry to be held, the last ones are *parked*: the store alone has them, sweeps pass
//! over what is not due, and the store's earliest due time wakes the machine. Once what was passed over is little
//! enough, one sweep takes it in again.
//!
//! A sweep over parked chats goes *by time*: the store has an index of what waits, so what has become due costs what has
//! become due, and not the hundred thousand chats that wait beside it for a receiver that is dead. Chats that get
//! something meanwhile are looked at by name beside that.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use super::window::{Drained, Window};
use crate::{Ordering, PendingEvent, Timestamp, message::is_test_chat};

/// Events of one chat taken by one load: a lone busy chat shall not cost a read per message.
pub(super) const PER_CHAT: usize = if cfg!(test) { 4 } else { 32 };
/// Chats looked at by one load, so that it stays a matter of milliseconds.
const VISIT: usize = if cfg!(test) { 8 } else { 2048 };
/// The pause after a failed read, and between sweeps while chats are parked: theirs are the long sweeps, and there may
/// be as many due times as chats.
const PAUSE: Duration = Duration::from_millis(250);
/// Chats that are looked at by name, at the most; with more of them a sweep over all is the smaller cost. Without an order it
/// is as many events as a sweep's load looks at.
const NAMED: usize = if cfg!(test) { 3 } else { 64 };

/// A question to the store: the heads of chats with pending events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueQuery {
    /// Begin after this: a page's cursor; `None` is the beginning.
    pub after: Option<Box<str>>,
    /// The time that "due" refers to.
    pub now: Timestamp,
    /// Pass over chats whose first pending event is not due.
    pub only_due: bool,
    /// Events at the most, over all chats; and so chats, each of which has one.
    pub room: usize,
    /// Events at the most of one chat.
    pub per_chat: usize,
    /// Chats looked at, at the most.
    pub visit: usize,
    /// What counts as a chat: with [`Ordering::None`] each event is one of its own.
    pub ordering: Ordering,
    /// Which chats are looked at.
    pub scope: DueScope,
    /// Chats that are looked at before all others of the scope; none with [`DueScope::Chats`]. With [`Ordering::None`] they
    /// are events by their ids.
    pub named: Vec<Box<str>>,
}

/// What a [`DueQuery`] goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DueScope {
    /// All chats, in the store's order.
    #[default]
    Chats,
    /// What has become due by the query's `now`, in the order of the times: those chats whose first event is among it.
    /// What has no time is not looked at.
    Times,
    /// The named chats alone. There is no cursor.
    Named,
}

/// The store's answer. It may say less than the limits allow; a cursor without chats is fine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuePage {
    /// Chats with their first events, in the store's order of chats; by time, the named ones first.
    pub chats: Vec<DueChat>,
    /// The last chat looked at, where the next load goes on; `None` when none is left after it.
    pub cursor: Option<Box<str>>,
    /// Chats passed over because they are not due. By time it is said with the last page, and is how many events wait
    /// for their time, as far as they are worth counting.
    pub skipped: usize,
    /// Named chats for which there was no room.
    pub left: Vec<Box<str>>,
    /// The earliest `next_retry_at` later than the query's `now` among all pending events of the webhook, wherever the
    /// cursor is.
    pub next_due_at: Option<Timestamp>,
}

/// A chat's first pending events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueChat {
    /// In the order of arrival; at least one. With bodies of up to [`KEPT_PAYLOAD_BYTES`](crate::KEPT_PAYLOAD_BYTES).
    pub events: Vec<PendingEvent>,
    /// Whether the store has more of this chat.
    pub more: bool,
}

/// What happened to a chat while a load was under way, so that the load may not tell all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Events came at its end.
    Grew,
    /// Anything else.
    Other,
}

#[derive(Debug)]
struct Loading {
    generation: u64,
    ordering: Ordering,
    changes: HashMap<Arc<str>, Change>,
}

#[derive(Debug, Default)]
struct Sweep {
    /// Where it goes on.
    cursor: Option<Box<str>>,
    /// Chats that it left in the store because they wait.
    skipped: usize,
    scope: DueScope,
}

#[derive(Debug, Default)]
pub(super) struct CatchUp {
    /// Whether the store may have chats that are neither held nor parked nor to be met by the sweep under way.
    dirty: bool,
    sweep: Option<Sweep>,
    loading: Option<Loading>,
    generation: u64,
    /// Whether chats that wait are left in the store, and when the first one may be due.
    parked: bool,
    parked_due_at: Option<Timestamp>,
    /// Whether that time has come.
    due: bool,
    /// Chats of which the store may have something, while it has nothing of others that are not held, or these wait for
    /// their time.
    named: BTreeSet<Box<str>>,
    /// Whether the next sweep takes what was parked in again: only heads, so that it fits.
    unparking: bool,
    not_before: Option<Timestamp>,
}

impl CatchUp {
    pub(super) fn new() -> Self {
        Self {
            dirty: true,
            ..Self::default()
        }
    }

    /// Whether the store has nothing of chats that are not held.
    pub(super) fn following(&self) -> bool {
        !self.is_behind() && !self.parked
    }

    /// Whether chats that are not held all wait for their time.
    pub(super) fn holds_all_due(&self) -> bool {
        !self.is_behind()
    }

    fn is_behind(&self) -> bool {
        self.dirty || self.due || !self.named.is_empty() || self.sweep.is_some()
    }

    /// The answer of a load under way is of no use any more; begin again.
    pub(super) fn start_over(&mut self) {
        (self.loading, self.sweep, self.dirty) = (None, None, true);
    }

    /// The store may have something that nobody told of. A sweep over all goes on, and is followed by another: one that began anew each
    /// time would not come to the chats at the end where there is more than goes out.
    pub(super) fn look_again(&mut self) {
        match &self.sweep {
            Some(sweep) if sweep.scope == DueScope::Chats => (self.loading, self.dirty) = (None, true),
            _ => self.start_over(),
        }
    }

    /// Something of a chat that is not held was left to the store.
    pub(super) fn left_behind(&mut self, chat: &str, change: Change, ordering: Ordering) {
        self.leave(chat, ordering);
        self.changed(chat, change);
    }

    /// A chat left the window.
    pub(super) fn drained(&mut self, drained: &Drained, ordering: Ordering) {
        if !drained.complete {
            self.leave(&drained.chat, ordering);
        }
        self.changed(&drained.chat, Change::Other);
    }

    /// The store has something of a chat that is not held, which a sweep under way may have passed: it is looked at by its name,
    /// unless another sweep over all follows anyway.
    fn leave(&mut self, chat: &str, ordering: Ordering) {
        let most = match ordering {
            Ordering::Chat => NAMED,
            // Its name is its event's, but for a test event.
            Ordering::None if is_test_chat(chat) => 0,
            Ordering::None => VISIT,
        };
        if !self.dirty && self.named.len() < most {
            self.named.insert(chat.into());
        } else {
            self.dirty = true;
        }
    }

    fn changed(&mut self, chat: &str, change: Change) {
        let Some(loading) = &mut self.loading else { return };
        match loading.changes.entry(Arc::from(chat)) {
            Entry::Occupied(mut entry) if change == Change::Other => drop(entry.insert(change)),
            Entry::Occupied(_) => {}
            Entry::Vacant(entry) => drop(entry.insert(change)),
        }
    }

    /// When a load becomes possible by the passing of time alone.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        if self.loading.is_some() {
            return None;
        }
        if self.is_behind() {
            return self.not_before;
        }
        self.parked_due_at
            .map(|at| self.not_before.map_or(at, |not_before| at.max(not_before)))
    }

    /// The next load, if one is wanted and there is room for what it brings.
    pub(super) fn next_load(
        &mut self,
        window: &mut Window,
        now: Timestamp,
        ordering: Ordering,
    ) -> Option<(u64, DueQuery)> {
        self.due |= self.parked_due_at.is_some_and(|at| at <= now);
        if !self.is_behind() || self.loading.is_some() || self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        self.not_before = None;
        if self.sweep.is_none() && self.scope() == DueScope::Named && window.room() > 0 {
            // Nobody has to make room for as little as this brings.
            self.begin_sweep();
        } else if !self.make_room(window) {
            return None;
        }
        let room = window.room();
        let sweep = self.sweep.get_or_insert_default();
        self.generation += 1;
        self.loading = Some(Loading {
            generation: self.generation,
            ordering,
            changes: HashMap::new(),
        });
        let named = match sweep.scope {
            DueScope::Chats => Vec::new(),
            DueScope::Times | DueScope::Named => std::mem::take(&mut self.named).into_iter().collect(),
        };
        let query = DueQuery {
            after: sweep.cursor.clone(),
            now,
            only_due: self.parked,
            room,
            per_chat: if self.unparking { 1 } else { PER_CHAT },
            visit: VISIT,
            ordering,
            scope: sweep.scope,
            named,
        };
        Some((self.generation, query))
    }

    /// Has the window make room for what a load of a sweep brings, and begins the sweep if none is under way. False when
    /// there is no room.
    fn make_room(&mut self, window: &mut Window) -> bool {
        let (evicted, evicted_due_at) = window.evict_waiting(window.refill());
        self.parked |= evicted > 0;
        if let Some(sweep) = &mut self.sweep {
            // It may be past these chats already.
            sweep.skipped += evicted;
            self.park_until(evicted_due_at);
        }
        window.thin_out(window.refill());
        if window.room() < window.refill() {
            return false;
        }
        if self.sweep.is_none() {
            self.begin_sweep();
            self.park_until(evicted_due_at);
        }
        true
    }

    /// What the next sweep has to go over.
    fn scope(&self) -> DueScope {
        match (self.dirty, self.parked) {
            (true, _) => DueScope::Chats,
            (false, true) => DueScope::Times,
            (false, false) => DueScope::Named,
        }
    }

    /// What is known to be left behind is what the sweep is for.
    fn begin_sweep(&mut self) {
        let scope = self.scope();
        if scope == DueScope::Chats {
            // It meets them with all others.
            (self.dirty, self.named) = (false, BTreeSet::new());
        }
        (self.due, self.parked_due_at) = (false, None);
        self.sweep = Some(Sweep {
            scope,
            ..Sweep::default()
        });
    }

    /// A load could not read the store: once more after a pause.
    pub(super) fn load_failed(&mut self, now: Timestamp, generation: u64) {
        if self
            .loading
            .take_if(|loading| loading.generation == generation)
            .is_some()
        {
            self.not_before = Some(now + PAUSE);
            if self.sweep.as_ref().is_some_and(|sweep| sweep.scope != DueScope::Chats) {
                // What it named is forgotten.
                self.start_over();
            }
        }
    }

    /// Takes over what a load found.
    pub(super) fn loaded(&mut self, window: &mut Window, now: Timestamp, generation: u64, page: DuePage) {
        let Some(loading) = self.loading.take_if(|loading| loading.generation == generation) else {
            return;
        };
        for DueChat { events, more } in page.chats {
            let Some(chat) = events.first().map(|head| head.chat.as_ref()) else {
                continue;
            };
            if window.holds_chat(chat) {
                // Held since before the load, and so better known than the page knows it.
                continue;
            }
            let change = loading.changes.get(chat);
            if change == Some(&Change::Other) || events.len() > window.room() {
                self.leave(chat, loading.ordering);
                continue;
            }
            window.load(events, !more && change.is_none(), now);
        }
        for chat in page.left {
            self.leave(&chat, loading.ordering);
        }
        if self.parked {
            self.park_until(page.next_due_at);
        }
        let Some(sweep) = &mut self.sweep else { return };
        sweep.skipped += page.skipped;
        sweep.cursor = page.cursor;
        if sweep.cursor.is_none() {
            let skipped = sweep.skipped;
            self.sweep_ended(skipped, window, now);
        }
    }

    fn park_until(&mut self, at: Option<Timestamp>) {
        self.parked_due_at = self.parked_due_at.into_iter().chain(at).min();
    }

    fn sweep_ended(&mut self, skipped: usize, window: &Window, now: Timestamp) {
        self.sweep = None;
        self.unparking = false;
        if !self.parked {
            return;
        }
        if skipped > 0 && window.room() < skipped + window.refill() {
            self.not_before = Some(now + PAUSE);
            return;
        }
        (self.parked, self.parked_due_at, self.due) = (false, None, false);
        self.unparking = skipped > 0;
        self.dirty |= self.unparking;
    }
}

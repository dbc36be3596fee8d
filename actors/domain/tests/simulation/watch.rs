//! The law of liveness: what may go, does go, and soon. An event is looked for that is due, that nothing of its chat keeps
//! back, and for which there is a slot; unless something comes in between it has begun a moment later.

use std::time::Duration;

use wharf_domain::Timestamp;

use super::{BEGIN, LATE_MS, Violation, World, happening::Happening};

/// How long an event that is free to go may take to begin: reads of the store that fail, and sweeps over a backlog.
const PATIENCE: Duration = Duration::from_secs(3);

/// An event that was free to go.
#[derive(Debug)]
pub(super) struct Watched {
    event: usize,
    since: Timestamp,
    /// Attempts by then, of the event and of its webhook.
    begun: (u32, usize),
}

impl World {
    /// Looks for one, and again a little later.
    pub(super) fn watch(&mut self) {
        if self.now.0 < BEGIN.0 + LATE_MS {
            let mean = if self.settling { 1000 } else { 50 };
            let after = self.rng.i64(1..2 * mean);
            self.at(after, Happening::Watch);
        }
        let mut hook = self.pick();
        for _ in 0..16 {
            if self.hooks[hook].store.has_pending() {
                break;
            }
            hook = self.pick();
        }
        let from = self.rng.u32(..self.hooks[hook].chats);
        let this = &self.hooks[hook];
        let (books, store) = (&this.books, &this.store);
        let due = store.free(from, books.courtesy.ordering(), self.now);
        let mut free = due.filter(|event| books.is_free(store, *event));
        let Some(event) = free.next() else { return };
        drop(free);
        self.summary.watched += 1;
        let begun = books.begun(event);
        let since = self.now;
        let at = self.now + PATIENCE;
        self.of(hook, at, Happening::Verify(Box::new(Watched { event, since, begun })));
    }

    pub(super) fn verify(&mut self, hook: usize, watched: &Watched) -> Result<(), Violation> {
        let &Watched { event, since, begun } = watched;
        let this = &self.hooks[hook];
        let (books, store) = (&this.books, &this.store);
        if !books.courtesy.is_open_since(since, books.in_flight()) {
            return Ok(());
        }
        let (of_it, of_all) = books.begun(event);
        let waits = of_it == begun.0 && store.is_due(event, since) && books.is_free(store, event);
        // With a pace it may be the turn of others, as long as that is made use of.
        let pace = books.courtesy.config.courtesy.max_per_second;
        let others = pace.map_or(usize::MAX, |per_second| per_second as usize * 3 / 2);
        if waits && of_all - begun.1 < others {
            let row = &store.rows[event];
            return Err(self.violation(
                hook,
                &format!("event {event} may go since {since:?} and does not: {row:?}"),
            ));
        }
        Ok(())
    }
}

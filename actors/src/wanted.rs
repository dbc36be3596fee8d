//! What is wanted of a number, as its session and its link know it: what its webhook wants to be told of, so that what
//! nobody wants is not even made, the pace that its client set, and whether calls are turned down. Of the first the writer
//! decides in the end; here nothing may be missing that it would take.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU8, Ordering},
};

use wharf_domain::{EventKinds, outgoing::Pace};

/// No set of kinds has this number.
const UNKNOWN: u8 = u8::MAX;

/// See the module. Not known at first: then everything counts as wanted, the pace as that of the configuration, and calls are
/// let ring.
///
/// Changes are to be told in the order of their commits; a look at the store that finds something may be older than they.
#[derive(Debug)]
pub(crate) struct Wanted {
    events: AtomicU8,
    /// The outer one: whether it is known.
    pace: Mutex<Option<Option<Pace>>>,
    rejects_calls: AtomicU8,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            events: AtomicU8::new(UNKNOWN),
            pace: Mutex::default(),
            rejects_calls: AtomicU8::new(UNKNOWN),
        }
    }
}

impl Wanted {
    pub(crate) fn get(&self) -> EventKinds {
        match self.events.load(Ordering::Relaxed) {
            UNKNOWN => EventKinds::ALL,
            bits => EventKinds::from_bits(bits),
        }
    }

    /// A webhook was committed that wants this.
    pub(crate) fn set(&self, events: EventKinds) {
        self.events.store(events.bits(), Ordering::Relaxed);
    }

    /// A look at the store found this.
    pub(crate) fn found(&self, events: EventKinds) {
        let _newer_is_known =
            self.events
                .compare_exchange(UNKNOWN, events.bits(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The pace that the number's client set.
    pub(crate) fn pace(&self) -> Option<Pace> {
        self.known_pace().flatten()
    }

    /// This pace was committed.
    pub(crate) fn set_pace(&self, pace: Option<Pace>) {
        *self.known_pace() = Some(pace);
    }

    /// A look at the store found this pace.
    pub(crate) fn found_pace(&self, pace: Option<Pace>) {
        self.known_pace().get_or_insert(pace);
    }

    /// Whether calls are turned down as they ring.
    pub(crate) fn rejects_calls(&self) -> bool {
        self.rejects_calls.load(Ordering::Relaxed) == u8::from(true)
    }

    /// This was committed.
    pub(crate) fn set_rejects_calls(&self, rejects: bool) {
        self.rejects_calls.store(u8::from(rejects), Ordering::Relaxed);
    }

    /// A look at the store found this.
    pub(crate) fn found_rejects_calls(&self, rejects: bool) {
        let found = u8::from(rejects);
        let _newer_is_known = self
            .rejects_calls
            .compare_exchange(UNKNOWN, found, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn known_pace(&self) -> MutexGuard<'_, Option<Option<Pace>>> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_look_does_not_undo_a_change() {
        let wanted = Wanted::default();
        assert_eq!(wanted.get(), EventKinds::ALL);
        wanted.found(EventKinds::NONE);
        assert_eq!(wanted.get(), EventKinds::NONE);
        wanted.set(EventKinds::default());
        wanted.found(EventKinds::ALL);
        assert_eq!(wanted.get(), EventKinds::default());

        let pace = |per_second| Some(Pace { per_second, burst: 1 });
        assert_eq!(wanted.pace(), None);
        wanted.found_pace(pace(1));
        assert_eq!(wanted.pace(), pace(1));
        wanted.set_pace(None);
        wanted.found_pace(pace(2));
        assert_eq!(wanted.pace(), None);

        assert!(!wanted.rejects_calls());
        wanted.found_rejects_calls(true);
        assert!(wanted.rejects_calls());
        wanted.set_rejects_calls(false);
        wanted.found_rejects_calls(true);
        assert!(!wanted.rejects_calls());
    }
}

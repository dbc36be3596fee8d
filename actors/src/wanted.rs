//! What is wanted of a number, as its session and its link know it: what its webhook wants to be told of, so that what
//! nobody wants is not even made, the pace that its client set, and whether calls are turned down. Of the first the writer
//! decides in the end; here nothing may be missing that it would take.

use std::sync::{Mutex, MutexGuard, PoisonError};

use wharf_domain::{EventKinds, outgoing::Pace};

/// See the module. Not known at first: then everything counts as wanted, the pace as that of the configuration, and calls are
/// let ring.
///
/// Changes are to be told in the order of their commits; a look at the store that finds something may be older than they.
#[derive(Debug, Default)]
pub(crate) struct Wanted(Mutex<Known>);

/// What is known; each is `None` before it is.
#[derive(Debug, Default)]
struct Known {
    events: Option<EventKinds>,
    pace: Option<Option<Pace>>,
    rejects_calls: Option<bool>,
}

impl Wanted {
    pub(crate) fn get(&self) -> EventKinds {
        self.known().events.unwrap_or(EventKinds::ALL)
    }

    /// A webhook was committed that wants this.
    pub(crate) fn set(&self, events: EventKinds) {
        self.known().events = Some(events);
    }

    /// A look at the store found this.
    pub(crate) fn found(&self, events: EventKinds) {
        self.known().events.get_or_insert(events);
    }

    /// The pace that the number's client set.
    pub(crate) fn pace(&self) -> Option<Pace> {
        self.known().pace.flatten()
    }

    /// This pace was committed.
    pub(crate) fn set_pace(&self, pace: Option<Pace>) {
        self.known().pace = Some(pace);
    }

    /// A look at the store found this pace.
    pub(crate) fn found_pace(&self, pace: Option<Pace>) {
        self.known().pace.get_or_insert(pace);
    }

    /// Whether calls are turned down as they ring.
    pub(crate) fn rejects_calls(&self) -> bool {
        self.known().rejects_calls.unwrap_or(false)
    }

    /// This was committed.
    pub(crate) fn set_rejects_calls(&self, rejects: bool) {
        self.known().rejects_calls = Some(rejects);
    }

    /// A look at the store found this.
    pub(crate) fn found_rejects_calls(&self, rejects: bool) {
        self.known().rejects_calls.get_or_insert(rejects);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

//! What the webhook of a number wants to be told of, as its session and its link know it: so that what nobody wants is not
//! even made. The writer decides in the end; here nothing may be missing that it would take.

use std::sync::atomic::{AtomicU8, Ordering};

use wharf_domain::EventKinds;

/// No set of kinds has this number.
const UNKNOWN: u8 = u8::MAX;

/// See the module. Not known at first, which counts as everything.
#[derive(Debug)]
pub(crate) struct Wanted(AtomicU8);

impl Default for Wanted {
    fn default() -> Self {
        Self(AtomicU8::new(UNKNOWN))
    }
}

impl Wanted {
    pub(crate) fn get(&self) -> EventKinds {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => EventKinds::ALL,
            bits => EventKinds::from_bits(bits),
        }
    }

    /// A webhook was committed that wants this. To be called in the order of the commits.
    pub(crate) fn set(&self, events: EventKinds) {
        self.0.store(events.bits(), Ordering::Relaxed);
    }

    /// A look at the store found this. What was committed since the look is newer.
    pub(crate) fn found(&self, events: EventKinds) {
        let _newer_is_known = self
            .0
            .compare_exchange(UNKNOWN, events.bits(), Ordering::Relaxed, Ordering::Relaxed);
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
    }
}

//! What is wanted of a number, as its session and its link know it: what its webhook wants to be told of and of which chats, so
//! that what nobody wants is not even made, the pace that its client set, whether calls are turned down, and whether messages
//! are marked as read. Of the first the writer decides in the end; here nothing may be missing that it would take.

use parking_lot::Mutex;
use wharf_domain::{ChatKinds, EventKinds, outgoing::Pace};

/// See the module. Not known at first: then everything counts as wanted, the pace as that of the configuration, calls are let
/// ring, and messages stay unread.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// What its webhook wants to be told of.
    pub(crate) events: Known<EventKinds>,
    /// Of which chats.
    pub(crate) chats: Known<ChatKinds>,
    /// The pace that its client set.
    pub(crate) pace: Known<Option<Pace>>,
    /// Whether calls are turned down as they ring.
    pub(crate) rejects_calls: Known<bool>,
    /// Whether messages that come in are marked as read.
    pub(crate) marks_read: Known<bool>,
}

impl Wanted {
    pub(crate) fn get(&self) -> EventKinds {
        self.events.get().unwrap_or(EventKinds::ALL)
    }

    /// Whether its webhook wants to be told of what lies in this chat.
    pub(crate) fn takes(&self, chat: &str) -> bool {
        self.chats.get().unwrap_or(ChatKinds::ALL).take(chat)
    }

    /// The pace that the number's client set.
    pub(crate) fn pace(&self) -> Option<Pace> {
        self.pace.get().flatten()
    }

    /// Whether calls are turned down as they ring.
    pub(crate) fn rejects_calls(&self) -> bool {
        self.rejects_calls.get().unwrap_or(false)
    }

    /// Whether messages that come in are marked as read.
    pub(crate) fn marks_read(&self) -> bool {
        self.marks_read.get().unwrap_or(false)
    }
}

/// What a row says, once it is known. Changes are to be told in the order of their commits; a look at the store that finds
/// something may be older than they.
#[derive(Debug, Default)]
pub(crate) struct Known<T>(Mutex<Option<T>>);

impl<T: Copy> Known<T> {
    fn get(&self) -> Option<T> {
        *self.0.lock()
    }

    /// This was committed.
    pub(crate) fn set(&self, value: T) {
        *self.0.lock() = Some(value);
    }

    /// A look at the store found this.
    pub(crate) fn found(&self, value: T) {
        self.0.lock().get_or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_look_does_not_undo_a_change() {
        let wanted = Wanted::default();
        assert_eq!(wanted.get(), EventKinds::ALL);
        wanted.events.found(EventKinds::NONE);
        assert_eq!(wanted.get(), EventKinds::NONE);
        wanted.events.set(EventKinds::default());
        wanted.events.found(EventKinds::ALL);
        assert_eq!(wanted.get(), EventKinds::default());

        let pace = |per_second| Some(Pace { per_second, burst: 1 });
        assert_eq!(wanted.pace(), None);
        wanted.pace.found(pace(1));
        assert_eq!(wanted.pace(), pace(1));
        wanted.pace.set(None);
        wanted.pace.found(pace(2));
        assert_eq!(wanted.pace(), None);

        assert!(!wanted.rejects_calls() && !wanted.marks_read());
        wanted.rejects_calls.found(true);
        assert!(wanted.rejects_calls());
        wanted.rejects_calls.set(false);
        wanted.rejects_calls.found(true);
        assert!(!wanted.rejects_calls());
    }
}

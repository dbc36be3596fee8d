//! What is wanted of a number, as its session and its link know it: what its webhook wants to be told of and of which chats, so
//! that what nobody wants is not even made, the pace that its client set, whether calls are turned down, and whether messages
//! are marked as read. Of the first the writer decides in the end; here nothing may be missing that it would take.

use parking_lot::Mutex;
use wharf_domain::{Connection, EventKinds, SenderShown, Wishes, outgoing::Pace};

/// See the module. Not known at first: then everything counts as wanted, the pace as that of the configuration, calls are let
/// ring, and messages stay unread.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// What its webhook wants to be told of, and how.
    pub(crate) events: Known<Wishes>,
    /// What its client set.
    pub(crate) settings: Known<NumberSettings>,
}

/// What a client sets of a number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NumberSettings {
    pub(crate) pace: Option<Pace>,
    pub(crate) rejects_calls: bool,
    pub(crate) marks_read: bool,
}

impl From<&Connection> for NumberSettings {
    fn from(row: &Connection) -> Self {
        Self {
            pace: row.sending,
            rejects_calls: row.reject_calls,
            marks_read: row.mark_read,
        }
    }
}

impl Wanted {
    fn wishes(&self) -> Wishes {
        self.events.get().unwrap_or(Wishes::ALL)
    }

    pub(crate) fn get(&self) -> EventKinds {
        self.wishes().events
    }

    /// Whether its webhook wants to be told of what lies in this chat.
    pub(crate) fn takes(&self, chat: &str) -> bool {
        self.wishes().chats.take(chat)
    }

    /// What its webhook wants to be told of who sent a message.
    pub(crate) fn sender(&self) -> SenderShown {
        self.wishes().sender
    }

    pub(crate) fn settings(&self) -> NumberSettings {
        self.settings.get().unwrap_or_default()
    }
}

/// What a row says, once it is known. Changes are to be told in the order of their commits; a look at the store that finds
/// something may be older than they.
#[derive(Debug)]
pub(crate) struct Known<T>(Mutex<Option<T>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

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
        let told = |events| Wishes { events, ..Wishes::NONE };
        wanted.events.found(told(EventKinds::NONE));
        assert_eq!(wanted.get(), EventKinds::NONE);
        wanted.events.set(told(EventKinds::default()));
        wanted.events.found(told(EventKinds::ALL));
        assert_eq!(wanted.get(), EventKinds::default());

        let settings = |rejects_calls| NumberSettings {
            rejects_calls,
            ..NumberSettings::default()
        };
        assert!(!wanted.settings().rejects_calls);
        wanted.settings.found(settings(true));
        assert!(wanted.settings().rejects_calls);
        wanted.settings.set(settings(false));
        wanted.settings.found(settings(true));
        assert!(!wanted.settings().rejects_calls);
    }
}

//! Bytes that clients' files under way come to, beside those that the store counts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use wharf_domain::ClientId;

/// See the module. Clones are the same ledger.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<HashMap<ClientId, u64>>>);

/// Bytes that are held for a file, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    ledger: Ledger,
    client: ClientId,
    bytes: u64,
}

impl Ledger {
    /// Nothing yet, to be let grow.
    pub(crate) fn hold(&self, client: ClientId) -> Held {
        Held {
            ledger: self.clone(),
            client,
            bytes: 0,
        }
    }

    /// What a client has under way.
    pub(crate) fn held(&self, client: ClientId) -> u64 {
        self.with(client, |bytes| *bytes)
    }

    fn with<T>(&self, client: ClientId, change: impl FnOnce(&mut u64) -> T) -> T {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = held.entry(client).or_default();
        let answer = change(bytes);
        if *bytes == 0 {
            held.remove(&client);
        }
        answer
    }
}

impl Held {
    /// Holds `more` bytes if all of the client's stay within `most`.
    pub(crate) fn grow(&mut self, more: u64, most: u64) -> bool {
        let fits = self.ledger.with(self.client, |bytes| {
            let fits = bytes.saturating_add(more) <= most;
            if fits {
                *bytes += more;
            }
            fits
        });
        if fits {
            self.bytes += more;
        }
        fits
    }

    /// Holds bytes of a file that is here already.
    pub(crate) fn take(&mut self, bytes: u64) {
        self.ledger.with(self.client, |held| *held = held.saturating_add(bytes));
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger
            .with(self.client, |bytes| *bytes = bytes.saturating_sub(self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back() {
        let (ledger, client) = (Ledger::default(), ClientId(1));
        let mut one = ledger.hold(client);
        assert!(one.grow(60, 100) && one.grow(40, 100) && !one.grow(1, 100));
        let mut other = ledger.hold(ClientId(2));
        assert!(other.grow(100, 100), "each client for itself");
        drop(one);
        assert_eq!((ledger.held(client), ledger.held(ClientId(2))), (0, 100));
        let mut two = ledger.hold(client);
        two.take(500);
        assert_eq!(ledger.held(client), 500);
    }
}

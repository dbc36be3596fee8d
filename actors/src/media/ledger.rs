//! Bytes that clients' files under way come to, beside those that the store counts.
//!
//! What the store counts is read once for each file, when it begins: what becomes kept while it comes is counted here too.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use wharf_domain::ClientId;
use wharf_store::{Store, StoreError};

/// See the module. Clones are the same ledger.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    accounts: Arc<Mutex<HashMap<ClientId, Account>>>,
    /// Bytes that one client's files may come to.
    most_of_client: u64,
}

/// One client's; there is none while it has no file under way.
#[derive(Debug, Default)]
struct Account {
    /// Files under way.
    files: usize,
    /// Their bytes.
    held: u64,
    /// Bytes of those that the store has counted since there was none under way.
    kept: u64,
}

/// Room for one file, which grows with it and is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    ledger: Ledger,
    client: ClientId,
    bytes: u64,
    /// What the client's files under way may come to, with what the account had as kept when that was found out.
    most: u64,
    kept_before: u64,
}

impl Ledger {
    /// `most_of_client` 0 is no limit.
    pub(crate) fn new(most_of_client: u64) -> Self {
        Self {
            accounts: Arc::default(),
            most_of_client: if most_of_client == 0 { u64::MAX } else { most_of_client },
        }
    }

    /// Nothing yet, to be let grow as far as the client has room.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub(crate) async fn room(&self, store: &Store, client: ClientId) -> Result<Held, StoreError> {
        // Before the store is read: what becomes kept in between is counted twice rather than not at all.
        let mut held = self.hold(client);
        held.most = held.most.saturating_sub(store.media_bytes(client).await?);
        Ok(held)
    }

    /// The bytes of a file that is here already, whether there is room or not.
    pub(crate) fn take(&self, client: ClientId, bytes: u64) -> Held {
        let mut held = self.hold(client);
        held.account(|account| account.held = account.held.saturating_add(bytes));
        held.bytes = bytes;
        held
    }

    fn hold(&self, client: ClientId) -> Held {
        let mut held = Held {
            ledger: self.clone(),
            client,
            bytes: 0,
            most: self.most_of_client,
            kept_before: 0,
        };
        held.kept_before = held.account(|account| {
            account.files += 1;
            account.kept
        });
        held
    }
}

impl Held {
    /// Bytes that it may grow by.
    pub(crate) fn left(&self) -> u64 {
        self.account(|account| self.left_of(account))
    }

    fn left_of(&self, account: &Account) -> u64 {
        let kept_since = account.kept - self.kept_before;
        self.most.saturating_sub(kept_since).saturating_sub(account.held)
    }

    /// Holds `more` bytes if there is room for them.
    pub(crate) fn grow(&mut self, more: u64) -> bool {
        let fits = self.account(|account| {
            let fits = more <= self.left_of(account);
            if fits {
                account.held += more;
            }
            fits
        });
        if fits {
            self.bytes += more;
        }
        fits
    }

    /// The store counts it now, with so many bytes.
    pub(crate) fn kept(self, bytes: u64) {
        self.account(|account| account.kept = account.kept.saturating_add(bytes));
    }

    fn account<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let mut accounts = self.ledger.accounts.lock();
        change(accounts.entry(self.client).or_default())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut accounts = self.ledger.accounts.lock();
        if let Some(account) = accounts.get_mut(&self.client) {
            account.held = account.held.saturating_sub(self.bytes);
            account.files -= 1;
            if account.files == 0 {
                accounts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientId = ClientId(1);

    #[test]
    fn what_is_held_is_given_back() {
        let ledger = Ledger::new(100);
        let mut one = ledger.hold(CLIENT);
        assert!(one.grow(60) && one.grow(40) && !one.grow(1));
        let mut other = ledger.hold(ClientId(2));
        assert!(other.grow(100), "each client for itself");
        drop(one);
        assert_eq!((ledger.hold(CLIENT).left(), other.left()), (100, 0));
        let taken = ledger.take(CLIENT, 500);
        assert_eq!(ledger.hold(CLIENT).left(), 0, "what is here counts, however much it is");
        drop((taken, other));
        assert!(ledger.accounts.lock().is_empty());
    }

    #[test]
    fn what_became_kept_meanwhile_counts_for_what_began_before() {
        let ledger = Ledger::new(100);
        let (mut slow, mut quick) = (ledger.hold(CLIENT), ledger.hold(CLIENT));
        assert!(slow.grow(10) && quick.grow(80));
        quick.kept(70);
        assert_eq!(slow.left(), 20);
        assert!(slow.grow(20) && !slow.grow(1));
        assert_eq!(
            ledger.hold(CLIENT).left(),
            70,
            "who begins now reads of the 70 in the store"
        );
    }

    #[test]
    fn no_limit_is_none() {
        let mut held = Ledger::new(0).hold(CLIENT);
        assert!(held.grow(u64::MAX / 2));
    }
}

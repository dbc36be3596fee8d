//! How much of something each client has at a time, held to a limit.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use wharf_domain::ClientId;

/// The counts of all clients, each held to the same limit.
#[derive(Debug)]
pub struct Tally {
    most: usize,
    counts: Mutex<HashMap<ClientId, usize>>,
}

/// What is counted of a client until this is dropped.
#[derive(Debug)]
pub struct Ticket {
    tally: Arc<Tally>,
    client: ClientId,
    amount: usize,
}

impl Tally {
    /// With a limit for each client.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            counts: Mutex::default(),
        })
    }

    /// The limit.
    pub fn most(&self) -> usize {
        self.most
    }

    /// So much more of this client; `None` when it would have more than it may. Whoever has nothing may have anything.
    pub fn enter(self: &Arc<Self>, client: ClientId, amount: usize) -> Option<Ticket> {
        let mut counts = self.counts.lock();
        let count = counts.entry(client).or_default();
        if *count > 0 && count.saturating_add(amount) > self.most {
            return None;
        }
        *count += amount;
        Some(Ticket {
            tally: Arc::clone(self),
            client,
            amount,
        })
    }

    /// How much this client has.
    #[cfg(test)]
    pub(crate) fn of(&self, client: ClientId) -> usize {
        self.counts.lock().get(&client).copied().unwrap_or_default()
    }
}

impl Ticket {
    /// Whose it is.
    pub fn client(&self) -> ClientId {
        self.client
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.tally.counts.lock();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= self.amount;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

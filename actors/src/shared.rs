//! What every actor of the tree has in common.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wharf_domain::{ClientId, Timestamp, address::TargetPolicy};
use wharf_store::Store;
use wharf_whatsapp::LinkFactory;

use crate::{
    bulkhead::Bulkheads,
    clock,
    directory::Directory,
    health::Health,
    persistence::Persistence,
    post::Poster,
    slots::Slots,
    vault::{SecretsKey, Vault},
};

/// What can be set from outside; config.toml says what each value means.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Arbiters for sessions; 0 stands for one per core.
    pub bulkheads: usize,
    /// Sessions started per second when the program starts.
    pub session_starts_per_second: u32,
    /// Attempts at once, in all.
    pub max_in_flight: usize,
    /// Attempts at once, of one client.
    pub max_in_flight_per_client: usize,
    /// Attempts at once, of one webhook.
    pub max_in_flight_per_webhook: usize,
    /// Which targets a webhook may have.
    pub targets: TargetPolicy,
    /// Clients that get more than others when slots are short, and by how much; all others have weight 1.
    pub client_weights: HashMap<ClientId, u32>,
    /// Certificates (PEM) that are trusted beside the usual ones.
    pub extra_roots_pem: String,
    /// What webhooks' secrets are encrypted with; `None` is the key in the file beside the database.
    pub secrets_key: Option<SecretsKey>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bulkheads: 2,
            session_starts_per_second: 20,
            max_in_flight: 256,
            max_in_flight_per_client: 64,
            max_in_flight_per_webhook: 16,
            targets: TargetPolicy {
                allow_http: false,
                allow_private_networks: false,
            },
            client_weights: HashMap::new(),
            extra_roots_pem: String::new(),
            secrets_key: None,
        }
    }
}

/// One per gateway.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) persistence: Persistence,
    pub(crate) directory: Arc<Directory>,
    pub(crate) health: Arc<Health>,
    pub(crate) poster: Poster,
    pub(crate) vault: Vault,
    pub(crate) links: Arc<dyn LinkFactory>,
    pub(crate) bulkheads: Bulkheads,
    /// Slots for attempts, of each client and in all.
    pub(crate) slots: Slots,
    pub(crate) pacer: Pacer,
}

/// Spreads the starts of many sessions, so that a restart is no stampede on WhatsApp, on the disk or on the processor.
#[derive(Debug)]
pub(crate) struct Pacer {
    apart: Duration,
    next: Mutex<Timestamp>,
}

impl Pacer {
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            apart: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::new(Timestamp::default()),
        }
    }

    /// When the session that asks may start.
    pub(crate) fn next(&self) -> Timestamp {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = (*next).max(clock::now());
        *next = mine + self.apart;
        mine
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn many_starts_are_spread_evenly() {
        let pacer = Pacer::new(20);
        let starts: Vec<Timestamp> = (0..100).map(|_| pacer.next()).collect();
        let apart = starts.windows(2).map(|pair| pair[1].since(pair[0]));
        assert!(apart.into_iter().all(|apart| apart >= Duration::from_millis(50)));
        assert!(starts[99].since(starts[0]) < Duration::from_secs(6));
    }
}

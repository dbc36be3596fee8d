//! What every actor of the tree has in common.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wharf_domain::{ClientId, Timestamp, WebhookId, address::TargetPolicy, retention::Keep};
use wharf_store::Store;
use wharf_whatsapp::LinkFactory;

use crate::{
    backlog::Backlog,
    bulkhead::Bulkheads,
    clock,
    directory::Directory,
    media::{MediaRoom, MediaSettings},
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
    /// Events of one webhook that a retry of many lets out per second.
    pub bulk_retry_per_second: u32,
    /// Which targets a webhook may have.
    pub targets: TargetPolicy,
    /// Clients that get more than others when slots are short, and by how much; all others have weight 1.
    pub client_weights: HashMap<ClientId, u32>,
    /// Certificates (PEM) that are trusted beside the usual ones.
    pub extra_roots_pem: String,
    /// What webhooks' secrets are encrypted with; `None` is the key in the file beside the database.
    pub secrets_key: Option<SecretsKey>,
    /// How long finished events are kept.
    pub keep: Keep,
    /// What a client may have.
    pub limits: Limits,
    /// Files that messages come with.
    pub media: MediaSettings,
}

/// How much a client may have of what it could fill the machine with; 0 stands for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events that wait for delivery. At the limit its messages stay at WhatsApp.
    pub pending_per_client: u32,
    /// Webhooks, without deleted ones.
    pub webhooks_per_client: u32,
    /// Connections.
    pub connections_per_client: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending_per_client: 1_000_000,
            webhooks_per_client: 0,
            connections_per_client: 0,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bulkheads: 2,
            session_starts_per_second: 20,
            max_in_flight: 256,
            max_in_flight_per_client: 64,
            max_in_flight_per_webhook: 16,
            bulk_retry_per_second: 50,
            targets: TargetPolicy {
                allow_http: false,
                allow_private_networks: false,
            },
            client_weights: HashMap::new(),
            extra_roots_pem: String::new(),
            secrets_key: None,
            keep: Keep::days(7, 30),
            limits: Limits::default(),
            media: MediaSettings::default(),
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
    pub(crate) backlog: Backlog,
    pub(crate) bulk_retries: BulkRetries,
    pub(crate) media: MediaRoom,
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

    /// How long the session that asks has to wait before it may start.
    pub(crate) fn next(&self) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // Not the wall's: put back by hours, it would let no session start for as long.
        let now = clock::steady();
        let mine = (*next).max(now);
        *next = mine + self.apart;
        mine.since(now)
    }
}

/// When the last event of each webhook's retries of many is due, so that one such retry begins where the one before ends.
/// The due times are in the store; a restart forgets only that they are to be kept apart.
#[derive(Debug, Default)]
pub(crate) struct BulkRetries {
    until: Mutex<HashMap<WebhookId, Timestamp>>,
}

impl BulkRetries {
    /// Takes the time that `events` of a webhook need at `per_second`; answers when it begins.
    pub(crate) fn take(&self, webhook: WebhookId, events: usize, per_second: u32, now: Timestamp) -> Timestamp {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.retain(|_, until| *until > now);
        let begin = until.get(&webhook).map_or(now, |until| (*until).max(now));
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        let takes = Duration::from_secs(1).saturating_mul(events) / per_second.max(1);
        until.insert(webhook, begin + takes);
        begin
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn many_starts_are_spread_evenly() {
        let pacer = Pacer::new(20);
        let starts: Vec<Timestamp> = (0..100).map(|_| clock::steady() + pacer.next()).collect();
        let apart = starts.windows(2).map(|pair| pair[1].since(pair[0]));
        assert!(apart.into_iter().all(|apart| apart >= Duration::from_millis(40)));
        assert!(starts[99].since(starts[0]) < Duration::from_secs(6));
    }

    #[test]
    fn one_retry_of_many_begins_where_the_one_before_ends() {
        let retries = BulkRetries::default();
        let (one, other) = (WebhookId(uuid::Uuid::from_u128(1)), WebhookId(uuid::Uuid::from_u128(2)));
        let at = |seconds: i64| Timestamp(seconds * 1000);
        assert_eq!(retries.take(one, 100, 50, at(10)), at(10));
        assert_eq!(retries.take(one, 50, 50, at(11)), at(12));
        assert_eq!(retries.take(other, 1, 50, at(11)), at(11), "each webhook for itself");
        assert_eq!(
            retries.take(one, 1, 50, at(20)),
            at(20),
            "the time that has passed is not made up for"
        );
    }
}

//! What every actor of the tree has in common.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use wharf_domain::{
    ClientId, ConnectionKey, Timestamp, WebhookId, address::TargetPolicy, outgoing::Pacing, retention::Keep,
    session::Patience,
};
use wharf_store::{Store, StoreError};
use wharf_whatsapp::LinkFactory;

use crate::{
    allowance::Allowance,
    backlog::Backlog,
    bulkhead::Bulkheads,
    clock,
    deletions::Deletions,
    directory::Directory,
    health::Health,
    media::{MediaRoom, MediaSettings},
    metrics::Metrics,
    pacer::Pacer,
    persistence::{Persistence, WriteError},
    places::Places,
    post::{Poster, fetch::Fetcher},
    reads::Reads,
    slots::Slots,
    tally::Tally,
    vault::{SecretsKey, Vault},
};

/// What can be set from outside; config.toml says what each value means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Threads for sessions at the most; with 0 sessions run on tokio's workers with everything else.
    pub bulkheads: usize,
    /// Links opened per second at the most, after a restart or an outage.
    pub session_starts_per_second: u32,
    /// How long sessions wait for WhatsApp.
    pub patience: Patience,
    /// Attempts at once, in all.
    pub max_in_flight: usize,
    /// Attempts at once, of one client.
    pub max_in_flight_per_client: usize,
    /// Attempts at once, of one webhook.
    pub max_in_flight_per_webhook: usize,
    /// Events of one webhook that a retry of many lets out per second.
    pub bulk_retry_per_second: u32,
    /// Test events and retries that one client may ask for per second; 0 is no limit.
    pub manual_per_second: u32,
    /// Which targets a webhook may have.
    pub targets: TargetPolicy,
    /// Clients that get more than others when slots are short, and by how much; all others have weight 1.
    pub client_weights: HashMap<ClientId, u32>,
    /// Certificates (PEM) that are trusted beside the usual ones.
    pub extra_roots_pem: String,
    /// What webhooks' secrets and the keys of linked devices are encrypted with; `None` is the key in the file beside the database.
    pub secrets_key: Option<SecretsKey>,
    /// How long finished events are kept.
    pub keep: Keep,
    /// What a client may have.
    pub limits: Limits,
    /// How one number sends.
    pub sending: Pacing,
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
    /// Changes of webhooks and connections a second in the long run, ten times as many at once after a pause.
    pub changes_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending_per_client: 1_000_000,
            webhooks_per_client: 0,
            connections_per_client: 0,
            changes_per_second: 50,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bulkheads: 16,
            session_starts_per_second: 50,
            patience: Patience::default(),
            max_in_flight: 256,
            max_in_flight_per_client: 64,
            max_in_flight_per_webhook: 16,
            bulk_retry_per_second: 50,
            manual_per_second: 10,
            targets: TargetPolicy {
                allow_http: false,
                allow_private_networks: false,
                ..TargetPolicy::default()
            },
            client_weights: HashMap::new(),
            extra_roots_pem: String::new(),
            secrets_key: None,
            keep: Keep::days(7, 30),
            limits: Limits::default(),
            sending: Pacing::default(),
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
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) poster: Poster,
    /// Fetches files that are to be sent.
    pub(crate) fetcher: Fetcher,
    pub(crate) vault: Arc<Vault>,
    pub(crate) links: Arc<dyn LinkFactory>,
    pub(crate) bulkheads: Bulkheads,
    /// Slots for attempts, of each client and in all.
    pub(crate) slots: Slots,
    /// Turns for what clients read in bulk.
    pub(crate) reads: Reads,
    /// Test events whose attempts are waited for.
    pub(crate) tests: Arc<Tally>,
    pub(crate) pacer: Pacer,
    /// Of messages that are being made ready.
    pub(crate) places: Arc<Places>,
    pub(crate) backlog: Backlog,
    pub(crate) bulk_retries: BulkRetries,
    /// Test events and retries.
    pub(crate) by_hand: Allowance,
    /// Acts under an `Idempotency-Key`.
    pub(crate) keyed_acts: Allowance,
    /// Changes of webhooks and connections.
    pub(crate) changes: Allowance,
    /// Connections that are being deleted.
    pub(crate) deletions: Deletions,
    /// Told when some client may have another token, or none.
    pub(crate) tokens: watch::Sender<()>,
    pub(crate) media: MediaRoom,
    /// Tasks that write what became of sent messages, beyond the end of their session; the tree ends after them.
    pub(crate) notes: TaskTracker,
    /// The janitor's rounds: who counts commits counts none of its.
    #[cfg(test)]
    pub(crate) cleaned: watch::Sender<crate::janitor::Rounds>,
}

impl Shared {
    /// Whether the gateway can do its work, as `/readyz` tells it.
    ///
    /// # Errors
    /// Says what is missing.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        if self.directory.persistence().is_none() {
            return Err("the only writer is being started again".to_owned());
        }
        self.health.check(&self.store).await
    }

    /// Removes the keys that a device of this number left which is gone.
    ///
    /// # Errors
    /// `WriteError` when the store cannot be read or written; what was removed stays removed.
    pub(crate) async fn remove_left_keys(&self, of: &ConnectionKey) -> Result<(), WriteError> {
        match self.store.has_left_keys(of).await? {
            true => self.persistence.remove_left_keys(of).await,
            false => Ok(()),
        }
    }
}

/// The pause before the store is asked again for what an attempt needs.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Reads what an attempt at this webhook needs, however long it takes until the store can be read.
///
/// # Errors
/// What the store says of a row that it will never read: waiting for that would keep the attempt's place for ever.
pub(crate) async fn until_read<T, F>(webhook: WebhookId, read: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match read().await {
            Ok(value) => return Ok(value),
            Err(error) if !error.is_transient() => return Err(error),
            Err(error) => {
                tracing::warn!(%webhook, %error, "cannot read what an attempt needs; trying again");
                tokio::time::sleep(READ_AGAIN_AFTER).await;
            }
        }
    }
}

/// When the last event of each webhook's retries of many is due, so that one such retry begins where the one before ends.
/// The due times are in the store; a restart forgets only that they are to be kept apart. By the steady clock: after the
/// wall's was put back, the one before would seem to go on for as long.
#[derive(Debug, Default)]
pub(crate) struct BulkRetries {
    until: Mutex<HashMap<WebhookId, Timestamp>>,
}

impl BulkRetries {
    /// Takes the time that `events` of a webhook need at `per_second`.
    pub(crate) fn take(&self, webhook: WebhookId, events: usize, per_second: u32) -> Taken {
        self.take_at(clock::steady(), webhook, events, per_second)
    }

    fn take_at(&self, now: Timestamp, webhook: WebhookId, events: usize, per_second: u32) -> Taken {
        let mut until = self.until.lock();
        until.retain(|_, until| *until > now);
        let begin = until.get(&webhook).map_or(now, |until| (*until).max(now));
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        let takes = Duration::from_secs(1).saturating_mul(events) / per_second.max(1);
        let end = begin + takes;
        until.insert(webhook, end);
        let after = begin.since(now);
        Taken { after, begin, end }
    }

    /// Nothing came of it. What was taken after it stays where it is.
    pub(crate) fn give_back(&self, webhook: WebhookId, taken: &Taken) {
        let mut until = self.until.lock();
        if let Some(end) = until.get_mut(&webhook).filter(|end| **end == taken.end) {
            *end = taken.begin;
        }
    }
}

/// Time of a webhook in which events that are retried together go out.
#[derive(Debug)]
pub(crate) struct Taken {
    /// How long after it was taken it begins.
    pub(crate) after: Duration,
    begin: Timestamp,
    end: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_will_never_be_read_is_not_waited_for() {
        let webhook = WebhookId(uuid::Uuid::from_u128(1));
        let damaged = || async { Err::<(), _>(StoreError::Unreadable("this row".to_owned())) };
        let read = until_read(webhook, damaged).await;
        assert!(matches!(read, Err(StoreError::Unreadable(_))), "{read:?}");
    }

    #[test]
    fn one_retry_of_many_begins_where_the_one_before_ends() {
        let retries = BulkRetries::default();
        let (one, other) = (WebhookId(uuid::Uuid::from_u128(1)), WebhookId(uuid::Uuid::from_u128(2)));
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let take = |now, webhook, events| retries.take_at(at(now), webhook, events, 50).after.as_secs();
        assert_eq!(take(10, one, 100), 0);
        assert_eq!(take(11, one, 50), 1);
        assert_eq!(take(11, other, 1), 0, "each webhook for itself");
        assert_eq!(take(20, one, 1), 0, "the time that has passed is not made up for");
    }

    #[test]
    fn what_was_taken_in_vain_is_given_back_unless_another_one_stands_behind() {
        let retries = BulkRetries::default();
        let (webhook, now) = (WebhookId(uuid::Uuid::from_u128(1)), Timestamp(0));
        let take = |events| retries.take_at(now, webhook, events, 50);
        let first = take(500);
        retries.give_back(webhook, &first);
        let again = take(500);
        assert_eq!(again.after.as_secs(), 0);
        assert_eq!(take(50).after.as_secs(), 10);
        retries.give_back(webhook, &again);
        assert_eq!(take(50).after.as_secs(), 11);
    }
}

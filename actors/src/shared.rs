//! What every actor of the tree has in common.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use wharf_domain::{
    ClientId, ConnectionKey, Timestamp, WebhookId, address::TargetPolicy, outgoing::Pacing, retention::Keep,
    session::Patience,
};
use wharf_store::{Store, StoreError};
use wharf_whatsapp::LinkFactory;

use crate::{
    backlog::Backlog,
    bulkhead::Bulkheads,
    by_hand::ByHand,
    clock,
    deletions::Deletions,
    directory::Directory,
    health::Health,
    media::{MediaRoom, MediaSettings},
    metrics::Metrics,
    persistence::{Persistence, WriteError},
    post::{Poster, fetch::Fetcher},
    reads::Reads,
    slots::Slots,
    tally::Tally,
    vault::{SecretsKey, Vault},
};

/// What can be set from outside; config.toml says what each value means.
#[derive(Debug, Clone)]
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
    pub(crate) backlog: Backlog,
    pub(crate) bulk_retries: BulkRetries,
    /// Test events and retries.
    pub(crate) by_hand: ByHand,
    /// Connections that are being deleted.
    pub(crate) deletions: Deletions,
    /// Told when some client may have another token, or none.
    pub(crate) tokens: watch::Sender<()>,
    pub(crate) media: MediaRoom,
    /// Tasks that write what became of sent messages, beyond the end of their session; the tree ends after them.
    pub(crate) notes: TaskTracker,
}

impl Shared {
    /// Removes the keys that a device of this number left which is gone.
    ///
    /// # Errors
    /// `WriteError` when the store cannot be read or written; what was removed stays removed.
    pub(crate) async fn remove_left_keys(&self, of: &ConnectionKey) -> Result<(), WriteError> {
        let left = self.store.has_left_keys(of).await;
        match left.map_err(|error| WriteError::from_store(&error))? {
            true => self.persistence.remove_left_keys(of).await,
            false => Ok(()),
        }
    }
}

/// The pause before the store is asked again for what an attempt needs.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Reads what an attempt at this webhook needs, however long it takes until the store can be read.
pub(crate) async fn until_read<T, F>(webhook: WebhookId, read: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match read().await {
            Ok(value) => return value,
            Err(error) => {
                tracing::warn!(%webhook, %error, "cannot read what an attempt needs; trying again");
                tokio::time::sleep(READ_AGAIN_AFTER).await;
            }
        }
    }
}

/// Gives turns for opening links: so many a second at the most, whether sessions start together with the program or lost
/// their links together. A restart or an outage is no stampede on WhatsApp, on the disk or on the processor.
///
/// Turns are given ahead, so a client with thousands of numbers whose links fail over and over would have all of the next
/// minutes. Of each slice of time a fifth is kept for clients that wait for few.
#[derive(Debug)]
pub(crate) struct Pacer {
    per_slice: u32,
    slice: Duration,
    /// Turns ahead from which on a client waits for many: what is kept for the others of a second.
    many: u32,
    given: Mutex<Given>,
}

/// Turns given, of which the time is not over.
#[derive(Debug, Default)]
struct Given {
    /// To whom, by slices of time.
    slices: BTreeMap<i64, Vec<ClientId>>,
    /// How many of each client's.
    of_client: HashMap<ClientId, u32>,
}

impl Given {
    /// Forgets the slices before this one.
    fn forget_before(&mut self, slice: i64) {
        let rest = self.slices.split_off(&slice);
        for client in std::mem::replace(&mut self.slices, rest).into_values().flatten() {
            if let Some(count) = self.of_client.get_mut(&client) {
                *count -= 1;
                if *count == 0 {
                    self.of_client.remove(&client);
                }
            }
        }
    }

    /// Takes the first turn from this slice on, in a slice with fewer than `most`; answers the slice and the place in it.
    fn take(&mut self, client: ClientId, from: i64, most: u32) -> (i64, u32) {
        let mut slice = from;
        loop {
            let turns = self.slices.entry(slice).or_default();
            let place = u32::try_from(turns.len()).unwrap_or(u32::MAX);
            if place < most {
                turns.push(client);
                *self.of_client.entry(client).or_default() += 1;
                return (slice, place);
            }
            slice += 1;
        }
    }
}

/// Turns are counted by such slices, so that a thousand of them are looked through in a moment.
const SLICE: Duration = Duration::from_millis(200);

impl Pacer {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        // Slices of at least one turn each.
        let slice = SLICE.max(Duration::from_secs(1) / per_second);
        let per_slice = (slice.as_secs_f64() * f64::from(per_second)).round().max(1.0);
        Self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a small positive number"
            )]
            per_slice: per_slice as u32,
            slice,
            many: kept(per_second),
            given: Mutex::default(),
        }
    }

    /// How long from now until the next free turn for a client that is not earlier than `after` from now.
    pub(crate) fn turn(&self, client: ClientId, after: Duration) -> Duration {
        // Not the wall's: put back by hours, it would let no session start for as long.
        self.turn_at(clock::steady(), client, after)
    }

    fn turn_at(&self, now: Timestamp, client: ClientId, after: Duration) -> Duration {
        let slice = i64::try_from(self.slice.as_millis()).unwrap_or(i64::MAX);
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.forget_before(now.0.div_euclid(slice));
        let waits_for_many = given.of_client.get(&client).is_some_and(|count| *count >= self.many);
        // A slice of one turn has none to keep.
        let of_many = waits_for_many && self.per_slice > 1;
        let most = self.per_slice - if of_many { kept(self.per_slice) } else { 0 };
        let earliest = now + after;
        let (index, place) = given.take(client, earliest.0.div_euclid(slice), most);
        let turn = Timestamp(index.saturating_mul(slice)) + self.slice * place / self.per_slice;
        turn.max(earliest).since(now)
    }
}

/// Of so many turns, those that are kept for clients that wait for few.
fn kept(turns: u32) -> u32 {
    turns.div_ceil(5)
}

/// When the last event of each webhook's retries of many is due, so that one such retry begins where the one before ends.
/// The due times are in the store; a restart forgets only that they are to be kept apart. By the steady clock: after the
/// wall's was put back, the one before would seem to go on for as long.
#[derive(Debug, Default)]
pub(crate) struct BulkRetries {
    until: Mutex<HashMap<WebhookId, Timestamp>>,
}

impl BulkRetries {
    /// Takes the time that `events` of a webhook need at `per_second`; answers how long from now it begins.
    pub(crate) fn take(&self, webhook: WebhookId, events: usize, per_second: u32) -> Duration {
        self.take_at(clock::steady(), webhook, events, per_second)
    }

    fn take_at(&self, now: Timestamp, webhook: WebhookId, events: usize, per_second: u32) -> Duration {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.retain(|_, until| *until > now);
        let begin = until.get(&webhook).map_or(now, |until| (*until).max(now));
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        let takes = Duration::from_secs(1).saturating_mul(events) / per_second.max(1);
        until.insert(webhook, begin + takes);
        begin.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_762_352_580_050);
    /// A client with many numbers.
    const MANY: ClientId = ClientId(1);

    /// The most turns within any second, and when the last one is.
    fn spread(turns: impl IntoIterator<Item = Duration>) -> (usize, Duration) {
        let mut turns: Vec<Duration> = turns.into_iter().collect();
        turns.sort();
        let second = Duration::from_secs(1);
        let most = turns.iter().map(|&from| {
            let within = turns.iter().filter(|&&turn| turn >= from && turn < from + second);
            within.count()
        });
        (most.max().unwrap(), *turns.last().unwrap())
    }

    #[test]
    fn many_turns_are_spread_evenly() {
        for (per_second, slack) in [(1, 1), (3, 1), (20, 4), (50, 10), (1000, 200)] {
            let pacer = Pacer::new(per_second);
            let numbers = 0..i64::from(per_second) * 20;
            let (most, last) = spread(numbers.map(|n| pacer.turn_at(NOW, ClientId(n % 100), Duration::ZERO)));
            // A slice that has begun and one that has not may meet in a second.
            assert!(most <= per_second as usize + slack, "{most} of {per_second}");
            let seconds = last.as_secs_f64();
            assert!((18.5..21.5).contains(&seconds), "{seconds} at {per_second}");
        }
    }

    #[test]
    fn turns_that_are_due_at_different_times_fill_the_gaps_and_none_is_early() {
        let pacer = Pacer::new(50);
        let pauses = (0..1000).map(|n| Duration::from_millis(500 + n % 500));
        let turns: Vec<_> = pauses.map(|pause| (pause, pacer.turn_at(NOW, MANY, pause))).collect();
        assert!(turns.iter().all(|(pause, turn)| turn >= pause));
        let (most, last) = spread(turns.into_iter().map(|(_, turn)| turn));
        assert!(most <= 60, "{most}");
        // A client that is alone gets four fifths.
        assert!(last < Duration::from_secs(27), "{last:?}");
        // One that comes later still finds the time before them.
        assert!(pacer.turn_at(NOW, MANY, Duration::ZERO) < Duration::from_millis(500));
        // What is over is forgotten.
        let later = NOW + Duration::from_secs(60);
        assert_eq!(pacer.turn_at(later, MANY, Duration::ZERO), Duration::ZERO);
        let given = pacer.given.lock().unwrap();
        assert_eq!((given.slices.len(), given.of_client[&MANY]), (1, 1));
    }

    #[test]
    fn a_client_with_thousands_of_links_does_not_have_the_minutes_ahead() {
        let pacer = Pacer::new(50);
        let turns = |count: usize, client| -> Vec<Duration> {
            (0..count)
                .map(|_| pacer.turn_at(NOW, ClientId(client), Duration::ZERO))
                .collect()
        };
        let mut hogs = turns(2000, 1);
        hogs.extend(turns(2000, 2));
        let few = turns(10, 3);
        assert!(few.iter().all(|turn| *turn < Duration::from_secs(3)), "{few:?}");
        let (most, last) = spread(hogs);
        assert!(most <= 60 && last < Duration::from_secs(110), "{most} {last:?}");
    }

    #[test]
    fn one_retry_of_many_begins_where_the_one_before_ends() {
        let retries = BulkRetries::default();
        let (one, other) = (WebhookId(uuid::Uuid::from_u128(1)), WebhookId(uuid::Uuid::from_u128(2)));
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let take = |now, webhook, events| retries.take_at(at(now), webhook, events, 50).as_secs();
        assert_eq!(take(10, one, 100), 0);
        assert_eq!(take(11, one, 50), 1);
        assert_eq!(take(11, other, 1), 0, "each webhook for itself");
        assert_eq!(take(20, one, 1), 0, "the time that has passed is not made up for");
    }
}

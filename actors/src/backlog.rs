//! How much waits for delivery, per client, and whether more may come in.
//!
//! No message costs a count: what is kept is an upper bound, the last count and everything that came in since. Only
//! when that reaches the limit the rows are counted, by a reader. Deliveries, deletions and retries need not be followed.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use thiserror::Error;
use wharf_domain::ClientId;
use wharf_store::{Store, StoreError};

/// Counting may take a twentieth of the time, however often a full queue is asked for.
const COUNT_SHARE: u32 = 20;
/// A number that was cut off comes back when the queue is below this many hundredths of the limit, so that it does not
/// come for a single batch.
const COME_BACK_BELOW: u64 = 90;

/// Why nothing more may come in.
#[derive(Debug, Error)]
pub(crate) enum NotAdmitted {
    /// As many events wait as may.
    #[error("queue limit reached: {0} events wait for delivery")]
    Full(u32),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// See the module.
pub(crate) struct Backlog {
    store: Store,
    limit: u32,
    clients: Mutex<HashMap<ClientId, Arc<Queue>>>,
}

/// One client's.
#[derive(Default)]
struct Queue {
    bound: Mutex<Bound>,
    /// Held by who counts.
    counting: tokio::sync::Mutex<Option<Count>>,
}

/// The last count of the rows.
struct Count {
    /// `None` when it failed.
    begun: Option<Instant>,
    /// When they may be counted again.
    again: Instant,
}

impl Count {
    /// Whether it was made for somebody who asked at `asked` as well, while that one waited.
    fn answers(last: Option<&Self>, asked: Instant) -> bool {
        last.is_some_and(|last| last.begun.is_some_and(|begun| begun >= asked))
    }
}

#[derive(Default)]
struct Bound {
    /// Events that wait, at the most; `None` before the first count.
    events: Option<u64>,
    /// What a count that is under way may miss.
    uncounted: u64,
    /// Admitted and not committed yet, as far as is known: a count may miss them.
    under_way: u64,
}

/// Messages that were admitted and are being committed.
pub(crate) struct Admitted {
    queue: Option<(Arc<Queue>, u64)>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((queue, messages)) = &self.queue {
            let mut bound = queue.bound.lock();
            bound.under_way = bound.under_way.saturating_sub(*messages);
        }
    }
}

impl Queue {
    /// Takes `messages` in if the queue is sure to be below the limit. They may take it beyond: a batch that is larger
    /// than what the limit leaves would never come in otherwise.
    fn take(self: &Arc<Self>, messages: u64, limit: u64) -> Option<Admitted> {
        let mut bound = self.bound.lock();
        let events = bound.events.filter(|events| *events < limit)?;
        bound.events = Some(events.saturating_add(messages));
        bound.uncounted = bound.uncounted.saturating_add(messages);
        bound.under_way = bound.under_way.saturating_add(messages);
        Some(Admitted {
            queue: Some((Arc::clone(self), messages)),
        })
    }
}

impl Backlog {
    /// With a limit of 0 everything may come in.
    pub(crate) fn new(store: Store, limit: u32) -> Self {
        Self {
            store,
            limit,
            clients: Mutex::default(),
        }
    }

    /// Lets `messages` of a client in, unless its queue is full. Hold the answer until they are committed.
    ///
    /// # Errors
    /// `Full` when it is; `Store` when what waits cannot be counted.
    pub(crate) async fn admit(&self, client: ClientId, messages: usize) -> Result<Admitted, NotAdmitted> {
        if self.limit == 0 {
            return Ok(Admitted { queue: None });
        }
        let messages = u64::try_from(messages).unwrap_or(u64::MAX);
        let queue = self.queue(client);
        if let Some(admitted) = queue.take(messages, self.limit.into()) {
            return Ok(admitted);
        }
        let asked = Instant::now();
        let mut counting = queue.counting.lock().await;
        // Somebody else may have counted meanwhile.
        if let Some(admitted) = queue.take(messages, self.limit.into()) {
            return Ok(admitted);
        }
        if !Count::answers(counting.as_ref(), asked) {
            self.count(client, &queue, &mut counting).await?;
        }
        queue
            .take(messages, self.limit.into())
            .ok_or(NotAdmitted::Full(self.limit))
    }

    /// Whether a client's links may open: its queue is not full, or was and has got well below the limit.
    ///
    /// # Errors
    /// `Full` when they may not; `Store` when what waits cannot be counted.
    pub(crate) async fn may_open(&self, client: ClientId) -> Result<(), NotAdmitted> {
        let limit = u64::from(self.limit);
        if limit == 0 {
            return Ok(());
        }
        let queue = self.queue(client);
        let few = |events: Option<u64>| events.is_some_and(|events| events < (limit * COME_BACK_BELOW).div_ceil(100));
        if few(queue.bound.lock().events) {
            return Ok(());
        }
        let asked = Instant::now();
        let mut counting = queue.counting.lock().await;
        if !few(queue.bound.lock().events) && !Count::answers(counting.as_ref(), asked) {
            self.count(client, &queue, &mut counting).await?;
        }
        match few(queue.bound.lock().events) {
            true => Ok(()),
            false => Err(NotAdmitted::Full(self.limit)),
        }
    }

    /// Nobody counts a client's events before this.
    #[cfg(test)]
    pub(crate) async fn count_not_before(&self, client: ClientId, again: Instant) {
        *self.queue(client).counting.lock().await = Some(Count { begun: None, again });
    }

    /// Forgets a client that is gone.
    pub(crate) fn forget(&self, client: ClientId) {
        self.clients.lock().remove(&client);
    }

    async fn count(&self, client: ClientId, queue: &Queue, last: &mut Option<Count>) -> Result<(), StoreError> {
        if let Some(Count { again, .. }) = last {
            tokio::time::sleep_until((*again).into()).await;
        }
        {
            let mut bound = queue.bound.lock();
            bound.uncounted = bound.under_way;
        }
        let begun = Instant::now();
        let counted = self.store.pending_events(client, u64::from(self.limit) + 1).await;
        let took = begun.elapsed().min(Duration::from_secs(1));
        let again = Instant::now() + took * COUNT_SHARE;
        let begun = counted.is_ok().then_some(begun);
        *last = Some(Count { begun, again });
        let counted = counted?;
        let mut bound = queue.bound.lock();
        // What was under way may be in the count or not.
        let events = counted.saturating_add(bound.uncounted);
        bound.events = Some(events);
        Ok(())
    }

    fn queue(&self, client: ClientId) -> Arc<Queue> {
        Arc::clone(self.clients.lock().entry(client).or_default())
    }
}

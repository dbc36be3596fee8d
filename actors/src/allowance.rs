//! What each client may do so many times a second of, since it costs others something at the rate of whoever asks: a bucket of
//! tokens for each client.
//!
//! Test events and retries: each is an attempt, and a test event a row besides, or a look at the whole backlog. Acts under an
//! `Idempotency-Key`: each leaves a row for a day, be it a mere sign of presence. Changes of webhooks and connections: each is a write,
//! and all clients' messages are written behind it.

use std::collections::HashMap;

use parking_lot::Mutex;
use wharf_domain::{
    ClientId, Timestamp,
    outgoing::{Bucket, Pace},
};

use crate::{clock, gateway::GatewayError};

/// Seconds whose tokens gather.
const GATHERED_SECONDS: u32 = 10;
/// At the most 864,000 rows of a client at a time, some 200 MB. Messages have the pace of their number.
const KEYED_ACTS_PER_SECOND: u32 = 10;

/// See the module. What was taken is not kept over a restart.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// What is taken, for people.
    what: &'static str,
    /// What sets the limit, and what to do instead.
    advice: &'static str,
    pace: Pace,
    buckets: Mutex<HashMap<ClientId, Bucket>>,
}

impl Allowance {
    /// Test events and retries.
    pub(crate) fn at_receivers(per_second: u32) -> Self {
        let advice = "(delivery.manual_per_second); many failed events are retried together with one \
                      POST /api/webhooks/:webhook_id/retry";
        Self::new("test events and retries", advice, per_second)
    }

    /// Acts other than messages, under an `Idempotency-Key`.
    pub(crate) fn under_keys() -> Self {
        let advice = "(no setting changes that); what does no harm when it is done twice, as receipts and presence, goes without \
                      a key at any rate";
        Self::new(
            "requests with an Idempotency-Key that are no messages",
            advice,
            KEYED_ACTS_PER_SECOND,
        )
    }

    /// Changes of webhooks and connections.
    pub(crate) fn for_changes(per_second: u32) -> Self {
        Self::new(
            "changes of webhooks and connections",
            "(limits.changes_per_second)",
            per_second,
        )
    }

    /// So many a second of each client in the long run, and ten times that at once after a pause; 0 is no limit.
    fn new(what: &'static str, advice: &'static str, per_second: u32) -> Self {
        Self {
            what,
            advice,
            pace: Pace {
                per_second,
                burst: per_second.saturating_mul(GATHERED_SECONDS),
            },
            buckets: Mutex::default(),
        }
    }

    /// Takes one of this client's.
    ///
    /// # Errors
    /// `Busy` when there is none; there is one within a second.
    pub(crate) fn take(&self, client: ClientId) -> Result<(), GatewayError> {
        // Not the wall's: put back by hours, it would refill nothing for as long.
        self.take_at(clock::steady(), client)
    }

    /// Gives back what was taken for something that costs others nothing.
    pub(crate) fn give_back(&self, client: ClientId) {
        let mut buckets = self.buckets.lock();
        // One that is not there is full again.
        if let Some(bucket) = buckets.get_mut(&client) {
            bucket.give_back();
        }
    }

    fn take_at(&self, now: Timestamp, client: ClientId) -> Result<(), GatewayError> {
        let mut buckets = self.buckets.lock();
        buckets.retain(|_, bucket| !bucket.is_full(now));
        let bucket = buckets.entry(client).or_insert_with(|| Bucket::full(self.pace, now));
        if bucket.take(now) {
            return Ok(());
        }
        let (Pace { per_second, burst }, what, advice) = (self.pace, self.what, self.advice);
        Err(GatewayError::Busy(format!(
            "this client has as many {what} as it may: {per_second} a second, {burst} at once after a pause {advice}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_and_they_come_back() {
        let allowance = Allowance::at_receivers(2);
        let take = |seconds: i64, client| allowance.take_at(Timestamp(seconds * 1000), ClientId(client));
        assert_eq!((0..100).filter(|_| take(0, 1).is_ok()).count(), 20);
        let refused = take(0, 1).unwrap_err().to_string();
        assert!(refused.contains("2 a second, 20 at once") && refused.contains("delivery.manual_per_second"));
        assert_eq!(take(0, 2), Ok(()));
        assert_eq!((0..100).filter(|_| take(3, 1).is_ok()).count(), 6);
        assert_eq!(take(60, 3), Ok(()));
        assert_eq!(allowance.buckets.lock().len(), 1, "what is full is forgotten");
    }

    #[test]
    fn what_is_given_back_is_there_again_and_no_more_than_that() {
        let allowance = Allowance::at_receivers(2);
        let take = || allowance.take_at(Timestamp(0), ClientId(1));
        for _ in 0..100 {
            assert_eq!(take(), Ok(()));
            allowance.give_back(ClientId(1));
        }
        allowance.give_back(ClientId(1));
        assert_eq!((0..100).filter(|_| take().is_ok()).count(), 20);
    }

    #[test]
    fn nothing_is_counted_without_a_limit() {
        let allowance = Allowance::at_receivers(0);
        assert!((0..1000).all(|_| allowance.take_at(Timestamp(0), ClientId(1)).is_ok()));
    }
}

//! Once under an `Idempotency-Key`: a claim is a committed row before anything is done, and ends with the answer.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use ractor::ActorStatus;
use serde::{Serialize, de::DeserializeOwned};
use wharf_domain::{Connection, Timestamp};
use wharf_store::{KEY_LIFETIME, KeyClaim};

use super::{Gateway, GatewayError, IdempotencyKey, conflict, restarting};
use crate::{
    clock,
    persistence::{Claim, Settlement, Write, WriteError, insist},
};

impl Gateway {
    /// Carries something out under an idempotency key, if there is one: claimed with a committed row before, settled with
    /// the answer after. `counted`: it has no pace of its own, as messages have, and leaves a row for a day; what leaves none, as a
    /// repeat, is not counted.
    ///
    /// # Errors
    /// `Busy` when this client has had as many as it may of late of what is counted, and this is no repeat that has its answer.
    pub(super) async fn once<T, F>(
        &self,
        connection: Connection,
        idempotency: Option<IdempotencyKey>,
        counted: bool,
        work: impl FnOnce(Connection) -> F,
    ) -> Result<T, GatewayError>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, GatewayError>> + Send + 'static,
    {
        let client = connection.client_id;
        let key = connection.key();
        let work = work(connection);
        let Some(IdempotencyKey {
            key: idempotency_key,
            body_hash,
        }) = idempotency
        else {
            return work.await;
        };
        let counts = match counted.then(|| self.shared.keyed_acts.take(client)) {
            Some(Ok(())) => true,
            None => false,
            // Whoever repeats what was done gets its answer.
            Some(Err(busy)) => {
                let answered = self.shared.store.key_is_answered(&key, &idempotency_key, clock::now());
                if answered.await? != Some(true) {
                    return Err(busy);
                }
                false
            }
        };
        let at = claim_time();
        let claim = Claim {
            key: key.clone(),
            idempotency_key: idempotency_key.clone(),
            body_hash,
            at,
        };
        let given_back = Settlement {
            key,
            idempotency_key,
            claimed_at: at,
            answer: None,
        };
        let claimed = self.shared.persistence.commit(Write::ClaimKey, claim).await;
        if let Err(WriteError::Unknown(_)) = claimed {
            // It may be committed all the same, and nothing is done under it.
            tokio::spawn(self.clone().settle(given_back.clone()));
        }
        if counts && !matches!(claimed, Ok(KeyClaim::Fresh)) {
            // It leaves no row.
            self.shared.keyed_acts.give_back(client);
        }
        match claimed? {
            KeyClaim::Fresh => {}
            KeyClaim::Answered(answer) => return read_answer(&answer),
            KeyClaim::OtherBody => {
                return conflict("this Idempotency-Key was used for something else, or with another body");
            }
            KeyClaim::Unfinished => return Err(key_in_use()),
        }
        let gateway = self.clone();
        // Detached from the caller: one who hangs up must not leave the claim open for a message that was sent.
        let working = tokio::spawn(async move {
            let result = work.await;
            let answer = match &result {
                Ok(answer) => serde_json::to_string(answer).ok(),
                // What has an unknown outcome keeps its claim.
                Err(GatewayError::TimedOut(_)) => return result,
                Err(_) => None,
            };
            gateway.settle(Settlement { answer, ..given_back }).await;
            result
        });
        working.await.unwrap_or_else(|_| Err(restarting()))
    }

    /// Ends a claim: with the answer, or, when certainly nothing was done, as if it had never been.
    async fn settle(self, settlement: Settlement) {
        let settled = self
            .shared
            .persistence
            .commit(Write::SettleKey, settlement.clone())
            .await;
        if settled.is_err_and(|error| error.is_passing()) {
            // Whoever asked is answered meanwhile: what was done is done.
            tokio::spawn(self.settle_at_last(settlement));
        }
    }

    /// Ends a claim that the store would not end. It would say for a day that nobody knows what became of the request,
    /// although it is known; a disk that was full for a moment is mostly why nothing was sent in the first place.
    async fn settle_at_last(self, settlement: Settlement) {
        let until = tokio::time::Instant::now() + KEY_LIFETIME;
        let again =
            |_: &WriteError| tokio::time::Instant::now() < until && self.root.get_status() < ActorStatus::Stopping;
        let persistence = &self.shared.persistence;
        if let Err(error) = insist(again, || persistence.commit(Write::SettleKey, settlement.clone())).await {
            tracing::warn!(%error, "the end of an idempotent request was not committed");
        }
    }
}

/// The time that a claim is made with. No other claim of this process has the same: so a claim is known from a later one of the
/// same key, and may be given back as often as it takes until the store has said that it is.
fn claim_time() -> Timestamp {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = clock::now().0;
    // A clock that was put back by more than a minute is followed: what it met before is long ago.
    let next = |last: i64| {
        if (now..now + 60_000).contains(&last) {
            last + 1
        } else {
            now
        }
    };
    let last = LAST.fetch_update(Relaxed, Relaxed, |last| Some(next(last)));
    // The update above refuses nothing.
    Timestamp(last.map_or(now, next))
}

/// What is said of a key whose claim has no answer.
pub(super) fn key_in_use() -> GatewayError {
    GatewayError::Conflict(
        "a request with this Idempotency-Key is still running, or its outcome is unknown; look before you send again \
         under another key"
            .to_owned(),
    )
}

fn read_answer<T: DeserializeOwned>(answer: &str) -> Result<T, GatewayError> {
    serde_json::from_str(answer)
        .map_err(|error| GatewayError::Unavailable(format!("the first answer cannot be read any more: {error}")))
}

//! Once under an `Idempotency-Key`: a claim is a committed row before anything is done, and ends with the answer.

use std::time::Duration;

use ractor::ActorStatus;
use serde::{Serialize, de::DeserializeOwned};
use wharf_domain::Connection;
use wharf_store::{KEY_LIFETIME, KeyClaim};

use super::{Gateway, GatewayError, IdempotencyKey, restarting};
use crate::persistence::{Claim, Settlement, Write, WriteError};

/// The pause before the end of a claim that the store refused is written again.
const SETTLE_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Gateway {
    /// Carries something out under an idempotency key, if there is one: claimed with a committed row before, settled with
    /// the answer after.
    pub(super) async fn once<T, F>(
        &self,
        connection: Connection,
        idempotency: Option<IdempotencyKey>,
        work: impl FnOnce(Connection) -> F,
    ) -> Result<T, GatewayError>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, GatewayError>> + Send + 'static,
    {
        let key = connection.key();
        let work = work(connection);
        let Some(IdempotencyKey {
            key: idempotency_key,
            body_hash,
        }) = idempotency
        else {
            return work.await;
        };
        let claim = Claim {
            key: key.clone(),
            idempotency_key: idempotency_key.clone(),
            body_hash,
        };
        match self.shared.persistence.commit(Write::ClaimKey, claim).await? {
            KeyClaim::Fresh => {}
            KeyClaim::Answered(answer) => return read_answer(&answer),
            KeyClaim::OtherBody => {
                return conflict("this Idempotency-Key was used for something else, or with another body");
            }
            KeyClaim::Unfinished => {
                return conflict(
                    "a request with this Idempotency-Key is still running, or its outcome is unknown; look before \
                     you send again under another key",
                );
            }
        }
        let gateway = self.clone();
        // Detached from the caller: one who hangs up must not leave the claim open for a message that was sent.
        let working = tokio::spawn(async move {
            let result = work.await;
            let settlement = Settlement {
                key,
                idempotency_key,
                answer: None,
            };
            gateway.settle(settlement, &result).await;
            result
        });
        working.await.unwrap_or_else(|_| Err(restarting()))
    }

    /// Ends a claim: with the answer, or, when certainly nothing was done, as if it had never been. What has an unknown
    /// outcome keeps its claim.
    async fn settle<T: Serialize + Sync>(&self, settlement: Settlement, result: &Result<T, GatewayError>) {
        let answer = match result {
            Ok(answer) => serde_json::to_string(answer).ok(),
            Err(GatewayError::TimedOut(_)) => return,
            Err(_) => None,
        };
        let settlement = Settlement { answer, ..settlement };
        let settled = self
            .shared
            .persistence
            .commit(Write::SettleKey, settlement.clone())
            .await;
        if let Err(error) = settled
            && may_settle_again(&error, &settlement)
        {
            // Whoever asked is answered meanwhile: what was done is done.
            tokio::spawn(self.clone().settle_at_last(settlement));
        }
    }

    /// Ends a claim that the store would not end. It would say for a day that nobody knows what became of the request,
    /// although it is known; a disk that was full for a moment is mostly why nothing was sent in the first place.
    async fn settle_at_last(self, settlement: Settlement) {
        let until = tokio::time::Instant::now() + KEY_LIFETIME;
        while tokio::time::Instant::now() < until && self.root.get_status() < ActorStatus::Stopping {
            tokio::time::sleep(SETTLE_AGAIN_AFTER).await;
            match self
                .shared
                .persistence
                .commit(Write::SettleKey, settlement.clone())
                .await
            {
                Err(error) if may_settle_again(&error, &settlement) => {}
                Err(error) => return tracing::warn!(%error, "the end of an idempotent request was not committed"),
                Ok(()) => return,
            }
        }
    }
}

/// A claim that may have been given back may be another request's by now.
fn may_settle_again(error: &WriteError, settlement: &Settlement) -> bool {
    match error {
        WriteError::Unavailable(_) => true,
        WriteError::Unknown(_) => settlement.answer.is_some(),
        WriteError::Rejected(_) | WriteError::Damaged(_) => false,
    }
}

fn conflict<T>(text: &str) -> Result<T, GatewayError> {
    Err(GatewayError::Conflict(text.to_owned()))
}

fn read_answer<T: DeserializeOwned>(answer: &str) -> Result<T, GatewayError> {
    serde_json::from_str(answer)
        .map_err(|error| GatewayError::Unavailable(format!("the first answer cannot be read any more: {error}")))
}

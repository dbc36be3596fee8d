//! Idempotency keys of outgoing messages: per client and number, for 24 h (CONTRACT.md sections 2 and 7).

use std::time::Duration;

use sqlx::{Row, SqliteConnection, query};
use wharf_domain::{ConnectionKey, Timestamp};

use crate::{
    Group, KeyClaim, Store, StoreError,
    bulk::Statement,
    codec::{At, of_number},
    sql,
};

/// How long a key counts.
pub const KEY_LIFETIME: Duration = Duration::from_hours(24);

impl Store {
    /// Whether the request that claimed a key has its answer; `None` where nobody has claimed it.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn key_is_answered(
        &self,
        key: &ConnectionKey,
        idempotency_key: &str,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let statement = find(key, idempotency_key, now).fetch_optional(self.pool()).await;
        let answer = statement.and_then(|found| found.map(|row| row.try_get::<Option<String>, _>(1)).transpose());
        answer
            .map(|found| found.map(|answer| answer.is_some()))
            .map_err(|error| self.error(error))
    }
}

impl Group<'_> {
    /// Claims a key for a request, or says what became of the first request with it.
    ///
    /// # Errors
    /// `Rejected` when there is no such client.
    pub async fn claim_key(
        &mut self,
        key: &ConnectionKey,
        idempotency_key: &str,
        body_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<KeyClaim, StoreError> {
        let result = claim(self.enter()?, key, idempotency_key, body_hash, now).await;
        self.leave(result)
    }

    /// Keeps the answer of a claimed request for those that repeat it.
    ///
    /// # Errors
    /// As every write.
    pub async fn complete_key(
        &mut self,
        key: &ConnectionKey,
        idempotency_key: &str,
        answer: &str,
    ) -> Result<(), StoreError> {
        let statement = of_number(sql::COMPLETE_KEY, key).bind(idempotency_key).bind(answer);
        self.execute(statement).await.map(|_| ())
    }

    /// Gives the key back that was claimed at `claimed_at`, because its request failed. A key that has an answer keeps it, and so
    /// does one that was claimed anew meanwhile.
    ///
    /// # Errors
    /// As every write.
    pub async fn release_key(
        &mut self,
        key: &ConnectionKey,
        idempotency_key: &str,
        claimed_at: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = of_number(sql::RELEASE_KEY, key)
            .bind(idempotency_key)
            .bind(At(claimed_at));
        self.execute(statement).await.map(|_| ())
    }

    /// Removes the keys claimed before `before`; returns how many.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_keys(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let statement = query(sql::PURGE_KEYS).bind(At(before)).bind(limit);
        self.execute(statement).await
    }
}

/// A key that still counts.
fn find<'q>(key: &'q ConnectionKey, idempotency_key: &'q str, now: Timestamp) -> Statement<'q> {
    let oldest = At(now - KEY_LIFETIME);
    of_number(sql::FIND_KEY, key).bind(idempotency_key).bind(oldest)
}

async fn claim(
    connection: &mut SqliteConnection,
    key: &ConnectionKey,
    idempotency_key: &str,
    body_hash: &[u8; 32],
    now: Timestamp,
) -> Result<KeyClaim, sqlx::Error> {
    if let Some(found) = find(key, idempotency_key, now).fetch_optional(&mut *connection).await? {
        let same_body = found.try_get::<&[u8], _>(0)? == body_hash.as_slice();
        return Ok(match found.try_get::<Option<String>, _>(1)? {
            _ if !same_body => KeyClaim::OtherBody,
            Some(answer) => KeyClaim::Answered(answer),
            None => KeyClaim::Unfinished,
        });
    }
    of_number(sql::CLAIM_KEY, key)
        .bind(idempotency_key)
        .bind(body_hash.as_slice())
        .bind(At(now))
        .execute(connection)
        .await?;
    Ok(KeyClaim::Fresh)
}

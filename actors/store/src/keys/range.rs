//! Keys that go together, however many they are.

use wharf_domain::ConnectionKey;

use super::{KeyKind, after};
use crate::{Group, StoreError, codec::of_number, sql};

/// Which keys of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRange {
    /// Those of a kind whose names begin so.
    Beginning(KeyKind, Vec<u8>),
    /// Those of a kind that are older than this (Unix seconds). What has no time is none of them.
    Before(KeyKind, i64),
    /// Tokens that are older than `received` (or were never received) and for which ours was sent before `sent` (or never).
    Tokens {
        /// Unix seconds.
        received: i64,
        /// Unix seconds.
        sent: i64,
    },
}

impl Group<'_> {
    /// Removes up to `limit` of these keys; answers how many. When it is fewer than that none are left, else call again.
    ///
    /// # Errors
    /// As every write.
    pub async fn remove_keys(&mut self, of: &ConnectionKey, range: &KeyRange, limit: u32) -> Result<u64, StoreError> {
        let (text, kind) = match range {
            KeyRange::Beginning(kind, _) => (sql::REMOVE_KEYS_BETWEEN, *kind),
            KeyRange::Before(kind @ KeyKind::PendingMessage, _) => (sql::REMOVE_PENDING_BEFORE, *kind),
            KeyRange::Before(kind, _) => (sql::REMOVE_KEYS_BEFORE, *kind),
            KeyRange::Tokens { .. } => (sql::REMOVE_TOKENS, KeyKind::TrustToken),
        };
        let statement = of_number(text, of).bind(kind.as_str());
        let statement = match range {
            KeyRange::Beginning(_, prefix) => statement.bind(prefix.as_slice()).bind(after(prefix)),
            KeyRange::Before(_, before) => statement.bind(*before),
            KeyRange::Tokens { received, sent } => statement.bind(*received).bind(*sent),
        };
        self.execute(statement.bind(limit)).await
    }
}

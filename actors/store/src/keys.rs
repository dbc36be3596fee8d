//! What linked devices keep: bytes that the caller encrypted, under a kind and a name, of one number.
//!
//! This crate does not know what a session or a prekey is. It knows which kinds there are, that a change is all or
//! nothing with everything else of its group, and the few rules that need the row that is there (see [`KeyChange`]).

mod change;
mod range;

use sqlx::{Row, query, sqlite::SqliteRow};
use wharf_domain::{ClientId, ConnectionKey, hex, words};

use crate::{
    Store, StoreError,
    codec::{self, of_number, scalar_of_number},
    sql,
};

pub use change::KeyChange;
pub use range::KeyRange;

/// The upper end of a range that has none: no name begins with so many bytes of ones.
const END: [u8; 64] = [0xFF; 64];
/// SQLite's word for all rows.
const NO_LIMIT: i64 = -1;

words! {
    /// What is kept. The words are those of the table.
    pub enum KeyKind {
        /// The device itself: one row without a name. It is written before all others and goes before them: keys without it
        /// are what a device that is gone has left.
        Device = "device",
        /// Others' identity keys.
        Identity = "identity",
        /// Sessions with others' devices.
        Session = "session",
        /// One-time prekeys.
        PreKey = "prekey",
        /// Signed prekeys.
        SignedPreKey = "signed_prekey",
        /// Sender keys of groups.
        SenderKey = "sender_key",
        /// Which devices of a group have our sender key.
        SenderKeyDevice = "sender_key_device",
        /// Keys of the app state.
        SyncKey = "sync_key",
        /// Which of them came last: one row without a name.
        LatestSyncKey = "latest_sync_key",
        /// How far a collection of the app state was read.
        SyncVersion = "sync_version",
        /// MACs of the app state's mutations.
        MutationMac = "mutation_mac",
        /// The number behind a hidden id.
        Lid = "lid",
        /// The hidden ids of a number, the latest of which holds; `at` is when it was learnt.
        LidOfNumber = "lid_of_number",
        /// Base keys of sessions for which a message was asked for again; `at` is when.
        BaseKey = "base_key",
        /// The devices of an account.
        DeviceList = "device_list",
        /// What is known of a group; and, under names that begin with a length, the timers of chats.
        Group = "group",
        /// Trusted-contact tokens; `at` is when the token was made, `also` when ours was sent. An empty value: none was
        /// received yet.
        TrustToken = "trust_token",
        /// Messages that were sent, for those who ask for them again; `at` is when.
        SentMessage = "sent_message",
        /// Messages that were decrypted and not committed yet; `also` is since when.
        PendingMessage = "pending_message",
        /// Secrets of messages; `at` is until when (0: for ever), `also` the time of the message.
        MessageSecret = "message_secret",
    }
}

/// One thing that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// What it is.
    pub kind: KeyKind,
    /// Which one of its kind.
    pub name: Vec<u8>,
    /// Encrypted.
    pub value: Vec<u8>,
    /// Unix seconds; see [`KeyKind`].
    pub at: i64,
    /// Unix seconds; see [`KeyKind`].
    pub also: Option<i64>,
}

impl StoredKey {
    /// One without times.
    pub fn new(kind: KeyKind, name: impl Into<Vec<u8>>, value: Vec<u8>) -> Self {
        Self {
            kind,
            name: name.into(),
            value,
            at: 0,
            also: None,
        }
    }
}

impl Store {
    /// What a number keeps under this name.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, as every read.
    pub async fn key(&self, of: &ConnectionKey, kind: KeyKind, name: &[u8]) -> Result<Option<StoredKey>, StoreError> {
        let row = of_number(sql::KEY, of)
            .bind(kind.as_str())
            .bind(name)
            .fetch_optional(self.pool())
            .await;
        self.one(row, |row| stored(kind, row))
    }

    /// Those of these names that are there, in no order.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn keys_named(
        &self,
        of: &ConnectionKey,
        kind: KeyKind,
        names: impl Iterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Vec<StoredKey>, StoreError> {
        let names: Vec<String> = names.map(|name| hex(name.as_ref())).collect();
        let rows = of_number(sql::KEYS_NAMED, of)
            .bind(kind.as_str())
            .bind(serde_json::Value::from(names).to_string())
            .fetch_all(self.pool())
            .await;
        self.all(rows, |row| stored(kind, row))
    }

    /// Those of these names that there is a key of, in no order.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn key_names_among(
        &self,
        of: &ConnectionKey,
        kind: KeyKind,
        names: impl Iterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let names: Vec<String> = names.map(|name| hex(name.as_ref())).collect();
        let names = scalar_of_number(sql::KEY_NAMES_AMONG, of)
            .bind(kind.as_str())
            .bind(serde_json::Value::from(names).to_string())
            .fetch_all(self.pool())
            .await;
        names.map_err(|error| self.error(error))
    }

    /// Everything of a kind whose name begins with `prefix`, by name.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn keys_of(
        &self,
        of: &ConnectionKey,
        kind: KeyKind,
        prefix: &[u8],
    ) -> Result<Vec<StoredKey>, StoreError> {
        self.some_keys_of(of, kind, prefix, NO_LIMIT).await
    }

    /// The same, so many of them at the most.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn some_keys_of(
        &self,
        of: &ConnectionKey,
        kind: KeyKind,
        prefix: &[u8],
        limit: i64,
    ) -> Result<Vec<StoredKey>, StoreError> {
        let rows = of_number(sql::KEYS_BETWEEN, of)
            .bind(kind.as_str())
            .bind(prefix)
            .bind(after(prefix))
            .bind(limit)
            .fetch_all(self.pool())
            .await;
        self.all(rows, |row| stored(kind, row))
    }

    /// The names of a kind that end as one of these.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn key_names_ending(
        &self,
        of: &ConnectionKey,
        kind: KeyKind,
        ends: impl Iterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let ends: Vec<String> = ends.map(|end| hex(end.as_ref())).collect();
        let names = scalar_of_number(sql::KEY_NAMES_ENDING, of)
            .bind(kind.as_str())
            .bind(serde_json::Value::from(ends).to_string())
            .fetch_all(self.pool())
            .await;
        names.map_err(|error| self.error(error))
    }

    /// Whether there is anything of a kind whose name begins with `prefix`.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn has_keys(&self, of: &ConnectionKey, kind: KeyKind, prefix: &[u8]) -> Result<bool, StoreError> {
        let found = scalar_of_number(sql::HAS_KEYS, of)
            .bind(kind.as_str())
            .bind(prefix)
            .bind(after(prefix))
            .fetch_one(self.pool())
            .await;
        found.map_err(|error| self.error(error))
    }

    /// The last name of a kind, in the order of bytes.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn last_key_name(&self, of: &ConnectionKey, kind: KeyKind) -> Result<Option<Vec<u8>>, StoreError> {
        let name = scalar_of_number(sql::LAST_KEY_NAME, of)
            .bind(kind.as_str())
            .fetch_optional(self.pool())
            .await;
        name.map_err(|error| self.error(error))
    }

    /// Whether [`KeyRange::Before`] would find anything: it is asked for every few minutes of every number, and
    /// asking costs no commit.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn has_keys_before(&self, of: &ConnectionKey, kind: KeyKind, before: i64) -> Result<bool, StoreError> {
        let statement = match kind {
            KeyKind::PendingMessage => sql::HAS_PENDING_BEFORE,
            _ => sql::HAS_KEYS_BEFORE,
        };
        let found = scalar_of_number(statement, of)
            .bind(kind.as_str())
            .bind(before)
            .fetch_one(self.pool())
            .await;
        found.map_err(|error| self.error(error))
    }

    /// Whether a device that is gone left keys of this number.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn has_left_keys(&self, of: &ConnectionKey) -> Result<bool, StoreError> {
        let left = scalar_of_number(sql::HAS_LEFT_KEYS, of).fetch_one(self.pool()).await;
        left.map_err(|error| self.error(error))
    }

    /// The numbers that a device which is gone left keys of.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn numbers_with_left_keys(&self) -> Result<Vec<ConnectionKey>, StoreError> {
        self.all(query(sql::NUMBERS_WITH_LEFT_KEYS).fetch_all(self.pool()).await, owner)
    }

    /// Any key of any device, to try the encryption's key on; `None` when there is none.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn any_key(&self) -> Result<Option<(ConnectionKey, StoredKey)>, StoreError> {
        let row = query(sql::ANY_KEY).fetch_optional(self.pool()).await;
        self.one(row, |row| {
            let kind = codec::word("kind", row.try_get("kind")?, KeyKind::from_word)?;
            Ok((owner(row)?, stored(kind, row)?))
        })
    }
}

/// Whose a row is.
fn owner(row: &SqliteRow) -> Result<ConnectionKey, sqlx::Error> {
    Ok(ConnectionKey::new(
        ClientId(row.try_get("client_id")?),
        codec::number(row, "phone_number")?,
    ))
}

/// A row that begins with `name, value, at, also`.
fn stored(kind: KeyKind, row: &SqliteRow) -> Result<StoredKey, sqlx::Error> {
    Ok(StoredKey {
        kind,
        name: row.try_get(0)?,
        value: row.try_get(1)?,
        at: row.try_get(2)?,
        also: row.try_get(3)?,
    })
}

/// The first name, in the order of bytes, that does not begin with `prefix` any more.
fn after(prefix: &[u8]) -> Vec<u8> {
    let Some(last) = prefix.iter().rposition(|&byte| byte != 0xFF) else {
        return END.to_vec();
    };
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_prefix_ends_before_the_next() {
        assert_eq!(after(b"55@"), b"55A");
        assert_eq!(after(&[1, 0xFF, 0xFF]), [2]);
        assert_eq!(after(b""), END);
        assert_eq!(after(&[0xFF]), END);
    }
}

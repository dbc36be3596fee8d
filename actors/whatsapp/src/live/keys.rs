//! What a device keeps, as whatsapp-rust asks for it, over our own store.
//!
//! Its `Backend` is five traits; each is a file here, and all of them come down to rows of a kind and a name
//! ([`KeyKind`]) whose values are encrypted on the way in and out.
//!
//! # What holds, and because of what
//!
//! - **An outgoing key never reaches the wire twice.** whatsapp-rust keeps sessions in memory and leases the counters of
//!   a sending chain in batches: a message that needs a new lease waits until `put_sessions_batch` (or
//!   `put_sender_keys_batch`, for groups) has returned, and is not sent when that fails. Here that call returns after the
//!   commit is on the disk. A crash leaves the lease; a client that reads a session which it did not write itself goes on
//!   behind the lease's end. So what matters is that a session is never put back to an older one: changes of a number are
//!   committed in the order in which they were asked for (`KeyKeeper::commit`), there is one client for each number at a
//!   time (`LiveFactory::open`), and a call that is given up either is committed before the next one or not at all.
//! - **A refused commit leaves memory and disk as they were.** A batch is one change, all or nothing. whatsapp-rust keeps
//!   what it could not write as dirty and writes it again with the next flush.
//! - **A consumed prekey goes after its session is durable.** whatsapp-rust asks for the removal only after
//!   `put_sessions_batch` has returned, under the same lock; `remove_prekey` is a later change, so it is in a later commit.
//! - **A store that cannot be read costs no message.** What a message is decrypted with is read until it is there ([`insisted`]).
//! - **A message that was decrypted is not lost.** It is committed by `store_pending_inbound_batch` before our inbox is
//!   asked to commit it and before the ratchet that moved is written ([`copies`]), and it is there for a redelivery until the
//!   inbox has it.
//!
//! The removal of such a message is not worth a commit of its own: it rides on the number's next change, which the
//! flushed session is, 25 ms later. Until then [`DeviceKeys`] remembers that it is gone. After a crash in between it is
//! found by a redelivery, offered to the inbox again, and known there; what nobody asks for goes after a week.
//!
//! So does the removal of a consumed prekey: a backlog of fifty people who write for the first time would have its link stand
//! still for fifty commits. Until its commit nobody is given it, and one that no change takes along goes when the link ends. A
//! crash leaves it, as one between the two commits does.

mod app_sync;
mod copies;
mod device;
mod given;
mod insisted;
mod protocol;
mod signal;
#[cfg(test)]
mod tests;
mod timers;

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use wharf_domain::ConnectionKey;
use wharf_store::{KeyChange, KeyKind, KeyRange, StoredKey};
use whatsapp_rust::{
    serde::{Serialize, de::DeserializeOwned},
    serde_json,
    store::error::{Result, StoreError},
};

use self::copies::Copies;
use super::reporter::Reporter;
use crate::{KeyCipher, KeyStore, KeysError};

/// Removals that may wait for another change of their number, of committed messages and of consumed prekeys.
const WAITING_REMOVALS: usize = 64;
/// Rows of one commit where there may be thousands, as an account's history brings them: others wait for the writer.
const PIECE: usize = 256;

/// What the device of one number keeps, for one link.
pub(crate) struct DeviceKeys {
    of: ConnectionKey,
    keys: KeyStore,
    cipher: Arc<dyn KeyCipher>,
    link: Arc<Reporter>,
    /// How long the store may refuse what a message needs.
    patience: Duration,
    /// Names of messages that were committed and whose rows are still there.
    committed: Mutex<HashSet<Vec<u8>>>,
    /// Prekeys that were consumed and whose rows are still there.
    consumed: Mutex<HashSet<u32>>,
    copies: Copies,
}

impl DeviceKeys {
    /// Those of a link's number. The link ends when for as long as `patience` a message cannot be kept, or what it is decrypted with
    /// cannot be read.
    ///
    /// # Errors
    /// `KeysError` when there is no cipher.
    pub(crate) fn new(
        keys: &KeyStore,
        link: Arc<Reporter>,
        patience: Duration,
    ) -> std::result::Result<Self, KeysError> {
        let of = link.key().clone();
        Ok(Self {
            cipher: keys.keeper.cipher(&of)?,
            of,
            keys: keys.clone(),
            committed: Mutex::default(),
            consumed: Mutex::default(),
            copies: Copies::new(Arc::clone(&link), patience),
            link,
            patience,
        })
    }

    /// Has consumed prekeys removed that no change has taken along.
    pub(crate) async fn settle(&self) -> Result<()> {
        if self.consumed.lock().is_empty() {
            return Ok(());
        }
        self.commit(Vec::new()).await
    }

    /// Commits changes in pieces, for those that need not come all at once.
    async fn commit_in_pieces<T>(&self, of: &[T], change: impl Fn(&T) -> Result<KeyChange>) -> Result<()> {
        for piece in of.chunks(PIECE) {
            let changes = piece.iter().map(&change).collect::<Result<Vec<_>>>()?;
            self.commit(changes).await?;
        }
        Ok(())
    }

    /// Commits changes, if there are any: all or nothing, in one commit.
    async fn commit_some(&self, changes: impl Iterator<Item = Result<KeyChange>>) -> Result<()> {
        let changes = changes.collect::<Result<Vec<_>>>()?;
        if changes.is_empty() {
            return Ok(());
        }
        self.commit(changes).await
    }

    /// Commits changes, and with them the removals that wait. Ratchets wait for the copies of messages.
    async fn commit(&self, changes: Vec<KeyChange>) -> Result<()> {
        if changes.iter().any(is_ratchet) {
            self.copies.settled().await;
        }
        self.ask(changes).await.map_err(refused)
    }

    async fn ask(&self, mut changes: Vec<KeyChange>) -> std::result::Result<(), KeysError> {
        self.check_kept()?;
        // Removals that are lost with a refused commit leave rows that do no harm; see the module.
        let waiting = std::mem::take(&mut *self.committed.lock());
        let messages = waiting
            .into_iter()
            .map(|name| KeyChange::Remove(KeyKind::PendingMessage, name));
        // Nobody would ask for these again: they wait until their removal is committed.
        let consumed = self.consumed.lock().clone();
        let prekeys = consumed
            .iter()
            .map(|id| KeyChange::Remove(KeyKind::PreKey, number(*id).to_vec()));
        // Before the changes, one of which may put such a message anew.
        changes.splice(0..0, messages.chain(prekeys));
        self.keys.keeper.commit(&self.of, changes).await?;
        self.consumed.lock().retain(|id| !consumed.contains(id));
        Ok(())
    }

    /// Commits copies of messages that were decrypted.
    async fn keep(&self, copies: Vec<KeyChange>) -> Result<()> {
        let kept = self.copies.write(|| self.ask(copies.clone())).await;
        kept.map_err(refused)
    }

    fn sealed(&self, kind: KeyKind, name: impl Into<Vec<u8>>, value: &[u8]) -> Result<StoredKey> {
        let name = name.into();
        let value = self.cipher.seal(kind, &name, value).map_err(refused)?;
        Ok(StoredKey::new(kind, name, value))
    }

    async fn put(&self, kind: KeyKind, name: impl Into<Vec<u8>>, value: &[u8]) -> Result<()> {
        let key = self.sealed(kind, name, value)?;
        self.commit(vec![KeyChange::Put(key)]).await
    }

    async fn remove(&self, kind: KeyKind, name: impl Into<Vec<u8>>) -> Result<()> {
        let change = KeyChange::Remove(kind, name.into());
        self.commit(vec![change]).await
    }

    /// Forgets what is older than `before`. That is asked for every half minute, mostly for nothing.
    async fn remove_before(&self, kind: KeyKind, before: i64) -> Result<u32> {
        let old = self.keys.store.has_keys_before(&self.of, kind, before).await;
        if !old.map_err(unreadable)? {
            return Ok(0);
        }
        self.remove_all(KeyRange::Before(kind, before)).await
    }

    /// Forgets keys that may be many. No change of keys has to come before or after: what is forgotten like this is asked for
    /// anew where it is missing.
    async fn remove_all(&self, range: KeyRange) -> Result<u32> {
        self.check_kept().map_err(refused)?;
        let removed = self.keys.keeper.remove(&self.of, range).await.map_err(refused)?;
        Ok(u32::try_from(removed).unwrap_or(u32::MAX))
    }

    fn check_kept(&self) -> std::result::Result<(), KeysError> {
        if self.copies.are_given_up() {
            let why = "a message could not be kept, so nothing more of its link is";
            return Err(KeysError::Unavailable(why.to_owned()));
        }
        Ok(())
    }

    fn opened(&self, key: &StoredKey) -> Result<Vec<u8>> {
        self.cipher.open(key.kind, &key.name, &key.value).map_err(refused)
    }

    async fn row(&self, kind: KeyKind, name: &[u8]) -> Result<Option<StoredKey>> {
        self.keys.store.key(&self.of, kind, name).await.map_err(unreadable)
    }

    async fn rows(&self, kind: KeyKind, prefix: &[u8]) -> Result<Vec<StoredKey>> {
        self.keys
            .store
            .keys_of(&self.of, kind, prefix)
            .await
            .map_err(unreadable)
    }

    async fn get(&self, kind: KeyKind, name: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let row = self.row(kind, name.as_ref()).await?;
        row.map(|row| self.opened(&row)).transpose()
    }

    async fn put_json<T: Serialize + Sync>(&self, kind: KeyKind, name: impl Into<Vec<u8>>, value: &T) -> Result<()> {
        self.put(kind, name, &json(value)?).await
    }

    async fn get_json<T: DeserializeOwned>(&self, kind: KeyKind, name: impl AsRef<[u8]>) -> Result<Option<T>> {
        let value = self.get(kind, name).await?;
        value.as_deref().map(from_json).transpose()
    }
}

/// Whether a change moves what messages are decrypted with.
fn is_ratchet(change: &KeyChange) -> bool {
    matches!(change, KeyChange::Put(key) if matches!(key.kind, KeyKind::Session | KeyKind::SenderKey))
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| StoreError::Serialization(Box::new(error)))
}

fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| StoreError::Serialization(Box::new(error)))
}

fn refused(error: KeysError) -> StoreError {
    StoreError::Database(Box::new(error))
}

fn unreadable(error: wharf_store::StoreError) -> StoreError {
    StoreError::Database(Box::new(error))
}

/// What was wrong, without the library's words around it.
pub(super) fn reason(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

/// One name of several parts. Each but the last is preceded by its length, so that no two lists of parts give the same
/// name whatever is in them, and a name begins with the name of its first parts.
fn name_of(parts: &[&str], last: &str) -> Vec<u8> {
    let mut name = prefix_of(parts);
    name.extend_from_slice(last.as_bytes());
    name
}

/// What names of these parts and one more begin with.
fn prefix_of(parts: &[&str]) -> Vec<u8> {
    let mut prefix = Vec::new();
    for part in parts {
        // WhatsApp's addresses and ids have some dozens of bytes; one of 4 GiB does not arrive.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        prefix.extend_from_slice(&length.to_be_bytes());
        prefix.extend_from_slice(part.as_bytes());
    }
    prefix
}

/// A number as a name: names are in the order of the numbers.
fn number(id: u32) -> [u8; 4] {
    id.to_be_bytes()
}

/// The number that a name was made of.
fn number_of(name: &[u8]) -> Result<u32> {
    let bytes = name.try_into().map_err(|_| bad("a key's number"))?;
    Ok(u32::from_be_bytes(bytes))
}

fn text_of(name: &[u8]) -> Result<String> {
    String::from_utf8(name.to_vec()).map_err(|_| bad("a key's name"))
}

fn bad(what: &str) -> StoreError {
    StoreError::Validation(format!("{what} does not read as one of ours"))
}

//! Where the keys of linked devices are kept: the store reads them, and somebody above this crate encrypts and commits.
//!
//! Whoever commits puts the changes of keys into the same transactions as everything else; whoever encrypts has the
//! secret. Both are the actors' (`wharf-actors`), so they come in as [`KeyKeeper`].

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use wharf_domain::ConnectionKey;
use wharf_store::{KeyChange, KeyKind, KeyRange, Store};

/// Why keys were not read, encrypted or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeysError {
    /// The store takes no writes or cannot be read at present; worth trying again. Nothing was written as far as is known.
    #[error("{0}")]
    Unavailable(String),
    /// The store refused this change for what it is: the connection was deleted, say.
    #[error("{0}")]
    Rejected(String),
    /// The store cannot read what is there; trying again does not help.
    #[error("{0}")]
    Damaged(String),
    /// A value does not open: it was changed by hand, or belongs to another number or name.
    #[error("a {kind} of {number} cannot be decrypted", kind = .0.as_str(), number = .1.phone_number)]
    Sealed(KeyKind, ConnectionKey),
    /// The system gives no random bytes, or the cipher refused its input.
    #[error("a key could not be encrypted")]
    Cipher,
}

/// Encrypts what one number keeps. What was sealed under one kind and name opens under no other.
pub trait KeyCipher: Send + Sync + 'static {
    /// Encrypts a value.
    ///
    /// # Errors
    /// `Cipher`.
    fn seal(&self, kind: KeyKind, name: &[u8], value: &[u8]) -> Result<Vec<u8>, KeysError>;

    /// Decrypts what [`KeyCipher::seal`] made of a value under the same kind and name.
    ///
    /// # Errors
    /// `Sealed`.
    fn open(&self, kind: KeyKind, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeysError>;
}

/// Encrypts and commits.
#[async_trait]
pub trait KeyKeeper: Send + Sync + 'static {
    /// What encrypts for a number.
    ///
    /// # Errors
    /// `Cipher`.
    fn cipher(&self, of: &ConnectionKey) -> Result<Arc<dyn KeyCipher>, KeysError>;

    /// Commits changes, all or nothing, and answers when they are on the disk and every later read sees them. Two changes
    /// of one caller who waits for the first are committed in that order, also when he stopped waiting: a call that is
    /// cancelled, or answered `Unavailable` after a long time, may still be committed, but never after a later one.
    ///
    /// # Errors
    /// `Unavailable`, `Rejected` or `Damaged`.
    async fn commit(&self, of: &ConnectionKey, changes: Vec<KeyChange>) -> Result<(), KeysError>;

    /// Removes keys, in as many commits as it takes: of a call that is cancelled or refused some may be gone, and so may be what is
    /// put among them meanwhile. Answers how many went.
    ///
    /// # Errors
    /// As [`KeyKeeper::commit`]; what was removed stays removed.
    async fn remove(&self, of: &ConnectionKey, range: KeyRange) -> Result<u64, KeysError>;

    /// Removes what a device that is gone has left, in as many commits as it takes; nothing if the number has a device.
    ///
    /// # Errors
    /// As [`KeyKeeper::commit`]; what was removed stays removed.
    async fn remove_left(&self, of: &ConnectionKey) -> Result<(), KeysError>;
}

/// Everything that a link needs to keep its keys.
#[derive(Clone)]
pub struct KeyStore {
    /// What keys are read from.
    pub store: Store,
    /// Encrypts and writes.
    pub keeper: Arc<dyn KeyKeeper>,
}

//! What can go wrong between Wharf and its database.

use thiserror::Error;

/// Why the store did not do what it was asked. Every text names the database and what a person can do about it.
///
/// The classes follow from what the caller does next: wait and try again ([`StoreError::is_transient`]), refuse this
/// one caller ([`StoreError::Rejected`]), or stop and ask for a person (the rest).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The database cannot be read or written now: the disk is full or read-only, the file is locked, I/O failed.
    /// The same call may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The database refused this write (a constraint, a value it cannot hold). Others may go on.
    #[error("{0}")]
    Rejected(String),
    /// The file is no database of Wharf's, or is damaged.
    #[error("{0}")]
    Corrupt(String),
    /// A row does not read as one of Wharf's: somebody changed it by hand. Others may do.
    #[error("{0}")]
    Unreadable(String),
    /// A newer Wharf has written this database. Nothing was changed.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}: \
         start a newer wharf, or restore the backup from before the upgrade"
    )]
    NewerSchema {
        /// The database's version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// Another `wharf serve` runs on this database.
    #[error("{0}")]
    Locked(String),
    /// The database is a copy of another one, and nobody has made it harmless. Nothing was changed.
    #[error("{0}")]
    Copied(String),
    /// `store.url` cannot be understood.
    #[error("{0}")]
    Url(String),
}

impl StoreError {
    /// Whether the same call may succeed later, without anything changed in it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

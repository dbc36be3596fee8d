//! Wharf's tables: the only crate that knows sqlx.
//!
//! [`Store`] reads, [`Writer`] writes. A [`Group`] is one transaction into which the persistence actor puts everything
//! that gathered while the one before was committed. No clock and no randomness: times and ids come in.
//!
//! Deliberately absent: a repository trait per table, a second writer, a cache. One text of SQL serves SQLite and
//! PostgreSQL where both understand it (`sql.rs`); where not, it stands under `queries/`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod alone;
mod attempts;
mod awaited;
mod backup;
mod beside;
mod bulk;
mod census;
mod checkpoint;
mod clients;
mod codec;
mod connections;
mod courtesy;
mod due;
mod error;
mod events;
mod held;
mod idempotency;
mod inbound;
mod integrity;
mod keys;
mod lines;
mod media;
mod open;
mod outcomes;
mod outgoing;
mod page;
mod place;
mod polls;
pub mod private;
mod probe;
mod pull;
mod recovery;
mod renewals;
mod restored;
mod retention;
mod secrets;
mod sql;
mod store;
mod types;
mod unfinished;
mod walk;
mod webhooks;
mod writer;

pub use awaited::{AwaitedId, AwaitedMessage};
pub use backup::{back_up, take_for_unused};
pub use connections::WrittenAs;
pub use error::StoreError;
pub use held::{Behind, HELD_BEHIND_ONE};
pub use idempotency::KEY_LIFETIME;
pub use keys::{KeyChange, KeyKind, KeyRange, StoredKey};
pub use media::{DueMedia, ExpiredMedia, MediaMessage, MediaOutcome, MediaRow, MediaState};
pub use open::refuse_foreign_log;
pub use outgoing::{NewOutgoing, Note, OutgoingFile, OutgoingFilter, OutgoingPage, QueuedMessage};
pub use place::{database_file, is_read_only, read_url};
pub use polls::POLL_LIFETIME;
pub use restored::Restored;
#[doc(hidden)]
pub use sql::statements;
pub use store::{ClientsCounted, Store};
pub use types::{
    BulkRenewal, ByNumber, ChatFilter, ConnectionRecord, ConnectionSettings, Cursor, DeletedWebhook, EventFilter,
    EventPage, FailedEvents, FailedFilter, KeyClaim, NewEvent, PullCursor, PullPage, PullQuery, Pulled, RecordedEvent,
    Renewal, SealedProxy, SealedSecret, Space, StoreOptions,
};
pub use wharf_domain::delivery::{DueChat, DuePage, DueQuery, DueScope};
pub use writer::{Group, Writer};

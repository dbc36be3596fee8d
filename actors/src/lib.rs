//! Wharf's supervision tree.
//!
//! ```text
//! gateway (root)
//! ├── persistence       the only writer
//! ├── tenants
//! │   └── tenant        one per client
//! │       ├── session   one per WhatsApp number, on its client's Arbiter
//! │       └── delivery  one per webhook
//! ├── media             downloads of files that messages came with
//! └── janitor           periodic work
//! ```
//!
//! The outside sees [`Gateway`] and nothing of the tree.

mod allowance;
mod backlog;
mod bulkhead;
pub mod clock;
mod deletions;
mod delivery;
mod directory;
pub mod file_size;
mod gateway;
mod health;
mod janitor;
mod keyring;
mod media;
mod metrics;
pub mod open_files;
mod pace;
mod pacer;
mod persistence;
mod places;
mod post;
mod preview;
mod reads;
mod root;
mod session;
mod shared;
mod slots;
mod supervision;
mod tally;
mod task;
mod tenant;
mod tenants;
mod vault;
mod wanted;
mod web;

#[cfg(test)]
mod tests;

pub use bulkhead::BulkheadError;
pub use gateway::{
    BulkRetry, ConnectionPatch, Deletion, Gateway, GatewayError, IdempotencyKey, MadeLinkPage, MediaFile, NewContent,
    NewFile, NewLinkPage, NewMedia, NewMessage, NewPicture, NewWebhook, NoMedia, Qr, SentMessage, Shown, ShownPairCode,
    StartError, Tested, WebhookWithSecret,
};
pub use media::{
    MediaSettings,
    outbound::{ReceivedFile, Receiving},
    owner::OwnerError,
};
pub use metrics::{Commits, METRICS_TYPE};
pub use post::{PosterError, tls::check_roots};
pub use shared::{Limits, Settings};
pub use slots::{Permit, Slots};
pub use tally::{Tally, Ticket};
pub use vault::{SecretsKey, VaultError};
pub use web::Web;

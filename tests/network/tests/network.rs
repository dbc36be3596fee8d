//! The network against the real client: pairing, login, messages both ways, receipts, faults, unlinking, admin routes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper fails the test"
)]

#[path = "network/acts.rs"]
mod acts;
#[path = "network/admin.rs"]
mod admin;
#[path = "network/communities.rs"]
mod communities;
#[path = "network/companion.rs"]
mod companion;
#[path = "network/faults.rs"]
mod faults;
#[path = "network/groups.rs"]
mod groups;
#[path = "network/kinds.rs"]
mod kinds;
#[path = "network/links.rs"]
mod links;
#[path = "network/media.rs"]
mod media;
#[path = "network/messages.rs"]
mod messages;
#[path = "network/people.rs"]
mod people;
#[path = "network/phones.rs"]
mod phones;
#[path = "network/settings.rs"]
mod settings;

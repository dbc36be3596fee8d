//! The live link against the test network: real sockets, real Noise, real Signal.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper fails the test"
)]

mod endings;
mod files;
mod groups;
mod happenings;
mod ids;
mod inbox;
mod keeper;
mod keys;
mod linking;
mod members;
mod people;
mod presence;
mod support;
mod tasks;
mod texting;
mod timers;
mod undecryptable;

/// What `keeper` is written against.
mod api {
    pub(crate) use wharf_whatsapp::{KeyCipher, KeyKeeper, KeyStore, KeysError};
}

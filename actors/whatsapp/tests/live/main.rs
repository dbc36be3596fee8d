//! The live link against the test network: real sockets, real Noise, real Signal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod endings;
mod happenings;
mod inbox;
mod keeper;
mod keys;
mod linking;
mod support;
mod tasks;
mod texting;
mod undecryptable;

/// What `keeper` is written against.
mod api {
    pub(crate) use wharf_whatsapp::{KeyCipher, KeyKeeper, KeyStore, KeysError};
}

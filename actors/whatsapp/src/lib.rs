//! Wharf's link to WhatsApp, and the only crate that knows whatsapp-rust.
//!
//! [`link`] says what a session actor needs; [`live`] gives it over whatsapp-rust, [`scripted`] by hand for tests and
//! load. [`keys`] says what a live link needs to keep its device's keys. Nothing of whatsapp-rust shows in a public signature, so that its next version stays this crate's business.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod keys;
pub mod link;
pub mod live;
pub mod media;
pub mod scripted;

pub use keys::{KeyCipher, KeyKeeper, KeyStore, KeysError};
pub use link::{
    CloseReason, Inbox, Incoming, Link, LinkError, LinkEvent, LinkEvents, LinkFactory, LinkOptions, LostFile,
    MediaHosts, NotCommitted, PairCode, PairCodeError, ReuploadError, SendError, Sent, Told,
};
pub use live::{Http, HttpRequest, HttpResponse, LiveConfig, LiveFactory, Resolver, report_of};
pub use scripted::{Counters, OpenScript, ScriptedFactory, ScriptedHandle, SendScript, SentMessage};

//! What Wharf's tests share: a webhook receiver that behaves as told, over real sockets ([`Receiver`],
//! [`Http2Receiver`]); certificates for it ([`Identity`]); waiting on conditions instead of sleeping ([`wait_until`]); temporary directories.
//!
//! Everything here panics with a sentence when it cannot do its work: it runs in tests and in the demo only.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod alone;
mod hostile;
mod http2;
mod identity;
mod port;
pub mod proxy;
mod receiver;
mod reply;
mod wait;

pub use alone::{begin_measuring, process_kib, run_alone};
pub use hostile::{HostileReceiver, Hostility};
pub use http2::Http2Receiver;
pub use identity::Identity;
pub use port::{ClosedPort, free_port};
pub use receiver::{Receiver, Recorded};
pub use reply::Reply;
pub use wait::{Verdict, wait_until};

/// An empty directory that is removed when the value is dropped.
pub fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("wharf-")
        .tempdir()
        .expect("a temporary directory")
}

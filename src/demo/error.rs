//! Why the demo ended early.

use std::io;

use thiserror::Error;
use wharf_testnet::NetworkError;

use crate::serve::ServeError;

/// Why the demo did not run, or did not run to its end.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The directory for database and keys.
    #[error("no temporary directory: {0}")]
    Directory(io::Error),
    /// The test network.
    #[error("the test network: {0}")]
    Network(#[from] NetworkError),
    /// The webhook receiver.
    #[error("the receiver cannot listen on 127.0.0.1: {0}")]
    Receiver(io::Error),
    /// The gateway did not start.
    #[error(transparent)]
    Gateway(#[from] ServeError),
    /// A new database has a first client; this one had none.
    #[error("the gateway's new database has no first client")]
    NoToken,
    /// The API did not answer, or not in JSON.
    #[error("{0}: {1}")]
    Http(String, reqwest::Error),
    /// The API answered something else than was asked for.
    #[error("{request}: the gateway answered {status}: {body}")]
    Answer {
        /// What was asked.
        request: String,
        /// The status code.
        status: u16,
        /// The whole body.
        body: String,
    },
    /// Something did not happen in time.
    #[error("waited {0} s for {1}")]
    Waited(u64, String),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// Standard output is closed or full.
    #[error("the screen cannot be written: {0}")]
    Screen(#[from] io::Error),
    /// Messages were not delivered.
    #[error("{0} messages were not delivered")]
    Lost(u64),
}

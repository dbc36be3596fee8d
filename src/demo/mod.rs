//! `wharf demo`: a gateway, a test network and a receiver in one process, for a first look without a phone.
//!
//! The seam for whoever writes it: [`crate::serve::prepare`] gives a running gateway with its address and first token
//! in-process, [`crate::serve::Ready::serve`] serves it until a future ends. The subcommand is registered in `cli` when
//! [`run`] does something.

use thiserror::Error;

/// What the demo is asked to do.
#[derive(Debug, Clone, Default)]
pub struct Options {}

/// What the demo did, for the last lines on the screen.
#[derive(Debug, Clone, Default)]
pub struct Summary {}

/// Why the demo did not run.
#[derive(Debug, Error)]
pub enum DemoError {
    /// Nobody has written it.
    #[error("the demo is not written yet")]
    NotWritten,
}

/// Runs the demo.
///
/// # Errors
/// Why it did not run.
pub async fn run(_options: Options) -> Result<Summary, DemoError> {
    Err(DemoError::NotWritten)
}

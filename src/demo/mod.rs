//! `wharf demo`: a gateway, a test network and a receiver in one process, for a first look without a phone.
//!
//! The gateway is the real one, used as anybody would use it: over its REST API, with its token. What the screen says
//! is seen from outside of it: by the phones of the test network, by the receiver, and in the API's answers.
//!
//! ```text
//! stage     the network, the gateway, the receiver; set up and taken down
//! story     links a number, lets contacts write, looks at what became of it
//! track     from what was seen to the steps of each message
//! screen    one line a step
//! ```

mod api;
mod error;
mod interrupts;
mod qr;
mod receiver;
mod screen;
mod script;
mod stage;
mod story;
mod track;

#[cfg(test)]
mod tests;

use std::{fmt, io::Write, time::Duration};

pub use error::DemoError;
pub use interrupts::Interrupts;
pub use screen::{Screen, Terminal};
use stage::Stage;
use story::Story;

use crate::config::Config;

/// What the demo is asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long contacts write; until it is interrupted without.
    pub run_for: Option<Duration>,
    /// Messages per second, at most.
    pub per_second: u32,
    /// Whether another port than the configured one is fine when that one is taken.
    pub any_port: bool,
}

/// What became of the messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Written by contacts.
    pub received: u64,
    /// Taken by the receiver, and the API says so.
    pub delivered: u64,
    /// Of these, with more than one attempt.
    pub retried: u64,
    /// Not delivered at the end.
    pub lost: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            received,
            delivered,
            retried,
            lost,
        } = self;
        write!(
            f,
            "received {received}, delivered {delivered}, retried {retried}, lost {lost}"
        )
    }
}

/// Runs the demo to its summary, which is also the last line on the screen.
///
/// # Errors
/// Why it could not be shown. Lost messages are in the summary and are no error here.
pub async fn run<W: Write>(
    config: Config,
    options: &Options,
    screen: &mut Screen<W>,
    interrupts: &mut Interrupts,
) -> Result<Summary, DemoError> {
    let mut stage = Box::pin(Stage::set(config, options.any_port)).await?;
    let told = Story::new(&mut stage, screen).tell(options, interrupts).await;
    stage.strike().await;
    let summary = told?;
    screen.line(&summary.to_string())?;
    Ok(summary)
}

//! The log: lines on standard error. What the whatsapp crates say through the `log` facade comes out the same way:
//! `init` of tracing-subscriber installs the bridge.

use std::io::{IsTerminal, stderr};

use thiserror::Error;
use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// The log could not be set up.
#[derive(Debug, Error)]
#[error("the log could not be set up: {0}")]
pub struct TelemetryError(String);

/// Sets the log up, once per process.
///
/// # Errors
/// The filter cannot be parsed, or a log exists already.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder()
        .parse(&log.filter)
        .map_err(|error| TelemetryError(error.to_string()))?;
    let lines = fmt().with_env_filter(filter).with_writer(stderr);
    let done = match log.format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    done.map_err(|error| TelemetryError(error.to_string()))
}

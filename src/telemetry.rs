//! The log: lines on standard error. What the whatsapp crates say through the `log` facade comes out the same way:
//! `init` of tracing-subscriber installs the bridge.

mod bounded;

use std::{
    io::{IsTerminal, stderr},
    sync::OnceLock,
};

use thiserror::Error;
use tracing_subscriber::{
    EnvFilter,
    filter::{Directive, ParseError},
    fmt,
    util::SubscriberInitExt,
};

use self::bounded::Bounded;
use crate::config::{Log, LogFormat};

/// The log could not be set up.
#[derive(Debug, Error)]
#[error("the log could not be set up: {0}")]
pub struct TelemetryError(String);

/// What the log of this process is written as, once there is one.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Whether who reads standard error reads JSON, which a line that is none would break.
pub(crate) fn speaks_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json) && tracing::enabled!(tracing::Level::ERROR)
}

/// Sets the log up, once per process.
///
/// # Errors
/// The filter cannot be parsed, or a log exists already.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let lines = fmt()
        .with_env_filter(filter(log)?)
        .with_writer(Bounded::new(stderr, log.format));
    let done = match log.format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    done.map_err(|error| TelemetryError(error.to_string()))?;
    FORMAT.get_or_init(|| log.format);
    Ok(())
}

/// What is never logged, whatever is asked for. The library warns of a file that it could not fetch by its whole address,
/// which holds what lets the account upload and download; whoever wanted the file says so as well, without it.
const SECRET: &str = "whatsapp_rust::download=off";

fn filter(log: &Log) -> Result<EnvFilter, TelemetryError> {
    let wrong = |error: ParseError| TelemetryError(error.to_string());
    let filter = EnvFilter::builder().parse(&log.filter).map_err(wrong)?;
    Ok(filter.add_directive(SECRET.parse::<Directive>().map_err(wrong)?))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tracing::subscriber::with_default;

    use super::*;
    use crate::config::{Loaded, Sources};

    #[derive(Clone, Default)]
    pub(super) struct Lines(pub(super) Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is said of `told`, with this filter.
    fn said(log: &Log, told: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = fmt()
            .with_env_filter(filter(log).unwrap())
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        with_default(log, told);
        let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let said = lines.lines().filter_map(|line| line.rsplit_once(": "));
        said.map(|(_, said)| said.to_owned()).collect()
    }

    fn log() -> Log {
        Loaded::load(&Sources::default()).unwrap().config.log
    }

    #[test]
    fn what_lets_an_account_upload_is_never_logged() {
        for filter in [log().filter, "trace".to_owned(), "whatsapp_rust=debug".to_owned()] {
            let log = Log { filter, ..log() };
            let said = said(&log, || {
                tracing::warn!(target: "whatsapp_rust::download", "Failed to download from URL https://h/a?auth=secret");
                tracing::warn!(target: "whatsapp_rust::client::app_state", "a warning");
            });
            assert_eq!(said, ["a warning"], "{}", log.filter);
        }
    }

    /// The library names most of its targets not by its crates: `Client/PairCode` writes codes and numbers at info.
    #[test]
    fn the_log_holds_others_to_warnings_unless_it_is_asked_for_more() {
        let said = said(&log(), || {
            tracing::info!(target: "Client/PairCode", "waiting for phone confirmation. Code: ABCD1234");
            tracing::info!(target: "Client/Business", "a name");
            tracing::info!(target: "whatsapp_rust::client", "a number");
            tracing::info!(target: "wacore::store", "a number");
            tracing::warn!(target: "Client/Ack", "a warning");
            tracing::info!(target: "wharf::serve", "ours");
            tracing::info!(target: "wharf_actors::tenants", "ours too");
        });
        assert_eq!(said, ["a warning", "ours", "ours too"]);
    }
}

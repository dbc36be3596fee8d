//! The configuration: `config.toml` as built in, under a file, under `WHARF_SECTION__KEY` variables.
//!
//! `layers` merges, `sections` is the one place where values are judged, `reader` turns one value at a time into its type and
//! words the refusals, `paths` looks whether there can be what a path names, `types` is what comes of it.

mod layers;
mod paths;
mod reader;
mod sections;
#[cfg(test)]
mod tests;
mod types;

use std::{fmt, fmt::Write as _};

use thiserror::Error;

pub use layers::Sources;
use reader::Reader;
pub use types::{Config, Http, Log, LogFormat, Store, Whatsapp};

/// Everything that is wrong with a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// One key in effect, for `config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `section.key`
    pub key: &'static str,
    /// The value as TOML.
    pub value: String,
    /// A file, a variable, or `default`.
    pub origin: String,
}

/// A configuration and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every key in the order of config.toml.
    pub settings: Vec<Setting>,
    /// What is accepted and hardly meant, one line each.
    pub doubts: Vec<String>,
}

impl Loaded {
    /// Reads and judges a configuration.
    ///
    /// # Errors
    /// Everything that is wrong, each with the key, the value and what would be accepted.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let (merged, mut wrong) = layers::merge(sources)?;
        let mut reader = Reader::new(merged);
        let config = sections::read(&mut reader);
        let settings = match reader.finish() {
            Ok(settings) if wrong.is_empty() => settings,
            read => {
                wrong.extend(read.err().into_iter().flat_map(|more| more.0));
                return Err(ConfigError(wrong));
            }
        };
        Ok(Self {
            doubts: sections::doubts(&config),
            config,
            settings,
        })
    }
}

/// The configuration in effect as TOML, with where each value came from.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut section = "";
        for setting in &self.settings {
            let (head, key) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if head != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                writeln!(f, "{gap}[{head}]")?;
                section = head;
            }
            let mut line = String::new();
            write!(line, "{key} = {}", setting.value)?;
            writeln!(f, "{line:<44} # {}", setting.origin)?;
        }
        Ok(())
    }
}

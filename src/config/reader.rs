//! Turns merged values into types, one key at a time, and collects the refusals.

use figment::{Figment, value::Value};

use super::{ConfigError, Setting};

/// A value was refused; [`Reader::finish`] says which.
#[derive(Debug)]
pub(super) struct Refused;

pub(super) struct Reader {
    figment: Figment,
    settings: Vec<Setting>,
    errors: Vec<String>,
    /// Whether the key that is being read is a secret.
    hidden: bool,
}

impl Reader {
    pub(super) fn new(figment: Figment) -> Self {
        Self {
            figment,
            settings: Vec::new(),
            errors: Vec::new(),
            hidden: false,
        }
    }

    /// A text that `read` accepts.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        accepted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Refused> {
        self.take(key, accepted, |value| {
            let text = value.as_str()?;
            Some((read(text)?, quoted(text)))
        })
    }

    /// A text that `read` accepts and that nobody is shown, also not in a refusal.
    pub(super) fn secret<T>(
        &mut self,
        key: &'static str,
        accepted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Refused> {
        self.hidden = true;
        let taken = self.take(key, accepted, |value| {
            let text = value.as_str()?;
            Some((read(text)?, hidden(text.is_empty())))
        });
        self.hidden = false;
        taken
    }

    /// A whole number of a range. Variables give it as text.
    pub(super) fn number(&mut self, key: &'static str, least: u32, most: u32) -> Result<u32, Refused> {
        self.take(key, &format!("a whole number from {least} to {most}"), |value| {
            let number = match value {
                Value::String(_, text) => text.parse().ok()?,
                Value::Num(_, _) => u32::try_from(value.to_i128()?).ok()?,
                _ => return None,
            };
            (least..=most).contains(&number).then(|| (number, number.to_string()))
        })
    }

    /// A whole number of a range, as large as need be. Variables give it as text.
    pub(super) fn large(&mut self, key: &'static str, least: u64, most: u64) -> Result<u64, Refused> {
        self.take(key, &format!("a whole number from {least} to {most}"), |value| {
            let number = match value {
                Value::String(_, text) => text.parse().ok()?,
                Value::Num(_, _) => u64::try_from(value.to_i128()?).ok()?,
                _ => return None,
            };
            (least..=most).contains(&number).then(|| (number, number.to_string()))
        })
    }

    /// true or false. Variables give it as text.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<bool, Refused> {
        self.take(key, "true or false", |value| {
            let flag = match value {
                Value::String(_, text) => text.parse().ok()?,
                _ => value.to_bool()?,
            };
            Some((flag, flag.to_string()))
        })
    }

    /// Every key in effect, or everything that was refused.
    pub(super) fn finish(self) -> Result<Vec<Setting>, ConfigError> {
        if self.errors.is_empty() {
            Ok(self.settings)
        } else {
            Err(ConfigError(self.errors))
        }
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        accepted: &str,
        read: impl FnOnce(&Value) -> Option<(T, String)>,
    ) -> Result<T, Refused> {
        let origin = self
            .figment
            .find_metadata(key)
            .map_or_else(String::new, |found| found.name.to_string());
        let refused = match self.figment.find_value(key) {
            Ok(value) => match read(&value) {
                Some((typed, value)) => {
                    self.settings.push(Setting { key, value, origin });
                    return Ok(typed);
                }
                None if self.hidden => hidden(false),
                None => shown(&value),
            },
            // Only a table can hide a key that the base layer has.
            Err(_) => "nothing".to_owned(),
        };
        self.errors
            .push(format!("{origin}: {key} = {refused} is not accepted; give {accepted}"));
        Err(Refused)
    }
}

/// What stands for a secret.
fn hidden(is_empty: bool) -> String {
    if is_empty { "\"\"" } else { "\"(hidden)\"" }.to_owned()
}

/// A value as TOML, as far as a message needs it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(_, text) => quoted(text),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "an array".to_owned(),
        _ => match (value.to_i128(), value.to_f64()) {
            (Some(number), _) => number.to_string(),
            (None, Some(number)) => number.to_string(),
            (None, None) => "something else".to_owned(),
        },
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

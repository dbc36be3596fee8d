//! Turns merged values into types, one key at a time, and collects the refusals. What stands for a value that was refused
//! nobody gets to see: [`Reader::finish`] says what is wrong instead.

use std::{fmt::Display, str::FromStr};

use figment::{Figment, value::Value};

use super::{ConfigError, Setting};

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
    pub(super) fn text<T: Default>(
        &mut self,
        key: &'static str,
        accepted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        self.take(key, accepted, |value| {
            let text = value.as_str()?;
            Some((read(text)?, quoted(text)))
        })
    }

    /// The same, where `read` says what is wrong with it.
    pub(super) fn judged<T: Default>(
        &mut self,
        key: &'static str,
        accepted: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        self.judge(key, accepted, |value| {
            let text = value.as_str().ok_or_else(String::new)?;
            Ok((read(text)?, quoted(text)))
        })
    }

    /// A text that `read` accepts and that nobody is shown, also not in a refusal.
    pub(super) fn secret<T: Default>(
        &mut self,
        key: &'static str,
        accepted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        self.hidden = true;
        let taken = self.take(key, accepted, |value| {
            let text = value.as_str()?;
            Some((read(text)?, hidden(text.is_empty())))
        });
        self.hidden = false;
        taken
    }

    /// A whole number of a range. Variables give it as text.
    pub(super) fn number<N>(&mut self, key: &'static str, least: N, most: N) -> N
    where
        N: Copy + Default + Display + FromStr + PartialOrd + TryFrom<i128>,
    {
        self.take(key, &format!("a whole number from {least} to {most}"), |value| {
            let number = match value {
                Value::String(_, text) => text.parse().ok()?,
                Value::Num(_, _) => N::try_from(value.to_i128()?).ok()?,
                _ => return None,
            };
            (least..=most).contains(&number).then(|| (number, number.to_string()))
        })
    }

    /// true or false. Variables give it as text.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
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

    fn take<T: Default>(
        &mut self,
        key: &'static str,
        accepted: &str,
        read: impl FnOnce(&Value) -> Option<(T, String)>,
    ) -> T {
        self.judge(key, accepted, |value| read(value).ok_or_else(String::new))
    }

    /// The value, or why it is refused, which may be left out where that is plain.
    fn judge<T: Default>(
        &mut self,
        key: &'static str,
        accepted: &str,
        read: impl FnOnce(&Value) -> Result<(T, String), String>,
    ) -> T {
        let origin = self
            .figment
            .find_metadata(key)
            .map_or_else(String::new, |found| found.name.to_string());
        let (refused, why) = match self.figment.find_value(key) {
            Ok(value) => match read(&value) {
                Ok((typed, value)) => {
                    self.settings.push(Setting { key, value, origin });
                    return typed;
                }
                Err(why) if self.hidden => (hidden(false), why),
                Err(why) => (shown(&value), why),
            },
            // Only a table can hide a key that the base layer has.
            Err(_) => ("nothing".to_owned(), String::new()),
        };
        let why = if why.is_empty() { why } else { format!(": {why}") };
        self.errors.push(format!(
            "{origin}: {key} = {refused} is not accepted{why}; give {accepted}"
        ));
        T::default()
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

//! Reads query parameters, as strictly as the fields of a body: an unknown or repeated one is refused by name, because
//! a misspelt filter that is ignored answers a question that nobody asked.

use super::problem::{FieldError, Problem};

/// The parameters of one request that have not been read yet.
pub(super) struct Query {
    rest: Vec<(String, String)>,
    /// Those that were asked for.
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Query {
    /// Parses the text after the `?`. A parameter without a value (`status=`) counts as left out, if it is a known one.
    pub(super) fn parse(text: &str) -> Self {
        let rest: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Self {
            rest,
            known: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Takes a parameter; what is wrong with it is said by [`Query::finish`].
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(name);
        let at = self.rest.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.rest.remove(at);
        if value.is_empty() {
            return None;
        }
        match read(&value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.errors.push(FieldError::new(name, message));
                None
            }
        }
    }

    /// How many rows are wanted at the most.
    pub(super) fn limit(&mut self, most: u32) -> Option<u32> {
        self.optional("limit", |text| match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(format!("must be a whole number from 1 to {most}")),
        })
    }

    /// A parameter that is `true` or `false`.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.optional(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".into()),
        })
    }

    /// Ends the reading.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in self.rest.into_iter().take(20) {
            let shown: String = name.chars().take(100).collect();
            let wrong = match self.known.contains(&name.as_str()) {
                true => "is given twice".to_owned(),
                false => format!("is not a known parameter{}", known_are(&self.known)),
            };
            self.errors.push(FieldError::new(shown, wrong));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }
}

/// What follows the words that a name is not known.
pub(super) fn known_are(names: &[&str]) -> String {
    match names {
        [] => ": none is".to_owned(),
        names => format!("; known here: {}", names.join(", ")),
    }
}

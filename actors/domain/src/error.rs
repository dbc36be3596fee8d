//! The one error of this crate: a value from outside that cannot be accepted.

use thiserror::Error;

/// A field that was refused. `message` completes the sentence "`field` …" and says what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field} {message}")]
pub struct InvalidField {
    /// The field's name as the API writes it.
    pub field: &'static str,
    /// What is wrong and what would be accepted.
    pub message: String,
}

impl InvalidField {
    /// A refusal of `field`.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field,
            message: message.into(),
        }
    }
}

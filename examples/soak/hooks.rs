//! The receiver, from here: what it is told, and what it says has come.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokio::task::block_in_place;

use crate::{book::Book, children::Part, process::Failure};

/// See the module.
pub(crate) struct Hooks {
    part: Mutex<Part>,
    pub(crate) address: String,
}

/// The path of a number's webhook; each one that is registered gets its own.
pub(crate) fn path(line: usize, generation: u32) -> String {
    format!("/{line}/{generation}")
}

impl Hooks {
    pub(crate) fn start() -> Result<Self, Failure> {
        let part = Part::start(&["receiver".to_owned()])?;
        let address = part.first["address"].as_str().ok_or("the receiver did not start")?;
        Ok(Self {
            address: address.to_owned(),
            part: Mutex::new(part),
        })
    }

    fn ask(&self, line: &str) -> Result<Value, Failure> {
        block_in_place(|| self.part.lock().unwrap_or_else(PoisonError::into_inner).ask(line))
    }

    /// A path answers so from now on.
    pub(crate) fn mood(&self, path: &str, mood: &str) -> Result<(), Failure> {
        self.ask(&format!("mood {path} {mood}")).map(drop)
    }

    /// Enters what has come into the books.
    pub(crate) fn take(&self, book: &Book) -> Result<(), Failure> {
        let came = self.ask("take")?;
        for post in came["came"].as_array().into_iter().flatten() {
            let line = post[0].as_str().and_then(|path| path.split('/').nth(1)?.parse().ok());
            if let (Some(line), Some(id)) = (line, post[1].as_str()) {
                book.received(line, id, post[2] == true);
                if let Some(url) = post[3].as_str() {
                    book.file(url);
                }
            }
        }
        Ok(())
    }
}

//! Messages on their way to the inbox.

use wharf_domain::IncomingMessage;
use wharf_store::{AwaitedId, Behind};

use super::Arrival;

/// What a message was read as.
#[derive(Default)]
pub(super) struct Read {
    /// What is told of it.
    pub(super) message: Option<IncomingMessage>,
    /// The message that it is about, if that is waited for.
    pub(super) behind: Option<Behind>,
    /// It was waited for itself.
    pub(super) arrival: Option<Arrival>,
}

/// What is committed together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<IncomingMessage>,
    /// The message that each of them is about, if that is waited for; empty where that cannot be.
    pub(super) behind: Vec<Option<Behind>>,
    pub(super) arrivals: Vec<Arrival>,
}

impl Batch {
    pub(super) fn add(&mut self, read: Read) {
        if let Some(message) = read.message {
            self.messages.push(message);
            self.behind.push(read.behind);
        }
        self.arrivals.extend(read.arrival);
    }

    /// What could not be opened without the message `id`, as it came.
    pub(super) fn sealed_behind(&self, id: &AwaitedId) -> Vec<Vec<u8>> {
        let behind = self.behind.iter().flatten().filter(|behind| behind.id == *id);
        behind.filter_map(|behind| behind.sealed.clone()).collect()
    }
}

/// Messages that are about no others.
impl From<Vec<IncomingMessage>> for Batch {
    fn from(messages: Vec<IncomingMessage>) -> Self {
        Self {
            messages,
            ..Self::default()
        }
    }
}

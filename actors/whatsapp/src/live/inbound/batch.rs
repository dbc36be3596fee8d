//! Messages on their way to the inbox.

use wharf_domain::IncomingMessage;
use wharf_store::{AwaitedId, Behind};

use super::Arrival;
use crate::Incoming;

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

impl Read {
    /// As it came, if it could not be opened without the message `id`.
    pub(super) fn sealed_behind(&self, id: &AwaitedId) -> Option<Vec<u8>> {
        let behind = self.behind.as_ref().filter(|behind| behind.id == *id)?;
        behind.sealed.clone()
    }

    /// What the inbox gets of it, and what is settled when it has that.
    pub(super) fn parted(self) -> (Incoming, Option<Arrival>) {
        let incoming = Incoming {
            message: self.message,
            behind: self.behind,
            came: self.arrival.as_ref().and_then(Arrival::row),
        };
        (incoming, self.arrival)
    }
}

/// One that is about no other.
impl From<IncomingMessage> for Read {
    fn from(message: IncomingMessage) -> Self {
        Self {
            message: Some(message),
            ..Self::default()
        }
    }
}

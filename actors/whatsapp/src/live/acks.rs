//! Who waits for which of the server's acks: the client's send returns before the server has said yes or no.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use wharf_domain::Timestamp;
use whatsapp_rust::wacore::types::events::ServerAck;

/// The server's answer to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ack {
    /// When the server took it, where it says so.
    pub(crate) timestamp: Option<Timestamp>,
    /// WhatsApp's code of a refusal.
    pub(crate) error: Option<String>,
}

impl From<&ServerAck> for Ack {
    fn from(ack: &ServerAck) -> Self {
        Self {
            timestamp: ack.timestamp.map(|at| Timestamp(at.timestamp_millis())),
            error: ack.error.clone(),
        }
    }
}

/// The waiting.
#[derive(Default)]
pub(crate) struct Acks(Mutex<HashMap<String, oneshot::Sender<Ack>>>);

/// A place in the map, given up when dropped.
pub(crate) struct Waiting<'a> {
    acks: &'a Acks,
    id: String,
    answer: oneshot::Receiver<Ack>,
}

impl Acks {
    /// Waits for the ack of `id`; to be called before the message is sent.
    pub(crate) fn expect(&self, id: &str) -> Waiting<'_> {
        let (sender, answer) = oneshot::channel();
        self.0.lock().insert(id.to_owned(), sender);
        Waiting {
            acks: self,
            id: id.to_owned(),
            answer,
        }
    }

    /// An ack arrived. Whether it is a message's that nobody waits for, or not any more: who knows the message learns
    /// something from it.
    pub(crate) fn settle(&self, ack: &ServerAck) -> bool {
        // Receipts and notifications are acked as well, under ids of their own.
        if ack.class.as_deref().is_some_and(|class| class != "message") {
            return false;
        }
        let waiting = self.0.lock().remove(&ack.id);
        waiting.is_none_or(|sender| sender.send(ack.into()).is_err())
    }

    /// No more acks will come.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Waiting<'_> {
    /// The ack; `None` when the link ended without.
    pub(crate) async fn answer(&mut self) -> Option<Ack> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.acks.0.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(id: &str, class: &str, error: Option<&str>) -> ServerAck {
        ServerAck::builder()
            .id(id.into())
            .class(class.into())
            .maybe_error(error.map(Into::into))
            .build()
    }

    #[tokio::test]
    async fn each_ack_reaches_its_message() {
        let acks = Acks::default();
        let (mut one, mut two) = (acks.expect("1"), acks.expect("2"));
        assert!(!acks.settle(&ack("1", "receipt", None)));
        assert!(!acks.settle(&ack("2", "message", Some("463"))));
        assert!(!acks.settle(&ack("1", "message", None)));
        assert!(acks.settle(&ack("3", "message", None)), "nobody waited for it");
        assert_eq!(
            one.answer().await,
            Some(Ack {
                timestamp: None,
                error: None
            })
        );
        assert_eq!(two.answer().await.unwrap().error.as_deref(), Some("463"));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_and_nothing_is_left_behind() {
        let acks = Acks::default();
        let mut waiting = acks.expect("1");
        drop(acks.expect("2"));
        assert_eq!(acks.0.lock().len(), 1);
        assert!(acks.settle(&ack("2", "message", None)), "it comes late");
        acks.clear();
        assert_eq!(waiting.answer().await, None);
    }
}

//! Who waits for which of the server's acks: the client's send returns before the server has said yes or no.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

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

/// Messages remembered whose ack nobody waits for any more; it may come late, or never.
const GIVEN_UP: usize = 256;

/// The waiting.
#[derive(Default)]
pub(crate) struct Acks(Mutex<Expected>);

#[derive(Default)]
struct Expected {
    waiting: HashMap<String, oneshot::Sender<Ack>>,
    given_up: VecDeque<String>,
}

impl Expected {
    fn give_up(&mut self, id: &str) {
        if self.waiting.remove(id).is_none() {
            return;
        }
        if self.given_up.len() >= GIVEN_UP {
            self.given_up.pop_front();
        }
        self.given_up.push_back(id.to_owned());
    }
}

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
        self.expected().waiting.insert(id.to_owned(), sender);
        Waiting {
            acks: self,
            id: id.to_owned(),
            answer,
        }
    }

    /// Whether somebody waits for the ack of `id`, or did until the deadline.
    pub(crate) fn expects(&self, id: &str) -> bool {
        let expected = self.expected();
        expected.waiting.contains_key(id) || expected.given_up.iter().any(|late| late == id)
    }

    /// An ack arrived. Answers one of a message that nobody waits for any more.
    pub(crate) fn settle(&self, ack: &ServerAck) -> Option<Ack> {
        // Receipts and notifications are acked as well, under ids of their own.
        if ack.class.as_deref().is_some_and(|class| class != "message") {
            return None;
        }
        let told = Ack {
            timestamp: ack.timestamp.map(|at| Timestamp(at.timestamp_millis())),
            error: ack.error.clone(),
        };
        let mut expected = self.expected();
        expected.given_up.retain(|late| *late != ack.id);
        match expected.waiting.remove(&ack.id) {
            Some(sender) => sender.send(told).err(),
            None => Some(told),
        }
    }

    /// No more acks will come.
    pub(crate) fn clear(&self) {
        *self.expected() = Expected::default();
    }

    fn expected(&self) -> MutexGuard<'_, Expected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.acks.expected().give_up(&self.id);
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
        assert_eq!(acks.settle(&ack("1", "receipt", None)), None);
        assert_eq!(acks.settle(&ack("2", "message", Some("463"))), None);
        assert_eq!(acks.settle(&ack("1", "message", None)), None);
        let late = acks.settle(&ack("3", "message", None));
        assert!(late.is_some_and(|late| late.error.is_none()), "nobody waited for it");
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
        assert_eq!(acks.expected().waiting.len(), 1);
        acks.clear();
        assert_eq!(waiting.answer().await, None);
        assert!(!acks.expects("1") && !acks.expects("2"));
    }

    #[test]
    fn an_ack_that_comes_after_the_deadline_is_still_that_of_a_message_sent_here() {
        let acks = Acks::default();
        drop(acks.expect("late"));
        assert!(acks.expects("late"));
        assert!(acks.settle(&ack("late", "message", Some("463"))).is_some());
        assert!(!acks.expects("late"), "told once");
        for id in 0..=GIVEN_UP {
            drop(acks.expect(&id.to_string()));
        }
        assert!(!acks.expects("0") && acks.expects("1"), "the oldest are forgotten");
    }
}

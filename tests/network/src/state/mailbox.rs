//! A device's queue: messages and notifications that it has not acknowledged, in order, and how far this connection
//! has been told.
//!
//! No sockets here. Every method returns the stanzas that are now to be sent.

use std::collections::{BTreeMap, HashMap, VecDeque};

use wacore_binary::Node;

/// How many acknowledged messages are kept for the fault that repeats them.
const REMEMBERED: usize = 32;

/// Where the device's connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not logged in, or logged in and still passive.
    Away,
    /// The backlog up to `end` was announced; the client asks for it in batches.
    Backlog { end: u64, told: u32 },
    /// Everything is sent as it comes.
    Live,
}

/// The next part of a backlog.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Batch {
    /// Stanzas of the backlog, marked `offline`.
    pub(crate) offline: Vec<Node>,
    /// Once the backlog is through: how many stanzas it had, and what came in meanwhile.
    pub(crate) end: Option<(u32, Vec<Node>)>,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Mailbox {
    phase: Phase,
    /// The number of the next message.
    next: u64,
    /// The first message that this connection has not been sent.
    cursor: u64,
    waiting: BTreeMap<u64, (String, Node)>,
    /// How many of them are messages.
    messages: usize,
    numbers: HashMap<String, Vec<u64>>,
    acknowledged: VecDeque<Node>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            phase: Phase::Away,
            next: 0,
            cursor: 0,
            waiting: BTreeMap::new(),
            messages: 0,
            numbers: HashMap::new(),
            acknowledged: VecDeque::new(),
        }
    }
}

impl Mailbox {
    /// Messages that wait for an acknowledgement.
    pub(crate) fn unacked(&self) -> usize {
        self.messages
    }

    /// Queues a stanza; returns it if it is to be sent at once.
    pub(crate) fn push(&mut self, id: &str, stanza: Node) -> Option<Node> {
        let number = self.next;
        self.next += 1;
        self.numbers.entry(id.to_owned()).or_default().push(number);
        self.messages += usize::from(is_message(&stanza));
        self.waiting.insert(number, (id.to_owned(), stanza.clone()));
        if self.phase == Phase::Live {
            self.cursor = self.next;
            return Some(stanza);
        }
        None
    }

    /// Whether a message waits of which the device got no content.
    pub(crate) fn has_gap(&self, id: &str) -> bool {
        let numbers = self.numbers.get(id).into_iter().flatten();
        let mut stanzas = numbers.filter_map(|number| self.waiting.get(number));
        stanzas.any(|(_, stanza)| stanza.get_optional_child("unavailable").is_some())
    }

    /// Takes a stanza off the queue; `false` if it was not on it.
    pub(crate) fn acknowledge(&mut self, id: &str) -> bool {
        let Some(numbers) = self.numbers.remove(id) else {
            return false;
        };
        for number in numbers {
            if let Some((_, stanza)) = self.waiting.remove(&number)
                && is_message(&stanza)
            {
                self.messages -= 1;
                self.acknowledged.push_back(stanza);
            }
        }
        while self.acknowledged.len() > REMEMBERED {
            self.acknowledged.pop_front();
        }
        true
    }

    /// The last acknowledged messages, oldest first; nothing unless the device is online.
    pub(crate) fn repeat(&self) -> Vec<Node> {
        match self.phase {
            Phase::Live => self.acknowledged.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The device wants its messages. Returns how many stanzas wait; with none it is live at once.
    pub(crate) fn announce(&mut self) -> usize {
        self.cursor = 0;
        self.phase = match self.waiting.len() {
            0 => Phase::Live,
            _ => Phase::Backlog {
                end: self.next,
                told: 0,
            },
        };
        self.waiting.len()
    }

    /// The device asks for the next `count` messages of the backlog.
    pub(crate) fn batch(&mut self, count: usize) -> Batch {
        let Phase::Backlog { end, mut told } = self.phase else {
            return Batch::default();
        };
        let mut offline = Vec::new();
        for (number, (_, stanza)) in self.waiting.range(self.cursor..end).take(count) {
            offline.push(marked_offline(stanza.clone(), told));
            told += 1;
            self.cursor = number + 1;
        }
        if self.waiting.range(self.cursor..end).next().is_some() {
            self.phase = Phase::Backlog { end, told };
            return Batch { offline, end: None };
        }
        self.phase = Phase::Live;
        let since = self
            .waiting
            .range(end..)
            .map(|(_, (_, stanza))| stanza.clone())
            .collect();
        self.cursor = self.next;
        Batch {
            offline,
            end: Some((told, since)),
        }
    }

    /// The connection ended.
    pub(crate) fn leave(&mut self) {
        self.phase = Phase::Away;
    }
}

fn is_message(stanza: &Node) -> bool {
    stanza.tag == "message"
}

fn marked_offline(mut stanza: Node, place: u32) -> Node {
    stanza.attrs.insert("offline", place);
    stanza
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wacore_binary::builder::NodeBuilder;

    fn stanza(id: &str) -> Node {
        NodeBuilder::new("message").attr("id", id).build()
    }

    fn ids(stanzas: &[Node]) -> Vec<String> {
        stanzas
            .iter()
            .map(|node| node.attrs.get("id").unwrap().as_str().into_owned())
            .collect()
    }

    #[test]
    fn a_backlog_comes_in_batches_and_then_what_arrived_meanwhile() {
        let mut mailbox = Mailbox::default();
        for id in ["a", "b", "c"] {
            assert!(mailbox.push(id, stanza(id)).is_none());
        }
        assert_eq!(mailbox.announce(), 3);
        assert!(mailbox.push("d", stanza("d")).is_none());
        let first = mailbox.batch(2);
        assert_eq!(ids(&first.offline), ["a", "b"]);
        assert_eq!(first.end, None);
        let second = mailbox.batch(2);
        assert_eq!(ids(&second.offline), ["c"]);
        let (told, since) = second.end.unwrap();
        assert_eq!((told, ids(&since)), (3, vec!["d".to_owned()]));
        assert!(mailbox.push("e", stanza("e")).is_some());
        assert_eq!(mailbox.unacked(), 5);
    }

    #[test]
    fn what_is_not_acknowledged_comes_again() {
        let mut mailbox = Mailbox::default();
        assert_eq!(mailbox.announce(), 0);
        mailbox.push("a", stanza("a"));
        mailbox.push("b", stanza("b"));
        assert!(mailbox.acknowledge("a"));
        assert!(!mailbox.acknowledge("a"));
        mailbox.leave();
        assert_eq!(mailbox.announce(), 1);
        assert_eq!(ids(&mailbox.batch(10).offline), ["b"]);
        assert_eq!(ids(&mailbox.repeat()), ["a"]);
    }

    proptest! {
        /// Whatever order of arrivals, connections and batches: each connection that stays to the end is told every
        /// unacknowledged message once and in order.
        #[test]
        fn nothing_is_skipped(before in 0_usize..20, during in 0_usize..20, size in 1_usize..7) {
            let mut mailbox = Mailbox::default();
            let id = |n: usize| format!("{n:03}");
            for n in 0..before {
                mailbox.push(&id(n), stanza(&id(n)));
            }
            let mut told = Vec::new();
            let mut arrived = before;
            let mut open = mailbox.announce() > 0;
            while open || arrived < before + during {
                if open {
                    let batch = mailbox.batch(size);
                    told.extend(ids(&batch.offline));
                    if let Some((_, since)) = batch.end {
                        told.extend(ids(&since));
                        open = false;
                    }
                }
                if arrived < before + during {
                    told.extend(mailbox.push(&id(arrived), stanza(&id(arrived))).iter().flat_map(|n| ids(std::slice::from_ref(n))));
                    arrived += 1;
                }
            }
            prop_assert_eq!(told, (0..before + during).map(id).collect::<Vec<_>>());
        }
    }
}

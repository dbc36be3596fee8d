//! What else happens beside messages, in order: it waits for the messages of its chat that arrived before it.
//!
//! Messages are decrypted and committed in tasks of the client, a receipt is there at once. So each stanza of a message is
//! noted as it arrives, and what is heard later in the same chat, or about the same message, waits until that stanza is
//! committed. Some stanzas never come to the inbox (duplicates, keys, what cannot be decrypted): when nothing has moved for
//! [`STALL`], or one is not there after [`LONGEST`], they are not waited for any longer.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;
use whatsapp_rust::wacore_binary::Jid;

/// How long messages may stand still before those that the inbox does not have are taken for ones that never come to it.
const STALL: Duration = Duration::from_secs(5);
/// How long a stanza may take to the inbox while others of a busy number move.
const LONGEST: Duration = Duration::from_secs(30);
/// Presences that wait; one more, and the oldest is dropped: it is old news.
const PRESENCES: usize = 256;
/// Everything that waits. More than a busy number hears in the time for which a store may refuse.
const WAITING: usize = 10_000;
/// Stanzas that are followed; more of them are a backlog, of which the oldest are committed next anyway.
const UNDER_WAY: usize = 10_000;
/// Handed over at a time.
const BATCH: usize = 256;

/// See the module. Decided on without a clock of its own.
pub(crate) struct Lane<T> {
    places: u64,
    under_way: VecDeque<Stanza>,
    waiting: VecDeque<Waiting<T>>,
    presences: usize,
    /// When a stanza last began or went on.
    moved: Option<Instant>,
    /// Whether a task works on what waits.
    pub(crate) attended: bool,
}

struct Stanza {
    place: u64,
    id: String,
    from: Jid,
    chats: Vec<Jid>,
    arrived: Instant,
    at_inbox: bool,
}

struct Waiting<T> {
    place: u64,
    heard: Heard<T>,
}

/// Something that was heard.
pub(crate) struct Heard<T> {
    /// What happened.
    pub(crate) what: T,
    /// Where, by each name that is known.
    pub(crate) chats: Vec<Jid>,
    /// About which messages.
    pub(crate) ids: Vec<String>,
    /// Whether it may be dropped for something newer.
    pub(crate) is_presence: bool,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            places: 0,
            under_way: VecDeque::new(),
            waiting: VecDeque::new(),
            presences: 0,
            moved: None,
            attended: false,
        }
    }
}

impl<T> Lane<T> {
    /// A message's stanza arrived.
    pub(crate) fn arrived(&mut self, id: String, from: Jid, chats: Vec<Jid>, now: Instant) {
        if self.under_way.len() >= UNDER_WAY {
            self.under_way.pop_front();
        }
        self.moved = Some(now);
        let place = self.next_place();
        self.under_way.push_back(Stanza {
            place,
            id,
            from,
            chats,
            arrived: now,
            at_inbox: false,
        });
    }

    /// The places of the messages that are under way, in the order of arrival.
    pub(crate) fn places(&self) -> HashMap<&str, u64> {
        let places = self.under_way.iter().rev();
        places.map(|stanza| (stanza.id.as_str(), stanza.place)).collect()
    }

    /// The inbox is being asked to take these messages. Those of the same sender that came before and are not there will
    /// not come: the client goes through a sender's stanzas one after another.
    pub(crate) fn at_inbox<'a>(&mut self, ids: impl Iterator<Item = &'a str>, now: Instant) {
        if self.under_way.is_empty() {
            return;
        }
        let ids: HashSet<&str> = ids.collect();
        let mut last: HashMap<Jid, u64> = HashMap::new();
        for stanza in &mut self.under_way {
            if ids.contains(stanza.id.as_str()) {
                stanza.at_inbox = true;
                last.insert(stanza.from.clone(), stanza.place);
            }
        }
        self.under_way
            .retain(|stanza| stanza.at_inbox || last.get(&stanza.from).is_none_or(|last| stanza.place > *last));
        self.moved = Some(now);
    }

    /// These messages are committed, or will not be.
    pub(crate) fn done<'a>(&mut self, ids: impl Iterator<Item = &'a str>, now: Instant) {
        if self.under_way.is_empty() {
            return;
        }
        let ids: HashSet<&str> = ids.collect();
        self.under_way.retain(|stanza| !ids.contains(stanza.id.as_str()));
        self.moved = Some(now);
    }

    /// Takes in what was heard. `false`: something that is no presence had to go for it, which is a loss.
    pub(crate) fn hear(&mut self, heard: Heard<T>) -> bool {
        let full = self.waiting.len() >= WAITING;
        let mut lossless = true;
        if full || (heard.is_presence && self.presences >= PRESENCES) {
            let oldest = self.waiting.iter().position(|waiting| waiting.heard.is_presence);
            lossless = oldest.is_some();
            let gone = self.waiting.remove(oldest.unwrap_or(0));
            self.presences -= usize::from(gone.is_some_and(|gone| gone.heard.is_presence));
        }
        self.presences += usize::from(heard.is_presence);
        let place = self.next_place();
        self.waiting.push_back(Waiting { place, heard });
        lossless
    }

    /// Takes out what waits for nothing any more, in its order.
    pub(crate) fn ready(&mut self, now: Instant) -> Vec<T> {
        let stalled = self.moved.is_some_and(|moved| now >= moved + STALL);
        let lost = |stanza: &Stanza| stalled || now >= stanza.arrived + LONGEST;
        self.under_way.retain(|stanza| stanza.at_inbox || !lost(stanza));
        let mut chats: HashMap<Jid, u64> = HashMap::new();
        let mut ids: HashMap<String, u64> = HashMap::new();
        for stanza in &self.under_way {
            ids.entry(stanza.id.clone()).or_insert(stanza.place);
            for chat in &stanza.chats {
                chats.entry(chat.clone()).or_insert(stanza.place);
            }
        }
        let (mut ready, mut held) = (Vec::new(), VecDeque::new());
        for waiting in self.waiting.drain(..) {
            let Heard {
                chats: own_chats,
                ids: own_ids,
                is_presence,
                ..
            } = &waiting.heard;
            let before = |place: Option<&u64>| place.is_some_and(|place| *place < waiting.place);
            let in_chat = own_chats.iter().any(|chat| before(chats.get(chat)));
            let about = own_ids.iter().any(|id| before(ids.get(id.as_str())));
            if in_chat || about || ready.len() >= BATCH {
                for chat in own_chats {
                    chats.entry(chat.clone()).or_insert(waiting.place);
                }
                held.push_back(waiting);
            } else {
                self.presences -= usize::from(*is_presence);
                ready.push(waiting.heard.what);
            }
        }
        self.waiting = held;
        ready
    }

    /// Takes out everything: nothing will arrive any more.
    pub(crate) fn rest(&mut self) -> Vec<T> {
        self.under_way.clear();
        self.presences = 0;
        self.waiting.drain(..).map(|waiting| waiting.heard.what).collect()
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When to look again although nothing moved.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        // In the order of their arrival.
        let oldest = self.under_way.iter().find(|stanza| !stanza.at_inbox)?;
        let longest = oldest.arrived + LONGEST;
        Some(self.moved.map_or(longest, |moved| longest.min(moved + STALL)))
    }

    fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(user: &str) -> Jid {
        Jid::pn(user)
    }

    fn heard(what: &'static str, chat: &str, id: &str) -> Heard<&'static str> {
        Heard {
            what,
            chats: vec![jid(chat)],
            ids: vec![id.to_owned()],
            is_presence: false,
        }
    }

    fn arrived(lane: &mut Lane<&'static str>, id: &str, from: &str, chat: &str, now: Instant) {
        lane.arrived(id.to_owned(), jid(from), vec![jid(chat)], now);
    }

    #[test]
    fn a_receipt_waits_for_the_message_and_for_what_waits_in_its_chat() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        assert!(lane.hear(heard("before", "1", "0")));
        arrived(&mut lane, "A", "own", "1", now);
        lane.hear(heard("delivered", "1", "A"));
        lane.hear(heard("elsewhere", "2", "B"));
        // The same message by another name of the chat.
        lane.hear(heard("read", "3", "A"));
        lane.hear(heard("after it", "3", "C"));
        assert_eq!(lane.ready(now), ["before", "elsewhere"]);
        lane.at_inbox(["A"].into_iter(), now);
        assert!(lane.ready(now + 10 * STALL).is_empty(), "however long the inbox takes");
        assert_eq!(lane.next_look(), None);
        lane.done(["A"].into_iter(), now);
        assert_eq!(lane.ready(now), ["delivered", "read", "after it"]);
        assert!(lane.is_empty());
    }

    #[test]
    fn what_never_comes_to_the_inbox_is_not_waited_for() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        arrived(&mut lane, "keys", "1", "1", now);
        arrived(&mut lane, "A", "1", "1", now);
        lane.hear(heard("read", "1", "X"));
        // The client has gone on to the next one of the same sender.
        lane.at_inbox(["A"].into_iter(), now);
        lane.done(["A"].into_iter(), now);
        assert_eq!(lane.ready(now), ["read"]);

        arrived(&mut lane, "duplicate", "1", "1", now);
        lane.hear(heard("played", "1", "X"));
        assert!(lane.ready(now + STALL / 2).is_empty());
        assert_eq!(lane.next_look(), Some(now + STALL));
        assert_eq!(lane.ready(now + STALL), ["played"]);

        // A busy number: something always moves.
        arrived(&mut lane, "another", "1", "1", now);
        lane.hear(heard("read again", "1", "X"));
        let mut later = now;
        while later < now + LONGEST {
            assert!(lane.ready(later).is_empty());
            later += STALL / 2;
            arrived(&mut lane, "B", "2", "2", later);
            lane.done(["B"].into_iter(), later);
        }
        assert_eq!(lane.ready(later), ["read again"]);
    }

    #[test]
    fn a_flood_drops_the_oldest_presences_and_nothing_else() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        arrived(&mut lane, "A", "1", "1", now);
        let presence = |what| Heard {
            is_presence: true,
            ..heard(what, "1", "")
        };
        lane.hear(heard("receipt", "1", "A"));
        lane.hear(presence("first"));
        for _ in 0..PRESENCES {
            assert!(lane.hear(presence("later")));
        }
        lane.done(["A"].into_iter(), now);
        let mut all = lane.ready(now);
        all.extend(lane.ready(now));
        assert_eq!((all.len(), all[0], all[1]), (PRESENCES + 1, "receipt", "later"));
        assert!(lane.is_empty());

        for _ in 0..WAITING {
            assert!(lane.hear(heard("receipt", "1", "")));
        }
        assert!(!lane.hear(heard("one too many", "1", "")), "that is told");
        assert_eq!(lane.rest().len(), WAITING);
    }
}

//! What waits to be sent by one number, and what may go now.
//!
//! Pure: it is told what happened and says what to start; whoever carries that out keeps the messages under their
//! tickets. Messages of one chat go one after another in the order in which they were asked for; different chats do not
//! wait for each other, but share the number's pace.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{Bucket, Pacing};
use crate::Timestamp;

/// Messages on their way to WhatsApp's server at a time; each waits for its answer.
const UNDER_WAY: usize = 16;
/// The pause after WhatsApp could not be reached although the link was said to be up.
const PAUSE: Duration = Duration::from_secs(1);

/// What a message is called here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// As many wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pumped {
    /// Send these; each ends with [`Outbox::finished`] or [`Outbox::returned`].
    pub start: Vec<Ticket>,
    /// These have waited too long, and are gone.
    pub expired: Vec<Ticket>,
    /// Ask again then.
    pub wake_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Entry {
    ticket: Ticket,
    chat: Arc<str>,
    deadline: Timestamp,
    /// Its row is being written.
    held: bool,
    /// Its file is not at WhatsApp yet.
    lacks_file: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    most: usize,
    bucket: Bucket,
    waiting: VecDeque<Entry>,
    under_way: Vec<Entry>,
    paused_until: Timestamp,
    last: u64,
}

impl Outbox {
    /// An empty one.
    pub fn new(pacing: Pacing, now: Timestamp) -> Self {
        Self {
            most: pacing.queue_max as usize,
            bucket: Bucket::new(pacing, now),
            waiting: VecDeque::new(),
            under_way: Vec::new(),
            paused_until: now,
            last: 0,
        }
    }

    /// Goes on at another pace.
    pub fn pace(&mut self, pacing: Pacing, now: Timestamp) {
        self.bucket.set(pacing, now);
    }

    /// Takes a message in.
    ///
    /// # Errors
    /// `Full` when as many wait as may.
    pub fn accept(&mut self, chat: &str, deadline: Timestamp) -> Result<Ticket, Full> {
        if self.waiting.len() >= self.most {
            return Err(Full);
        }
        Ok(self.restore(chat, deadline))
    }

    /// Takes a message in that was accepted before a restart.
    pub fn restore(&mut self, chat: &str, deadline: Timestamp) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        self.waiting.push_back(Entry {
            ticket,
            chat: chat.into(),
            deadline,
            held: false,
            lacks_file: false,
        });
        ticket
    }

    /// A message that waits does not start before its file is at WhatsApp; its deadline holds all the same.
    pub fn lack_file(&mut self, ticket: Ticket) {
        self.waiting_entry(ticket, |entry| entry.lacks_file = true);
    }

    /// Its file is there.
    pub fn have_file(&mut self, ticket: Ticket) {
        self.waiting_entry(ticket, |entry| entry.lacks_file = false);
    }

    /// A message that waits does not start before its row is written.
    pub fn hold(&mut self, ticket: Ticket) {
        self.waiting_entry(ticket, |entry| entry.held = true);
    }

    /// Its row is written.
    pub fn release(&mut self, ticket: Ticket) {
        self.waiting_entry(ticket, |entry| entry.held = false);
    }

    /// A message is gone, wherever it was.
    pub fn finished(&mut self, ticket: Ticket) {
        self.waiting.retain(|entry| entry.ticket != ticket);
        self.under_way.retain(|entry| entry.ticket != ticket);
    }

    /// A message that was started was certainly not sent: it takes its place again.
    pub fn returned(&mut self, ticket: Ticket, now: Timestamp) {
        let Some(at) = self.under_way.iter().position(|entry| entry.ticket == ticket) else {
            return;
        };
        let entry = self.under_way.swap_remove(at);
        // Tickets count upwards: this is its old place.
        let place = self.waiting.partition_point(|other| other.ticket < entry.ticket);
        self.waiting.insert(place, entry);
        self.bucket.give_back();
        self.paused_until = now + PAUSE;
    }

    /// Whether a message waits.
    pub fn waits(&self, ticket: Ticket) -> bool {
        self.waiting.iter().any(|entry| entry.ticket == ticket)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What may go now.
    pub fn pump(&mut self, now: Timestamp, connected: bool) -> Pumped {
        let mut pumped = Pumped::default();
        self.waiting.retain(|entry| {
            let expired = entry.deadline <= now && !entry.held;
            if expired {
                pumped.expired.push(entry.ticket);
            }
            !expired
        });
        // A clock that was put back shall not keep anything paused for longer than a pause.
        self.paused_until = self.paused_until.min(now + PAUSE);
        let mut next_start = None;
        if connected && self.paused_until > now {
            next_start = Some(self.paused_until);
        } else if connected {
            next_start = self.start(now, &mut pumped);
        }
        // Those that are held are asked about when they are released.
        let free = self.waiting.iter().filter(|entry| !entry.held);
        let deadline = free.map(|entry| entry.deadline).min();
        let wakes = [deadline, next_start.filter(|_| deadline.is_some())];
        pumped.wake_at = wakes.into_iter().flatten().min();
        pumped
    }

    /// Starts what may start; answers when the next may that only lacks a token.
    fn start(&mut self, now: Timestamp, pumped: &mut Pumped) -> Option<Timestamp> {
        let mut at = 0;
        while let Some(entry) = self.waiting.get(at) {
            if self.under_way.len() >= UNDER_WAY {
                return None;
            }
            let chat = &entry.chat;
            let others = self.under_way.iter().chain(self.waiting.iter().take(at));
            if entry.held || entry.lacks_file || others.into_iter().any(|other| other.chat == *chat) {
                at += 1;
                continue;
            }
            if !self.bucket.take(now) {
                return Some(self.bucket.next(now));
            }
            if let Some(entry) = self.waiting.remove(at) {
                pumped.start.push(entry.ticket);
                self.under_way.push(entry);
            }
        }
        None
    }

    fn waiting_entry(&mut self, ticket: Ticket, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.waiting.iter_mut().find(|entry| entry.ticket == ticket) {
            change(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::outgoing::Pace;

    const PACING: Pacing = Pacing {
        per_second: 1,
        burst: 2,
        fastest: Pace {
            per_second: 1,
            burst: 2,
        },
        queue_max: 3,
        deadline: Duration::from_secs(60),
    };
    const LATE: Timestamp = Timestamp(60_000);

    fn at(ms: i64) -> Timestamp {
        Timestamp(ms)
    }

    #[test]
    fn a_message_goes_at_once_when_it_may() {
        let mut outbox = Outbox::new(PACING, at(0));
        let one = outbox.accept("a", LATE).unwrap();
        let pumped = outbox.pump(at(0), true);
        assert_eq!((pumped.start, pumped.wake_at), (vec![one], None));
        outbox.finished(one);
        assert_eq!(outbox.pump(at(0), true), Pumped::default());
    }

    #[test]
    fn one_chat_goes_in_order_and_others_do_not_wait_for_it() {
        let mut outbox = Outbox::new(PACING, at(0));
        let [one, two, three] = ["a", "a", "b"].map(|chat| outbox.accept(chat, LATE).unwrap());
        assert_eq!(outbox.accept("c", LATE), Err(Full));
        assert_eq!(outbox.pump(at(0), true).start, [one, three]);
        outbox.finished(one);
        let paced = outbox.pump(at(0), true);
        assert_eq!((paced.start, paced.wake_at), (vec![], Some(at(1000))));
        assert_eq!(outbox.pump(at(1000), true).start, [two]);
    }

    #[test]
    fn what_waits_too_long_is_told() {
        let mut outbox = Outbox::new(PACING, at(0));
        let one = outbox.accept("a", at(500)).unwrap();
        let down = outbox.pump(at(0), false);
        assert_eq!((down.start, down.wake_at), (vec![], Some(at(500))));
        outbox.hold(one);
        assert_eq!(outbox.pump(at(500), false).expired, [], "its row is not there yet");
        outbox.release(one);
        assert_eq!(outbox.pump(at(500), true).expired, [one]);
        assert_eq!(outbox.waiting(), 0);
    }

    #[test]
    fn what_was_not_sent_takes_its_place_again_after_a_pause() {
        let mut outbox = Outbox::new(PACING, at(0));
        let [one, two] = ["a", "a"].map(|chat| outbox.accept(chat, LATE).unwrap());
        assert_eq!(outbox.pump(at(0), true).start, [one]);
        outbox.returned(one, at(0));
        let paused = outbox.pump(at(0), true);
        assert_eq!((paused.start, paused.wake_at), (vec![], Some(at(1000))));
        assert_eq!(outbox.pump(at(1000), true).start, [one]);
        outbox.finished(one);
        assert_eq!(outbox.pump(at(1000), true).start, [two]);
    }

    #[test]
    fn a_file_on_its_way_holds_its_chat_and_no_other() {
        let mut outbox = Outbox::new(PACING, at(0));
        let [film, text, other] = ["a", "a", "b"].map(|chat| outbox.accept(chat, LATE).unwrap());
        outbox.lack_file(film);
        let pumped = outbox.pump(at(0), true);
        assert_eq!((pumped.start, pumped.wake_at), (vec![other], Some(LATE)));
        outbox.have_file(film);
        assert_eq!(outbox.pump(at(0), true).start, [film]);
        outbox.finished(film);
        assert_eq!(outbox.pump(at(1000), true).start, [text]);
        let late = outbox.accept("c", at(2000)).unwrap();
        outbox.lack_file(late);
        assert_eq!(outbox.pump(at(2000), true).expired, [late]);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Accept(u8, i64),
        Hold(usize),
        Release(usize),
        Lack(usize),
        Have(usize),
        Pass(i64),
        Finish(usize),
        Return(usize),
        Link(bool),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (0u8..4, 0i64..5000).prop_map(|(chat, wait)| Act::Accept(chat, wait)),
            1 => (0usize..8).prop_map(Act::Hold),
            1 => (0usize..8).prop_map(Act::Release),
            1 => (0usize..8).prop_map(Act::Lack),
            1 => (0usize..8).prop_map(Act::Have),
            3 => (0i64..3000).prop_map(Act::Pass),
            3 => (0usize..8).prop_map(Act::Finish),
            1 => (0usize..8).prop_map(Act::Return),
            1 => any::<bool>().prop_map(Act::Link),
        ]
    }

    proptest! {
        /// Every message ends once; chats keep their order; nothing starts without link; the queue is bounded; and as
        /// long as something waits with a link there is a time to ask again or something under way.
        #[test]
        fn messages_go_once_and_in_order(acts in prop::collection::vec(act(), 0..120)) {
            let mut outbox = Outbox::new(PACING, at(0));
            let (mut now, mut connected) = (0, true);
            let mut alive: BTreeMap<Ticket, (u8, i64)> = BTreeMap::new();
            let mut running: BTreeSet<Ticket> = BTreeSet::new();
            let (mut held, mut lacking) = (BTreeSet::<Ticket>::new(), BTreeSet::<Ticket>::new());
            for act in acts {
                let nth = |set: &BTreeSet<Ticket>, n: usize| set.iter().nth(n).copied();
                match act {
                    Act::Accept(chat, wait) => {
                        let waiting = alive.len() - running.len();
                        match outbox.accept(&chat.to_string(), at(now + wait)) {
                            Ok(ticket) => prop_assert!(alive.insert(ticket, (chat, now + wait)).is_none()),
                            Err(Full) => prop_assert!(waiting >= PACING.queue_max as usize),
                        }
                    }
                    Act::Hold(n) => {
                        let waiting: BTreeSet<Ticket> = alive.keys().copied().filter(|t| !running.contains(t)).collect();
                        if let Some(ticket) = nth(&waiting, n) {
                            outbox.hold(ticket);
                            held.insert(ticket);
                        }
                    }
                    Act::Release(n) => if let Some(ticket) = nth(&held, n) {
                        outbox.release(ticket);
                        held.remove(&ticket);
                    },
                    Act::Lack(n) => {
                        let waiting: BTreeSet<Ticket> = alive.keys().copied().filter(|t| !running.contains(t)).collect();
                        if let Some(ticket) = nth(&waiting, n) {
                            outbox.lack_file(ticket);
                            lacking.insert(ticket);
                        }
                    }
                    Act::Have(n) => if let Some(ticket) = nth(&lacking, n) {
                        outbox.have_file(ticket);
                        lacking.remove(&ticket);
                    },
                    Act::Pass(ms) => now += ms,
                    Act::Finish(n) => if let Some(ticket) = nth(&running, n) {
                        outbox.finished(ticket);
                        running.remove(&ticket);
                        alive.remove(&ticket);
                    },
                    Act::Return(n) => if let Some(ticket) = nth(&running, n) {
                        outbox.returned(ticket, at(now));
                        running.remove(&ticket);
                    },
                    Act::Link(up) => connected = up,
                }
                let pumped = outbox.pump(at(now), connected);
                for ticket in &pumped.expired {
                    let (_, deadline) = alive.remove(ticket).expect("it was there");
                    prop_assert!(deadline <= now && !running.contains(ticket) && !held.contains(ticket));
                    lacking.remove(ticket);
                }
                prop_assert!(connected || pumped.start.is_empty());
                for ticket in &pumped.start {
                    let (chat, deadline) = alive[ticket];
                    prop_assert!(deadline > now && !held.contains(ticket) && !lacking.contains(ticket));
                    prop_assert!(running.insert(*ticket));
                    let earlier = alive.iter().any(|(other, (of, _))| other < ticket && *of == chat);
                    prop_assert!(!earlier, "an earlier message of the chat is not done");
                }
                prop_assert_eq!(outbox.waiting(), alive.len() - running.len());
                if outbox.waiting() > held.len() {
                    prop_assert!(pumped.wake_at.is_some_and(|wake| wake > at(now)));
                }
            }
        }
    }
}

//! What waits to be sent by one number, and what may go now.
//!
//! Pure: it is told what happened and says what to start; whoever carries that out keeps the messages under their
//! tickets. Messages of one chat go one after another in the order in which they were asked for; different chats do not
//! wait for each other, but share the number's pace. A message that is seen being typed first takes its turn of the pace when
//! that begins, and no place among those under way before it ends. A chat may have several names (a person's number and their hidden id):
//! messages that have one in common are of one chat.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{Bucket, Pacing};
use crate::Timestamp;

/// Messages on their way to WhatsApp's server at a time; each waits for its answer.
const UNDER_WAY: usize = 16;
/// The pause after WhatsApp could not be reached although the link was said to be up.
const PAUSE: Duration = Duration::from_secs(1);

/// What a message is called here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pumped {
    /// Show that these are being typed.
    pub type_first: Vec<Ticket>,
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
    /// What its chat is called.
    names: Arc<[Box<str>]>,
    deadline: Timestamp,
    /// Its row is being written.
    held: bool,
    /// Its file is not at WhatsApp yet.
    lacks_file: bool,
    typing: Typing,
}

/// How far a message is with being typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typing {
    /// It is not, or was.
    No,
    /// It will be, for so long.
    For(Duration),
    /// It is until then, and has its token.
    Until(Timestamp),
}

impl Entry {
    fn names(&self) -> impl Iterator<Item = &str> {
        #[cfg(test)]
        tests::NAMES_READ.set(tests::NAMES_READ.get() + self.names.len());
        self.names.iter().map(AsRef::as_ref)
    }
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

    /// Whether as many wait as may.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.most
    }

    /// Takes a message in, with all names of its chat that are known. Whether there is room is asked before
    /// ([`Outbox::is_full`]); what was taken in before a restart is taken in again in any case.
    pub fn take_in(&mut self, names: &[&str], deadline: Timestamp) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        self.waiting.push_back(Entry {
            ticket,
            names: names.iter().map(|name| Box::from(*name)).collect(),
            deadline,
            held: false,
            lacks_file: false,
            typing: Typing::No,
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

    /// A message that waits is seen being typed for so long before it starts.
    pub fn types(&mut self, ticket: Ticket, long: Duration) {
        self.waiting_entry(ticket, |entry| entry.typing = Typing::For(long));
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

    /// A message that was started was certainly not sent: it takes its place again, and is not typed again.
    pub fn returned(&mut self, ticket: Ticket, now: Timestamp) {
        let Some(at) = self.under_way.iter().position(|entry| entry.ticket == ticket) else {
            return;
        };
        let mut entry = self.under_way.swap_remove(at);
        entry.typing = Typing::No;
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

    /// Starts what may start; answers when the next may that only lacks a token or is being typed.
    fn start(&mut self, now: Timestamp, pumped: &mut Pumped) -> Option<Timestamp> {
        // The chats of what is under way, and of all that was asked for before what is looked at: thousands may wait.
        let mut taken: HashSet<&str> = self.under_way.iter().flat_map(Entry::names).collect();
        let typed = self
            .waiting
            .iter()
            .any(|entry| matches!(entry.typing, Typing::Until(_)));
        let (mut places, mut begun, mut lacks_token, mut typed_at) = (Vec::new(), Vec::new(), None, None::<Timestamp>);
        for (place, entry) in self.waiting.iter().enumerate() {
            if self.under_way.len() + places.len() >= UNDER_WAY {
                break;
            }
            let waits = entry.held || entry.lacks_file || entry.names().any(|name| taken.contains(name));
            taken.extend(entry.names());
            if waits {
                continue;
            }
            match entry.typing {
                Typing::Until(over) if over > now => {
                    typed_at = typed_at.into_iter().chain([over]).min();
                    continue;
                }
                Typing::Until(_) => {}
                Typing::No | Typing::For(_) if lacks_token.is_some() => continue,
                Typing::No | Typing::For(_) if !self.bucket.take(now) => {
                    lacks_token = Some(self.bucket.next(now));
                    // Those behind it that have their tokens may go.
                    match typed {
                        true => continue,
                        false => break,
                    }
                }
                Typing::For(long) => {
                    typed_at = typed_at.into_iter().chain([now + long]).min();
                    begun.push((place, now + long));
                    continue;
                }
                Typing::No => {}
            }
            places.push(place);
        }
        for (place, over) in begun {
            if let Some(entry) = self.waiting.get_mut(place) {
                entry.typing = Typing::Until(over);
                pumped.type_first.push(entry.ticket);
            }
        }
        // Each that goes moves those behind it up.
        for (gone, place) in places.into_iter().enumerate() {
            if let Some(entry) = self.waiting.remove(place - gone) {
                pumped.start.push(entry.ticket);
                self.under_way.push(entry);
            }
        }
        [lacks_token, typed_at].into_iter().flatten().min()
    }

    fn waiting_entry(&mut self, ticket: Ticket, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.waiting.iter_mut().find(|entry| entry.ticket == ticket) {
            change(entry);
        }
    }
}

#[cfg(test)]
mod tests;

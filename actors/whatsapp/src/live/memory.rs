//! What the links of one number remember from one to the next, as long as the process lives.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};
use whatsapp_rust::{wacore::types::message::MessageInfo, wacore_binary::Jid};

use super::{
    awaited::Awaited,
    calls::Calls,
    convert::Election,
    numbers::Numbers,
    seen::Seen,
    subjects::{AGAIN_AFTER, Subjects},
    tellers::Tellers,
    timers::Timer,
};

/// Polls remembered with their secrets. What was forgotten is looked up, which is slower but no loss.
const POLLS: usize = 64;
/// A poll whose options come to more bytes is looked up each time: whoever writes to the number decides how long they are.
const POLL_BYTES: usize = 16 * 1024;
/// People remembered whose messages come without their number; with more of them all are forgotten.
const UNNAMED: usize = 4096;
/// People remembered with both of number and hidden id; with more of them all are forgotten.
const NAMED: usize = 4096;

/// Chats remembered with their timers; with more of them all are read anew.
const TIMED: usize = 4096;

/// See the module.
#[derive(Default)]
pub(crate) struct Memory {
    awaited: Mutex<Awaited>,
    /// Told when there is more to do about them.
    missed: Notify,
    polls: Mutex<Polls>,
    numbers: Numbers,
    subjects: Arc<Subjects>,
    calls: Calls,
    seen: Mutex<Seen>,
    tellers: Tellers,
    unnamed: Mutex<HashSet<String>>,
    named: Mutex<HashMap<String, Jid>>,
    shown_online: Mutex<Option<bool>>,
    timers: Mutex<HashMap<Jid, Timer>>,
    /// Groups whose timers were not told, and when.
    untold: Mutex<HashMap<Jid, Instant>>,
}

#[derive(Default)]
struct Polls {
    known: HashMap<String, Election>,
    order: VecDeque<String>,
}

impl Memory {
    /// Messages that could not be decrypted.
    pub(crate) fn awaited(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock()
    }

    /// Whoever sees to what is missing waits for this.
    pub(crate) fn missed(&self) -> &Notify {
        &self.missed
    }

    /// Which numbers are on WhatsApp.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// What groups are called.
    pub(crate) fn subjects(&self) -> &Arc<Subjects> {
        &self.subjects
    }

    /// Remembers that others are to see the account online, or not, as its client said.
    pub(crate) fn show_online(&self, shown: bool) {
        *self.shown_online.lock() = Some(shown);
    }

    /// What its client said of that last; `None` for nothing.
    pub(crate) fn shown_online(&self) -> Option<bool> {
        *self.shown_online.lock()
    }

    /// How much people told of late.
    pub(crate) fn tellers(&self) -> &Tellers {
        &self.tellers
    }

    /// Which calls rang of late.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The head of a message of which another copy came of late that says another time: with that one's time. A message is noted
    /// with this.
    pub(crate) fn as_seen(&self, info: &MessageInfo) -> Option<MessageInfo> {
        let sent = self.seen.lock().first_sent(info, Instant::now())?;
        Some(MessageInfo {
            timestamp: sent,
            ..info.clone()
        })
    }

    /// Remembers a hidden id's number, which WhatsApp gives with some stanzas (the offer of a call) and leaves out of
    /// others (its end, a presence).
    pub(crate) fn note_named(&self, hidden: &Jid, number: &Jid) {
        let mut known = self.named.lock();
        make_room(&mut known, NAMED, hidden.user_base());
        known.insert(hidden.user_base().to_owned(), number.clone());
    }

    /// The number that came with a hidden id.
    pub(crate) fn named(&self, hidden: &Jid) -> Option<Jid> {
        let known = self.named.lock();
        known.get(hidden.user_base()).cloned()
    }

    /// Remembers whether the messages of a hidden id come without its number: what their chat is called follows from it.
    pub(crate) fn note_unnamed(&self, hidden: &str, unnamed: bool) {
        let mut known = self.unnamed.lock();
        if !unnamed {
            known.remove(hidden);
            return;
        }
        if known.len() >= UNNAMED && !known.contains(hidden) {
            known.clear();
        }
        known.insert(hidden.to_owned());
    }

    /// Whether the messages of a hidden id came without its number.
    pub(crate) fn is_unnamed(&self, hidden: &str) -> bool {
        let known = self.unnamed.lock();
        known.contains(hidden)
    }

    /// A chat's timer, if it is remembered.
    pub(crate) fn timer(&self, chat: &Jid) -> Option<Timer> {
        self.timers.lock().get(chat).copied()
    }

    /// Remembers a chat's timer.
    pub(crate) fn note_timer(&self, chat: &Jid, timer: Timer) {
        let mut timers = self.timers.lock();
        make_room(&mut timers, TIMED, chat);
        timers.insert(chat.clone(), timer);
    }

    /// Remembers what a row says, unless something was told while it was read. Answers what holds.
    pub(crate) fn recall_timer(&self, chat: &Jid, kept: Timer) -> Timer {
        let mut timers = self.timers.lock();
        make_room(&mut timers, TIMED, chat);
        *timers.entry(chat.clone()).or_insert(kept)
    }

    /// Remembers that WhatsApp did not tell a group's timer.
    pub(crate) fn note_untold(&self, group: &Jid) {
        let mut untold = self.untold.lock();
        make_room(&mut untold, TIMED, group);
        untold.insert(group.clone(), Instant::now());
    }

    /// Whether that was so a moment ago.
    pub(crate) fn is_untold(&self, group: &Jid) -> bool {
        let untold = self.untold.lock();
        untold.get(group).is_some_and(|at| at.elapsed() < AGAIN_AFTER)
    }

    /// Remembers a poll. The first of an id counts: nobody can change what others asked.
    pub(crate) fn remember(&self, poll_id: &str, election: Election) {
        let mut polls = self.polls.lock();
        if polls.known.contains_key(poll_id) || !is_small(&election.options) {
            return;
        }
        if polls.order.len() >= POLLS
            && let Some(oldest) = polls.order.pop_front()
        {
            polls.known.remove(&oldest);
        }
        polls.order.push_back(poll_id.to_owned());
        polls.known.insert(poll_id.to_owned(), election);
    }

    /// Remembers what somebody added to a poll that is remembered.
    pub(crate) fn add_option(&self, poll_id: &str, option: &str) {
        let mut polls = self.polls.lock();
        let Some(Election { options, .. }) = polls.known.get_mut(poll_id) else {
            return;
        };
        if options.iter().any(|known| known == option) {
            return;
        }
        options.push(option.to_owned());
        if !is_small(options) {
            polls.known.remove(poll_id);
            polls.order.retain(|known| known != poll_id);
        }
    }

    /// A poll that is remembered.
    pub(crate) fn poll(&self, poll_id: &str) -> Option<Election> {
        let polls = self.polls.lock();
        polls.known.get(poll_id).cloned()
    }
}

/// Whether a poll with these options is remembered.
fn is_small(options: &[String]) -> bool {
    let bytes: usize = options.iter().map(String::len).sum();
    bytes.saturating_add(options.len()) <= POLL_BYTES
}

/// Forgets all that is known when that is as many as may be, and this is another one.
pub(super) fn make_room<K, V, Q>(known: &mut HashMap<K, V>, most: usize, another: &Q)
where
    K: Borrow<Q> + Eq + Hash,
    Q: Eq + Hash + ?Sized,
{
    if known.len() >= most && !known.contains_key(another) {
        known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn election(option: &str) -> Election {
        Election {
            options: vec![option.to_owned()],
            secret: None,
        }
    }

    #[test]
    fn the_first_poll_of_an_id_counts_and_old_ones_go() {
        let memory = Memory::default();
        memory.remember("0", election("yes"));
        memory.remember("0", election("no"));
        assert_eq!(memory.poll("0"), Some(election("yes")));
        for id in 1..=POLLS {
            memory.remember(&id.to_string(), election("yes"));
        }
        assert_eq!(memory.poll("0"), None);
        assert!(memory.poll("1").is_some() && memory.poll(&POLLS.to_string()).is_some());
        for (id, huge) in [
            ("long", election(&"x".repeat(POLL_BYTES))),
            (
                "many",
                Election {
                    options: vec![String::new(); POLL_BYTES + 1],
                    secret: None,
                },
            ),
        ] {
            memory.remember(id, huge);
            assert_eq!(memory.poll(id), None, "{id}");
        }
        assert!(memory.poll("1").is_some(), "no other is forgotten for it");
    }

    #[test]
    fn an_option_is_added_once_and_to_what_is_remembered() {
        let memory = Memory::default();
        memory.add_option("0", "no");
        assert_eq!(memory.poll("0"), None);
        memory.remember("0", election("yes"));
        for option in ["no", "no", "yes"] {
            memory.add_option("0", option);
        }
        let known = memory.poll("0").map(|poll| poll.options);
        assert_eq!(known, Some(vec!["yes".to_owned(), "no".to_owned()]));
        memory.add_option("0", &"x".repeat(POLL_BYTES));
        assert_eq!(memory.poll("0"), None, "it is looked up from now on");
        memory.remember("0", election("yes"));
        assert!(memory.poll("0").is_some());
    }
}

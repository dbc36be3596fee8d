//! Messages that came of late and when they were sent: what its sender's phone sends again, under its id and with another time,
//! is the same message.
//!
//! A message is recognised by its time, too: an index of ids alone would be entered in random places. What WhatsApp brings again
//! has its time still. But a phone that did not hear that its message was taken sends it anew, and WhatsApp's server writes the time
//! of that on it.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use tokio::time::Instant;
use whatsapp_rust::chrono::{DateTime, Utc};
use whatsapp_rust::wacore::types::message::MessageInfo;
use whatsapp_rust::wacore_binary::Jid;

use super::convert::{bare, identity};

/// So many of a number: 40 bytes each, gone through for each message, which takes a microsecond.
const MOST: usize = 1024;
/// For so long: phones that send again do so when they are connected again, mostly within seconds.
const LONG: Duration = Duration::from_secs(15 * 60);

/// See the module. The oldest come first.
#[derive(Default)]
pub(crate) struct Seen {
    /// With keys of its own: nobody can make up ids that are taken for another's.
    hashes: RandomState,
    messages: VecDeque<One>,
}

struct One {
    hash: u64,
    sent: DateTime<Utc>,
    came: Instant,
}

impl Seen {
    /// A message comes. When its first copy was sent, if one came before and says another time.
    pub(crate) fn first_sent(&mut self, info: &MessageInfo, now: Instant) -> Option<DateTime<Utc>> {
        let is_old = |one: &One| now.saturating_duration_since(one.came) >= LONG;
        while self.messages.front().is_some_and(is_old) {
            self.messages.pop_front();
        }
        let hash = self.hashes.hash_one(Name::of(info));
        if let Some(first) = self.messages.iter().find(|one| one.hash == hash) {
            return Some(first.sent).filter(|sent| *sent != info.timestamp);
        }
        if self.messages.len() >= MOST {
            self.messages.pop_front();
        }
        self.messages.push_back(One {
            hash,
            sent: info.timestamp,
            came: now,
        });
        None
    }
}

/// What all copies of one message have in common. What it does is among it: some client may give an edit or a reaction the id of
/// what that is about.
#[derive(Hash)]
struct Name<'a> {
    /// None where the sender says it: a copy may name them by their number, another by the hidden id.
    chat: Option<Jid>,
    sender: Jid,
    id: &'a str,
    does: [&'a str; 2],
}

impl<'a> Name<'a> {
    fn of(info: &'a MessageInfo) -> Self {
        let source = &info.source;
        Self {
            chat: (source.is_group || source.is_from_me).then(|| bare(&source.chat)),
            sender: identity(source),
            id: &info.id,
            does: [&info.r#type, info.edit.to_string_val()],
        }
    }
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::wacore::types::message::{EditAttribute, MessageSource};

    use super::*;

    fn message(id: &str, sent: i64) -> MessageInfo {
        MessageInfo {
            id: id.into(),
            source: MessageSource {
                chat: "1@lid".parse().unwrap(),
                sender: "1@lid".parse().unwrap(),
                ..MessageSource::default()
            },
            timestamp: DateTime::from_timestamp(sent, 0).unwrap(),
            ..MessageInfo::default()
        }
    }

    /// When the first copy of each was sent, if another time is said.
    fn firsts(seen: &mut Seen, messages: &[MessageInfo]) -> Vec<Option<i64>> {
        let now = Instant::now();
        let first = |info| seen.first_sent(info, now).map(|sent| sent.timestamp());
        messages.iter().map(first).collect()
    }

    #[test]
    fn a_copy_with_another_time_has_that_of_the_first() {
        let copies = [1, 5, 1, 9].map(|sent| message("A", sent));
        assert_eq!(
            firsts(&mut Seen::default(), &copies),
            [None, Some(1), None, Some(1)],
            "however often it is sent"
        );
    }

    #[test]
    fn another_message_is_none() {
        let mut group = message("A", 2);
        group.source.is_group = true;
        let mut other_group = group.clone();
        other_group.source.chat = "2@g.us".parse().unwrap();
        let mut other = message("A", 3);
        other.source.sender = "2@lid".parse().unwrap();
        let mut edit = message("A", 4);
        edit.edit = EditAttribute::MessageEdit;
        let mut reaction = message("A", 5);
        reaction.r#type = "reaction".into();
        let all = [
            message("A", 1),
            message("B", 1),
            group,
            other_group,
            other,
            edit,
            reaction,
        ];
        assert_eq!(firsts(&mut Seen::default(), &all), [None; 7]);
    }

    #[test]
    fn a_copy_may_name_its_sender_by_the_number_only() {
        let mut both = message("A", 1);
        both.source.sender_alt = Some(Jid::pn("55"));
        let mut number = message("A", 2);
        (number.source.chat, number.source.sender) = (Jid::pn("55"), Jid::pn("55"));
        assert_eq!(firsts(&mut Seen::default(), &[both, number]), [None, Some(1)]);
    }

    #[test]
    fn what_came_long_ago_is_forgotten_and_so_is_the_oldest_of_many() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        assert_eq!(seen.messages.capacity(), 0, "a number that is idle costs nothing");
        seen.first_sent(&message("A", 1), now);
        let almost = now + LONG - Duration::from_secs(1);
        assert!(seen.first_sent(&message("A", 2), almost).is_some());
        assert_eq!(seen.first_sent(&message("A", 2), now + LONG), None);
        for n in 0..MOST {
            seen.first_sent(&message(&n.to_string(), 1), now + LONG);
        }
        assert_eq!(seen.messages.len(), MOST);
        assert!(seen.first_sent(&message("0", 2), now + LONG).is_some());
        assert_eq!(seen.first_sent(&message("A", 3), now + LONG), None);
    }
}

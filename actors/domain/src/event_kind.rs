//! What a webhook can be told of.

use serde::{Serialize, Serializer};

use crate::{InvalidField, words};

words! {
    /// A kind of event. The word of every kind but [`EventKind::Message`] is `event` in the body.
    #[derive(Default)]
    pub enum EventKind {
        /// A message that came in.
        #[default]
        Message = "message",
        /// How far a message that the account sent has come.
        Status = "message.status",
        /// A message that the account sent from its phone or another linked device.
        Sent = "message.sent",
        /// A change of the connection's status or reason.
        Connection = "connection",
        /// A change of a group.
        Group = "group",
        /// A call that comes in, and its end.
        Call = "call",
        /// Somebody is online, writes or records.
        Presence = "presence",
    }
}

impl EventKind {
    /// All words in quotes, as JSON has them, for a refusal that says what would be accepted.
    pub fn quoted_words() -> String {
        Self::ALL.map(|kind| format!("\"{}\"", kind.as_str())).join(", ")
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The kinds of events that a webhook wants: a set. By default messages only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventKinds(u8);

impl Default for EventKinds {
    fn default() -> Self {
        Self::of([EventKind::Message])
    }
}

impl EventKinds {
    /// Nothing at all: a number without a webhook.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self((1 << EventKind::ALL.len()) - 1);

    /// The set of these kinds.
    pub fn of(kinds: impl IntoIterator<Item = EventKind>) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | kind.bit()))
    }

    /// The set that somebody asked for by words. The order does not matter, and twice is once.
    ///
    /// # Errors
    /// `InvalidField` when there is none, or a word is not known.
    pub fn check<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidField> {
        let refuse = |what: String| {
            let known = EventKind::quoted_words();
            InvalidField::new("events", format!("must be an array of at least one of {known}{what}"))
        };
        let mut set = Self::NONE;
        for word in words {
            let kind = EventKind::from_word(word);
            let shown = || word.chars().take(100).collect::<String>();
            set.0 |= kind
                .ok_or_else(|| refuse(format!("; {:?} is none of them", shown())))?
                .bit();
        }
        if set == Self::NONE {
            return Err(refuse(String::new()));
        }
        Ok(set)
    }

    /// Whether this kind is in the set.
    pub const fn contains(self, kind: EventKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// The kinds in the set, in the order of [`EventKind::ALL`].
    pub fn kinds(self) -> impl Iterator<Item = EventKind> {
        EventKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl Serialize for EventKinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.kinds().map(EventKind::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_shown_in_one_order_and_once() {
        let set = EventKinds::check(["presence", "message", "presence", "message.status"]).unwrap();
        assert_eq!(
            serde_json::to_string(&set).unwrap(),
            r#"["message","message.status","presence"]"#
        );
        assert!(set.contains(EventKind::Presence) && !set.contains(EventKind::Call));
        assert_eq!(serde_json::to_string(&EventKinds::default()).unwrap(), r#"["message"]"#);
        assert_eq!(EventKinds::ALL.kinds().collect::<Vec<_>>(), EventKind::ALL);
    }

    #[test]
    fn what_is_refused_names_what_would_be_accepted() {
        for words in [&[] as &[&str], &["Message"], &["message", ""], &["message.read"]] {
            let refusal = EventKinds::check(words.iter().copied()).unwrap_err();
            assert_eq!(refusal.field, "events");
            for kind in EventKind::ALL {
                assert!(refusal.message.contains(&format!("\"{}\"", kind.as_str())), "{refusal}");
            }
        }
        let refusal = EventKinds::check(["message.read"]).unwrap_err();
        assert!(
            refusal.message.ends_with("; \"message.read\" is none of them"),
            "{refusal}"
        );
    }

    #[test]
    fn every_word_leads_back_to_its_kind() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_word(kind.as_str()), Some(kind));
        }
    }
}

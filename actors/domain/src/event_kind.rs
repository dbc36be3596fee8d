//! What a webhook can be told of.

use crate::{words, words::word_set};

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
        /// A status update of somebody's (WhatsApp's stories), or something about one.
        Update = "status",
    }
}

word_set! {
    /// The kinds of events that a webhook wants. By default messages only, and none of a number without a webhook.
    pub struct EventKinds of EventKind as "events"
}

impl Default for EventKinds {
    fn default() -> Self {
        Self::of([EventKind::Message])
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

//! Which chats a webhook can be told of.

use crate::{outgoing::GROUP, words, words::word_set};

words! {
    /// A kind of chat.
    pub enum ChatKind {
        /// One with a person, by number or by hidden id, and whatever is no group: a bot, a broadcast list.
        Person = "person",
        /// A group, a community and its announcements among them.
        Group = "group",
    }
}

word_set! {
    /// The kinds of chats that a webhook wants to be told of. By default all.
    pub struct ChatKinds of ChatKind as "chats"
}

impl Default for ChatKinds {
    fn default() -> Self {
        Self::ALL
    }
}

impl ChatKind {
    /// That of a chat's id. Every chat of WhatsApp's names a server after an `@`; what does not is of no chat: a change of the
    /// connection, a test.
    pub fn of(chat: &str) -> Option<Self> {
        match chat.contains('@') {
            true if chat.ends_with(GROUP) => Some(Self::Group),
            true => Some(Self::Person),
            false => None,
        }
    }
}

impl ChatKinds {
    /// Whether what lies in this chat is wanted. What is of no chat always is.
    pub fn take(self, chat: &str) -> bool {
        ChatKind::of(chat).is_none_or(|kind| self.contains(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_told_from_everybody_else_by_its_id() {
        for (chat, kind) in [
            ("120363000000000001@g.us", Some(ChatKind::Group)),
            ("5511999999999-1600000000@g.us", Some(ChatKind::Group)),
            ("5511999999999@s.whatsapp.net", Some(ChatKind::Person)),
            ("100000000000007@lid", Some(ChatKind::Person)),
            ("867051314767696@bot", Some(ChatKind::Person)),
            ("1699999999@broadcast", Some(ChatKind::Person)),
            ("connection", None),
            ("test-1", None),
        ] {
            assert_eq!(ChatKind::of(chat), kind, "{chat}");
            for only in ChatKind::ALL {
                let wanted = kind.is_none_or(|kind| kind == only);
                assert_eq!(ChatKinds::of([only]).take(chat), wanted, "{chat}, {only:?}");
            }
            assert!(ChatKinds::default().take(chat), "{chat}");
        }
    }

    #[test]
    fn what_is_refused_names_what_would_be_accepted() {
        let set = ChatKinds::check(["group", "person", "group"]).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["person","group"]"#);
        let text = "must be an array of at least one of \"person\", \"group\"";
        for (words, more) in [
            (&[] as &[&str], ""),
            (&["person", "groups"], "; \"groups\" is none of them"),
        ] {
            let refusal = ChatKinds::check(words.iter().copied()).unwrap_err();
            assert_eq!((refusal.field, refusal.message), ("chats", format!("{text}{more}")));
        }
    }
}

//! Who is who: numbers where they are known, hidden ids else.

use std::collections::HashMap;

use whatsapp_rust::wacore::types::message::{MessageInfo, MessageSource};
use whatsapp_rust::wacore_binary::{Jid, JidExt, Server};
use whatsapp_rust::waproto::whatsapp::MessageKey;

use super::told::Party;

/// Whose hidden id is whose number, as far as it was looked up; and this account's own number.
#[derive(Debug, Default)]
pub(crate) struct People<'a> {
    pub(super) own: &'a str,
    known: HashMap<String, String>,
}

impl<'o> People<'o> {
    /// Nobody but this account, by its number in digits.
    pub(crate) fn new(own: &'o str) -> Self {
        Self {
            own,
            known: HashMap::new(),
        }
    }

    /// Adds whose number a hidden id is; both in digits.
    pub(crate) fn know(&mut self, hidden: &str, number: &str) {
        self.known.insert(hidden.to_owned(), number.to_owned());
    }

    /// What a receiver is shown for a JID: the number where it is known, else what [`by_itself`] says.
    pub(crate) fn shown(&self, jid: &Jid) -> String {
        self.number_of(jid).map_or_else(|| by_itself(jid), str::to_owned)
    }

    /// The number of a hidden id, where it is known.
    pub(super) fn number_of(&self, jid: &Jid) -> Option<&str> {
        let known = self.known.get(jid.user_base()).filter(|_| is_hidden(jid));
        known.map(String::as_str)
    }

    /// What a receiver is shown for a hidden id whose number is not known.
    pub(crate) fn hidden(&self, jid: &Jid) -> Option<String> {
        let is_unknown = is_hidden(jid) && self.number_of(jid).is_none();
        is_unknown.then(|| by_itself(jid))
    }
}

/// What a JID is shown as for itself: the digits of a person, who has a number or a hidden id; all of it of whatever else
/// there is (a group, a bot, a channel, a broadcast list), whose digits are no number.
pub(crate) fn by_itself(jid: &Jid) -> String {
    match bare(jid) {
        person if matches!(person.server, Server::Pn | Server::Lid) => person.user_base().to_owned(),
        other => other.to_string(),
    }
}

/// Whether a JID names an account without its number.
pub(crate) fn is_hidden(jid: &Jid) -> bool {
    matches!(jid.server, Server::Lid | Server::HostedLid)
}

/// The writer of the message that is converted.
pub(super) struct Writer<'a> {
    source: &'a MessageSource,
    /// As the key of the message has it.
    pub(super) sender: Jid,
    /// As the receiver is shown it.
    pub(super) from: String,
    pub(super) people: &'a People<'a>,
    /// The other one of two people, as the receiver is shown them.
    other: &'a str,
}

impl<'a> Writer<'a> {
    /// `recipient` is there if the account sent the message itself.
    pub(super) fn new(info: &'a MessageInfo, people: &'a People<'a>, recipient: Option<&'a Party>) -> Self {
        let source = &info.source;
        let sender = match recipient {
            Some(_) => Jid::pn(people.own),
            None => identity(source),
        };
        Self {
            source,
            from: people.shown(&sender),
            sender,
            people,
            other: recipient.map_or(people.own, |recipient| recipient.shown.as_str()),
        }
    }

    /// What the receiver is shown for somebody else; `None` for the writer.
    pub(super) fn other(&self, jid: &str) -> Option<String> {
        let jid: Jid = jid.parse().ok()?;
        let same = |own: &Jid| bare(own) == bare(&jid);
        if same(&self.source.sender) || self.source.sender_alt.as_ref().is_some_and(same) {
            return None;
        }
        Some(self.people.shown(&jid)).filter(|shown| *shown != self.from)
    }

    /// Who wrote the message of a key, which is as the writer sees it; `None` for the writer.
    pub(super) fn author_of(&self, key: &MessageKey) -> Option<String> {
        match author(key, self.source) {
            Author::Named(jid) => self.other(jid),
            Author::Other => Some(self.other.to_owned()),
            Author::Sender | Author::Unsaid => None,
        }
    }
}

/// Who wrote the message that a key names.
pub(crate) enum Author<'k> {
    /// Whoever sent the message that the key is in.
    Sender,
    /// The one with this JID.
    Named(&'k str),
    /// The other one of two people.
    Other,
    /// Nobody says.
    Unsaid,
}

/// Who wrote the message of a key in a message from `source`: the key is as that one's sender sees it.
pub(crate) fn author<'k>(key: &'k MessageKey, source: &MessageSource) -> Author<'k> {
    match (key.from_me, key.participant.as_deref()) {
        (Some(true), _) => Author::Sender,
        (_, Some(participant)) => Author::Named(participant),
        (_, None) if source.chat.is_group() => Author::Unsaid,
        (_, None) => Author::Other,
    }
}

/// The sender as the key has it: by number where the stanza gives it, without device.
pub(crate) fn identity(source: &MessageSource) -> Jid {
    let sender = bare(&source.sender);
    let alternative = source
        .sender_alt
        .as_ref()
        .map(bare)
        .filter(|jid| jid.server == Server::Pn);
    match alternative {
        Some(number) if sender.server == Server::Lid => number,
        _ => sender,
    }
}

/// The account of a device, on one of the two servers that name accounts.
pub(crate) fn bare(jid: &Jid) -> Jid {
    match jid.server {
        Server::Pn | Server::Hosted | Server::Legacy => Jid::pn(jid.user_base()),
        Server::Lid | Server::HostedLid => Jid::lid(jid.user_base()),
        _ => jid.to_non_ad(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_a_number_is_shown_as_one() {
        let mut people = People::new("5511999999999");
        people.know("100000012345678", "5511888888888");
        for (jid, shown, hidden) in [
            ("5511888888888:3@s.whatsapp.net", "5511888888888", None),
            ("5511888888888:99@hosted", "5511888888888", None),
            ("5511888888888@c.us", "5511888888888", None),
            ("100000012345678:3@lid", "5511888888888", None),
            ("100000087654321:3@lid", "100000087654321", Some("100000087654321")),
            (
                "100000087654321:99@hosted.lid",
                "100000087654321",
                Some("100000087654321"),
            ),
            // Somebody's digits on another server are nobody's number.
            ("100000012345678@bot", "100000012345678@bot", None),
            ("867051314767696@bot", "867051314767696@bot", None),
            ("120363000000000001@g.us", "120363000000000001@g.us", None),
            ("120363000000000002@newsletter", "120363000000000002@newsletter", None),
            ("1699999999@broadcast", "1699999999@broadcast", None),
            ("status@broadcast", "status@broadcast", None),
            ("1234@msgr", "1234@msgr", None),
        ] {
            let jid: Jid = jid.parse().unwrap();
            assert_eq!(people.shown(&jid), shown, "{jid}");
            assert_eq!(people.hidden(&jid).as_deref(), hidden, "{jid}");
        }
    }
}

//! Where a message goes, and what a phone remembers of one.

use std::sync::Arc;

use wacore_binary::Jid;
use waproto::buffa::Message as _;
use waproto::whatsapp::Message;

use super::{Account, Group};

/// A conversation, seen by one who writes into it.
#[derive(Clone)]
pub(crate) enum Chat {
    /// With another account, or with oneself.
    Person(Arc<Account>),
    /// With the members of a group.
    Group(Arc<Group>),
    /// Status updates, for all contacts: everybody on this network.
    Status,
}

impl Chat {
    /// Its address; a person's hidden one.
    pub(crate) fn jid(&self) -> Jid {
        match self {
            Self::Person(account) => account.lid_jid(),
            Self::Group(group) => group.jid(),
            Self::Status => Jid::status_broadcast(),
        }
    }

    /// How the admin routes name it: a number, or a group's address.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Person(account) => account.phone.clone(),
            Self::Group(_) | Self::Status => self.jid().to_string(),
        }
    }
}

/// A message that a phone sent or received, kept for devices that could not decrypt it, and for what refers to it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The chat by the name that the admin routes give it.
    pub(crate) chat: Arc<str>,
    /// The number of the account that sent it.
    pub(crate) author: Arc<str>,
    /// The encoded message.
    pub(crate) encoded: Arc<[u8]>,
    /// Unix seconds.
    pub(crate) timestamp: u64,
    /// The name that its sender showed, if not the account's.
    pub(crate) push_name: Option<Arc<str>>,
}

impl Known {
    /// Whether its chat is a place where many read.
    pub(crate) fn is_for_many(&self) -> bool {
        ["@g.us", "@broadcast"].iter().any(|place| self.chat.ends_with(place))
    }

    /// The message; `None` if its bytes are none.
    pub(crate) fn message(&self) -> Option<Message> {
        Message::decode_from_slice(&self.encoded).ok()
    }
}

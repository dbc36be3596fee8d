//! What is learned of messages that went out, what of it is news to a receiver of `message.status`, and the event of that.
//!
//! A message's row decides: a status is told when the row reaches it. Of a group's message each member tells of
//! themselves, which one row cannot hold, and of what the account's phone sent there is no row: those are told as they are
//! heard, and the events that were told before say what is old news ([`IncomingMessage::keys_beyond`]).

use super::{News, Progress, Recipient, STATUS, SendStatus};
use crate::{
    ConnectionKey, IncomingMessage, MessageKind, Timestamp,
    message::{Details, Group, Happening},
};

/// Something that was learned of messages of one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// WhatsApp's ids.
    pub message_ids: Vec<String>,
    /// What was learned of each of them.
    pub news: News,
    /// When it happened, by WhatsApp's clock where it says so.
    pub at: Timestamp,
    /// Where, as far as that was looked up: events need it, rows do not.
    pub place: Option<Place>,
}

/// Where a message went, as its events say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The chat's id: the same as that of the chat's messages.
    pub chat: String,
    /// Whom it went to: a number, a hidden id in digits, or the id of a group.
    pub to: String,
    /// The hidden id in digits, if `to` is one.
    pub to_lid: Option<String>,
    /// The group.
    pub group: Option<Group>,
    /// Which member of the group tells, or who of those that got a status update.
    pub participant: Option<String>,
}

impl Place {
    /// As the message itself says.
    pub fn of(to: &Recipient) -> Self {
        let id = to.jid();
        let group = to.is_group().then(|| Group {
            id: id.clone(),
            subject: None,
        });
        Self {
            to: match to {
                Recipient::Number(number) => number.as_str().to_owned(),
                Recipient::Hidden(digits) => digits.as_ref().to_owned(),
                Recipient::Group(_) | Recipient::Status => id.clone(),
            },
            to_lid: match to {
                Recipient::Hidden(digits) => Some(digits.as_ref().to_owned()),
                Recipient::Number(_) | Recipient::Group(_) | Recipient::Status => None,
            },
            chat: id,
            group,
            participant: None,
        }
    }
}

/// A message's row, as far as what is told of it depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// Whom it went to, as the client named them.
    pub to: &'a Recipient,
    /// The chat that its events lie in; `None` as long as neither WhatsApp has named it nor anything was told.
    pub chat: Option<&'a str>,
    /// Its progress before this news.
    pub before: &'a Progress,
    /// Its progress after it.
    pub after: &'a Progress,
}

/// A step of a message: what a receiver of `message.status` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// The number that sent it.
    pub key: ConnectionKey,
    /// WhatsApp's id of it.
    pub message_id: String,
    /// Where it stands now, or with this member of the group.
    pub status: SendStatus,
    /// Why it failed: WhatsApp's code, or one of [`super::code`].
    pub error_code: Option<String>,
    /// The same for people.
    pub error: Option<String>,
    /// When that happened.
    pub at: Timestamp,
    /// The chat, and in a group the member who tells.
    pub place: Place,
}

impl Told {
    /// What is to be told of a message without a row, which the account sent from another device: what receivers say. Nobody is
    /// told of the status updates that it posts there.
    pub fn of_unrecorded(&self, key: &ConnectionKey, message_id: &str) -> Option<StatusChange> {
        let status = self.news.of_receiver()?;
        let place = self.place.clone().filter(|place| place.chat != STATUS)?;
        Some(self.change(key, message_id, status, place))
    }

    /// What is to be told of a message with a row, in its order.
    pub fn of_recorded(&self, key: &ConnectionKey, message_id: &str, row: &Recorded<'_>) -> Vec<StatusChange> {
        let Recorded { to, before, after, .. } = *row;
        let place = self.place_of(row);
        let step = |status, place| self.change(key, message_id, status, place);
        let mut changes = Vec::new();
        // What a device has the server had before, also if its own word comes later.
        if before.status == SendStatus::Queued && after.status > SendStatus::Sent {
            let participant = None;
            changes.push(step(
                SendStatus::Sent,
                Place {
                    participant,
                    ..place.clone()
                },
            ));
        }
        match (self.news.of_receiver(), &place.participant) {
            // Each member for themselves, however far others have come.
            (Some(status), Some(_)) => changes.push(step(status, place)),
            (Some(_), None) if to.is_for_many() => {}
            _ if (after.status, &after.error_code) == (before.status, &before.error_code) => {}
            _ => changes.push(StatusChange {
                error_code: after.error_code.clone(),
                error: after.error.clone(),
                ..step(after.status, place)
            }),
        }
        changes
    }

    /// The chat that a message's row keeps after this: all that is told of one message lies in one chat, or its steps
    /// would overtake each other. WhatsApp may name it otherwise later (a number that it knows under other digits, a
    /// hidden id whose number became known).
    pub fn chat_of(&self, row: &Recorded<'_>) -> Option<String> {
        let is_told = row.after.status != row.before.status;
        let known = row.chat.is_some() || self.place.is_some() || is_told;
        known.then(|| self.place_of(row).chat)
    }

    /// Where a message with a row is told of.
    fn place_of(&self, row: &Recorded<'_>) -> Place {
        let itself = Place::of(row.to);
        let mut place = match &self.place {
            Some(place) => Place {
                to: itself.to,
                to_lid: itself.to_lid,
                ..place.clone()
            },
            None => itself,
        };
        if let Some(chat) = row.chat {
            place.chat = chat.to_owned();
        }
        place
    }

    fn change(&self, key: &ConnectionKey, message_id: &str, status: SendStatus, place: Place) -> StatusChange {
        StatusChange {
            key: key.clone(),
            message_id: message_id.to_owned(),
            status,
            error_code: None,
            error: None,
            at: self.at,
            place,
        }
    }
}

impl StatusChange {
    /// The event.
    pub fn event(&self) -> IncomingMessage {
        let Place {
            chat,
            to,
            to_lid,
            group,
            participant,
        } = self.place.clone();
        let number = &self.key.phone_number;
        let happening = Happening::Status {
            to,
            to_lid,
            status: self.status,
            code: self.error_code.clone(),
            participant,
        };
        IncomingMessage {
            chat,
            sender: Recipient::Number(number.clone()).jid(),
            message_id: self.message_id.clone(),
            from: number.as_str().to_owned(),
            timestamp: self.at,
            kind: MessageKind::Unknown,
            content: self.words(),
            details: Some(Box::new(Details {
                happening: Some(happening),
                group,
                ..Details::default()
            })),
        }
    }

    fn words(&self) -> String {
        let words = match self.status {
            SendStatus::Queued => "Queued",
            SendStatus::Sent => "Sent",
            SendStatus::Delivered => "Delivered",
            SendStatus::Read => "Read",
            SendStatus::Played => "Played",
            SendStatus::Failed => "It was not sent",
        };
        match (&self.error_code, &self.error) {
            // WhatsApp's codes are numbers.
            (Some(code), _) if code.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("WhatsApp refused the message ({code})")
            }
            (_, Some(error)) => error.clone(),
            _ => words.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;

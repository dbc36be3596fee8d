//! What is learned of messages that went out, what of it is news to a receiver of `message.status`, and the event of that.
//!
//! A message's row decides: a status is told when the row reaches it. Of a group's message each member tells of
//! themselves, which one row cannot hold, and of what the account's phone sent there is no row: those are told as they are
//! heard, and the events that were told before say what is old news ([`IncomingMessage::keys_beyond`]).

use super::{News, Progress, Recipient, SendStatus};
use crate::{
    ConnectionKey, IncomingMessage, MessageKind, Timestamp,
    message::{Details, Group, Happening},
};

/// Something that was learned of messages of one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// WhatsApp's ids.
    pub message_ids: Vec<String>,
    /// What.
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
    /// The group.
    pub group: Option<Group>,
    /// Which member of the group tells.
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
                Recipient::Group(_) => id.clone(),
            },
            chat: id,
            group,
            participant: None,
        }
    }
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
    /// Where.
    pub place: Place,
}

impl Told {
    /// What is to be told of a message without a row, which the account sent from another device: what receivers say.
    pub fn of_unrecorded(&self, key: &ConnectionKey, message_id: &str) -> Option<StatusChange> {
        let status = self.news.of_receiver()?;
        Some(self.change(key, message_id, status, self.place.clone()?))
    }

    /// What is to be told of a message to `to` whose row went from `before` to `after`, in its order.
    pub fn of_recorded(
        &self,
        key: &ConnectionKey,
        message_id: &str,
        to: &Recipient,
        (before, after): (&Progress, &Progress),
    ) -> Vec<StatusChange> {
        let itself = Place::of(to);
        let place = match &self.place {
            Some(place) => Place {
                to: itself.to,
                ..place.clone()
            },
            None => itself,
        };
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
            (Some(_), None) if to.is_group() => {}
            _ if (after.status, &after.error_code) == (before.status, &before.error_code) => {}
            _ => changes.push(StatusChange {
                error_code: after.error_code.clone(),
                error: after.error.clone(),
                ..step(after.status, place)
            }),
        }
        changes
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
            group,
            participant,
        } = self.place.clone();
        let number = &self.key.phone_number;
        let happening = Happening::Status {
            to,
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
mod tests {
    use super::*;
    use crate::{ClientId, outgoing::code};

    fn key() -> ConnectionKey {
        ConnectionKey {
            client_id: ClientId(1),
            phone_number: "5511888888888".parse().unwrap(),
        }
    }

    fn told(news: News, place: Option<Place>) -> Told {
        Told {
            message_ids: vec!["A".into()],
            news,
            at: Timestamp(7000),
            place,
        }
    }

    fn heard(chat: &str, participant: Option<&str>) -> Place {
        Place {
            chat: chat.into(),
            to: "somebody".into(),
            group: None,
            participant: participant.map(Into::into),
        }
    }

    /// What is told of each news in turn: the status, and the member.
    fn story(to: &str, all: &[(News, Option<Place>)]) -> Vec<(SendStatus, Option<String>)> {
        let to: Recipient = to.parse().unwrap();
        let mut progress = Progress::default();
        let mut steps = Vec::new();
        for (news, place) in all {
            let after = progress
                .learn(news, Timestamp(7000))
                .unwrap_or_else(|| progress.clone());
            let told = told(news.clone(), place.clone());
            steps.extend(told.of_recorded(&key(), "A", &to, (&progress, &after)));
            progress = after;
        }
        let told = steps.into_iter().map(|step| (step.status, step.place.participant));
        told.collect()
    }

    #[test]
    fn a_rows_steps_are_told_once_in_their_order() {
        use SendStatus::{Delivered, Failed, Read, Sent};
        let chat = || Some(heard("1@s.whatsapp.net", None));
        let to = |all: &[(News, Option<Place>)]| {
            let steps = story("5511999999999", all);
            steps.into_iter().map(|(status, _)| status).collect::<Vec<_>>()
        };
        let (sent, delivered, read) = ((News::Sent, None), (News::Delivered, chat()), (News::Read, chat()));
        assert_eq!(
            to(&[
                (News::Started, None),
                sent.clone(),
                delivered.clone(),
                delivered.clone(),
                read.clone()
            ]),
            [Sent, Delivered, Read]
        );
        // The receiver was heard before the server's word was written.
        assert_eq!(to(&[delivered.clone(), sent.clone()]), [Sent, Delivered]);
        assert_eq!(to(&[sent.clone(), read.clone(), delivered.clone()]), [Sent, Read]);
        let unknown = (News::failed(code::UNKNOWN, "no answer"), None);
        assert_eq!(to(&[unknown.clone(), delivered]), [Failed, Delivered]);
        assert_eq!(to(&[unknown.clone(), sent.clone(), sent.clone()]), [Failed, Sent]);
        let refused = (News::failed("463", "no"), None);
        assert_eq!(
            to(&[unknown.clone(), refused.clone(), unknown, refused]),
            [Failed, Failed],
            "for sure now"
        );
        assert_eq!(to(&[sent, (News::failed("463", "no"), None)]), [Sent, Failed]);
    }

    #[test]
    fn each_member_of_a_group_tells_of_themselves() {
        let of = |news, who| (news, Some(heard("1@g.us", Some(who))));
        let told = story(
            "1@g.us",
            &[
                of(News::Delivered, "a"),
                (News::Sent, None),
                of(News::Read, "a"),
                of(News::Delivered, "b"),
                // Nobody wanted to know who.
                (News::Read, None),
            ],
        );
        let told: Vec<(SendStatus, Option<&str>)> =
            told.iter().map(|(status, who)| (*status, who.as_deref())).collect();
        use SendStatus::{Delivered, Read, Sent};
        assert_eq!(
            told,
            [
                (Sent, None),
                (Delivered, Some("a")),
                (Read, Some("a")),
                (Delivered, Some("b"))
            ]
        );
    }

    #[test]
    fn of_what_the_phone_sent_receivers_tell_and_nobody_else() {
        let place = || Some(heard("1@s.whatsapp.net", None));
        let of = |news, place| told(news, place).of_unrecorded(&key(), "A");
        let read = of(News::Read, place()).unwrap();
        assert_eq!(
            (read.status, read.place),
            (SendStatus::Read, heard("1@s.whatsapp.net", None))
        );
        assert_eq!(of(News::Read, None), None, "nobody looked where");
        for other in [News::Sent, News::Started, News::failed("463", "no")] {
            assert_eq!(of(other, place()), None);
        }
    }

    #[test]
    fn an_event_is_in_the_chat_that_was_heard_and_to_whom_the_client_named() {
        let to: Recipient = "5511999999999".parse().unwrap();
        let step = |told: Told, status| {
            let after = Progress {
                status,
                error_code: Some("expired".into()).filter(|_| status == SendStatus::Failed),
                error: Some("it waited".into()).filter(|_| status == SendStatus::Failed),
                ..Progress::default()
            };
            let mut steps = told.of_recorded(&key(), "A", &to, (&Progress::default(), &after));
            steps.remove(0).event()
        };
        let heard = step(
            told(News::Sent, Some(heard("551199999999@s.whatsapp.net", None))),
            SendStatus::Sent,
        );
        assert_eq!(heard.chat, "551199999999@s.whatsapp.net");
        assert_eq!(heard.happening().and_then(Happening::to), Some("5511999999999"));
        let failed = step(told(News::failed("expired", "it waited"), None), SendStatus::Failed);
        assert_eq!(failed.chat, "5511999999999@s.whatsapp.net");
        assert_eq!(
            failed.payload(ClientId(1), &key().phone_number),
            r#"{"client_id":1,"message_id":"A","from":"5511888888888","to":"5511999999999","timestamp":"1970-01-01T00:00:07Z","type":"failed","content":"it waited","event":"message.status","status":"failed","code":"expired"}"#
        );
        let hidden = Place::of(&"100000000000007@lid".parse().unwrap());
        assert_eq!(
            (hidden.chat.as_str(), hidden.to.as_str()),
            ("100000000000007@lid", "100000000000007")
        );
        assert_eq!(Place::of(&"1@g.us".parse().unwrap()).group.unwrap().id, "1@g.us");
    }
}

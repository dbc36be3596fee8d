//! The row of a message that is waited for: what its stanza said, as far as a report or the message itself need it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wharf_domain::Timestamp;
use wharf_store::{AwaitedId, AwaitedMessage};
use whatsapp_rust::chrono::DateTime;
use whatsapp_rust::wacore::types::{
    events::{DecryptFailMode, UnavailableType, UndecryptableMessage},
    message::{MessageInfo, MessageSource},
};
use whatsapp_rust::wacore_binary::Jid;

/// What is in the row beside its key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    /// Unix seconds.
    sent_at: i64,
    /// The sender's JID by the other of number and hidden id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sender_alt: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    push_name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    ephemeral_seconds: Option<u32>,
    is_group: bool,
    /// Whether the account sent it itself.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    is_from_me: bool,
    /// The number of whom it was sent to, where `chat` is a hidden id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    recipient: Option<String>,
    /// Whether it changes another message.
    is_change: bool,
}

impl Head {
    /// What the stanza of a message said. `is_change`: that it changes another one.
    pub(super) fn of(info: &MessageInfo, is_change: bool) -> Self {
        Self {
            sent_at: info.timestamp.timestamp(),
            sender_alt: info.source.sender_alt.as_ref().map(ToString::to_string),
            push_name: info.push_name.clone(),
            ephemeral_seconds: info.ephemeral_expiration,
            is_group: info.source.is_group,
            is_from_me: info.source.is_from_me,
            recipient: recipient_of(info).map(ToString::to_string),
            is_change,
        }
    }

    pub(super) fn is_change(&self) -> bool {
        self.is_change
    }

    /// The same again.
    pub(super) fn info(self, id: &AwaitedId) -> Option<MessageInfo> {
        Some(MessageInfo {
            source: MessageSource {
                chat: id.chat.parse().ok()?,
                sender: id.sender.parse().ok()?,
                sender_alt: self.sender_alt.map(|jid| jid.parse()).transpose().ok()?,
                is_group: self.is_group,
                is_from_me: self.is_from_me,
                recipient_alt: self.recipient.map(|jid| jid.parse()).transpose().ok()?,
                ..MessageSource::default()
            },
            id: id.message_id.clone(),
            push_name: self.push_name,
            timestamp: DateTime::from_timestamp(self.sent_at, 0)?,
            ephemeral_expiration: self.ephemeral_seconds,
            ..MessageInfo::default()
        })
    }
}

/// What a message is called in its row.
pub(crate) fn id(info: &MessageInfo) -> AwaitedId {
    AwaitedId {
        message_id: info.id.clone(),
        chat: info.source.chat.to_string(),
        sender: info.source.sender.to_string(),
    }
}

/// The row of a message; `None` if it cannot be written down.
pub(super) fn of(lost: &UndecryptableMessage, due_at: Timestamp) -> Option<AwaitedMessage> {
    let info = &lost.info;
    let head = Head::of(info, lost.decrypt_fail_mode == DecryptFailMode::Hide);
    Some(AwaitedMessage {
        id: id(info),
        head: serde_json::to_string(&head).ok()?,
        due_at,
    })
}

/// The other of number and hidden id of whom a message of the account itself was sent to.
pub(crate) fn recipient_of(info: &MessageInfo) -> Option<&Jid> {
    info.source.recipient_alt.as_ref().or(info.peer_recipient_pn.as_ref())
}

/// The message of a row; `None` if it does not read as one of ours.
pub(super) fn read(row: &AwaitedMessage) -> Option<UndecryptableMessage> {
    let head: Head = serde_json::from_str(&row.head).ok()?;
    let mode = match head.is_change {
        true => DecryptFailMode::Hide,
        false => DecryptFailMode::Show,
    };
    let info = head.info(&row.id)?;
    let lost = UndecryptableMessage::builder()
        .info(Arc::new(info))
        .is_unavailable(false)
        .unavailable_type(UnavailableType::Unknown)
        .decrypt_fail_mode(mode);
    Some(lost.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_the_stanza_said() {
        let info = MessageInfo {
            source: MessageSource {
                chat: "120363000000000001@g.us".parse().unwrap(),
                sender: "100000000000007:12@lid".parse().unwrap(),
                sender_alt: Some("5511888888888@s.whatsapp.net".parse().unwrap()),
                is_group: true,
                is_from_me: true,
                recipient_alt: Some("5511999999999@s.whatsapp.net".parse().unwrap()),
                ..MessageSource::default()
            },
            id: "3EB0A1".into(),
            push_name: "Ana".into(),
            timestamp: DateTime::from_timestamp(1_762_352_580, 0).unwrap(),
            ephemeral_expiration: Some(86_400),
            ..MessageInfo::default()
        };
        for mode in [DecryptFailMode::Show, DecryptFailMode::Hide] {
            let lost = UndecryptableMessage::builder()
                .info(Arc::new(info.clone()))
                .is_unavailable(false)
                .unavailable_type(UnavailableType::Unknown)
                .decrypt_fail_mode(mode)
                .build();
            let row = of(&lost, Timestamp(7)).unwrap();
            let again = read(&row).unwrap();
            assert_eq!(format!("{again:?}"), format!("{lost:?}"));
            assert_eq!(of(&again, Timestamp(7)), Some(row));
        }
        let strange = AwaitedMessage {
            id: id(&info),
            head: "{}".into(),
            due_at: Timestamp(7),
        };
        assert!(read(&strange).is_none());
    }
}

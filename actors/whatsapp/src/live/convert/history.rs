//! Messages of the history that the phone sends after linking.

use whatsapp_rust::wacore::types::message::{EditAttribute, MessageInfo, MessageSource};
use whatsapp_rust::wacore_binary::{Jid, JidExt};
use whatsapp_rust::waproto::whatsapp::{Conversation, WebMessageInfo};

/// The chat that a piece of history is of.
pub(crate) struct Chat {
    jid: Jid,
    /// The same person by the other of number and hidden id.
    alternative: Option<Jid>,
    /// Its name, for a group.
    pub(crate) subject: Option<String>,
    pub(crate) is_group: bool,
}

impl Chat {
    /// `None` for a chat without an id that can be read.
    pub(crate) fn of(conversation: &Conversation) -> Option<Self> {
        // Whatever status updates a history has are over, or nearly.
        let jid: Jid = conversation
            .id
            .parse()
            .ok()
            .filter(|jid: &Jid| !jid.is_status_broadcast())?;
        let is_group = jid.is_group();
        let other = if jid.is_lid() {
            &conversation.pn_jid
        } else {
            &conversation.lid_jid
        };
        Some(Self {
            alternative: other
                .as_ref()
                .filter(|_| !is_group)
                .and_then(|other| other.parse().ok()),
            subject: conversation.name.clone().filter(|name| is_group && !name.is_empty()),
            is_group,
            jid,
        })
    }

    /// Its id.
    pub(crate) fn jid(&self) -> &Jid {
        &self.jid
    }
}

/// What a stanza would have said of a message of the history. `own` is the account: its number, and its hidden id where that is known.
pub(crate) fn info_of(chat: &Chat, message: &WebMessageInfo, own: &(Jid, Option<Jid>)) -> Option<MessageInfo> {
    let key = message.key.as_option()?;
    let is_from_me = key.from_me == Some(true);
    let seconds = i64::try_from(message.message_timestamp?).ok()?;
    let participant = message.participant.as_ref().or(key.participant.as_ref());
    let other = || chat.alternative.clone();
    let (sender, sender_alt, recipient_alt) =
        match participant.filter(|_| chat.is_group || chat.jid.is_broadcast_list()) {
            Some(participant) => (participant.parse().ok()?, other(), None),
            None if is_from_me => (own.0.clone(), own.1.clone(), other()),
            None => (chat.jid.clone(), other(), None),
        };
    Some(MessageInfo {
        source: MessageSource {
            chat: chat.jid.clone(),
            sender,
            sender_alt,
            recipient_alt,
            is_from_me,
            is_group: chat.is_group,
            ..MessageSource::default()
        },
        id: key.id.clone().filter(|id| !id.is_empty())?,
        push_name: message.push_name.clone().unwrap_or_default(),
        timestamp: whatsapp_rust::chrono::DateTime::from_timestamp(seconds, 0)?,
        // Which the history leaves out.
        edit: message
            .message
            .as_option()
            .and_then(EditAttribute::infer_from_message)
            .unwrap_or_default(),
        ephemeral_expiration: message.ephemeral_duration,
        ..MessageInfo::default()
    })
}

//! What could not be opened because the message that it is about is waited for: written down as it came, and opened with the
//! secret of that message when it has come.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use wharf_store::AwaitedId;
use whatsapp_rust::features::message_edit::{
    SecretEncKind, decrypt_secret_encrypted, extract_secret_encrypted, rewrap_as_legacy_edit,
};
use whatsapp_rust::wacore::{
    msg_secret::EDIT_PROCESSING_WINDOW_SECS,
    proto_helpers::MessageExt as _,
    types::message::{EditAttribute, MessageInfo},
};
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::waproto::{
    codec::{message_decode, message_to_vec},
    whatsapp::Message,
};

use super::row::{Head, id};

/// A message as it came.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(flatten)]
    id: AwaitedId,
    head: Head,
    /// In the protocol's own form, in base64.
    message: String,
}

/// Writes a message down; `None` if it cannot be.
pub(crate) fn write(info: &MessageInfo, message: &Message) -> Option<Vec<u8>> {
    let written = Written {
        id: id(info),
        head: Head::of(info, info.edit == EditAttribute::MessageEdit),
        message: STANDARD.encode(message_to_vec(message)),
    };
    serde_json::to_vec(&written).ok()
}

/// The message again; `None` if it does not read as one of ours.
pub(crate) fn read(written: &[u8]) -> Option<(MessageInfo, Message)> {
    let written: Written = serde_json::from_slice(written).ok()?;
    let is_edit = written.head.is_change();
    let mut info = written.head.info(&written.id)?;
    if is_edit {
        info.edit = EditAttribute::MessageEdit;
    }
    let message = message_decode(&STANDARD.decode(written.message).ok()?).ok()?;
    Some((info, message))
}

/// A message that others are about, and who wrote it by each of their ids.
pub(crate) struct Target<'m> {
    pub(crate) info: &'m MessageInfo,
    pub(crate) message: &'m Message,
    pub(crate) authors: &'m [Jid],
}

/// What is in a message that was written by somebody (`writers`, by each of their ids) about another one and encrypted with that
/// one's secret, as the client gives what it opens itself. `None`: it is not so encrypted, or not with that secret, or WhatsApp's
/// apps would not heed it.
pub(crate) fn open(info: &MessageInfo, sealed: &Message, writers: &[Jid], target: &Target<'_>) -> Option<Message> {
    let envelope = extract_secret_encrypted(sealed)?;
    let context = target.message.message_context_info.as_option()?;
    let secret = context
        .message_secret
        .as_deref()
        .filter(|_| !target.message.is_forwarded())?;
    if envelope.kind == SecretEncKind::MessageEdit {
        let is_author = writers.iter().any(|writer| target.authors.contains(writer));
        let late = info.timestamp.timestamp() - target.info.timestamp.timestamp();
        if !is_author || late >= EDIT_PROCESSING_WINDOW_SECS {
            return None;
        }
    }
    let authors = target.authors.iter();
    let mut pairs = authors.flat_map(|author| writers.iter().map(move |writer| (author, writer)));
    let mut opened = pairs.find_map(|(author, writer)| {
        let (payload, iv) = (envelope.enc_payload, envelope.enc_iv);
        decrypt_secret_encrypted(payload, iv, secret, envelope.kind, &target.info.id, author, writer).ok()
    })?;
    match envelope.kind {
        SecretEncKind::MessageEdit => rewrap_as_legacy_edit(opened),
        SecretEncKind::EncReaction => {
            // In it is only what was reacted with.
            let reaction = opened.reaction_message.as_option_mut()?;
            *reaction.key.get_or_insert_default() = envelope.target_message_key.clone();
            Some(opened)
        }
        _ => Some(opened),
    }
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::buffa::MessageField;
    use whatsapp_rust::chrono::DateTime;
    use whatsapp_rust::wacore::{
        message_edit::{MessageEditContext, encrypt_message_edit},
        types::message::MessageSource,
    };
    use whatsapp_rust::waproto::whatsapp::{
        MessageContextInfo, MessageKey,
        message::{
            ProtocolMessage, SecretEncryptedMessage, protocol_message::Type, secret_encrypted_message::SecretEncType,
        },
    };

    use super::*;

    const ANA: &str = "100000000000007@lid";
    const SECRET: [u8; 32] = [7; 32];
    const SENT_AT: i64 = 1_762_352_580;

    fn info(id: &str, sent_at: i64) -> MessageInfo {
        MessageInfo {
            source: MessageSource {
                chat: ANA.parse().unwrap(),
                sender: ANA.parse().unwrap(),
                ..MessageSource::default()
            },
            id: id.into(),
            timestamp: DateTime::from_timestamp(sent_at, 0).unwrap(),
            edit: EditAttribute::MessageEdit,
            ..MessageInfo::default()
        }
    }

    fn key() -> MessageField<MessageKey> {
        MessageField::some(MessageKey {
            id: Some("A".into()),
            ..MessageKey::default()
        })
    }

    /// An edit of the message A, written by Ana.
    fn edit() -> Message {
        let inner = Message {
            protocol_message: MessageField::some(ProtocolMessage {
                key: key(),
                r#type: Some(Type::MESSAGE_EDIT),
                edited_message: MessageField::some(Message {
                    conversation: Some("better".into()),
                    ..Message::default()
                }),
                ..ProtocolMessage::default()
            }),
            ..Message::default()
        };
        let context = MessageEditContext {
            original_msg_id: "A",
            original_sender_jid: ANA,
            editor_jid: ANA,
        };
        let (payload, iv) = encrypt_message_edit(&inner, &SECRET, &context).unwrap();
        Message {
            secret_encrypted_message: MessageField::some(SecretEncryptedMessage {
                target_message_key: key(),
                enc_payload: Some(payload),
                enc_iv: Some(iv.to_vec()),
                secret_enc_type: Some(SecretEncType::MESSAGE_EDIT),
                ..SecretEncryptedMessage::default()
            }),
            ..Message::default()
        }
    }

    fn with_secret(secret: &[u8]) -> Message {
        Message {
            conversation: Some("good".into()),
            message_context_info: MessageField::some(MessageContextInfo {
                message_secret: Some(secret.to_vec()),
                ..MessageContextInfo::default()
            }),
            ..Message::default()
        }
    }

    #[test]
    fn what_is_written_down_is_read_as_it_came() {
        let (info, message) = (info("E", SENT_AT), edit());
        let (read_info, read_message) = read(&write(&info, &message).unwrap()).unwrap();
        assert_eq!(format!("{read_info:?}"), format!("{info:?}"));
        assert_eq!(message_to_vec(&read_message), message_to_vec(&message));
        assert!(read(b"{}").is_none());
    }

    #[test]
    fn an_edit_is_opened_with_the_secret_of_its_authors_message_and_in_time() {
        let [ana, other]: [Jid; 2] = [ANA, "100000000000008@lid"].map(|jid| jid.parse().unwrap());
        let opened = |edited_after: i64, secret: &[u8], author: &Jid| {
            let target = Target {
                info: &info("A", SENT_AT),
                message: &with_secret(secret),
                authors: std::slice::from_ref(author),
            };
            let writers = std::slice::from_ref(&ana);
            open(&info("E", SENT_AT + edited_after), &edit(), writers, &target)
        };
        let edit = opened(1199, &SECRET, &ana).unwrap();
        let edited = &edit.protocol_message.as_option().unwrap().edited_message;
        assert_eq!(edited.as_option().unwrap().conversation.as_deref(), Some("better"));
        assert!(opened(1200, &SECRET, &ana).is_none(), "too late");
        assert!(opened(1, &[8; 32], &ana).is_none(), "another secret");
        assert!(opened(1, &SECRET, &other).is_none(), "what another one wrote");
    }
}

//! What refers to an earlier message: reactions, votes, edits, deletions.

use wacore::message_edit::{MessageEditContext, encrypt_message_edit};
use wacore::poll::{compute_option_hash, encrypt_poll_vote_with_secret};
use waproto::buffa::MessageField;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::secret_encrypted_message::SecretEncType;
use waproto::whatsapp::message::{
    PollEncValue, PollUpdateMessage, ProtocolMessage, ReactionMessage, SecretEncryptedMessage,
};
use waproto::whatsapp::{Message, MessageKey};

use super::content::{EditContent, PollVoteContent, ReactionContent, RevokeContent};
use super::{Scene, context_of};
use crate::NetworkError;
use crate::state::{Account, Chat, Known};

/// The key of an earlier message. One that the phone does not know is taken for the other side's.
fn key(scene: &Scene<'_>, id: &str) -> MessageKey {
    let author = author(scene, id);
    let own = author.as_deref() == Some(scene.sender.phone.as_str());
    let participant = match scene.chat {
        Chat::Person(_) => None,
        Chat::Group(_) | Chat::Status => author.and_then(|phone| lid(scene, &phone)),
    };
    MessageKey {
        remote_jid: Some(scene.chat.jid().to_string()),
        from_me: Some(own),
        id: Some(id.to_owned()),
        participant,
    }
}

fn author(scene: &Scene<'_>, id: &str) -> Option<String> {
    match (scene.sender.known(id), scene.chat) {
        (Some(known), _) => Some(known.author.to_string()),
        (None, Chat::Person(other)) => Some(other.phone.clone()),
        (None, Chat::Group(_) | Chat::Status) => None,
    }
}

fn lid(scene: &Scene<'_>, phone: &str) -> Option<String> {
    let account = scene.world.account(phone).ok()?;
    Some(account.lid_jid().to_string())
}

/// A reaction.
pub(super) fn reaction(scene: &Scene<'_>, content: &ReactionContent) -> Message {
    let reaction = ReactionMessage {
        key: MessageField::some(key(scene, &content.message_id)),
        text: Some(content.emoji.clone()),
        sender_timestamp_ms: Some(scene.now_ms),
        ..Default::default()
    };
    Message {
        reaction_message: MessageField::some(reaction),
        ..Default::default()
    }
}

/// A vote, encrypted under the poll's secret.
///
/// # Errors
/// [`NetworkError::NotFound`] if the phone does not know the poll, [`NetworkError::Invalid`] if the poll has no such
/// option.
pub(super) fn poll_vote(scene: &Scene<'_>, content: &PollVoteContent) -> Result<Message, NetworkError> {
    let (known, poll) = known(scene.sender, &content.message_id)?;
    let secret = secret(&poll, &content.message_id)?;
    let options = options(&poll);
    if let Some(unknown) = content.options.iter().find(|option| !options.contains(option)) {
        let detail = format!("options: {unknown:?} is none of the poll's, which are {options:?}");
        return Err(NetworkError::Invalid(detail));
    }
    let hashes: Vec<_> = content
        .options
        .iter()
        .map(|option| compute_option_hash(option).to_vec())
        .collect();
    let creator = lid(scene, &known.author).unwrap_or_default();
    let voter = scene.sender.lid_jid().to_string();
    let (payload, iv) = encrypt_poll_vote_with_secret(&hashes, secret, &content.message_id, &creator, &voter)
        .map_err(|error| NetworkError::Internal(format!("cannot encrypt the vote: {error}")))?;
    let update = PollUpdateMessage {
        poll_creation_message_key: MessageField::some(key(scene, &content.message_id)),
        vote: MessageField::some(PollEncValue {
            enc_payload: Some(payload),
            enc_iv: Some(iv.to_vec()),
        }),
        sender_timestamp_ms: Some(scene.now_ms),
        ..Default::default()
    };
    Ok(Message {
        poll_update_message: MessageField::some(update),
        ..Default::default()
    })
}

/// The options of a poll, whichever field it stands in.
pub(crate) fn options(message: &Message) -> Vec<String> {
    let poll = [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
        &message.poll_creation_message_v5,
    ]
    .into_iter()
    .find_map(|poll| poll.as_option());
    let options = poll.map(|poll| poll.options.as_slice()).unwrap_or_default();
    options.iter().filter_map(|option| option.option_name.clone()).collect()
}

/// Another text for an earlier message, or another caption.
///
/// # Errors
/// [`NetworkError::NotFound`] if it is to be encrypted and the phone does not know the message.
pub(super) fn edit(scene: &Scene<'_>, content: &EditContent) -> Result<Message, NetworkError> {
    let original = known(scene.sender, &content.message_id).map(|(_, message)| message);
    let edited = original
        .as_ref()
        .ok()
        .and_then(|original| with_caption(original.clone(), &content.text))
        .unwrap_or_else(|| Message {
            conversation: Some(content.text.clone()),
            ..Default::default()
        });
    let target = own_key(scene, &content.message_id);
    let inner = Message {
        protocol_message: MessageField::some(ProtocolMessage {
            key: MessageField::some(target.clone()),
            r#type: Some(Type::MESSAGE_EDIT),
            edited_message: MessageField::some(edited),
            timestamp_ms: Some(scene.now_ms),
            ..Default::default()
        }),
        ..Default::default()
    };
    if !content.encrypted {
        return Ok(inner);
    }
    let original = original?;
    let sender = scene.sender.lid_jid().to_string();
    let context = MessageEditContext {
        original_msg_id: &content.message_id,
        original_sender_jid: &sender,
        editor_jid: &sender,
    };
    let (payload, iv) = encrypt_message_edit(&inner, secret(&original, &content.message_id)?, &context)
        .map_err(|error| NetworkError::Internal(format!("cannot encrypt the edit: {error}")))?;
    let envelope = SecretEncryptedMessage {
        target_message_key: MessageField::some(target),
        enc_payload: Some(payload),
        enc_iv: Some(iv.to_vec()),
        secret_enc_type: Some(SecretEncType::MESSAGE_EDIT),
        ..Default::default()
    };
    Ok(Message {
        secret_encrypted_message: MessageField::some(envelope),
        ..Default::default()
    })
}

fn with_caption(mut message: Message, caption: &str) -> Option<Message> {
    message.message_context_info = MessageField::default();
    if let Some(context) = context_of(&mut message) {
        *context = MessageField::default();
    }
    let caption = Some(caption.to_owned());
    if let Some(image) = message.image_message.as_option_mut() {
        image.caption = caption;
    } else if let Some(video) = message.video_message.as_option_mut() {
        video.caption = caption;
    } else if let Some(document) = message.document_message.as_option_mut() {
        document.caption = caption;
    } else {
        return None;
    }
    Some(message)
}

/// The key of a message that the phone sent, whether it still knows it or not.
fn own_key(scene: &Scene<'_>, id: &str) -> MessageKey {
    MessageKey {
        remote_jid: Some(scene.chat.jid().to_string()),
        from_me: Some(true),
        id: Some(id.to_owned()),
        participant: None,
    }
}

/// A deletion for everyone: of the phone's own message, or of somebody else's as an admin.
pub(super) fn revoke(scene: &Scene<'_>, content: &RevokeContent) -> Message {
    let known = scene.sender.known(&content.message_id);
    let foreign = known.is_some_and(|known| *known.author != *scene.sender.phone);
    let target = if foreign {
        key(scene, &content.message_id)
    } else {
        own_key(scene, &content.message_id)
    };
    Message {
        protocol_message: MessageField::some(ProtocolMessage {
            key: MessageField::some(target),
            r#type: Some(Type::REVOKE),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn known(sender: &Account, id: &str) -> Result<(Known, Message), NetworkError> {
    sender
        .known(id)
        .and_then(|known| Some((known.clone(), known.message()?)))
        .ok_or_else(|| NetworkError::NotFound(format!("message_id: {} knows no message {id}", sender.phone)))
}

/// The secret of an earlier message of the sender's, if it had one.
pub(super) fn secret_of(scene: &Scene<'_>, id: &str) -> Option<Vec<u8>> {
    let (_, message) = known(scene.sender, id).ok()?;
    secret(&message, id).map(<[u8]>::to_vec).ok()
}

fn secret<'a>(message: &'a Message, id: &str) -> Result<&'a [u8], NetworkError> {
    message
        .message_context_info
        .as_option()
        .and_then(|info| info.message_secret.as_deref())
        .ok_or_else(|| NetworkError::Conflict(format!("message {id} was sent without a secret")))
}

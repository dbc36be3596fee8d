//! The history that a phone hands to its devices: what it sent and received, packed as WhatsApp's phones do it, laid into
//! the media store and named in a message of the phone to itself.

use std::collections::BTreeMap;

use wacore::download::MediaType;
use wacore::upload::encrypt_media;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{HistorySyncNotification, HistorySyncType, ProtocolMessage};
use waproto::whatsapp::{
    Conversation, HistorySync, HistorySyncMsg, Message, MessageKey, PhoneNumberToLIDMapping, Pushname, WebMessageInfo,
    history_sync,
};

use super::phone::to_own_device;
use crate::state::{Account, Chat, Known, World};
use crate::{NetworkError, clock};

/// The most that one block of a deflate stream holds when nothing is compressed.
const BLOCK: usize = 0xFFFF;
/// Adler-32 counts in this.
const ADLER: u32 = 65_521;

/// The phone hands its history to all its devices; returns how many messages are in it.
///
/// # Errors
/// [`NetworkError::NotFound`] if the account does not exist, [`NetworkError::Internal`] if it cannot be encrypted.
pub(crate) async fn share_history(world: &World, phone: &str) -> Result<usize, NetworkError> {
    let account = world.account(phone)?;
    let history = history(world, &account);
    let count = history.conversations.iter().map(|chat| chat.messages.len()).sum();
    let packed = zlib_stored(&history.encode_to_vec());
    let length = packed.len() as u64;
    let sealed = encrypt_media(&packed, MediaType::History)
        .map_err(|error| NetworkError::Internal(format!("cannot encrypt the history: {error}")))?;
    let notification = HistorySyncNotification {
        file_sha256: Some(sealed.file_sha256.to_vec()),
        file_enc_sha256: Some(sealed.file_enc_sha256.to_vec()),
        file_length: Some(length),
        media_key: Some(sealed.media_key.to_vec()),
        direct_path: Some(world.media.put(sealed.data_to_upload).direct_path),
        sync_type: Some(HistorySyncType::INITIAL_BOOTSTRAP),
        chunk_order: Some(1),
        progress: Some(100),
        ..Default::default()
    };
    let message = Message {
        protocol_message: MessageField::some(ProtocolMessage {
            r#type: Some(Type::HISTORY_SYNC_NOTIFICATION),
            history_sync_notification: MessageField::some(notification),
            ..Default::default()
        }),
        ..Default::default()
    };
    for device in account.devices() {
        to_own_device(&account, &device, &message).await?;
    }
    Ok(count)
}

fn history(world: &World, account: &Account) -> HistorySync {
    let mut chats: BTreeMap<String, Conversation> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (id, known) in account.all_known() {
        let Some((chat, info)) = entry(world, account, &id, &known) else {
            continue;
        };
        if let Ok(author) = world.account(&known.author) {
            names.insert(author.lid_jid().to_string(), author.name().to_string());
        }
        let conversation = chats
            .entry(chat.clone())
            .or_insert_with(|| conversation(world, account, chat, &known));
        conversation.conversation_timestamp = Some(known.timestamp);
        conversation.messages.push(HistorySyncMsg {
            message: MessageField::some(info),
            msg_order_id: Some(conversation.messages.len() as u64 + 1),
        });
    }
    let people = world.accounts();
    let numbers = people
        .iter()
        .filter(|person| names.contains_key(&person.lid_jid().to_string()));
    let numbers = numbers.map(|person| PhoneNumberToLIDMapping {
        pn_jid: Some(person.pn_jid().to_string()),
        lid_jid: Some(person.lid_jid().to_string()),
    });
    HistorySync {
        phone_number_to_lid_mappings: numbers.collect(),
        sync_type: history_sync::HistorySyncType::INITIAL_BOOTSTRAP,
        conversations: chats.into_values().collect(),
        pushnames: names
            .into_iter()
            .map(|(id, name)| Pushname {
                id: Some(id),
                pushname: Some(name),
            })
            .collect(),
        chunk_order: Some(1),
        progress: Some(100),
        ..Default::default()
    }
}

/// A chat without its messages: a person's by hidden address with the number beside it, a group's with its name.
fn conversation(world: &World, account: &Account, id: String, known: &Known) -> Conversation {
    let (name, number) = match world.chat(&known.chat) {
        Ok(Chat::Group(group)) => (Some(group.charter().subject.clone()), None),
        Ok(Chat::Person(other)) if *known.author == *account.phone => (None, Some(other.pn_jid())),
        _ => (None, world.account(&known.author).ok().map(|author| author.pn_jid())),
    };
    // What WhatsApp gave the phone for the other side, to show that they know each other.
    let trusted = number.as_ref().and_then(|number| world.resolve(number));
    let trusted = trusted.map(|other| other.token().to_vec());
    Conversation {
        id,
        name,
        tc_token_timestamp: trusted.as_ref().map(|_| clock::now_s()),
        tc_token: trusted,
        pn_jid: number.map(|number| number.to_string()),
        ..Default::default()
    }
}

/// A message as histories have it, and the address of its chat.
fn entry(world: &World, account: &Account, id: &str, known: &Known) -> Option<(String, WebMessageInfo)> {
    let from_me = *known.author == *account.phone;
    let author = world.account(&known.author).ok()?.lid_jid().to_string();
    let (chat, participant) = match world.chat(&known.chat).ok()? {
        Chat::Group(group) => (group.jid().to_string(), Some(author)),
        // The chat of a message is with the other side, whoever wrote it.
        Chat::Person(other) if from_me => (other.lid_jid().to_string(), None),
        Chat::Person(_) => (author, None),
        // Histories have status updates apart.
        Chat::Status => return None,
    };
    let info = WebMessageInfo {
        key: MessageField::some(MessageKey {
            remote_jid: Some(chat.clone()),
            from_me: Some(from_me),
            id: Some(id.to_owned()),
            participant: participant.clone(),
        }),
        message: MessageField::some(known.message()?),
        message_timestamp: Some(known.timestamp),
        participant,
        push_name: known.push_name.as_deref().map(str::to_owned),
        ..Default::default()
    };
    Some((chat, info))
}

/// A zlib stream that compresses nothing; every reader of zlib takes it.
fn zlib_stored(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(BLOCK).peekable();
    if blocks.peek().is_none() {
        stream.extend([1, 0, 0, 0xFF, 0xFF]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % ADLER;
        b = (b + a) % ADLER;
    }
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore_binary::zlib_pool::decompress_zlib_pooled;

    #[test]
    fn what_is_packed_is_unpacked() {
        for length in [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            assert_eq!(decompress_zlib_pooled(&zlib_stored(&bytes), 1 << 20).unwrap(), bytes);
        }
    }
}

//! What a phone puts into a message, and what it reads out of one.

use rand::Rng as _;
use wacore::messages::MessageUtils;
use waproto::buffa::MessageField;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId, AppStateSyncKeyShare,
    DeviceSentMessage, ProtocolMessage,
};

/// A plain text.
pub(crate) fn text_message(text: &str) -> Message {
    Message {
        conversation: Some(text.to_owned()),
        ..Default::default()
    }
}

/// The copy of a message for the sender's own devices.
pub(crate) fn own_copy(to: String, message: Message) -> Message {
    Message {
        device_sent_message: MessageField::some(DeviceSentMessage {
            destination_jid: Some(to),
            message: MessageField::some(message),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The text of a message, if it is one.
pub(crate) fn text_of(padded: &[u8]) -> Option<String> {
    let mut message = wacore::messages::decode_plaintext(padded, 2).ok()?;
    message.conversation.take().or_else(|| {
        message
            .extended_text_message
            .into_option()
            .and_then(|extended| extended.text)
    })
}

/// Encodes and pads, ready to be sealed.
pub(crate) fn pad(message: &Message) -> Vec<u8> {
    MessageUtils::encode_and_pad(message)
}

/// The share of a fresh app-state key; a client waits for one after pairing.
pub(crate) fn app_state_key_share(timestamp: i64) -> Message {
    let mut key_data = vec![0; 32];
    rand::rng().fill_bytes(&mut key_data);
    let mut key_id = vec![0; 6];
    rand::rng().fill_bytes(&mut key_id[2..]);
    let key = AppStateSyncKey {
        key_id: MessageField::some(AppStateSyncKeyId { key_id: Some(key_id) }),
        key_data: MessageField::some(AppStateSyncKeyData {
            key_data: Some(key_data),
            fingerprint: MessageField::some(AppStateSyncKeyFingerprint {
                raw_id: Some(1),
                current_index: Some(0),
                device_indexes: vec![0],
            }),
            timestamp: Some(timestamp),
        }),
    };
    Message {
        protocol_message: MessageField::some(ProtocolMessage {
            r#type: Some(Type::APP_STATE_SYNC_KEY_SHARE),
            app_state_sync_key_share: MessageField::some(AppStateSyncKeyShare { keys: vec![key] }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

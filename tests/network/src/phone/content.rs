//! What a phone puts into a message, and what it reads out of one.

use wacore::messages::MessageUtils;
use waproto::buffa::MessageField;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId, AppStateSyncKeyShare,
    ProtocolMessage, SenderKeyDistributionMessage,
};

/// Encodes and pads, ready to be sealed.
pub(crate) fn pad(message: &Message) -> Vec<u8> {
    MessageUtils::encode_and_pad(message)
}

/// The sender key of a group, for one device that is to read the group.
pub(crate) fn sender_key_share(group: String, key: Vec<u8>) -> Message {
    Message {
        sender_key_distribution_message: MessageField::some(SenderKeyDistributionMessage {
            group_id: Some(group),
            axolotl_sender_key_distribution_message: Some(key),
        }),
        ..Default::default()
    }
}

/// The share of the app-state key; a client waits for it after pairing.
pub(crate) fn app_state_key_share(id: &[u8], data: &[u8], timestamp: i64) -> Message {
    let key = AppStateSyncKey {
        key_id: MessageField::some(AppStateSyncKeyId {
            key_id: Some(id.to_vec()),
        }),
        key_data: MessageField::some(AppStateSyncKeyData {
            key_data: Some(data.to_vec()),
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

//! What a device asks its own phone: a message that it could not read, or keys that it does not have.

use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::message::peer_data_operation_request_response_message::PeerDataOperationResult;
use waproto::whatsapp::message::peer_data_operation_request_response_message::peer_data_operation_result::PlaceholderMessageResendResponse;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    PeerDataOperationRequestMessage, PeerDataOperationRequestResponseMessage, PeerDataOperationRequestType,
    ProtocolMessage,
};
use waproto::whatsapp::{Message, MessageKey, WebMessageInfo};

use super::phone::{share_keys, to_own_device};
use crate::state::{Account, Chat, Device, World};

/// The phone answers, unless it is off or does not know the kind of question.
pub(super) async fn answer(world: &World, account: &Account, device: &Device, id: &str, message: &Message) {
    let Some(asked) = message
        .protocol_message
        .as_option()
        .filter(|_| account.answers_devices())
    else {
        return;
    };
    if asked.app_state_sync_key_request.is_set() {
        return share_keys(account, device).await;
    }
    let Some(request) = asked.peer_data_operation_request_message.as_option() else {
        return;
    };
    let kind = request.peer_data_operation_request_type;
    if !kind.is_some_and(|kind| kind == PeerDataOperationRequestType::PLACEHOLDER_MESSAGE_RESEND) {
        tracing::debug!(?kind, "the phone does not answer this");
        return;
    }
    let answer = Message {
        protocol_message: MessageField::some(ProtocolMessage {
            r#type: Some(Type::PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE),
            peer_data_operation_request_response_message: MessageField::some(resent(world, account, id, request)),
            ..Default::default()
        }),
        ..Default::default()
    };
    if let Err(error) = to_own_device(account, device, &answer).await {
        tracing::warn!(device = %device.pn, %error, "the phone's answer cannot be encrypted");
    }
}

/// The messages that are asked for, as far as the phone has them: of one that it does not have it sends the key alone.
fn resent(
    world: &World,
    account: &Account,
    id: &str,
    request: &PeerDataOperationRequestMessage,
) -> PeerDataOperationRequestResponseMessage {
    let asked = request.placeholder_message_resend_request.iter();
    let results = asked.filter_map(|one| {
        let info = copy(world, account, one.message_key.as_option()?);
        Some(PeerDataOperationResult {
            placeholder_message_resend_response: MessageField::some(PlaceholderMessageResendResponse {
                web_message_info_bytes: Some(info.encode_to_vec()),
            }),
            ..Default::default()
        })
    });
    PeerDataOperationRequestResponseMessage {
        peer_data_operation_request_type: Some(PeerDataOperationRequestType::PLACEHOLDER_MESSAGE_RESEND),
        stanza_id: Some(id.to_owned()),
        peer_data_operation_result: results.collect(),
    }
}

/// The phone's copy of a message. Phones name a chat with a person by the number here, whatever the question named.
fn copy(world: &World, account: &Account, key: &MessageKey) -> WebMessageInfo {
    let mut info = WebMessageInfo {
        key: MessageField::some(key.clone()),
        ..Default::default()
    };
    let id = key.id.as_deref().unwrap_or_default();
    let Some(known) = account.known(id) else {
        return info;
    };
    let from_me = *known.author == *account.phone;
    let chat = match world.chat(&known.chat) {
        Ok(Chat::Person(other)) if from_me => other.pn_jid().to_string(),
        Ok(Chat::Person(_)) => match world.account(&known.author) {
            Ok(author) => author.pn_jid().to_string(),
            Err(_) => return info,
        },
        Ok(many) => many.jid().to_string(),
        Err(_) => return info,
    };
    info.key = MessageField::some(MessageKey {
        remote_jid: Some(chat),
        from_me: Some(from_me),
        id: Some(id.to_owned()),
        participant: key.participant.clone(),
    });
    info.message = known.message().map_or_else(MessageField::default, MessageField::some);
    info.message_timestamp = Some(known.timestamp);
    info.push_name = known.push_name.as_deref().map(str::to_owned);
    info
}

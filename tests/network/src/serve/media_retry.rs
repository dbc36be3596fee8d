//! Files that WhatsApp's hosts do not have any more: a device asks the account's phone, which has them, to lay them down
//! once more and to say where. Both sides encrypt under the file's own key, so the server learns nothing.

use rand::Rng as _;
use wacore::crypto::hkdf_sha256_into;
use wacore::media_retry::decrypt_media_retry_notification;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wacore_libsignal::crypto::aes_256_gcm_encrypt;
use waproto::buffa::Message as _;
use waproto::whatsapp::media_retry_notification::ResultType;
use waproto::whatsapp::{MediaRetryNotification, ServerErrorReceipt};

use crate::clock;
use crate::reading;
use crate::state::{Account, Chat, Device, World};
use crate::wire::stanza::{attr, bytes_node, child_array, child_bytes, jid_attr};

/// What the key for questions and answers is derived with.
const PURPOSE: &[u8] = b"WhatsApp Media Retry Notification";
/// WhatsApp's codes of answers without a file.
const NOT_FOUND: u32 = 2;
const UNREADABLE: u32 = 3;

/// Whether a receipt of a device asks for a file.
pub(super) fn is_request(receipt: &Node) -> bool {
    attr(receipt, "type").as_deref() == Some("server-error") && receipt.get_optional_child("rmr").is_some()
}

/// The phone answers, unless it is off.
pub(super) fn answer(world: &World, account: &Account, device: &Device, receipt: &Node) {
    let (Some(id), Some(about)) = (attr(receipt, "id"), receipt.get_optional_child("rmr")) else {
        return;
    };
    if !account.answers_devices() {
        return;
    }
    let said = match lay_again(world, account, &id, receipt, about) {
        Ok(said) => said,
        Err(code) => NodeBuilder::new("error").attr("code", code).build(),
    };
    let notification = NodeBuilder::new("notification")
        .attr("from", account.pn_jid())
        .attr("id", &*id)
        .attr("type", "mediaretry")
        .attr("t", clock::now_s())
        .children([said, about.clone()]);
    device.deliver(notification.build(), 1);
}

/// Lays the file down; returns where, encrypted.
fn lay_again(world: &World, account: &Account, id: &str, receipt: &Node, about: &Node) -> Result<Node, u32> {
    let known = account.known(id).ok_or(NOT_FOUND)?;
    // A phone looks a message up by all that names it: of its own messages and of others' there may be one of an id each.
    let own = *known.author == *account.phone;
    if attr(about, "from_me").as_deref() != Some(if own { "true" } else { "false" }) {
        return Err(NOT_FOUND);
    }
    let author = world.account(&known.author).map_err(|_| NOT_FOUND)?;
    let chat = match world.chat(&known.chat).map_err(|_| NOT_FOUND)? {
        // The chat of a message is with the other side, whoever wrote it.
        Chat::Person(_) if !own => author.lid_jid(),
        chat => chat.jid(),
    };
    // By the names that the stanza had, and no others.
    if jid_attr(about, "jid") != Some(chat)
        || known.is_for_many() && jid_attr(about, "participant") != Some(author.lid_jid())
    {
        return Err(NOT_FOUND);
    }
    let message = known.message().ok_or(NOT_FOUND)?;
    let file = reading::file_of(&message).ok_or(NOT_FOUND)?;
    let (key, path) = file.key.zip(file.direct_path).ok_or(NOT_FOUND)?;
    let asked = receipt.get_optional_child("encrypt").ok_or(UNREADABLE)?;
    let iv: [u8; 12] = child_array(asked, "enc_iv").ok_or(UNREADABLE)?;
    let sealed = child_bytes(asked, "enc_p").ok_or(UNREADABLE)?;
    let question = decrypt_media_retry_notification(&key, id, &iv, sealed).map_err(|_| UNREADABLE)?;
    let question = ServerErrorReceipt::decode_from_slice(&question).map_err(|_| UNREADABLE)?;
    if question.stanza_id.as_deref() != Some(id) {
        return Err(UNREADABLE);
    }
    let place = world.media.lay_again(&path).ok_or(NOT_FOUND)?;
    let answer = MediaRetryNotification {
        stanza_id: Some(id.to_owned()),
        direct_path: Some(place),
        result: Some(ResultType::SUCCESS),
        ..Default::default()
    };
    seal(&key, id, &answer.encode_to_vec()).ok_or(UNREADABLE)
}

/// Encrypted as the device reads it: under a key derived from the file's, bound to the message.
fn seal(media_key: &[u8], id: &str, plain: &[u8]) -> Option<Node> {
    let (mut key, mut iv, mut sealed) = ([0; 32], [0; 12], Vec::new());
    hkdf_sha256_into(media_key, None, PURPOSE, &mut key).ok()?;
    rand::rng().fill_bytes(&mut iv);
    aes_256_gcm_encrypt(&key, &iv, id.as_bytes(), plain, &mut sealed).ok()?;
    let parts = [bytes_node("enc_p", sealed), bytes_node("enc_iv", iv)];
    Some(NodeBuilder::new("encrypt").children(parts).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_read_under_the_files_key_and_for_that_message_only() {
        let sealed = seal(&[7; 32], "A", b"where").unwrap();
        let (iv, bytes) = (
            child_bytes(&sealed, "enc_iv").unwrap(),
            child_bytes(&sealed, "enc_p").unwrap(),
        );
        let open = |key: u8, id: &str| decrypt_media_retry_notification(&[key; 32], id, iv, bytes).ok();
        assert_eq!(open(7, "A").as_deref(), Some(&b"where"[..]));
        assert_eq!((open(8, "A"), open(7, "B")), (None, None));
    }
}

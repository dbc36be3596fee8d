//! What refers to an earlier message: reactions, votes, edits, deletions.

use serde_json::json;
use wacore::message_edit::{MessageEditContext, decrypt_secret_encrypted};
use wacore::poll::{PollVoteCiphertext, compute_option_hash, decrypt_poll_vote_with_secret};
use wacore::secret_enc_addon::ModificationType;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{PollUpdateMessage, SecretEncryptedMessage};
use waproto::whatsapp::{Message, MessageKey};

use super::{Envelope, Seen, Wraps, kinds, unwrapped};
use crate::MessageDetails;
use crate::compose::options;
use crate::state::{Account, World};

/// Reads what refers to an earlier message, and notes to which; `None` for any other message.
pub(super) fn read(
    world: &World,
    owner: &Account,
    envelope: &Envelope<'_>,
    message: &Message,
    details: &mut MessageDetails,
) -> Option<Seen> {
    if let Some(reaction) = message.reaction_message.as_option() {
        details.target = id_of(reaction.key.as_option());
        return Some(Seen::new("reaction", reaction.text.as_deref()));
    }
    if let Some(update) = message.poll_update_message.as_option() {
        details.target = id_of(update.poll_creation_message_key.as_option());
        return Some(vote(world, owner, envelope, update, details.target.as_deref()));
    }
    if let Some(secret) = message.secret_encrypted_message.as_option() {
        details.target = id_of(secret.target_message_key.as_option());
        let opened = open(owner, envelope, secret, details.target.as_deref());
        return Some(opened.as_ref().and_then(edit).unwrap_or_else(|| {
            let sealed = Seen::new("edit", None);
            sealed.with(json!({ "decrypted": false }))
        }));
    }
    let protocol = message.protocol_message.as_option()?;
    details.target = id_of(protocol.key.as_option());
    match protocol.r#type {
        Some(Type::REVOKE) => {
            let own = protocol.key.as_option().and_then(|key| key.from_me) == Some(true);
            Some(Seen::new("revoke", None).with(json!({ "as_admin": !own })))
        }
        Some(Type::MESSAGE_EDIT) => Some(edit(message).unwrap_or_else(|| Seen::new("edit", None))),
        _ => {
            details.target = None;
            None
        }
    }
}

fn id_of(key: Option<&MessageKey>) -> Option<String> {
    key.and_then(|key| key.id.clone())
}

/// The new text, or the new caption with the kind of the file.
fn edit(message: &Message) -> Option<Seen> {
    let new = message.protocol_message.as_option()?.edited_message.as_option()?;
    let new = kinds::read(unwrapped(new, &mut Wraps::default()))?;
    let seen = Seen::new("edit", Some(&new.text));
    Some(match new.kind {
        "text" => seen,
        kind => seen.with(json!({ "of": kind })),
    })
}

/// The secret of an earlier message that the phone knows.
fn secret(owner: &Account, id: &str) -> Option<(Message, Vec<u8>)> {
    let message = owner.known(id)?.message()?;
    let secret = message.message_context_info.as_option()?.message_secret.clone()?;
    Some((message, secret))
}

fn vote(
    world: &World,
    owner: &Account,
    envelope: &Envelope<'_>,
    update: &PollUpdateMessage,
    poll: Option<&str>,
) -> Seen {
    let chosen = || {
        let id = poll?;
        let creator = world.account(&owner.known(id)?.author).ok()?;
        let (poll, secret) = secret(owner, id)?;
        let vote = update.vote.as_option()?;
        let ciphertext = PollVoteCiphertext {
            enc_payload: vote.enc_payload.as_deref()?,
            enc_iv: vote.enc_iv.as_deref()?,
        };
        // Both addresses are hidden ones, or both are numbers.
        let hashes = [
            (creator.lid_jid(), envelope.sender.lid_jid()),
            (creator.pn_jid(), envelope.sender.pn_jid()),
        ]
        .into_iter()
        .find_map(|(creator, voter)| {
            decrypt_poll_vote_with_secret(ciphertext, &secret, id, &creator.to_string(), &voter.to_string()).ok()
        })?;
        let mut options = options(&poll);
        options.retain(|option| hashes.iter().any(|hash| hash.as_slice() == compute_option_hash(option)));
        Some(options)
    };
    match chosen() {
        Some(options) => {
            Seen::new("poll_vote", Some(&options.join(", "))).with(json!({ "options": options, "decrypted": true }))
        }
        None => Seen::new("poll_vote", None).with(json!({ "decrypted": false })),
    }
}

fn open(
    owner: &Account,
    envelope: &Envelope<'_>,
    sealed: &SecretEncryptedMessage,
    target: Option<&str>,
) -> Option<Message> {
    let id = target?;
    let (_, secret) = secret(owner, id)?;
    let (payload, iv) = (sealed.enc_payload.as_deref()?, sealed.enc_iv.as_deref()?);
    [envelope.sender.lid_jid(), envelope.sender.pn_jid()]
        .into_iter()
        .find_map(|jid| {
            let jid = jid.to_string();
            let context = MessageEditContext {
                original_msg_id: id,
                original_sender_jid: &jid,
                editor_jid: &jid,
            };
            decrypt_secret_encrypted(payload, iv, &secret, ModificationType::MessageEdit, &context).ok()
        })
}

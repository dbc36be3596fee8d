//! What phones send: a message of any kind to an account or a group, encrypted for every device.

use std::sync::Arc;

use wacore::messages::{MessageUtils, wrap_device_sent};
use wacore::send::{media_type_from_message, should_hide_decrypt_fail_for_send, stanza_type_from_message};
use wacore::types::message::EditAttribute;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::PreKeySignalMessage;
use waproto::buffa::Message as _;
use waproto::whatsapp::Message;

use super::message_id;
use crate::compose::{Composed, NewMessage, Scene, Unavailable, compose};
use crate::phone::{Bundle, Phone, Sealed, pad, sender_key_share};
use crate::reading::{Envelope, read};
use crate::state::{Account, Chat, Device, Group, Known, World};
use crate::wire::notification;
use crate::{FaultKind, NetworkError, SentMessage, clock};

/// A phone sends a message: to the phones and devices that it is for, and copies to the sender's own devices.
///
/// # Errors
/// [`NetworkError::NotFound`] if an account, a group or a message that is named does not exist,
/// [`NetworkError::Invalid`] if the content does not fit, [`NetworkError::Conflict`] if the account may not write to
/// the group, [`NetworkError::Internal`] if a device's keys are bad.
pub(crate) async fn send(world: &World, from: &str, to: &str, new: &NewMessage) -> Result<SentMessage, NetworkError> {
    let (sender, chat) = (world.account(from)?, world.chat(to)?);
    if let Chat::Group(group) = &chat {
        may_write(&sender, group)?;
    }
    let scene = Scene {
        world,
        sender: &sender,
        chat: &chat,
        now_ms: clock::now_ms(),
    };
    let Composed { message, media } = compose(&scene, new).await?;
    let id = new.options.id.clone().unwrap_or_else(message_id);
    let known = Known {
        chat: chat.name().into(),
        author: sender.phone.as_str().into(),
        encoded: message.encode_to_vec().into(),
        timestamp: new.options.timestamp.unwrap_or_else(clock::now_s),
        push_name: new.options.push_name.as_deref().map(Arc::from),
    };
    let letter = Letter {
        unavailable: new.options.unavailable,
        ..Letter::new(&sender, &id, &known, &message)
    };
    // Held over all devices, so that two messages reach every device in the same order.
    let mut phone = sender.signal.lock().await;
    sender.remember(&id, known.clone());
    match &chat {
        Chat::Person(recipient) => to_person(world, &mut phone, &letter, recipient).await?,
        Chat::Group(group) => to_many(world, &mut phone, &letter, (&group.jid(), world.members(group))).await?,
        Chat::Status => {
            let contacts = (&chat.jid(), world.accounts());
            to_many(world, &mut phone, &letter, contacts).await?;
        }
    }
    drop(phone);
    for reader in readers(world, &sender, &chat) {
        arrive(world, &reader, &sender, &id, &known, &message).await;
    }
    Ok(SentMessage { id, media })
}

fn may_write(sender: &Account, group: &Group) -> Result<(), NetworkError> {
    let refused = |why| NetworkError::Conflict(format!("{} may not write to {}: {why}", sender.phone, group.jid()));
    group.charter().may_write(&sender.phone).map_err(refused)
}

/// The accounts whose phones receive a message.
fn readers(world: &World, sender: &Arc<Account>, chat: &Chat) -> Vec<Arc<Account>> {
    match chat {
        // Nobody tells the sender that they are blocked.
        Chat::Person(recipient) if recipient.profile.blocks(&sender.phone) => Vec::new(),
        Chat::Person(recipient) => vec![Arc::clone(recipient)],
        Chat::Group(group) => others(world.members(group), sender),
        Chat::Status => others(world.accounts(), sender),
    }
}

fn others(mut all: Vec<Arc<Account>>, sender: &Arc<Account>) -> Vec<Arc<Account>> {
    all.retain(|account| !Arc::ptr_eq(account, sender));
    all
}

/// A message reaches a phone.
pub(super) async fn arrive(
    world: &World,
    reader: &Account,
    sender: &Account,
    id: &str,
    known: &Known,
    message: &Message,
) {
    let envelope = Envelope {
        id,
        sender,
        group: known.is_for_many().then(|| known.chat.to_string()),
        timestamp: known.timestamp,
    };
    let seen = read(world, reader, &envelope, message).await;
    if reader.phone != sender.phone {
        reader.remember(id, known.clone());
    }
    if let Some(seen) = seen {
        reader.receive(seen);
    }
}

/// What is the same for every device.
struct Letter<'a> {
    sender: &'a Account,
    id: &'a str,
    known: &'a Known,
    message: &'a Message,
    edit: Option<EditAttribute>,
    /// Why devices get no content, if they do not.
    unavailable: Option<Unavailable>,
}

impl<'a> Letter<'a> {
    fn new(sender: &'a Account, id: &'a str, known: &'a Known, message: &'a Message) -> Self {
        Self {
            sender,
            id,
            known,
            message,
            edit: EditAttribute::infer_from_message(message).filter(|edit| *edit != EditAttribute::Empty),
            unavailable: None,
        }
    }

    fn envelope(&self) -> NodeBuilder {
        let mut stanza = NodeBuilder::new("message")
            .attr("id", self.id)
            .attr("type", stanza_type_from_message(self.message))
            .attr("t", self.known.timestamp)
            .attr("notify", self.known.push_name.as_deref().unwrap_or(&self.sender.name()))
            .attr("addressing_mode", "lid");
        if let Some(edit) = &self.edit {
            stanza = stanza.attr("edit", edit.to_string_val().to_owned());
        }
        stanza
    }

    /// What stands in the place of the content, if devices are not to have it.
    fn gap(&self) -> Option<Vec<Node>> {
        let gap = NodeBuilder::new("unavailable");
        Some(match self.unavailable? {
            Unavailable::Unknown => vec![gap.build()],
            Unavailable::ViewOnce => vec![gap.attr("type", "view_once").build()],
            Unavailable::Hosted => vec![gap.attr("hosted", "true").build()],
            Unavailable::Bot => vec![gap.build(), NodeBuilder::new("bot").attr("edit", "full").build()],
        })
    }

    /// The encrypted content, marked as the wire marks its kind.
    fn enc(&self, world: &World, device: &Device, kind: &'static str, mut bytes: Vec<u8>) -> Node {
        let user = device.pn.user_base();
        if world.faults.strikes(FaultKind::Corrupt, Some(user)).is_some() {
            spoil(kind, &mut bytes);
        }
        let mut enc = NodeBuilder::new("enc").attr("v", "2").attr("type", kind);
        if let Some(media) = media_type_from_message(self.message) {
            enc = enc.attr("mediatype", media);
        }
        if should_hide_decrypt_fail_for_send(self.edit.as_ref(), self.message) {
            enc = enc.attr("decrypt-fail", "hide");
        }
        enc.bytes(bytes).build()
    }
}

/// Changes the last byte of the message's own MAC or signature. Of one that begins a session that is inside: the numbers
/// of its keys stand behind it, and with those changed it would be no message at all, which devices refuse for good.
fn spoil(kind: &str, bytes: &mut [u8]) {
    let inside = match kind {
        "pkmsg" => PreKeySignalMessage::try_from(&*bytes).ok().and_then(|message| {
            let inner = message.message().serialized();
            let place = bytes.windows(inner.len()).position(|part| part == inner)?;
            Some(place + inner.len())
        }),
        _ => None,
    };
    let last = inside.unwrap_or(bytes.len()).saturating_sub(1);
    if let Some(byte) = bytes.get_mut(last) {
        *byte ^= 0xFF;
    }
}

async fn to_person(
    world: &World,
    phone: &mut Phone,
    letter: &Letter<'_>,
    recipient: &Account,
) -> Result<(), NetworkError> {
    if recipient.phone != letter.sender.phone && !recipient.profile.blocks(&letter.sender.phone) {
        let plain = MessageUtils::pad_message_v2(letter.known.encoded.to_vec());
        let trusts = world.faults.wary(&letter.sender.phone);
        for device in recipient.devices() {
            if trusts {
                let (from, lid) = (letter.sender.pn_jid(), letter.sender.lid_jid());
                device.deliver(notification::privacy_token(from, lid, letter.sender.token()), 1);
            }
            deliver(world, phone, letter, recipient, &device, &plain).await?;
        }
    }
    let copies = letter.sender.devices();
    if !copies.is_empty() {
        let copy = pad(&own_copy(recipient, letter.message));
        for device in copies {
            deliver(world, phone, letter, recipient, &device, &copy).await?;
        }
    }
    Ok(())
}

fn own_copy(recipient: &Account, message: &Message) -> Message {
    wrap_device_sent(message.clone(), recipient.lid_jid().to_string())
}

async fn deliver(
    world: &World,
    phone: &mut Phone,
    letter: &Letter<'_>,
    recipient: &Account,
    device: &Device,
    plain: &[u8],
) -> Result<(), NetworkError> {
    let mut stanza = letter
        .envelope()
        .attr("from", letter.sender.lid_jid())
        .attr("sender_pn", letter.sender.pn_jid());
    if device.pn.user == letter.sender.phone.as_str() {
        stanza = stanza
            .attr("recipient", recipient.lid_jid())
            .attr("peer_recipient_pn", recipient.pn_jid());
    }
    let content = match letter.gap() {
        Some(gap) => gap,
        None => {
            let sealed = seal(phone, device, plain).await?;
            vec![letter.enc(world, device, sealed.kind, sealed.bytes)]
        }
    };
    post(world, device, stanza.children(content).build());
    Ok(())
}

fn post(world: &World, device: &Device, stanza: Node) {
    let times = if world.faults.duplicated(device.pn.user_base()) {
        2
    } else {
        1
    };
    device.deliver(stanza, times);
}

/// One text under the phone's sender key for all, with the key for those that do not have it yet.
async fn to_many(
    world: &World,
    phone: &mut Phone,
    letter: &Letter<'_>,
    (place, members): (&Jid, Vec<Arc<Account>>),
) -> Result<(), NetworkError> {
    let (id, own) = (place.to_string(), letter.sender.lid_jid());
    let bad = |error| NetworkError::Internal(format!("cannot encrypt for {id}: {error}"));
    let key = phone.sender_key(&id, &own).await.map_err(bad)?;
    let share = pad(&sender_key_share(id.clone(), key));
    let plain = MessageUtils::pad_message_v2(letter.known.encoded.to_vec());
    let sealed = phone.seal_group(&id, &own, &plain).await.map_err(bad)?;
    for member in members {
        for device in member.devices() {
            if let Some(gap) = letter.gap() {
                post(world, &device, many_envelope(letter, place).children(gap).build());
                continue;
            }
            let mut children = Vec::new();
            if phone.tells(&id, &device.lid) {
                let share = seal(phone, &device, &share).await?;
                children.push(
                    NodeBuilder::new("enc")
                        .attr("v", "2")
                        .attr("type", share.kind)
                        .bytes(share.bytes)
                        .build(),
                );
            }
            children.push(letter.enc(world, &device, "skmsg", sealed.clone()));
            let stanza = many_envelope(letter, place).children(children).build();
            post(world, &device, stanza);
        }
    }
    Ok(())
}

fn many_envelope(letter: &Letter<'_>, place: &Jid) -> NodeBuilder {
    letter
        .envelope()
        .attr("from", place.clone())
        .attr("participant", letter.sender.lid_jid())
        .attr("participant_pn", letter.sender.pn_jid())
}

/// Encrypts for a device, over a new session if there is none.
pub(super) async fn seal(phone: &mut Phone, device: &Device, plain: &[u8]) -> Result<Sealed, NetworkError> {
    let bad = |error| NetworkError::Internal(format!("cannot encrypt for {}: {error}", device.pn));
    if !phone.knows(&device.lid) {
        phone.meet(&device.lid, &device.bundle()).await.map_err(bad)?;
    }
    phone.seal(&device.lid, plain).await.map_err(bad)
}

/// The phone sends a message once more to a device that could not decrypt it, over a new session.
///
/// # Errors
/// [`NetworkError`] if the phone did not send it, or the device's keys are bad.
pub(super) async fn send_again(
    world: &World,
    sender: &Account,
    device: &Device,
    id: &str,
    bundle: Option<Bundle>,
) -> Result<(), NetworkError> {
    let lost = || NetworkError::NotFound(format!("{} sent no message {id}", sender.phone));
    let known = sender.sent(id).ok_or_else(lost)?;
    let message = known.message().ok_or_else(lost)?;
    let chat = world.chat(&known.chat)?;
    let letter = Letter::new(sender, id, &known, &message);
    let mut phone = sender.signal.lock().await;
    let bundle = bundle.unwrap_or_else(|| device.bundle());
    phone
        .meet(&device.lid, &bundle)
        .await
        .map_err(|error| NetworkError::Internal(format!("cannot meet {}: {error}", device.pn)))?;
    match &chat {
        Chat::Person(recipient) => {
            let message = if device.pn.user == sender.phone.as_str() {
                own_copy(recipient, &message)
            } else {
                message.clone()
            };
            deliver(world, &mut phone, &letter, recipient, device, &pad(&message)).await
        }
        Chat::Group(_) | Chat::Status => {
            let place = chat.jid();
            phone.forget_told(&place.to_string(), &device.lid);
            let sealed = seal(&mut phone, device, &pad(&message)).await?;
            let enc = letter.enc(world, device, sealed.kind, sealed.bytes);
            post(world, device, many_envelope(&letter, &place).children([enc]).build());
            Ok(())
        }
    }
}

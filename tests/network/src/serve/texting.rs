//! What phones do: send texts to every device, share keys with a new device, unlink one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::Message;

use super::message_id;
use crate::phone::{Phone, Sealed, app_state_key_share, own_copy, pad, text_message};
use crate::state::{Account, Device, Sent, World};
use crate::wire::{notification, stanza};
use crate::{NetworkError, ReceivedMessage, clock};

/// A phone sends a text to an account: to its phone, to its devices, and copies to the sender's own devices.
///
/// # Errors
/// [`NetworkError::NotFound`] if either account does not exist, [`NetworkError::Internal`] if a device's keys are bad.
pub(crate) async fn send_text(world: &World, from: &str, to: &str, text: &str) -> Result<String, NetworkError> {
    let (sender, recipient) = (world.account(from)?, world.account(to)?);
    let id = message_id();
    let sent = Sent {
        to: recipient.phone.as_str().into(),
        text: text.into(),
        timestamp: clock::now_s(),
    };
    // Held over all devices, so that two texts reach every device in the same order.
    let mut phone = sender.signal.lock().await;
    sender.remember(&id, sent.clone());
    let to_self = Arc::ptr_eq(&sender, &recipient);
    if !to_self {
        let plain = pad(&text_message(text));
        for device in recipient.devices() {
            deliver(
                world,
                &mut phone,
                &sender,
                &recipient,
                &device,
                Letter::new(&id, &sent),
                &plain,
            )
            .await?;
        }
    }
    let copies = sender.devices();
    if !copies.is_empty() {
        let copy = pad(&own_copy(recipient.lid_jid().to_string(), text_message(text)));
        for device in copies {
            deliver(
                world,
                &mut phone,
                &sender,
                &recipient,
                &device,
                Letter::new(&id, &sent),
                &copy,
            )
            .await?;
        }
    }
    drop(phone);
    recipient.receive(ReceivedMessage {
        id: id.clone(),
        from: sender.phone.clone(),
        text: text.to_owned(),
        timestamp: i64::try_from(sent.timestamp).unwrap_or(i64::MAX),
    });
    Ok(id)
}

/// What the envelope of a message says.
struct Letter<'a> {
    id: &'a str,
    timestamp: u64,
}

impl<'a> Letter<'a> {
    fn new(id: &'a str, sent: &Sent) -> Self {
        Self {
            id,
            timestamp: sent.timestamp,
        }
    }
}

async fn deliver(
    world: &World,
    phone: &mut Phone,
    sender: &Account,
    recipient: &Account,
    device: &Device,
    letter: Letter<'_>,
    plain: &[u8],
) -> Result<(), NetworkError> {
    let sealed = seal(phone, device, plain).await?;
    let mut stanza = envelope(sender, letter.id, letter.timestamp)
        .attr("sender_pn", sender.pn_jid())
        .attr("addressing_mode", "lid");
    if device.pn.user == sender.phone.as_str() {
        stanza = stanza
            .attr("recipient", recipient.lid_jid())
            .attr("peer_recipient_pn", recipient.pn_jid());
    }
    let stanza = stanza.children([enc(sealed)]).build();
    let times = if world.faults.duplicated(device.pn.user_base()) {
        2
    } else {
        1
    };
    device.deliver(stanza, times);
    Ok(())
}

async fn seal(phone: &mut Phone, device: &Device, plain: &[u8]) -> Result<Sealed, NetworkError> {
    let bad = |error| NetworkError::Internal(format!("cannot encrypt for {}: {error}", device.pn));
    if !phone.knows(&device.lid) {
        phone.meet(&device.lid, &device.bundle()).await.map_err(bad)?;
    }
    phone.seal(&device.lid, plain).await.map_err(bad)
}

fn envelope(sender: &Account, id: &str, timestamp: u64) -> NodeBuilder {
    NodeBuilder::new("message")
        .attr("from", sender.lid_jid())
        .attr("id", id)
        .attr("type", "text")
        .attr("t", timestamp)
        .attr("notify", sender.name.as_str())
}

fn enc(sealed: Sealed) -> Node {
    NodeBuilder::new("enc")
        .attr("v", "2")
        .attr("type", sealed.kind)
        .bytes(sealed.bytes)
        .build()
}

/// The phone shares an app-state key with a device that has just uploaded its prekeys. A device for which this fails
/// asks for the key itself.
pub(super) async fn share_keys(account: &Account, device: &Device) {
    let plain = pad(&app_state_key_share(clock::now_ms()));
    let mut phone = account.signal.lock().await;
    match seal(&mut phone, device, &plain).await {
        Ok(sealed) => {
            let id = message_id();
            let stanza = envelope(account, &id, clock::now_s())
                .attr("category", "peer")
                .children([enc(sealed)])
                .build();
            device.deliver(stanza, 1);
        }
        Err(error) => tracing::warn!(device = %device.pn, %error, "no app-state key shared"),
    }
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
    bundle: Option<crate::phone::Bundle>,
) -> Result<(), NetworkError> {
    let sent = sender
        .sent(id)
        .ok_or_else(|| NetworkError::NotFound(format!("{} sent no message {id}", sender.phone)))?;
    let recipient = world.account(&sent.to)?;
    let message: Message = if device.pn.user == sender.phone.as_str() {
        own_copy(recipient.lid_jid().to_string(), text_message(&sent.text))
    } else {
        text_message(&sent.text)
    };
    let mut phone = sender.signal.lock().await;
    let bundle = bundle.unwrap_or_else(|| device.bundle());
    phone
        .meet(&device.lid, &bundle)
        .await
        .map_err(|error| NetworkError::Internal(format!("cannot meet {}: {error}", device.pn)))?;
    deliver(
        world,
        &mut phone,
        sender,
        &recipient,
        device,
        Letter::new(id, &sent),
        &pad(&message),
    )
    .await
}

/// The phone unlinks a device; `false` if there is none of that number.
pub(crate) async fn unlink(world: &World, account: &Account, number: u16) -> bool {
    let Some(device) = account.unlink(number) else {
        return false;
    };
    device.close(stanza::device_removed());
    account.tell_watchers(&device, || notification::device_removed(&device.lid));
    world
        .messages_out_before
        .fetch_add(device.counts().0, Ordering::Relaxed);
    account.signal.lock().await.forget(&device.lid);
    true
}

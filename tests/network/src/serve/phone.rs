//! What phones do for their devices: share keys with a new one, unlink one.

use std::sync::atomic::Ordering;

use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::Message;

use super::message_id;
use super::sending::seal;
use crate::phone::{app_state_key_share, pad};
use crate::state::{Account, Device, World};
use crate::wire::{notification, stanza};
use crate::{NetworkError, clock};

/// The phone shares an app-state key with a device that has just uploaded its prekeys. A device for which this fails
/// asks for the key itself.
pub(super) async fn share_keys(account: &Account, device: &Device) {
    let key = &account.settings.key;
    let share = app_state_key_share(&key.id, &key.data, clock::now_ms());
    if let Err(error) = to_own_device(account, device, &share).await {
        tracing::warn!(device = %device.pn, %error, "no app-state key shared");
    }
}

/// The phone tells one of its own devices something that is in no chat.
///
/// # Errors
/// [`NetworkError::Internal`] if the device's keys are bad.
pub(super) async fn to_own_device(account: &Account, device: &Device, message: &Message) -> Result<(), NetworkError> {
    let mut phone = account.signal.lock().await;
    let sealed = seal(&mut phone, device, &pad(message)).await?;
    let enc = NodeBuilder::new("enc")
        .attr("v", "2")
        .attr("type", sealed.kind)
        .bytes(sealed.bytes)
        .build();
    let stanza = NodeBuilder::new("message")
        .attr("from", account.lid_jid())
        .attr("id", message_id())
        .attr("type", "text")
        .attr("t", clock::now_s())
        .attr("notify", &*account.name())
        .attr("category", "peer")
        .children([enc])
        .build();
    device.deliver(stanza, 1);
    Ok(())
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

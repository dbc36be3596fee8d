//! Receipts: they take messages off a device's queue, reach the sender's account, or ask for a message again.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};

use super::session::{Session, ack};
use super::{keys, media_retry, phone, sending};
use crate::phone::Bundle;
use crate::state::Device;
use crate::wire::stanza::{attr, big_endian, child_array, child_bytes, jid_attr};
use crate::{ReceiptRecord, clock};

/// After that many tries a phone gives a message up.
const RETRIES: u32 = 5;

/// Takes a receipt and acknowledges it.
pub(super) async fn handle(session: &Session, receipt: &Node) {
    let Some((account, device)) = session.device() else {
        return;
    };
    session.link.send(ack(receipt).build());
    if media_retry::is_request(receipt) {
        return media_retry::answer(&session.world, account, device, receipt);
    }
    let Some(to) = jid_attr(receipt, "to") else {
        return;
    };
    // In a group, and of a status, a receipt is for one who wrote there.
    let for_many = to.is_group() || to.is_status_broadcast();
    let group = for_many.then(|| to.clone());
    let to = if for_many {
        jid_attr(receipt, "participant").unwrap_or(to)
    } else {
        to
    };
    // A receipt for a ringing call says that the device rings.
    if receipt.get_optional_child("offer").is_some() {
        return;
    }
    let kind = attr(receipt, "type").map_or_else(|| "delivery".to_owned(), |kind| kind.into_owned());
    let ids = ids(receipt);
    if kind == "retry" {
        for id in &ids {
            retry(session, device, receipt, &to, id).await;
        }
    } else {
        for id in &ids {
            device.acknowledge(id);
        }
    }
    record(session, receipt, (&to, group), &kind, ids);
}

/// The first id, and the others of an aggregate.
fn ids(receipt: &Node) -> Vec<String> {
    let items = receipt
        .get_optional_child("list")
        .and_then(Node::children)
        .unwrap_or_default();
    std::iter::once(receipt)
        .chain(items)
        .filter_map(|node| attr(node, "id").map(|id| id.into_owned()))
        .collect()
}

/// The sender's account notes the receipt; its devices learn what WhatsApp tells them.
fn record(session: &Session, receipt: &Node, (to, group): (&Jid, Option<Jid>), kind: &str, ids: Vec<String>) {
    let (Some((account, device)), Some(sender)) = (session.device(), session.world.resolve(to)) else {
        return;
    };
    let told = matches!(kind, "delivery" | "read" | "played") && sender.phone != account.phone;
    if told {
        let mut passed_on = NodeBuilder::new("receipt").attr("t", clock::now_s());
        passed_on = match group {
            Some(group) => passed_on.attr("from", group).attr("participant", device.lid.clone()),
            None => passed_on.attr("from", device.lid.clone()),
        };
        for key in ["id", "type"] {
            if let Some(value) = receipt.attrs.get(key) {
                passed_on = passed_on.attr(key, value.clone());
            }
        }
        let passed_on = passed_on.apply_content(receipt.content.clone()).build();
        for companion in sender.devices() {
            companion.notify(passed_on.clone());
        }
    }
    let (from, at) = (device.pn.to_string(), clock::now_ms());
    for id in ids {
        sender.receipt(ReceiptRecord {
            id,
            from: from.clone(),
            to: to.to_string(),
            kind: kind.to_owned(),
            keys: receipt.get_optional_child("keys").is_some(),
            at,
        });
    }
}

/// The device could not decrypt. A phone sends again at once; another device is asked to. A message whose sender is
/// not there stays queued.
async fn retry(session: &Session, device: &Device, receipt: &Node, to: &Jid, id: &str) {
    let Some(sender) = session.world.resolve(to) else {
        return;
    };
    let count = receipt
        .get_optional_child("retry")
        .and_then(|retry| attr(retry, "count")?.parse::<u32>().ok())
        .unwrap_or(1);
    if to.device != 0 {
        if let Some(origin) = sender.device(to.device)
            && origin.view().connected
        {
            device.acknowledge(id);
            origin.notify(request_of(receipt, device));
        }
        return;
    }
    if count > RETRIES {
        tracing::warn!(id, device = %device.pn, "given up after {RETRIES} retries");
        return;
    }
    device.acknowledge(id);
    let bundle = bundle_of(receipt, device);
    if let Err(error) = sending::send_again(&session.world, &sender, device, id, bundle).await {
        tracing::debug!(id, device = %device.pn, %error, "no message to send again, so the keys are shared again");
        phone::share_keys(&sender, device).await;
    }
}

/// The request as it reaches the device that sent the message.
fn request_of(receipt: &Node, device: &Device) -> Node {
    let mut request = receipt.clone();
    request.attrs = Default::default();
    for (key, value) in receipt.attrs.iter() {
        if key != "to" {
            request.attrs.insert(key.clone(), value.clone());
        }
    }
    match jid_attr(receipt, "to").filter(|to| to.is_group() || to.is_status_broadcast()) {
        Some(group) => {
            request.attrs.insert("from", group);
            request.attrs.insert("participant", device.lid.clone());
        }
        None => request.attrs.insert("from", device.lid.clone()),
    }
    request.attrs.insert("t", clock::now_s());
    request
}

/// The bundle in a retry receipt, if the device sent one.
fn bundle_of(receipt: &Node, device: &Device) -> Option<Bundle> {
    let keys = receipt.get_optional_child("keys")?;
    Some(Bundle {
        registration_id: child_bytes(receipt, "registration")
            .and_then(big_endian)
            .unwrap_or(device.registration_id),
        identity: child_array(keys, "identity")?,
        signed: keys::signed_key(keys.get_optional_child("skey")?)?,
        one_time: keys.get_optional_child("key").and_then(keys::one_time_key),
    })
}

/// Notifications and calls are acknowledged, and so are messages that the device refuses or gets no content of, and those
/// that its own account wrote to a group; for other messages only a receipt counts.
pub(super) fn handle_ack(session: &Session, ack: &Node) {
    let Some((account, device)) = session.device() else {
        return;
    };
    let own = || jid_attr(ack, "participant").is_some_and(|author| author.user_base() == account.lid);
    let Some(id) = attr(ack, "id") else {
        return;
    };
    let counts = match attr(ack, "class").as_deref() {
        Some("notification" | "call") => true,
        Some("message") => ack.attrs.contains_key("error") || own() || device.has_gap(&id),
        _ => false,
    };
    if counts {
        device.acknowledge(&id);
    }
}

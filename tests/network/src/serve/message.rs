//! Messages that a client sends: decrypted where they are for a phone, passed on where they are for a device.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wacore::messages::{MessageUtils, decode_plaintext, unwrap_device_sent};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};
use waproto::buffa::Message as _;
use waproto::whatsapp::Message;

use super::session::{Session, ack};
use super::{group_message, peer, sending};
use crate::state::{Account, Device, Known};
use crate::wire::stanza::{attr, bytes_node, child_bytes, content, jid_attr};
use crate::{FaultKind, clock};

/// WhatsApp's refusal of a message that may not reach its recipient; here: nobody has the number, or its token is not there.
const REFUSED: u16 = 463;
/// Nobody can be written to at such an address.
const NO_SUCH_CHAT: u16 = 404;
const BAD_REQUEST: u16 = 400;

/// One encrypted copy of a message.
pub(super) struct Part<'a> {
    pub(super) to: Jid,
    pub(super) enc: &'a Node,
}

/// Takes a message, acknowledges it, and brings each copy where it belongs.
pub(super) async fn handle(session: &Session, message: &Node) {
    let Some((account, device)) = session.device() else {
        return;
    };
    let (Some(to), Some(id)) = (jid_attr(message, "to"), attr(message, "id")) else {
        session.link.send(ack(message).attr("error", BAD_REQUEST).build());
        return;
    };
    if to.is_group() {
        return group_message::handle(session, account, device, message, (&to, &id)).await;
    }
    if to.is_status_broadcast() {
        return group_message::handle_update(session, account, device, message, &id).await;
    }
    if !to.is_pn() && !to.is_lid() {
        session.link.send(ack(message).attr("error", NO_SUCH_CHAT).build());
        return;
    }
    if to.is_lid() && !account.is_lid_migrated() {
        session.link.send(ack(message).attr("error", BAD_REQUEST).build());
        return;
    }
    let Some(recipient) = session.world.resolve(&to) else {
        session.link.send(ack(message).attr("error", REFUSED).build());
        return;
    };
    if session.world.faults.wary(&recipient.phone) && child_bytes(message, "tctoken") != Some(recipient.token()) {
        session.link.send(ack(message).attr("error", REFUSED).build());
        return;
    }
    session.world.messages_in.fetch_add(1, Ordering::Relaxed);
    session.link.send(accepted(account, device, &recipient, message));
    let sending = Sending {
        session,
        account,
        device,
        recipient: &recipient,
        message,
        id: &id,
    };
    let mut parts = listed(message);
    if let Some(enc) = message.get_optional_child("enc") {
        parts.push(Part { to, enc });
    }
    for part in parts {
        sending.bring(part).await;
    }
}

/// The acknowledgement, with a hash of the devices that the message should have been for: a client whose own list
/// differs asks for the lists anew.
fn accepted(account: &Arc<Account>, device: &Device, recipient: &Arc<Account>, message: &Node) -> Node {
    let ack = ack(message);
    if message.get_optional_child("participants").is_none() {
        return ack.build();
    }
    let mut devices = vec![recipient.lid_jid(), account.lid_jid()];
    devices.extend(recipient.devices().iter().map(|other| other.lid.clone()));
    devices.extend(account.devices().iter().map(|other| other.lid.clone()));
    devices.sort_by_key(|jid| jid.to_string());
    devices.dedup();
    devices.retain(|jid| *jid != device.lid);
    match MessageUtils::participant_list_hash(&devices) {
        Ok(hash) => ack.attr("phash", hash).build(),
        Err(_) => ack.build(),
    }
}

/// The copies in `<participants>`.
pub(super) fn listed(message: &Node) -> Vec<Part<'_>> {
    let listed = message
        .get_optional_child("participants")
        .and_then(Node::children)
        .unwrap_or_default();
    listed
        .iter()
        .filter_map(|node| {
            Some(Part {
                to: jid_attr(node, "jid")?,
                enc: node.get_optional_child("enc")?,
            })
        })
        .collect()
}

struct Sending<'a> {
    session: &'a Session,
    account: &'a Arc<Account>,
    device: &'a Arc<Device>,
    recipient: &'a Arc<Account>,
    message: &'a Node,
    id: &'a str,
}

impl Sending<'_> {
    async fn bring(&self, part: Part<'_>) {
        if let (Some(kind), Some(ciphertext)) = (attr(part.enc, "type"), content(part.enc)) {
            let spent = &self.session.world.spent;
            spent.note(&self.device.lid, &part.to, &kind, ciphertext);
        }
        let Some(owner) = self.session.world.resolve(&part.to) else {
            return;
        };
        // The message is taken, and nobody gets it.
        if !Arc::ptr_eq(&owner, self.account) && owner.profile.blocks(&self.account.phone) {
            return;
        }
        if part.to.device == 0 {
            self.to_phone(&owner, part.enc).await;
        } else if let Some(device) = owner.device(part.to.device) {
            self.to_device(&owner, &device, part.enc);
        }
    }

    /// The phone decrypts. The sender's own phone remembers what its device sent.
    async fn to_phone(&self, owner: &Arc<Account>, enc: &Node) {
        let (Some(kind), Some(ciphertext)) = (attr(enc, "type"), content(enc)) else {
            return;
        };
        if self
            .session
            .world
            .faults
            .strikes(FaultKind::Deaf, Some(&owner.phone))
            .is_some()
        {
            return self.ask_again(owner).await;
        }
        let opened = owner
            .signal
            .lock()
            .await
            .open(&self.device.lid, &kind, ciphertext)
            .await;
        let plain = match opened {
            Ok(plain) => plain,
            Err(error) => {
                tracing::debug!(id = self.id, phone = owner.phone, %error, "the phone cannot decrypt");
                return self.ask_again(owner).await;
            }
        };
        let Ok(message) = decode_plaintext(&plain, 2) else {
            tracing::warn!(id = self.id, "what the device sent is no message");
            return;
        };
        if Arc::ptr_eq(owner, self.account) {
            // A request to the phone is no message of the chat; some clients wrap it as if it were.
            if attr(self.message, "category").as_deref() == Some("peer") {
                let asked = unwrap_device_sent(message);
                peer::answer(&self.session.world, owner, self.device, self.id, &asked).await;
            } else if message.device_sent_message.is_set() {
                let sent = unwrap_device_sent(message);
                owner.remember(self.id, self.known(&sent));
            }
            return;
        }
        let known = self.known(&message);
        sending::arrive(&self.session.world, owner, self.account, self.id, &known, &message).await;
        if owner.receipts_by_itself() {
            self.device.notify(self.receipt(owner).build());
        }
    }

    fn known(&self, message: &Message) -> Known {
        Known {
            chat: self.recipient.phone.as_str().into(),
            author: self.account.phone.as_str().into(),
            encoded: message.encode_to_vec().into(),
            timestamp: clock::now_s(),
            push_name: None,
        }
    }

    /// The receipt of a phone for this message.
    fn receipt(&self, owner: &Account) -> NodeBuilder {
        NodeBuilder::new("receipt")
            .attr("from", owner.lid_jid())
            .attr("id", self.id)
            .attr("t", clock::now_s())
    }

    /// The phone asks for the message once more.
    async fn ask_again(&self, owner: &Account) {
        let request = retry_request(owner, self.message, self.id).await;
        self.device
            .notify(self.receipt(owner).attr("type", "retry").children(request).build());
    }

    /// Another device gets its copy as it is, with the sender's device identity if it starts a session.
    fn to_device(&self, owner: &Arc<Account>, device: &Device, enc: &Node) {
        let mut stanza = NodeBuilder::new("message")
            .attr("from", self.device.lid.clone())
            .attr("sender_pn", self.account.pn_jid())
            .attr("addressing_mode", "lid")
            .attr("id", self.id)
            .attr(
                "type",
                attr(self.message, "type").map_or_else(|| "text".to_owned(), |kind| kind.into_owned()),
            )
            .attr("t", clock::now_s())
            .attr("notify", &*self.account.name());
        if Arc::ptr_eq(owner, self.account) {
            stanza = stanza
                .attr("recipient", self.recipient.lid_jid())
                .attr("peer_recipient_pn", self.recipient.pn_jid());
        }
        for key in ["edit", "category"] {
            if let Some(value) = attr(self.message, key) {
                stanza = stanza.attr(key, value.into_owned());
            }
        }
        let mut children = vec![enc.clone()];
        if attr(enc, "type").as_deref() == Some("pkmsg") {
            children.push(bytes_node("device-identity", self.device.signed_identity.clone()));
        }
        let times = if self.session.world.faults.duplicated(&owner.phone) {
            2
        } else {
            1
        };
        device.deliver(stanza.children(children).build(), times);
    }
}

/// What a phone that cannot decrypt asks with: a count, and keys for a new session.
pub(super) async fn retry_request(owner: &Account, message: &Node, id: &str) -> [Node; 3] {
    let bundle = owner.signal.lock().await.bundle(&owner.keys);
    let count = message
        .get_optional_child("enc")
        .and_then(|enc| attr(enc, "count")?.parse::<u8>().ok())
        .unwrap_or(0);
    let retry = NodeBuilder::new("retry")
        .attr("v", 1)
        .attr("id", id)
        .attr("t", clock::now_s())
        .attr("count", count + 1)
        .build();
    let mut keys = super::keys::bundle_nodes(&bundle, None);
    let registration = keys.remove(0);
    [retry, registration, NodeBuilder::new("keys").children(keys).build()]
}

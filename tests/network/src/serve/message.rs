//! Messages that a client sends: decrypted where they are for a phone, passed on where they are for a device.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::session::{Session, ack};
use crate::phone::text_of;
use crate::state::{Account, Device};
use crate::wire::stanza::{attr, bytes_node, content, jid_attr};
use crate::{ReceivedMessage, clock};

/// WhatsApp's refusal of a message that may not reach its recipient; here: nobody has the number.
const REFUSED: u16 = 463;
/// There are no groups to send to.
const NO_GROUP: u16 = 404;
const BAD_REQUEST: u16 = 400;

/// One encrypted copy of a message.
struct Part<'a> {
    to: Jid,
    enc: &'a Node,
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
    if !to.is_pn() && !to.is_lid() {
        session.link.send(ack(message).attr("error", NO_GROUP).build());
        return;
    }
    let Some(recipient) = session.world.resolve(&to) else {
        session.link.send(ack(message).attr("error", REFUSED).build());
        return;
    };
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
    for part in parts(message, &to) {
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

/// The copies in `<participants>`, or the one that is for `to` itself.
fn parts<'a>(message: &'a Node, to: &Jid) -> Vec<Part<'a>> {
    let listed = message
        .get_optional_child("participants")
        .and_then(Node::children)
        .unwrap_or_default();
    let mut parts: Vec<Part<'a>> = listed
        .iter()
        .filter_map(|node| {
            Some(Part {
                to: jid_attr(node, "jid")?,
                enc: node.get_optional_child("enc")?,
            })
        })
        .collect();
    if let Some(enc) = message.get_optional_child("enc") {
        parts.push(Part { to: to.clone(), enc });
    }
    parts
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
        if part.to.device == 0 {
            self.to_phone(&owner, part.enc).await;
        } else if let Some(device) = owner.device(part.to.device) {
            self.to_device(&owner, &device, part.enc);
        }
    }

    /// The phone decrypts. The sender's own phone gets copies and requests, which it only takes note of.
    async fn to_phone(&self, owner: &Arc<Account>, enc: &Node) {
        let (Some(kind), Some(ciphertext)) = (attr(enc, "type"), content(enc)) else {
            return;
        };
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
        if Arc::ptr_eq(owner, self.account) {
            return;
        }
        if let Some(text) = text_of(&plain) {
            owner.receive(ReceivedMessage {
                id: self.id.to_owned(),
                from: self.account.phone.clone(),
                text,
                timestamp: i64::try_from(clock::now_s()).unwrap_or(i64::MAX),
            });
        }
        self.device.notify(self.receipt(owner).build());
    }

    /// The receipt of a phone for this message.
    fn receipt(&self, owner: &Account) -> NodeBuilder {
        NodeBuilder::new("receipt")
            .attr("from", owner.lid_jid())
            .attr("id", self.id)
            .attr("t", clock::now_s())
    }

    /// The phone asks for the message once more, with keys for a new session.
    async fn ask_again(&self, owner: &Account) {
        let bundle = owner.signal.lock().await.bundle(&owner.keys);
        let count = attr(self.message, "retry_count")
            .and_then(|count| count.parse::<u8>().ok())
            .unwrap_or(0);
        let retry = NodeBuilder::new("retry")
            .attr("v", 1)
            .attr("id", self.id)
            .attr("t", clock::now_s())
            .attr("count", count + 1)
            .build();
        let mut keys = super::keys::bundle_nodes(&bundle, None);
        let registration = keys.remove(0);
        let children = [retry, registration, NodeBuilder::new("keys").children(keys).build()];
        self.device
            .notify(self.receipt(owner).attr("type", "retry").children(children).build());
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
            .attr("notify", self.account.name.as_str());
        if Arc::ptr_eq(owner, self.account) {
            stanza = stanza
                .attr("recipient", self.recipient.lid_jid())
                .attr("peer_recipient_pn", self.recipient.pn_jid());
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

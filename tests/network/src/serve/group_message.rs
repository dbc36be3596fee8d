//! What a client writes to a group, or posts as a status update: one text under its sender key for everybody, and the key for those
//! without it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wacore::messages::{MessageUtils, decode_plaintext};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};
use waproto::buffa::Message as _;
use waproto::whatsapp::Message;

use super::message::{listed, retry_request};
use super::sending;
use super::session::{Session, ack};
use crate::state::{Account, Device, Known};
use crate::wire::stanza::{attr, bytes_node, content, jid_attr};
use crate::{FaultKind, clock};

/// WhatsApp's refusals: no such group; not in it, only admins write, a community.
const NO_GROUP: u16 = 404;
const FORBIDDEN: u16 = 403;

/// Takes a message to a group, acknowledges it, and brings it to every member's phone and devices.
pub(super) async fn handle(
    session: &Session,
    account: &Arc<Account>,
    device: &Arc<Device>,
    message: &Node,
    (to, id): (&Jid, &str),
) {
    let Ok(group) = session.world.group(&to.to_string()) else {
        session.link.send(ack(message).attr("error", NO_GROUP).build());
        return;
    };
    if group.charter().may_write(&account.phone).is_err() {
        session.link.send(ack(message).attr("error", FORBIDDEN).build());
        return;
    }
    session.world.messages_in.fetch_add(1, Ordering::Relaxed);
    let writing = Writing {
        session,
        account,
        device,
        place: group.jid(),
        members: session.world.members(&group),
        message,
        id,
    };
    session.link.send(writing.accepted());
    // Sent again to one device that asked.
    if let Some(asker) = jid_attr(message, "participant") {
        return writing.again(&asker).await;
    }
    writing.to_all(|_| true).await;
}

/// Takes a status update, acknowledges it, and brings it to the phones and devices of those whom it names.
pub(super) async fn handle_update(
    session: &Session,
    account: &Arc<Account>,
    device: &Arc<Device>,
    message: &Node,
    id: &str,
) {
    session.world.messages_in.fetch_add(1, Ordering::Relaxed);
    let mut members: Vec<Arc<Account>> = Vec::new();
    for jid in named(message) {
        if let Some(member) = session.world.resolve(&jid)
            && !members.iter().any(|known| Arc::ptr_eq(known, &member))
            && (Arc::ptr_eq(&member, account) || !member.profile.blocks(&account.phone))
        {
            members.push(member);
        }
    }
    let writing = Writing {
        session,
        account,
        device,
        place: Jid::status_broadcast(),
        members,
        message,
        id,
    };
    session.link.send(ack(message).build());
    // What the account's phone knows already is for the one device that asked for it again.
    let is_again = account.sent(id).is_some();
    writing
        .to_all(|other| !is_again || writing.key_for(other).is_some())
        .await;
}

/// Those whom a status update is for: people, or their devices where it brings a key.
fn named(message: &Node) -> Vec<Jid> {
    let listed = message
        .get_optional_child("participants")
        .and_then(Node::children)
        .unwrap_or_default();
    listed.iter().filter_map(|node| jid_attr(node, "jid")).collect()
}

struct Writing<'a> {
    session: &'a Session,
    account: &'a Arc<Account>,
    device: &'a Arc<Device>,
    /// The group, or where status updates go.
    place: Jid,
    members: Vec<Arc<Account>>,
    message: &'a Node,
    id: &'a str,
}

impl Writing<'_> {
    /// Brings it to the phones and devices that `wanted` says yes to.
    async fn to_all(&self, wanted: impl Fn(&Jid) -> bool) {
        for member in &self.members {
            if wanted(&member.lid_jid()) {
                self.to_phone(member).await;
            }
            for other in member.devices() {
                if other.pn != self.device.pn && wanted(&other.lid) {
                    self.to_device(&other);
                }
            }
        }
    }

    /// The acknowledgement; with a hash of the devices of all members where the client's own differs.
    fn accepted(&self) -> Node {
        let ack = ack(self.message);
        let Some(theirs) = attr(self.message, "phash") else {
            return ack.build();
        };
        let mut devices = Vec::new();
        for member in &self.members {
            devices.push(member.lid_jid());
            devices.extend(member.devices().iter().map(|device| device.lid.clone()));
        }
        match MessageUtils::participant_list_hash(&devices) {
            Ok(hash) if hash != *theirs => ack.attr("phash", hash).build(),
            _ => ack.build(),
        }
    }

    /// The part of the message that is under the sender key.
    fn text(&self) -> Option<&Node> {
        self.message
            .children()?
            .iter()
            .find(|child| child.tag == "enc" && attr(child, "type").as_deref() == Some("skmsg"))
    }

    /// The key for that device, if the message brings it.
    fn key_for(&self, jid: &Jid) -> Option<&Node> {
        listed(self.message)
            .into_iter()
            .find(|part| {
                let owner = self.session.world.resolve(&part.to);
                part.to.device == jid.device && owner.is_some_and(|owner| owner.lid == jid.user_base())
            })
            .map(|part| part.enc)
    }

    async fn to_phone(&self, member: &Arc<Account>) {
        if let Some(key) = self.key_for(&member.lid_jid()) {
            self.learn(member, key).await;
        }
        let Some(ciphertext) = self.text().and_then(content) else {
            return;
        };
        let world = &self.session.world;
        let deaf =
            !Arc::ptr_eq(member, self.account) && world.faults.strikes(FaultKind::Deaf, Some(&member.phone)).is_some();
        if deaf {
            return self.ask_again(member).await;
        }
        let group = self.place.to_string();
        let opened = member
            .signal
            .lock()
            .await
            .open_group(&group, &self.device.lid, ciphertext)
            .await;
        match opened.map(|plain| decode_plaintext(&plain, 2)) {
            Ok(Ok(message)) => self.arrived(member, &message).await,
            Ok(Err(error)) => tracing::warn!(id = self.id, %error, "what the device wrote is no message"),
            Err(error) => {
                tracing::debug!(id = self.id, phone = member.phone, %error, "the phone cannot read the group");
                self.ask_again(member).await;
            }
        }
    }

    /// The phone learns the sender key of the device.
    async fn learn(&self, member: &Account, key: &Node) {
        if let Some(message) = self.open(member, key).await {
            self.take_key(member, &message).await;
        }
    }

    async fn open(&self, member: &Account, enc: &Node) -> Option<Message> {
        let (kind, ciphertext) = (attr(enc, "type")?, content(enc)?);
        let opened = member
            .signal
            .lock()
            .await
            .open(&self.device.lid, &kind, ciphertext)
            .await;
        match opened {
            Ok(plain) => decode_plaintext(&plain, 2).ok(),
            Err(error) => {
                tracing::debug!(id = self.id, phone = member.phone, %error, "the phone cannot decrypt");
                None
            }
        }
    }

    async fn take_key(&self, member: &Account, message: &Message) {
        let share = message
            .sender_key_distribution_message
            .as_option()
            .and_then(|share| share.axolotl_sender_key_distribution_message.as_deref());
        let Some(share) = share else { return };
        let group = self.place.to_string();
        let learnt = member.signal.lock().await.learn(&group, &self.device.lid, share).await;
        if let Err(error) = learnt {
            tracing::warn!(id = self.id, %error, "what the device shared is no sender key");
        }
    }

    async fn arrived(&self, member: &Arc<Account>, message: &Message) {
        let known = Known {
            chat: self.place.to_string().into(),
            author: self.account.phone.as_str().into(),
            encoded: message.encode_to_vec().into(),
            timestamp: clock::now_s(),
            push_name: None,
        };
        if Arc::ptr_eq(member, self.account) {
            return member.remember(self.id, known);
        }
        sending::arrive(&self.session.world, member, self.account, self.id, &known, message).await;
        if member.receipts_by_itself() {
            self.device.notify(self.receipt(member).build());
        }
    }

    fn receipt(&self, member: &Account) -> NodeBuilder {
        let mut receipt = NodeBuilder::new("receipt")
            .attr("from", self.place.clone())
            .attr("participant", member.lid_jid());
        if self.place.is_status_broadcast() {
            receipt = receipt.attr("participant_pn", member.pn_jid());
        }
        receipt.attr("id", self.id).attr("t", clock::now_s())
    }

    async fn ask_again(&self, member: &Account) {
        let request = retry_request(member, self.message, self.id).await;
        let receipt = self.receipt(member).attr("type", "retry").children(request);
        self.device.notify(receipt.build());
    }

    /// The message for one that asked: under its own session, with the sender key or the text itself.
    async fn again(&self, asker: &Jid) {
        let (Some(owner), Some(enc)) = (
            self.session.world.resolve(asker),
            self.message.get_optional_child("enc"),
        ) else {
            return;
        };
        if asker.device != 0 {
            if let Some(device) = owner.device(asker.device) {
                self.post(&device, vec![enc.clone()]);
            }
            return;
        }
        match self.open(&owner, enc).await {
            Some(message) => {
                self.take_key(&owner, &message).await;
                self.arrived(&owner, &message).await;
            }
            None => self.ask_again(&owner).await,
        }
    }

    fn to_device(&self, other: &Device) {
        let key = self.key_for(&other.lid).cloned();
        let children: Vec<_> = key.into_iter().chain(self.text().cloned()).collect();
        if !children.is_empty() {
            self.post(other, children);
        }
    }

    fn post(&self, other: &Device, mut children: Vec<Node>) {
        let starts = |enc: &Node| attr(enc, "type").as_deref() == Some("pkmsg");
        if children.iter().any(starts) {
            children.push(bytes_node("device-identity", self.device.signed_identity.clone()));
        }
        let mut stanza = NodeBuilder::new("message")
            .attr("from", self.place.clone())
            .attr("participant", self.device.lid.clone())
            .attr("participant_pn", self.account.pn_jid())
            .attr("addressing_mode", "lid")
            .attr("id", self.id)
            .attr("t", clock::now_s())
            .attr("notify", &*self.account.name());
        for key in ["type", "edit"] {
            if let Some(value) = attr(self.message, key) {
                stanza = stanza.attr(key, value.into_owned());
            }
        }
        let times = if self.session.world.faults.duplicated(other.pn.user_base()) {
            2
        } else {
            1
        };
        other.deliver(stanza.children(children).build(), times);
    }
}

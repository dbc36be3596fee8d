//! One client after its login: who it is, and where its stanzas go.

use std::sync::Arc;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{call, iq, message, pairing, presence, receipt};
use crate::FaultKind;
use crate::clock;
use crate::state::{Account, Device, Link, Offer, World};
use crate::wire::stanza::{attr, device_removed};

/// How many messages of a backlog are sent when the client does not say.
const BATCH: usize = 200;

/// Who a client is.
pub(super) enum Role {
    /// A device that wants to be linked.
    Newcomer(Arc<Offer>),
    /// A linked device.
    Device { account: Arc<Account>, device: Arc<Device> },
}

/// A client that was let in.
pub(super) struct Session {
    pub(super) world: Arc<World>,
    pub(super) link: Link,
    pub(super) role: Role,
}

impl Session {
    pub(super) fn new(world: Arc<World>, link: Link, role: Role) -> Self {
        Self { world, link, role }
    }

    /// The account and device, unless the client is a newcomer.
    pub(super) fn device(&self) -> Option<(&Arc<Account>, &Arc<Device>)> {
        match &self.role {
            Role::Newcomer(_) => None,
            Role::Device { account, device } => Some((account, device)),
        }
    }

    /// The first stanza: an offer to pair, or success.
    pub(super) fn greet(&self) {
        match &self.role {
            Role::Newcomer(offer) => pairing::offer(&self.world, offer),
            Role::Device { account, device } => {
                device.login(self.link.clone());
                let success = NodeBuilder::new("success")
                    .attr("t", clock::now_s())
                    .attr("lid", device.lid.clone())
                    .attr("display_name", &*account.name())
                    .attr("props", 1)
                    .attr("location", "testnet")
                    .build();
                self.link.send(success);
                // Unlinked since the login was checked: the phone's close found no link to end.
                if account.device(device.pn.device).is_none() {
                    device.close(device_removed());
                }
            }
        }
    }

    /// Takes one stanza from the client.
    pub(super) async fn handle(&self, stanza: &Node) {
        match &*stanza.tag {
            "iq" => iq::handle(self, stanza).await,
            "ib" => self.handle_ib(stanza),
            "message" => message::handle(self, stanza).await,
            "receipt" => receipt::handle(self, stanza).await,
            "ack" => receipt::handle_ack(self, stanza),
            "presence" => presence::handle(self, stanza),
            "chatstate" => presence::handle_chat_state(self, stanza),
            "call" => call::handle(self, stanza),
            "notification" => {
                self.link.send(ack(stanza).build());
            }
            _ => {}
        }
    }

    /// The client asks for more of its backlog; other notes of the client are of no use here.
    fn handle_ib(&self, stanza: &Node) {
        let (Some((_, device)), Some(batch)) = (self.device(), stanza.get_optional_child("offline_batch")) else {
            return;
        };
        let count = attr(batch, "count")
            .and_then(|count| count.parse().ok())
            .unwrap_or(BATCH);
        device.send_batch(count, offline_end);
    }

    /// The client is active: its backlog is announced, or declared empty.
    pub(super) fn activate(&self) {
        let Some((account, device)) = self.device() else {
            return;
        };
        let (waiting, messages) = device.announce();
        let stanza = match waiting {
            0 => offline_end(0),
            _ => ib(NodeBuilder::new("offline_preview")
                .attr("count", waiting)
                .attr("message", messages)
                .attr("receipt", 0)
                .attr("notification", waiting - messages)
                .attr("appdata", 0)
                .build()),
        };
        if !self.world.faults.held_up(&account.phone) {
            self.link.send(stanza);
            return;
        }
        let (world, link, phone) = (Arc::clone(&self.world), self.link.clone(), account.phone.clone());
        tokio::spawn(async move {
            world.faults.end_of(FaultKind::Backlog, Some(&phone)).await;
            link.send(stanza);
        });
    }

    /// The socket closed.
    pub(super) fn end(&self) {
        if let Some((_, device)) = self.device() {
            device.logout(self.link.id);
        }
    }
}

fn ib(child: Node) -> Node {
    NodeBuilder::new("ib")
        .attr("from", "s.whatsapp.net")
        .children([child])
        .build()
}

fn offline_end(count: u32) -> Node {
    ib(NodeBuilder::new("offline").attr("count", count).build())
}

/// The acknowledgement of a stanza, from where it went to.
pub(super) fn ack(stanza: &Node) -> NodeBuilder {
    let mut ack = NodeBuilder::new("ack")
        .attr("class", stanza.tag.as_ref())
        .attr("t", clock::now_s());
    if let Some(id) = stanza.attrs.get("id") {
        ack = ack.attr("id", id.clone());
    }
    if let Some(to) = stanza.attrs.get("to") {
        ack = ack.attr("from", to.clone());
    }
    if let Some(kind) = stanza.attrs.get("type") {
        ack = ack.attr("type", kind.clone());
    }
    if let Some(participant) = stanza.attrs.get("participant") {
        ack = ack.attr("participant", participant.clone());
    }
    ack
}

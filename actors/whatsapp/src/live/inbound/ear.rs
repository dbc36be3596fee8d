//! Hears what happens beside messages, and notes which messages are on their way (`live/lane.rs` says why).

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};
use wharf_domain::{EventKind, EventKinds};
use whatsapp_rust::wacore::types::{
    call::{CallAction, IncomingCall},
    events::{Event, EventHandler, EventInterest, EventKind as ClientEvent, Receipt},
};
use whatsapp_rust::wacore_binary::{Jid, JidExt as _, NodeRef};
use whatsapp_rust::{Client, RawNodeLease};

use super::{Inbound, heard, is_own};
use crate::live::{
    convert::{bare, news_of},
    lane::Heard,
};

/// Attributes of a message's stanza that name its chat.
const NAMES_OF_THE_CHAT: [&str; 5] = ["from", "sender_pn", "sender_lid", "recipient", "peer_recipient_pn"];
/// Those that name its writer, whose chat a message to a broadcast list is in.
const NAMES_OF_THE_WRITER: [&str; 3] = ["participant", "participant_pn", "participant_lid"];
/// Messages of one receipt that count: each is looked up, and all of them wait in the lane.
const MOST_IDS: usize = 1024;

/// See the module.
pub(crate) struct Ear {
    inbound: Arc<Inbound>,
    _stanzas: RawNodeLease,
}

impl Ear {
    pub(crate) fn new(inbound: &Arc<Inbound>, client: &Arc<Client>) -> Self {
        Self {
            inbound: Arc::clone(inbound),
            _stanzas: client.acquire_raw_node_forwarding(),
        }
    }
}

/// Which kind of event this becomes and nothing else, if any.
fn kind_of(event: &Event) -> Option<EventKind> {
    match event {
        Event::GroupUpdate(_) => Some(EventKind::Group),
        Event::PictureUpdate(update) if update.jid.is_group() => Some(EventKind::Group),
        Event::IncomingCall(_) | Event::MissedCall(_) => Some(EventKind::Call),
        Event::ChatPresence(_) | Event::Presence(_) => Some(EventKind::Presence),
        _ => None,
    }
}

/// Whether anybody wants what goes through the lane; or what the account sends itself, which is put in order by it.
fn is_used(wanted: EventKinds) -> bool {
    const THROUGH_THE_LANE: [EventKind; 5] = [
        EventKind::Sent,
        EventKind::Status,
        EventKind::Group,
        EventKind::Call,
        EventKind::Presence,
    ];
    THROUGH_THE_LANE.into_iter().any(|kind| wanted.contains(kind))
}

/// A receipt of [`MOST_IDS`] messages instead of one of more.
fn bounded(receipt: &Receipt) -> Option<Arc<Event>> {
    let left_out = receipt
        .message_ids
        .len()
        .checked_sub(MOST_IDS)
        .filter(|more| *more > 0)?;
    tracing::warn!(left_out, "a receipt names more messages than anybody sends at once");
    let mut receipt = receipt.clone();
    receipt.message_ids.truncate(MOST_IDS);
    Some(Arc::new(Event::Receipt(receipt)))
}

impl EventHandler for Ear {
    fn handle_event(&self, event: Arc<Event>) {
        let wanted = self.inbound.inbox.wanted();
        if let Event::IncomingCall(call) = event.as_ref() {
            self.rings(call);
        }
        match event.as_ref() {
            Event::RawNode(stanza) if is_used(wanted) => self.arrived(stanza.get()),
            Event::RawNode(_) => {}
            Event::UndecryptableMessage(lost) => self.inbound.left([lost.info.id.as_str()].into_iter()),
            // What was sent has rows, whoever wants to be told.
            Event::Receipt(receipt) if news_of(&receipt.r#type).is_some() => {
                self.heard(bounded(receipt).unwrap_or(event))
            }
            Event::ServerAck(ack) if self.inbound.reporter.acks.settle(ack) => self.heard(event),
            other if kind_of(other).is_some_and(|kind| wanted.contains(kind)) => self.heard(event),
            _ => {}
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[
            ClientEvent::RawNode,
            ClientEvent::UndecryptableMessage,
            ClientEvent::Receipt,
            ClientEvent::ServerAck,
            ClientEvent::GroupUpdate,
            ClientEvent::PictureUpdate,
            ClientEvent::IncomingCall,
            ClientEvent::MissedCall,
            ClientEvent::ChatPresence,
            ClientEvent::Presence,
        ])
    }
}

impl Ear {
    /// A call rings: it is turned down at once where the connection says so, whoever wants to hear of it. A call to a group
    /// that only is announced (`offer_notice`) does not ring.
    fn rings(&self, call: &IncomingCall) {
        let CallAction::Offer {
            call_id, call_creator, ..
        } = &call.action
        else {
            return;
        };
        let client = self.inbound.reporter.client();
        let rejecting = client.filter(|client| self.inbound.inbox.rejects_calls() && !is_own(client, call_creator));
        let rejected = rejecting.map(|client| {
            let (told, rejected) = oneshot::channel();
            let (call, key) = (call.clone(), self.inbound.reporter.key().clone());
            drop(self.inbound.runtime.start(async move {
                let done = client.voip().reject(&call).await;
                if let Err(error) = &done {
                    tracing::warn!(client_id = %key.client_id, phone_number = %key.phone_number, %error, "a call could not be turned down");
                }
                let _nobody_wants_to_know = told.send(done.is_ok());
            }));
            rejected
        });
        let parties = (&call.from, call_creator);
        self.inbound.memory.calls().rings(call_id, parties, rejected);
    }

    fn arrived(&self, stanza: &NodeRef<'_>) {
        if stanza.tag.as_ref() != "message" {
            return;
        }
        let jid = |name: &str| stanza.get_attr(name).and_then(|value| value.to_jid());
        let (Some(id), Some(from)) = (stanza.get_attr("id"), jid("from")) else {
            return;
        };
        let writer = NAMES_OF_THE_WRITER.iter().filter(|_| from.is_broadcast_list());
        let chats = NAMES_OF_THE_CHAT.iter().chain(writer).filter_map(|name| jid(name));
        let chats = chats.map(|jid| bare(&jid)).collect();
        let id = id.as_str().to_string();
        self.inbound.lane().arrived(id, bare(&from), chats, Instant::now());
    }

    fn heard(&self, event: Arc<Event>) {
        let Some((chats, ids)) = self.about(&event) else { return };
        let chats = chats.into_iter().map(bare).collect();
        let is_presence = kind_of(&event) == Some(EventKind::Presence);
        let lossless = self.inbound.lane().hear(Heard {
            what: event,
            chats,
            ids,
            is_presence,
        });
        if !lossless {
            let key = self.inbound.reporter.key();
            tracing::error!(client_id = %key.client_id, phone_number = %key.phone_number, "more happens than can be stored; the oldest is lost");
        }
        heard::attend(&self.inbound);
    }

    /// Which chats, by which names, and which messages; `None` for what is not to be told.
    fn about<'e>(&self, event: &'e Event) -> Option<(Vec<&'e Jid>, Vec<String>)> {
        match event {
            Event::Receipt(receipt) => {
                let source = &receipt.source;
                let chats = [Some(&source.chat), source.sender_alt.as_ref()];
                Some((chats.into_iter().flatten().collect(), receipt.message_ids.clone()))
            }
            Event::ServerAck(ack) => Some((ack.from.iter().collect(), vec![ack.id.clone()])),
            Event::GroupUpdate(update) => Some((vec![&update.group_jid], Vec::new())),
            Event::PictureUpdate(update) => Some((vec![&update.jid], Vec::new())),
            Event::IncomingCall(call) => {
                let caller = match &call.action {
                    CallAction::Offer { caller_pn, .. } => caller_pn.as_ref(),
                    _ => None,
                };
                let chats = [Some(&call.from), caller].into_iter().flatten();
                Some((chats.collect(), Vec::new()))
            }
            Event::MissedCall(call) => Some((vec![&call.from], Vec::new())),
            Event::ChatPresence(update) => Some((vec![&update.source.chat], Vec::new())),
            Event::Presence(update) => Some((vec![&update.from], Vec::new())),
            _ => None,
        }
    }
}

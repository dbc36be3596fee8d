//! What WhatsApp tells of messages that went out: the server's answers and the receivers' receipts.
//!
//! They arrive one by one and are brought to the inbox in heaps: while one is committed the next gathers. WhatsApp is
//! told at once that they arrived and does not repeat them, so that what is told in the moment in which the program dies
//! is lost; a later receipt of the same message then says more.

use std::sync::Arc;

use tokio::sync::mpsc;
use wharf_domain::{Timestamp, outgoing::News};
use whatsapp_rust::wacore::types::{
    events::{Event, EventHandler, EventInterest, EventKind, Receipt, ServerAck},
    presence::ReceiptType,
};

use super::{
    acks::Ack,
    inbound::Inbound,
    reporter::{Reporter, now},
    send::refusal,
};
use crate::Told;

/// Told together at the most.
const HEAP: usize = 256;

/// See the module.
pub(crate) struct Receipts {
    reporter: Arc<Reporter>,
    told: mpsc::UnboundedSender<Told>,
}

impl Receipts {
    /// Starts the task that brings them; it ends with the client, which owns this.
    pub(crate) fn start(inbound: &Arc<Inbound>) -> Self {
        let (told, mut gathered) = mpsc::unbounded_channel();
        let reporter = Arc::clone(&inbound.reporter);
        let (inbox, over) = (Arc::clone(&inbound.inbox), reporter.over().clone());
        drop(inbound.runtime.start(async move {
            let mut heap = Vec::new();
            // What was told before the link ended is brought before this ends.
            while let Some(1..) = over.run_until_cancelled(gathered.recv_many(&mut heap, HEAP)).await {
                inbox.told(std::mem::take(&mut heap)).await;
            }
            while let Ok(last) = gathered.try_recv() {
                heap.push(last);
            }
            if !heap.is_empty() {
                inbox.told(heap).await;
            }
        }));
        Self { reporter, told }
    }

    fn tell(&self, told: Option<Told>) {
        if let Some(told) = told {
            // The link is over: what comes now comes too late.
            let _ = self.told.send(told);
        }
    }
}

impl EventHandler for Receipts {
    fn handle_event(&self, event: Arc<Event>) {
        match event.as_ref() {
            Event::ServerAck(ack) => self.tell(self.reporter.acks.settle(ack).map(|late| of_ack(ack, late))),
            Event::Receipt(receipt) => self.tell(of_receipt(receipt)),
            _ => {}
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[EventKind::ServerAck, EventKind::Receipt])
    }
}

/// An answer that nobody waited for any more.
fn of_ack(ack: &ServerAck, late: Ack) -> Told {
    Told {
        message_ids: vec![ack.id.clone()],
        news: match late.error {
            None => News::Sent,
            Some(code) => News::failed(&code, format!("WhatsApp refused it: {} ({code})", refusal(&code))),
        },
        at: late.timestamp.unwrap_or_else(now),
    }
}

/// What others told; our own devices' receipts say nothing about the receiver.
fn of_receipt(receipt: &Receipt) -> Option<Told> {
    if receipt.source.is_from_me || receipt.message_ids.is_empty() {
        return None;
    }
    let news = match receipt.r#type {
        // A device that shows nothing at the moment has it all the same.
        ReceiptType::Delivered | ReceiptType::Inactive => News::Delivered,
        ReceiptType::Read => News::Read,
        ReceiptType::Played => News::Played,
        _ => return None,
    };
    Some(Told {
        message_ids: receipt.message_ids.iter().map(ToString::to_string).collect(),
        news,
        at: Timestamp(receipt.timestamp.timestamp_millis()),
    })
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::wacore::types::message::MessageSource;
    use whatsapp_rust::wacore_binary::Jid;

    use super::*;

    fn receipt(kind: ReceiptType, is_from_me: bool) -> Receipt {
        let source = MessageSource {
            chat: Jid::pn("5511999999999"),
            sender: Jid::pn("5511999999999"),
            is_from_me,
            ..Default::default()
        };
        Receipt::builder()
            .source(source)
            .message_ids(vec!["A".into(), "B".into()])
            .timestamp(whatsapp_rust::chrono::DateTime::from_timestamp(7, 0).unwrap())
            .r#type(kind)
            .offline(false)
            .build()
    }

    #[test]
    fn receipts_of_receivers_say_how_far_messages_are() {
        for (kind, news) in [
            (ReceiptType::Delivered, News::Delivered),
            (ReceiptType::Inactive, News::Delivered),
            (ReceiptType::Read, News::Read),
            (ReceiptType::Played, News::Played),
        ] {
            let told = of_receipt(&receipt(kind.clone(), false)).unwrap();
            assert_eq!((told.news, told.at), (news, Timestamp(7000)));
            assert_eq!(told.message_ids, ["A", "B"]);
            assert_eq!(of_receipt(&receipt(kind, true)), None, "our own device");
        }
        for other in [
            ReceiptType::Retry,
            ReceiptType::Sender,
            ReceiptType::ReadSelf,
            ReceiptType::ServerError,
        ] {
            assert_eq!(of_receipt(&receipt(other, false)), None);
        }
    }

    #[test]
    fn a_late_refusal_is_told_with_its_code() {
        let ack = ServerAck::builder().id("A".into()).build();
        let late = Ack {
            timestamp: None,
            error: Some("463".into()),
        };
        assert!(matches!(of_ack(&ack, late).news, News::Failed { code, .. } if code == "463"));
    }
}

//! What is learned of messages that went out: receipts, and answers of the server that nobody waits for any more.

use std::sync::Arc;

use wharf_domain::{
    EventKind,
    message::Group,
    outgoing::{News, Place},
};
use wharf_store::AwaitedId;
use whatsapp_rust::Client;
use whatsapp_rust::wacore::types::{
    events::{Event, Receipt, ServerAck},
    message::MessageSource,
};
use whatsapp_rust::wacore_binary::{Jid, JidExt as _};

use super::{
    Inbound,
    heard::{at, is_own},
};
use crate::{
    Told,
    live::{
        acks::Ack,
        convert::{Party, news_of},
        reporter::now,
        send::refusal,
    },
};

/// Messages that the inbox is told of at once. Each is a statement, or some, in a transaction that all others wait for, and a
/// receipt of somebody who was away for long names hundreds.
const TOLD_AT_ONCE: usize = 64;

impl Inbound {
    /// What was learned of messages that went out; events are made of it where their rows are.
    pub(super) async fn tell_of_sent(&self, client: &Arc<Client>, happened: &[Arc<Event>]) -> Result<(), String> {
        let mut told = Vec::new();
        for event in happened {
            match event.as_ref() {
                Event::Receipt(receipt) => told.extend(self.receipt(client, receipt).await),
                Event::ServerAck(ack) => told.push(self.late(client, ack).await),
                _ => {}
            }
        }
        let places = told.iter_mut().filter_map(|told| told.place.as_mut());
        self.name_groups(client, places.filter_map(|place| place.group.as_mut()))
            .await;
        let awaited = self.waited_for_of(&told);
        if !awaited.is_empty() {
            self.insist(|| self.keep_missing()).await?;
        }
        for piece in pieces(&told) {
            self.insist(|| self.inbox.told(piece.clone(), awaited.clone())).await?;
        }
        Ok(())
    }

    /// Those of the messages that are waited for, or wait, each with what its news wait behind.
    fn waited_for_of(&self, told: &[Told]) -> Vec<(String, AwaitedId)> {
        let awaited = self.memory.awaited();
        if awaited.is_empty() {
            return Vec::new();
        }
        let told = told.iter().filter(|told| told.place.is_some());
        let ids = told.flat_map(|told| &told.message_ids);
        ids.filter_map(|id| Some((id.clone(), awaited.own_waited_for(id)?)))
            .collect()
    }

    async fn receipt(&self, client: &Arc<Client>, receipt: &Receipt) -> Option<Told> {
        let source = &receipt.source;
        let chat = &source.chat;
        // Our own devices say nothing about the receiver.
        let nobodys = chat.is_newsletter() || is_own(client, &source.sender);
        let news = news_of(&receipt.r#type).filter(|_| !nobodys && !receipt.message_ids.is_empty())?;
        // Rows do without.
        let wanted = self.inbox.wanted().contains(EventKind::Status);
        let tellers = self.memory.tellers();
        let teller = teller(source).unwrap_or(&source.sender);
        let place = match wanted && tellers.admit(teller, receipt.message_ids.len(), now()) {
            true => Some(self.place(client, source).await),
            false => None,
        };
        Some(Told {
            message_ids: receipt.message_ids.clone(),
            news,
            at: at(receipt.timestamp),
            place,
        })
    }

    /// An answer of the server that nobody waited for any more.
    async fn late(&self, client: &Arc<Client>, ack: &ServerAck) -> Told {
        let from = ack
            .from
            .as_ref()
            .filter(|_| self.inbox.wanted().contains(EventKind::Status));
        let place = match from {
            Some(chat) => Some(in_chat(self.party(client, chat, None).await)),
            None => None,
        };
        Told { place, ..late(ack) }
    }

    async fn place(&self, client: &Arc<Client>, source: &MessageSource) -> Place {
        let chat = self.party(client, &source.chat, source.sender_alt.as_ref()).await;
        let is_for_many = chat.is_group || source.chat.is_status_broadcast();
        let participant = match teller(source).filter(|_| is_for_many) {
            Some(member) => Some(self.party(client, member, source.sender_alt.as_ref()).await.shown),
            None => None,
        };
        Place {
            participant,
            ..in_chat(chat)
        }
    }
}

/// Whom a receipt is from. Of one for a status update the client leaves that out, but for their number.
fn teller(source: &MessageSource) -> Option<&Jid> {
    match source.sender.is_status_broadcast() {
        true => source.sender_alt.as_ref(),
        false => Some(&source.sender),
    }
}

/// The same in the same order, in pieces of [`TOLD_AT_ONCE`] messages at the most.
fn pieces(told: &[Told]) -> Vec<Vec<Told>> {
    let (mut pieces, mut piece, mut room) = (Vec::new(), Vec::new(), TOLD_AT_ONCE);
    for told in told {
        for some in told.message_ids.chunks(TOLD_AT_ONCE) {
            if some.len() > room {
                pieces.push(std::mem::take(&mut piece));
                room = TOLD_AT_ONCE;
            }
            room -= some.len();
            piece.push(Told {
                message_ids: some.to_vec(),
                news: told.news.clone(),
                at: told.at,
                place: told.place.clone(),
            });
        }
    }
    pieces.extend(Some(piece).filter(|piece| !piece.is_empty()));
    pieces
}

fn in_chat(chat: Party) -> Place {
    Place {
        group: chat.is_group.then(|| Group {
            id: chat.chat.clone(),
            subject: None,
        }),
        chat: chat.chat,
        to: chat.shown,
        to_lid: chat.hidden,
        participant: None,
    }
}

/// An answer of the server, without its place.
fn late(ack: &ServerAck) -> Told {
    let Ack { timestamp, error } = ack.into();
    Told {
        message_ids: vec![ack.id.clone()],
        news: match error {
            None => News::Sent,
            Some(code) => News::failed(&code, format!("WhatsApp refused it: {} ({code})", refusal(&code))),
        },
        at: timestamp.unwrap_or_else(now),
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_refusal_is_told_with_its_code() {
        let ack = ServerAck::builder().id("A".into()).error("463".into()).build();
        assert!(matches!(late(&ack).news, News::Failed { code, .. } if code == "463"));
        let ack = ServerAck::builder().id("A".into()).build();
        assert_eq!(
            (late(&ack).news, late(&ack).message_ids),
            (News::Sent, vec!["A".to_owned()])
        );
    }

    /// Otherwise all viewers would have one allowance together.
    #[test]
    fn whom_a_receipt_is_from_is_known_of_status_updates_too() {
        let viewer: Jid = "5511999999999@s.whatsapp.net".parse().unwrap();
        let mut source = MessageSource {
            sender: "status@broadcast".parse().unwrap(),
            ..MessageSource::default()
        };
        assert_eq!(teller(&source), None);
        source.sender_alt = Some(viewer.clone());
        assert_eq!(teller(&source), Some(&viewer));
        source.sender = "1@lid".parse().unwrap();
        assert_eq!(teller(&source), Some(&source.sender));
    }

    #[test]
    fn much_at_once_is_told_in_pieces_and_in_order() {
        let told = |ids: std::ops::Range<usize>| Told {
            message_ids: ids.map(|id| id.to_string()).collect(),
            news: News::Sent,
            at: now(),
            place: None,
        };
        let all = [told(0..300), told(300..301), told(301..400)];
        let pieces = pieces(&all);
        let ids = |told: &[Told]| -> Vec<String> { told.iter().flat_map(|told| told.message_ids.clone()).collect() };
        assert!(
            pieces
                .iter()
                .all(|piece| (1..=TOLD_AT_ONCE).contains(&ids(piece).len()))
        );
        assert_eq!(ids(&pieces.concat()), ids(&all));
        assert!(super::pieces(&[]).is_empty());
    }
}

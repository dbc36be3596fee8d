//! Who somebody is and which chat is theirs: what happens beside messages has to fall into the chats of the messages.

use std::sync::Arc;

use wharf_domain::{EventKind, IncomingMessage, PhoneNumber, SenderShown};
use whatsapp_rust::Client;
use whatsapp_rust::wacore::types::message::MessageInfo;
use whatsapp_rust::wacore_binary::{Jid, JidExt as _, Server};

use super::Inbound;
use crate::live::{
    awaited::recipient_of,
    convert::{Party, bare, by_itself, for_nobody, is_hidden, named},
    memory::Memory,
};

/// The party of a JID for the linked number `own`; `alternative` is the same one by the other of number and hidden id.
pub(crate) async fn party(
    client: &Client,
    memory: &Memory,
    own: &PhoneNumber,
    jid: &Jid,
    alternative: Option<&Jid>,
) -> Party {
    let jid = bare(jid);
    if jid.is_group() || jid.is_status_broadcast() {
        let id = jid.to_string();
        return Party {
            chat: id.clone(),
            shown: id,
            hidden: None,
            is_group: jid.is_group(),
        };
    }
    let alternative = alternative.map(bare);
    let names = || [Some(&jid), alternative.as_ref()].into_iter().flatten();
    let mut number = names().find(|jid| jid.server == Server::Pn).cloned();
    let mut hidden = names().find(|jid| is_hidden(jid)).cloned();
    match (&number, &hidden) {
        (Some(number), Some(hidden)) => memory.note_named(hidden, number),
        (None, Some(hidden)) => number = memory.named(hidden),
        _ => {}
    }
    if number.is_none() || hidden.is_none() {
        let account = [client.pn(), client.lid()].map(|account| account.map(|account| bare(&account)));
        if account.iter().flatten().any(|account| *account == jid) {
            number = Some(Jid::pn(own.as_str()));
        } else if let Ok(Some(entry)) = client.get_lid_pn_entry(&jid).await {
            number.get_or_insert_with(|| Jid::pn(entry.phone_number.as_ref()));
            hidden.get_or_insert_with(|| Jid::lid(entry.lid.as_ref()));
        }
    }
    // Where messages come without the number, their chat is the hidden id, whatever was learned of it elsewhere.
    let unnamed = hidden.as_ref().filter(|lid| memory.is_unnamed(lid.user_base()));
    let chat = unnamed.or(number.as_ref()).unwrap_or(&jid);
    Party {
        chat: chat.to_string(),
        shown: by_itself(number.as_ref().unwrap_or(&jid)),
        hidden: hidden.filter(|_| number.is_none()).map(|lid| by_itself(&lid)),
        is_group: false,
    }
}

/// The hidden id of somebody, in digits, as far as it is known.
async fn hidden_id(client: &Client, jid: &Jid, alternative: Option<&Jid>) -> Option<String> {
    let given = [Some(jid), alternative].into_iter().flatten();
    let hidden = match given.map(bare).find(is_hidden) {
        Some(hidden) => Some(hidden),
        None if jid.is_pn() => other_name(client, jid).await.filter(is_hidden),
        None => None,
    };
    hidden.map(|hidden| by_itself(&hidden))
}

/// The same account by the other of number and hidden id, if that is known.
pub(crate) async fn other_name(client: &Client, jid: &Jid) -> Option<Jid> {
    let jid = bare(jid);
    let own = [client.pn(), client.lid()].map(|own| own.map(|own| bare(&own)));
    if let [Some(number), Some(hidden)] = own
        && [&number, &hidden].contains(&&jid)
    {
        return Some(if is_hidden(&jid) { number } else { hidden });
    }
    let entry = client.get_lid_pn_entry(&jid).await.ok()??;
    Some(match is_hidden(&jid) {
        true => Jid::pn(entry.phone_number.as_ref()),
        false => Jid::lid(entry.lid.as_ref()),
    })
}

impl Inbound {
    /// The party of a JID; `alternative` is the same one by the other of number and hidden id.
    pub(super) async fn party(&self, client: &Client, jid: &Jid, alternative: Option<&Jid>) -> Party {
        let own = &self.reporter.key().phone_number;
        let mut party = party(client, &self.memory, own, jid, alternative).await;
        let is_person = !party.is_group && !jid.is_status_broadcast() && party.shown != own.as_str();
        if is_person && self.tells_all() {
            party.hidden = hidden_id(client, jid, alternative).await;
        }
        party
    }

    /// Whether somebody wants to know all of a sender.
    fn tells_all(&self) -> bool {
        self.inbox.sender() == SenderShown::Full
    }

    /// Adds what there is to know of the sender of a message, if somebody wants that.
    pub(super) async fn tell_sender(&self, client: &Client, info: &MessageInfo, told: &mut Option<IncomingMessage>) {
        let Some(told) = told.as_mut().filter(|_| self.tells_all()) else {
            return;
        };
        let source = &info.source;
        let hidden = match source.is_from_me {
            true => None,
            false => hidden_id(client, &source.sender, source.sender_alt.as_ref()).await,
        };
        let name = named(info);
        if hidden.is_some() || name.is_some() {
            let details = told.details.get_or_insert_default();
            details.push_name = details.push_name.take().or(name);
            details.from_lid = details.from_lid.take().or(hidden);
        }
    }

    /// Why nobody is told of a message, whatever is in it.
    pub(super) fn unwanted(&self, info: &MessageInfo) -> Option<&'static str> {
        let is_wanted = !info.source.chat.is_status_broadcast() || self.inbox.wanted().contains(EventKind::Update);
        for_nobody(info).or_else(|| (!is_wanted).then_some("a status update"))
    }

    /// Whether anybody wants messages that the account sent from another device.
    pub(super) fn wants_own(&self) -> bool {
        self.inbox.wanted().contains(EventKind::Sent)
    }

    /// Who gets a message that the account sent from another device, if that is what it is and somebody wants it.
    pub(super) async fn recipient(&self, client: &Arc<Client>, info: &MessageInfo) -> Option<Party> {
        if !info.source.is_from_me || !self.wants_own() {
            return None;
        }
        Some(self.party(client, &info.source.chat, recipient_of(info)).await)
    }
}

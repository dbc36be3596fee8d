//! The report of a message that is waited for, where there is no link that could make it.

use wharf_domain::IncomingMessage;
use wharf_store::AwaitedMessage;
use whatsapp_rust::wacore::types::message::MessageInfo;
use whatsapp_rust::wacore_binary::{JidExt as _, Server};

use super::row::{self, recipient_of};
use crate::live::convert::{Converted, Party, People, bare, by_itself, is_hidden, undecryptable};

/// What a webhook is told of a message that could not be decrypted, from its row alone: whom the row does not name by a number
/// is named by the hidden id, and a group has no subject. `None`: the row cannot be read, or nobody is told of such.
#[must_use]
pub fn report_of(row: &AwaitedMessage) -> Option<IncomingMessage> {
    let lost = row::read(row)?;
    let recipient = lost.info.source.is_from_me.then(|| recipient(&lost.info));
    match undecryptable(&lost, &People::default(), recipient.as_ref()) {
        Converted::Message(report) => Some(*report),
        Converted::Skipped(_) => None,
    }
}

/// Whom a message of the account itself was sent to.
fn recipient(info: &MessageInfo) -> Party {
    let chat = bare(&info.source.chat);
    let number = [Some(&chat), recipient_of(info).map(bare).as_ref()]
        .into_iter()
        .flatten()
        .find(|jid| jid.server == Server::Pn)
        .cloned();
    let shown = number.as_ref().unwrap_or(&chat);
    let is_group = chat.is_group();
    Party {
        chat: shown.to_string(),
        shown: if is_group { chat.to_string() } else { by_itself(shown) },
        hidden: (number.is_none() && is_hidden(&chat)).then(|| by_itself(&chat)),
        is_group,
    }
}

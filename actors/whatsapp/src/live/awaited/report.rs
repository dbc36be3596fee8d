//! The report of a message that is waited for, where there is no link that could make it.

use wharf_domain::{IncomingMessage, PhoneNumber};
use wharf_store::AwaitedMessage;
use whatsapp_rust::wacore::types::message::MessageInfo;
use whatsapp_rust::wacore_binary::{JidExt as _, Server};

use super::row::{self, recipient_of};
use crate::live::convert::{Converted, Party, People, bare, by_itself, is_hidden, undecryptable};

/// What a webhook of the number `own` is told of a message that could not be decrypted, from its row alone: whom the row does not
/// name by a number is named by the hidden id, and a group has no subject. `None`: the row cannot be read, or nobody is told of such.
#[must_use]
pub fn report_of(own: &PhoneNumber, row: &AwaitedMessage) -> Option<IncomingMessage> {
    let lost = row::read(row)?;
    let recipient = lost.info.source.is_from_me.then(|| recipient(&lost.info));
    match undecryptable(&lost, &People::new(own.as_str()), recipient.as_ref()) {
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

#[cfg(test)]
mod tests {
    use wharf_domain::{Timestamp, message::Happening};
    use wharf_store::AwaitedId;

    use super::*;

    #[test]
    fn a_report_names_who_wrote_and_to_whom() {
        const OWN: &str = "5511999999999";
        const OTHER: &str = "5511888888888";
        let told = |sender: &str, more: &str| {
            let row = AwaitedMessage {
                id: AwaitedId {
                    message_id: "3EB0A1".into(),
                    chat: "100000012345678@lid".into(),
                    sender: sender.into(),
                },
                head: format!(r#"{{"sent_at":1762352580,"is_group":false,"is_change":false,{more}}}"#),
                due_at: Timestamp(0),
            };
            report_of(&OWN.parse().unwrap(), &row).unwrap()
        };
        let chat = format!("{OTHER}@s.whatsapp.net");
        let came = told("100000012345678@lid", &format!(r#""sender_alt":"{chat}""#));
        assert_eq!((came.from.as_str(), came.chat.as_str()), (OTHER, chat.as_str()));
        let own = told(
            "100000099999999:1@lid",
            &format!(r#""is_from_me":true,"recipient":"{chat}""#),
        );
        assert_eq!((own.from.as_str(), own.chat.as_str()), (OWN, chat.as_str()));
        assert_eq!(own.happening().and_then(Happening::to), Some(OTHER));
    }
}

//! Messages that came in are marked as read by themselves, where the number's client wants that.
//!
//! They are committed by then, and neither that nor WhatsApp's word of it waits for a mark: a task of the link's own makes
//! them, one for what came together of one sender in one chat. While WhatsApp still brings what waited there it waits, too.
//! What is too much for it, and what is left when the link ends, stays unread.

use std::{collections::HashMap, sync::Weak, time::Duration};

use tokio::sync::mpsc;
use wharf_domain::{
    ConnectionKey, IncomingMessage, Recipient,
    action::{Action, READ_MAX},
};
use wharf_whatsapp::{Link, SendError};

use super::SEND_DEADLINE;

/// Messages of one number that wait for their marks.
const WAITING: usize = 10_000;
/// Marked in one go.
const TOGETHER: usize = 1024;
/// A link on which nothing can be sent yet is asked again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// A message to be marked.
pub(super) struct Mark {
    chat: Recipient,
    /// In groups.
    from: Option<Recipient>,
    message_id: String,
}

impl Mark {
    /// `None` for what has no mark: what is no message of somebody else's, comes from the history, could not be decrypted, or is
    /// about another message.
    pub(super) fn of(message: &IncomingMessage) -> Option<Self> {
        let details = message.details.as_deref();
        let is_none_or_old =
            details.is_some_and(|details| details.happening.is_some() || details.history || details.target.is_some());
        if is_none_or_old || message.is_undecryptable() || message.kind.concerns_another() {
            return None;
        }
        let chat = Recipient::parse("chat", &message.chat).ok()?;
        let from = match chat.is_group() {
            true => Some(Recipient::parse_person("from", &message.sender).ok()?),
            false => None,
        };
        Some(Self {
            chat,
            from,
            message_id: message.message_id.clone(),
        })
    }
}

/// Where marks go, and where [`make`] takes them from. In boxes: each number's channel has room for the first 32 from its start.
pub(super) fn channel() -> (mpsc::Sender<Box<Mark>>, mpsc::Receiver<Box<Mark>>) {
    mpsc::channel(WAITING)
}

/// Makes the marks of a link, until it has ended.
pub(super) async fn make(mut marks: mpsc::Receiver<Box<Mark>>, link: Weak<dyn Link>, key: ConnectionKey) {
    let mut some = Vec::new();
    while marks.recv_many(&mut some, TOGETHER).await > 0 {
        let mut groups: HashMap<_, Vec<String>> = HashMap::new();
        for mark in some.drain(..) {
            let Mark { chat, from, message_id } = *mark;
            groups.entry((chat, from)).or_default().push(message_id);
        }
        for ((chat, from), ids) in groups {
            for ids in ids.chunks(READ_MAX) {
                let action = Action::MarkRead {
                    chat: chat.clone(),
                    from: from.clone(),
                    message_ids: ids.to_vec(),
                };
                if let Err(error) = insist(&link, &action).await {
                    tracing::debug!(number = %key.phone_number, %error, count = ids.len(), "messages stay unread");
                }
            }
        }
    }
}

/// Does it once the link lets it; an error when that has ended.
async fn insist(link: &Weak<dyn Link>, action: &Action) -> Result<(), SendError> {
    loop {
        let open = link.upgrade().ok_or(SendError::NotConnected)?;
        match open.act(action, SEND_DEADLINE).await {
            Err(SendError::NotConnected) => {}
            done => return done.map(drop),
        }
        drop(open);
        tokio::time::sleep(PAUSE).await;
    }
}

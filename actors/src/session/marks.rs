//! Messages that came in are marked as read by themselves, where the number's client wants that.
//!
//! They are committed by then, and neither that nor WhatsApp's word of it waits for a mark: a task makes them, one for what came
//! together of one sender in one chat. While WhatsApp still brings what waited there it waits, too. What is too much for it,
//! and what is left when the link ends, stays unread. A number that marks nothing has no such task.

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use tokio::sync::mpsc;
use wharf_domain::{
    ConnectionKey, IncomingMessage, Recipient,
    action::{Action, READ_MAX},
};
use wharf_whatsapp::SendError;

use super::SEND_DEADLINE;
use crate::directory::LinkSlot;

/// Messages of one number that wait for their marks.
const WAITING: usize = 10_000;
/// Marked in one go.
const TOGETHER: usize = 1024;
/// A link on which nothing can be sent yet is asked again after this.
const PAUSE: Duration = Duration::from_secs(1);
/// How often.
const TRIES: usize = 60;

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
        let chat: Recipient = message.chat.parse().ok()?;
        let from = match chat.is_group() {
            true => Some(message.sender.parse().ok()?),
            false => None,
        };
        Some(Self {
            chat,
            from,
            message_id: message.message_id.clone(),
        })
    }
}

/// Has the messages of one link marked.
#[derive(Default)]
pub(super) struct Marks(OnceLock<mpsc::Sender<Mark>>);

impl Marks {
    /// Has these marked, by the link that lies in the number's slot.
    pub(super) fn make(&self, marks: Vec<Mark>, key: &ConnectionKey, slot: impl FnOnce() -> LinkSlot) {
        if marks.is_empty() {
            return;
        }
        let waiting = self.0.get_or_init(|| {
            let (sender, waiting) = mpsc::channel(WAITING);
            tokio::spawn(make(waiting, slot(), key.clone()));
            sender
        });
        for mark in marks {
            let _too_many = waiting.try_send(mark);
        }
    }
}

/// Makes marks until nobody has any more.
async fn make(mut marks: mpsc::Receiver<Mark>, slot: LinkSlot, key: ConnectionKey) {
    let mut some = Vec::new();
    while marks.recv_many(&mut some, TOGETHER).await > 0 {
        let mut groups: HashMap<_, Vec<String>> = HashMap::new();
        for Mark { chat, from, message_id } in some.drain(..) {
            groups.entry((chat, from)).or_default().push(message_id);
        }
        for ((chat, from), ids) in groups {
            for ids in ids.chunks(READ_MAX) {
                let action = Action::MarkRead {
                    chat: chat.clone(),
                    from: from.clone(),
                    message_ids: ids.to_vec(),
                };
                if let Err(error) = insist(&slot, &action).await {
                    tracing::debug!(number = %key.phone_number, %error, count = ids.len(), "messages stay unread");
                }
            }
        }
    }
}

/// Does it once the link lets it; an error when there is none, or none that does.
async fn insist(slot: &LinkSlot, action: &Action) -> Result<(), SendError> {
    for _ in 0..TRIES {
        let link = slot.lock().await.clone().ok_or(SendError::NotConnected)?;
        match link.act(action, SEND_DEADLINE).await {
            Err(SendError::NotConnected) => {}
            done => return done.map(drop),
        }
        drop(link);
        tokio::time::sleep(PAUSE).await;
    }
    Err(SendError::NotConnected)
}

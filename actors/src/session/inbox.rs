//! Where a link brings its messages: committed before WhatsApp is told.
//!
//! A refusal is the link's to handle: it offers the messages again for a while, then ends, and WhatsApp sends what was
//! not acknowledged to the next link. A client whose queue is full has its links ended at once: what they would hold
//! meanwhile is WhatsApp's to hold. They open again when the queue has got shorter (`link.rs`).

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;
use uuid::Uuid;
use wharf_domain::{
    ConnectionKey, EventId, EventKinds, IncomingMessage,
    session::{CloseReason, LinkEvent},
};
use wharf_store::NewEvent;
use wharf_whatsapp::{Inbox, NotCommitted};

use crate::{
    backlog::NotAdmitted,
    clock,
    persistence::{Poll, Write},
    shared::Shared,
    wanted::Wanted,
};

/// See the module.
pub(super) struct SessionInbox {
    key: ConnectionKey,
    shared: Arc<Shared>,
    wanted: Arc<Wanted>,
    /// What happens on the link; its end, here.
    events: mpsc::UnboundedSender<LinkEvent>,
}

impl SessionInbox {
    pub(super) fn new(key: ConnectionKey, shared: Arc<Shared>, events: mpsc::UnboundedSender<LinkEvent>) -> Self {
        let wanted = shared.directory.wanted(&key);
        Self {
            key,
            shared,
            wanted,
            events,
        }
    }

    fn refuse(&self, why: &NotAdmitted) -> NotCommitted {
        tracing::warn!(client_id = %self.key.client_id, number = %self.key.phone_number, %why, "messages stay at WhatsApp");
        if let NotAdmitted::Full(_) = why {
            let _ended = self
                .events
                .send(LinkEvent::Closed(CloseReason::QueueFull(why.to_string())));
        }
        NotCommitted(why.to_string())
    }

    fn rows(&self, messages: Vec<IncomingMessage>) -> Vec<NewEvent> {
        let created_at = clock::now();
        let row = |message: IncomingMessage| NewEvent {
            id: EventId(Uuid::now_v7()),
            payload: message.payload(self.key.client_id, &self.key.phone_number),
            key: self.key.clone(),
            message,
            created_at,
        };
        messages.into_iter().map(row).collect()
    }
}

#[async_trait]
impl Inbox for SessionInbox {
    fn wanted(&self) -> EventKinds {
        self.wanted.get()
    }

    async fn commit(&self, messages: Vec<IncomingMessage>) -> Result<(), NotCommitted> {
        let Shared {
            backlog, persistence, ..
        } = self.shared.as_ref();
        let admitted = backlog.admit(self.key.client_id, messages.len()).await;
        let _until_committed = admitted.map_err(|why| self.refuse(&why))?;
        let committed = persistence.commit(Write::RecordInbound, self.rows(messages)).await;
        committed.map_err(|error| {
            tracing::warn!(number = %self.key.phone_number, %error, "messages were not committed; WhatsApp keeps them");
            NotCommitted(error.to_string())
        })
    }

    async fn keep_poll(&self, poll_id: &str, options: &[String]) -> Result<(), NotCommitted> {
        let poll = Poll {
            key: self.key.clone(),
            id: poll_id.to_owned(),
            options: options.to_owned(),
        };
        let kept = self.shared.persistence.commit(Write::KeepPoll, poll).await;
        kept.map_err(|error| NotCommitted(error.to_string()))
    }

    async fn poll_options(&self, poll_id: &str) -> Option<Vec<String>> {
        match self.shared.store.poll_options(&self.key, poll_id).await {
            Ok(options) => options,
            Err(error) => {
                tracing::warn!(number = %self.key.phone_number, %error, "a poll could not be looked up");
                None
            }
        }
    }
}

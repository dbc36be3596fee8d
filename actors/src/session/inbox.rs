//! Where a link brings its messages: committed before WhatsApp is told.
//!
//! A refusal is the link's to handle: it offers the messages again for a while, then ends, and WhatsApp sends what was
//! not acknowledged to the next link.

use async_trait::async_trait;
use uuid::Uuid;
use wharf_domain::{ConnectionKey, EventId, IncomingMessage};
use wharf_store::NewEvent;
use wharf_whatsapp::{Inbox, NotCommitted};

use crate::{
    clock,
    persistence::{Persistence, Write},
};

/// See the module.
pub(super) struct SessionInbox {
    key: ConnectionKey,
    persistence: Persistence,
}

impl SessionInbox {
    pub(super) fn new(key: ConnectionKey, persistence: Persistence) -> Self {
        Self { key, persistence }
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
    async fn commit(&self, messages: Vec<IncomingMessage>) -> Result<(), NotCommitted> {
        let rows = self.rows(messages);
        let committed = self.persistence.commit(Write::RecordInbound, rows).await;
        committed.map_err(|error| {
            tracing::warn!(number = %self.key.phone_number, %error, "messages were not committed; WhatsApp keeps them");
            NotCommitted(error.to_string())
        })
    }
}

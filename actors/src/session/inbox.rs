//! Where a link brings its messages: committed before WhatsApp is told.

use std::time::Duration;

use async_trait::async_trait;
use ractor::ActorRef;
use uuid::Uuid;
use wharf_domain::{ConnectionKey, EventId, IncomingMessage};
use wharf_store::NewEvent;
use wharf_whatsapp::{Inbox, NotCommitted};

use super::Message;
use crate::{
    clock,
    persistence::{Persistence, Write, WriteError},
};

/// How often a batch is offered to a store that takes no writes, before it is left unacknowledged.
const OFFERS: u32 = 5;
/// The pause before the second offer; doubled for each further one. In all about eight seconds: a short trouble costs
/// nobody a reconnect, a long one does not hold the link's receipts for ever.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct SessionInbox {
    key: ConnectionKey,
    persistence: Persistence,
    session: ActorRef<Message>,
}

impl SessionInbox {
    pub(super) fn new(key: ConnectionKey, persistence: Persistence, session: ActorRef<Message>) -> Self {
        Self {
            key,
            persistence,
            session,
        }
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
        let mut pause = FIRST_PAUSE;
        let mut offers = 1;
        loop {
            match self.persistence.commit(Write::RecordInbound, rows.clone()).await {
                Ok(()) => return Ok(()),
                Err(WriteError::Unavailable(_)) if offers < OFFERS => tokio::time::sleep(pause).await,
                Err(error) => {
                    tracing::error!(number = %self.key.phone_number, %error, "messages were not committed; WhatsApp keeps them");
                    // A row that is refused for what it is would be refused again: fetching it anew would not end.
                    if matches!(error, WriteError::Unavailable(_)) {
                        let _stopped = self.session.cast(Message::LeftUnacknowledged);
                    }
                    return Err(NotCommitted(error.to_string()));
                }
            }
            pause *= 2;
            offers += 1;
        }
    }
}

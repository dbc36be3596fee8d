//! Incoming messages: committed first, acknowledged then.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio::time::Instant;
use wharf_domain::IncomingMessage;
use whatsapp_rust::wacore::types::events::{Event, EventHandler, EventInterest, EventKind, InboundMessage};
use whatsapp_rust::{
    Client, InboundDurabilityHook,
    anyhow::{self, anyhow},
};

use super::{
    convert::{Converted, convert},
    reporter::Reporter,
    runtime::LinkRuntime,
};
use crate::{CloseReason, Inbox};

/// The wait before an inbox that refused is asked again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A refusing inbox is mostly a database that is short of room or restarting: seconds, not minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Carries the client's messages to the inbox.
///
/// WhatsApp sends a message that was not acknowledged again at the next connection, not before. So an inbox that
/// refuses is asked again for a while, which holds this chat back and no other; if it still refuses, the link ends, and
/// with the next one the messages come again.
pub(crate) struct Inbound {
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) patience: Duration,
}

impl Inbound {
    async fn carry(&self, client: &Client, batch: &[InboundMessage]) -> Result<(), String> {
        let messages = self.converted(client, batch).await;
        if messages.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            if self.reporter.is_leaving() {
                return Err("the device is being unlinked".to_owned());
            }
            let refused = match tokio::time::timeout_at(deadline, self.inbox.commit(messages.clone())).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(refused)) => refused.to_string(),
                Err(_) => format!("no answer from the inbox within {:?}", self.patience),
            };
            if Instant::now() + pause >= deadline || self.reporter.over().is_cancelled() {
                return Err(refused);
            }
            tracing::debug!(refused, "the inbox refused; asking again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn converted(&self, client: &Client, batch: &[InboundMessage]) -> Vec<IncomingMessage> {
        let mut messages = Vec::with_capacity(batch.len());
        for inbound in batch {
            match convert(inbound) {
                Converted::Text(message, None) => messages.push(*message),
                Converted::Text(mut message, Some(lid)) => {
                    if let Ok(Some(entry)) = client.get_lid_pn_entry(&lid).await {
                        message.from = entry.phone_number.to_string();
                    }
                    messages.push(*message);
                }
                Converted::Skipped(reason) => {
                    let key = self.reporter.key();
                    tracing::debug!(client_id = %key.client_id, phone_number = %key.phone_number, message_id = inbound.info.id, reason, "message skipped");
                }
            }
        }
        messages
    }
}

/// The hook that the client runs before it acknowledges.
pub(crate) struct Hook(pub(crate) Arc<Inbound>);

#[async_trait]
impl InboundDurabilityHook for Hook {
    async fn on_messages(&self, client: Arc<Client>, batch: &[InboundMessage]) -> anyhow::Result<()> {
        let Inbound { reporter, .. } = self.0.as_ref();
        // A message that makes us panic is our bug: it shall cost its link, not leave one that looks alive and is not.
        let carrying = AssertUnwindSafe(self.0.carry(&client, batch)).catch_unwind().await;
        let carried = carrying.unwrap_or_else(|_| Err("a message could not be processed".to_owned()));
        carried.map_err(|refused| {
            // A device that is being unlinked still needs its connection, to say so.
            if !reporter.is_leaving() {
                reporter.end(CloseReason::Lost(format!("messages could not be stored: {refused}")));
            }
            anyhow!(refused)
        })
    }
}

/// Carries messages that pass the hook by: those that could not be decrypted and were fetched from the phone. WhatsApp
/// counts them as delivered already, so they get as many attempts as the hook's and no redelivery.
pub(crate) struct Recovered {
    pub(crate) inbound: Arc<Inbound>,
    pub(crate) client: Weak<Client>,
    pub(crate) runtime: LinkRuntime,
}

impl EventHandler for Recovered {
    fn handle_event(&self, event: Arc<Event>) {
        let Some(client) = self.client.upgrade() else { return };
        if event.as_messages().is_none_or(|batch| batch.hook_committed) {
            return;
        }
        let inbound = Arc::clone(&self.inbound);
        drop(self.runtime.start(async move {
            let Some(batch) = event.as_messages() else { return };
            if let Err(refused) = inbound.carry(&client, &batch.messages).await {
                tracing::error!(refused, "a message recovered from the phone could not be stored");
            }
        }));
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[EventKind::Messages])
    }
}

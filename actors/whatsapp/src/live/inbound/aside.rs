//! What the client tells beside the messages that pass the hook.

use std::sync::{Arc, Weak};

use tokio::time::Instant;
use whatsapp_rust::Client;
use whatsapp_rust::wacore::{
    stanza::groups::GroupNotificationAction,
    types::{
        events::{Event, EventHandler, EventInterest, EventKind},
        message::MessageInfo,
    },
};

use super::{Inbound, watch};
use crate::live::{convert::for_nobody, timers::Timer};

/// Hears of messages that were fetched from the phone, messages that cannot be decrypted, new names of groups, and the
/// history.
///
/// Messages from the phone were acknowledged before: they get as many attempts at the inbox as others and no redelivery.
pub(crate) struct Aside {
    pub(crate) inbound: Arc<Inbound>,
    pub(crate) client: Weak<Client>,
    /// Whether the history becomes events.
    pub(crate) takes_history: bool,
}

impl EventHandler for Aside {
    fn handle_event(&self, event: Arc<Event>) {
        match event.as_ref() {
            Event::Messages(batch) if !batch.hook_committed => self.recovered(Arc::clone(&event)),
            Event::UndecryptableMessage(lost) if self.is_wanted(&lost.info) => {
                let inbound = &self.inbound;
                let patience = inbound.undecryptable_patience;
                inbound.memory.awaited().miss(lost.clone(), Instant::now(), patience);
                watch(inbound);
            }
            Event::GroupUpdate(update) => {
                let group = &update.group_jid;
                match &update.action {
                    GroupNotificationAction::Subject { subject, .. } => {
                        self.inbound.memory.subjects().learn(group, subject);
                    }
                    GroupNotificationAction::Ephemeral { expiration, .. } => {
                        let (timers, group) = (Arc::clone(&self.inbound.timers), group.clone());
                        let timer = Timer {
                            seconds: *expiration,
                            set_at: update.timestamp.timestamp(),
                        };
                        let setting = async move { timers.set(&group, timer).await };
                        drop(self.inbound.runtime.start(setting));
                    }
                    _ => {}
                }
            }
            Event::HistorySync(_) if self.takes_history => self.history(event),
            _ => {}
        }
    }

    fn interest(&self) -> EventInterest {
        const ALWAYS: [EventKind; 3] = [
            EventKind::Messages,
            EventKind::UndecryptableMessage,
            EventKind::GroupUpdate,
        ];
        match self.takes_history {
            true => EventInterest::of(&[ALWAYS.as_slice(), &[EventKind::HistorySync]].concat()),
            false => EventInterest::of(&ALWAYS),
        }
    }
}

impl Aside {
    /// Whether anybody is told of a message.
    fn is_wanted(&self, info: &MessageInfo) -> bool {
        for_nobody(info).is_none() && (!info.source.is_from_me || self.inbound.wants_own())
    }

    fn recovered(&self, event: Arc<Event>) {
        let Some(client) = self.client.upgrade() else { return };
        let inbound = Arc::clone(&self.inbound);
        drop(self.inbound.runtime.start(async move {
            let Some(batch) = event.as_messages() else { return };
            if let Err(refused) = inbound.carry(&client, &batch.messages).await {
                tracing::error!(refused, "a message recovered from the phone could not be stored");
            }
        }));
    }

    fn history(&self, event: Arc<Event>) {
        let Some(client) = self.client.upgrade() else { return };
        let inbound = Arc::clone(&self.inbound);
        drop(self.inbound.runtime.start(async move {
            let Event::HistorySync(history) = event.as_ref() else {
                return;
            };
            inbound.carry_history(&client, history).await;
        }));
    }
}

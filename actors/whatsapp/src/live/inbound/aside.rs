//! What the client tells beside the messages that pass the hook.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;
use wharf_domain::Timestamp;
use whatsapp_rust::wacore::{
    msg_secret::{MsgSecretPolicy, MsgSecretRetention, classify, expires_at},
    proto_helpers::MessageExt as _,
    stanza::groups::GroupNotificationAction,
    store::traits::MsgSecretEntry,
    types::{
        events::{Event, EventHandler, EventInterest, EventKind, InboundMessage},
        message::MessageInfo,
    },
};
use whatsapp_rust::waproto::whatsapp::Message;
use whatsapp_rust::{Client, wacore_binary::JidExt as _};

use super::{Inbound, watch};
use crate::live::{memory::Memory, reporter::now, timers::Timer};

/// For how long the client asks phones for what could not be decrypted.
const ASKED_FOR: Duration = Duration::from_secs(14 * 24 * 60 * 60);

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
                if lost.info.source.is_self_fanout() {
                    self.ask_phone(&lost.info);
                }
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
        self.inbound.unwanted(info).is_none() && (!info.source.is_from_me || self.inbound.wants_own())
    }

    /// Asks the phone for its copy of what it sent to somebody: the client asks nobody for that. It is asked once.
    fn ask_phone(&self, lost: &Arc<MessageInfo>) {
        let age = now().since(Timestamp(lost.timestamp.timestamp_millis()));
        let Some(client) = self.client.upgrade().filter(|_| age <= ASKED_FOR) else {
            return;
        };
        let lost = Arc::clone(lost);
        drop(self.inbound.runtime.start(async move {
            if let Err(error) = client.send_pdo_placeholder_resend_request(&lost).await {
                tracing::warn!(%error, message_id = lost.id, "the phone could not be asked for a message");
            }
        }));
    }

    fn recovered(&self, event: Arc<Event>) {
        let Some(client) = self.client.upgrade() else { return };
        let inbound = Arc::clone(&self.inbound);
        drop(self.inbound.runtime.start(async move {
            let Some(batch) = event.as_messages() else { return };
            keep_secrets(&client, &inbound.memory, &batch.messages).await;
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

/// Keeps the secrets of messages that the phone gave, with which edits, votes and the like of them are encrypted. The client
/// does so with what it decrypts itself, only.
async fn keep_secrets(client: &Client, memory: &Memory, messages: &[InboundMessage]) {
    let secrets = messages.iter().filter_map(|recovered| {
        let first = memory.awaited().first(&recovered.info);
        secret_of(first.as_ref().unwrap_or(&recovered.info), &recovered.message)
    });
    let secrets: Vec<MsgSecretEntry> = secrets.collect();
    if secrets.is_empty() {
        return;
    }
    let backend = client.persistence_manager().backend();
    if let Err(error) = backend.put_msg_secrets(secrets).await {
        tracing::warn!(%error, "the secret of a message from the phone could not be kept");
    }
}

/// A message's secret, under the names by which the client looks for it, and for as long as it keeps its own.
fn secret_of(info: &MessageInfo, message: &Message) -> Option<MsgSecretEntry> {
    let secret = message.message_context_info.as_option()?.message_secret.as_deref()?;
    let secret = secret.try_into().ok().filter(|_| !message.is_forwarded())?;
    let (chat, sender) = (&info.source.chat, &info.source.sender);
    let at = info.timestamp.timestamp();
    let expires_at = expires_at(
        MsgSecretPolicy::default(),
        &MsgSecretRetention::default(),
        classify(message, chat.is_bot()),
        u64::try_from(at).ok(),
        now().0 / 1000,
    );
    Some(MsgSecretEntry::new(chat, sender, &info.id, secret, expires_at, at))
}

//! Incoming messages: committed first, acknowledged then.

mod arrival;
mod aside;
mod batch;
mod ear;
mod gather;
mod heard;
mod missing;
mod party;
mod past;
mod sealed;
mod sent;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use wharf_domain::{EventKind, IncomingMessage};
use whatsapp_rust::wacore::types::{
    events::{Event, InboundMessage},
    message::MessageInfo,
};
use whatsapp_rust::wacore_binary::JidExt as _;
use whatsapp_rust::waproto::whatsapp::Message;
use whatsapp_rust::{
    Client, InboundDurabilityHook,
    anyhow::{self, anyhow},
};

pub(crate) use self::{
    arrival::Arrival, aside::Aside, ear::Ear, heard::is_own, missing::watch, party::other_name, party::party,
};
use self::{
    batch::Read,
    gather::{groups_in, groups_of},
    sealed::is_sealed,
};
use super::{
    awaited::{Lost, as_first},
    convert::{Converted, People, Surroundings, convert, is_hidden, not_for_us, undecryptable},
    follow::Follow,
    lane::Lane,
    memory::Memory,
    online::take_back,
    reporter::Reporter,
    runtime::LinkRuntime,
    timers::{Timers, Told},
};
use crate::{CloseReason, Inbox, Incoming, NotCommitted};

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
    pub(crate) runtime: LinkRuntime,
    pub(crate) memory: Arc<Memory>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) patience: Duration,
    /// How long a message that cannot be decrypted is waited for.
    pub(crate) undecryptable_patience: Duration,
    /// What else happens, in order with the messages.
    pub(crate) lane: Mutex<Lane<Arc<Event>>>,
    /// Told when a message has left the lane.
    pub(crate) moved: Notify,
    /// Whose presence is asked for.
    pub(crate) follow: Follow,
    /// In how many chats something is being typed. Whoever says that the account is there, or is not, holds it.
    pub(crate) typing: tokio::sync::Mutex<usize>,
}

impl Inbound {
    async fn carry(&self, client: &Arc<Client>, batch: &[InboundMessage]) -> Result<(), String> {
        let mut all = Vec::new();
        for InboundMessage { info, message, .. } in batch {
            let read = self.read(client, info, message, true).await?;
            self.read_again(client, &read, message, &mut all).await?;
            all.push(read);
        }
        self.name_groups(client, groups_in(&mut all)).await;
        self.commit(all).await?;
        for InboundMessage { info, message, .. } in batch {
            let chat = &info.source.chat;
            match Told::of(info, message) {
                Some(Told::Set(timer)) => self.timers.set(chat, timer).await,
                Some(Told::Said(timer)) => self.timers.hear(chat, other_name(client, chat).await, timer).await,
                None => {}
            }
        }
        Ok(())
    }

    /// Converts a message. A stranger wrote it: one that makes us panic, which is our bug, is told as one of a kind that is
    /// not known here. It would end each link that WhatsApp brings it to, and the number with them.
    async fn read(
        &self,
        client: &Arc<Client>,
        info: &MessageInfo,
        message: &Message,
        is_live: bool,
    ) -> Result<Read, String> {
        let reading = AssertUnwindSafe(self.understand(client, info, message, is_live)).catch_unwind();
        reading.await.unwrap_or_else(|_| {
            let key = self.reporter.key();
            tracing::error!(client_id = %key.client_id, phone_number = %key.phone_number, message_id = info.id, "a message could not be read: reading it panicked");
            let around = Surroundings {
                people: People::new(key.phone_number.as_str()),
                ..Surroundings::default()
            };
            Ok(Read {
                message: self.told(info, convert(info, &Message::default(), &around)),
                behind: None,
                arrival: Arrival::of(&self.memory, info),
            })
        })
    }

    /// Converts a message, after looking up whom and what it speaks of. One that was waited for is an arrival, whatever it
    /// says, and one that its sender sends again has its first time. `is_live`: it is no history, of which there is too much to be
    /// remembered for that.
    async fn understand(
        &self,
        client: &Arc<Client>,
        info: &MessageInfo,
        message: &Message,
        is_live: bool,
    ) -> Result<Read, String> {
        let arrival = Arrival::of(&self.memory, info);
        let as_first = arrival.as_ref().map(|arrival| as_first(info, arrival.first()));
        let info = as_first.as_ref().unwrap_or(info);
        if let Some(reason) = self.unwanted(info) {
            let message = self.told(info, Converted::Skipped(reason));
            return Ok(Read {
                message,
                behind: None,
                arrival,
            });
        }
        let as_seen = is_live.then(|| self.memory.as_seen(info)).flatten();
        let info = as_seen.as_ref().unwrap_or(info);
        self.keep_poll(info, message).await?;
        let recipient = self.recipient(client, info).await;
        let around = Surroundings {
            people: self.people(client, info, message).await,
            ballot: self.ballot(client, info, message).await,
            recipient,
        };
        let mut told = self.told(info, convert(info, message, &around));
        self.tell_sender(client, info, &mut told).await;
        let is_open = !is_sealed(message, told.as_ref(), &around.ballot);
        let sender = &info.source.sender;
        if let Some(told) = &told
            && is_hidden(sender)
            && !info.source.is_from_me
            && told.details.as_ref().is_none_or(|details| details.group.is_none())
            && told.event() != EventKind::Update
        {
            self.memory
                .note_unnamed(sender.user_base(), told.chat.ends_with("@lid"));
        }
        Ok(Read {
            behind: self.waited_for((info, message), told.as_ref(), is_open).await?,
            message: told,
            arrival,
        })
    }

    fn told(&self, info: &MessageInfo, converted: Converted) -> Option<IncomingMessage> {
        match converted {
            Converted::Message(message) => Some(*message),
            Converted::Skipped(reason) => {
                let key = self.reporter.key();
                tracing::debug!(client_id = %key.client_id, phone_number = %key.phone_number, message_id = info.id, reason, "message skipped");
                None
            }
        }
    }

    /// Says that a message could not be decrypted.
    pub(crate) async fn report(&self, lost: &Lost) -> Result<(), String> {
        let Lost { message: lost, row } = lost;
        let Some(client) = self.reporter.client() else {
            return Err("the link is gone".to_owned());
        };
        if let Some(unwanted) = self.unwanted(&lost.info) {
            tracing::debug!(
                message_id = lost.info.id,
                unwanted,
                "nobody is told of a message that could not be decrypted"
            );
            return match row {
                Some(row) => self.insist(|| self.inbox.commit(vec![row.clone().into()])).await,
                None => Ok(()),
            };
        }
        let people = self.people(&client, &lost.info, &Message::default()).await;
        let recipient = self.recipient(&client, &lost.info).await;
        let mut told = self.told(&lost.info, undecryptable(lost, &people, recipient.as_ref()));
        self.tell_sender(&client, &lost.info, &mut told).await;
        let mut messages = Vec::from_iter(told);
        self.name_groups(&client, groups_of(&mut messages)).await;
        match (row, messages.pop()) {
            (Some(row), Some(report)) => {
                self.insist(|| self.inbox.report_awaited(row.clone(), report.clone()))
                    .await
            }
            // Of the account's own, which nobody wants any more.
            (Some(row), None) => self.insist(|| self.inbox.commit(vec![row.clone().into()])).await,
            (None, report) => self.commit(report).await,
        }
    }

    /// Hands messages to the inbox.
    async fn commit(&self, batch: impl IntoIterator<Item: Into<Read>>) -> Result<(), String> {
        let parted = batch.into_iter().map(|read| read.into().parted());
        let (mut batch, arrivals): (Vec<Incoming>, Vec<_>) = parted.unzip();
        batch.retain(|incoming| incoming.message.is_some() || incoming.came.is_some());
        if !batch.is_empty() {
            self.insist(|| self.inbox.commit(batch.clone())).await?;
        }
        arrivals.into_iter().flatten().for_each(Arrival::settle);
        Ok(())
    }

    /// Asks the inbox, and again for a while if it refuses.
    async fn insist<T, F: Future<Output = Result<T, NotCommitted>>>(&self, ask: impl Fn() -> F) -> Result<T, String> {
        let deadline = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            if self.reporter.is_leaving() {
                return Err("the device is being unlinked".to_owned());
            }
            let refused = match tokio::time::timeout_at(deadline, ask()).await {
                Ok(Ok(answer)) => return Ok(answer),
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
}

/// The hook that the client runs before it acknowledges.
pub(crate) struct Hook(pub(crate) Arc<Inbound>);

#[async_trait]
impl InboundDurabilityHook for Hook {
    async fn on_messages(&self, client: Arc<Client>, batch: &[InboundMessage]) -> anyhow::Result<()> {
        let inbound = self.0.as_ref();
        let Inbound { reporter, .. } = inbound;
        let ids = || batch.iter().map(|message| message.info.id.as_str());
        let in_order = inbound.in_order(batch);
        inbound.entered(ids());
        let batch = in_order.as_ref();
        // A message that makes us panic is our bug: it shall cost its link, not leave one that looks alive and is not.
        let carrying = AssertUnwindSafe(inbound.carry(&client, batch)).catch_unwind().await;
        let carried = carrying.unwrap_or_else(|_| Err("a message could not be processed".to_owned()));
        inbound.left(ids());
        if !inbound.inbox.wanted().contains(EventKind::Presence) {
            if inbound.follow.end() {
                let (client, inbound) = (Arc::downgrade(&client), Arc::clone(&self.0));
                let runtime = inbound.runtime.clone();
                drop(runtime.start(async move { take_back(&client, &inbound).await }));
            }
        } else if carried.is_ok() {
            let persons = batch.iter().map(|message| message.info.as_ref());
            let in_person = |info: &&MessageInfo| !info.source.is_group && !info.source.chat.is_status_broadcast();
            let persons = persons.filter(|info| not_for_us(info).is_none()).filter(in_person);
            let shown = inbound.memory.shown_online();
            persons.for_each(|info| {
                let chat = &info.source.chat;
                inbound.follow.follow(&client, &inbound.runtime, chat, shown);
            });
        }
        carried.map_err(|refused| {
            // A device that is being unlinked still needs its connection, to say so.
            if !reporter.is_leaving() {
                reporter.end(CloseReason::Lost(format!("messages could not be stored: {refused}")));
            }
            anyhow!(refused)
        })
    }
}

//! Where a link brings its messages: committed before WhatsApp is told.
//!
//! A refusal is the link's to handle: it offers the messages again for a while, then ends, and WhatsApp sends what was
//! not acknowledged to the next link. A client whose queue is full has its links ended at once: what they would hold
//! meanwhile is WhatsApp's to hold. They open again when the queue has got shorter (`link.rs`).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use futures::{TryFutureExt as _, future::BoxFuture};
use uuid::Uuid;
use wharf_domain::{
    ConnectionKey, EventId, EventKind, EventKinds, IncomingMessage, SenderShown, Timestamp,
    session::{CloseReason, LinkEvent},
};
use wharf_store::{AwaitedId, AwaitedMessage, NewEvent, Note, StoreError};
use wharf_whatsapp::{Inbox, Incoming, LinkError, LinkEvents, NotCommitted, Told};

use super::marks::{Mark, Marks};
use crate::{
    backlog::NotAdmitted,
    clock, media,
    persistence::{Arrival, Arrived, Learned, Missed, Poll, Write, new_event},
    shared::Shared,
    wanted::Wanted,
};

/// See the module.
pub(super) struct SessionInbox {
    key: ConnectionKey,
    shared: Arc<Shared>,
    wanted: Arc<Wanted>,
    /// What happens on the link; its end, here.
    events: LinkEvents,
    /// What is to be marked as read.
    marks: Marks,
    /// Whether the link goes through a proxy of the number's own.
    by_proxy: AtomicBool,
}

impl SessionInbox {
    pub(super) fn new(key: ConnectionKey, shared: Arc<Shared>, events: LinkEvents) -> Self {
        let wanted = shared.directory.wanted(&key);
        Self {
            key,
            shared,
            wanted,
            events,
            marks: Marks::default(),
            by_proxy: AtomicBool::new(false),
        }
    }

    /// Says by which way the link goes, before there is one.
    pub(super) fn goes_by_proxy(&self, by_proxy: bool) {
        self.by_proxy.store(by_proxy, Ordering::Relaxed);
    }

    fn refuse(&self, why: &NotAdmitted) -> NotCommitted {
        tracing::warn!(client_id = %self.key.client_id, number = %self.key.phone_number, %why, "messages stay at WhatsApp");
        if let NotAdmitted::Full(_) = why {
            self.events
                .send(LinkEvent::Closed(CloseReason::QueueFull(why.to_string())));
        }
        NotCommitted(why.to_string())
    }

    /// What of these is to be marked as read once they are committed.
    fn marks_of<'m>(&self, messages: impl Iterator<Item = &'m IncomingMessage>) -> Vec<Mark> {
        match self.wanted.settings().marks_read && self.wanted().contains(EventKind::Message) {
            true => messages.filter_map(Mark::of).collect(),
            false => Vec::new(),
        }
    }

    fn row(&self, mut message: IncomingMessage, created_at: Timestamp) -> NewEvent {
        let id = EventId(Uuid::now_v7());
        if let Some(reference) = message.media_mut().and_then(|media| media.reference.as_mut()) {
            reference.by_proxy = self.by_proxy.load(Ordering::Relaxed);
        }
        media::inbox::prepare(&self.shared, &self.key, id, &mut message, created_at);
        NewEvent {
            id,
            payload: message.payload(self.key.client_id, &self.key.phone_number),
            key: self.key.clone(),
            message,
            created_at,
        }
    }

    /// As without a webhook: WhatsApp is told that we have it. A full queue is not in its way either.
    fn takes(&self, message: &IncomingMessage) -> bool {
        self.wanted.takes(&message.chat)
    }
}

#[async_trait]
impl Inbox for SessionInbox {
    fn wanted(&self) -> EventKinds {
        self.wanted.get()
    }

    fn sender(&self) -> SenderShown {
        self.wanted.sender()
    }

    fn rejects_calls(&self) -> bool {
        self.wanted.settings().rejects_calls
    }

    async fn commit(&self, mut batch: Vec<Incoming>) -> Result<(), NotCommitted> {
        for incoming in &mut batch {
            incoming.message.take_if(|message| !self.takes(message));
        }
        batch.retain(|incoming| incoming.message.is_some() || incoming.came.is_some());
        if batch.is_empty() {
            return Ok(());
        }
        let Shared {
            backlog, persistence, ..
        } = self.shared.as_ref();
        let messages = || batch.iter().filter_map(|incoming| incoming.message.as_ref());
        let admitted = backlog.admit(self.key.client_id, messages().count()).await;
        let _until_committed = admitted.map_err(|why| self.refuse(&why))?;
        let marks = self.marks_of(messages());
        let is_plain = batch
            .iter()
            .all(|incoming| incoming.behind.is_none() && incoming.came.is_none());
        let created_at = clock::now();
        let arrivals = batch.into_iter().map(|Incoming { message, behind, came }| Arrival {
            event: message.map(|message| self.row(message, created_at)),
            behind,
            came,
        });
        let committed = match is_plain {
            true => {
                let events = arrivals.filter_map(|arrival| arrival.event).collect();
                persistence.commit(Write::RecordInbound, events).await
            }
            false => {
                let (key, all) = (self.key.clone(), arrivals.collect());
                persistence.commit(Write::RecordArrived, Arrived { key, all }).await
            }
        };
        committed.map_err(|error| {
            tracing::warn!(number = %self.key.phone_number, %error, "messages were not committed; WhatsApp keeps them");
            NotCommitted(error.to_string())
        })?;
        let slot = || self.shared.directory.link_slot(&self.key);
        self.marks.make(marks, &self.key, slot);
        Ok(())
    }

    fn keep_awaited(&self, awaited: Vec<AwaitedMessage>) -> BoxFuture<'static, Result<(), NotCommitted>> {
        let persistence = &self.shared.persistence;
        let kept = persistence.commit(Write::KeepAwaited, (self.key.clone(), awaited));
        Box::pin(kept.map_err(|error| NotCommitted(error.to_string())))
    }

    async fn report_awaited(&self, id: AwaitedId, report: IncomingMessage) -> Result<(), NotCommitted> {
        let admitted = self.shared.backlog.admit(self.key.client_id, 1).await;
        let _until_committed = admitted.map_err(|why| self.refuse(&why))?;
        let report = new_event(&self.key, report, clock::now());
        let missed = Missed { id, report };
        let reported = self.shared.persistence.commit(Write::ReportMissed, missed).await;
        reported.map_err(|error| NotCommitted(error.to_string()))
    }

    async fn awaited(&self) -> Result<Vec<AwaitedMessage>, LinkError> {
        let unreadable = |error: StoreError| LinkError(format!("cannot read which messages are waited for: {error}"));
        self.shared.store.awaited_messages(&self.key).await.map_err(unreadable)
    }

    async fn sealed_behind(&self, id: &AwaitedId) -> Result<Vec<Vec<u8>>, NotCommitted> {
        // What is on its way to the store waits there as well, by the time the message does.
        let settled = self.shared.persistence.settled().await;
        settled.map_err(|error| NotCommitted(error.to_string()))?;
        let sealed = self.shared.store.sealed_behind(&self.key, id).await;
        sealed.map_err(|error| NotCommitted(error.to_string()))
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

    async fn told(&self, mut told: Vec<Told>, behind: Vec<(String, AwaitedId)>) -> Result<(), NotCommitted> {
        let note = |told| Note {
            key: self.key.clone(),
            told,
        };
        // It does not come again: a queue that is full ends the link, but rows go forward. Of messages without a row there is no event then.
        let _until_committed = match self.wanted().contains(EventKind::Status) {
            true => {
                let count = told.iter().map(|told| told.message_ids.len()).sum();
                let admitted = self.shared.backlog.admit(self.key.client_id, count).await;
                if let Err(why) = &admitted {
                    self.refuse(why);
                    told.iter_mut().for_each(|told| told.place = None);
                }
                admitted.ok()
            }
            false => None,
        };
        let notes = told.into_iter().map(note).collect();
        let learned = Learned { notes, behind };
        let noted = self.shared.persistence.commit(Write::NoteOutgoing, learned).await;
        noted.map_err(|error| NotCommitted(error.to_string()))
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

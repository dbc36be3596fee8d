//! Sees to what could not be decrypted: gives it a row, and reports it when it stays so.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use wharf_domain::IncomingMessage;
use wharf_store::Behind;
use whatsapp_rust::wacore::types::message::MessageInfo;
use whatsapp_rust::waproto::whatsapp::Message;

use super::Inbound;
use crate::{
    NotCommitted,
    live::{
        awaited::{Lost, sealed},
        reporter::now,
    },
};

/// The pause before a row or a report that the inbox refused is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Sees to it that what is missing has a row and is reported, as long as the link is there. At most one task does; it ends
/// when nothing is missing, so that a number without trouble has none.
pub(crate) fn watch(inbound: &Arc<Inbound>) {
    if !inbound.memory.awaited().begin_to_watch() {
        inbound.memory.missed().notify_one();
        return;
    }
    let watching = Watching {
        inbound: Arc::clone(inbound),
        given_back: false,
    };
    drop(inbound.runtime.start(watching.run()));
}

impl Inbound {
    /// Has rows made of what is missing and has none.
    pub(super) async fn keep_missing(&self) -> Result<(), NotCommitted> {
        let (rows, keeping) = {
            let awaited = self.memory.awaited();
            let rows = awaited.without_row(Instant::now(), now());
            if rows.is_empty() {
                return Ok(());
            }
            // On its way before the list is free: a message that arrives is committed after it, and ends its row.
            let keeping = self.inbox.keep_awaited(rows.clone());
            (rows, keeping)
        };
        keeping.await?;
        self.memory.awaited().have_rows(&rows);
        Ok(())
    }

    /// The message that a message is about, if that is waited for, or what that one waits behind: this one is committed behind it.
    /// Its row is there before, since by that it is decided. One that could not be opened is kept as it came, too.
    pub(super) async fn waited_for(
        &self,
        (info, message): (&MessageInfo, &Message),
        told: Option<&IncomingMessage>,
        is_open: bool,
    ) -> Result<Option<Behind>, String> {
        let details = told.and_then(|told| told.details.as_ref());
        let Some(target) = details.and_then(|details| details.target.as_ref()) else {
            return Ok(None);
        };
        let awaited = self.memory.awaited().waits_behind(info, &target.message_id);
        let Some(id) = awaited else { return Ok(None) };
        self.insist(|| self.keep_missing()).await?;
        let sealed = (!is_open).then(|| sealed::write(info, message)).flatten();
        Ok(Some(Behind { id, sealed }))
    }
}

/// The task's hold on the list; given back however the task ends.
struct Watching {
    inbound: Arc<Inbound>,
    given_back: bool,
}

impl Drop for Watching {
    fn drop(&mut self) {
        if !self.given_back {
            self.inbound.memory.awaited().end_to_watch();
        }
    }
}

impl Watching {
    async fn run(mut self) {
        let over = self.inbound.reporter.over().clone();
        loop {
            self.keep().await;
            let overdue = self.inbound.memory.awaited().overdue(Instant::now());
            for lost in overdue {
                self.report(&lost).await;
            }
            let Some(due) = self.next() else { return };
            let inbound = Arc::clone(&self.inbound);
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = inbound.memory.missed().notified() => {}
                () = over.cancelled() => return,
            }
        }
    }

    /// When to look next. `None`: nothing is missing, and whoever adds something starts a task anew.
    fn next(&mut self) -> Option<Instant> {
        let mut awaited = self.inbound.memory.awaited();
        if awaited.is_empty() {
            awaited.end_to_watch();
            self.given_back = true;
            return None;
        }
        // What has no row yet, and what is arriving, is looked at again after a while.
        let again = Instant::now() + AGAIN;
        Some(awaited.next().map_or(again, |due| due.min(again)))
    }

    async fn keep(&self) {
        if let Err(refused) = self.inbound.keep_missing().await {
            tracing::warn!(%refused, "undecryptable messages are waited for in memory only");
        }
    }

    async fn report(&self, lost: &Lost) {
        let inbound = &self.inbound;
        let info = &lost.message.info;
        if !inbound.memory.awaited().is_missing(info) {
            // It came while those before it were reported.
            return;
        }
        let key = inbound.reporter.key();
        let waited = now().since(wharf_domain::Timestamp(info.timestamp.timestamp_millis()));
        tracing::warn!(client_id = %key.client_id, phone_number = %key.phone_number, message_id = info.id, ?waited, "a message stays undecryptable; reported as unknown");
        if let Err(refused) = inbound.report(lost).await {
            tracing::warn!(refused, "an undecryptable message could not be reported yet");
            inbound.memory.awaited().put_off(info, Instant::now() + AGAIN);
            return;
        }
        inbound.memory.awaited().settle(info);
    }
}

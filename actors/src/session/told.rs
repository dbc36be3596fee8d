//! Changes of a connection, told to its number's webhook: one event for each change of status or reason.

use std::{collections::VecDeque, sync::Arc};

use wharf_domain::{
    ConnectionKey, EventKind, IncomingMessage, MessageKind, Timestamp,
    message::{ConnectionChange, Details, Happening},
    session::SessionView,
};
use wharf_store::NewEvent;

use crate::{persistence::new_event, wanted::Wanted};

/// Their chat: they are told in their order, and wait for nothing else.
const CHAT: &str = "connection";
/// Changes that are kept while the store takes nothing; the oldest go. Reconnects are a minute apart by then.
const MOST: usize = 64;

/// What has to be told. It is committed together with the connection's row, in the order of the changes.
pub(super) struct Told {
    wanted: Arc<Wanted>,
    waiting: VecDeque<NewEvent>,
    /// The first so many are on their way.
    under_way: usize,
}

impl Told {
    pub(super) fn new(wanted: Arc<Wanted>) -> Self {
        Self {
            wanted,
            waiting: VecDeque::new(),
            under_way: 0,
        }
    }

    /// What is wanted of the number.
    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Notes a change, if it is one and somebody wants to know; whether it is noted.
    pub(super) fn note(
        &mut self,
        key: &ConnectionKey,
        before: &SessionView,
        after: &SessionView,
        now: Timestamp,
    ) -> bool {
        let Some(event) = change(&self.wanted, key, before, after, now) else {
            return false;
        };
        if self.waiting.len() >= MOST && self.waiting.remove(self.under_way).is_some() {
            tracing::warn!(number = %key.phone_number, "a change of the connection is not told: the store takes nothing");
        }
        self.waiting.push_back(event);
        true
    }

    /// What is not told yet, to be committed now.
    pub(super) fn tell(&mut self) -> Vec<NewEvent> {
        self.under_way = self.waiting.len();
        self.waiting.iter().cloned().collect()
    }

    /// What [`Told::tell`] gave is not committed: it waits again.
    pub(super) fn have_not_told(&mut self) {
        self.under_way = 0;
    }

    /// What [`Told::tell`] gave is committed.
    pub(super) fn have_told(&mut self) {
        self.waiting.drain(..self.under_way);
        self.under_way = 0;
    }
}

/// The event of a change, if it is one and somebody wants to know.
pub(crate) fn change(
    wanted: &Wanted,
    key: &ConnectionKey,
    before: &SessionView,
    after: &SessionView,
    now: Timestamp,
) -> Option<NewEvent> {
    let changed =
        (before.status, before.reason_code) != (after.status, after.reason_code) || before.reason != after.reason;
    (changed && wanted.get().contains(EventKind::Connection)).then(|| event(key, after, now))
}

fn event(key: &ConnectionKey, view: &SessionView, now: Timestamp) -> NewEvent {
    let connection = ConnectionChange {
        status: view.status,
        reason: view.reason.clone(),
        reason_code: view.reason_code,
        jid: view.jid.clone(),
    };
    let words = view.reason.clone().unwrap_or_else(|| view.status.as_str().to_owned());
    let message = IncomingMessage {
        chat: CHAT.to_owned(),
        sender: CHAT.to_owned(),
        message_id: String::new(),
        from: key.phone_number.as_str().to_owned(),
        timestamp: now,
        kind: MessageKind::Unknown,
        content: words,
        details: Some(Box::new(Details {
            happening: Some(Happening::Connection { connection }),
            ..Details::default()
        })),
    };
    new_event(key, message, now)
}

//! Changes of a connection, told to its number's webhook: one event for each change of status or reason.

use std::{collections::VecDeque, mem, sync::Arc};

use uuid::Uuid;
use wharf_domain::{
    ConnectionKey, EventId, EventKind, IncomingMessage, MessageKind, Timestamp,
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
    /// What was said last, whether or not somebody wanted to know; none: the row is not read yet.
    said: Option<SessionView>,
    waiting: VecDeque<NewEvent>,
    /// The first so many are on their way.
    under_way: usize,
    /// Whether the last of those is of what its owner wants, and is so only if it is committed.
    is_foretold: bool,
}

impl Told {
    pub(super) fn new(wanted: Arc<Wanted>) -> Self {
        Self {
            wanted,
            said: None,
            waiting: VecDeque::new(),
            under_way: 0,
            is_foretold: false,
        }
    }

    /// What is wanted of the number.
    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// This is said, and nobody has to be told.
    pub(super) fn have_said(&mut self, view: SessionView) {
        self.said = Some(view);
    }

    /// Notes a change, if it is one that was not foretold.
    pub(super) fn note(&mut self, key: &ConnectionKey, before: &SessionView, after: &SessionView, now: Timestamp) {
        if is_change(before, after) {
            self.say(key, after, now);
        }
    }

    /// Notes how it stands, if that is other than what was said last and somebody wants to know; whether it is noted.
    pub(super) fn say(&mut self, key: &ConnectionKey, view: &SessionView, now: Timestamp) -> bool {
        let before = self.said.replace(view.clone());
        let event = before.and_then(|before| change(&self.wanted, key, &before, view, now));
        let Some(event) = event else {
            return false;
        };
        if self.waiting.len() >= MOST && self.waiting.remove(self.under_way).is_some() {
            tracing::warn!(number = %key.phone_number, "a change of the connection is not told: the store takes nothing");
        }
        self.waiting.push_back(event);
        true
    }

    /// Notes how it will stand once that is committed, with what [`Told::tell`] gives next.
    pub(super) fn foretell(&mut self, key: &ConnectionKey, view: &SessionView, now: Timestamp) {
        self.is_foretold = self.say(key, view, now);
    }

    /// What is not told yet, to be committed now.
    pub(super) fn tell(&mut self) -> Vec<NewEvent> {
        self.under_way = self.waiting.len();
        self.waiting.iter().cloned().collect()
    }

    /// What [`Told::tell`] gave is not committed, as far as is known: it waits again, but for what was foretold.
    pub(super) fn have_not_told(&mut self) {
        if mem::take(&mut self.is_foretold) {
            self.waiting.remove(self.under_way.saturating_sub(1));
        }
        self.under_way = 0;
        // If it is committed all the same it is known by what it says; an id that is there would be refused.
        for event in &mut self.waiting {
            event.id = EventId(Uuid::now_v7());
        }
    }

    /// What [`Told::tell`] gave is committed, or never will be.
    pub(super) fn have_told(&mut self) {
        self.waiting.drain(..self.under_way);
        (self.under_way, self.is_foretold) = (0, false);
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
    (is_change(before, after) && wanted.get().contains(EventKind::Connection)).then(|| event(key, after, now))
}

fn is_change(before: &SessionView, after: &SessionView) -> bool {
    (before.status, before.reason_code) != (after.status, after.reason_code) || before.reason != after.reason
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

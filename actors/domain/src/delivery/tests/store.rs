//! A store as the machine's documentation describes it: rows, and the query for due chats.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use bytes::Bytes;
use uuid::Uuid;

use super::super::{DueChat, DuePage, DueQuery};
use crate::{AttemptOutcome, EventId, EventStatus, PendingEvent};

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) event: PendingEvent,
    pub(super) status: EventStatus,
}

/// The row's number is its place in the order of arrival, and is its id.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) rows: Vec<Row>,
    pending: BTreeMap<Box<str>, BTreeSet<usize>>,
    pub(super) failure_count: u32,
    /// Whether `next_due_at` may also be a time that has come: the machine bears it.
    pub(super) loose: bool,
}

pub(super) fn id(number: usize) -> EventId {
    EventId(Uuid::from_u128(number as u128))
}

pub(super) fn number(id: EventId) -> usize {
    usize::try_from(id.0.as_u128()).expect("an id of a row")
}

pub(super) fn sequence(number: usize) -> i64 {
    i64::try_from(number).expect("few rows") + 1
}

pub(super) fn body(number: usize) -> Bytes {
    Bytes::from(format!("body {number}"))
}

impl Store {
    pub(super) fn add(&mut self, chat: &str) -> PendingEvent {
        let number = self.rows.len();
        let event = PendingEvent {
            id: id(number),
            seq: i64::try_from(number).unwrap() * 3,
            sequence: sequence(number),
            chat: chat.into(),
            attempt_count: 0,
            budget_start: 0,
            next_retry_at: None,
            payload: body(number),
        };
        self.rows.push(Row {
            event: event.clone(),
            status: EventStatus::Pending,
        });
        self.set_status(number, EventStatus::Pending);
        event
    }

    fn set_status(&mut self, number: usize, status: EventStatus) {
        let row = &mut self.rows[number];
        row.status = status;
        let chat = self.pending.entry(row.event.chat.clone()).or_default();
        if status == EventStatus::Pending {
            chat.insert(number);
        } else {
            chat.remove(&number);
        }
        if chat.is_empty() {
            self.pending.remove(&row.event.chat);
        }
    }

    pub(super) fn record(&mut self, outcome: &AttemptOutcome) {
        let number = number(outcome.event_id);
        self.rows[number].event.attempt_count = outcome.attempt;
        self.rows[number].event.next_retry_at = outcome.next_retry_at;
        self.set_status(number, outcome.status);
        self.failure_count = outcome.webhook_failure_count;
    }

    /// A manual retry, as CONTRACT.md section 4 has it.
    pub(super) fn renew(&mut self, number: usize, force: bool) -> Option<PendingEvent> {
        let row = self
            .rows
            .get_mut(number)
            .filter(|row| force || row.status != EventStatus::Delivered)?;
        row.event.budget_start = row.event.attempt_count;
        row.event.next_retry_at = None;
        let event = row.event.clone();
        self.set_status(number, EventStatus::Pending);
        Some(event)
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.values().map(BTreeSet::len).sum()
    }

    pub(super) fn pending_of(&self, chat: &str) -> impl Iterator<Item = usize> {
        self.pending.get(chat).into_iter().flatten().copied()
    }

    pub(super) fn due_chats(&self, query: &DueQuery) -> DuePage {
        let waits = |number: &usize| self.rows[*number].event.next_retry_at.filter(|at| *at > query.now);
        let at = |number: &usize| {
            if self.loose {
                self.rows[*number].event.next_retry_at
            } else {
                waits(number)
            }
        };
        let next_due_at = self.pending.values().flatten().filter_map(at).min();
        let mut page = DuePage {
            next_due_at,
            ..DuePage::default()
        };
        let (mut room, mut last) = (query.events, query.after.clone());
        let after = query.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        for (visited, (chat, numbers)) in self.pending.range::<str, _>((after, Bound::Unbounded)).enumerate() {
            if visited == query.visit || page.chats.len() == query.chats || room == 0 {
                page.cursor = last;
                return page;
            }
            last = Some(chat.clone());
            if query.only_due && numbers.first().and_then(waits).is_some() {
                page.skipped += 1;
                continue;
            }
            let take = query.per_chat.min(room);
            let events: Vec<_> = numbers
                .iter()
                .take(take)
                .map(|number| self.rows[*number].event.clone())
                .collect();
            room -= events.len();
            page.chats.push(DueChat {
                more: events.len() < numbers.len(),
                events,
            });
        }
        page
    }
}

//! The durable truth of one webhook: its rows, and the questions that a machine asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use bytes::Bytes;
use uuid::Uuid;
use wharf_domain::{
    AttemptOutcome, EventId, EventStatus, PendingEvent, Timestamp,
    delivery::{DueChat, DuePage, DueQuery, ParkedEvent},
};

#[derive(Debug)]
pub(super) struct Row {
    chat: u32,
    pub(super) status: EventStatus,
    pub(super) attempt_count: u32,
    pub(super) budget_start: u32,
    pub(super) next_retry_at: Option<Timestamp>,
}

/// A row's number is its place in the order of arrival, and its id.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) rows: Vec<Row>,
    pub(super) failure_count: u32,
    pending: BTreeMap<Box<str>, BTreeSet<usize>>,
    due: BTreeSet<(Timestamp, usize)>,
    /// Those that ended `failed` because their budget was used up.
    parked: BTreeSet<usize>,
}

pub(super) fn id(number: usize) -> EventId {
    EventId(Uuid::from_u128(number as u128))
}

pub(super) fn number(id: EventId) -> usize {
    usize::try_from(id.0.as_u128()).unwrap_or(usize::MAX)
}

fn name(chat: u32) -> Box<str> {
    format!("chat {chat}").into()
}

impl Store {
    pub(super) fn add(&mut self, chat: u32) -> PendingEvent {
        let number = self.rows.len();
        self.rows.push(Row {
            chat,
            status: EventStatus::Pending,
            attempt_count: 0,
            budget_start: 0,
            next_retry_at: None,
        });
        self.pending.entry(name(chat)).or_default().insert(number);
        self.pending_event(number)
    }

    fn pending_event(&self, number: usize) -> PendingEvent {
        let row = &self.rows[number];
        PendingEvent {
            id: id(number),
            seq: i64::try_from(number).unwrap_or(i64::MAX),
            sequence: i64::try_from(number).unwrap_or(i64::MAX),
            chat: name(row.chat),
            attempt_count: row.attempt_count,
            budget_start: row.budget_start,
            next_retry_at: row.next_retry_at,
            payload: Bytes::from_static(b"{}"),
        }
    }

    fn change(&mut self, number: usize, status: EventStatus, next_retry_at: Option<Timestamp>) {
        let row = &mut self.rows[number];
        if let Some(at) = row.next_retry_at {
            self.due.remove(&(at, number));
        }
        (row.status, row.next_retry_at) = (status, next_retry_at);
        if status == EventStatus::Failed && next_retry_at.is_some() {
            self.parked.insert(number);
        } else {
            self.parked.remove(&number);
        }
        let chat = name(row.chat);
        if status == EventStatus::Pending {
            if let Some(at) = next_retry_at {
                self.due.insert((at, number));
            }
            self.pending.entry(chat).or_default().insert(number);
        } else if let Some(numbers) = self.pending.get_mut(&chat) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.pending.remove(&chat);
            }
        }
    }

    /// As the real store: only what is pending changes, or what was delivered after all.
    pub(super) fn record(&mut self, outcome: &AttemptOutcome) {
        let number = number(outcome.event_id);
        self.failure_count = outcome.webhook_failure_count;
        if self.rows[number].status == EventStatus::Pending || outcome.status == EventStatus::Delivered {
            self.rows[number].attempt_count = outcome.attempt;
            self.change(number, outcome.status, outcome.next_retry_at);
        }
    }

    /// A manual retry (CONTRACT.md section 4).
    pub(super) fn renew(&mut self, number: usize, force: bool) -> Option<PendingEvent> {
        let row = self.rows.get_mut(number)?;
        if row.status == EventStatus::Delivered && !force {
            return None;
        }
        row.budget_start = row.attempt_count;
        self.change(number, EventStatus::Pending, None);
        Some(self.pending_event(number))
    }

    /// Recovery's way: pending, due now, within the budget that was used up.
    pub(super) fn revive(&mut self, number: usize) -> Option<PendingEvent> {
        self.parked.contains(&number).then(|| {
            self.change(number, EventStatus::Pending, None);
            self.pending_event(number)
        })
    }

    pub(super) fn parked_after(&self, after: i64, limit: usize) -> Vec<ParkedEvent> {
        let after = usize::try_from(after).map_or(Bound::Unbounded, Bound::Excluded);
        let parked = self.parked.range((after, Bound::Unbounded)).take(limit);
        let parked = parked.filter_map(|&number| {
            Some(ParkedEvent {
                id: id(number),
                seq: i64::try_from(number).unwrap_or(i64::MAX),
                next_retry_at: self.rows[number].next_retry_at?,
            })
        });
        parked.collect()
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.values().map(BTreeSet::len).sum()
    }

    pub(super) fn same_chat(&self, one: usize, other: usize) -> bool {
        self.rows[one].chat == self.rows[other].chat
    }

    /// Pending rows of a row's chat that came before it.
    pub(super) fn before(&self, number: usize) -> impl Iterator<Item = usize> {
        let chat = self.pending.get(&name(self.rows[number].chat));
        chat.into_iter()
            .flat_map(move |numbers| numbers.range(..number).copied())
    }

    pub(super) fn due_chats(&self, query: &DueQuery) -> DuePage {
        let later = self.due.range((query.now, usize::MAX)..).next();
        let mut page = DuePage {
            next_due_at: later.map(|(at, _)| *at),
            ..DuePage::default()
        };
        let waits = |number: &usize| self.rows[*number].next_retry_at.is_some_and(|at| at > query.now);
        let (mut room, mut last) = (query.events, query.after.as_deref());
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        for (visited, (chat, numbers)) in self.pending.range::<str, _>((after, Bound::Unbounded)).enumerate() {
            if visited == query.visit || page.chats.len() == query.chats || room == 0 {
                page.cursor = last.map(Box::from);
                return page;
            }
            last = Some(chat);
            if query.only_due && numbers.first().is_some_and(waits) {
                page.skipped += 1;
                continue;
            }
            let take = numbers.iter().take(query.per_chat.min(room));
            let events: Vec<_> = take.map(|number| self.pending_event(*number)).collect();
            room -= events.len();
            page.chats.push(DueChat {
                more: events.len() < numbers.len(),
                events,
            });
        }
        page
    }
}

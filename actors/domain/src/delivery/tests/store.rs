//! A store as the machine's documentation describes it: rows, and the query for due chats.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use bytes::Bytes;
use uuid::Uuid;

use super::super::{DueChat, DuePage, DueQuery, DueScope, ParkedEvent};
use crate::{AttemptOutcome, EventId, EventStatus, Ordering, PendingEvent};

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) event: PendingEvent,
    pub(super) status: EventStatus,
}

impl Row {
    pub(super) fn is_parked(&self) -> bool {
        self.status == EventStatus::Failed && self.event.next_retry_at.is_some()
    }
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

/// From the thousandth on one that is too large to be kept.
pub(super) fn body(number: usize) -> Bytes {
    let width = if number < 1000 { 0 } else { crate::KEPT_PAYLOAD_BYTES };
    Bytes::from(format!("body {number:width$}"))
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
            payload: Some(body(number)),
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

    /// Recovery's way: due now, within the budget that was used up.
    pub(super) fn revive(&mut self, number: usize) -> Option<PendingEvent> {
        let row = self.rows.get_mut(number).filter(|row| row.is_parked())?;
        row.event.next_retry_at = None;
        let event = row.event.clone();
        self.set_status(number, EventStatus::Pending);
        Some(event)
    }

    pub(super) fn parked(&self, after: i64, limit: usize) -> Vec<ParkedEvent> {
        let parked = self.rows.iter().filter(|row| row.is_parked() && row.event.seq > after);
        let parked = parked.map(|row| ParkedEvent {
            id: row.event.id,
            seq: row.event.seq,
            next_retry_at: row.event.next_retry_at.unwrap(),
        });
        parked.take(limit).collect()
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.values().map(BTreeSet::len).sum()
    }

    pub(super) fn pending_of(&self, chat: &str) -> impl Iterator<Item = usize> {
        self.pending.get(chat).into_iter().flatten().copied()
    }

    fn pending_at(&self, id: EventId) -> Option<usize> {
        let number = number(id);
        (self.rows[number].status == EventStatus::Pending).then_some(number)
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
        if query.scope != DueScope::Chats {
            return self.due_by_time(query, page);
        }
        assert!(query.named.is_empty(), "{query:?}");
        if query.ordering == Ordering::None {
            return self.due_singles(query, page);
        }
        let (mut room, mut last) = (query.room, query.after.clone());
        let after = query.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        for (visited, (chat, numbers)) in self.pending.range::<str, _>((after, Bound::Unbounded)).enumerate() {
            if visited == query.visit || room == 0 {
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

    /// The named chats, and then what has become due, by its time, if that is asked for.
    fn due_by_time(&self, query: &DueQuery, mut page: DuePage) -> DuePage {
        let at = |number: usize| self.rows[number].event.next_retry_at;
        let is_first = |number: usize| {
            query.ordering == Ordering::None || self.pending_of(&self.rows[number].event.chat).next() == Some(number)
        };
        let mut room = query.room;
        let mut take = |page: &mut DuePage, first: usize| {
            let chat = &self.rows[first].event.chat;
            let all: Vec<usize> = match query.ordering {
                Ordering::None => vec![first],
                Ordering::Chat => self.pending_of(chat).collect(),
            };
            let most = query.per_chat.min(room);
            let events: Vec<_> = all
                .iter()
                .take(most)
                .map(|number| self.rows[*number].event.clone())
                .collect();
            if events.is_empty() {
                return false;
            }
            room -= events.len();
            let more = events.len() < all.len();
            page.chats.push(DueChat { events, more });
            true
        };
        for chat in &query.named {
            let first = match query.ordering {
                Ordering::Chat => self.pending_of(chat).next(),
                Ordering::None => self.pending_at(chat.parse().map(EventId).unwrap()),
            };
            let Some(first) = first else {
                continue;
            };
            let wanted = !query.only_due || at(first).is_none_or(|at| at <= query.now);
            if wanted && !take(&mut page, first) {
                page.left.push(chat.clone());
            }
        }
        if query.scope == DueScope::Named {
            return page;
        }
        let place = |number: usize| at(number).map(|at| format!("{:012} {number:09}", at.0));
        let mut due: Vec<(String, usize)> = self
            .pending
            .values()
            .flatten()
            .filter(|number| at(**number).is_some_and(|at| at <= query.now))
            .filter_map(|number| Some((place(*number)?, *number)))
            .filter(|(place, _)| query.after.as_deref().is_none_or(|after| place.as_str() > after))
            .collect();
        due.sort();
        let mut last = query.after.clone();
        for (visited, (place, number)) in due.into_iter().enumerate() {
            let named = query.ordering == Ordering::Chat && query.named.contains(&self.rows[number].event.chat);
            let looked_at = named || !is_first(number);
            if visited == query.visit || !looked_at && !take(&mut page, number) {
                page.cursor = Some(last.unwrap_or_default());
                return page;
            }
            last = Some(place.into());
        }
        let waits = self
            .pending
            .values()
            .flatten()
            .filter(|number| at(**number).is_some_and(|at| at > query.now));
        page.skipped = waits.count();
        page
    }

    /// Each pending event as a chat of its own, in the order of chats and then of arrival.
    fn due_singles(&self, query: &DueQuery, mut page: DuePage) -> DuePage {
        let place = |number: usize| format!("{} {number:09}", self.rows[number].event.chat);
        let all = self.pending.values().flatten().copied();
        let after = all.filter(|number| {
            query
                .after
                .as_deref()
                .is_none_or(|after| place(*number).as_str() > after)
        });
        let mut last = query.after.clone();
        for (visited, number) in after.enumerate() {
            if visited == query.visit || page.chats.len() == query.room {
                page.cursor = last;
                return page;
            }
            last = Some(place(number).into());
            let event = self.rows[number].event.clone();
            if query.only_due && event.next_retry_at.is_some_and(|at| at > query.now) {
                page.skipped += 1;
                continue;
            }
            page.chats.push(DueChat {
                events: vec![event],
                more: false,
            });
        }
        page
    }
}

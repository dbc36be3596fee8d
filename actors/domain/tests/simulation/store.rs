//! The durable truth of one webhook: its rows, and the questions that a machine asks.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use bytes::Bytes;
use uuid::Uuid;
use wharf_domain::{
    AttemptOutcome, EventId, EventStatus, Ordering, PendingEvent, Timestamp,
    delivery::{DeliveryConfig, DueChat, DuePage, DueQuery, DueScope, ParkedEvent},
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
#[derive(Debug)]
pub(super) struct Store {
    /// The webhook's row.
    pub(super) webhook: DeliveryConfig,
    pub(super) rows: Vec<Row>,
    pub(super) failure_count: u32,
    pending: BTreeMap<Box<str>, BTreeSet<usize>>,
    due: BTreeSet<(Timestamp, usize)>,
    failed: BTreeSet<usize>,
    /// Of the failed ones those whose budget was used up.
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
    pub(super) fn new(webhook: DeliveryConfig) -> Self {
        Self {
            webhook,
            rows: Vec::new(),
            failure_count: 0,
            pending: BTreeMap::new(),
            due: BTreeSet::new(),
            failed: BTreeSet::new(),
            parked: BTreeSet::new(),
        }
    }

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
            payload: Some(Bytes::from_static(b"{}")),
        }
    }

    fn change(&mut self, number: usize, status: EventStatus, next_retry_at: Option<Timestamp>) {
        let row = &mut self.rows[number];
        if let Some(at) = row.next_retry_at {
            self.due.remove(&(at, number));
        }
        (row.status, row.next_retry_at) = (status, next_retry_at);
        if status == EventStatus::Failed {
            self.failed.insert(number);
        } else {
            self.failed.remove(&number);
        }
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

    /// The oldest failed events, for a retry of many.
    pub(super) fn failed(&self, limit: usize) -> Vec<usize> {
        self.failed.iter().take(limit).copied().collect()
    }

    /// A retry of many: due at its own time. What is not failed any more is passed over.
    pub(super) fn renew_failed(&mut self, number: usize, due: Timestamp) -> Option<PendingEvent> {
        self.failed.contains(&number).then(|| {
            self.rows[number].budget_start = self.rows[number].attempt_count;
            self.change(number, EventStatus::Pending, Some(due));
            self.pending_event(number)
        })
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

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
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

    /// Whether an event is pending, and its time has come.
    pub(super) fn is_due(&self, number: usize, now: Timestamp) -> bool {
        let row = &self.rows[number];
        row.status == EventStatus::Pending && row.next_retry_at.is_none_or(|at| at <= now)
    }

    /// Events that are due and that no other one keeps back, from a chat on; a few are looked at.
    pub(super) fn free(&self, from: u32, ordering: Ordering, now: Timestamp) -> impl Iterator<Item = usize> {
        let per_chat = match ordering {
            Ordering::Chat => 1,
            Ordering::None => 20,
        };
        let chats = self.pending.range(name(from)..).take(100);
        let heads = chats.flat_map(move |(_, numbers)| numbers.iter().take(per_chat).copied());
        heads.filter(move |number| self.is_due(*number, now))
    }

    pub(super) fn due_events(&self, query: &DueQuery) -> DuePage {
        let later = self.due.range((query.now, usize::MAX)..).next();
        let page = DuePage {
            next_due_at: later.map(|(at, _)| *at),
            ..DuePage::default()
        };
        match query.ordering {
            _ if query.scope != DueScope::Chats => self.due_by_time(query, page),
            Ordering::Chat => self.due_chats(query, page),
            Ordering::None => self.due_singles(query, page),
        }
    }

    /// Each pending event as a chat of its own, in the order of chats and then of arrival.
    fn due_singles(&self, query: &DueQuery, mut page: DuePage) -> DuePage {
        let after = query.after.as_deref().and_then(|after| after.split_once('/'));
        let after = after.map(|(chat, number)| (chat, number.parse::<usize>().unwrap_or(usize::MAX)));
        let from = Bound::Included(after.map_or("", |(chat, _)| chat));
        let chats = self.pending.range::<str, _>((from, Bound::Unbounded));
        let numbers = chats.flat_map(|(chat, numbers)| {
            let from = after
                .filter(|(after, _)| *after == &**chat)
                .map_or(0, |(_, last)| last + 1);
            numbers.range(from..).map(move |number| (&**chat, *number))
        });
        let mut last = None;
        for (visited, (chat, number)) in numbers.enumerate() {
            if visited == query.visit || page.chats.len() == query.room {
                page.cursor = last.map(|(chat, number): (&str, usize)| format!("{chat}/{number}").into());
                return page;
            }
            last = Some((chat, number));
            if query.only_due && !self.is_due(number, query.now) {
                page.skipped += 1;
                continue;
            }
            page.chats.push(DueChat {
                events: vec![self.pending_event(number)],
                more: false,
            });
        }
        page
    }

    /// The named chats, and then what has become due, by its time, if that is asked for.
    fn due_by_time(&self, query: &DueQuery, mut page: DuePage) -> DuePage {
        let mut room = query.room;
        let mut take = |page: &mut DuePage, numbers: &mut dyn Iterator<Item = usize>| {
            let events: Vec<_> = numbers
                .take(query.per_chat.min(room))
                .map(|number| self.pending_event(number))
                .collect();
            if events.is_empty() {
                return false;
            }
            room -= events.len();
            // Whoever has all of a chat learns that with its next look.
            let more = query.ordering == Ordering::Chat;
            page.chats.push(DueChat { events, more });
            true
        };
        for chat in &query.named {
            let numbers = match query.ordering {
                Ordering::Chat => self.pending.get(chat).map(Cow::Borrowed),
                Ordering::None => self.alone(chat).map(Cow::Owned),
            };
            let Some(numbers) = numbers else {
                continue;
            };
            let wanted = !query.only_due || numbers.first().is_some_and(|first| self.is_due(*first, query.now));
            if wanted && !take(&mut page, &mut numbers.iter().copied()) {
                page.left.push(chat.clone());
            }
        }
        if query.scope == DueScope::Named {
            return page;
        }
        let after = query.after.as_deref().and_then(|after| after.split_once('/'));
        let after = after.and_then(|(at, number)| Some((Timestamp(at.parse().ok()?), number.parse().ok()?)));
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = query.after.clone();
        let due = self.due.range((from, Bound::Included((query.now, usize::MAX))));
        for (visited, &(at, number)) in due.enumerate() {
            let chat = name(self.rows[number].chat);
            let is_head = match query.ordering {
                Ordering::None => true,
                Ordering::Chat => self.before(number).next().is_none() && !query.named.contains(&chat),
            };
            let mut alone = std::iter::once(number);
            let mut all = self.pending.get(&chat).into_iter().flatten().copied();
            let numbers: &mut dyn Iterator<Item = usize> = match query.ordering {
                Ordering::None => &mut alone,
                Ordering::Chat => &mut all,
            };
            if visited == query.visit || is_head && !take(&mut page, numbers) {
                page.cursor = Some(last.unwrap_or_default());
                return page;
            }
            last = Some(format!("{}/{number}", at.0).into());
        }
        let later = self
            .due
            .range((Bound::Excluded((query.now, usize::MAX)), Bound::Unbounded));
        page.skipped = later.take(1024).count();
        page
    }

    /// The event of this id, where it is pending.
    fn alone(&self, id: &str) -> Option<BTreeSet<usize>> {
        let number = number(EventId(id.parse().ok()?));
        (self.rows.get(number)?.status == EventStatus::Pending).then(|| BTreeSet::from([number]))
    }

    fn due_chats(&self, query: &DueQuery, mut page: DuePage) -> DuePage {
        let waits = |number: &usize| !self.is_due(*number, query.now);
        let (mut room, mut last) = (query.room, query.after.as_deref());
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        for (visited, (chat, numbers)) in self.pending.range::<str, _>((after, Bound::Unbounded)).enumerate() {
            if visited == query.visit || room == 0 {
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

//! From what was seen outside the gateway to the steps of each message. Pure: it is given all it knows.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use chrono::DateTime;
use serde::Deserialize;
use wharf_domain::Timestamp;

use super::{Summary, receiver::Attempt};

/// Messages that are remembered after they have ended, for attempts that somebody asks for by hand.
const REMEMBERED: u64 = 500;

/// Messages that one message may overtake on its way to the store, generously.
const OVERTAKING: u64 = 20;

/// An event as the API shows it; of its fields, those that steps are made of.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Event {
    pub(super) message_id: String,
    status: String,
    attempt_count: u32,
    error: Option<String>,
    next_retry_at: Option<String>,
}

impl Event {
    fn next_retry_in(&self, now: Timestamp) -> Option<Duration> {
        let at = DateTime::parse_from_rfc3339(self.next_retry_at.as_deref()?).ok()?;
        Some(Timestamp(at.timestamp_millis()).since(now))
    }
}

/// What was seen since the last look, in the order of looking: no attempt is here whose event is not.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The receiver's log.
    pub(super) attempts: Vec<Attempt>,
    /// Messages that the gateway has acknowledged to their senders.
    pub(super) receipts: HashSet<String>,
    /// Of the messages under way.
    pub(super) events: Vec<Event>,
}

/// A step of the message with this number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) number: u64,
    pub(super) what: What,
}

/// What happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// Its event is in the store; whether the sender has got the receipt for it.
    Committed { receipt: bool },
    /// It waits for an earlier message of its chat, this one.
    Behind(u64),
    /// The receiver answered.
    Attempt { number: u32, status: u16 },
    /// The gateway will try again.
    Retry(Duration),
    /// The receiver took it, so long after it was written.
    Delivered(Duration),
    /// The gateway gave up.
    Failed(String),
}

#[derive(Debug)]
struct Message {
    number: u64,
    id: String,
    chat: &'static str,
    written: Instant,
    committed: bool,
    said_behind: bool,
    attempts: u32,
    /// An attempt failed, and nothing was said yet about the next one.
    refused: bool,
    taken: Option<Instant>,
    ended: bool,
}

/// Every message on its way.
#[derive(Debug, Default)]
pub(super) struct Track {
    messages: Vec<Message>,
    summary: Summary,
}

impl Track {
    /// A contact has written; answers the message's number.
    pub(super) fn written(&mut self, id: String, chat: &'static str, at: Instant) -> u64 {
        self.summary.received += 1;
        let number = self.summary.received;
        self.messages.retain(|it| !it.ended || it.number + REMEMBERED > number);
        self.messages.push(Message {
            number,
            id,
            chat,
            written: at,
            committed: false,
            said_behind: false,
            attempts: 0,
            refused: false,
            taken: None,
            ended: false,
        });
        number
    }

    /// Ids of the messages that have not ended.
    pub(super) fn open(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().filter(|it| !it.ended).map(|it| it.id.as_str())
    }

    /// Whether this message was written so long before the oldest open one that its event is older, too.
    pub(super) fn is_past(&self, id: &str) -> bool {
        let oldest = self
            .messages
            .iter()
            .find(|it| !it.ended)
            .map_or(u64::MAX, |it| it.number);
        let number = self.messages.iter().find(|it| it.id == id).map_or(0, |it| it.number);
        number.saturating_add(OVERTAKING) < oldest
    }

    /// Chats with messages that are not known to be stored.
    pub(super) fn uncommitted(&self) -> HashSet<&'static str> {
        self.messages
            .iter()
            .filter(|it| !it.committed)
            .map(|it| it.chat)
            .collect()
    }

    /// The sum so far: whatever has not been delivered counts as lost.
    pub(super) fn summary(&self) -> Summary {
        let lost = self.summary.received - self.summary.delivered;
        Summary { lost, ..self.summary }
    }

    /// The steps that follow from what was seen, those of one message together and in the order they were taken.
    pub(super) fn advance(&mut self, seen: &Seen, now: Timestamp) -> Vec<Step> {
        let mut steps = Vec::new();
        // Chats whose earlier message waits for its next attempt, with that message's number.
        let mut held = HashMap::new();
        for message in &mut self.messages {
            let before = held.get(message.chat).copied();
            let what = message.advance(seen, before, now);
            if message.is_held_up() {
                held.entry(message.chat).or_insert(message.number);
            }
            let delivered = what.iter().any(|it| matches!(it, What::Delivered(_)));
            self.summary.delivered += u64::from(delivered);
            self.summary.retried += u64::from(delivered && message.attempts > 1);
            let number = message.number;
            steps.extend(what.into_iter().map(|what| Step { number, what }));
        }
        steps
    }
}

impl Message {
    fn is_held_up(&self) -> bool {
        !self.ended && self.attempts > 0 && self.taken.is_none()
    }

    fn advance(&mut self, seen: &Seen, before: Option<u64>, now: Timestamp) -> Vec<What> {
        let mut steps = Vec::new();
        let event = seen.events.iter().find(|event| event.message_id == self.id);
        let receipt = seen.receipts.contains(&self.id);
        if !self.committed && (receipt || event.is_some()) {
            self.committed = true;
            steps.push(What::Committed { receipt });
        }
        self.attempted(&seen.attempts, &mut steps);
        if let (Some(event), false) = (event, self.ended) {
            self.judged(event, now, &mut steps);
        }
        let waits = self.committed && self.attempts == 0 && !self.said_behind;
        if let (Some(before), true) = (before, waits) {
            self.said_behind = true;
            steps.push(What::Behind(before));
        }
        steps
    }

    /// What the receiver says.
    fn attempted(&mut self, log: &[Attempt], steps: &mut Vec<What>) {
        for attempt in log.iter().filter(|it| it.message_id == self.id) {
            let taken = (200..300).contains(&attempt.status);
            self.attempts = self.attempts.max(attempt.number);
            self.refused = !taken;
            if taken && self.taken.is_none() {
                self.taken = Some(attempt.at);
            }
            steps.push(What::Attempt {
                number: attempt.number,
                status: attempt.status,
            });
        }
    }

    /// What the gateway says.
    fn judged(&mut self, event: &Event, now: Timestamp, steps: &mut Vec<What>) {
        match (event.status.as_str(), self.taken) {
            ("delivered", Some(at)) => {
                self.ended = true;
                steps.push(What::Delivered(at.saturating_duration_since(self.written)));
            }
            ("failed", _) => {
                self.ended = true;
                steps.push(What::Failed(event.error.clone().unwrap_or_default()));
            }
            ("pending", _) if self.refused && event.attempt_count >= self.attempts => {
                if let Some(after) = event.next_retry_in(now) {
                    self.refused = false;
                    steps.push(What::Retry(after));
                }
            }
            // The receiver and the store are not read at the same moment; the next look has the rest.
            _ => {}
        }
    }
}

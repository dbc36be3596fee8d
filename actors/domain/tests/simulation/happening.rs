//! What may happen, and when: ordered by time, and at one time in the order in which it was decided upon.

use std::time::Duration;

use wharf_domain::{
    AttemptOutcome, AttemptResult, EventId, Timestamp,
    delivery::{DeliveryEvent, DueQuery},
};

use super::{owner::Change, watch::Watched};

/// Something that happens at its time. What belongs to a machine carries its life, and is void when that has ended.
#[derive(Debug)]
pub(super) enum Happening {
    /// A message is committed for some webhook.
    Message,
    /// A machine is told.
    Tell(Box<DeliveryEvent>),
    /// An attempt has ended.
    Answer {
        event_id: EventId,
        attempt: u32,
        result: Box<AttemptResult>,
        retry_after: Option<Duration>,
        /// Where it was made.
        target: u64,
    },
    /// An attempt that waited has its slot.
    Slot { event_id: EventId, attempt: u32 },
    /// The store commits or refuses an outcome.
    Outcome(Box<AttemptOutcome>),
    /// The store commits or refuses a manual retry.
    Renewal { event_id: EventId, force: bool },
    /// The store commits a retry of many.
    Renewals(Vec<usize>),
    /// The store commits or refuses a revival.
    Revival(EventId),
    /// The store commits or refuses that the webhook is switched off: this receiver of its said that it is gone.
    Deactivation { target: u64 },
    /// The store commits what an owner changes.
    Change(Box<Change>),
    /// The store answers a load.
    Load { generation: u64, query: Box<DueQuery> },
    /// The store answers which events are parked.
    LoadParked { generation: u64, after: i64, limit: usize },
    /// The whole program dies.
    Crash,
    /// One machine dies.
    Restart,
    /// Somebody retries an event of some webhook by hand.
    Retry,
    /// Somebody retries failed events of some webhook together.
    RetryMany,
    /// Somebody changes some webhook.
    Patch,
    /// Whether what may go goes: an event of some webhook is looked for that is free to go,
    Watch,
    /// and has gone by now.
    Verify(Box<Watched>),
    /// The janitor's round for some webhook.
    LookAgain,
}

pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) order: u64,
    pub(super) hook: usize,
    pub(super) life: u64,
    pub(super) what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

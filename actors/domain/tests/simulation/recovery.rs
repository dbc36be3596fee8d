//! What `recovery: auto` promises (docs/WEBHOOKS.md), seen from outside: how much at once, how fast, in
//! which order, and how soon after the receiver is well.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use wharf_domain::{EventId, EventStatus, Ordering, Timestamp, delivery::DeliveryConfig};

use super::{
    law::law,
    store::{Store, number},
};

/// What is revived together follows what was revived before after this long: four times a second at the most.
const BETWEEN_BATCHES: Duration = Duration::from_millis(250);
/// Reads of parked events in any second, far from a loop without a pause: two for each batch and for what ends meanwhile.
const READS_PER_SECOND: usize = 16;
/// The longest wait of the schedule, with jitter.
const LONGEST_WAIT: Duration = Duration::from_secs(3_960);

/// See the module. Knows of the machine's present life only.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Events that were asked for and are not done with; whether the store has them pending.
    out: BTreeMap<usize, bool>,
    /// Those for which no round has to wait: an earlier event of their chat waits for its time.
    behind: BTreeSet<usize>,
    /// Of the last round and what came since: whether an event of it ended as failed, and whether any was delivered.
    failed: bool,
    delivered: bool,
    refused: bool,
    /// Whether the last round was one of a pass, its last event, and when it began.
    last: Option<(bool, usize, Timestamp)>,
    reads: VecDeque<Timestamp>,
    /// When the receiver took something for the first time after all its failures.
    taken_since: Option<Timestamp>,
    last_revival: Option<Timestamp>,
}

fn forget<T>(recent: &mut VecDeque<T>, now: Timestamp, at: impl Fn(&T) -> Timestamp) {
    while recent.front().is_some_and(|first| at(first).0 + 1000 <= now.0) {
        recent.pop_front();
    }
}

impl Recovery {
    /// A machine starts; `down` when the last event that ended before was not delivered.
    pub(super) fn begin(down: bool) -> Self {
        Self {
            failed: down,
            ..Self::default()
        }
    }

    /// What is promised may have changed.
    pub(super) fn configured(&mut self) {
        self.reads.clear();
        self.last = None;
    }

    pub(super) fn is_out(&self, event: usize) -> bool {
        self.out.contains_key(&event)
    }

    /// What is asked for and is to be waited for.
    fn waited_for(&self) -> impl Iterator<Item = usize> {
        let out = self.out.keys().copied();
        out.filter(|event| !self.behind.contains(event))
    }

    /// The store was written to.
    pub(super) fn committed(&mut self, store: &Store, ordering: Ordering) {
        for event in self.out.keys().filter(|_| ordering == Ordering::Chat) {
            let waits = |earlier: usize| store.rows[earlier].next_retry_at.is_some();
            if store.before(*event).any(waits) {
                self.behind.insert(*event);
            }
        }
    }

    /// May it read parked events?
    pub(super) fn asks(&mut self, config: DeliveryConfig, now: Timestamp, limit: usize) -> Result<(), String> {
        let auto = config.courtesy.recovery == wharf_domain::Recovery::Auto;
        law!(
            auto && config.is_active,
            "parked events are read though nobody wants them"
        );
        law!(limit <= at_once(config), "{limit} parked events at once");
        let out = self.waited_for().next();
        law!(out.is_none(), "parked events are read while {out:?} is out");
        forget(&mut self.reads, now, |at| *at);
        self.reads.push_back(now);
        let reads = self.reads.len();
        law!(reads <= READS_PER_SECOND, "{reads} reads of parked events in a second");
        Ok(())
    }

    /// May these be made pending again?
    pub(super) fn revives(&mut self, config: DeliveryConfig, now: Timestamp, events: &[EventId]) -> Result<(), String> {
        let events: Vec<usize> = events.iter().map(|event_id| number(*event_id)).collect();
        let auto = config.courtesy.recovery == wharf_domain::Recovery::Auto;
        law!(
            auto && config.is_active,
            "{events:?} are revived though nobody wants it"
        );
        let out = self.waited_for().next();
        law!(out.is_none(), "{events:?} are revived while {out:?} is out");
        law!(events.is_sorted(), "{events:?} are revived");
        law!(
            !events.is_empty() && events.len() <= at_once(config),
            "{events:?} at once"
        );
        let down = self.failed && !self.delivered;
        law!(!down || events.len() == 1, "{events:?} for a receiver that is down");
        if let Some((passing, last, at)) = self.last {
            // When the oldest was taken, or anything else, the others follow at once.
            let early = now.since(at) < BETWEEN_BATCHES && (passing || !self.delivered);
            law!(!early, "{events:?} right after {last}");
            let goes_on = passing && !self.failed && !self.refused && now.since(at) < Duration::from_secs(2);
            law!(!goes_on || events[0] > last, "{events:?} after {last}, out of order");
        }
        self.last = events.last().map(|last| (!down && events.len() > 1, *last, now));
        self.last_revival = Some(now);
        (self.failed, self.delivered, self.refused) = (false, false, false);
        self.out.extend(events.into_iter().map(|event| (event, false)));
        Ok(())
    }

    pub(super) fn revived(&mut self, event: usize) {
        if let Some(pending) = self.out.get_mut(&event) {
            *pending = true;
        }
    }

    /// The machine hears that something was not made pending. One that is pending is asked for by somebody else.
    pub(super) fn refused(&mut self, event: usize) {
        if self.out.get(&event) == Some(&false) {
            self.out.remove(&event);
            self.refused = true;
        }
    }

    /// An attempt ended.
    pub(super) fn ended(&mut self, event: usize, status: EventStatus, now: Timestamp) {
        let delivered = status == EventStatus::Delivered;
        self.delivered |= delivered;
        let waited_for = self.is_out(event) && !self.behind.contains(&event);
        self.failed |= status == EventStatus::Failed && waited_for;
        if delivered {
            self.taken_since.get_or_insert(now);
        } else {
            self.taken_since = None;
        }
    }

    pub(super) fn settled(&mut self, event: usize) {
        self.out.remove(&event);
        self.behind.remove(&event);
    }

    /// Nothing is parked any more, and the receiver has been well since then: was that soon enough? `plain` says that it
    /// had been down all the time before, so that no pass was in vain.
    pub(super) fn close(
        &self,
        well_since: Timestamp,
        rows: usize,
        per_second: Option<u32>,
        plain: bool,
    ) -> Result<(), String> {
        let Some(last) = self.last_revival else { return Ok(()) };
        // What waits anyway goes at the same pace.
        let paced = per_second.map_or(Duration::ZERO, |per_second| Duration::from_secs(2) / per_second);
        let each = Duration::from_millis(350) + paced;
        let work = Duration::from_secs(60) + each * u32::try_from(rows).unwrap_or(u32::MAX);
        // The next probe, and a pass that has to rest before.
        let latest = well_since + LONGEST_WAIT * 2 + work;
        law!(
            last <= latest,
            "the last was revived at {last:?}, the receiver is well since {well_since:?}"
        );
        if let Some(taken_since) = self.taken_since.filter(|_| plain) {
            let latest = taken_since.max(well_since) + work;
            law!(
                last <= latest,
                "the last was revived at {last:?}, the receiver takes events since {taken_since:?}"
            );
        }
        Ok(())
    }
}

fn at_once(config: DeliveryConfig) -> usize {
    (config.max_in_flight / 2).max(1)
}

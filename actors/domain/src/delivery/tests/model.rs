//! The world around one machine: a store, a network and a clock, each of which acts at any time in any order, and the
//! laws that are checked at every step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::test_runner::TestRng;
use uuid::Uuid;

mod acts;

use super::{
    super::*,
    store::{Store, body, id, number},
};
use crate::{AttemptOutcome, AttemptResult, Courtesy, EventStatus, courtesy::ClientErrors};

/// What the store has been asked to write.
#[derive(Debug, Clone)]
enum Write {
    Outcome(AttemptOutcome),
    Renewal { number: usize, force: bool },
    Revival(usize),
}

impl Write {
    /// The event that it makes pending again.
    fn renews(&self) -> Option<usize> {
        match self {
            Self::Outcome(_) => None,
            Self::Renewal { number, .. } | Self::Revival(number) => Some(*number),
        }
    }
}

#[derive(Debug)]
enum Load {
    Asked(u64, DueQuery),
    Read(u64, DuePage),
}

#[derive(Debug)]
enum ParkedRead {
    Asked { generation: u64, after: i64, limit: usize },
    Read(u64, Vec<ParkedEvent>),
}

/// What the world knows of a row beside what the store does.
#[derive(Debug, Default, Clone)]
struct Note {
    /// Its last wake-up was lost, or has not been delivered: the machine need not know that it is pending.
    unknown: bool,
    /// Rows of its chat that were being worked on when this one's renewal became known.
    behind: BTreeSet<usize>,
    /// The `max_retries` under which its last attempt ended, and that under which its next was scheduled: the first
    /// becomes the second with the commit.
    ended_under: u32,
    budget: u32,
    /// Recovery has given it one more attempt.
    revived: bool,
}

/// What may happen, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    pub(super) chats: usize,
    /// Of 16 attempts, how many succeed.
    pub(super) healthy: usize,
    pub(super) lossy: bool,
    pub(super) restarts: bool,
    /// Whether its owner asks for more than the defaults, and the receiver for pauses.
    pub(super) courteous: bool,
}

pub(super) struct World {
    rng: TestRng,
    profile: Profile,
    pub(super) now: Timestamp,
    config: DeliveryConfig,
    pub(super) store: Store,
    notes: Vec<Note>,
    machine: Delivery,
    /// Persistence's answers, in the order of commits.
    inbox: VecDeque<DeliveryEvent>,
    writes: VecDeque<Write>,
    /// With the target that they were begun at.
    running: BTreeMap<usize, (u32, u64)>,
    /// Attempts that wait for a slot.
    awaiting: BTreeMap<usize, u32>,
    recording: BTreeMap<usize, AttemptOutcome>,
    load: Option<Load>,
    parked: Option<ParkedRead>,
    /// Rows that this machine revives: the end of the attempt that this gives them is not committed.
    recovering: BTreeSet<usize>,
    /// The machine's, after the last step.
    ordering: Ordering,
    /// Attempts that began under the present pace, and until when the receiver wants none.
    starts: VecDeque<Timestamp>,
    paused_until: Timestamp,
    timer: Option<(Timestamp, u64)>,
    /// Reports that were delivered already, and timers that were replaced.
    stale: Vec<DeliveryEvent>,
    closing: bool,
    finished: bool,
    pub(super) loads: usize,
    /// Chats that loads looked at.
    pub(super) visited: usize,
    pub(super) timers: usize,
    pub(super) attempts: usize,
    /// Attempts that were not made after all, and reads of parked events.
    refused: usize,
    parked_reads: usize,
}

impl World {
    pub(super) fn new(rng: TestRng, profile: Profile, config: DeliveryConfig) -> Self {
        Self {
            rng,
            profile,
            now: Timestamp(1_000_000),
            config,
            store: Store::default(),
            notes: Vec::new(),
            machine: Delivery::new(WebhookId(Uuid::nil()), config, 0),
            inbox: VecDeque::new(),
            writes: VecDeque::new(),
            running: BTreeMap::new(),
            awaiting: BTreeMap::new(),
            recording: BTreeMap::new(),
            load: None,
            parked: None,
            recovering: BTreeSet::new(),
            ordering: config.courtesy.ordering,
            starts: VecDeque::new(),
            paused_until: Timestamp(0),
            timer: None,
            stale: Vec::new(),
            closing: false,
            finished: false,
            loads: 0,
            visited: 0,
            timers: 0,
            attempts: 0,
            refused: 0,
            parked_reads: 0,
        }
    }

    pub(super) fn start(&mut self) {
        self.machine = Delivery::new(WebhookId(Uuid::nil()), self.config, self.store.failure_count);
        let effects = self.machine.start(self.now);
        self.carry_out(effects);
    }

    pub(super) fn pick(&mut self, choices: usize) -> usize {
        use proptest::prelude::Rng;
        usize::try_from(self.rng.next_u32()).unwrap() % choices
    }

    fn one_in(&mut self, choices: usize) -> bool {
        self.pick(choices) == 0
    }

    fn step(&mut self, event: DeliveryEvent) {
        self.note_delivery(&event);
        let effects = self.machine.step(self.now, event.clone());
        self.carry_out(effects);
        match event {
            DeliveryEvent::AttemptFinished(_)
            | DeliveryEvent::OutcomeCommitted { .. }
            | DeliveryEvent::Loaded { .. }
            | DeliveryEvent::LoadFailed { .. }
            | DeliveryEvent::ParkedLoaded { .. }
            | DeliveryEvent::NotRenewed(_)
            | DeliveryEvent::TimerFired { .. } => self.stale.push(event),
            _ => {}
        }
        if !self.stale.is_empty() && self.one_in(4) {
            let index = self.pick(self.stale.len());
            let event = self.stale.swap_remove(index);
            self.stale_changes_nothing(event);
        }
    }

    fn stale_changes_nothing(&mut self, event: DeliveryEvent) {
        // What time alone brings about has been brought about. One that waits for its slot lets the next one try.
        loop {
            let effects = self.machine.step(self.now, DeliveryEvent::Configured(self.config));
            if effects.is_empty() {
                break;
            }
            self.carry_out(effects);
        }
        // An answer to a request that was made again meanwhile, just now even, is not stale.
        if let DeliveryEvent::NotRenewed(event_id) = event {
            let again = |write: &Write| write.renews().is_some_and(|number| id(number) == event_id);
            let answered = |event: &DeliveryEvent| match event {
                DeliveryEvent::Renewed(renewed) => renewed.id == event_id,
                DeliveryEvent::NotRenewed(refused) => *refused == event_id,
                _ => false,
            };
            if self.writes.iter().any(again) || self.inbox.iter().any(answered) {
                return;
            }
        }
        let before = format!("{:?}", self.machine);
        assert_eq!(self.machine.step(self.now, event.clone()), [], "stale {event:?}");
        assert_eq!(format!("{:?}", self.machine), before, "stale {event:?}");
    }

    fn note_delivery(&mut self, event: &DeliveryEvent) {
        match event {
            DeliveryEvent::Arrived(event) => self.notes[number(event.id)].unknown = false,
            DeliveryEvent::Renewed(event) => {
                let renewed = number(event.id);
                let chat = &event.chat;
                let busy = self
                    .running
                    .keys()
                    .chain(self.recording.keys())
                    .chain(self.awaiting.keys())
                    .copied();
                let busy = busy.filter(|other| *other > renewed && self.store.rows[*other].event.chat == *chat);
                self.notes[renewed].behind.extend(busy.collect::<Vec<_>>());
                self.notes[renewed].unknown = false;
            }
            DeliveryEvent::OutcomeCommitted { event_id, .. } => {
                self.recording.remove(&number(*event_id));
                self.recovering.remove(&number(*event_id));
            }
            _ => {}
        }
    }

    /// Nobody waits for the answer of the load under way any more.
    fn load_is_stale(&mut self) {
        match self.load.take() {
            Some(Load::Asked(generation, _)) => self.stale.push(DeliveryEvent::LoadFailed { generation }),
            Some(Load::Read(generation, page)) => self.stale.push(DeliveryEvent::Loaded { generation, page }),
            None => {}
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        if std::mem::replace(&mut self.ordering, self.machine.ordering) != self.machine.ordering {
            self.load_is_stale();
        }
        for effect in effects {
            match effect {
                Effect::Attempt { next, .. } => {
                    let NextAttempt {
                        event_id,
                        attempt,
                        payload,
                        ..
                    } = next;
                    self.attempt(number(event_id), attempt, payload);
                    if self.one_in(3) {
                        self.machine.awaits_slot(Standing::Doubtful);
                        self.awaiting.insert(number(event_id), attempt);
                    } else {
                        self.begin(number(event_id), attempt);
                    }
                }
                Effect::Record(outcome) => {
                    let known = self.recording.insert(number(outcome.event_id), outcome.clone());
                    assert!(known.is_none_or(|known| {
                        known
                            == AttemptOutcome {
                                webhook_failure_count: known.webhook_failure_count,
                                ..outcome.clone()
                            }
                    }));
                    assert_eq!(outcome.webhook_failure_count, self.machine.snapshot().failure_count);
                    self.writes.push_back(Write::Outcome(outcome));
                }
                Effect::Reconsider(_) => assert!(!self.awaiting.is_empty()),
                // All writes come when they come.
                Effect::Hurry => {}
                Effect::Load { generation, query } => {
                    assert!(
                        self.load.is_none() && self.config.is_active && !self.closing,
                        "{query:?}"
                    );
                    assert!(query.room > 0 && query.room <= WINDOW - self.machine.snapshot().window);
                    self.load = Some(Load::Asked(generation, query));
                    self.loads += 1;
                }
                Effect::LoadParked {
                    generation,
                    after,
                    limit,
                } => {
                    assert!(self.parked.is_none() && self.config.is_active && !self.closing);
                    assert_eq!(self.config.courtesy.recovery, Recovery::Auto);
                    assert!(limit > 0 && limit <= (self.config.max_in_flight / 2).max(1));
                    let behind = |number: &usize| self.machine.recoveries.behind.contains(&id(*number));
                    assert!(self.recovering.iter().all(behind), "two rounds of recovery at once");
                    self.parked = Some(ParkedRead::Asked {
                        generation,
                        after,
                        limit,
                    });
                    self.parked_reads += 1;
                }
                Effect::Revive(events) => {
                    assert!(self.config.is_active && !self.closing);
                    assert_eq!(self.config.courtesy.recovery, Recovery::Auto);
                    let events = events.into_iter().map(number);
                    self.recovering.extend(events.clone());
                    self.writes.extend(events.map(Write::Revival));
                }
                Effect::Deactivate(reason) => assert!(reason.contains("410") && !self.closing),
                Effect::SetTimer { at, generation } => {
                    assert!(at > self.now, "a timer that fires at once");
                    if let Some((_, generation)) = self.timer.replace((at, generation)) {
                        self.stale.push(DeliveryEvent::TimerFired { generation });
                    }
                }
                Effect::Finished => {
                    assert!(self.closing && !self.finished && self.running.is_empty() && self.recording.is_empty());
                    self.finished = true;
                }
            }
        }
        self.machine.window.check();
        let snapshot = self.machine.snapshot();
        let in_flight = self.running.len() + self.recording.len() + self.awaiting.len();
        assert_eq!(snapshot.in_flight, in_flight);
        assert!(snapshot.window <= WINDOW + snapshot.in_flight, "{snapshot:?}");
    }

    fn attempt(&mut self, event: usize, attempt: u32, payload: Option<bytes::Bytes>) {
        assert!(self.config.is_active && !self.closing);
        let row = &self.store.rows[event];
        assert_eq!(row.status, EventStatus::Pending, "{row:?}");
        assert_eq!(attempt, row.event.attempt_count + 1, "{row:?}");
        assert!(
            row.event.next_retry_at.is_none_or(|at| at <= self.now),
            "{row:?} before its time"
        );
        assert!(payload.is_none_or(|payload| payload == body(event)));
        let in_budget = attempt - row.event.budget_start;
        let note = &self.notes[event];
        assert!(
            in_budget == 1 || in_budget <= note.budget || note.revived,
            "{row:?} beyond its budget"
        );
        let in_order = self.machine.ordering == Ordering::Chat;
        for earlier in self
            .store
            .pending_of(&row.event.chat)
            .take_while(|other| *other < event && in_order)
        {
            let note = &self.notes[earlier];
            let excused = note.unknown || note.behind.contains(&event);
            assert!(excused, "{event} overtakes {earlier}: {:?}", self.store.rows[earlier]);
        }
        let under_way = self.running.len() + self.recording.len() + self.awaiting.len();
        assert!(under_way < self.config.max_in_flight);
        let busy = [self.running.contains_key(&event), self.awaiting.contains_key(&event)];
        assert!(
            busy == [false, false] && !self.recording.contains_key(&event),
            "twice at once"
        );
        self.attempts += 1;
    }

    /// An attempt begins: it has its slot.
    fn begin(&mut self, event: usize, attempt: u32) {
        assert!(self.config.is_active && !self.closing);
        assert!(self.now >= self.paused_until, "in a pause");
        if let Some(per_second) = self.config.courtesy.max_per_second {
            self.starts.push_back(self.now);
            while self.starts.front().is_some_and(|first| first.0 + 1000 <= self.now.0) {
                self.starts.pop_front();
            }
            assert!(self.starts.len() <= per_second as usize, "too fast: {:?}", self.starts);
        }
        self.running.insert(event, (attempt, self.config.target));
        let under_way = self.running.len() + self.recording.len() + self.awaiting.len();
        assert!(
            under_way <= self.config.max_in_flight,
            "more are wanted no longer: {under_way}"
        );
    }
}

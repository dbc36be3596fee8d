//! Thousands of delivery machines under one virtual clock: the store that outlives them, receivers that fail, owners who
//! change their minds, crashes.
//!
//! Everything random comes from one seed, and everything that happens is in one heap ordered by time, so a seed is a run.

mod courtesy;
mod happening;
mod hook;
mod law;
mod owner;
mod receiver;
mod recovery;
mod store;
mod turn;
mod watch;

use std::{cmp::Reverse, collections::BinaryHeap, fmt};

use fastrand::Rng;
use uuid::Uuid;
use wharf_domain::{
    EventId, Timestamp, WebhookId,
    delivery::{Delivery, DeliveryEvent, Effect},
};

use self::{
    happening::{Entry, Happening},
    hook::Hook,
    receiver::Answer,
};

/// When the simulated time begins.
const BEGIN: Timestamp = Timestamp(1_762_352_580_000);
/// The simulated time over which the events come in, in milliseconds.
const LOAD_MS: i64 = 3_600_000;
/// How long after the beginning machines still die, in milliseconds.
const LATE_MS: i64 = 8 * 3_600_000;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Decides everything.
    pub(crate) seed: u64,
    /// Events that come in.
    pub(crate) events: usize,
    /// Webhooks, each with a machine and a receiver.
    pub(crate) webhooks: usize,
}

/// A law was broken; says which, where and when.
#[derive(Debug)]
pub(crate) struct Violation(pub(crate) String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Violation {}

/// What a run came to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Summary {
    /// Events that came in.
    pub(crate) events: usize,
    /// Attempts that began.
    pub(crate) attempts: usize,
    /// Events that ended delivered, and failed.
    pub(crate) delivered: usize,
    /// See `delivered`.
    pub(crate) failed: usize,
    /// Times that the whole program died.
    pub(crate) crashes: usize,
    /// Times that one machine died.
    pub(crate) restarts: usize,
    /// POSTs that a receiver took although it had taken that event before, each of them after a crash.
    pub(crate) duplicates: usize,
    /// Manual retries that began a new budget, of single events, and of many together.
    pub(crate) renewals: usize,
    /// See `renewals`.
    pub(crate) bulk_renewals: usize,
    /// Answers that asked for a pause, and answers that switched the webhook off.
    pub(crate) pauses: usize,
    /// See `pauses`.
    pub(crate) deactivations: usize,
    /// Attempts that waited for a slot, and those of them that were not made then.
    pub(crate) slots_awaited: usize,
    /// See `slots_awaited`.
    pub(crate) put_back: usize,
    /// Events that were free to go and were watched until they went.
    pub(crate) watched: usize,
    /// Events that recovery made pending again, and how many times that happened.
    pub(crate) revivals: usize,
    /// Steps of the machines.
    pub(crate) steps: usize,
    /// Simulated seconds until nothing was left to do.
    pub(crate) virtual_s: i64,
}

/// See the module.
pub(crate) struct World {
    rng: Rng,
    now: Timestamp,
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
    hooks: Vec<Hook>,
    to_come: usize,
    /// How many of them come last, as floods.
    reserve: usize,
    settling: bool,
    summary: Summary,
}

impl World {
    /// Runs a plan to its end; `progress` hears, now and then, how many events have come in.
    ///
    /// # Errors
    /// The first law that was broken.
    pub(crate) fn run(plan: Plan, mut progress: impl FnMut(usize)) -> Result<Summary, Violation> {
        let mut world = Self::new(plan);
        for hook in 0..world.hooks.len() {
            world.start(hook)?;
        }
        while let Some(Reverse(entry)) = world.heap.pop() {
            world.now = entry.at;
            world.happen(entry)?;
            if world.to_come == 0 && !world.settling {
                world.settle();
            }
            if world.order.is_multiple_of(1 << 16) {
                progress(plan.events - world.to_come);
            }
        }
        world.finish()
    }

    fn new(plan: Plan) -> Self {
        let mut rng = Rng::with_seed(plan.seed);
        let hooks = (0..plan.webhooks.max(1)).map(|_| Hook::new(&mut rng)).collect();
        let mut world = Self {
            rng,
            now: BEGIN,
            heap: BinaryHeap::new(),
            order: 0,
            hooks,
            to_come: plan.events,
            reserve: (plan.events / 20).min(20_000),
            settling: plan.events == 0,
            summary: Summary::default(),
        };
        world.at(1, Happening::Message);
        for what in [
            Happening::Crash,
            Happening::Restart,
            Happening::Retry,
            Happening::RetryMany,
            Happening::Patch,
            Happening::Watch,
            Happening::LookAgain,
        ] {
            world.at(1000, what);
        }
        world
    }

    /// Something of the world at large, `after` milliseconds from now.
    fn at(&mut self, after: i64, what: Happening) {
        self.push(Timestamp(self.now.0 + after), 0, 0, what);
    }

    /// Something of a machine's present life.
    fn of(&mut self, hook: usize, at: Timestamp, what: Happening) {
        let life = self.hooks[hook].life;
        self.push(at, hook, life, what);
    }

    fn push(&mut self, at: Timestamp, hook: usize, life: u64, what: Happening) {
        self.order += 1;
        self.heap.push(Reverse(Entry {
            at,
            order: self.order,
            hook,
            life,
            what,
        }));
    }

    /// A new machine on what the store has.
    fn start(&mut self, hook: usize) -> Result<(), Violation> {
        let now = self.now;
        let this = &mut self.hooks[hook];
        this.life += 1;
        this.well_since = this.well_since.map(|at| at.max(now));
        this.books.restarted(&this.store);
        this.machine = Delivery::new(WebhookId(Uuid::nil()), this.store.webhook, this.store.failure_count);
        let effects = this.machine.start(now);
        self.carry_out(hook, effects)
    }

    fn step(&mut self, hook: usize, event: DeliveryEvent) -> Result<(), Violation> {
        self.summary.steps += 1;
        let now = self.now;
        let this = &mut self.hooks[hook];
        this.books.told(&event, &this.store, now);
        let effects = this.machine.step(now, event);
        let stepped = this.books.stepped(&effects);
        stepped.map_err(|what| self.violation(hook, &what))?;
        self.carry_out(hook, effects)
    }

    fn carry_out(&mut self, hook: usize, effects: Vec<Effect>) -> Result<(), Violation> {
        for effect in effects {
            let this = &mut self.hooks[hook];
            match effect {
                Effect::Attempt { next, .. } => {
                    let (event_id, attempt) = (next.event_id, next.attempt);
                    let chosen = this.books.chosen(&this.store, self.now, event_id, attempt);
                    chosen.map_err(|what| self.violation(hook, &what))?;
                    if self.rng.u8(..16) > 0 {
                        self.attempt(hook, event_id, attempt)?;
                    } else {
                        self.await_slot(hook, event_id, attempt);
                    }
                }
                Effect::Record(outcome) => {
                    let judged = this.books.record(&this.store, &outcome);
                    judged.map_err(|what| self.violation(hook, &what))?;
                    let at = self.commit_time(hook);
                    self.of(hook, at, Happening::Outcome(Box::new(outcome)));
                }
                // Slots come when they come, and no commit takes long.
                Effect::Reconsider(_) | Effect::Hurry => {}
                Effect::Load { generation, query } => {
                    let at = Timestamp(self.now.0 + self.rng.i64(0..4));
                    let query = Box::new(query);
                    self.of(hook, at, Happening::Load { generation, query });
                }
                Effect::SetTimer { at, generation } => {
                    if at <= self.now {
                        return Err(self.violation(hook, "sets a timer that fires at once"));
                    }
                    let late = if self.rng.u8(..8) == 0 { 15 } else { 1 };
                    let at = Timestamp(at.0 + self.rng.i64(0..late));
                    let fired = Box::new(DeliveryEvent::TimerFired { generation });
                    self.of(hook, at, Happening::Tell(fired));
                }
                Effect::LoadParked {
                    generation,
                    after,
                    limit,
                } => {
                    let asked = this.books.recovery.asks(this.books.courtesy.config, self.now, limit);
                    asked.map_err(|what| self.violation(hook, &what))?;
                    let at = Timestamp(self.now.0 + self.rng.i64(0..4));
                    let read = Happening::LoadParked {
                        generation,
                        after,
                        limit,
                    };
                    self.of(hook, at, read);
                }
                Effect::Revive(events) => {
                    let revives = this
                        .books
                        .recovery
                        .revives(this.books.courtesy.config, self.now, &events);
                    revives.map_err(|what| self.violation(hook, &what))?;
                    for event_id in events {
                        let at = self.commit_time(hook);
                        self.of(hook, at, Happening::Revival(event_id));
                    }
                }
                Effect::Deactivate(_) => {
                    let target = this.books.courtesy.config.target;
                    let at = self.commit_time(hook);
                    self.of(hook, at, Happening::Deactivation { target });
                }
                Effect::Finished => return Err(self.violation(hook, "finishes without being told")),
            }
        }
        Ok(())
    }

    /// An attempt begins.
    fn attempt(&mut self, hook: usize, event_id: EventId, attempt: u32) -> Result<(), Violation> {
        let this = &mut self.hooks[hook];
        let begins = this.books.begins(self.now, event_id);
        begins.map_err(|what| self.violation(hook, &what))?;
        self.summary.attempts += 1;
        let target = self.hooks[hook].books.courtesy.config.target;
        let answer = self.hooks[hook].receiver.answer(self.now, &mut self.rng);
        let Answer {
            result,
            after,
            retry_after,
        } = answer;
        let answer = Happening::Answer {
            event_id,
            attempt,
            result: Box::new(result),
            retry_after,
            target,
        };
        self.of(hook, Timestamp(self.now.0 + after), answer);
        Ok(())
    }

    fn await_slot(&mut self, hook: usize, event_id: EventId, attempt: u32) {
        self.summary.slots_awaited += 1;
        self.hooks[hook]
            .machine
            .awaits_slot(wharf_domain::fair::Standing::Doubtful);
        let longest = [10, 100, 2000][self.rng.usize(..3)];
        let at = Timestamp(self.now.0 + self.rng.i64(0..longest));
        self.of(hook, at, Happening::Slot { event_id, attempt });
    }

    /// When a write that is handed over now is committed: a group commit later, never before an earlier one.
    fn commit_time(&mut self, hook: usize) -> Timestamp {
        let at = self.now.0 + self.rng.i64(1..4);
        let this = &mut self.hooks[hook];
        this.committed_at = Timestamp(this.committed_at.0.max(at));
        this.committed_at
    }

    /// Tells a machine of a commit, in the order of the commits.
    fn tell(&mut self, hook: usize, event: DeliveryEvent) {
        let at = self.now.0 + self.rng.i64(0..3);
        let this = &mut self.hooks[hook];
        this.told_at = Timestamp(this.told_at.0.max(at));
        let at = this.told_at;
        self.of(hook, at, Happening::Tell(Box::new(event)));
    }

    fn violation(&self, hook: usize, what: &str) -> Violation {
        let seconds = (self.now.0 - BEGIN.0) / 1000;
        Violation(format!("webhook {hook}, after {seconds} s: {what}"))
    }

    /// Everything has ended: nothing may be left, and all has to agree.
    fn finish(mut self) -> Result<Summary, Violation> {
        for hook in 0..self.hooks.len() {
            let this = &self.hooks[hook];
            let ended = this.books.close(&this.store, this.machine.snapshot());
            let tally = ended.map_err(|what| self.violation(hook, &what))?;
            let recovered = this.recovered();
            recovered.map_err(|what| self.violation(hook, &what))?;
            self.summary.delivered += tally.delivered;
            self.summary.failed += tally.failed;
            self.summary.duplicates += tally.duplicates;
        }
        self.summary.virtual_s = (self.now.0 - BEGIN.0) / 1000;
        Ok(self.summary)
    }
}

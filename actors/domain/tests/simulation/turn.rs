//! What happens, one thing at a time.

use std::time::Duration;

use fastrand::Rng;
use uuid::Uuid;
use wharf_domain::{
    AttemptOutcome, AttemptTiming, EventId, EventStatus, Recovery, Timestamp, WebhookId,
    delivery::{Delivery, DeliveryEvent, DuePage, DueQuery, RetryAnswer},
};

use super::{
    BEGIN, Entry, Happening, Hook, LOAD_MS, Violation, World, config,
    law::{Books, law},
    receiver::Receiver,
    store::{Store, id, number},
};

/// How long after the beginning machines still die, in milliseconds.
const LATE_MS: i64 = 8 * 3_600_000;
/// Chats of a flood.
const FLOOD_CHATS: u32 = 2000;

impl Hook {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let config = random_config(rng, true);
        Self {
            machine: Delivery::new(WebhookId(Uuid::nil()), config, 0),
            config,
            life: 0,
            receiver: Receiver::new(rng),
            store: Store::default(),
            books: Books::default(),
            committed_at: BEGIN,
            told_at: BEGIN,
            chats: [1, 3, 10, 50, 300, 2000][rng.usize(..6)],
            well_since: None,
        }
    }

    pub(super) fn is_auto(&self) -> bool {
        self.config.courtesy.recovery == Recovery::Auto
    }

    /// What recovery has promised by the end.
    pub(super) fn recovered(&self) -> Result<(), String> {
        if !self.is_auto() {
            return Ok(());
        }
        let (parked, rows) = (self.store.parked(), self.store.rows.len());
        law!(parked == 0, "{parked} events are left parked");
        let Some(well_since) = self.well_since else {
            return Ok(());
        };
        self.books.recovery.close(well_since, rows, self.receiver.is_plain())
    }
}

fn random_config(rng: &mut Rng, is_active: bool) -> wharf_domain::delivery::DeliveryConfig {
    let max_retries = [1, 2, 3, 3, 3, 5, 8, 20][rng.usize(..8)];
    let recovery = [Recovery::Manual, Recovery::Manual, Recovery::Auto][rng.usize(..3)];
    config(is_active, max_retries, [1, 2, 16, 16, 16][rng.usize(..5)], recovery)
}

impl World {
    pub(super) fn happen(&mut self, entry: Entry) -> Result<(), Violation> {
        let Entry { hook, life, what, .. } = entry;
        match what {
            Happening::Message => self.message(),
            Happening::Crash => return self.crash(),
            Happening::Restart if self.settling => return self.late_restart(),
            Happening::Restart => return self.now_and_then(Happening::Restart, 4_000, Self::restart),
            Happening::Retry => return self.now_and_then(Happening::Retry, 400, Self::retry),
            Happening::Patch => return self.now_and_then(Happening::Patch, 2_000, Self::patch),
            Happening::LookAgain => {
                return self.now_and_then(Happening::LookAgain, 2_000, |world, hook| {
                    world.step(hook, DeliveryEvent::LookAgain)
                });
            }
            // What was under way when a machine died.
            _ if self.hooks[hook].life != life => {}
            Happening::Tell(event) => return self.step(hook, *event),
            Happening::Answer {
                event_id,
                attempt,
                result,
            } => {
                self.hooks[hook].books.answered(event_id, &result, self.now);
                let finished = DeliveryEvent::AttemptFinished {
                    event_id,
                    attempt,
                    result: *result,
                    timing: AttemptTiming {
                        started_at: self.now,
                        took: Duration::ZERO,
                    },
                    jitter: self.rng.f64(),
                    retry_after: None,
                };
                self.step(hook, finished)?;
                // Where a crash costs most: after the answer, before its commit.
                if !self.settling && self.rng.u16(..2000) == 0 {
                    return self.restart(hook);
                }
            }
            Happening::Outcome(outcome) => self.commit_outcome(hook, &outcome),
            Happening::Renewal { event_id, force } => self.commit_renewal(hook, event_id, force),
            Happening::Revival(event_id) => self.commit_revival(hook, event_id),
            Happening::Load { generation, query } => self.read(hook, generation, &query),
            Happening::LoadParked {
                generation,
                after,
                limit,
            } => self.read_parked(hook, generation, after, limit),
        }
        Ok(())
    }

    /// Something befalls a random webhook, and again after `mean` milliseconds or so while events come in.
    fn now_and_then(
        &mut self,
        what: Happening,
        mean: i64,
        befall: fn(&mut Self, usize) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if self.settling {
            return Ok(());
        }
        let after = self.rng.i64(1..2 * mean);
        self.at(after, what);
        let hook = self.pick();
        befall(self, hook)
    }

    /// A webhook; the first ones are far busier than the last.
    fn pick(&mut self) -> usize {
        let share = self.rng.f64();
        let hook = (share * share * self.hooks.len() as f64) as usize;
        hook.min(self.hooks.len() - 1)
    }

    /// A webhook whose receiver is down, if one is found soon.
    fn pick_down(&mut self) -> usize {
        for _ in 0..100 {
            let hook = self.rng.usize(..self.hooks.len());
            if self.hooks[hook].receiver.is_down(self.now) {
                return hook;
            }
        }
        self.pick()
    }

    /// A message comes in; now and then a burst of one chat, or a flood of many chats, more than a machine holds. The last
    /// ones are floods for receivers that are down: after them no message wakes a machine any more.
    fn message(&mut self) {
        let last = self.to_come <= self.reserve;
        let hook = if last { self.pick_down() } else { self.pick() };
        let (burst, chats) = match self.rng.u16(..2000) {
            _ if last => (self.reserve, FLOOD_CHATS),
            0 => (self.rng.usize(1..1200), FLOOD_CHATS),
            1..=20 => (self.rng.usize(1..60), 1),
            _ => (1, self.hooks[hook].chats),
        };
        let burst = burst.min(self.to_come).min(1200);
        for _ in 0..burst {
            let chat = self.rng.u32(..chats);
            let event = self.hooks[hook].store.add(chat);
            self.hooks[hook].books.arrived();
            self.tell(hook, DeliveryEvent::Arrived(event));
        }
        self.to_come -= burst;
        self.summary.events += burst;
        if self.to_come > 0 {
            let left = BEGIN.0 + LOAD_MS - self.now.0;
            let mean = left.max(0) as f64 / self.to_come as f64 * burst as f64;
            let after = (self.rng.f64() * 2.0 * mean).round() as i64;
            self.at(after, Happening::Message);
        }
    }

    /// The whole program dies and starts again on what the store has.
    fn crash(&mut self) -> Result<(), Violation> {
        if self.settling {
            return Ok(());
        }
        self.summary.crashes += 1;
        let after = self.rng.i64(20_000..400_000);
        self.at(after, Happening::Crash);
        for hook in 0..self.hooks.len() {
            self.start(hook)?;
        }
        Ok(())
    }

    fn restart(&mut self, hook: usize) -> Result<(), Violation> {
        self.summary.restarts += 1;
        self.start(hook)
    }

    /// Recovery takes hours: machines die meanwhile too.
    fn late_restart(&mut self) -> Result<(), Violation> {
        if self.now.0 > BEGIN.0 + LATE_MS {
            return Ok(());
        }
        let after = self.rng.i64(1..60_000);
        self.at(after, Happening::Restart);
        let hook = self.rng.usize(..self.hooks.len());
        self.restart(hook)
    }

    fn retry(&mut self, hook: usize) -> Result<(), Violation> {
        let rows = self.hooks[hook].store.rows.len();
        if rows == 0 {
            return Ok(());
        }
        let (event_id, force) = (id(self.rng.usize(..rows)), self.rng.u8(..4) == 0);
        if self.hooks[hook].machine.request_retry(event_id) == RetryAnswer::Renew {
            let at = self.commit_time(hook);
            self.of(hook, at, Happening::Renewal { event_id, force });
        }
        Ok(())
    }

    fn patch(&mut self, hook: usize) -> Result<(), Violation> {
        let is_active = self.rng.u8(..4) > 0;
        let mut config = random_config(&mut self.rng, is_active);
        let this = &mut self.hooks[hook];
        if self.rng.u8(..4) > 0 {
            config.courtesy = this.config.courtesy;
        }
        this.config = config;
        this.books.recovery.configured();
        self.step(hook, DeliveryEvent::Configured(config))
    }

    fn commit_outcome(&mut self, hook: usize, outcome: &AttemptOutcome) {
        let (event_id, attempt) = (outcome.event_id, outcome.attempt);
        let this = &mut self.hooks[hook];
        let event = if self.rng.u8(..128) == 0 {
            DeliveryEvent::OutcomeRefused { event_id, attempt }
        } else {
            this.store.record(outcome);
            this.books.committed(&this.store, event_id);
            DeliveryEvent::OutcomeCommitted { event_id, attempt }
        };
        self.tell(hook, event);
    }

    fn commit_renewal(&mut self, hook: usize, event_id: EventId, force: bool) {
        let this = &mut self.hooks[hook];
        let event = number(event_id);
        let was_delivered = this.store.rows[event].status == EventStatus::Delivered;
        let refused = !this.config.is_active || self.rng.u8(..32) == 0;
        let renewed = if refused { None } else { this.store.renew(event, force) };
        let told = match renewed {
            Some(renewed) => {
                this.books.renewed(event, was_delivered);
                self.summary.renewals += 1;
                DeliveryEvent::Renewed(renewed)
            }
            None => DeliveryEvent::NotRenewed(event_id),
        };
        self.tell(hook, told);
    }

    fn commit_revival(&mut self, hook: usize, event_id: EventId) {
        let this = &mut self.hooks[hook];
        let refused = self.rng.u8(..32) == 0;
        let revived = if refused {
            None
        } else {
            this.store.revive(number(event_id))
        };
        let told = match revived {
            Some(revived) => {
                this.books.revived(&this.store, number(event_id));
                self.summary.revivals += 1;
                DeliveryEvent::Renewed(revived)
            }
            None => DeliveryEvent::NotRenewed(event_id),
        };
        self.tell(hook, told);
    }

    fn read(&mut self, hook: usize, generation: u64, query: &DueQuery) {
        let event = if self.rng.u8(..64) == 0 {
            DeliveryEvent::LoadFailed { generation }
        } else {
            let page: DuePage = self.hooks[hook].store.due_chats(query);
            DeliveryEvent::Loaded { generation, page }
        };
        let at = Timestamp(self.now.0 + self.rng.i64(0..4));
        self.of(hook, at, Happening::Tell(Box::new(event)));
    }

    fn read_parked(&mut self, hook: usize, generation: u64, after: i64, limit: usize) {
        let fails = self.rng.u8(..64) == 0;
        let parked = (!fails).then(|| self.hooks[hook].store.parked_after(after, limit));
        let at = Timestamp(self.now.0 + self.rng.i64(0..4));
        let told = DeliveryEvent::ParkedLoaded { generation, parked };
        self.of(hook, at, Happening::Tell(Box::new(told)));
    }

    /// No more messages and hardly any trouble: every webhook is switched on, and time goes by until nothing is left. Where
    /// events are tried until they are delivered, the receiver gets well.
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        self.settling = true;
        for hook in 0..self.hooks.len() {
            let this = &mut self.hooks[hook];
            this.config.is_active = true;
            if this.is_auto() {
                let well_from = Timestamp(self.now.0 + self.rng.i64(0..LATE_MS / 2));
                this.well_since = Some(this.receiver.recover_at(well_from).max(self.now));
            }
            this.books.recovery.configured();
            let configured = DeliveryEvent::Configured(this.config);
            self.step(hook, configured)?;
        }
        Ok(())
    }
}

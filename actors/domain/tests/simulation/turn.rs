//! What happens, one thing at a time.

use std::time::Duration;

use wharf_domain::{
    AttemptOutcome, AttemptResult, AttemptTiming, EventId, Timestamp,
    delivery::{DeliveryEvent, DueQuery, EndedAttempt},
};

use super::{
    BEGIN, LATE_MS, LOAD_MS, Violation, World,
    happening::{Entry, Happening},
    store::number,
};

/// Chats of a flood.
const FLOOD_CHATS: u32 = 2000;

impl World {
    pub(super) fn happen(&mut self, entry: Entry) -> Result<(), Violation> {
        let Entry { hook, life, what, .. } = entry;
        match what {
            Happening::Message => self.message(),
            Happening::Crash => return self.crash(),
            Happening::Restart if self.settling => return self.late_restart(),
            Happening::Restart => return self.now_and_then(Happening::Restart, 4_000, Self::restart),
            Happening::Retry => return self.now_and_then(Happening::Retry, 400, Self::retry),
            Happening::RetryMany => return self.now_and_then(Happening::RetryMany, 4_000, Self::retry_many),
            Happening::Patch => return self.now_and_then(Happening::Patch, 2_000, Self::patch),
            Happening::LookAgain => {
                return self.now_and_then(Happening::LookAgain, 2_000, |world, hook| {
                    world.step(hook, DeliveryEvent::LookAgain)
                });
            }
            Happening::Watch => self.watch(),
            Happening::Change(change) => self.commit_change(hook, &change),
            Happening::Renewals(events) => self.commit_renewals(hook, &events),
            // What was under way when a machine died.
            _ if self.hooks[hook].life != life => {}
            Happening::Tell(event) => return self.step(hook, *event),
            Happening::Answer {
                event_id,
                attempt,
                result,
                retry_after,
                target,
            } => return self.answered(hook, (event_id, attempt), *result, retry_after, target),
            Happening::Slot { event_id, attempt } => return self.granted(hook, event_id, attempt),
            Happening::Verify(watched) => return self.verify(hook, &watched),
            Happening::Deactivation { target } => self.commit_deactivation(hook, target),
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

    /// An attempt has ended.
    fn answered(
        &mut self,
        hook: usize,
        (event_id, attempt): (EventId, u32),
        result: AttemptResult,
        retry_after: Option<Duration>,
        target: u64,
    ) -> Result<(), Violation> {
        let this = &mut self.hooks[hook];
        this.books.answered(event_id, &result, retry_after, target, self.now);
        if this.books.courtesy.is_paused(self.now) {
            self.summary.pauses += usize::from(retry_after.is_some());
            this.well_since = this.well_since.map(|at| at.max(this.books.courtesy.paused_until()));
        }
        let gone = result.http_status() == Some(410);
        let finished = DeliveryEvent::AttemptFinished(EndedAttempt {
            event_id,
            attempt,
            result,
            timing: AttemptTiming {
                started_at: self.now,
                took: Duration::ZERO,
            },
            jitter: self.rng.f64(),
            retry_after: retry_after.map(|wait| self.now + wait),
            target,
            body_bytes: 0,
        });
        self.step(hook, finished)?;
        // Before the store has it that the webhook is off.
        if gone && !self.settling && self.rng.bool() {
            self.patch(hook)?;
        }
        // Where a crash costs most: after the answer, before its commit.
        if !self.settling && self.rng.u16(..2000) == 0 {
            return self.restart(hook);
        }
        Ok(())
    }

    /// An attempt that waited has its slot: it begins, or is not made after all.
    fn granted(&mut self, hook: usize, event_id: EventId, attempt: u32) -> Result<(), Violation> {
        let this = &mut self.hooks[hook];
        let (begins, effects) = this.machine.granted(self.now, event_id, attempt);
        if begins {
            self.attempt(hook, event_id, attempt)?;
        } else {
            let put_back = this.books.put_back(self.now, event_id);
            put_back.map_err(|what| self.violation(hook, &what))?;
            self.summary.put_back += 1;
        }
        self.carry_out(hook, effects)
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
    pub(super) fn pick(&mut self) -> usize {
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
            1..=4 => (self.rng.usize(1..1200), 1),
            5..=24 => (self.rng.usize(1..60), 1),
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
            let page = self.hooks[hook].store.due_events(query);
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
}

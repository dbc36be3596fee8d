//! What may happen in the world.

use std::time::Duration;

use super::{
    super::{
        desk::TIMING,
        store::{Row, id},
    },
    *,
};

impl World {
    pub(in super::super) fn message(&mut self) {
        let chat = format!("chat {:04}", self.pick(self.profile.chats));
        let lost = self.profile.lossy && self.one_in(8);
        let event = self.store.add(&chat);
        self.notes.push(Note {
            unknown: lost,
            ..Note::default()
        });
        if !lost {
            self.inbox.push_back(DeliveryEvent::Arrived(event));
        }
    }

    fn finish(&mut self, healthy: usize) {
        let index = self.pick(self.running.len().max(1));
        let Some((&event, &(attempt, target))) = self.running.iter().nth(index) else {
            return;
        };
        self.running.remove(&event);
        let present = target == self.config.target;
        let http_status = match self.pick(16) {
            lucky if lucky < healthy => 200,
            15 => 404,
            14 if self.profile.courteous => [429, 429, 408, 410][self.pick(4)],
            _ => 503,
        };
        let asks = self.profile.courteous && matches!(http_status, 429 | 503) && self.one_in(4);
        let retry_after = asks.then(|| self.now + Duration::from_secs([0, 1, 30, 90_000][self.pick(4)]));
        let result = match self.pick(4) {
            0 if http_status == 503 && !asks => AttemptResult::TimedOut,
            _ => AttemptResult::Answered {
                http_status,
                response: None,
            },
        };
        self.notes[event].ended_under = self.config.max_retries;
        let jitter = f64::from(u32::try_from(self.pick(1000)).unwrap()) / 1000.0;
        if let Some(at) = retry_after.filter(|_| present) {
            let longest = self.now + Duration::from_secs(3600);
            self.paused_until = self.paused_until.max(at.min(longest));
        }
        // The machine switches itself off at once, the store follows.
        self.config.is_active &= http_status != 410 || !present;
        let failures = self.machine.snapshot().failure_count;
        self.step(DeliveryEvent::AttemptFinished(EndedAttempt {
            event_id: id(event),
            attempt,
            result,
            timing: TIMING,
            jitter,
            retry_after,
            target,
            body_bytes: 0,
        }));
        let counted = match self.recording[&event].status {
            EventStatus::Delivered => 0,
            EventStatus::Failed if self.recovering.contains(&event) => failures.max(1),
            EventStatus::Failed => failures + 1,
            EventStatus::Pending => failures,
        };
        assert_eq!(self.machine.snapshot().failure_count, counted);
    }

    fn write(&mut self, refuse: bool) {
        let Some(write) = self.writes.pop_front() else { return };
        let revives = if let Write::Revival(number) = write {
            Some(number)
        } else {
            None
        };
        let answer = match write {
            Write::Outcome(AttemptOutcome { event_id, attempt, .. }) if refuse => {
                DeliveryEvent::OutcomeRefused { event_id, attempt }
            }
            Write::Outcome(outcome) => {
                self.store.record(&outcome);
                let note = &mut self.notes[number(outcome.event_id)];
                note.budget = note.ended_under;
                note.revived = false;
                DeliveryEvent::OutcomeCommitted {
                    event_id: outcome.event_id,
                    attempt: outcome.attempt,
                }
            }
            Write::Renewal { number, .. } | Write::Revival(number) if refuse => DeliveryEvent::NotRenewed(id(number)),
            Write::Renewal { number, force } => match self.store.renew(number, force) {
                Some(event) => {
                    self.notes[number].unknown = true;
                    DeliveryEvent::Renewed(event)
                }
                None => DeliveryEvent::NotRenewed(id(number)),
            },
            Write::Revival(number) => match self.store.revive(number) {
                Some(event) => {
                    (self.notes[number].unknown, self.notes[number].revived) = (true, true);
                    DeliveryEvent::Renewed(event)
                }
                None => DeliveryEvent::NotRenewed(id(number)),
            },
        };
        if let (Some(number), DeliveryEvent::NotRenewed(_)) = (revives, &answer) {
            self.recovering.remove(&number);
        }
        self.inbox.push_back(answer);
    }

    /// An attempt that waited gets its slot.
    fn grant(&mut self) {
        let index = self.pick(self.awaiting.len().max(1));
        let Some((&event, &attempt)) = self.awaiting.iter().nth(index) else {
            return;
        };
        self.awaiting.remove(&event);
        let (begins, effects) = self.machine.granted(self.now, id(event), attempt);
        if begins {
            self.begin(event, attempt);
        } else {
            self.refused += 1;
        }
        self.carry_out(effects);
    }

    fn read_parked(&mut self, fail: bool) {
        match self.parked.take() {
            Some(ParkedRead::Asked { generation, .. }) if fail => {
                let parked = None;
                self.step(DeliveryEvent::ParkedLoaded { generation, parked });
            }
            Some(ParkedRead::Asked {
                generation,
                after,
                limit,
            }) => {
                self.parked = Some(ParkedRead::Read(generation, self.store.parked(after, limit)));
            }
            Some(ParkedRead::Read(generation, parked)) => {
                let parked = Some(parked);
                self.step(DeliveryEvent::ParkedLoaded { generation, parked });
            }
            None => {}
        }
    }

    fn deliver(&mut self) {
        if let Some(event) = self.inbox.pop_front() {
            self.step(event);
        }
    }

    fn read(&mut self, fail: bool) {
        match self.load.take() {
            Some(Load::Asked(generation, _)) if fail => self.step(DeliveryEvent::LoadFailed { generation }),
            Some(Load::Asked(generation, query)) => {
                let page = self.store.due_chats(&query);
                self.visited += page.chats.len()
                    + if query.scope == DueScope::Chats {
                        page.skipped
                    } else {
                        0
                    };
                self.load = Some(Load::Read(generation, page));
            }
            Some(Load::Read(generation, page)) => self.step(DeliveryEvent::Loaded { generation, page }),
            None => {}
        }
    }

    pub(in super::super) fn fire(&mut self, late: i64) {
        if let Some((at, generation)) = self.timer.take() {
            self.now = Timestamp(self.now.0.max(at.0) + late);
            self.timers += 1;
            self.step(DeliveryEvent::TimerFired { generation });
        }
    }

    fn retry(&mut self) {
        let number = self.pick(self.store.rows.len() + 1);
        let force = self.one_in(4);
        let busy = self.running.contains_key(&number)
            || self.recording.contains_key(&number)
            || self.awaiting.contains_key(&number);
        match self.machine.request_retry(id(number)) {
            RetryAnswer::Renew => {
                assert!(!busy && !self.closing);
                self.writes.push_back(Write::Renewal { number, force });
            }
            RetryAnswer::UnderWay => {
                let asked = |write: &Write| write.renews() == Some(number);
                let answer = |event: &DeliveryEvent| match event {
                    DeliveryEvent::Renewed(event) => event.id == id(number),
                    DeliveryEvent::NotRenewed(event_id) => *event_id == id(number),
                    _ => false,
                };
                let asked = self.writes.iter().any(asked) || self.inbox.iter().any(answer);
                assert!(busy || self.closing || asked, "refused a retry of {number} for nothing");
            }
        }
    }

    fn configure(&mut self) {
        self.config.max_retries = [1, 2, 3, 20][self.pick(4)];
        let was_active = self.config.is_active;
        self.config.is_active = !self.one_in(4);
        self.config.max_in_flight = 1 + self.pick(4);
        let elsewhere = self.one_in(6);
        self.config.target += u64::from(elsewhere);
        if elsewhere || (self.config.is_active && !was_active) {
            self.paused_until = Timestamp(0);
        }
        if self.profile.courteous {
            self.ask();
        }
        self.step(DeliveryEvent::Configured(self.config));
    }

    /// The owner asks for something else.
    pub(in super::super) fn ask(&mut self) {
        let before = self.config.courtesy;
        self.config.courtesy = Courtesy {
            max_per_second: [None, None, Some(1), Some(7), Some(200)][self.pick(5)],
            ordering: Ordering::ALL[self.pick(2)],
            recovery: Recovery::ALL[self.pick(2)],
            retry_client_errors: ClientErrors::of([[408, 429], [425, 425]][self.pick(2)]).unwrap(),
            ..before
        };
        if self.config.courtesy.max_per_second != before.max_per_second {
            self.starts.clear();
        }
        if self.config.courtesy.recovery == Recovery::Auto && before.recovery == Recovery::Manual {
            // Its answer is stale.
            self.parked = None;
        }
    }

    fn look_again(&mut self) {
        // The answer of a load under way is ignored.
        self.load_is_stale();
        self.step(DeliveryEvent::LookAgain);
    }

    /// The machine dies, and all that was under way with it; what the store was asked for it does or not.
    fn restart(&mut self) {
        while !self.writes.is_empty() {
            if self.one_in(2) {
                self.write(false);
            } else {
                self.writes.pop_front();
            }
        }
        self.inbox.clear();
        self.running.clear();
        self.awaiting.clear();
        self.recording.clear();
        self.recovering.clear();
        self.starts.clear();
        (self.parked, self.paused_until) = (None, Timestamp(0));
        self.stale.clear();
        self.notes.iter_mut().for_each(|note| note.unknown = false);
        (self.load, self.timer) = (None, None);
        self.start();
    }

    /// One thing happens.
    pub(in super::super) fn happen(&mut self) {
        match self.pick(72) {
            0..=13 => self.message(),
            14..=27 => self.deliver(),
            28..=35 => self.finish(self.profile.healthy),
            36..=43 => {
                let refuse = self.one_in(8);
                self.write(refuse);
            }
            44..=50 => {
                let fail = self.one_in(16);
                self.read(fail);
            }
            51..=54 => {
                let late = [0, 0, 1, 700][self.pick(4)];
                self.fire(late);
            }
            55..=56 => self.now = Timestamp(self.now.0 + [1, 40, 300, 20_000][self.pick(4)]),
            57..=60 => self.retry(),
            61 => self.configure(),
            62 if self.profile.restarts && self.one_in(4) => self.restart(),
            63 if self.one_in(4) => self.look_again(),
            64..=68 => self.grant(),
            69..=71 => {
                let fail = self.one_in(16);
                self.read_parked(fail);
            }
            _ => {}
        }
    }

    fn is_quiet(&self) -> bool {
        let told = self.inbox.is_empty() && self.writes.is_empty();
        let read = self.load.is_none() && self.parked.is_none();
        told && read && self.running.is_empty() && self.awaiting.is_empty()
    }

    /// All that is under way ends.
    pub(in super::super) fn come_to_rest(&mut self, healthy: usize) {
        while !self.is_quiet() {
            self.deliver();
            self.write(false);
            self.grant();
            self.finish(healthy);
            self.read(false);
            self.read_parked(false);
        }
    }

    /// Nothing new comes in, the receiver answers like `healthy`, and time goes by in timers only.
    pub(in super::super) fn settle(&mut self, healthy: usize) {
        let (timers, loads, attempts, began) = (self.timers, self.loads, self.attempts, self.now);
        // Off and on again: also where a receiver is gone, and the store does not have it yet.
        self.config.is_active = false;
        self.step(DeliveryEvent::Configured(self.config));
        self.paused_until = Timestamp(0);
        self.config = DeliveryConfig {
            is_active: true,
            max_retries: 3,
            ..self.config
        };
        if healthy < 16 {
            // Probes never end.
            self.config.courtesy.recovery = Recovery::Manual;
        }
        self.step(DeliveryEvent::Configured(self.config));
        if self.profile.lossy {
            self.look_again();
        }
        let rows = self.store.rows.len();
        loop {
            self.come_to_rest(healthy);
            if self.timer.is_none() {
                break;
            }
            self.fire(0);
            // At each time something is due, or a pause has ended.
            let pauses = usize::try_from(self.now.since(began).as_millis() / 250).unwrap();
            let (timers, attempts) = (self.timers - timers, self.attempts - attempts);
            let recoveries = 2 * self.parked_reads;
            assert!(
                timers <= 2 * rows + attempts + pauses + recoveries + 8,
                "{timers} timers in {:?}",
                self.now.since(began)
            );
        }
        assert_eq!(self.store.pending(), 0, "left lying");
        if self.config.courtesy.recovery == Recovery::Auto {
            assert!(!self.store.rows.iter().any(Row::is_parked), "not recovered");
        }
        let snapshot = self.machine.snapshot();
        assert_eq!((snapshot.window, snapshot.in_flight, snapshot.following), (0, 0, true));
        assert_eq!(snapshot.failure_count, self.store.failure_count);
        let (loads, attempts) = (self.loads - loads, self.attempts - attempts);
        assert!(
            loads <= rows + attempts + 8,
            "{loads} loads for {attempts} attempts of {rows} events"
        );
    }

    /// The program stops.
    pub(in super::super) fn close(&mut self) {
        self.closing = true;
        self.load = None;
        self.step(DeliveryEvent::Closing);
        while !(self.is_quiet() && self.timer.is_none()) {
            self.deliver();
            self.grant();
            self.read_parked(false);
            let refuse = self.one_in(4);
            self.write(refuse);
            self.finish(self.profile.healthy);
            self.fire(0);
        }
        assert!(self.finished);
        assert_eq!(self.machine.snapshot().window, 0);
        self.retry();
    }
}

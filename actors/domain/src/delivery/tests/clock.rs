//! A wall clock that jumps both ways while events wait: none is lost, none is attempted twice, and none waits hours for
//! a retry that was seconds away.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use proptest::{prelude::*, test_runner::TestRng};
use uuid::Uuid;

use super::{
    super::*,
    desk::{CONFIG, Desk, TIMING, answered, attempt},
    properties::rng,
    store::{Store, id, number},
};
use crate::{
    AttemptOutcome, AttemptResult,
    retry::{LONGEST_WAIT, wait_after},
};

const HOUR: i64 = 3_600_000;
/// Few enough for the window to hold, and for a slot each: then nothing but the clock delays a retry.
const CHATS: usize = 3;
/// What a rounding may cost.
const TOLERANCE: Duration = Duration::from_millis(10);

/// One machine whose receiver always fails, a store that answers at once, and two clocks: time that elapses, on which
/// timers run, and the wall's, which is off by `offset`.
struct Sim {
    rng: TestRng,
    elapsed: i64,
    offset: i64,
    /// The offset when this machine began, which its steady clock keeps.
    steady: i64,
    machine: Delivery,
    store: Store,
    inbox: VecDeque<DeliveryEvent>,
    timer: Option<(i64, u64)>,
    /// Event, attempt and when it ends.
    running: Vec<(usize, u32, i64)>,
    /// When the last attempt of each event ended, and which it was.
    ended: HashMap<usize, (i64, u32)>,
    /// The longest that a retry waited beyond its schedule, and the longest that it came before it.
    late: Duration,
    early: Duration,
    attempts: usize,
}

fn config() -> DeliveryConfig {
    DeliveryConfig {
        max_retries: 6,
        max_in_flight: 4,
        ..CONFIG
    }
}

impl Sim {
    fn new(seed: u64, events: usize) -> Self {
        let mut store = Store::default();
        for n in 0..events {
            store.add(&format!("chat {}", n % CHATS));
        }
        let mut sim = Self {
            rng: rng(seed),
            elapsed: 0,
            offset: 1_700_000_000_000,
            steady: 0,
            machine: Delivery::new(WebhookId(Uuid::nil()), config(), 0),
            store,
            inbox: VecDeque::new(),
            timer: None,
            running: Vec::new(),
            ended: HashMap::new(),
            late: Duration::ZERO,
            early: Duration::ZERO,
            attempts: 0,
        };
        sim.restart();
        sim
    }

    fn pick(&mut self, choices: i64) -> i64 {
        i64::from(self.rng.next_u32()) % choices
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.elapsed + self.offset)
    }

    /// A new machine, as after a crash: what was under way is forgotten.
    fn restart(&mut self) {
        self.machine = Delivery::new(WebhookId(Uuid::nil()), config(), self.store.failure_count);
        (self.timer, self.running, self.inbox) = (None, Vec::new(), VecDeque::new());
        self.steady = self.offset;
        let effects = self.machine.start(self.wall());
        self.carry_out(effects);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(event) = self.inbox.pop_front() {
            self.machine
                .keep_time(self.wall(), Timestamp(self.elapsed + self.steady));
            let effects = self.machine.step(self.wall(), event);
            self.carry_out(effects);
        }
    }

    fn tell(&mut self, event: DeliveryEvent) {
        self.inbox.push_back(event);
        self.settle();
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Attempt { next, .. } => self.begin(number(next.event_id), next.attempt),
                Effect::Record(outcome) => self.record(&outcome),
                Effect::Load { generation, query } => {
                    let page = self.store.due_chats(&query);
                    self.inbox.push_back(DeliveryEvent::Loaded { generation, page });
                }
                Effect::SetTimer { at, generation } => {
                    let wait = at.since(self.wall()).as_millis();
                    self.timer = Some((self.elapsed + i64::try_from(wait).unwrap(), generation));
                }
                Effect::Hurry => {}
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    fn begin(&mut self, event: usize, attempt: u32) {
        assert!(self.running.iter().all(|(other, ..)| *other != event), "twice at once");
        assert_eq!(attempt, self.store.rows[event].event.attempt_count + 1);
        if let Some((ended, last)) = self.ended.get(&event) {
            let waited = Duration::from_millis(u64::try_from(self.elapsed - ended).unwrap());
            let (least, most) = (wait_after(*last, 0.0), wait_after(*last, 1.0));
            self.late = self.late.max(waited.saturating_sub(most));
            self.early = self.early.max(least.saturating_sub(waited));
        }
        self.attempts += 1;
        let ends = self.elapsed + self.pick(2000);
        self.running.push((event, attempt, ends));
    }

    fn record(&mut self, outcome: &AttemptOutcome) {
        // What people and the store are told is the wall's time, whatever it is.
        assert_eq!(outcome.finished_at, self.wall());
        let wait = outcome.next_retry_at.unwrap().since(outcome.finished_at);
        assert!(
            (wait_after(outcome.attempt, 0.0)..=wait_after(outcome.attempt, 1.0)).contains(&wait),
            "{wait:?}"
        );
        self.store.record(outcome);
        self.ended
            .insert(number(outcome.event_id), (self.elapsed, outcome.attempt));
        self.inbox.push_back(DeliveryEvent::OutcomeCommitted {
            event_id: outcome.event_id,
            attempt: outcome.attempt,
        });
    }

    /// On to the next thing that happens by itself, but not beyond `until`. False when nothing does.
    fn advance(&mut self, until: i64) -> bool {
        let ends = self.running.iter().map(|(.., ends)| *ends).min();
        let fires = self.timer.map(|(at, _)| at);
        let Some(next) = ends.into_iter().chain(fires).min().filter(|next| *next <= until) else {
            self.elapsed = until;
            return false;
        };
        self.elapsed = self.elapsed.max(next);
        if fires.is_some_and(|at| at <= self.elapsed) {
            let (_, generation) = self.timer.take().unwrap();
            self.tell(DeliveryEvent::TimerFired { generation });
            return true;
        }
        let place = self
            .running
            .iter()
            .position(|(.., ends)| *ends <= self.elapsed)
            .unwrap();
        let (event, attempt, _) = self.running.swap_remove(place);
        let jitter = f64::from(u32::try_from(self.pick(1000)).unwrap()) / 1000.0;
        self.tell(DeliveryEvent::AttemptFinished(EndedAttempt {
            event_id: id(event),
            attempt,
            result: AttemptResult::TimedOut,
            timing: TIMING,
            jitter,
            retry_after: None,
            target: 0,
            body_bytes: 0,
        }));
        true
    }

    /// Until every event has failed.
    fn finish(&mut self) {
        let limit = self.elapsed + 400 * HOUR;
        while self.store.pending() > 0 {
            assert!(self.advance(limit), "{} left lying", self.store.pending());
        }
    }
}

/// Jumps at odd moments while events wait for retries.
fn jumping(seed: u64, jump: impl Fn(&mut Sim) -> i64) -> Sim {
    let events = 40;
    let mut sim = Sim::new(seed, events);
    for _ in 0..12 {
        let until = sim.elapsed + 20_000 + sim.pick(200_000);
        while sim.advance(until) {}
        sim.offset += jump(&mut sim);
    }
    sim.finish();
    assert_eq!(sim.attempts, events * 6, "each attempt of each budget, once");
    sim
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn jumps_back_forward_and_both_ways_change_no_retry(seed in any::<u64>(), way in 0..3) {
        let sim = jumping(seed, |sim| match way {
            0 => -sim.pick(5 * HOUR),
            1 => sim.pick(5 * HOUR),
            _ => sim.pick(10 * HOUR) - 5 * HOUR,
        });
        prop_assert!(sim.early <= TOLERANCE, "{:?} early", sim.early);
        prop_assert!(sim.late <= TOLERANCE, "{:?} late", sim.late);
    }

    #[test]
    fn a_restart_after_a_jump_delays_no_retry_by_hours(seed in any::<u64>(), back in any::<bool>()) {
        let mut sim = Sim::new(seed, 40);
        for _ in 0..3 {
            let until = sim.elapsed + 20_000 + sim.pick(100_000);
            while sim.advance(until) {}
            let jump = sim.pick(24 * HOUR);
            sim.offset += if back { -jump } else { jump };
            sim.restart();
        }
        sim.finish();
        // Counted from the last restart, which was minutes after the attempt.
        prop_assert!(sim.late <= LONGEST_WAIT + Duration::from_secs(400), "{:?} late", sim.late);
    }
}

#[test]
fn a_clock_that_is_put_back_by_hours_delays_nothing_that_waits() {
    let mut desk = Desk::new(CONFIG);
    desk.arrive(1, "a");
    desk.end(1, 1, answered(500));
    let set = desk.commit(1, 1);
    let [Effect::SetTimer { at, generation }] = set[..] else {
        panic!("{set:?}")
    };
    assert_eq!(at, desk.now + Duration::from_secs(5));
    // Five seconds elapse, in which the clock is put back by three hours.
    desk.now = Timestamp(at.0 - 3 * HOUR);
    desk.machine.keep_time(desk.now, at);
    assert_eq!(desk.step(DeliveryEvent::TimerFired { generation }), [attempt(1, 2)]);
    // What it writes down is the wall's time.
    let outcome = desk.end(1, 2, answered(500));
    assert_eq!(outcome.finished_at, desk.now);
    assert_eq!(outcome.next_retry_at, Some(desk.now + Duration::from_secs(10)));
    let set = desk.commit(1, 2);
    assert_eq!(desk.wait(&set, Duration::from_secs(10)), [attempt(1, 3)]);
}

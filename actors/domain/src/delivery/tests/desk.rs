//! A machine on the desk: it follows, and is told one thing after another.

use std::time::Duration;

use uuid::Uuid;

use super::{
    super::*,
    store::{body, id, sequence},
};
use crate::{AttemptOutcome, AttemptResult, AttemptTiming, Courtesy, courtesy::ClientErrors, fair::Standing};

pub(super) const NOW: Timestamp = Timestamp(1_000_000);
pub(super) const CONFIG: DeliveryConfig = DeliveryConfig {
    is_active: true,
    max_retries: 3,
    target: 0,
    max_in_flight: 2,
    courtesy: COURTESY,
};
/// What the contract says when nobody asks for anything else.
pub(super) const COURTESY: Courtesy = Courtesy {
    max_in_flight: None,
    max_per_second: None,
    timeout_ms: 10_000,
    ordering: Ordering::Chat,
    retry_client_errors: ClientErrors::NONE,
    recovery: Recovery::Manual,
};

pub(super) const TIMING: AttemptTiming = AttemptTiming {
    started_at: NOW,
    took: Duration::from_millis(3),
};

pub(super) fn answered(http_status: u16) -> AttemptResult {
    AttemptResult::Answered {
        http_status,
        response: Some("text".into()),
    }
}

pub(super) fn event(number: usize, chat: &str) -> PendingEvent {
    PendingEvent {
        id: id(number),
        seq: i64::try_from(number).unwrap(),
        sequence: sequence(number),
        chat: chat.into(),
        attempt_count: 0,
        budget_start: 0,
        next_retry_at: None,
        payload: Some(body(number)),
    }
}

/// A machine that follows, with its clock.
pub(super) struct Desk {
    pub(super) machine: Delivery,
    pub(super) now: Timestamp,
    /// How its receiver stood for the last attempt.
    pub(super) standing: Option<Standing>,
}

impl Desk {
    pub(super) fn new(config: DeliveryConfig) -> Self {
        let mut machine = Delivery::new(WebhookId(Uuid::nil()), config, 0);
        let load = machine.start(NOW);
        let [Effect::Load { generation, query }] = load.as_slice() else {
            panic!("{load:?}")
        };
        assert_eq!((query.after.as_deref(), query.only_due, query.now), (None, false, NOW));
        let mut desk = Self {
            machine,
            now: NOW,
            standing: None,
        };
        assert_eq!(
            desk.step(DeliveryEvent::Loaded {
                generation: *generation,
                page: DuePage::default()
            }),
            []
        );
        assert!(desk.machine.snapshot().following);
        desk
    }

    /// What it answers; how its receiver stands is put aside.
    pub(super) fn step(&mut self, event: DeliveryEvent) -> Vec<Effect> {
        let mut effects = self.machine.step(self.now, event);
        self.machine.window.check();
        for effect in &mut effects {
            if let Effect::Attempt { standing, .. } = effect {
                self.standing = Some(std::mem::replace(standing, Standing::Sound));
            }
        }
        effects
    }

    pub(super) fn arrive(&mut self, number: usize, chat: &str) -> Vec<Effect> {
        self.step(DeliveryEvent::Arrived(event(number, chat)))
    }

    /// The attempt ends; what is to be recorded.
    pub(super) fn end(&mut self, number: usize, attempt: u32, result: AttemptResult) -> AttemptOutcome {
        let mut effects = self.ended(number, attempt, result);
        let Some(Effect::Record(outcome)) = effects.pop().filter(|_| effects.is_empty()) else {
            panic!("{effects:?}")
        };
        outcome
    }

    /// The attempt ends.
    pub(super) fn ended(&mut self, number: usize, attempt: u32, result: AttemptResult) -> Vec<Effect> {
        self.step(DeliveryEvent::AttemptFinished(EndedAttempt {
            event_id: id(number),
            attempt,
            result,
            timing: TIMING,
            jitter: 0.0,
            retry_after: None,
            target: self.machine.config.target,
            body_bytes: 0,
        }))
    }

    pub(super) fn commit(&mut self, number: usize, attempt: u32) -> Vec<Effect> {
        self.step(DeliveryEvent::OutcomeCommitted {
            event_id: id(number),
            attempt,
        })
    }

    /// The one timer is set to `after` from now; time goes by and it fires.
    pub(super) fn wait(&mut self, effects: &[Effect], after: Duration) -> Vec<Effect> {
        let [Effect::SetTimer { at, generation }] = effects else {
            panic!("{effects:?}")
        };
        assert_eq!(*at, self.now + after);
        self.now = *at;
        self.step(DeliveryEvent::TimerFired {
            generation: *generation,
        })
    }
}

pub(super) fn attempt(number: usize, attempt: u32) -> Effect {
    wanted(number, attempt, (attempt == 1).then(|| body(number)))
}

/// Where the store has the body.
pub(super) fn without_body(number: usize, attempt: u32) -> Effect {
    wanted(number, attempt, None)
}

pub(super) fn with_body(number: usize, attempt: u32) -> Effect {
    wanted(number, attempt, Some(body(number)))
}

fn wanted(number: usize, attempt: u32, payload: Option<bytes::Bytes>) -> Effect {
    Effect::Attempt {
        next: NextAttempt {
            event_id: id(number),
            sequence: sequence(number),
            attempt,
            payload,
        },
        standing: Standing::Sound,
    }
}

pub(super) fn seconds(outcome: &AttemptOutcome) -> Option<u64> {
    outcome.next_retry_at.map(|at| at.since(outcome.finished_at).as_secs())
}

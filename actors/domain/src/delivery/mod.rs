//! The delivery of one webhook, as a machine: [`Delivery::step`] takes what happened and answers what to do.
//!
//! The store is the queue; the machine holds a window of it. Its unit is the chat: events of one chat go out one
//! after another, so only a chat's first event is ever worked on, and chats never wait for each other.
//!
//! Two modes. *Following*: the store has nothing of chats that the window does not hold, so a wake-up that carries its
//! row is all that is needed. *Catching up*: the store may have more, wake-ups of unknown chats are left to it, and sweeps
//! over the store's chats fill the window until nothing is left behind. A machine starts catching up.
//!
//! What it needs to hear. While a machine lives, each commit that makes an event pending has to be told (`Arrived`,
//! `Renewed`), in the order of the commits and before the commit of any outcome of that event; a load has to read what
//! was committed before it was asked for. Then nothing is overtaken and nothing is left lying. A wake-up that was lost
//! costs its event the delay until the next [`DeliveryEvent::LookAgain`] or restart, and its place in its chat's order.
//! Each attempt, each [`Effect::Record`], each load and each renewal has to be answered. Answering twice does no harm.

mod catch_up;
mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::{
    AttemptOutcome, AttemptResult, AttemptTiming, EventId, EventStatus, PendingEvent, Timestamp, WebhookId,
    retry::wait_after,
};

use catch_up::{CatchUp, Change};
pub use catch_up::{DueChat, DuePage, DueQuery};
use window::Window;

/// Events held in memory per webhook. Enough that a refill is rare, little enough that a thousand dead receivers fit.
pub const WINDOW: usize = if cfg!(test) { 16 } else { 256 };
/// How long an outcome that the store refused waits before it is offered again.
const RECORD_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the machine has to know of its webhook; given at the start and after every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryConfig {
    /// Whether attempts are made at all.
    pub is_active: bool,
    /// Attempts in one budget, 1 to 20.
    pub max_retries: u32,
    /// Attempts at once.
    pub max_in_flight: usize,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryEvent {
    /// The webhook was changed.
    Configured(DeliveryConfig),
    /// An event was committed.
    Arrived(PendingEvent),
    /// A sweep brought chats; `generation` is that of its [`Effect::Load`].
    Loaded {
        /// Which load this answers.
        generation: u64,
        /// What it found.
        page: DuePage,
    },
    /// A sweep could not read the store.
    LoadFailed {
        /// Which load this answers.
        generation: u64,
    },
    /// An attempt ended.
    AttemptFinished {
        /// The event.
        event_id: EventId,
        /// The attempt's number.
        attempt: u32,
        /// How it ended.
        result: AttemptResult,
        /// When it began and how long it took.
        timing: AttemptTiming,
        /// 0.0 to 1.0, for the wait before the next one.
        jitter: f64,
    },
    /// An attempt's outcome is in the store.
    OutcomeCommitted {
        /// The event.
        event_id: EventId,
        /// The attempt's number.
        attempt: u32,
    },
    /// The store refused an outcome.
    OutcomeRefused {
        /// The event.
        event_id: EventId,
        /// The attempt's number.
        attempt: u32,
    },
    /// A manual retry was committed.
    Renewed(PendingEvent),
    /// A manual retry was refused.
    NotRenewed(EventId),
    /// The timer of this generation fired.
    TimerFired {
        /// The generation of its [`Effect::SetTimer`].
        generation: u64,
    },
    /// Wake-ups may have been lost: the store is read again. For the janitor's rounds; never needed when none was.
    LookAgain,
    /// The webhook was deleted, or the program stops: nothing new is started.
    Closing,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make this attempt.
    Attempt {
        /// The event.
        event_id: EventId,
        /// Its number among its phone number's events.
        sequence: i64,
        /// The attempt's number, from 1.
        attempt: u32,
        /// The body, where the window has it; else the store has.
        payload: Option<bytes::Bytes>,
    },
    /// Commit this outcome.
    Record(AttemptOutcome),
    /// Read due chats from the store.
    Load {
        /// To be given back with the answer.
        generation: u64,
        /// What to read.
        query: DueQuery,
    },
    /// Set the one timer, in place of any other.
    SetTimer {
        /// When.
        at: Timestamp,
        /// To be given back when it fires.
        generation: u64,
    },
    /// Closing is over: nothing is under way any more.
    Finished,
}

/// What to do with a request for a manual retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAnswer {
    /// An attempt is under way, or another request for the same event is: nothing to do.
    UnderWay,
    /// Renew the event in the store, then tell the machine `Renewed` or `NotRenewed`.
    Renew,
}

/// What a person may want to see of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverySnapshot {
    /// Events in the window.
    pub window: usize,
    /// Attempts and commits under way.
    pub in_flight: usize,
    /// Whether wake-ups are all that is needed: no backlog of chats is in the store.
    pub following: bool,
    /// Failures since the last success.
    pub failure_count: u32,
}

/// An attempt that ended; see [`DeliveryEvent::AttemptFinished`].
struct Ended<'a> {
    event_id: EventId,
    attempt: u32,
    result: &'a AttemptResult,
    timing: AttemptTiming,
    jitter: f64,
}

/// The machine of one webhook.
#[derive(Debug)]
pub struct Delivery {
    webhook_id: WebhookId,
    config: DeliveryConfig,
    failure_count: u32,
    closing: bool,
    finished: bool,
    window: Window,
    catch_up: CatchUp,
    timer: Option<(Timestamp, u64)>,
    timer_generation: u64,
}

impl Delivery {
    /// A machine that knows nothing yet but the webhook's row. Follow with [`Delivery::start`].
    pub fn new(webhook_id: WebhookId, config: DeliveryConfig, failure_count: u32) -> Self {
        Self {
            webhook_id,
            config,
            failure_count,
            closing: false,
            finished: false,
            window: Window::default(),
            catch_up: CatchUp::new(),
            timer: None,
            timer_generation: 0,
        }
    }

    /// The first effects: reading the store.
    pub fn start(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.pump(now, &mut effects);
        effects
    }

    /// What a person may want to see.
    pub fn snapshot(&self) -> DeliverySnapshot {
        DeliverySnapshot {
            window: self.window.len(),
            in_flight: self.window.in_flight(),
            following: self.catch_up.following(),
            failure_count: self.failure_count,
        }
    }

    /// Decides on a manual retry. After [`RetryAnswer::Renew`] the event is held back until the store has answered.
    pub fn request_retry(&mut self, event_id: EventId) -> RetryAnswer {
        if !self.closing && self.window.hold(event_id) {
            RetryAnswer::Renew
        } else {
            RetryAnswer::UnderWay
        }
    }

    /// Takes what happened, answers what to do. A stale report changes nothing.
    pub fn step(&mut self, now: Timestamp, event: DeliveryEvent) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            DeliveryEvent::Configured(config) => self.config = config,
            DeliveryEvent::Arrived(event) => self.on_arrived(now, event),
            DeliveryEvent::Loaded { generation, page } => self.catch_up.loaded(&mut self.window, now, generation, page),
            DeliveryEvent::LoadFailed { generation } => self.catch_up.load_failed(now, generation),
            DeliveryEvent::AttemptFinished {
                event_id,
                attempt,
                result,
                timing,
                jitter,
            } => {
                let ended = Ended {
                    event_id,
                    attempt,
                    result: &result,
                    timing,
                    jitter,
                };
                self.on_attempt_finished(now, &ended, &mut effects);
            }
            DeliveryEvent::OutcomeCommitted { event_id, attempt } => self.on_committed(event_id, attempt),
            DeliveryEvent::OutcomeRefused { event_id, attempt } => {
                self.window.record_again_at(event_id, attempt, now + RECORD_AGAIN_AFTER);
            }
            DeliveryEvent::Renewed(event) => self.on_renewed(now, event),
            DeliveryEvent::NotRenewed(event_id) => self.window.release(event_id),
            DeliveryEvent::TimerFired { generation } => {
                if self.timer.is_none_or(|(_, current)| current != generation) {
                    return effects;
                }
                self.timer = None;
            }
            DeliveryEvent::LookAgain => {
                self.window.doubt_all();
                self.catch_up.start_over();
            }
            DeliveryEvent::Closing => {
                self.closing = true;
                self.window.drop_idle();
                self.catch_up.start_over();
            }
        }
        self.pump(now, &mut effects);
        effects
    }

    fn on_arrived(&mut self, now: Timestamp, event: PendingEvent) {
        if !self.window.contains(event.id) {
            self.admit(now, event, Change::Grew);
        }
    }

    fn on_renewed(&mut self, now: Timestamp, event: PendingEvent) {
        if let Some(event) = self.window.renew(event, now) {
            self.admit(now, event, Change::Other);
        }
    }

    /// Takes an event that the window does not hold.
    fn admit(&mut self, now: Timestamp, event: PendingEvent, change: Change) {
        if self.closing {
            return;
        }
        if let Err(chat) = self.window.admit(event, self.catch_up.following(), now) {
            self.catch_up.left_behind(&chat, change);
        }
    }

    fn on_attempt_finished(&mut self, now: Timestamp, ended: &Ended<'_>, effects: &mut Vec<Effect>) {
        let &Ended {
            event_id,
            attempt,
            result,
            timing,
            jitter,
        } = ended;
        let Some((seq, budget_start)) = self.window.running(event_id, attempt) else {
            return;
        };
        let in_budget = attempt.saturating_sub(budget_start);
        let failure = result.failure();
        let (status, next_retry_at) = match &failure {
            None => (EventStatus::Delivered, None),
            Some(failure) if !failure.retry => (EventStatus::Failed, None),
            Some(_) => {
                let next = Some(now + wait_after(in_budget, jitter));
                // A test is one question, and its answer is the first attempt's.
                let budget = if self.window.is_test(event_id) {
                    1
                } else {
                    self.config.max_retries
                };
                let exhausted = in_budget >= budget;
                (
                    if exhausted {
                        EventStatus::Failed
                    } else {
                        EventStatus::Pending
                    },
                    next,
                )
            }
        };
        self.failure_count = match status {
            EventStatus::Delivered => 0,
            EventStatus::Failed => self.failure_count.saturating_add(1),
            EventStatus::Pending => self.failure_count,
        };
        let outcome = AttemptOutcome {
            event_id,
            seq,
            webhook_id: self.webhook_id,
            status,
            attempt,
            // Only a manual retry begins a budget after attempts were made.
            manual: budget_start > 0 && in_budget == 1,
            timing,
            http_status: result.http_status(),
            response: result.response().map(str::to_owned),
            error: failure.map(|failure| failure.error),
            next_retry_at,
            finished_at: now,
            webhook_failure_count: self.failure_count,
        };
        self.window.recording(outcome.clone());
        effects.push(Effect::Record(outcome));
    }

    fn on_committed(&mut self, event_id: EventId, attempt: u32) {
        if let Some(drained) = self.window.committed(event_id, attempt) {
            self.catch_up.drained(&drained);
        }
        if self.closing {
            self.window.drop_idle();
        }
    }

    /// Starts what can be started, reads what has to be read, and sets the timer.
    fn pump(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for outcome in self.window.fire(now) {
            // An older counter must not undo what was committed since.
            effects.push(Effect::Record(AttemptOutcome {
                webhook_failure_count: self.failure_count,
                ..outcome
            }));
        }
        if self.closing {
            if self.window.in_flight() == 0 && !self.finished {
                self.finished = true;
                effects.push(Effect::Finished);
            }
        } else if self.config.is_active {
            while self.window.in_flight() < self.config.max_in_flight {
                let Some(next) = self.window.start_next() else {
                    break;
                };
                effects.push(Effect::Attempt {
                    event_id: next.event_id,
                    sequence: next.sequence,
                    attempt: next.attempt,
                    payload: next.payload,
                });
            }
            if let Some((generation, query)) = self.catch_up.next_load(&mut self.window, now) {
                effects.push(Effect::Load { generation, query });
            }
        }
        self.set_timer(effects);
    }

    fn set_timer(&mut self, effects: &mut Vec<Effect>) {
        let load_at = if self.config.is_active && !self.closing {
            self.catch_up.wake_at()
        } else {
            None
        };
        let Some(at) = [self.window.next_due(), load_at].into_iter().flatten().min() else {
            self.timer = None;
            return;
        };
        if self.timer.is_none_or(|(current, _)| current != at) {
            self.timer_generation += 1;
            self.timer = Some((at, self.timer_generation));
            effects.push(Effect::SetTimer {
                at,
                generation: self.timer_generation,
            });
        }
    }
}

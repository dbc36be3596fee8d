//! What the machine is told, what it answers, and what it shows of itself.

use super::{DuePage, DueQuery};
use crate::{AttemptOutcome, AttemptResult, AttemptTiming, Courtesy, EventId, PendingEvent, Timestamp, fair::Standing};

/// What the machine has to know of its webhook; given at the start and after every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryConfig {
    /// Whether attempts are made at all.
    pub is_active: bool,
    /// Attempts in one budget, 1 to 20.
    pub max_retries: u32,
    /// Counts the targets that the webhook has had in its delivery's life: another one is another receiver.
    pub target: u64,
    /// Attempts at once: what the owner asked for, within what the configuration allows.
    pub max_in_flight: usize,
    /// What else the owner asked for.
    pub courtesy: Courtesy,
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
    AttemptFinished(EndedAttempt),
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
    /// A manual retry or a revival was refused. Behind the `Renewed` of one that was not, this changes nothing.
    NotRenewed(EventId),
    /// The oldest parked events that were asked for, in the order of arrival; `None`: the store could not be read.
    ParkedLoaded {
        /// Which [`Effect::LoadParked`] this answers.
        generation: u64,
        /// What was found.
        parked: Option<Vec<ParkedEvent>>,
    },
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

/// An attempt that can be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextAttempt {
    /// The event.
    pub event_id: EventId,
    /// Its number among its phone number's events.
    pub sequence: i64,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The body, where the window has it; else the store has.
    pub payload: Option<bytes::Bytes>,
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedAttempt {
    /// The event.
    pub event_id: EventId,
    /// The attempt's number.
    pub attempt: u32,
    /// How it ended.
    pub result: AttemptResult,
    /// When it began and how long it took.
    pub timing: AttemptTiming,
    /// 0.0 to 1.0, for the wait before the next one.
    pub jitter: f64,
    /// The answer's `Retry-After`.
    pub retry_after: Option<Timestamp>,
    /// The [`DeliveryConfig::target`] that it was made at.
    pub target: u64,
    /// How long the event's body is, as far as the attempt came to read it.
    pub body_bytes: usize,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make this attempt.
    Attempt {
        /// The attempt.
        next: NextAttempt,
        /// What is known of the receiver, for the attempt's slot.
        standing: Standing,
    },
    /// Attempts that wait for their slots asked for them as of a worse standing: this is what is known of the receiver now.
    Reconsider(Standing),
    /// Commit this outcome; not necessarily at once, see [`Delivery::may_wait`](super::Delivery::may_wait).
    Record(AttemptOutcome),
    /// Outcomes that might wait are waited for now: commit them.
    Hurry,
    /// Read due chats from the store.
    Load {
        /// To be given back with the answer.
        generation: u64,
        /// What to read.
        query: DueQuery,
    },
    /// Read parked events from the store: those that ended `failed` because their budget was used up.
    LoadParked {
        /// To be given back with the answer.
        generation: u64,
        /// Only what arrived after this place.
        after: i64,
        /// At the most.
        limit: usize,
    },
    /// Make these parked events pending again in the store, due now, without a fresh budget: one after another, so that
    /// none overtakes another of its chat. Tell the machine `Renewed` or `NotRenewed` of each.
    Revive(Vec<EventId>),
    /// The receiver is gone for good: switch the webhook off in the store, for this reason, unless it has another target there.
    Deactivate(&'static str),
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

/// An event whose budget is used up, as far as recovery has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Its id.
    pub id: EventId,
    /// Its place in the order of arrival.
    pub seq: i64,
    /// When its schedule would attempt it next.
    pub next_retry_at: Timestamp,
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

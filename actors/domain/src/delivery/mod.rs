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
mod doubt;
mod ended;
mod lanes;
mod pace;
mod pump;
mod recovery;
mod steady;
mod window;
mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::{EventId, Ordering, PendingEvent, Recovery, Timestamp, WebhookId, fair::Standing};

use catch_up::{CatchUp, Change};
pub use catch_up::{DueChat, DuePage, DueQuery, DueScope};
use doubt::Doubt;
use pace::Pace;
use recovery::Recoveries;
use steady::SteadyClock;
use window::Window;
pub use words::{
    DeliveryConfig, DeliveryEvent, DeliverySnapshot, Effect, EndedAttempt, NextAttempt, ParkedEvent, RetryAnswer,
};

/// Events held in memory per webhook. Enough that a refill is rare, little enough that a thousand dead receivers fit.
pub const WINDOW: usize = if cfg!(test) { 16 } else { 256 };
/// The fewest, where thousands of webhooks have as many that wait.
const LEAST_WINDOW: usize = if cfg!(test) { 8 } else { 64 };
/// How long an outcome that the store refused waits before it is offered again.
const RECORD_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The machine of one webhook.
#[derive(Debug)]
pub struct Delivery {
    webhook_id: WebhookId,
    config: DeliveryConfig,
    /// The ordering in effect: that of the configuration, once nothing of another one is under way.
    ordering: Ordering,
    failure_count: u32,
    /// Its receiver is gone for good, and the store does not have it yet that the webhook is off.
    gone: bool,
    closing: bool,
    finished: bool,
    window: Window,
    catch_up: CatchUp,
    pace: Pace,
    doubt: Doubt,
    /// Attempts that wait for their slot, and the worst that one of them asked for it as.
    awaiting: usize,
    asked_as: Standing,
    recoveries: Recoveries,
    /// Events whose outcome is on its way to the store without haste.
    unhurried: Vec<EventId>,
    clock: SteadyClock,
    timer: Option<(Timestamp, u64)>,
    timer_generation: u64,
}

impl Delivery {
    /// A machine that knows nothing yet but the webhook's row. Follow with [`Delivery::start`].
    pub fn new(webhook_id: WebhookId, config: DeliveryConfig, failure_count: u32) -> Self {
        Self {
            webhook_id,
            config,
            ordering: config.courtesy.ordering,
            failure_count,
            gone: false,
            closing: false,
            finished: false,
            window: Window::of(WINDOW),
            catch_up: CatchUp::new(),
            pace: Pace::default(),
            doubt: Doubt::new(failure_count > 0),
            awaiting: 0,
            asked_as: Standing::Sound,
            recoveries: Recoveries::new(),
            unhurried: Vec::new(),
            clock: SteadyClock::default(),
            timer: None,
            timer_generation: 0,
        }
    }

    /// One that holds fewer events in memory than [`WINDOW`], but as many as may be attempted at once, and as many again.
    #[must_use]
    pub fn holding(mut self, events: usize) -> Self {
        let least = self.config.max_in_flight.saturating_mul(2).max(LEAST_WINDOW);
        self.window = Window::of(events.clamp(least.min(WINDOW), WINDOW));
        self
    }

    /// The first effects: reading the store.
    pub fn start(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let now = self.clock.read(now);
        self.pump(now, &mut effects);
        self.clock.outward(&mut effects);
        effects
    }

    /// Where it stands, for tests and the simulation.
    pub fn snapshot(&self) -> DeliverySnapshot {
        DeliverySnapshot {
            window: self.window.len(),
            in_flight: self.window.in_flight(),
            following: self.catch_up.following(),
            failure_count: self.failure_count,
        }
    }

    /// Whether a machine that is made anew from the store would stand where this one does: nothing is held, under way
    /// or waited for. While the webhook is off nothing of what is held is waited for, and being switched on ends a pause.
    pub fn is_idle(&mut self, now: Timestamp) -> bool {
        if self.gone || self.recoveries.is_reading() || self.window.is_busy() {
            return false;
        }
        let paused = self.pace.paused_until(self.clock.read(now)).is_some();
        let waits = self.timer.is_some() || paused || !self.catch_up.following();
        !self.config.is_active || (self.window.len() == 0 && !waits)
    }

    /// Decides on a manual retry. After [`RetryAnswer::Renew`] the event is held back until the store has answered.
    pub fn request_retry(&mut self, event_id: EventId) -> RetryAnswer {
        if !self.closing && self.window.hold(event_id) {
            RetryAnswer::Renew
        } else {
            RetryAnswer::UnderWay
        }
    }

    /// An attempt that was answered just now has to wait for its slot: it has not begun. Follow with
    /// [`Delivery::granted`] when it has one.
    pub fn awaits_slot(&mut self, standing: Standing) {
        self.pace.not_started(self.config.courtesy.max_per_second);
        self.doubt.not_started();
        self.awaiting += 1;
        self.asked_as = self.asked_as.max(standing);
    }

    /// An attempt that waited has its slot: answers whether it begins now, and what else there is to do. When it does
    /// not (its webhook was switched off, asked to pause or given fewer attempts at once in the meantime), its event is as it
    /// was before.
    pub fn granted(&mut self, now: Timestamp, event_id: EventId, attempt: u32) -> (bool, Vec<Effect>) {
        let mut effects = Vec::new();
        let now = self.clock.read(now);
        self.awaiting = self.awaiting.saturating_sub(1);
        if self.awaiting == 0 {
            self.asked_as = Standing::Sound;
        }
        if self.window.running(event_id, attempt).is_none() {
            return (false, effects);
        }
        let pace = self.config.courtesy.max_per_second;
        // Fewer may be wanted by now than wait.
        let crowded = self.window.in_flight() > self.config.max_in_flight;
        if self.may_start() && !crowded && self.pace.closed_until(now, pace).is_none() {
            self.started(now);
            return (true, effects);
        }
        self.window.put_back(event_id, None);
        if self.closing {
            self.window.drop_idle();
        }
        self.pump(now, &mut effects);
        self.clock.outward(&mut effects);
        (false, effects)
    }

    /// Takes what happened, answers what to do. A stale report changes nothing. `now` is the wall clock's, which may
    /// jump: see [`Delivery::keep_time`].
    pub fn step(&mut self, now: Timestamp, mut event: DeliveryEvent) -> Vec<Effect> {
        let mut effects = Vec::new();
        let now = self.clock.read(now);
        self.clock.inward(now, &mut event);
        match event {
            DeliveryEvent::Configured(config) => self.on_configured(config, &mut effects),
            DeliveryEvent::Arrived(event) => {
                let event = self.in_lane(event);
                self.on_arrived(now, event);
            }
            DeliveryEvent::Loaded { generation, page } => {
                let page = self.page_in_lanes(page);
                self.catch_up.loaded(&mut self.window, now, generation, page);
            }
            DeliveryEvent::LoadFailed { generation } => self.catch_up.load_failed(now, generation),
            DeliveryEvent::AttemptFinished(ended) => self.on_ended(now, ended, &mut effects),
            DeliveryEvent::OutcomeCommitted { event_id, attempt } => {
                self.on_committed(now, event_id, attempt, &mut effects)
            }
            DeliveryEvent::OutcomeRefused { event_id, attempt } => {
                if self.window.record_again_at(event_id, attempt, now + RECORD_AGAIN_AFTER) {
                    self.unhurried.retain(|id| *id != event_id);
                }
            }
            DeliveryEvent::Renewed(event) => {
                self.recoveries.renewed(&event);
                let event = self.in_lane(event);
                self.on_renewed(now, event);
            }
            DeliveryEvent::NotRenewed(event_id) => {
                self.window.release(event_id);
                self.recoveries.not_revived(now, event_id);
            }
            DeliveryEvent::ParkedLoaded { generation, parked } => {
                self.on_parked(now, generation, parked, &mut effects);
            }
            DeliveryEvent::TimerFired { generation } => {
                if self.timer.is_none_or(|(_, current)| current != generation) {
                    return effects;
                }
                self.timer = None;
            }
            DeliveryEvent::LookAgain => {
                self.window.doubt_all();
                self.catch_up.look_again();
            }
            DeliveryEvent::Closing => {
                self.closing = true;
                self.window.drop_idle();
                self.catch_up.start_over();
            }
        }
        self.pump(now, &mut effects);
        self.clock.outward(&mut effects);
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
        // One that waits for no other can be taken in, too, while all that the store has beside it waits for its time.
        let alone = self.ordering == Ordering::None && self.catch_up.holds_all_due();
        if let Err(chat) = self.window.admit(event, alone || self.catch_up.following(), now) {
            self.catch_up.left_behind(&chat, change, self.ordering);
        }
    }

    /// An owner that switches a webhook on again wants it tried now, whatever its receiver asked for before; and another
    /// receiver has asked for nothing.
    fn on_configured(&mut self, config: DeliveryConfig, effects: &mut Vec<Effect>) {
        let elsewhere = config.target != self.config.target;
        if elsewhere {
            self.doubt = Doubt::default();
            self.reconsider(Standing::Untried, effects);
        }
        if elsewhere || (config.is_active && !self.config.is_active) {
            self.pace.resume();
        }
        // Whatever else was changed before the webhook was off in the store too does not switch it on.
        self.gone &= config.is_active && !elsewhere;
        if config.courtesy.recovery == Recovery::Auto && self.config.courtesy.recovery != Recovery::Auto {
            self.recoveries.start_over();
        }
        self.config = config;
    }
}

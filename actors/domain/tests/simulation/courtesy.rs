//! What is promised to a receiver and to a webhook's owner (docs/WEBHOOKS.md): the pace, the pauses
//! that a receiver asks for, the end that it declares, and which events wait for each other.

use std::{collections::VecDeque, time::Duration};

use wharf_domain::{
    AttemptResult, Ordering, Timestamp,
    delivery::{DeliveryConfig, Effect},
};

use super::law::law;

/// The longest pause that is granted.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// See the module. Knows of the machine's present life only.
#[derive(Debug)]
pub(super) struct Courtesies {
    /// What the machine was told last.
    pub(super) config: DeliveryConfig,
    /// The ordering under which attempts began that are under way.
    ordering: Ordering,
    /// Attempts that began under the present pace within the last second.
    starts: VecDeque<Timestamp>,
    paused_until: Timestamp,
    /// The receiver said `410`, and the machine has not heard of it that the webhook is off.
    gone: bool,
    /// Commits that it was told of and that have to switch the webhook off.
    to_switch_off: usize,
    /// Until when something held back what was to begin: slots, a pause, a change.
    held_until: Timestamp,
}

impl Courtesies {
    /// A machine starts.
    pub(super) fn new(config: DeliveryConfig) -> Self {
        Self {
            config,
            ordering: config.courtesy.ordering,
            starts: VecDeque::new(),
            paused_until: Timestamp(0),
            gone: false,
            to_switch_off: 0,
            held_until: Timestamp(0),
        }
    }

    /// The machine is told of another configuration. Switching a webhook on ends a pause, and so does another target. Another
    /// ordering holds as soon as nothing is under way.
    pub(super) fn configured(&mut self, config: DeliveryConfig, now: Timestamp, in_flight: usize) {
        let elsewhere = config.target != self.config.target;
        if elsewhere || (config.is_active && !self.config.is_active) {
            self.paused_until = Timestamp(0);
        }
        if config.courtesy.max_per_second != self.config.courtesy.max_per_second {
            self.starts.clear();
        }
        self.gone &= config.is_active && !elsewhere;
        self.config = config;
        self.held_until = now.max(self.paused_until);
        self.left(now, in_flight, in_flight);
    }

    /// What an answer asks for beyond its event; until when that holds the webhook. Only the present receiver is heeded.
    pub(super) fn answered(
        &mut self,
        result: &AttemptResult,
        retry_after: Option<Duration>,
        target: u64,
        now: Timestamp,
    ) {
        if target != self.config.target {
            return;
        }
        if let (Some(429 | 503), Some(wait)) = (result.http_status(), retry_after) {
            self.paused_until = self.paused_until.max(now + wait.min(LONGEST_PAUSE));
        }
        self.gone |= result.http_status() == Some(410);
        self.held(now);
    }

    fn may_start(&self, now: Timestamp) -> Result<(), String> {
        law!(self.config.is_active, "an attempt though the webhook is inactive");
        law!(!self.gone, "an attempt though the receiver is gone for good");
        let paused = self.paused_until > now;
        law!(!paused, "an attempt in a pause until {:?}", self.paused_until);
        let (wanted, present) = (self.config.courtesy.ordering, self.ordering);
        law!(
            wanted == present,
            "an attempt while others go on with ordering {present:?}"
        );
        Ok(())
    }

    /// An attempt is to be made as soon as it has a slot; so many are under way beside it.
    pub(super) fn chosen(&mut self, now: Timestamp, others: usize) -> Result<(), String> {
        self.left(now, others, others);
        self.may_start(now)?;
        let (in_flight, most) = (others + 1, self.config.max_in_flight);
        law!(in_flight <= most, "{in_flight} attempts are under way at once");
        if in_flight >= most {
            self.held(now);
        }
        Ok(())
    }

    /// An attempt begins; so many are under way with it, or wait for their slot.
    pub(super) fn starts(&mut self, now: Timestamp, in_flight: usize) -> Result<(), String> {
        self.may_start(now)?;
        let most = self.config.max_in_flight;
        law!(
            in_flight <= most,
            "{in_flight} attempts are under way at once, not {most}"
        );
        if let Some(most) = self.config.courtesy.max_per_second {
            self.starts.push_back(now);
            while self.starts.front().is_some_and(|first| first.0 + 1000 <= now.0) {
                self.starts.pop_front();
            }
            let starts = self.starts.len();
            law!(starts <= most as usize, "{starts} attempts in a second, not {most}");
        }
        Ok(())
    }

    /// An attempt that was chosen is not made after all, now that it has its slot; so many were under way with it.
    pub(super) fn put_back(&self, now: Timestamp, in_flight: usize) -> Result<(), String> {
        let crowded = in_flight > self.config.max_in_flight;
        let changes = self.config.courtesy.ordering != self.ordering;
        let held = self.is_off() || changes || self.paused_until > now;
        let paced = self.config.courtesy.max_per_second.is_some();
        law!(held || paced || crowded, "an attempt that got its slot is not made");
        Ok(())
    }

    /// Fewer are under way than before.
    pub(super) fn left(&mut self, now: Timestamp, before: usize, after: usize) {
        if before >= self.config.max_in_flight {
            self.held(now);
        }
        if after == 0 && self.ordering != self.config.courtesy.ordering {
            self.ordering = self.config.courtesy.ordering;
            self.held(now);
        }
    }

    /// The machine hears that the end of an attempt is committed. Who was switched off meanwhile, or leads elsewhere, is not
    /// switched off for it.
    pub(super) fn committed(&mut self, http_status: Option<u16>) {
        self.to_switch_off += usize::from(http_status == Some(410) && self.gone);
    }

    /// The machine has answered; whatever it was told had to switch the webhook off, did.
    pub(super) fn stepped(&mut self, effects: &[Effect]) -> Result<(), String> {
        let is = |effect: &&Effect| matches!(effect, Effect::Deactivate(_));
        let (switched, due) = (effects.iter().filter(is).count(), self.to_switch_off);
        law!(
            switched == due,
            "the webhook is switched off {switched} times, not {due}"
        );
        self.to_switch_off = 0;
        Ok(())
    }

    fn held(&mut self, now: Timestamp) {
        self.held_until = self.held_until.max(now).max(self.paused_until);
    }

    fn is_off(&self) -> bool {
        !self.config.is_active || self.gone
    }

    /// Whether nothing but the pace has held anything back since then.
    pub(super) fn is_open_since(&self, since: Timestamp, in_flight: usize) -> bool {
        let full = in_flight >= self.config.max_in_flight;
        !full && !self.is_off() && self.ordering == self.config.courtesy.ordering && self.held_until < since
    }

    /// The ordering in effect.
    pub(super) fn ordering(&self) -> Ordering {
        self.ordering
    }

    pub(super) fn is_paused(&self, now: Timestamp) -> bool {
        self.paused_until > now
    }

    pub(super) fn paused_until(&self) -> Timestamp {
        self.paused_until
    }
}

//! What the owners of webhooks do: they retry events and change what they have asked for. All of it is committed first,
//! and the machine is told of it afterwards.

use std::time::Duration;

use fastrand::Rng;
use wharf_domain::{
    Courtesy, EventId, EventStatus, Ordering, Recovery, Timestamp,
    courtesy::ClientErrors,
    delivery::{DeliveryConfig, DeliveryEvent, RetryAnswer},
};

use super::{
    LATE_MS, Violation, World,
    happening::Happening,
    store::{id, number},
};

/// The limit of the whole gateway for one webhook.
const MOST_IN_FLIGHT: usize = 16;
/// Between two events of a retry of many.
const BULK_SPACING: Duration = Duration::from_millis(20);

/// A change of a webhook.
#[derive(Debug)]
pub(super) enum Change {
    /// Everything.
    Patch(DeliveryConfig),
    SwitchOn,
}

pub(super) fn random_config(rng: &mut Rng, is_active: bool) -> DeliveryConfig {
    let codes: &[u64] = [&[][..], &[], &[429], &[408, 425, 429]][rng.usize(..4)];
    let courtesy = Courtesy {
        max_in_flight: [None, None, None, Some(1), Some(2), Some(5)][rng.usize(..6)],
        max_per_second: [None, None, None, Some(1), Some(7), Some(40), Some(200)][rng.usize(..7)],
        ordering: [Ordering::Chat, Ordering::Chat, Ordering::None][rng.usize(..3)],
        retry_client_errors: ClientErrors::of(codes.iter().copied()).unwrap_or_default(),
        recovery: [Recovery::Manual, Recovery::Manual, Recovery::Auto][rng.usize(..3)],
        ..Courtesy::default()
    };
    DeliveryConfig {
        is_active,
        max_retries: [1, 2, 3, 3, 3, 5, 8, 20][rng.usize(..8)],
        target: 0,
        max_in_flight: courtesy.max_in_flight.map_or(MOST_IN_FLIGHT, |most| most as usize),
        courtesy,
    }
}

impl World {
    pub(super) fn retry(&mut self, hook: usize) -> Result<(), Violation> {
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

    pub(super) fn commit_renewal(&mut self, hook: usize, event_id: EventId, force: bool) {
        let this = &mut self.hooks[hook];
        let event = number(event_id);
        let was_delivered = this.store.rows[event].status == EventStatus::Delivered;
        let refused = !this.store.webhook.is_active || self.rng.u8(..32) == 0;
        let renewed = if refused { None } else { this.store.renew(event, force) };
        let told = match renewed {
            Some(renewed) => {
                this.books.renewed(&this.store, event, was_delivered);
                self.summary.renewals += 1;
                DeliveryEvent::Renewed(renewed)
            }
            None => DeliveryEvent::NotRenewed(event_id),
        };
        self.tell(hook, told);
    }

    /// The oldest failed events of a webhook are retried together.
    pub(super) fn retry_many(&mut self, hook: usize) -> Result<(), Violation> {
        let most = self.rng.usize(1..400);
        let failed = self.hooks[hook].store.failed(most);
        if !failed.is_empty() {
            let at = self.commit_time(hook);
            self.push(at, hook, 0, Happening::Renewals(failed));
        }
        Ok(())
    }

    /// The machine hears of each event at once, maybe before it hears of an end that was committed earlier: so in the end it
    /// is told to ask the store.
    pub(super) fn commit_renewals(&mut self, hook: usize, events: &[usize]) {
        let now = self.now;
        if !self.hooks[hook].store.webhook.is_active {
            return;
        }
        let mut due = now;
        for event in events {
            let this = &mut self.hooks[hook];
            if let Some(renewed) = this.store.renew_failed(*event, due) {
                this.books.renewed(&this.store, *event, false);
                self.summary.bulk_renewals += 1;
                self.of(hook, now, Happening::Tell(Box::new(DeliveryEvent::Renewed(renewed))));
            }
            due = due + BULK_SPACING;
        }
        self.of(hook, now, Happening::Tell(Box::new(DeliveryEvent::LookAgain)));
    }

    pub(super) fn patch(&mut self, hook: usize) -> Result<(), Violation> {
        let is_active = self.rng.u8(..4) > 0;
        let mut config = random_config(&mut self.rng, is_active);
        let before = self.hooks[hook].store.webhook;
        config.target = before.target + u64::from(self.rng.u8(..8) == 0);
        if self.rng.u8(..4) > 0 {
            (config.courtesy, config.max_in_flight) = (before.courtesy, before.max_in_flight);
        }
        self.change(hook, Change::Patch(config));
        Ok(())
    }

    fn change(&mut self, hook: usize, change: Change) {
        let at = self.commit_time(hook);
        self.push(at, hook, 0, Happening::Change(Box::new(change)));
    }

    pub(super) fn commit_change(&mut self, hook: usize, change: &Change) {
        let webhook = &mut self.hooks[hook].store.webhook;
        match change {
            Change::Patch(config) => *webhook = *config,
            Change::SwitchOn => webhook.is_active = true,
        }
        self.tell_news(hook);
    }

    /// The receiver said that it is gone. The owner notices some time, and switches the webhook on again. Nothing happens where
    /// the webhook leads elsewhere by now.
    pub(super) fn commit_deactivation(&mut self, hook: usize, target: u64) {
        if self.rng.u8(..8) == 0 {
            let at = self.now + Duration::from_secs(1);
            return self.of(hook, at, Happening::Deactivation { target });
        }
        if self.hooks[hook].store.webhook.target != target {
            return;
        }
        self.summary.deactivations += 1;
        self.hooks[hook].store.webhook.is_active = false;
        self.tell_news(hook);
        let at = Timestamp(self.now.0 + self.rng.i64(1_000..1_000_000));
        self.push(at, hook, 0, Happening::Change(Box::new(Change::SwitchOn)));
    }

    /// A machine is told how its webhook is now, in the order of the commits.
    fn tell_news(&mut self, hook: usize) {
        let at = self.now.0 + self.rng.i64(0..5);
        let this = &mut self.hooks[hook];
        this.news_at = Timestamp(this.news_at.0.max(at));
        let (at, news) = (this.news_at, DeliveryEvent::Configured(this.store.webhook));
        // In the way of what is parked until then.
        this.well_since = this.well_since.map(|since| since.max(at));
        self.of(hook, at, Happening::Tell(Box::new(news)));
    }

    /// No more messages and hardly any trouble: every webhook is switched on, and time goes by until nothing is left. Where
    /// events are tried until they are delivered, the receiver gets well.
    pub(super) fn settle(&mut self) {
        self.settling = true;
        for hook in 0..self.hooks.len() {
            let this = &mut self.hooks[hook];
            if this.is_auto() {
                let well_from = Timestamp(self.now.0 + self.rng.i64(0..LATE_MS / 2));
                this.well_since = Some(this.receiver.recover_at(well_from).max(self.now));
            }
            self.change(hook, Change::SwitchOn);
        }
    }
}

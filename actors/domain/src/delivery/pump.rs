//! What follows from how things stand: what is started, read, and waited for.

use super::{Delivery, Effect};
use crate::{AWAITS_MEDIA, AttemptOutcome, Recovery, Timestamp};

impl Delivery {
    /// Starts what can be started, reads what has to be read, and sets the timer.
    pub(super) fn pump(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
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
        } else {
            self.change_ordering();
        }
        let mut paced_until = None;
        if self.may_start() {
            paced_until = self.start_attempts(now, effects);
            if let Some((generation, query)) = self.catch_up.next_load(&mut self.window, now, self.ordering) {
                effects.push(Effect::Load { generation, query });
            }
            if self.recovers() {
                self.recover(now, effects);
            }
        }
        self.window.drop_large();
        self.hurry(effects);
        self.set_timer(paced_until, effects);
    }

    /// Starts what is ready; answers when the next may start when it is the pace that holds it back.
    fn start_attempts(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> Option<Timestamp> {
        while self.window.in_flight() < self.config.max_in_flight && self.window.has_ready() {
            let closed_until = self.pace.closed_until(now, self.config.courtesy.max_per_second);
            if closed_until.is_some() {
                return closed_until;
            }
            let next = self.window.start_next()?;
            self.started(now);
            effects.push(Effect::Attempt {
                next,
                standing: self.doubt.standing(now),
            });
        }
        None
    }

    fn set_timer(&mut self, paced_until: Option<Timestamp>, effects: &mut Vec<Effect>) {
        let (mut load_at, mut recover_at) = (None, None);
        if self.may_start() {
            load_at = self.catch_up.wake_at();
            recover_at = self.recoveries.wake_at().filter(|_| self.recovers());
        }
        let wanted = [self.window.next_due(), load_at, recover_at, paced_until];
        // What waits for its media is woken by its commit.
        let Some(at) = wanted.into_iter().flatten().filter(|at| *at < AWAITS_MEDIA).min() else {
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

    pub(super) fn recovers(&self) -> bool {
        self.config.courtesy.recovery == Recovery::Auto
    }

    pub(super) fn may_start(&self) -> bool {
        self.config.is_active && !self.gone && !self.closing && self.ordering == self.config.courtesy.ordering
    }

    pub(super) fn started(&mut self, now: Timestamp) {
        self.pace.started(now, self.config.courtesy.max_per_second);
        self.doubt.started(now);
    }
}

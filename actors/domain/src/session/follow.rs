//! One link after another: how a link ends, and what follows when it is gone.

use std::time::Duration;

use super::{Parting, Phase, ReasonCode, Session, SessionEffect, Step, Then};
use crate::{ConnectionStatus, Timestamp};

impl Session {
    pub(super) fn has_link(&self) -> bool {
        matches!(
            self.phase,
            Phase::Opening | Phase::AwaitingScan | Phase::AwaitingPasskey | Phase::Connected | Phase::Unlinking
        )
    }

    /// Ends the link, if there is one, and the keys if told so; `then` follows.
    pub(super) fn end(&mut self, then: Then, parting: Parting, step: &mut Step) {
        if self.has_link() || parting != Parting::Keep {
            self.close(then, parting, step);
        } else if matches!(self.phase, Phase::Closing(_)) {
            self.phase = Phase::Closing(then);
        } else {
            self.follow(then, step);
        }
    }

    pub(super) fn close(&mut self, then: Then, parting: Parting, step: &mut Step) {
        if !self.has_link() {
            // For the keys, or for what a predecessor left. A round under way goes first: they run one after another.
            self.link_generation += 1;
        }
        self.phase = Phase::Closing(then);
        let generation = self.link_generation;
        step.effects.push(SessionEffect::CloseLink { generation, parting });
    }

    pub(super) fn on_gone(&mut self, step: &mut Step) {
        if let Phase::Closing(then) = self.phase {
            self.follow(then, step);
        }
    }

    /// There is no link; on to what follows.
    pub(super) fn follow(&mut self, then: Then, step: &mut Step) {
        match then {
            Then::Rest => self.phase = Phase::Resting,
            Then::Reopen(after) => self.pause(Phase::Pausing, after, step),
            Then::Unlink => self.pause(Phase::PausingToUnlink, Duration::ZERO, step),
            Then::Finish | Then::Stop => {
                self.phase = Phase::Over;
                step.effects.push(SessionEffect::Finished {
                    deleted: then == Then::Finish,
                });
            }
        }
    }

    /// A link is opened at the next turn `after` now.
    fn pause(&mut self, phase: Phase, after: Duration, step: &mut Step) {
        self.phase = phase;
        self.view.retry_at = Some(step.now + after);
        self.timer_generation += 1;
        step.effects.push(SessionEffect::TakeTurn {
            after,
            generation: self.timer_generation,
        });
    }

    pub(super) fn open(&mut self, phase: Phase, until: Timestamp, step: &mut Step) {
        if phase == Phase::Opening && self.view.status != ConnectionStatus::Connecting {
            // What it was refused for is not known to hold any more.
            self.view.status = ConnectionStatus::Connecting;
            self.view.reason_code = ReasonCode::Starting;
        }
        self.phase = phase;
        self.view.retry_at = None;
        self.renew = false;
        self.link_generation += 1;
        step.effects.push(SessionEffect::OpenLink {
            generation: self.link_generation,
        });
        self.set_timer(until, step);
    }
}

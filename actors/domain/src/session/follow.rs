//! One link after another: how a link ends, and what follows when it is gone.

use std::time::Duration;

use super::{Parting, Phase, ReasonCode, Session, SessionEffect, Then};
use crate::{ConnectionStatus, Timestamp};

impl Session {
    pub(super) fn has_link(&self) -> bool {
        matches!(
            self.phase,
            Phase::Opening | Phase::AwaitingScan | Phase::AwaitingPasskey | Phase::Connected | Phase::Unlinking
        )
    }

    /// Ends the link, if there is one, and the keys if told so; `then` follows.
    pub(super) fn end(&mut self, now: Timestamp, then: Then, parting: Parting, effects: &mut Vec<SessionEffect>) {
        if self.has_link() || parting != Parting::Keep {
            self.close(then, parting, effects);
        } else if matches!(self.phase, Phase::Closing(_)) {
            self.phase = Phase::Closing(then);
        } else {
            self.follow(now, then, effects);
        }
    }

    pub(super) fn close(&mut self, then: Then, parting: Parting, effects: &mut Vec<SessionEffect>) {
        if !self.has_link() {
            // For the keys, or for what a predecessor left. A round under way goes first: they run one after another.
            self.link_generation += 1;
        }
        self.phase = Phase::Closing(then);
        let generation = self.link_generation;
        effects.push(SessionEffect::CloseLink { generation, parting });
    }

    pub(super) fn on_gone(&mut self, now: Timestamp, effects: &mut Vec<SessionEffect>) {
        if let Phase::Closing(then) = self.phase {
            self.follow(now, then, effects);
        }
    }

    /// There is no link; on to what follows.
    pub(super) fn follow(&mut self, now: Timestamp, then: Then, effects: &mut Vec<SessionEffect>) {
        match then {
            Then::Rest => self.phase = Phase::Resting,
            Then::Reopen(after) => self.pause(Phase::Pausing, now, after, effects),
            Then::Unlink => self.pause(Phase::PausingToUnlink, now, Duration::ZERO, effects),
            Then::Finish | Then::Stop => {
                self.phase = Phase::Over;
                effects.push(SessionEffect::Finished {
                    deleted: then == Then::Finish,
                });
            }
        }
    }

    /// A link is opened at the next turn `after` now.
    fn pause(&mut self, phase: Phase, now: Timestamp, after: Duration, effects: &mut Vec<SessionEffect>) {
        self.phase = phase;
        self.view.retry_at = Some(now + after);
        self.timer_generation += 1;
        effects.push(SessionEffect::TakeTurn {
            after,
            generation: self.timer_generation,
        });
    }

    pub(super) fn open(&mut self, phase: Phase, until: Timestamp, effects: &mut Vec<SessionEffect>) {
        if phase == Phase::Opening && self.view.status != ConnectionStatus::Connecting {
            // What it was refused for is not known to hold any more.
            self.view.status = ConnectionStatus::Connecting;
            self.view.reason_code = ReasonCode::Starting;
        }
        self.phase = phase;
        self.view.retry_at = None;
        self.renew = false;
        self.link_generation += 1;
        effects.push(SessionEffect::OpenLink {
            generation: self.link_generation,
        });
        self.set_timer(until, effects);
    }
}

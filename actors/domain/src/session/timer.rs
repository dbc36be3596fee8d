//! What the machine makes of time: silence, and attempts and codes that are over.

use super::*;

impl Session {
    pub(super) fn on_silence(&mut self, silent_for: Option<Duration>, step: &mut Step) {
        if self.phase != Phase::Connected {
            return;
        }
        if let Some(silent_for) = silent_for.filter(|silent_for| *silent_for > self.patience.silence) {
            let words = format!("WhatsApp was silent for {} s", silent_for.as_secs());
            self.retry(ReasonCode::Silent, words, step);
        }
    }

    pub(super) fn on_timer(&mut self, step: &mut Step) {
        match self.phase {
            Phase::Pausing => self.open(Phase::Opening, step.now + self.patience.opening, step),
            Phase::PausingToUnlink => self.open(Phase::Unlinking, step.now + UNLINK_AFTER, step),
            Phase::Opening => {
                let words = "WhatsApp did not answer in time".to_owned();
                self.retry(ReasonCode::NoAnswer, words, step);
            }
            // Nobody entered the last code either; WhatsApp sends no new ones on this link.
            Phase::AwaitingScan if self.view.pair_code.is_some() => {
                self.on_link(LinkEvent::Closed(CloseReason::QrExpired), step);
            }
            Phase::AwaitingScan => {
                let words = "WhatsApp stopped renewing the QR code".to_owned();
                self.retry(ReasonCode::NoAnswer, words, step);
            }
            Phase::AwaitingPasskey => self.on_no_passkey(step),
            // It may be logged in without saying so yet.
            Phase::Unlinking => self.log_out(step),
            Phase::Connected => {
                step.effects.push(SessionEffect::CheckSilence {
                    generation: self.link_generation,
                });
                self.set_timer(step.now + SILENCE_CHECK, step);
            }
            Phase::Resting | Phase::Closing(_) | Phase::Over => {}
        }
    }
}

//! What the machine makes of time: silence, and attempts and codes that are over.

use super::*;

impl Session {
    pub(super) fn on_silence(
        &mut self,
        now: Timestamp,
        jitter: f64,
        silent_for: Option<Duration>,
        effects: &mut Vec<SessionEffect>,
    ) {
        if self.phase != Phase::Connected {
            return;
        }
        if let Some(silent_for) = silent_for.filter(|silent_for| *silent_for > self.patience.silence) {
            self.retry(
                now,
                jitter,
                ReasonCode::Silent,
                format!("WhatsApp was silent for {} s", silent_for.as_secs()),
                effects,
            );
        }
    }

    pub(super) fn on_timer(&mut self, now: Timestamp, jitter: f64, effects: &mut Vec<SessionEffect>) {
        match self.phase {
            Phase::Pausing => self.open(Phase::Opening, now + self.patience.opening, effects),
            Phase::PausingToUnlink => self.open(Phase::Unlinking, now + UNLINK_AFTER, effects),
            Phase::Opening => {
                let words = "WhatsApp did not answer in time".to_owned();
                self.retry(now, jitter, ReasonCode::NoAnswer, words, effects);
            }
            // Nobody entered the last code either; WhatsApp sends no new ones on this link.
            Phase::AwaitingScan if self.view.pair_code.is_some() => {
                self.on_link(now, jitter, LinkEvent::Closed(CloseReason::QrExpired), effects);
            }
            Phase::AwaitingScan => {
                let words = "WhatsApp stopped renewing the QR code".to_owned();
                self.retry(now, jitter, ReasonCode::NoAnswer, words, effects);
            }
            Phase::AwaitingPasskey => self.on_no_passkey(now, effects),
            // It may be logged in without saying so yet.
            Phase::Unlinking => self.end(now, Then::Finish, Parting::LogOut, effects),
            Phase::Connected => {
                effects.push(SessionEffect::CheckSilence {
                    generation: self.link_generation,
                });
                self.set_timer(now + SILENCE_CHECK, effects);
            }
            Phase::Resting | Phase::Closing(_) | Phase::Over => {}
        }
    }
}

//! What the machine does about a temporary ban.

use super::*;

/// The longest ban that is believed, lest a wrong clock keep a number off for years.
const LONGEST_BAN: Duration = Duration::from_hours(30 * 24);
/// Where the back-off starts after the end of a ban (4 to 8 s).
const BANNED_LEVEL: u32 = 3;

impl Session {
    /// Nothing before its end. The end may have passed already: then the back-off alone.
    pub(super) fn on_temporary_ban(&mut self, detail: &str, until: Timestamp, step: &mut Step) {
        self.view.banned_until = Some(until);
        let after = self.ban_left(step.now) + self.back_off(BANNED_LEVEL, step);
        let words = format!("banned by WhatsApp until {until}: {detail}");
        self.show(ConnectionStatus::Failed, ReasonCode::TemporarilyBanned, Some(words));
        self.reopen(after, step);
    }

    /// An attempt during a ban may prolong it: the number is connected when it ends.
    pub(super) fn on_connect_while_banned(&mut self, step: &mut Step) {
        if self.view.wanted {
            return;
        }
        self.view.wanted = true;
        self.show_ban();
        let after = self.after_ban(step);
        self.end(Then::Reopen(after), Parting::Keep, step);
    }

    /// A ban that goes on; what WhatsApp said of it stays.
    pub(super) fn show_ban(&mut self) {
        let until = self.view.banned_until.unwrap_or_default();
        let said = self
            .view
            .reason
            .take()
            .filter(|_| self.view.reason_code == ReasonCode::TemporarilyBanned);
        let words = said.unwrap_or_else(|| format!("banned by WhatsApp until {until}"));
        self.show(ConnectionStatus::Failed, ReasonCode::TemporarilyBanned, Some(words));
    }

    /// How long a ban still lasts.
    pub(super) fn ban_left(&self, now: Timestamp) -> Duration {
        let left = self.view.banned_until.map(|until| until.since(now));
        left.unwrap_or_default().min(LONGEST_BAN)
    }

    /// How long to wait for the end of a ban, and behind it for as long as after one that was just heard of. Zero without a ban.
    pub(super) fn after_ban(&self, step: &Step) -> Duration {
        match self.ban_left(step.now) {
            Duration::ZERO => Duration::ZERO,
            left => left + backoff::wait(BANNED_LEVEL, step.jitter),
        }
    }
}

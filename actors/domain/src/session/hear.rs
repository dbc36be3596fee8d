//! What the machine makes of what its link reports.

use super::*;

/// What a person has to do when WhatsApp wants a passkey.
const PASSKEY: &str = "WhatsApp asks this account for its passkey before it links a device, and only WhatsApp's own apps \
                       can give it: remove the passkey on the phone (Settings, Account, Passkeys), link again with \
                       connect, and create it anew afterwards";

impl Session {
    pub(super) fn on_link(&mut self, event: LinkEvent, step: &mut Step) {
        if !self.has_link() {
            return;
        }
        self.view.last_event_at = Some(step.now);
        if let LinkEvent::Named { push_name } = event {
            // Before the login it is the word of a link that may be another account's; `Connected` brings it again.
            if self.phase == Phase::Connected {
                self.view.push_name = Some(push_name);
            }
            return;
        }
        if self.phase == Phase::Unlinking {
            // Said by the inbox, of messages that a link brings before it says that it is logged in.
            let is_full = matches!(event, LinkEvent::Closed(CloseReason::QueueFull(_)));
            if let LinkEvent::Closed(reason) = &event
                && !is_full
                && keeps_device(reason)
            {
                self.stays_linked(format!("{reason:?}"), step);
            }
            // A QR code means that there is nothing to log out of any more.
            let log_out = is_full || matches!(event, LinkEvent::Paired { .. } | LinkEvent::Connected { .. });
            let parting = if log_out { Parting::LogOut } else { Parting::Forget };
            return self.end(Then::Finish, parting, step);
        }
        match event {
            LinkEvent::Qr { code, expires_at } => self.on_qr(code, expires_at, step),
            LinkEvent::PairCode { code, expires_at } => self.on_pair_code(code, expires_at, step),
            LinkEvent::PasskeyNeeded => self.on_passkey_needed(step),
            LinkEvent::Paired { jid, phone_number } => self.on_paired(jid, &phone_number, step),
            LinkEvent::Connected { jid, push_name } => self.on_connected(jid, push_name, step),
            // Above.
            LinkEvent::Named { .. } => {}
            // Whatever the server says when its patience ends: the passkey is why.
            LinkEvent::Closed(_) if self.phase == Phase::AwaitingPasskey => self.on_no_passkey(step),
            LinkEvent::Closed(reason) => self.on_closed(reason, step),
        }
    }

    pub(super) fn on_open_failed(&mut self, detail: String, step: &mut Step) {
        match self.phase {
            Phase::Unlinking => {
                self.stays_linked(detail, step);
                self.end(Then::Finish, Parting::Forget, step);
            }
            Phase::Closing(Then::Finish) if std::mem::take(&mut self.leaves) => self.stays_linked(detail, step),
            _ if self.has_link() => self.retry(ReasonCode::OpenFailed, detail, step),
            _ => {}
        }
    }

    /// A deletion goes on although WhatsApp was not told: the phone lists the device until its owner removes it.
    pub(super) fn stays_linked(&self, why: String, step: &mut Step) {
        step.effects.push(SessionEffect::StaysLinked { why });
    }

    fn on_qr(&mut self, code: String, expires_at: Timestamp, step: &mut Step) {
        let pair_code = self.view.pair_code.take();
        self.phase = Phase::AwaitingScan;
        self.show(ConnectionStatus::AwaitingScan, ReasonCode::WaitingForPhone, None);
        // Without keys there is no device, whatever the row says, and no ban of it.
        (self.view.jid, self.view.push_name, self.view.banned_until) = (None, None, None);
        (self.view.qr, self.view.pair_code) = (Some((code, expires_at)), pair_code);
        self.watch_codes(step);
    }

    fn on_pair_code(&mut self, code: String, expires_at: Timestamp, step: &mut Step) {
        // A device that is linked shows no code; whoever asked for it was late.
        if self.phase == Phase::AwaitingScan {
            self.view.pair_code = Some((code, expires_at));
            self.watch_codes(step);
        }
    }

    /// The link is taken for dead when the last of its codes has been over for a while.
    fn watch_codes(&mut self, step: &mut Step) {
        let ends = [&self.view.qr, &self.view.pair_code];
        let last = ends.into_iter().flatten().map(|(_, expires_at)| *expires_at).max();
        if let Some(last) = last {
            self.set_timer(last + QR_GRACE, step);
        }
    }

    fn on_passkey_needed(&mut self, step: &mut Step) {
        // Only a device that is not linked yet is asked for one.
        if matches!(self.phase, Phase::Opening | Phase::AwaitingScan) && self.view.jid.is_none() {
            self.phase = Phase::AwaitingPasskey;
            let words = Some(PASSKEY.to_owned());
            self.show(ConnectionStatus::AwaitingPasskey, ReasonCode::PasskeyRequired, words);
            self.set_timer(step.now + PASSKEY_LIMIT, step);
        }
    }

    pub(super) fn on_no_passkey(&mut self, step: &mut Step) {
        let words = format!("pairing failed: {PASSKEY}");
        self.rest(ConnectionStatus::Failed, ReasonCode::PasskeyRequired, Some(words));
        self.end(Then::Rest, Parting::Forget, step);
    }

    fn on_paired(&mut self, jid: String, scanned_by: &str, step: &mut Step) {
        if !self.phone_number.is_account(scanned_by) {
            return self.on_wrong_number(step);
        }
        self.phase = Phase::Opening;
        self.show(ConnectionStatus::Connecting, ReasonCode::Paired, None);
        self.view.jid = Some(jid);
        self.set_timer(step.now + self.patience.opening, step);
    }

    fn on_wrong_number(&mut self, step: &mut Step) {
        (self.view.jid, self.view.push_name) = (None, None);
        let words = Some("wrong number".to_owned());
        self.rest(ConnectionStatus::Failed, ReasonCode::WrongNumber, words);
        self.end(Then::Rest, Parting::LogOut, step);
    }

    fn on_connected(&mut self, jid: String, push_name: Option<String>, step: &mut Step) {
        // A device that is not the row's: the program ended between its scan and the check of its number.
        let number = jid.split(['.', ':', '@']).next().unwrap_or_default();
        let known = number.is_empty() || self.view.jid.as_ref() == Some(&jid);
        if !known && !self.phone_number.is_account(number) {
            return self.on_wrong_number(step);
        }
        let since = self.view.connected_since.unwrap_or(step.now);
        self.phase = Phase::Connected;
        self.show(ConnectionStatus::Connected, ReasonCode::Online, None);
        self.view.jid = Some(jid);
        self.view.push_name = push_name.or(self.view.push_name.take());
        self.view.connected_since = Some(since);
        (self.view.reconnect_attempts, self.view.banned_until, self.turned_down) = (0, None, 0);
        self.set_timer(step.now + SILENCE_CHECK, step);
        if self.renew {
            self.show(ConnectionStatus::Connecting, ReasonCode::Starting, None);
            self.reopen(Duration::ZERO, step);
        }
    }

    fn on_closed(&mut self, reason: CloseReason, step: &mut Step) {
        use ConnectionStatus::{Connecting, Failed, LoggedOut};
        let (status, code, words, parting) = match reason {
            CloseReason::Requested => {
                let words = "the link was closed".to_owned();
                return self.retry(ReasonCode::LinkLost, words, step);
            }
            CloseReason::Lost(detail) => return self.retry(ReasonCode::LinkLost, detail, step),
            CloseReason::Incomplete(detail) => {
                // It is none that was steady.
                self.view.connected_since = None;
                return self.retry(ReasonCode::LinkLost, detail, step);
            }
            CloseReason::ProxyFailed(detail) => {
                return self.retry(ReasonCode::ProxyFailed, detail, step);
            }
            CloseReason::QueueFull(detail) => return self.retry(ReasonCode::QueueFull, detail, step),
            CloseReason::Refused(detail) => {
                let after = self.back_off(REFUSED_LEVEL, step);
                self.show(Connecting, ReasonCode::Refused, Some(detail));
                return self.reopen(after, step);
            }
            CloseReason::Unwanted(detail) => {
                return self.on_turned_down(ReasonCode::Refused, detail, backoff::unwanted, step);
            }
            CloseReason::Outdated => {
                // The next attempt looks the version up anew.
                let words = "WhatsApp does not accept this version of the client any more; update Wharf".to_owned();
                return self.on_turned_down(ReasonCode::Outdated, words, backoff::outdated, step);
            }
            CloseReason::Banned {
                detail,
                until: Some(until),
            } => return self.on_temporary_ban(&detail, until, step),
            CloseReason::Banned { detail, until: None } => {
                let words = format!("banned by WhatsApp: {detail}");
                (Failed, ReasonCode::Banned, words, Parting::Keep)
            }
            CloseReason::Replaced => {
                let words = "replaced: another program connected with this device's keys".to_owned();
                (Failed, ReasonCode::Conflict, words, Parting::Keep)
            }
            CloseReason::QrExpired => {
                let words = "no phone scanned the QR code in time; connect shows a new one".to_owned();
                (Failed, ReasonCode::QrExpired, words, Parting::Forget)
            }
            CloseReason::PairingFailed(detail) => {
                let words = format!("pairing failed: {detail}");
                (Failed, ReasonCode::PairingFailed, words, Parting::Forget)
            }
            CloseReason::LoggedOut(detail) => (LoggedOut, ReasonCode::Unlinked, detail, Parting::Forget),
            CloseReason::AccountLocked(detail) => (LoggedOut, ReasonCode::AccountLocked, detail, Parting::Forget),
        };
        if parting != Parting::Keep {
            (self.view.jid, self.view.push_name, self.view.banned_until) = (None, None, None);
        }
        self.rest(status, code, Some(words));
        self.end(Then::Rest, parting, step);
    }

    /// Each attempt that is turned down as well is followed by a longer pause.
    fn on_turned_down(&mut self, code: ReasonCode, words: String, pause: fn(u32, f64) -> Duration, step: &mut Step) {
        self.back_off(0, step);
        self.turned_down = self.turned_down.saturating_add(1);
        let after = pause(self.turned_down, step.jitter);
        self.show(ConnectionStatus::Failed, code, Some(words));
        self.reopen(after, step);
    }
}

/// Whether WhatsApp may know the device still whose link ended so.
fn keeps_device(reason: &CloseReason) -> bool {
    use CloseReason::{AccountLocked, LoggedOut, PairingFailed, QrExpired};
    !matches!(reason, LoggedOut(_) | AccountLocked(_) | PairingFailed(_) | QrExpired)
}

//! What the machine makes of what its link reports.

use super::*;

impl Session {
    pub(super) fn on_link(&mut self, now: Timestamp, jitter: f64, event: LinkEvent, effects: &mut Vec<SessionEffect>) {
        if !self.has_link() {
            return;
        }
        self.view.last_event_at = Some(now);
        if self.phase == Phase::Unlinking {
            // A QR code means that there is nothing to log out of any more.
            let log_out = matches!(event, LinkEvent::Paired { .. } | LinkEvent::Connected { .. });
            return self.end(now, Then::Finish, log_out, true, effects);
        }
        match event {
            LinkEvent::Qr { code, expires_at } => self.on_qr(code, expires_at, effects),
            LinkEvent::Paired { jid, phone_number } => self.on_paired(now, jid, &phone_number, effects),
            LinkEvent::Connected { jid, push_name } => self.on_connected(now, jid, push_name, effects),
            LinkEvent::Closed(reason) => self.on_closed(now, jitter, reason, effects),
        }
    }

    fn on_qr(&mut self, code: String, expires_at: Timestamp, effects: &mut Vec<SessionEffect>) {
        self.phase = Phase::AwaitingScan;
        self.show(ConnectionStatus::AwaitingScan, None);
        self.view.qr = Some((code, expires_at));
        // Without keys there is no device, whatever the row says.
        (self.view.jid, self.view.push_name) = (None, None);
        self.set_timer(expires_at + QR_GRACE, effects);
    }

    fn on_paired(&mut self, now: Timestamp, jid: String, scanned_by: &str, effects: &mut Vec<SessionEffect>) {
        if !self.phone_number.is_account(scanned_by) {
            return self.on_wrong_number(now, effects);
        }
        self.phase = Phase::Opening;
        self.show(ConnectionStatus::Connecting, None);
        self.view.jid = Some(jid);
        self.set_timer(now + OPENING_LIMIT, effects);
    }

    fn on_wrong_number(&mut self, now: Timestamp, effects: &mut Vec<SessionEffect>) {
        (self.view.jid, self.view.push_name) = (None, None);
        self.rest(ConnectionStatus::Failed, Some("wrong number".to_owned()));
        self.end(now, Then::Rest, true, true, effects);
    }

    fn on_connected(
        &mut self,
        now: Timestamp,
        jid: String,
        push_name: Option<String>,
        effects: &mut Vec<SessionEffect>,
    ) {
        // A device that is not the row's: the program ended between its scan and the check of its number.
        let number = jid.split(['.', ':', '@']).next().unwrap_or_default();
        let known = number.is_empty() || self.view.jid.as_ref() == Some(&jid);
        if !known && !self.phone_number.is_account(number) {
            return self.on_wrong_number(now, effects);
        }
        let since = self.view.connected_since.unwrap_or(now);
        self.phase = Phase::Connected;
        self.show(ConnectionStatus::Connected, None);
        self.view.jid = Some(jid);
        self.view.push_name = push_name.or(self.view.push_name.take());
        self.view.connected_since = Some(since);
        self.view.reconnect_attempts = 0;
        self.set_timer(now + SILENCE_CHECK, effects);
    }

    fn on_closed(&mut self, now: Timestamp, jitter: f64, reason: CloseReason, effects: &mut Vec<SessionEffect>) {
        use ConnectionStatus::{Connecting, Failed, LoggedOut};
        let (status, words, forget) = match reason {
            CloseReason::Requested => return self.retry(now, jitter, "the link was closed".to_owned(), effects),
            CloseReason::Lost(detail) => return self.retry(now, jitter, detail, effects),
            CloseReason::Refused(detail) => {
                let after = self.back_off(now, jitter, REFUSED_LEVEL);
                return self.reopen(now, Connecting, detail, after, effects);
            }
            CloseReason::Outdated => {
                let after = OUTDATED_PAUSE + self.back_off(now, jitter, 0);
                let words = "WhatsApp does not accept this version of the client any more; update Wharf".to_owned();
                return self.reopen(now, Failed, words, after, effects);
            }
            CloseReason::Banned {
                detail,
                until: Some(until),
            } => {
                // The end may have passed already: then the back-off alone.
                let after = until
                    .since(now)
                    .saturating_add(self.back_off(now, jitter, BANNED_LEVEL));
                let words = format!("banned by WhatsApp until {until}: {detail}");
                return self.reopen(now, Failed, words, after, effects);
            }
            CloseReason::Banned { detail, until: None } => (Failed, format!("banned by WhatsApp: {detail}"), false),
            CloseReason::Replaced => (
                Failed,
                "replaced: another program connected with this device's keys".to_owned(),
                false,
            ),
            CloseReason::QrExpired => (
                Failed,
                "no phone scanned the QR code in time; connect shows a new one".to_owned(),
                true,
            ),
            CloseReason::PairingFailed(detail) => (Failed, format!("pairing failed: {detail}"), true),
            CloseReason::LoggedOut(detail) => (LoggedOut, detail, true),
        };
        if forget {
            (self.view.jid, self.view.push_name) = (None, None);
        }
        self.rest(status, Some(words));
        self.end(now, Then::Rest, false, forget, effects);
    }
}

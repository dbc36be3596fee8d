//! The session of one number, as a machine: [`Session::step`] takes what happened and answers what to do.
//!
//! One link at a time: a new one is opened only after the one before has reported that all of it has ended, because
//! two clients on one set of keys destroy each other's. Reconnecting has one owner, this machine. Logged out, replaced,
//! banned and the like are states with a reason, never failures of the actor.

mod backoff;
mod link;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::{ConnectionStatus, PhoneNumber, Timestamp};

pub use link::{CloseReason, LinkEvent};

/// How often a connected link is asked when it last heard something.
const SILENCE_CHECK: Duration = Duration::from_secs(5);
/// Silence after which a link is taken for dead. A healthy idle link can be silent for 44 s (whatsapp-rust pings 17 to
/// 27 s after a tick, and skips one tick after traffic); CONTRACT.md section 7 wants a stall noticed within 60 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(50);
/// How long a link may take from opening to a QR code or a login, and from a scan to a login.
const OPENING_LIMIT: Duration = Duration::from_secs(45);
/// How long a QR code may outlive its own end before the link is taken for dead.
const QR_GRACE: Duration = Duration::from_secs(60);
/// How long a deletion waits for a closed link to log in, in order to log out.
const UNLINK_LIMIT: Duration = Duration::from_secs(12);
/// The pause before a client that WhatsApp calls outdated tries again: a newer program may be running by then.
const OUTDATED_PAUSE: Duration = Duration::from_secs(3600);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// The client wants the number connected.
    Connect,
    /// The client wants it disconnected; the pairing stays.
    Disconnect,
    /// The client wants it gone, at WhatsApp too.
    Delete,
    /// Messages were left unacknowledged because the store took no writes, and it takes them again: WhatsApp sends
    /// them again to a new link.
    Refetch,
    /// The program stops: close the link, change no row.
    Shutdown,
    /// Something happened on the link of this generation.
    Link {
        /// Which link.
        generation: u64,
        /// What.
        event: LinkEvent,
    },
    /// A link could not be built.
    OpenFailed {
        /// Which link.
        generation: u64,
        /// Why.
        detail: String,
    },
    /// All of a link has ended, and its keys are forgotten if that was asked for.
    LinkGone {
        /// Which link.
        generation: u64,
    },
    /// How long a link has heard nothing.
    Silence {
        /// Which link.
        generation: u64,
        /// `None`: not logged in.
        silent_for: Option<Duration>,
    },
    /// The timer of this generation fired.
    TimerFired {
        /// The generation of its [`SessionEffect::SetTimer`].
        generation: u64,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEffect {
    /// Open a link; what happens on it is reported with this generation.
    OpenLink {
        /// The new link's.
        generation: u64,
    },
    /// End the link and report [`SessionEvent::LinkGone`]. Also when there is no link, for the keys' sake.
    CloseLink {
        /// The link's.
        generation: u64,
        /// Unlink the device at WhatsApp first.
        log_out: bool,
        /// Forget the keys afterwards.
        forget: bool,
    },
    /// Ask the link for its silence and report [`SessionEvent::Silence`].
    CheckSilence {
        /// The link's.
        generation: u64,
    },
    /// Set the one timer, in place of any other.
    SetTimer {
        /// When.
        at: Timestamp,
        /// To be given back when it fires.
        generation: u64,
    },
    /// Write the state to its row.
    Save,
    /// The machine has ended: deleted, or shut down.
    Finished,
}

/// What is seen of a session from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Where it stands.
    pub status: ConnectionStatus,
    /// Why, when there is something to say.
    pub reason: Option<String>,
    /// The linked device.
    pub jid: Option<String>,
    /// The account's display name.
    pub push_name: Option<String>,
    /// Since when it is connected.
    pub connected_since: Option<Timestamp>,
    /// When the link last reported something.
    pub last_event_at: Option<Timestamp>,
    /// Failed attempts since it was last connected.
    pub reconnect_attempts: u32,
    /// Whether it shall be running.
    pub wanted: bool,
    /// The QR code to scan and its end.
    pub qr: Option<(String, Timestamp)>,
}

/// What follows when the link that is being closed has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Stay closed.
    Rest,
    /// Open a new one at this time.
    Reopen(Timestamp),
    /// Open a new one in order to log out.
    Unlink,
    /// The machine has ended.
    Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No link, none wanted.
    Resting,
    /// No link, one at this time.
    Pausing(Timestamp),
    /// A link is on its way to a QR code or a login.
    Opening,
    /// A QR code is shown.
    AwaitingScan,
    /// Logged in.
    Connected,
    /// Opened only to log out.
    Unlinking,
    /// A link is being closed.
    Closing(Then),
    /// Nothing will happen any more.
    Over,
}

/// The machine of one number.
#[derive(Debug)]
pub struct Session {
    phone_number: PhoneNumber,
    phase: Phase,
    view: SessionView,
    /// How many reconnects in a row did not lead to a lasting connection.
    unsteady: u32,
    link_generation: u64,
    timer_generation: u64,
}

impl Session {
    /// A machine from a row: `view` is what the row says. Follow with [`Session::start`].
    pub fn new(phone_number: PhoneNumber, view: SessionView) -> Self {
        Self { phone_number, phase: Phase::Resting, view, unsteady: 0, link_generation: 0, timer_generation: 0 }
    }

    /// What is seen from outside.
    pub fn view(&self) -> &SessionView {
        &self.view
    }

    /// Whether a deletion or a shutdown has been carried out.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The link that is logged in, if there is one.
    pub fn connected_link(&self) -> Option<u64> {
        (self.phase == Phase::Connected).then_some(self.link_generation)
    }

    /// The first effects: a wanted session connects at `at` (starts of many numbers are spread), others keep their state.
    pub fn start(&mut self, now: Timestamp, at: Timestamp) -> Vec<SessionEffect> {
        let mut effects = Vec::new();
        (self.view.connected_since, self.view.qr, self.view.reconnect_attempts) = (None, None, 0);
        if self.view.wanted {
            if matches!(self.view.status, ConnectionStatus::Connected | ConnectionStatus::AwaitingScan) {
                self.view.status = ConnectionStatus::Connecting;
            }
            self.pause(at.max(now), &mut effects);
        }
        effects
    }

    /// Takes what happened, answers what to do; `jitter` is 0.0 to 1.0. A stale report changes nothing.
    pub fn step(&mut self, now: Timestamp, jitter: f64, event: SessionEvent) -> Vec<SessionEffect> {
        let mut effects = Vec::new();
        let before = self.view.clone();
        match event {
            _ if self.phase == Phase::Over => {}
            SessionEvent::Connect => self.on_connect(now, &mut effects),
            SessionEvent::Disconnect => self.on_disconnect(&mut effects),
            SessionEvent::Delete => self.on_delete(now, &mut effects),
            SessionEvent::Refetch if self.phase == Phase::Connected => {
                self.view.status = ConnectionStatus::Connecting;
                self.view.reason = Some("fetching messages that could not be stored before".to_owned());
                self.reopen_at(now, &mut effects);
            }
            SessionEvent::Refetch => {}
            SessionEvent::Shutdown => {
                self.end(Then::Finish, false, false, &mut effects);
                return effects;
            }
            SessionEvent::Link { generation, event } if generation == self.link_generation => {
                self.on_link(now, jitter, event, &mut effects);
            }
            SessionEvent::OpenFailed { generation, detail } if generation == self.link_generation => {
                self.on_link(now, jitter, LinkEvent::Closed(CloseReason::Lost(detail)), &mut effects);
            }
            SessionEvent::LinkGone { generation } if generation == self.link_generation => self.on_gone(now, &mut effects),
            SessionEvent::Silence { generation, silent_for } if generation == self.link_generation => {
                self.on_silence(now, jitter, silent_for, &mut effects);
            }
            SessionEvent::TimerFired { generation } if generation == self.timer_generation => {
                self.on_timer(now, jitter, &mut effects);
            }
            _stale => {}
        }
        if differs(&before, &self.view) {
            effects.push(SessionEffect::Save);
        }
        effects
    }

    fn on_connect(&mut self, now: Timestamp, effects: &mut Vec<SessionEffect>) {
        match self.phase {
            Phase::Resting | Phase::Pausing(_) => {
                self.want(ConnectionStatus::Connecting);
                self.unsteady = 0;
                self.open(now, Phase::Opening, effects);
            }
            Phase::Closing(Then::Rest | Then::Reopen(_)) => {
                self.want(ConnectionStatus::Connecting);
                self.phase = Phase::Closing(Then::Reopen(now));
            }
            _under_way_or_ending => {}
        }
    }

    fn on_disconnect(&mut self, effects: &mut Vec<SessionEffect>) {
        if matches!(self.phase, Phase::Unlinking | Phase::Closing(Then::Unlink | Then::Finish)) {
            return;
        }
        let logged_out = self.phase == Phase::Resting && self.view.status == ConnectionStatus::LoggedOut;
        if !logged_out {
            self.rest(ConnectionStatus::Disconnected, None);
        }
        self.end(Then::Rest, false, false, effects);
    }

    fn on_delete(&mut self, now: Timestamp, effects: &mut Vec<SessionEffect>) {
        match self.phase {
            // Paired but not connected: log in once more in order to log out.
            Phase::Resting | Phase::Pausing(_) if self.view.jid.is_some() => self.unlink(now, effects),
            Phase::Closing(Then::Rest | Then::Reopen(_)) if self.view.jid.is_some() => {
                self.phase = Phase::Closing(Then::Unlink);
            }
            Phase::Unlinking | Phase::Closing(Then::Unlink | Then::Finish) => {}
            _ => self.end(Then::Finish, self.view.jid.is_some(), true, effects),
        }
    }

    fn on_link(&mut self, now: Timestamp, jitter: f64, event: LinkEvent, effects: &mut Vec<SessionEffect>) {
        if matches!(self.phase, Phase::Resting | Phase::Pausing(_) | Phase::Closing(_) | Phase::Over) {
            return;
        }
        self.view.last_event_at = Some(now);
        match event {
            LinkEvent::Qr { code, expires_at } => self.on_qr(code, expires_at, effects),
            LinkEvent::Paired { jid, phone_number } => self.on_paired(now, jid, &phone_number, effects),
            LinkEvent::Connected { jid, push_name } => self.on_connected(now, jid, push_name, effects),
            LinkEvent::Closed(_) if self.phase == Phase::Unlinking => self.end(Then::Finish, false, true, effects),
            LinkEvent::Closed(reason) => self.on_closed(now, jitter, reason, effects),
        }
    }

    fn on_qr(&mut self, code: String, expires_at: Timestamp, effects: &mut Vec<SessionEffect>) {
        if self.phase == Phase::Unlinking {
            // WhatsApp does not know this device any more: nothing to log out of.
            self.end(Then::Finish, false, true, effects);
            return;
        }
        self.phase = Phase::AwaitingScan;
        self.view.status = ConnectionStatus::AwaitingScan;
        self.view.reason = None;
        self.view.qr = Some((code, expires_at));
        self.set_timer(expires_at + QR_GRACE, effects);
    }

    fn on_paired(&mut self, now: Timestamp, jid: String, scanned_by: &str, effects: &mut Vec<SessionEffect>) {
        self.view.qr = None;
        if !self.phone_number.is_account(scanned_by) {
            self.rest(ConnectionStatus::Failed, Some("wrong number".to_owned()));
            self.end(Then::Rest, true, true, effects);
            return;
        }
        self.phase = Phase::Opening;
        self.view.status = ConnectionStatus::Connecting;
        self.view.reason = None;
        self.view.jid = Some(jid);
        self.set_timer(now + OPENING_LIMIT, effects);
    }

    fn on_connected(&mut self, now: Timestamp, jid: String, push_name: Option<String>, effects: &mut Vec<SessionEffect>) {
        if self.phase == Phase::Unlinking {
            self.end(Then::Finish, true, true, effects);
            return;
        }
        self.phase = Phase::Connected;
        self.view.status = ConnectionStatus::Connected;
        self.view.reason = None;
        self.view.qr = None;
        self.view.jid = Some(jid);
        self.view.push_name = push_name.or(self.view.push_name.take());
        self.view.connected_since = Some(now);
        self.view.reconnect_attempts = 0;
        self.set_timer(now + SILENCE_CHECK, effects);
    }

    fn on_closed(&mut self, now: Timestamp, jitter: f64, reason: CloseReason, effects: &mut Vec<SessionEffect>) {
        let fail = |reason: String| (ConnectionStatus::Failed, reason);
        let ((status, words), forget) = match reason {
            CloseReason::Requested => return self.retry(now, jitter, "the link was closed".to_owned(), 0, effects),
            CloseReason::Lost(detail) => return self.retry(now, jitter, detail, 0, effects),
            CloseReason::Refused(detail) => return self.retry(now, jitter, detail, 2, effects),
            CloseReason::Outdated => {
                self.view.status = ConnectionStatus::Failed;
                self.view.reason = Some("WhatsApp does not accept this version of the client any more; update Wharf".to_owned());
                return self.reopen_at(now + OUTDATED_PAUSE, effects);
            }
            CloseReason::Banned { detail, until: Some(until) } => {
                self.view.status = ConnectionStatus::Failed;
                self.view.reason = Some(format!("banned by WhatsApp until {until}: {detail}"));
                return self.reopen_at(until + backoff::wait(3, jitter), effects);
            }
            CloseReason::Banned { detail, until: None } => (fail(format!("banned by WhatsApp: {detail}")), false),
            CloseReason::Replaced => {
                (fail("replaced: another program connected with this device's keys".to_owned()), false)
            }
            CloseReason::QrExpired => (fail("no phone scanned the QR code in time; connect shows a new one".to_owned()), true),
            CloseReason::PairingFailed(detail) => (fail(format!("pairing failed: {detail}")), true),
            CloseReason::LoggedOut(detail) => ((ConnectionStatus::LoggedOut, detail), true),
        };
        if forget {
            self.view.jid = None;
        }
        self.rest(status, Some(words));
        self.end(Then::Rest, false, forget, effects);
    }

    fn on_gone(&mut self, now: Timestamp, effects: &mut Vec<SessionEffect>) {
        let Phase::Closing(then) = self.phase else { return };
        match then {
            Then::Rest => self.phase = Phase::Resting,
            Then::Reopen(at) if at <= now => self.open(now, Phase::Opening, effects),
            Then::Reopen(at) => self.pause(at, effects),
            Then::Unlink => self.unlink(now, effects),
            Then::Finish => {
                self.phase = Phase::Over;
                effects.push(SessionEffect::Finished);
            }
        }
    }

    fn on_silence(&mut self, now: Timestamp, jitter: f64, silent_for: Option<Duration>, effects: &mut Vec<SessionEffect>) {
        if self.phase != Phase::Connected {
            return;
        }
        if let Some(silent_for) = silent_for.filter(|silent_for| *silent_for > SILENCE_LIMIT) {
            self.retry(now, jitter, format!("WhatsApp was silent for {} s", silent_for.as_secs()), 0, effects);
        }
    }

    fn on_timer(&mut self, now: Timestamp, jitter: f64, effects: &mut Vec<SessionEffect>) {
        match self.phase {
            Phase::Pausing(at) if at <= now => self.open(now, Phase::Opening, effects),
            // The clock was set back.
            Phase::Pausing(at) => self.set_timer(at, effects),
            Phase::Opening => self.retry(now, jitter, "WhatsApp did not answer in time".to_owned(), 0, effects),
            Phase::AwaitingScan => self.retry(now, jitter, "WhatsApp stopped renewing the QR code".to_owned(), 0, effects),
            Phase::Unlinking => self.end(Then::Finish, false, true, effects),
            Phase::Connected => {
                effects.push(SessionEffect::CheckSilence { generation: self.link_generation });
                self.set_timer(now + SILENCE_CHECK, effects);
            }
            Phase::Resting | Phase::Closing(_) | Phase::Over => {}
        }
    }

    /// Closes what is there and opens anew after a pause.
    fn retry(&mut self, now: Timestamp, jitter: f64, reason: String, at_least: u32, effects: &mut Vec<SessionEffect>) {
        let lasted = self.view.connected_since.map(|since| now.since(since));
        self.unsteady = match lasted {
            Some(lasted) if lasted >= backoff::STEADY => 0,
            _ => self.unsteady.saturating_add(1),
        };
        if lasted.is_none() {
            self.view.reconnect_attempts = self.view.reconnect_attempts.saturating_add(1);
        }
        self.view.status = ConnectionStatus::Connecting;
        self.view.reason = Some(reason);
        self.reopen_at(now + backoff::wait(self.unsteady.max(at_least), jitter), effects);
    }

    fn reopen_at(&mut self, at: Timestamp, effects: &mut Vec<SessionEffect>) {
        (self.view.connected_since, self.view.qr) = (None, None);
        self.end(Then::Reopen(at), false, false, effects);
    }

    fn want(&mut self, status: ConnectionStatus) {
        (self.view.wanted, self.view.status, self.view.reason) = (true, status, None);
    }

    fn rest(&mut self, status: ConnectionStatus, reason: Option<String>) {
        (self.view.wanted, self.view.status, self.view.reason) = (false, status, reason);
        (self.view.connected_since, self.view.qr) = (None, None);
    }

    fn open(&mut self, now: Timestamp, phase: Phase, effects: &mut Vec<SessionEffect>) {
        self.phase = phase;
        self.link_generation += 1;
        effects.push(SessionEffect::OpenLink { generation: self.link_generation });
        if phase == Phase::Opening {
            if self.view.status != ConnectionStatus::Connecting {
                self.view.status = ConnectionStatus::Connecting;
            }
            self.set_timer(now + OPENING_LIMIT, effects);
        }
    }

    fn unlink(&mut self, now: Timestamp, effects: &mut Vec<SessionEffect>) {
        self.open(now, Phase::Unlinking, effects);
        self.set_timer(now + UNLINK_LIMIT, effects);
    }

    fn pause(&mut self, at: Timestamp, effects: &mut Vec<SessionEffect>) {
        self.phase = Phase::Pausing(at);
        self.set_timer(at, effects);
    }

    /// Ends the link, if there is one; `then` follows.
    fn end(&mut self, then: Then, log_out: bool, forget: bool, effects: &mut Vec<SessionEffect>) {
        let open = !matches!(self.phase, Phase::Resting | Phase::Pausing(_) | Phase::Closing(_) | Phase::Over);
        match self.phase {
            Phase::Closing(Then::Finish) | Phase::Over => {}
            // The link is on its way out already; only what follows changes. Keys are forgotten by a second round.
            Phase::Closing(_) if !forget => self.phase = Phase::Closing(then),
            _ if open || forget => {
                if !open {
                    self.link_generation += 1;
                }
                self.phase = Phase::Closing(then);
                effects.push(SessionEffect::CloseLink { generation: self.link_generation, log_out, forget });
            }
            _ => match then {
                Then::Rest => self.phase = Phase::Resting,
                Then::Reopen(at) => self.pause(at, effects),
                Then::Unlink | Then::Finish => {
                    self.phase = Phase::Over;
                    effects.push(SessionEffect::Finished);
                }
            },
        }
    }

    fn set_timer(&mut self, at: Timestamp, effects: &mut Vec<SessionEffect>) {
        self.timer_generation += 1;
        effects.push(SessionEffect::SetTimer { at, generation: self.timer_generation });
    }
}

/// Whether a change is worth a row: a mere sign of life, or a QR code, is not.
fn differs(before: &SessionView, after: &SessionView) -> bool {
    let row = |view: &SessionView| SessionView { last_event_at: None, qr: None, ..view.clone() };
    row(before) != row(after)
}

//! The session of one number, as a machine: [`Session::step`] takes what happened and answers what to do.
//!
//! One link at a time: a new one is opened only after the one before has reported that all of it has ended, because
//! two clients on one set of keys destroy each other's. Reconnecting has one owner, this machine. Logged out, replaced,
//! banned and the like are states with a reason, never failures of the actor.

mod backoff;
mod ban;
mod follow;
mod hear;
mod link;
mod reason;
mod timer;
mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::{ConnectionStatus, PhoneNumber, Timestamp};

pub use link::{CloseReason, LinkEvent};
pub use reason::ReasonCode;
pub use words::{Parting, Patience, SessionEffect, SessionEvent, SessionView};

/// How often a connected link is asked when it last heard something.
const SILENCE_CHECK: Duration = Duration::from_secs(5);
/// How long a QR code may outlive its own end before the link is taken for dead.
const QR_GRACE: Duration = Duration::from_secs(60);
/// How long a link that is opened in order to log out may take to connect before it is told to: a backlog at WhatsApp comes first,
/// for up to a minute, and logging out takes no more than a login, for which the link waits another 10 s.
const UNLINK_AFTER: Duration = Duration::from_secs(2);
/// How long WhatsApp's wish for a passkey is shown before the pairing is given up.
const PASSKEY_LIMIT: Duration = Duration::from_secs(300);
/// Where the back-off starts for a link that WhatsApp refused for now (2 to 4 s).
const REFUSED_LEVEL: u32 = 2;

/// What follows when the link that is being closed has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Stay closed.
    Rest,
    /// Open a new one at the next turn after this pause. A length, not a moment: a clock that is set back does not
    /// prolong it.
    Reopen(Duration),
    /// Open a new one at the next turn, in order to log out.
    Unlink,
    /// The machine has ended: the connection's keys are gone.
    Finish,
    /// The machine has ended: the program stops.
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No link, none wanted.
    Resting,
    /// No link, one when the timer fires.
    Pausing,
    /// A link is on its way to a QR code or a login.
    Opening,
    /// A QR code is shown.
    AwaitingScan,
    /// WhatsApp waits for a passkey.
    AwaitingPasskey,
    /// Logged in.
    Connected,
    /// No link, one when the timer fires, in order to log out for a deletion.
    PausingToUnlink,
    /// Opened only to log out.
    Unlinking,
    /// A link is being closed.
    Closing(Then),
    /// Nothing will happen any more.
    Over,
}

/// What happens at one moment, and what is to be done about it.
struct Step {
    now: Timestamp,
    /// 0.0 to 1.0, by lot.
    jitter: f64,
    effects: Vec<SessionEffect>,
}

impl Step {
    const fn new(now: Timestamp, jitter: f64) -> Self {
        Self {
            now,
            jitter,
            effects: Vec::new(),
        }
    }
}

/// The machine of one number.
#[derive(Debug, Clone)]
pub struct Session {
    phone_number: PhoneNumber,
    phase: Phase,
    view: SessionView,
    /// How many reconnects in a row did not lead to a lasting connection.
    unsteady: u32,
    /// How many attempts in a row were refused because the client is outdated, or not wanted for another reason.
    turned_down: u32,
    patience: Patience,
    /// The link that logs in for the first time is to be opened anew when it has, another way.
    renew: bool,
    /// A link that may not be open yet is to log out: if it cannot be opened, WhatsApp hears nothing of it.
    leaves: bool,
    link_generation: u64,
    timer_generation: u64,
}

impl Session {
    /// A machine from a row: `view` is what the row says. Follow with [`Session::start`].
    pub fn new(phone_number: PhoneNumber, view: SessionView) -> Self {
        Self {
            phone_number,
            phase: Phase::Resting,
            view,
            unsteady: 0,
            turned_down: 0,
            patience: Patience::default(),
            renew: false,
            leaves: false,
            link_generation: 0,
            timer_generation: 0,
        }
    }

    /// With another patience than the default.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
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

    /// When the turn that [`SessionEffect::TakeTurn`] asked for is.
    pub fn turn_is(&mut self, generation: u64, at: Timestamp) {
        if matches!(self.phase, Phase::Pausing | Phase::PausingToUnlink) && generation == self.timer_generation {
            self.view.retry_at = Some(at);
        }
    }

    /// The first effects; `jitter` as in [`Session::step`]. What a predecessor may have left open is closed; then a wanted session
    /// connects, not before the end of a ban; others keep their state.
    pub fn start(&mut self, now: Timestamp, jitter: f64) -> Vec<SessionEffect> {
        use ConnectionStatus::{Connecting, Failed};
        let mut step = Step::new(now, jitter);
        self.view.reconnect_attempts = 0;
        let then = if self.view.wanted {
            let after = self.after_ban(&step);
            if !after.is_zero() {
                self.show_ban();
            } else if self.view.status != Failed {
                self.show(Connecting, ReasonCode::Starting, self.view.reason.clone());
            }
            Then::Reopen(after)
        } else {
            Then::Rest
        };
        (self.view.connected_since, self.view.retry_at) = (None, None);
        (self.view.qr, self.view.pair_code) = (None, None);
        self.close(then, Parting::Keep, &mut step);
        step.effects
    }

    /// Takes what happened, answers what to do; `jitter` is 0.0 to 1.0. A stale report changes nothing.
    pub fn step(&mut self, now: Timestamp, jitter: f64, event: SessionEvent) -> Vec<SessionEffect> {
        let mut step = Step::new(now, jitter);
        let before = self.view.clone();
        match event {
            _ if self.phase == Phase::Over => {}
            SessionEvent::Connect => self.on_connect(&mut step),
            SessionEvent::Renew => self.on_renew(&mut step),
            SessionEvent::Disconnect => self.on_disconnect(&mut step),
            SessionEvent::Delete => self.on_delete(&mut step),
            SessionEvent::Shutdown => {
                self.on_shutdown(&mut step);
                return step.effects;
            }
            SessionEvent::Link { generation, event } if generation == self.link_generation => {
                self.on_link(event, &mut step);
            }
            SessionEvent::OpenFailed { generation, detail } if generation == self.link_generation => {
                self.on_open_failed(detail, &mut step);
            }
            SessionEvent::LinkGone { generation } if generation == self.link_generation => self.on_gone(&mut step),
            SessionEvent::Silence { generation, silent_for } if generation == self.link_generation => {
                self.on_silence(silent_for, &mut step);
            }
            SessionEvent::TimerFired { generation } if generation == self.timer_generation => {
                self.on_timer(&mut step);
            }
            _stale => {}
        }
        if differs(&before, &self.view) {
            step.effects.push(SessionEffect::Save);
        }
        step.effects
    }

    /// What the row would say after this, where that is other than what it says now: what has to be kept before it is done.
    pub fn would_say(&self, now: Timestamp, event: SessionEvent) -> Option<SessionView> {
        let mut trial = self.clone();
        // How long a pause is, which is what the lot decides, is in no row.
        trial.step(now, 0.0, event);
        differs(&self.view, &trial.view).then_some(trial.view)
    }

    fn on_connect(&mut self, step: &mut Step) {
        // The passkey is gone by now: its owner was told to connect then.
        if self.phase == Phase::AwaitingPasskey {
            return self.on_renew(step);
        }
        if !matches!(
            self.phase,
            Phase::Resting | Phase::Pausing | Phase::Closing(Then::Rest | Then::Reopen(_))
        ) {
            return;
        }
        if !self.ban_left(step.now).is_zero() {
            return self.on_connect_while_banned(step);
        }
        self.view.wanted = true;
        (self.unsteady, self.turned_down) = (0, 0);
        self.show(ConnectionStatus::Connecting, ReasonCode::Starting, None);
        self.reopen(Duration::ZERO, step);
    }

    /// A device that is being linked is shown a new code; what rests or is banned uses the new way when it opens. One that was scanned just
    /// now logs in first, or it would have to be scanned again.
    fn on_renew(&mut self, step: &mut Step) {
        let running = matches!(
            self.phase,
            Phase::Opening | Phase::AwaitingScan | Phase::AwaitingPasskey | Phase::Connected | Phase::Pausing
        );
        if self.phase == Phase::Opening && self.view.reason_code == ReasonCode::Paired {
            self.renew = true;
        } else if running && self.ban_left(step.now).is_zero() {
            self.show(ConnectionStatus::Connecting, ReasonCode::Starting, None);
            self.reopen(Duration::ZERO, step);
        }
    }

    fn on_disconnect(&mut self, step: &mut Step) {
        // Logged out and failed stay what they are; a deletion and a shutdown go on.
        if self.view.wanted && !matches!(self.phase, Phase::Closing(Then::Finish | Then::Stop)) {
            self.rest(ConnectionStatus::Disconnected, ReasonCode::Requested, None);
            self.end(Then::Rest, Parting::Keep, step);
        }
    }

    fn on_delete(&mut self, step: &mut Step) {
        // In the row as well: a deletion that a crash ends is gone on with.
        if self.view.reason_code != ReasonCode::BeingDeleted {
            let words = Some("being deleted".to_owned());
            self.rest(ConnectionStatus::Disconnected, ReasonCode::BeingDeleted, words);
        }
        match self.phase {
            // Paired but not connected: log in once more in order to log out.
            Phase::Resting | Phase::Pausing | Phase::Closing(Then::Rest | Then::Reopen(_))
                if self.view.jid.is_some() && self.ban_left(step.now).is_zero() =>
            {
                self.end(Then::Unlink, Parting::Keep, step);
            }
            // What the row says now, the next start goes on with.
            Phase::Closing(Then::Stop) => {}
            Phase::PausingToUnlink | Phase::Unlinking | Phase::Closing(Then::Unlink) => {}
            // Also without a jid: a scan may be on its way to us.
            _ => {
                if self.view.jid.is_some() && !self.ban_left(step.now).is_zero() {
                    self.stays_linked("the account is banned".to_owned(), step);
                }
                self.log_out(step);
            }
        }
    }

    /// Ends with the device.
    fn log_out(&mut self, step: &mut Step) {
        self.leaves = matches!(self.phase, Phase::Opening | Phase::Unlinking) && self.view.jid.is_some();
        self.end(Then::Finish, Parting::LogOut, step);
    }

    fn on_shutdown(&mut self, step: &mut Step) {
        self.view.retry_at = None;
        // Keys that are being forgotten for a deletion go all the same. One that has not come so far keeps them, to log out with
        // after the next start.
        if self.phase == Phase::Closing(Then::Finish) {
            return;
        }
        if self.has_link() && self.phase != Phase::Unlinking {
            self.show(ConnectionStatus::Connecting, ReasonCode::Stopping, None);
        }
        self.end(Then::Stop, Parting::Keep, step);
    }

    /// Closes what is there and opens anew after the usual pause.
    fn retry(&mut self, code: ReasonCode, reason: String, step: &mut Step) {
        let after = self.back_off(0, step);
        self.show(ConnectionStatus::Connecting, code, Some(reason));
        self.reopen(after, step);
    }

    /// Counts a link that ended by itself; how long to wait before the next.
    fn back_off(&mut self, at_least: u32, step: &Step) -> Duration {
        match self.view.connected_since.map(|since| step.now.since(since)) {
            Some(lasted) if lasted >= backoff::STEADY => self.unsteady = 0,
            lasted => {
                self.unsteady = self.unsteady.saturating_add(1);
                let failed = u32::from(lasted.is_none());
                self.view.reconnect_attempts = self.view.reconnect_attempts.saturating_add(failed);
            }
        }
        backoff::wait(self.unsteady.max(at_least), step.jitter)
    }

    /// Closes what is there and opens anew `after` that.
    fn reopen(&mut self, after: Duration, step: &mut Step) {
        self.view.retry_at = Some(step.now + after);
        self.end(Then::Reopen(after), Parting::Keep, step);
    }

    fn show(&mut self, status: ConnectionStatus, code: ReasonCode, reason: Option<String>) {
        (self.view.status, self.view.reason_code, self.view.reason) = (status, code, reason);
        (self.view.connected_since, self.view.retry_at) = (None, None);
        (self.view.qr, self.view.pair_code) = (None, None);
    }

    fn rest(&mut self, status: ConnectionStatus, code: ReasonCode, reason: Option<String>) {
        self.view.wanted = false;
        self.show(status, code, reason);
    }

    fn set_timer(&mut self, at: Timestamp, step: &mut Step) {
        self.timer_generation += 1;
        step.effects.push(SessionEffect::SetTimer {
            at,
            generation: self.timer_generation,
        });
    }
}

/// Whether a change is worth a row: a mere sign of life, a code to show, or a turn is not.
fn differs(before: &SessionView, after: &SessionView) -> bool {
    let row = |view: &SessionView| SessionView {
        last_event_at: None,
        retry_at: None,
        qr: None,
        pair_code: None,
        ..view.clone()
    };
    row(before) != row(after)
}

//! A machine on the desk: it is brought to a phase, and told one thing after another.

use std::time::Duration;

use super::super::*;

pub(super) const NOW: Timestamp = Timestamp(1_762_352_580_000);
pub(super) const NUMBER: &str = "5511999999999";
pub(super) const OTHER: &str = "4915112345678";
pub(super) const JID: &str = "5511999999999:12@s.whatsapp.net";
pub(super) const OTHERS_JID: &str = "4915112345678:3@s.whatsapp.net";

pub(super) fn row(status: ConnectionStatus, jid: Option<&str>, wanted: bool) -> SessionView {
    SessionView {
        status,
        reason: None,
        reason_code: *ReasonCode::ALL.iter().find(|code| code.explains(status)).unwrap(),
        jid: jid.map(str::to_owned),
        push_name: None,
        connected_since: None,
        last_event_at: None,
        reconnect_attempts: 0,
        retry_at: None,
        banned_until: None,
        wanted,
        qr: None,
        pair_code: None,
    }
}

pub(super) fn qr(code: &str, expires_at: Timestamp) -> LinkEvent {
    let code = code.to_owned();
    LinkEvent::Qr { code, expires_at }
}

pub(super) fn paired() -> LinkEvent {
    LinkEvent::Paired {
        jid: JID.into(),
        phone_number: NUMBER.into(),
    }
}

pub(super) fn connected() -> LinkEvent {
    LinkEvent::Connected {
        jid: JID.into(),
        push_name: Some("Ana".into()),
    }
}

pub(super) fn lost() -> LinkEvent {
    LinkEvent::Closed(CloseReason::Lost("the socket broke".into()))
}

pub(super) fn open(generation: u64) -> SessionEffect {
    SessionEffect::OpenLink { generation }
}

pub(super) fn close(generation: u64) -> SessionEffect {
    closing(generation, Parting::Keep)
}

pub(super) fn closing(generation: u64, parting: Parting) -> SessionEffect {
    SessionEffect::CloseLink { generation, parting }
}

pub(super) fn deleted() -> SessionEffect {
    SessionEffect::Finished { deleted: true }
}

pub(super) fn stopped() -> SessionEffect {
    SessionEffect::Finished { deleted: false }
}

/// A phase and how it was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Resting, never paired.
    Unpaired,
    /// Resting, disconnected by the client.
    Resting,
    /// Resting after a logout, keys and all gone.
    LoggedOut,
    /// Resting after a failure that only `connect` ends.
    Failed,
    /// Between two links.
    Pausing,
    /// Opening with keys.
    Opening,
    /// Opening without.
    Pairing,
    /// A QR code is shown.
    Scan,
    /// WhatsApp waits for a passkey.
    Passkey,
    /// Connected.
    Connected,
    /// Closing in order to rest.
    Closing,
    /// Closing because of a logout: the keys are being forgotten.
    Forgetting,
    /// Closing in order to open anew.
    Reopening,
    /// Closing for a deletion that opens once more.
    ClosingToUnlink,
    /// Waiting for a turn to open once more.
    PausingToUnlink,
    /// Opened to log out.
    Unlinking,
    /// Closing for a deletion, keys and all.
    Deleting,
    /// Closing for a shutdown.
    ShuttingDown,
    /// Over.
    Over,
}

impl Place {
    pub(super) const ALL: [Self; 19] = [
        Self::Unpaired,
        Self::Resting,
        Self::LoggedOut,
        Self::Failed,
        Self::Pausing,
        Self::Opening,
        Self::Pairing,
        Self::Scan,
        Self::Passkey,
        Self::Connected,
        Self::Closing,
        Self::Forgetting,
        Self::Reopening,
        Self::ClosingToUnlink,
        Self::PausingToUnlink,
        Self::Unlinking,
        Self::Deleting,
        Self::ShuttingDown,
        Self::Over,
    ];
    /// Those with a link that is not being closed.
    pub(super) const LINKED: [Self; 6] = [
        Self::Opening,
        Self::Pairing,
        Self::Scan,
        Self::Passkey,
        Self::Connected,
        Self::Unlinking,
    ];
}

/// A machine, its clock, and the timer that it set last.
pub(super) struct Desk {
    pub(super) machine: Session,
    pub(super) now: Timestamp,
    pub(super) jitter: f64,
    pub(super) timer: Option<(Timestamp, u64)>,
}

impl Desk {
    pub(super) fn new(view: SessionView) -> Self {
        let mut desk = Self {
            machine: Session::new(NUMBER.parse().unwrap(), view),
            now: NOW,
            jitter: 0.0,
            timer: None,
        };
        let effects = desk.machine.start(NOW, 0.0);
        assert_eq!(desk.take(effects), [close(1)], "what a predecessor left is closed");
        assert_eq!(desk.timer, None);
        assert_eq!(desk.gone(), [], "a start opens nothing before its turn");
        desk
    }

    pub(super) fn at(place: Place) -> Self {
        use ConnectionStatus::{Connecting, Disconnected};
        let row = match place {
            Place::Unpaired => row(Disconnected, None, false),
            Place::Resting | Place::PausingToUnlink | Place::Unlinking => row(Disconnected, Some(JID), false),
            Place::Pairing | Place::Scan | Place::Passkey => row(Connecting, None, true),
            _ => row(Connecting, Some(JID), true),
        };
        let mut desk = Self::new(row);
        if !matches!(
            place,
            Place::Unpaired | Place::Resting | Place::PausingToUnlink | Place::Unlinking | Place::Pausing
        ) {
            assert_eq!(desk.fire(), [open(2)]);
            desk.now = NOW;
        }
        let logged_out = LinkEvent::Closed(CloseReason::LoggedOut("unlinked".into()));
        match place {
            Place::Unpaired | Place::Resting | Place::Pausing | Place::Opening | Place::Pairing => {}
            Place::PausingToUnlink => drop(desk.step(SessionEvent::Delete)),
            Place::Unlinking => {
                drop(desk.step(SessionEvent::Delete));
                assert_eq!(desk.fire(), [open(2)]);
            }
            Place::Scan => drop(desk.link(qr("2@a", NOW + Duration::from_secs(20)))),
            Place::Passkey => drop(desk.link(LinkEvent::PasskeyNeeded)),
            _ => drop(desk.link(connected())),
        }
        match place {
            Place::Closing | Place::ClosingToUnlink => drop(desk.step(SessionEvent::Disconnect)),
            Place::LoggedOut | Place::Forgetting => drop(desk.link(logged_out)),
            Place::Failed => drop(desk.link(LinkEvent::Closed(CloseReason::Replaced))),
            Place::Reopening => drop(desk.link(lost())),
            Place::Deleting => drop(desk.step(SessionEvent::Delete)),
            Place::ShuttingDown | Place::Over => drop(desk.step(SessionEvent::Shutdown)),
            _ => {}
        }
        match place {
            Place::LoggedOut | Place::Failed => assert_eq!(desk.gone(), []),
            Place::ClosingToUnlink => drop(desk.step(SessionEvent::Delete)),
            Place::Over => assert_eq!(desk.gone(), [stopped()]),
            _ => {}
        }
        desk.timer = None;
        desk
    }

    /// What is to be done beside the timer, which is noted.
    pub(super) fn step(&mut self, event: SessionEvent) -> Vec<SessionEffect> {
        let effects = self.machine.step(self.now, self.jitter, event);
        self.take(effects)
    }

    fn take(&mut self, effects: Vec<SessionEffect>) -> Vec<SessionEffect> {
        let (timers, others): (Vec<_>, Vec<_>) = effects
            .into_iter()
            .partition(|effect| matches!(effect, SessionEffect::SetTimer { .. } | SessionEffect::TakeTurn { .. }));
        assert!(timers.len() <= 1, "{timers:?}");
        match timers.first() {
            Some(SessionEffect::SetTimer { at, generation }) => self.timer = Some((*at, *generation)),
            // Nobody else wants a turn.
            Some(SessionEffect::TakeTurn { after, generation }) => {
                let at = self.now + *after;
                self.machine.turn_is(*generation, at);
                assert_eq!(self.machine.view().retry_at, Some(at));
                self.timer = Some((at, *generation));
            }
            _ => {}
        }
        others
    }

    pub(super) fn generation(&self) -> u64 {
        self.machine.link_generation
    }

    pub(super) fn link(&mut self, event: LinkEvent) -> Vec<SessionEffect> {
        let generation = self.generation();
        self.step(SessionEvent::Link { generation, event })
    }

    pub(super) fn gone(&mut self) -> Vec<SessionEffect> {
        let generation = self.generation();
        self.step(SessionEvent::LinkGone { generation })
    }

    pub(super) fn silent_for(&mut self, seconds: u64) -> Vec<SessionEffect> {
        let silent_for = Some(Duration::from_secs(seconds));
        let generation = self.generation();
        self.step(SessionEvent::Silence { generation, silent_for })
    }

    /// How long until the timer that was set since this was asked last.
    pub(super) fn set_for(&mut self) -> Option<Duration> {
        self.timer.take().map(|(at, _)| at.since(self.now))
    }

    /// Time goes by and the timer fires.
    pub(super) fn fire(&mut self) -> Vec<SessionEffect> {
        let (at, generation) = self.timer.take().expect("a timer");
        self.now = at.max(self.now);
        self.step(SessionEvent::TimerFired { generation })
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    /// Status, reason and whether it is wanted.
    pub(super) fn shown(&self) -> (ConnectionStatus, Option<&str>, bool) {
        let view = self.machine.view();
        (view.status, view.reason.as_deref(), view.wanted)
    }
}

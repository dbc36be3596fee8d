//! What the machine is told, what it answers, and what is seen of it.

use std::time::Duration;

use serde::Serialize;

use super::{LinkEvent, ReasonCode};
use crate::{ConnectionStatus, Timestamp};

/// How long is waited for WhatsApp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a link may take from opening to a QR code or a login, and from a scan to a login.
    pub opening: Duration,
    /// Silence after which a link that is logged in is taken for dead.
    pub silence: Duration,
}

impl Default for Patience {
    /// A healthy idle link can be silent for 44 s (whatsapp-rust pings 17 to 27 s after a tick, and skips one tick after
    /// traffic); CONTRACT.md section 7 wants a stall noticed within 60 s.
    fn default() -> Self {
        Self {
            opening: Duration::from_secs(60),
            silence: Duration::from_secs(50),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// The client wants the number connected.
    Connect,
    /// The way to WhatsApp was changed: a link that is open is closed and opened anew.
    Renew,
    /// The client wants it disconnected; the pairing stays.
    Disconnect,
    /// The client wants it gone, at WhatsApp too.
    Delete,
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

/// What the end of a link leaves of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// All of it: the next link logs in with the same keys.
    Keep,
    /// Nothing here: the keys are forgotten.
    Forget,
    /// Nothing here, and WhatsApp is told first to unlink it, as far as that can be reached.
    LogOut,
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
        /// What becomes of its device.
        parting: Parting,
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
    /// Take the next turn for opening a link that is not earlier than `after` from now, tell [`super::Session::turn_is`],
    /// and set the one timer to it: many sessions that lost their links together shall not come back together.
    TakeTurn {
        /// The pause that is due in any case.
        after: Duration,
        /// To be given back when the timer fires.
        generation: u64,
    },
    /// Say that the connection is being deleted without its device being unlinked.
    StaysLinked {
        /// Why WhatsApp was not told.
        why: String,
    },
    /// Write the state to its row.
    Save,
    /// The machine has ended.
    Finished {
        /// Whether a deletion was carried out. Otherwise the program stops, and one that was asked for goes on after the next
        /// start.
        deleted: bool,
    },
}

/// What is seen of a session from outside, as the API shows it. The next attempt and the codes are never in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// Where it stands.
    pub status: ConnectionStatus,
    /// Why it stands there, when there is something to say.
    pub reason: Option<String>,
    /// The same for machines.
    pub reason_code: ReasonCode,
    /// The linked device (`5511999999999:12@s.whatsapp.net`), null before the scan.
    pub jid: Option<String>,
    /// The account's own display name.
    pub push_name: Option<String>,
    /// Since when it is connected without a break.
    pub connected_since: Option<Timestamp>,
    /// When the link last reported something.
    pub last_event_at: Option<Timestamp>,
    /// Failed attempts since it was last connected.
    pub reconnect_attempts: u32,
    /// When the next attempt is made; null when none is waited for.
    pub retry_at: Option<Timestamp>,
    /// The end of a ban: nothing is attempted before, whatever happens.
    #[serde(skip)]
    pub banned_until: Option<Timestamp>,
    /// Whether it shall run: false after `disconnect`, a logout, or a failure that only `connect` ends.
    #[serde(skip)]
    pub wanted: bool,
    /// The QR code to scan and its end.
    #[serde(skip)]
    pub qr: Option<(String, Timestamp)>,
    /// The code to enter on the phone and its end.
    #[serde(skip)]
    pub pair_code: Option<(String, Timestamp)>,
}

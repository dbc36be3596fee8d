//! Why a session stands where it stands, in words for machines. docs/SESSIONS.md lists what each means and what heals it.

use serde::{Serialize, Serializer};

use crate::ConnectionStatus;

/// The `reason_code` of a connection. Every status has one; the `reason` beside it is for people and may change its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    /// `disconnected`: the client asked for it.
    Requested,
    /// `disconnected`: the connection is being deleted.
    BeingDeleted,
    /// `connecting`: the first attempt since the start, or since `connect`.
    Starting,
    /// `connecting`: a phone linked the device, which logs in for the first time.
    Paired,
    /// `connecting`: the socket broke, or could not be opened.
    LinkLost,
    /// `connecting`: the connection's own proxy let nothing through.
    ProxyFailed,
    /// `connecting`: WhatsApp was silent beyond the keep-alive.
    Silent,
    /// `connecting`: WhatsApp did not answer an attempt in time.
    NoAnswer,
    /// WhatsApp refused an attempt. `connecting`: for now (503, 429, …). `failed`: for a reason that seldom passes.
    Refused,
    /// `connecting`: the keys could not be read, or the client could not be started.
    OpenFailed,
    /// `connecting`: the client's queue is full, so nothing may come in.
    QueueFull,
    /// `connecting`: the session's actor failed and is started again.
    Restarting,
    /// `connecting`: the program is being stopped.
    Stopping,
    /// `awaiting_scan`: a QR code, and perhaps a pair code, wait for a phone.
    WaitingForPhone,
    /// `awaiting_passkey`, and `failed` when nobody gave one: WhatsApp wants the account's passkey.
    PasskeyRequired,
    /// `connected`.
    Online,
    /// `logged_out`: the phone, or WhatsApp, unlinked the device.
    Unlinked,
    /// `logged_out`: WhatsApp locked the account.
    AccountLocked,
    /// `failed`: a ban whose end WhatsApp did not tell.
    Banned,
    /// `failed`: a ban until `retry_at`, before which nothing is attempted.
    TemporarilyBanned,
    /// `failed`: another instance took the device over; there is no fight for it.
    Conflict,
    /// `failed`: WhatsApp does not take this version of the client any more.
    Outdated,
    /// `failed`: a phone of another number linked the device.
    WrongNumber,
    /// `failed`: no phone scanned a code in time.
    QrExpired,
    /// `failed`: the phone and the device did not come together.
    PairingFailed,
    /// `failed`: the session's actor failed again and again; it is tried again at `retry_at`.
    Parked,
}

impl ReasonCode {
    /// Every code.
    pub const ALL: [Self; 26] = [
        Self::Requested,
        Self::BeingDeleted,
        Self::Starting,
        Self::Paired,
        Self::LinkLost,
        Self::ProxyFailed,
        Self::Silent,
        Self::NoAnswer,
        Self::Refused,
        Self::OpenFailed,
        Self::QueueFull,
        Self::Restarting,
        Self::Stopping,
        Self::WaitingForPhone,
        Self::PasskeyRequired,
        Self::Online,
        Self::Unlinked,
        Self::AccountLocked,
        Self::Banned,
        Self::TemporarilyBanned,
        Self::Conflict,
        Self::Outdated,
        Self::WrongNumber,
        Self::QrExpired,
        Self::PairingFailed,
        Self::Parked,
    ];

    /// The word used in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::BeingDeleted => "being_deleted",
            Self::Starting => "starting",
            Self::Paired => "paired",
            Self::LinkLost => "link_lost",
            Self::ProxyFailed => "proxy_failed",
            Self::Silent => "silent",
            Self::NoAnswer => "no_answer",
            Self::Refused => "refused",
            Self::OpenFailed => "open_failed",
            Self::QueueFull => "queue_full",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::WaitingForPhone => "waiting_for_phone",
            Self::PasskeyRequired => "passkey_required",
            Self::Online => "online",
            Self::Unlinked => "unlinked",
            Self::AccountLocked => "account_locked",
            Self::Banned => "banned",
            Self::TemporarilyBanned => "temporarily_banned",
            Self::Conflict => "conflict",
            Self::Outdated => "outdated",
            Self::WrongNumber => "wrong_number",
            Self::QrExpired => "qr_expired",
            Self::PairingFailed => "pairing_failed",
            Self::Parked => "parked",
        }
    }

    /// The code of a word from the database.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }

    /// The statuses that it explains.
    pub const fn explains(self, status: ConnectionStatus) -> bool {
        use ConnectionStatus as Is;
        match self {
            Self::Requested | Self::BeingDeleted => matches!(status, Is::Disconnected),
            Self::Starting
            | Self::Paired
            | Self::LinkLost
            | Self::ProxyFailed
            | Self::Silent
            | Self::NoAnswer
            | Self::OpenFailed
            | Self::QueueFull
            | Self::Restarting
            | Self::Stopping => matches!(status, Is::Connecting),
            Self::Refused => matches!(status, Is::Connecting | Is::Failed),
            Self::WaitingForPhone => matches!(status, Is::AwaitingScan),
            Self::PasskeyRequired => matches!(status, Is::AwaitingPasskey | Is::Failed),
            Self::Online => matches!(status, Is::Connected),
            Self::Unlinked | Self::AccountLocked => matches!(status, Is::LoggedOut),
            Self::Banned
            | Self::TemporarilyBanned
            | Self::Conflict
            | Self::Outdated
            | Self::WrongNumber
            | Self::QrExpired
            | Self::PairingFailed
            | Self::Parked => matches!(status, Is::Failed),
        }
    }
}

impl Serialize for ReasonCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_snake_case_and_lead_back() {
        for code in ReasonCode::ALL {
            assert_eq!(ReasonCode::from_word(code.as_str()), Some(code));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.as_str()));
        }
        assert_eq!(ReasonCode::from_word("Online"), None);
    }

    #[test]
    fn every_status_has_a_code_and_every_code_a_status() {
        for status in ConnectionStatus::ALL {
            assert!(ReasonCode::ALL.iter().any(|code| code.explains(status)), "{status:?}");
        }
        for code in ReasonCode::ALL {
            assert!(
                ConnectionStatus::ALL.iter().any(|status| code.explains(*status)),
                "{code:?}"
            );
        }
    }

    #[test]
    fn the_documentation_lists_them_all() {
        let page = include_str!("../../../../docs/SESSIONS.md");
        for code in ReasonCode::ALL {
            assert!(page.contains(&format!("| `{}` |", code.as_str())), "{code:?}");
        }
    }
}

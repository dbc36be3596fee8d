//! Why a session stands where it stands, in words for machines. docs/SESSIONS.md lists what each means and what heals it.

use crate::{ConnectionStatus, words};

words! {
    /// The `reason_code` of a connection. Every status has one; the `reason` beside it is for people and may change its words.
    pub enum ReasonCode {
        /// `disconnected`: the client asked for it.
        Requested = "requested",
        /// `disconnected`: the connection is being deleted.
        BeingDeleted = "being_deleted",
        /// `connecting`: the first attempt since the start, or since `connect`.
        Starting = "starting",
        /// `connecting`: a phone linked the device, which logs in for the first time.
        Paired = "paired",
        /// `connecting`: the socket broke, or could not be opened.
        LinkLost = "link_lost",
        /// `connecting`: the connection's own proxy let nothing through.
        ProxyFailed = "proxy_failed",
        /// `connecting`: WhatsApp was silent beyond the keep-alive.
        Silent = "silent",
        /// `connecting`: WhatsApp did not answer an attempt in time.
        NoAnswer = "no_answer",
        /// WhatsApp refused an attempt. `connecting`: for now (503, 429, …). `failed`: for a reason that seldom passes.
        Refused = "refused",
        /// `connecting`: the keys could not be read, or the client could not be started.
        OpenFailed = "open_failed",
        /// `connecting`: the client's queue is full, so nothing may come in.
        QueueFull = "queue_full",
        /// `connecting`: the session's actor failed and is started again.
        Restarting = "restarting",
        /// `connecting`: the program is being stopped.
        Stopping = "stopping",
        /// `awaiting_scan`: a QR code, and perhaps a pair code, wait for a phone.
        WaitingForPhone = "waiting_for_phone",
        /// `awaiting_passkey`, and `failed` when nobody gave one: WhatsApp wants the account's passkey.
        PasskeyRequired = "passkey_required",
        /// `connected`.
        Online = "online",
        /// `logged_out`: the phone, or WhatsApp, unlinked the device.
        Unlinked = "unlinked",
        /// `logged_out`: WhatsApp locked the account.
        AccountLocked = "account_locked",
        /// `failed`: a ban whose end WhatsApp did not tell.
        Banned = "banned",
        /// `failed`: a ban until `retry_at`, before which nothing is attempted.
        TemporarilyBanned = "temporarily_banned",
        /// `failed`: another instance took the device over; there is no fight for it.
        Conflict = "conflict",
        /// `failed`: WhatsApp does not take this version of the client any more.
        Outdated = "outdated",
        /// `failed`: a phone of another number linked the device.
        WrongNumber = "wrong_number",
        /// `failed`: no phone scanned a code in time.
        QrExpired = "qr_expired",
        /// `failed`: the phone and the device did not come together.
        PairingFailed = "pairing_failed",
        /// `failed`: the session's actor failed again and again; it is tried again at `retry_at`.
        Parked = "parked",
    }
}

impl ReasonCode {
    /// Whether the one who runs the gateway should hear of it: nobody asked for that, and it seldom passes by itself.
    pub const fn is_for_the_log(self, status: ConnectionStatus) -> bool {
        match self {
            Self::Unlinked
            | Self::AccountLocked
            | Self::Banned
            | Self::TemporarilyBanned
            | Self::Conflict
            | Self::Outdated
            | Self::WrongNumber => true,
            // The other one is a matter of minutes, and many numbers' at once.
            Self::Refused => matches!(status, ConnectionStatus::Failed),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl ReasonCode {
        /// The statuses that it explains.
        pub(in crate::session) const fn explains(self, status: ConnectionStatus) -> bool {
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
    fn what_nobody_asked_for_is_logged_and_what_passes_is_not() {
        for code in ReasonCode::ALL {
            for status in ConnectionStatus::ALL
                .into_iter()
                .filter(|status| code.explains(*status))
            {
                // Whoever makes these knows of them: a person at the phone, or the log of an actor that failed.
                let known = [
                    ReasonCode::QrExpired,
                    ReasonCode::PairingFailed,
                    ReasonCode::PasskeyRequired,
                    ReasonCode::Parked,
                ];
                let is_over = matches!(status, ConnectionStatus::LoggedOut | ConnectionStatus::Failed);
                assert_eq!(
                    code.is_for_the_log(status),
                    is_over && !known.contains(&code),
                    "{code:?} {status:?}"
                );
            }
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

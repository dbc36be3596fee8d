//! What a link to WhatsApp reports, in Wharf's words.

use crate::Timestamp;

/// What happens on a link, in order. After `Closed` nothing follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A QR code to show until `expires_at`; each one replaces the one before.
    Qr {
        /// The text to draw.
        code: String,
        /// When WhatsApp stops accepting it.
        expires_at: Timestamp,
    },
    /// A code to enter on the phone until `expires_at`, beside the QR code.
    PairCode {
        /// Eight characters.
        code: String,
        /// When WhatsApp stops accepting it.
        expires_at: Timestamp,
    },
    /// WhatsApp wants the account's passkey before it links the device.
    PasskeyNeeded,
    /// A phone scanned the code and the device is registered; the link goes on to log in by itself.
    Paired {
        /// The device (`5511999999999:12@s.whatsapp.net`).
        jid: String,
        /// The account's phone number in digits.
        phone_number: String,
    },
    /// Logged in; messages flow.
    Connected {
        /// The device.
        jid: String,
        /// The account's display name, where known.
        push_name: Option<String>,
    },
    /// The account shows another name from now on.
    Named {
        /// The account's display name.
        push_name: String,
    },
    /// The link ended, and will not come back by itself.
    Closed(CloseReason),
}

/// Why a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// We closed it.
    Requested,
    /// The socket broke, could not be opened, or fell silent; worth another attempt. The detail is for people.
    Lost(String),
    /// The client gave up a link on which messages flowed, to fetch with another one what this one did not bring of the
    /// account. However long it lasted, it says nothing of how long the next one does.
    Incomplete(String),
    /// WhatsApp refused this attempt for now, or ended the connection for the same (503, 429, …); worth another attempt, later.
    Refused(String),
    /// WhatsApp does not want this client, for a reason that seldom passes (400, 409, 413, …).
    Unwanted(String),
    /// The QR codes ran out unscanned.
    QrExpired,
    /// Pairing failed; the detail says how.
    PairingFailed(String),
    /// The device is not linked any more: unlinked by the phone, or logged out by WhatsApp.
    LoggedOut(String),
    /// WhatsApp locked the account, and the device with it.
    AccountLocked(String),
    /// Nothing may come in: the client's queue is full.
    QueueFull(String),
    /// The connection's own proxy let nothing through.
    ProxyFailed(String),
    /// Another instance connected with the same keys.
    Replaced,
    /// A ban, with its end where WhatsApp gives one.
    Banned {
        /// WhatsApp's code and words.
        detail: String,
        /// When it ends.
        until: Option<Timestamp>,
    },
    /// WhatsApp does not accept this version of the client any more.
    Outdated,
}

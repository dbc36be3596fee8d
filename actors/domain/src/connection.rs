//! WhatsApp connections: one per client and number.

use serde::Serialize;

use crate::{ClientId, PhoneNumber, Timestamp, outgoing::Pace, session::SessionView, words};

/// What identifies a connection (and a session, and a webhook): two clients may each link the same number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey {
    /// Whose it is.
    pub client_id: ClientId,
    /// The linked number.
    pub phone_number: PhoneNumber,
}

impl ConnectionKey {
    /// The key of a client's number.
    pub fn new(client_id: ClientId, phone_number: PhoneNumber) -> Self {
        Self {
            client_id,
            phone_number,
        }
    }
}

/// What a device's name on the phone has to be; see [`is_device_name`].
pub const DEVICE_NAME_WANTED: &str = "1 to 50 characters without control characters";

/// Whether a device can go by this name on the phone.
pub fn is_device_name(name: &str) -> bool {
    (1..=50).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

words! {
    /// Where a connection stands (CONTRACT.md section 2).
    pub enum ConnectionStatus {
        /// Closed on request; the pairing, if any, stays.
        Disconnected = "disconnected",
        /// On its way: opening the link, or waiting for the next attempt.
        Connecting = "connecting",
        /// A QR code waits to be scanned, or a pair code to be entered.
        AwaitingScan = "awaiting_scan",
        /// WhatsApp wants the account's passkey before it links the device.
        AwaitingPasskey = "awaiting_passkey",
        /// The socket answered within the last keep-alive.
        Connected = "connected",
        /// The device is not linked any more.
        LoggedOut = "logged_out",
        /// Gave up; `reason` says why.
        Failed = "failed",
    }
}

/// A connection as the API shows it. `restarts` and what of the session is never in a row are the tree's to fill in; the rest is a
/// row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Whose it is.
    pub client_id: ClientId,
    /// The number it is for.
    pub phone_number: PhoneNumber,
    /// Where it stands.
    #[serde(flatten)]
    pub session: SessionView,
    /// How often the session's actor was restarted after a failure since the program started.
    pub restarts: u32,
    /// The device's name on the phone; null is that of the configuration.
    pub device_name: Option<String>,
    /// The proxy on the way to WhatsApp, without its credentials; null is none.
    pub proxy: Option<String>,
    /// How fast it sends; null is as the configuration says.
    pub sending: Option<Pace>,
    /// Whether it turns down every call at once.
    pub reject_calls: bool,
    /// Whether it marks messages that come in as read.
    pub mark_read: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
}

impl Connection {
    /// The key of this connection.
    pub fn key(&self) -> ConnectionKey {
        ConnectionKey::new(self.client_id, self.phone_number.clone())
    }
}

//! What the network shows of itself: the records that the library returns and the admin routes print as JSON.
//!
//! Field names follow section 6 of the contract and are part of the public surface.

use serde::{Deserialize, Serialize};

/// A WhatsApp account whose primary phone is played by the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The phone number, digits only.
    pub phone: String,
    /// The hidden identity of the account, `<digits>@lid`.
    pub lid: String,
}

/// A text that reached an account's primary phone, decrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedMessage {
    /// WhatsApp's message id.
    pub id: String,
    /// The sender's phone number, digits only.
    pub from: String,
    /// The text.
    pub text: String,
    /// When the network took the message, in Unix seconds.
    pub timestamp: i64,
}

/// A receipt for a message that an account's phone sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRecord {
    /// The id of the message that the receipt is for.
    pub id: String,
    /// The device that sent the receipt.
    pub from: String,
    /// `delivery`, `inactive`, `read`, `retry`, `sender` and so on; a receipt without a type is `delivery`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When the receipt arrived, in Unix milliseconds.
    pub at: i64,
}

/// A linked device of an account; the primary phone is not one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// The device's address, `<phone>:<device>@s.whatsapp.net`.
    pub jid: String,
    /// Whether a logged-in socket of it is open now.
    pub connected: bool,
    /// How many one-time prekeys the server still holds for it.
    pub prekeys: usize,
    /// How many messages it has not acknowledged.
    pub unacked: usize,
}

/// What kind of trouble a [`Fault`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Closes the open sockets at once, without a word.
    Drop,
    /// Turns new connections away; with a code by `<failure reason=code>` after the handshake, else by closing the socket.
    Refuse,
    /// Keeps sockets open and answers nothing; what arrives is lost. Sockets caught in it are closed when it ends.
    Stall,
    /// Sends `<stream:error>` with the code (503 if left out, `replaced` for a conflict) and closes.
    StreamError,
    /// Sends every message twice, and sends the last acknowledged ones once more.
    Duplicate,
}

/// Trouble to make on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// The account whose links are hit; every account's if left out.
    #[serde(default)]
    pub phone: Option<String>,
    /// WhatsApp's code, for `refuse` and `stream_error`: a number, or `replaced`.
    #[serde(default)]
    pub code: Option<FaultCode>,
    /// How long it lasts in milliseconds, for `refuse`, `stall` and `duplicate`; 30,000 if left out.
    #[serde(default)]
    pub for_ms: Option<u64>,
}

/// WhatsApp's code as people write it: `503` or `"503"` or `"replaced"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FaultCode {
    /// A numeric code.
    Number(u32),
    /// A code by name.
    Name(String),
}

/// Counters since the network started, and what is open now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Sockets open now.
    pub connections: u64,
    /// Noise handshakes completed since the start.
    pub handshakes: u64,
    /// How many of them resumed by IK instead of a full XX.
    pub resumed: u64,
    /// Messages that clients handed to the network since the start.
    pub messages_in: u64,
    /// Message stanzas that the network sent to clients since the start, repeated ones included.
    pub messages_out: u64,
    /// Messages that a client encrypted with a key which it had used for another one. Anything but 0 is a broken client.
    pub reused_keys: u64,
    /// Messages that devices have not acknowledged now.
    pub unacked: u64,
    /// Accounts that exist.
    pub accounts: u64,
    /// Devices linked now.
    pub devices: u64,
}

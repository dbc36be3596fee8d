//! A local WhatsApp network that speaks the real wire protocol, for tests of WhatsApp clients.
//!
//! Phones are played by the network; companions are real clients that connect to [`Network::ws_url`]. Inside, from the
//! bottom up: `wire` (frames, Noise, nodes), `phone` (Signal and signatures of a primary phone), `state` (accounts,
//! groups, devices, queues, files, faults), `compose` and `reading` (what phones write and read), `serve` (one task per socket), `admin` (HTTP) and [`Network`] over all of it.

mod acts;
mod admin;
mod clock;
mod compose;
mod error;
mod network;
mod phone;
mod profile;
mod reading;
mod serve;
mod settings;
mod state;
mod trouble;
mod view;
mod wire;

pub use acts::GroupChange;
pub use compose::{
    Card, ContactContent, Content, EditContent, EventContent, GroupInviteContent, LiveLocationContent, LocationContent,
    MediaContent, MessageOptions, NewMessage, OrderContent, PollContent, PollVoteContent, Preview, ProductContent,
    ProtoContent, ReactionContent, ReplyContent, RevokeContent, TextContent, Unavailable,
};
pub use error::NetworkError;
pub use network::{Network, NetworkConfig};
pub use profile::ProfileChange;
pub use settings::{PhoneSettings, Setting};
pub use view::{
    Account, CallView, DeviceView, Fault, FaultCode, FaultKind, GroupView, MediaView, MemberView, MessageDetails,
    PresenceRecord, ProfileView, Quoted, ReactionView, ReceiptRecord, ReceivedMessage, SentMessage, SettingView, Stats,
    VoteView,
};

/// Bytes in lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

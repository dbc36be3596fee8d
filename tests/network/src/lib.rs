//! A local WhatsApp network that speaks the real wire protocol, for tests of WhatsApp clients.
//!
//! Phones are played by the network; companions are real clients that connect to [`Network::ws_url`].

mod error;
mod network;
mod view;

pub use error::NetworkError;
pub use network::{Network, NetworkConfig};
pub use view::{
    Account, DeviceView, Fault, FaultCode, FaultKind, ReceiptRecord, ReceivedMessage, Stats,
};

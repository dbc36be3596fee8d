//! A local WhatsApp network that speaks the real wire protocol, for tests of WhatsApp clients.
//!
//! Phones are played by the network; companions are real clients that connect to [`Network::ws_url`]. Inside, from the
//! bottom up: `wire` (frames, Noise, nodes), `phone` (Signal and signatures of a primary phone), `state` (accounts,
//! devices, queues, faults), `serve` (one task per socket), `admin` (HTTP) and [`Network`] over all of it.

mod admin;
mod clock;
mod error;
mod network;
mod phone;
mod serve;
mod state;
mod view;
mod wire;

pub use error::NetworkError;
pub use network::{Network, NetworkConfig};
pub use view::{Account, DeviceView, Fault, FaultCode, FaultKind, ReceiptRecord, ReceivedMessage, Stats};

//! The handle through which tests, the demo and the binary use the network.

use std::net::{Ipv4Addr, SocketAddr};

use crate::{Account, DeviceView, Fault, NetworkError, ReceiptRecord, ReceivedMessage, Stats};

/// Where the network listens.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The address of the WebSocket and the admin routes; port 0 picks a free one.
    pub listen: SocketAddr,
    /// A second address for the admin routes alone.
    pub admin: Option<SocketAddr>,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            admin: None,
        }
    }
}

/// A running network. Clones share it.
#[derive(Clone, Debug)]
pub struct Network {
    listen: SocketAddr,
}

impl Network {
    /// Starts listening and returns at once.
    ///
    /// # Errors
    /// [`NetworkError::Listen`] if an address cannot be bound.
    pub async fn start(config: NetworkConfig) -> Result<Network, NetworkError> {
        Ok(Self {
            listen: config.listen,
        })
    }

    /// `ws://127.0.0.1:PORT/ws/chat`, for the client.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws/chat", self.listen)
    }

    /// `http://127.0.0.1:PORT`, the base of the admin routes.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Makes an account with a primary phone, or returns the one that exists.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] if `phone` is not 8 to 15 digits.
    pub async fn create_account(&self, _phone: &str) -> Result<Account, NetworkError> {
        Err(not_yet())
    }

    /// The account's phone scans a QR; returns the address of the device that it links.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] for an unknown account, [`NetworkError::Invalid`] for text that is no QR,
    /// [`NetworkError::Conflict`] for a QR that nobody shows any more.
    pub async fn scan(&self, _phone: &str, _qr: &str) -> Result<String, NetworkError> {
        Err(not_yet())
    }

    /// `from`'s phone sends a text to the account `to`; returns the message id.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if either account does not exist.
    pub async fn send_text(
        &self,
        _from: &str,
        _to: &str,
        _text: &str,
    ) -> Result<String, NetworkError> {
        Err(not_yet())
    }

    /// What the account's phone received, oldest first.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn messages(&self, _phone: &str) -> Result<Vec<ReceivedMessage>, NetworkError> {
        Err(not_yet())
    }

    /// The receipts for what the account's phone sent, oldest first.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn receipts(&self, _phone: &str) -> Result<Vec<ReceiptRecord>, NetworkError> {
        Err(not_yet())
    }

    /// The account's linked devices.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn devices(&self, _phone: &str) -> Result<Vec<DeviceView>, NetworkError> {
        Err(not_yet())
    }

    /// The account's phone unlinks a device.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account or the device does not exist.
    pub async fn unlink(&self, _phone: &str, _device: u16) -> Result<(), NetworkError> {
        Err(not_yet())
    }

    /// Makes trouble on purpose.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist, [`NetworkError::Invalid`] for a code that the kind
    /// does not know.
    pub async fn fault(&self, _fault: Fault) -> Result<(), NetworkError> {
        Err(not_yet())
    }

    /// Counters and what is open now.
    pub async fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Closes every socket and stops listening.
    pub async fn stop(self) {}
}

fn not_yet() -> NetworkError {
    NetworkError::Internal("not served yet".to_owned())
}

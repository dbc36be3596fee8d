//! Why the network could not do what was asked.

use std::net::SocketAddr;

/// An error of the network's public functions; each maps to one HTTP status of the admin routes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The listen address could not be bound.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A value in the request is not usable.
    #[error("{0}")]
    Invalid(String),
    /// Something that was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The request does not fit the present state, such as a QR that is no longer shown.
    #[error("{0}")]
    Conflict(String),
    /// The network's own cryptography or encoding failed; a defect of the network.
    #[error("internal: {0}")]
    Internal(String),
}

impl NetworkError {
    /// The HTTP status that the admin routes answer with.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 400,
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::Listen { .. } | Self::Internal(_) => 500,
        }
    }
}

//! Clients (tenants).

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{ClientId, Timestamp};

/// A client, without its token: only the token's hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Client {
    /// Its number; all of its data hangs on it.
    pub id: ClientId,
    /// What a person calls it.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
}

/// SHA-256 of a bearer token. Look-ups go by this, so that neither a database reader nor timing gives a token away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Of this token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

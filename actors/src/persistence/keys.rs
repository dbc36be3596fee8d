//! The keys of linked devices, as the links see them: encrypted by the vault, committed with everything else.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_domain::ConnectionKey;
use wharf_store::{KeyChange, KeyRange};
use wharf_whatsapp::{KeyCipher, KeyKeeper, KeysError};

use super::{Persistence, Write, WriteError};
use crate::vault::Vault;

/// Changes of what one number's device keeps.
#[derive(Debug)]
pub(crate) struct KeyChanges {
    pub(super) of: ConnectionKey,
    pub(super) changes: Vec<KeyChange>,
}

/// See the module.
pub(crate) struct Keeper {
    pub(crate) vault: Arc<Vault>,
    pub(crate) persistence: Persistence,
}

#[async_trait]
impl KeyKeeper for Keeper {
    fn cipher(&self, of: &ConnectionKey) -> Result<Arc<dyn KeyCipher>, KeysError> {
        let cipher = self.vault.number_cipher(of);
        cipher.map_or(Err(KeysError::Cipher), |cipher| Ok(cipher))
    }

    async fn commit(&self, of: &ConnectionKey, changes: Vec<KeyChange>) -> Result<(), KeysError> {
        let changes = KeyChanges {
            of: of.clone(),
            changes,
        };
        let committed = self.persistence.commit(Write::ChangeKeys, changes).await;
        committed.map_err(refused)
    }

    async fn remove(&self, of: &ConnectionKey, range: KeyRange) -> Result<u64, KeysError> {
        self.persistence.remove_keys(of, range).await.map_err(refused)
    }

    async fn remove_left(&self, of: &ConnectionKey) -> Result<(), KeysError> {
        self.persistence.remove_left_keys(of).await.map_err(refused)
    }
}

fn refused(error: WriteError) -> KeysError {
    match error {
        WriteError::Unavailable(why) | WriteError::Unknown(why) => KeysError::Unavailable(why),
        WriteError::Damaged(why) => KeysError::Damaged(why),
        WriteError::Rejected(why) => KeysError::Rejected(why),
    }
}

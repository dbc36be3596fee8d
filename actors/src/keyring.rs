//! What signs one webhook's deliveries, for its delivery actor: the only place where decrypted secrets stay.
//!
//! Read when the first attempt needs it, so that idle webhooks cost neither a query nor memory. After a change the
//! actor puts an empty one in its place, and the next attempt reads what was committed.

use std::time::Duration;

use tokio::sync::OnceCell;
use wharf_domain::{
    ClientId, WebhookId,
    signing::{Signer, SigningSecret},
};
use wharf_store::SealedSecret;

use crate::{shared::Shared, vault::VaultError};

/// The pause before secrets are asked for again when the store cannot be read.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct Keyring {
    client_id: ClientId,
    webhook_id: WebhookId,
    hub_signature: bool,
    signer: OnceCell<Signer>,
}

impl Keyring {
    /// One that nothing was read into yet.
    pub(crate) fn new(client_id: ClientId, webhook_id: WebhookId, hub_signature: bool) -> Self {
        Self {
            client_id,
            webhook_id,
            hub_signature,
            signer: OnceCell::new(),
        }
    }

    /// What signs. Waits until the store can be read.
    ///
    /// # Errors
    /// `Sealed` when the present secret does not open: its row was changed by hand. Sending unsigned what its owner
    /// expects signed would be worse than not sending.
    pub(crate) async fn signer(&self, shared: &Shared) -> Result<&Signer, VaultError> {
        self.signer.get_or_try_init(|| self.read(shared)).await
    }

    async fn read(&self, shared: &Shared) -> Result<Signer, VaultError> {
        let sealed = loop {
            match shared.store.secrets(self.client_id, self.webhook_id).await {
                Ok(sealed) => break sealed,
                Err(error) => {
                    tracing::warn!(webhook = %self.webhook_id, %error, "cannot read secrets; trying again");
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                }
            }
        };
        let mut secrets = Vec::with_capacity(sealed.len());
        for SealedSecret { sealed, expires_at } in sealed {
            match shared.vault.open(self.webhook_id, &sealed) {
                Ok(secret) => secrets.push(SigningSecret { secret, expires_at }),
                Err(error) if expires_at.is_none() => return Err(error),
                Err(error) => tracing::warn!(webhook = %self.webhook_id, %error, "a replaced secret is left out"),
            }
        }
        Ok(Signer {
            secrets,
            hub_signature: self.hub_signature,
        })
    }
}

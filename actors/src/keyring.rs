//! What signs one webhook's deliveries and the owner's headers that go with them, for its delivery actor: the only place
//! where decrypted secrets stay.
//!
//! Read when the first attempt needs it, so that idle webhooks cost neither a query nor memory. After a change the
//! actor puts an empty one in its place, and the next attempt reads what was committed. So it does after a change of the
//! URL: headers are for the URL that they were committed with.

use tokio::sync::OnceCell;
use wharf_domain::{
    ClientId, WebhookId,
    signing::{Signer, SigningSecret},
};
use wharf_store::SealedSecret;

use crate::{
    post::HeaderLines,
    shared::{Shared, until_read},
    vault::VaultError,
};

/// See the module.
pub(crate) struct Keyring {
    client_id: ClientId,
    webhook_id: WebhookId,
    hub_signature: bool,
    /// Whether the webhook has own headers: those without cost no query.
    has_headers: bool,
    opened: OnceCell<Opened>,
}

/// What attempts need of it.
pub(crate) struct Opened {
    pub(crate) signer: Signer,
    pub(crate) headers: HeaderLines,
    /// Where these headers go, if there are any. Not where an attempt was to go that began before both were changed.
    pub(crate) url: Option<String>,
}

impl Keyring {
    /// One that nothing was read into yet.
    pub(crate) fn new(client_id: ClientId, webhook_id: WebhookId, hub_signature: bool, has_headers: bool) -> Self {
        Self {
            client_id,
            webhook_id,
            hub_signature,
            has_headers,
            opened: OnceCell::new(),
        }
    }

    /// The webhook whose it is.
    pub(crate) fn webhook_id(&self) -> WebhookId {
        self.webhook_id
    }

    /// What signs, and what else is secret. Waits until the store can be read.
    ///
    /// # Errors
    /// `Sealed`, `SealedHeaders` or `Store` when the present secret or the headers do not open or do not read: their row was changed by hand. Sending without what
    /// its owner expects would be worse than not sending.
    pub(crate) async fn opened(&self, shared: &Shared) -> Result<&Opened, VaultError> {
        self.opened.get_or_try_init(|| self.read(shared)).await
    }

    async fn read(&self, shared: &Shared) -> Result<Opened, VaultError> {
        let read = || shared.store.secrets(self.client_id, self.webhook_id);
        let sealed = until_read(self.webhook_id, read).await?;
        let mut secrets = Vec::with_capacity(sealed.len());
        for SealedSecret { sealed, expires_at } in sealed {
            match shared.vault.open(self.webhook_id, &sealed) {
                Ok(secret) => secrets.push(SigningSecret { secret, expires_at }),
                Err(error) if expires_at.is_none() => return Err(error),
                Err(error) => tracing::warn!(webhook = %self.webhook_id, %error, "a replaced secret is left out"),
            }
        }
        let signer = Signer {
            secrets,
            hub_signature: self.hub_signature,
        };
        let (url, headers) = self.read_headers(shared).await?.unzip();
        Ok(Opened {
            signer,
            headers: headers.unwrap_or_default(),
            url,
        })
    }

    async fn read_headers(&self, shared: &Shared) -> Result<Option<(String, HeaderLines)>, VaultError> {
        if !self.has_headers {
            return Ok(None);
        }
        let read = || shared.store.sealed_headers(self.client_id, self.webhook_id);
        let Some((url, sealed)) = until_read(self.webhook_id, read).await? else {
            return Ok(None);
        };
        let headers = shared.vault.open_headers(self.webhook_id, &sealed)?;
        Ok(Some((url, HeaderLines::new(&headers))))
    }
}

//! By which way a number's traffic goes to WhatsApp: what its row says at the moment.

use thiserror::Error;
use wharf_domain::{Connection, ConnectionKey, proxy::Proxy};
use wharf_store::StoreError;

use crate::{shared::Shared, vault::VaultError, web::way::Way};

/// Why a number's proxy is not known. That is no reason to go without.
#[derive(Debug, Error)]
pub(crate) enum NoProxy {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It does not open.
    #[error(transparent)]
    Sealed(#[from] VaultError),
}

impl Shared {
    /// A connection's own proxy, if it has one.
    ///
    /// # Errors
    /// [`NoProxy`].
    pub(crate) async fn proxy_of(&self, connection: &Connection) -> Result<Option<Proxy>, NoProxy> {
        if connection.proxy.is_none() {
            return Ok(None);
        }
        let key = connection.key();
        let sealed = self.store.sealed_proxy(&key).await?;
        Ok(sealed.map(|sealed| self.vault.open_proxy(&key, &sealed)).transpose()?)
    }

    /// The way of a number's HTTP; `None` when it has no connection any more.
    ///
    /// # Errors
    /// [`NoProxy`].
    pub(crate) async fn way(&self, key: &ConnectionKey) -> Result<Option<Way>, NoProxy> {
        let Some(connection) = self.store.connection(key).await? else {
            return Ok(None);
        };
        Ok(Some(Way {
            key: key.clone(),
            proxy: self.proxy_of(&connection).await?,
        }))
    }
}

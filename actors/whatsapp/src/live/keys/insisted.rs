//! Reads that a message is decrypted with.
//!
//! The client takes a read that fails for a message that cannot be read, and refuses it for good at WhatsApp, which does not bring it
//! again. So a store that cannot be read for a moment (no file left to open, no memory) is asked again for a while; then the link ends, and
//! nobody is answered: the message was not acknowledged, and WhatsApp brings it to the next link.

use std::{future::pending, time::Duration};

use tokio::time::{Instant, sleep};
use wharf_store::{KeyKind, StoredKey};
use whatsapp_rust::store::error::Result;

use super::{DeviceKeys, unreadable};
use crate::CloseReason;

/// The pause before a store that cannot be read is asked again.
const PAUSE: Duration = Duration::from_millis(100);

impl DeviceKeys {
    /// As `get`, of what a message is decrypted with. See the module.
    pub(super) async fn get_insisting(&self, kind: KeyKind, name: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let row = self.row_insisting(kind, name.as_ref()).await?;
        row.map(|row| self.opened(&row)).transpose()
    }

    async fn row_insisting(&self, kind: KeyKind, name: &[u8]) -> Result<Option<StoredKey>> {
        let deadline = Instant::now() + self.patience;
        loop {
            let error = match self.keys.store.key(&self.of, kind, name).await {
                Err(error @ wharf_store::StoreError::Unavailable(_)) => error,
                read => return read.map_err(unreadable),
            };
            // A device that is being unlinked still needs its connection, to say so.
            if self.link.is_leaving() {
                return Err(unreadable(error));
            }
            if Instant::now() >= deadline || self.link.over().is_cancelled() {
                self.link
                    .end(CloseReason::Lost(format!("keys could not be read: {error}")));
                // Until the link's tasks are ended.
                return pending().await;
            }
            tracing::debug!(%error, "a key could not be read; trying again");
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = self.link.over().cancelled() => {}
            }
        }
    }
}

//! Identities, sessions, prekeys and sender keys.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wharf_store::{KeyChange, KeyKind};
use whatsapp_rust::store::{error::Result, traits::SignalStore};

use super::{DeviceKeys, WAITING_REMOVALS, bad, number, number_of, unreadable};

impl DeviceKeys {
    async fn put_all(&self, kind: KeyKind, rows: impl Iterator<Item = (Vec<u8>, &[u8])>) -> Result<()> {
        let puts = rows.map(|(name, value)| self.sealed(kind, name, value).map(KeyChange::Put));
        self.commit_some(puts).await
    }

    async fn has(&self, kind: KeyKind, prefix: &str) -> Result<bool> {
        let found = self.keys.store.has_keys(&self.of, kind, prefix.as_bytes()).await;
        found.map_err(unreadable)
    }
}

#[async_trait]
impl SignalStore for DeviceKeys {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put(KeyKind::Identity, address, &key).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        let rows = identities
            .iter()
            .map(|(address, key)| (address.as_bytes().to_vec(), key.as_slice()));
        self.put_all(KeyKind::Identity, rows).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        let key = self.get_insisting(KeyKind::Identity, address).await?;
        key.map(|key| key.try_into().map_err(|_| bad("an identity key")))
            .transpose()
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.remove(KeyKind::Identity, address).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        let session = self.get_insisting(KeyKind::Session, address).await?;
        Ok(session.map(Bytes::from))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put(KeyKind::Session, address, session).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        let rows = sessions
            .iter()
            .map(|(address, session)| (address.as_bytes().to_vec(), session.as_ref()));
        self.put_all(KeyKind::Session, rows).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.remove(KeyKind::Session, address).await
    }

    async fn has_session(&self, address: &str) -> Result<bool> {
        Ok(self.row(KeyKind::Session, address.as_bytes()).await?.is_some())
    }

    /// Addresses are `user@server` and `user:device@server`.
    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        for kind in [KeyKind::Session, KeyKind::Identity] {
            if self.has(kind, &format!("{user}@")).await? || self.has(kind, &format!("{user}:")).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn store_prekey(&self, id: u32, record: &[u8], _uploaded: bool) -> Result<()> {
        self.put(KeyKind::PreKey, number(id), record).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], _uploaded: bool) -> Result<()> {
        let rows = keys.iter().map(|(id, record)| (number(*id).to_vec(), record.as_ref()));
        self.put_all(KeyKind::PreKey, rows).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        if self.consumed.lock().contains(&id) {
            return Ok(None);
        }
        let prekey = self.get_insisting(KeyKind::PreKey, number(id)).await?;
        Ok(prekey.map(Bytes::from))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let consumed = self.consumed.lock().clone();
        let names = ids.iter().filter(|id| !consumed.contains(id)).map(|id| number(*id));
        let rows = self.keys.store.keys_named(&self.of, KeyKind::PreKey, names).await;
        let rows = rows.map_err(unreadable)?;
        let rows = rows
            .iter()
            .map(|row| Ok((number_of(&row.name)?, Bytes::from(self.opened(row)?))));
        rows.collect()
    }

    /// Nobody asks for that mark: which prekeys are uploaded is known by the two counters of the device.
    async fn mark_prekeys_uploaded(&self, _ids: &[u32]) -> Result<()> {
        Ok(())
    }

    /// Waits for no commit: see the module.
    async fn remove_prekey(&self, id: u32) -> Result<()> {
        let waiting = {
            let mut consumed = self.consumed.lock();
            consumed.insert(id);
            consumed.len()
        };
        if waiting < WAITING_REMOVALS {
            return Ok(());
        }
        self.settle().await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        self.settle().await?;
        let last = self.keys.store.last_key_name(&self.of, KeyKind::PreKey).await;
        last.map_err(unreadable)?.map_or(Ok(0), |name| number_of(&name))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.put(KeyKind::SignedPreKey, number(id), record).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        self.get_insisting(KeyKind::SignedPreKey, number(id)).await
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let rows = self.rows(KeyKind::SignedPreKey, b"").await?;
        let rows = rows.iter().map(|row| Ok((number_of(&row.name)?, self.opened(row)?)));
        rows.collect()
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.remove(KeyKind::SignedPreKey, number(id)).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put(KeyKind::SenderKey, address, record).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        let rows = sender_keys
            .iter()
            .map(|(address, record)| (address.as_bytes().to_vec(), record.as_ref()));
        self.put_all(KeyKind::SenderKey, rows).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        self.get_insisting(KeyKind::SenderKey, address).await
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.remove(KeyKind::SenderKey, address).await
    }
}

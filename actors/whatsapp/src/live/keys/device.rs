//! The device itself, and the secrets of messages.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_store::{KeyChange, KeyKind, StoredKey};
use whatsapp_rust::{
    ClientProfile,
    store::{
        error::Result,
        traits::{DeviceStore, MsgSecretEntry, MsgSecretStore},
    },
    wacore::{
        stats::StorageResourceReport,
        store::{Device, device::DEVICE_PROPS},
    },
};

use super::{DeviceKeys, name_of, refused, unreadable};

#[async_trait]
impl DeviceStore for DeviceKeys {
    async fn save(&self, device: &Device) -> Result<()> {
        self.put_json(KeyKind::Device, "", device).await
    }

    async fn load(&self) -> Result<Option<Device>> {
        let device: Option<Device> = self.get_json(KeyKind::Device, "").await?;
        // What is of a run and not of the device is not written, and begins as that of a new device does.
        Ok(device.map(|device| Device {
            device_props: Arc::new(DEVICE_PROPS.clone()),
            client_profile: ClientProfile::web(),
            ..device
        }))
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.row(KeyKind::Device, b"").await?.is_some())
    }

    async fn create(&self) -> Result<i32> {
        if !self.exists().await? {
            // Another device's keys are none of this one's. There are some after a crash while they were being removed.
            if self.keys.store.has_left_keys(&self.of).await.map_err(unreadable)? {
                self.keys.keeper.remove_left(&self.of).await.map_err(refused)?;
            }
            self.save(&Device::new()).await?;
        }
        Ok(1)
    }

    /// What the store keeps in memory is the gateway's, not one session's.
    async fn resource_report(&self) -> StorageResourceReport {
        StorageResourceReport {
            memory_bytes: Some(0),
            ..StorageResourceReport::default()
        }
    }
}

#[async_trait]
impl MsgSecretStore for DeviceKeys {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let put = |entry: &MsgSecretEntry| {
            let name = name_of(&[&entry.chat, &entry.sender], &entry.msg_id);
            let key = self.sealed(KeyKind::MessageSecret, name, &entry.secret)?;
            Ok(KeyChange::Put(StoredKey {
                at: entry.expires_at,
                also: Some(entry.message_ts),
                ..key
            }))
        };
        self.commit_in_pieces(&entries, put).await?;
        Ok(entries.len())
    }

    async fn get_msg_secret(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<Vec<u8>>> {
        let secret = self.get_msg_secret_with_ts(chat, sender, msg_id).await?;
        Ok(secret.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<(Vec<u8>, i64)>> {
        let row = self
            .row(KeyKind::MessageSecret, &name_of(&[chat, sender], msg_id))
            .await?;
        row.map(|row| Ok((self.opened(&row)?, row.also.unwrap_or(0))))
            .transpose()
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        // At the deadline itself it has passed.
        self.remove_before(KeyKind::MessageSecret, cutoff_timestamp.saturating_add(1))
            .await
    }
}

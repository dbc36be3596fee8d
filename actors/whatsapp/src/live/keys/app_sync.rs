//! The app state: its keys, how far each collection was read, and the MACs of what was read.

use std::collections::HashMap;

use async_trait::async_trait;
use wharf_store::{KeyChange, KeyKind, KeyRange};
use whatsapp_rust::store::{
    error::Result,
    traits::{AppStateSyncKey, AppSyncStore},
};
use whatsapp_rust::wacore::appstate::{hash::HashState, processor::AppStateMutationMAC};

use super::{DeviceKeys, bad, json, prefix_of, unreadable};

/// The name of a mutation's MAC: those of a collection begin alike.
fn mac_name(collection: &str, index_mac: &[u8]) -> Vec<u8> {
    let mut name = prefix_of(&[collection]);
    name.extend_from_slice(index_mac);
    name
}

#[async_trait]
impl AppSyncStore for DeviceKeys {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        self.get_json(KeyKind::SyncKey, key_id).await
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        let key = self.sealed(KeyKind::SyncKey, key_id, &json(&key)?)?;
        let latest = self.sealed(KeyKind::LatestSyncKey, "", key_id)?;
        let changes = vec![KeyChange::Put(key), KeyChange::Put(latest)];
        self.commit(changes).await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        Ok(self.get_json(KeyKind::SyncVersion, name).await?.unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        self.put_json(KeyKind::SyncVersion, name, &state).await
    }

    async fn put_mutation_macs(&self, name: &str, _version: u64, mutations: &[AppStateMutationMAC]) -> Result<()> {
        let put = |mutation: &AppStateMutationMAC| {
            let name = mac_name(name, &mutation.index_mac);
            self.sealed(KeyKind::MutationMac, name, &mutation.value_mac)
                .map(KeyChange::Put)
        };
        self.commit_in_pieces(mutations, put).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get(KeyKind::MutationMac, mac_name(name, index_mac)).await
    }

    async fn get_mutation_macs(&self, name: &str, index_macs: &[[u8; 32]]) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let prefix = prefix_of(&[name]);
        let names = index_macs.iter().map(|index_mac| mac_name(name, index_mac));
        let rows = self.keys.store.keys_named(&self.of, KeyKind::MutationMac, names).await;
        let rows = rows.map_err(unreadable)?;
        let rows = rows.iter().map(|row| {
            let index_mac = row.name.get(prefix.len()..).and_then(|mac| mac.try_into().ok());
            Ok((index_mac.ok_or_else(|| bad("a mutation's name"))?, self.opened(row)?))
        });
        rows.collect()
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let remove = |index_mac: &Vec<u8>| Ok(KeyChange::Remove(KeyKind::MutationMac, mac_name(name, index_mac)));
        self.commit_in_pieces(index_macs, remove).await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        let all = KeyRange::Beginning(KeyKind::MutationMac, prefix_of(&[name]));
        self.remove_all(all).await.map(drop)
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        self.get(KeyKind::LatestSyncKey, "").await
    }
}

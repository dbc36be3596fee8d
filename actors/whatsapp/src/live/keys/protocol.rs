//! What WhatsApp Web keeps beside Signal's own: who has our sender keys, hidden ids, device lists, tokens, messages that
//! were sent and messages that wait for their commit.

use async_trait::async_trait;
use wharf_store::{KeyChange, KeyKind, KeyRange, StoredKey};
use whatsapp_rust::{
    store::{
        error::Result,
        traits::{
            DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, TcTokenEntry,
        },
    },
    wacore::time::now_secs,
};

use super::{DeviceKeys, PIECE, WAITING_REMOVALS, bad, from_json, json, name_of, prefix_of, text_of, unreadable};

/// A sender key's status: one byte.
const HAS_KEY: [u8; 1] = [1];
const HAS_NONE: [u8; 1] = [0];
/// People whose two ids the library has at hand from its start on, at the most, in some 50 MB: a history that somebody makes up has millions.
const LIDS_AT_HAND: i64 = 100_000;

impl DeviceKeys {
    /// The two rows of a mapping: by hidden id, and by number. A number's row is not removed when its hidden id gets
    /// another number; whoever reads it looks whether the mapping still says so.
    fn mapping(&self, entry: &LidPnMappingEntry) -> Result<[KeyChange; 2]> {
        let by_lid = self.sealed(KeyKind::Lid, entry.lid.as_str(), &json(entry)?)?;
        let name = name_of(&[&entry.phone_number], &entry.lid);
        let by_number = StoredKey {
            at: entry.updated_at,
            ..self.sealed(KeyKind::LidOfNumber, name, entry.lid.as_bytes())?
        };
        Ok([KeyChange::Put(by_lid), KeyChange::Put(by_number)])
    }

    fn pending(&self, row: &PendingInboundRow<'_>) -> Result<KeyChange> {
        let name = name_of(&[row.chat, row.sender], row.id);
        let key = self.sealed(KeyKind::PendingMessage, name, row.message)?;
        Ok(KeyChange::Put(StoredKey {
            also: Some(now_secs()),
            ..key
        }))
    }

    /// A token's row; one without a token has an empty value, which is not encrypted, so that the store can tell.
    fn token(&self, jid: &str, token: &[u8], at: i64, sent: Option<i64>) -> Result<StoredKey> {
        let key = match token {
            [] => StoredKey::new(KeyKind::TrustToken, jid, Vec::new()),
            token => self.sealed(KeyKind::TrustToken, jid, token)?,
        };
        Ok(StoredKey { at, also: sent, ..key })
    }
}

#[async_trait]
impl ProtocolStore for DeviceKeys {
    async fn get_sender_key_devices(&self, group_jid: &str) -> Result<Vec<(String, bool)>> {
        let prefix = prefix_of(&[group_jid]);
        let rows = self.rows(KeyKind::SenderKeyDevice, &prefix).await?;
        let rows = rows.iter().map(|row| {
            let device = row.name.get(prefix.len()..).unwrap_or_default();
            Ok((text_of(device)?, self.opened(row)? == HAS_KEY))
        });
        rows.collect()
    }

    /// Of a device that there is no session with it is not kept that it has the key: see [`super::given`].
    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> Result<()> {
        let given = entries.iter().filter(|(_, has_key)| *has_key);
        let never_met = self.never_met(given.map(|(device, _)| *device)).await?;
        let entries = entries
            .iter()
            .filter(|(device, has_key)| !has_key || !never_met.contains(device));
        let puts = entries.map(|(device, has_key)| {
            let status = if *has_key { HAS_KEY } else { HAS_NONE };
            let key = self.sealed(KeyKind::SenderKeyDevice, name_of(&[group_jid], device), &status)?;
            Ok(KeyChange::Put(key))
        });
        self.commit_some(puts).await
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> Result<()> {
        let all = KeyRange::Beginning(KeyKind::SenderKeyDevice, prefix_of(&[group_jid]));
        self.remove_all(all).await.map(drop)
    }

    /// A status that is set meanwhile may go too: then the device gets our sender key once more.
    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> Result<()> {
        if device_jids.is_empty() {
            return Ok(());
        }
        let (store, ends) = (&self.keys.store, device_jids.iter());
        let names = store.key_names_ending(&self.of, KeyKind::SenderKeyDevice, ends).await;
        let mut removals = Vec::new();
        for name in names.map_err(unreadable)? {
            // The end may be that of a longer one.
            let (length, rest) = name.split_first_chunk().ok_or_else(|| bad("a group's name"))?;
            let group = u32::from_be_bytes(*length) as usize;
            let device = rest.get(group..).ok_or_else(|| bad("a group's name"))?;
            if device_jids.iter().any(|jid| jid.as_bytes() == device) {
                removals.push(KeyChange::Remove(KeyKind::SenderKeyDevice, name));
            }
        }
        self.commit_some(removals.into_iter().map(Ok)).await
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        let all = KeyRange::Beginning(KeyKind::SenderKeyDevice, Vec::new());
        self.remove_all(all).await.map(drop)
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        self.get_json(KeyKind::Lid, lid).await
    }

    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        let mut rows = self.rows(KeyKind::LidOfNumber, &prefix_of(&[phone])).await?;
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        for row in rows {
            let lid = text_of(&self.opened(&row)?)?;
            let mapping = self.get_lid_mapping(&lid).await?;
            if let Some(mapping) = mapping.filter(|mapping| mapping.phone_number == phone) {
                return Ok(Some(mapping));
            }
        }
        Ok(None)
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        for some in entries.chunks(PIECE) {
            let mut puts = Vec::with_capacity(2 * some.len());
            for entry in some {
                puts.extend(self.mapping(entry)?);
            }
            self.commit(puts).await?;
        }
        Ok(())
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        // For the start only: one that is not among them is asked for when it is needed.
        let rows = self.keys.store.some_keys_of(&self.of, KeyKind::Lid, b"", LIDS_AT_HAND);
        let rows = rows.await.map_err(unreadable)?;
        rows.iter().map(|row| from_json(&self.opened(row)?)).collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> Result<()> {
        let key = self.sealed(KeyKind::BaseKey, name_of(&[address], message_id), base_key)?;
        let key = StoredKey { at: now_secs(), ..key };
        self.commit(vec![KeyChange::Put(key)]).await
    }

    async fn has_same_base_key(&self, address: &str, message_id: &str, current_base_key: &[u8]) -> Result<bool> {
        let saved = self.get(KeyKind::BaseKey, name_of(&[address], message_id)).await?;
        Ok(saved.is_some_and(|saved| saved == current_base_key))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        self.remove(KeyKind::BaseKey, name_of(&[address], message_id)).await
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.update_device_lists(vec![record]).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        let puts = records.iter().map(|record| {
            let key = self.sealed(KeyKind::DeviceList, record.user.as_str(), &json(record)?)?;
            Ok(KeyChange::Put(key))
        });
        self.commit_some(puts).await
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        self.get_json(KeyKind::DeviceList, user).await
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        self.remove(KeyKind::DeviceList, user).await
    }

    async fn get_group_metadata(&self, group_jid: &str) -> Result<Option<Vec<u8>>> {
        self.get(KeyKind::Group, group_jid).await
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> Result<()> {
        self.put(KeyKind::Group, group_jid, blob).await
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.remove(KeyKind::Group, group_jid).await
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        let Some(row) = self.row(KeyKind::TrustToken, jid.as_bytes()).await? else {
            return Ok(None);
        };
        Ok(Some(TcTokenEntry {
            token: match row.value.is_empty() {
                true => Vec::new(),
                false => self.opened(&row)?,
            },
            token_timestamp: row.at,
            sender_timestamp: row.also,
        }))
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        let key = self.token(jid, &entry.token, entry.token_timestamp, entry.sender_timestamp)?;
        self.commit(vec![KeyChange::Put(key)]).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        self.remove(KeyKind::TrustToken, jid).await
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let rows = self.rows(KeyKind::TrustToken, b"").await?;
        rows.iter().map(|row| text_of(&row.name)).collect()
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let expired = KeyRange::Tokens {
            received: token_cutoff,
            sent: sender_cutoff,
        };
        self.remove_all(expired).await
    }

    async fn touch_tc_token_sender_timestamp(&self, jid: &str, sender_timestamp: i64) -> Result<()> {
        let touch = KeyChange::TokenSent(jid.into(), sender_timestamp);
        self.commit(vec![touch]).await
    }

    async fn store_received_tc_token(&self, jid: &str, token: &[u8], token_timestamp: i64) -> Result<()> {
        let key = self.token(jid, token, token_timestamp, None)?;
        self.commit(vec![KeyChange::ReceiveToken(key)]).await
    }

    async fn store_sent_message(&self, chat_jid: &str, message_id: &str, payload: &[u8]) -> Result<()> {
        let key = self.sealed(KeyKind::SentMessage, name_of(&[chat_jid], message_id), payload)?;
        let key = StoredKey { at: now_secs(), ..key };
        self.commit(vec![KeyChange::Put(key)]).await
    }

    /// Leaves it where it is, until it is too old. whatsapp-rust takes it for each device that asks for it and stores it again: one
    /// that asks in between, or after a crash there, would find nothing, and of such a one not even the new keys are taken.
    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        self.get(KeyKind::SentMessage, name_of(&[chat_jid], message_id)).await
    }

    /// With them go the keys by which it is seen that a device asks for one again and again: whatsapp-rust forgets only the
    /// few of those that ask three times.
    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.remove_before(KeyKind::BaseKey, cutoff_timestamp).await?;
        self.remove_before(KeyKind::SentMessage, cutoff_timestamp).await
    }

    async fn store_pending_inbound(&self, chat: &str, sender: &str, id: &str, message: &[u8]) -> Result<()> {
        let row = PendingInboundRow {
            chat,
            sender,
            id,
            message,
        };
        self.store_pending_inbound_batch(&[row]).await
    }

    async fn get_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Vec<u8>>> {
        let name = name_of(&[chat, sender], id);
        if self.committed.lock().contains(&name) {
            return Ok(None);
        }
        self.get_insisting(KeyKind::PendingMessage, name).await
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.delete_pending_inbound_batch(&[PendingInboundKey { chat, sender, id }])
            .await
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.remove_before(KeyKind::PendingMessage, cutoff_timestamp).await
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let puts = rows.iter().map(|row| self.pending(row)).collect::<Result<Vec<_>>>()?;
        self.keep(puts).await
    }

    /// Waits for no commit: see the module.
    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let waiting = {
            let mut committed = self.committed.lock();
            committed.extend(keys.iter().map(|key| name_of(&[key.chat, key.sender], key.id)));
            committed.len()
        };
        if waiting < WAITING_REMOVALS {
            return Ok(());
        }
        self.commit(Vec::new()).await
    }
}

//! How a call is made, and what it answers.

use std::sync::Arc;

use whatsapp_rust::{
    serde_json,
    store::traits::{
        AppStateSyncKey, Backend, DeviceInfo, DeviceListRecord, LidPnMappingEntry, MsgSecretEntry, PendingInboundKey,
        PendingInboundRow, TcTokenEntry,
    },
    wacore::{
        appstate::{hash::HashState, processor::AppStateMutationMAC},
        store::Device,
        time::now_secs,
        types::jid::JidExt as _,
    },
    wacore_binary::Jid,
};

use super::{Call, Name};

impl Call {
    /// Asks, and writes the answer down. Lists without an order are sorted.
    pub(in crate::live::keys::tests) async fn ask(&self, keys: &dyn Backend) -> String {
        match self {
            Self::PutIdentity(..)
            | Self::PutIdentities(_)
            | Self::LoadIdentity(_)
            | Self::DeleteIdentity(_)
            | Self::PutSession(..)
            | Self::PutSessions(_)
            | Self::GetSession(_)
            | Self::HasSession(_)
            | Self::HasState(_)
            | Self::DeleteSession(_)
            | Self::StorePrekeys(_)
            | Self::LoadPrekeys(_)
            | Self::RemovePrekey(_)
            | Self::MarkPrekeys(_)
            | Self::MaxPrekey
            | Self::StoreSigned(..)
            | Self::LoadSigned(_)
            | Self::AllSigned
            | Self::RemoveSigned(_)
            | Self::PutSenderKeys(_)
            | Self::GetSenderKey(_)
            | Self::DeleteSenderKey(_) => self.ask_signal(keys).await,
            Self::PutToken(..)
            | Self::GetToken(_)
            | Self::DeleteToken(_)
            | Self::TokenJids
            | Self::ExpireTokens(..)
            | Self::TouchToken(..)
            | Self::ReceiveToken(..)
            | Self::StoreSent(..)
            | Self::TakeSent(..)
            | Self::ExpireSent(_)
            | Self::StorePending(_)
            | Self::GetPending(..)
            | Self::DeletePending(_)
            | Self::ExpirePending(_)
            | Self::PutSecrets(_)
            | Self::GetSecret(..)
            | Self::ExpireSecrets(_) => self.ask_messages(keys).await,
            _ => self.ask_protocol(keys).await,
        }
    }

    async fn ask_signal(&self, keys: &dyn Backend) -> String {
        match self {
            Self::PutIdentity(name, byte) => text(keys.put_identity(name, secret(*byte)).await),
            Self::PutIdentities(rows) => text(keys.put_identities_batch(&arcs(rows, secret)).await),
            Self::LoadIdentity(name) => text(keys.load_identity(name).await),
            Self::DeleteIdentity(name) => text(keys.delete_identity(name).await),
            Self::PutSession(name, byte) => text(keys.put_session(name, &[*byte; 40]).await),
            Self::PutSessions(rows) => {
                // Longer than a page of the database, some of them.
                let session = |byte: u8| vec![byte; usize::from(byte) * 40].into();
                text(keys.put_sessions_batch(&arcs(rows, session)).await)
            }
            Self::GetSession(name) => text(keys.get_session(name).await),
            Self::HasSession(name) => text(keys.has_session(name).await),
            Self::HasState(user) => text(keys.has_signal_state_for_user(user).await),
            Self::DeleteSession(name) => text(keys.delete_session(name).await),
            Self::StorePrekeys(rows) => {
                let rows: Vec<_> = rows.iter().map(|(id, byte)| (*id, vec![*byte; 9].into())).collect();
                text(keys.store_prekeys_batch(&rows, false).await)
            }
            Self::LoadPrekeys(ids) => {
                let ids = ids.iter().copied().collect::<std::collections::BTreeSet<u32>>();
                let ids: Vec<u32> = ids.into_iter().collect();
                text(keys.load_prekeys_batch(&ids).await.map(sorted))
            }
            Self::RemovePrekey(id) => text(keys.remove_prekey(*id).await),
            Self::MarkPrekeys(ids) => text(keys.mark_prekeys_uploaded(ids).await),
            Self::MaxPrekey => text(keys.get_max_prekey_id().await),
            Self::StoreSigned(id, byte) => text(keys.store_signed_prekey(*id, &[*byte; 9]).await),
            Self::LoadSigned(id) => text(keys.load_signed_prekey(*id).await),
            Self::AllSigned => text(keys.load_all_signed_prekeys().await.map(sorted)),
            Self::RemoveSigned(id) => text(keys.remove_signed_prekey(*id).await),
            Self::PutSenderKeys(rows) => {
                let key = |byte: u8| vec![byte; 9].into();
                text(keys.put_sender_keys_batch(&arcs(rows, key)).await)
            }
            Self::GetSenderKey(name) => text(keys.get_sender_key(name).await),
            Self::DeleteSenderKey(name) => text(keys.delete_sender_key(name).await),
            _ => String::new(),
        }
    }

    async fn ask_protocol(&self, keys: &dyn Backend) -> String {
        match self {
            Self::SetSyncKey(id, byte) => {
                let key = AppStateSyncKey {
                    key_data: vec![*byte; 32],
                    fingerprint: vec![*byte],
                    timestamp: 7,
                };
                text(keys.set_sync_key(&[*id, 0xFF], key).await)
            }
            Self::GetSyncKey(id) => text(keys.get_sync_key(&[*id, 0xFF]).await),
            Self::LatestSyncKey => text(keys.get_latest_sync_key_id().await),
            Self::SetVersion(name, version) => {
                let state = HashState {
                    version: *version,
                    hash: [7; 128],
                    ..HashState::default()
                };
                text(keys.set_version(name, state).await)
            }
            Self::GetVersion(name) => text(keys.get_version(name).await),
            Self::PutMacs(name, macs) => {
                let mac = |(index, value): &(u8, u8)| AppStateMutationMAC {
                    index_mac: secret(*index).to_vec(),
                    value_mac: vec![*value; 5],
                };
                let macs: Vec<_> = macs.iter().map(mac).collect();
                text(keys.put_mutation_macs(name, 1, &macs).await)
            }
            Self::GetMac(name, index) => text(keys.get_mutation_mac(name, &secret(*index)).await),
            Self::GetMacs(name, indexes) => {
                let indexes: Vec<_> = indexes.iter().map(|index| secret(*index)).collect();
                let macs = keys.get_mutation_macs(name, &indexes).await;
                text(macs.map(|macs| sorted(macs.into_iter().collect())))
            }
            Self::DeleteMacs(name, indexes) => {
                let indexes: Vec<_> = indexes.iter().map(|index| secret(*index).to_vec()).collect();
                text(keys.delete_mutation_macs(name, &indexes).await)
            }
            Self::ClearMacs(name) => text(keys.clear_mutation_macs(name).await),
            Self::SetHasKey(group, devices) => {
                // Of whom there is no session with ours does not keep it.
                for jid in devices.iter().filter_map(|(device, _)| device.parse::<Jid>().ok()) {
                    let address = jid.to_protocol_address_string();
                    keys.put_session(&address, b"session").await.unwrap();
                }
                text(keys.set_sender_key_status(group, devices).await)
            }
            Self::WhoHasKey(group) => text(keys.get_sender_key_devices(group).await.map(sorted)),
            Self::ClearHasKey(group) => text(keys.clear_sender_key_devices(group).await),
            Self::ClearAllHasKey => text(keys.clear_all_sender_key_devices().await),
            Self::DeleteHasKey(devices) => text(keys.delete_sender_key_device_rows(devices).await),
            Self::PutLids(mappings) => {
                let mapping = |(lid, phone, at): &(Name, Name, i64)| LidPnMappingEntry {
                    lid: (*lid).to_owned(),
                    phone_number: (*phone).to_owned(),
                    created_at: *at,
                    updated_at: *at,
                    learning_source: "usync".to_owned(),
                };
                let mappings: Vec<_> = mappings.iter().map(mapping).collect();
                text(keys.put_lid_mappings(&mappings).await)
            }
            Self::GetLid(lid) => text(keys.get_lid_mapping(lid).await),
            Self::AllLids => {
                let all = keys.get_all_lid_mappings().await.unwrap();
                format!("{:?}", sorted(all.iter().map(|entry| format!("{entry:?}")).collect()))
            }
            Self::SaveBaseKey(address, id, byte) => text(keys.save_base_key(address, id, &[*byte; 9]).await),
            Self::SameBaseKey(address, id, byte) => text(keys.has_same_base_key(address, id, &[*byte; 9]).await),
            Self::DeleteBaseKey(address, id) => text(keys.delete_base_key(address, id).await),
            Self::UpdateDevices(lists) => {
                let list = |(user, device): &(Name, u32)| DeviceListRecord {
                    user: (*user).to_owned(),
                    devices: vec![DeviceInfo::new(*device, Some(1)).with_hosting(true)],
                    timestamp: 3,
                    phash: Some("p".to_owned()),
                    raw_id: Some(*device),
                };
                text(keys.update_device_lists(lists.iter().map(list).collect()).await)
            }
            Self::GetDevices(user) => text(keys.get_devices(user).await),
            Self::DeleteDevices(user) => text(keys.delete_devices(user).await),
            Self::PutGroup(group, byte) => text(keys.put_group_metadata(group, &[*byte; 9]).await),
            Self::GetGroup(group) => text(keys.get_group_metadata(group).await),
            Self::DeleteGroup(group) => text(keys.delete_group_metadata(group).await),
            Self::SaveAndLoadDevice(login_counter) => {
                let mut device = Device::new();
                device.pn = "5511888888888:3@s.whatsapp.net".parse().ok();
                device.edge_routing_info = Some(vec![1, 2]);
                device.login_counter = *login_counter;
                keys.save(&device).await.unwrap();
                let loaded = keys.load().await.unwrap().unwrap();
                let json = |device: &Device| serde_json::to_string(device).unwrap();
                assert_eq!(json(&loaded), json(&device));
                text(keys.exists().await)
            }
            _ => String::new(),
        }
    }

    async fn ask_messages(&self, keys: &dyn Backend) -> String {
        let token = |token: &Option<u8>| token.map_or_else(Vec::new, |byte| vec![byte; 5]);
        match self {
            Self::PutToken(jid, value, at, sent) => {
                let entry = TcTokenEntry {
                    token: token(value),
                    token_timestamp: *at,
                    sender_timestamp: *sent,
                };
                text(keys.put_tc_token(jid, &entry).await)
            }
            Self::GetToken(jid) => text(keys.get_tc_token(jid).await),
            Self::DeleteToken(jid) => text(keys.delete_tc_token(jid).await),
            Self::TokenJids => text(keys.get_all_tc_token_jids().await.map(sorted)),
            Self::ExpireTokens(received, sent) => text(keys.delete_expired_tc_tokens(*received, *sent).await),
            Self::TouchToken(jid, at) => text(keys.touch_tc_token_sender_timestamp(jid, *at).await),
            Self::ReceiveToken(jid, value, at) => text(keys.store_received_tc_token(jid, &token(value), *at).await),
            Self::StoreSent(chat, id, byte) => text(keys.store_sent_message(chat, id, &[*byte; 9]).await),
            Self::TakeSent(chat, id) => text(keys.take_sent_message(chat, id).await),
            Self::ExpireSent(seconds) => text(keys.delete_expired_sent_messages(now_secs() + seconds).await),
            Self::StorePending(rows) => {
                let messages: Vec<_> = rows.iter().map(|row| [row.3; 9]).collect();
                let row = |((chat, sender, id, _), message)| PendingInboundRow {
                    chat,
                    sender,
                    id,
                    message,
                };
                let messages = messages.iter().map(<[u8; 9]>::as_slice);
                let rows: Vec<_> = rows.iter().copied().zip(messages).map(row).collect();
                text(keys.store_pending_inbound_batch(&rows).await)
            }
            Self::GetPending(chat, sender, id) => text(keys.get_pending_inbound(chat, sender, id).await),
            Self::DeletePending(rows) => {
                let key = |&(chat, sender, id): &(Name, Name, Name)| PendingInboundKey { chat, sender, id };
                let rows: Vec<_> = rows.iter().map(key).collect();
                text(keys.delete_pending_inbound_batch(&rows).await)
            }
            Self::ExpirePending(seconds) => text(keys.delete_expired_pending_inbound(now_secs() + seconds).await),
            Self::PutSecrets(rows) => {
                let entry = |(chat, id, byte, until, at): &(Name, Name, u8, i64, i64)| MsgSecretEntry {
                    chat: Arc::from(*chat),
                    sender: Arc::from(*chat),
                    msg_id: Arc::from(*id),
                    secret: secret(*byte),
                    expires_at: *until,
                    message_ts: *at,
                };
                text(keys.put_msg_secrets(rows.iter().map(entry).collect()).await)
            }
            Self::GetSecret(chat, id) => text(keys.get_msg_secret_with_ts(chat, chat, id).await),
            Self::ExpireSecrets(now) => text(keys.delete_expired_msg_secrets(*now).await),
            _ => String::new(),
        }
    }
}

/// An answer; there are no errors.
fn text<T: std::fmt::Debug>(answer: whatsapp_rust::store::error::Result<T>) -> String {
    format!("{:?}", answer.unwrap())
}

fn secret(byte: u8) -> [u8; 32] {
    [byte; 32]
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

fn arcs<V>(rows: &[(Name, u8)], value: impl Fn(u8) -> V) -> Vec<(Arc<str>, V)> {
    rows.iter()
        .map(|(name, byte)| (Arc::from(*name), value(*byte)))
        .collect()
}

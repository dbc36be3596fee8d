//! Whom our sender key of a group was given.
//!
//! whatsapp-rust 0.7 says so of all devices that it meant to give it, also where WhatsApp refused their prekeys and nothing was
//! encrypted for any of them; and who is said to have it does not get it with a later message. But nothing can have been encrypted
//! for a device that there is no session with: of such a one it is not kept, and the next message brings the key.
//!
//! That goes by what is in the store: a session that a message made is there before the message leaves. One that could not be found
//! though it is there would cost the key once more and no message. Devices that there was a session with before are said to have the key
//! also when it was refused for others; they ask for the message, and get the key with it.

use std::collections::{HashMap, HashSet};

use wharf_store::KeyKind;
use whatsapp_rust::{
    store::{error::Result, traits::ProtocolStore as _},
    wacore::types::jid::JidExt as _,
    wacore_binary::Jid,
};

use super::{DeviceKeys, unreadable};

/// A device as it was written, and read.
type Device<'d> = (&'d str, Jid);

impl DeviceKeys {
    /// Those of these devices that nothing can have been encrypted for.
    pub(super) async fn never_met<'d>(&self, devices: impl Iterator<Item = &'d str>) -> Result<HashSet<&'d str>> {
        // What is no device's address can be looked for nowhere.
        let devices = devices.filter_map(|device| Some((device, device.parse().ok()?)));
        let not_met = self.without_session(devices.collect()).await?;
        // Whoever is known by number and hidden id is met by the hidden id, whatever their group goes by.
        let (named, mut never) = self.by_hidden_id(not_met).await?;
        never.extend(self.without_session(named).await?.into_iter().map(|(device, _)| device));
        Ok(never)
    }

    /// Those of these that there is no session with under their own address.
    async fn without_session<'d>(&self, mut devices: Vec<Device<'d>>) -> Result<Vec<Device<'d>>> {
        if devices.is_empty() {
            return Ok(devices);
        }
        let addresses = devices.iter().map(|(_, jid)| jid.to_protocol_address_string());
        let store = &self.keys.store;
        let met = store.key_names_among(&self.of, KeyKind::Session, addresses).await;
        let met: HashSet<Vec<u8>> = met.map_err(unreadable)?.into_iter().collect();
        devices.retain(|(_, jid)| !met.contains(jid.to_protocol_address_string().as_bytes()));
        Ok(devices)
    }

    /// Those of these with a number whose hidden id is known, by that; and the others.
    async fn by_hidden_id<'d>(&self, devices: Vec<Device<'d>>) -> Result<(Vec<Device<'d>>, HashSet<&'d str>)> {
        let (mut named, mut others) = (Vec::new(), HashSet::new());
        let mut known: HashMap<String, Option<String>> = HashMap::new();
        for (device, jid) in devices {
            let number = jid.user_base().to_owned();
            if jid.is_pn() && !known.contains_key(&number) {
                let mapping = self.get_pn_mapping(&number).await?;
                known.insert(number.clone(), mapping.map(|mapping| mapping.lid));
            }
            match known.get(&number).filter(|_| jid.is_pn()) {
                Some(Some(hidden)) => named.push((device, Jid::lid_device(hidden.as_str(), jid.device))),
                _ => {
                    others.insert(device);
                }
            }
        }
        Ok((named, others))
    }
}

//! The phone's sender keys: its own for each group, and those of the devices that write there.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use wacore::types::jid::JidExt as _;
use wacore_binary::Jid;
use wacore_libsignal::protocol::error::Result;
use wacore_libsignal::protocol::{
    SenderKeyDistributionMessage, SenderKeyRecord, SenderKeyStore, SignalProtocolError,
    create_sender_key_distribution_message, group_decrypt, group_encrypt, process_sender_key_distribution_message,
};
use wacore_libsignal::store::sender_key_name::SenderKeyName;

use super::Phone;

/// Sender keys, and which devices have the phone's own.
#[derive(Default)]
pub(super) struct Groups {
    keys: Keys,
    told: HashMap<String, HashSet<String>>,
}

impl Groups {
    /// A device has none of the phone's keys any more.
    pub(super) fn told_nothing(&mut self, device: &Jid) {
        let device = device.to_string();
        for told in self.told.values_mut() {
            told.remove(&device);
        }
    }
}

#[derive(Default)]
struct Keys(HashMap<String, SenderKeyRecord>);

#[async_trait]
impl SenderKeyStore for Keys {
    async fn store_sender_key(&mut self, name: &SenderKeyName, record: SenderKeyRecord) -> Result<()> {
        self.0.insert(name.cache_key().to_owned(), record);
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> Result<Option<SenderKeyRecord>> {
        Ok(self.0.get(name.cache_key()).cloned())
    }
}

fn name(group: &str, sender: &Jid) -> SenderKeyName {
    SenderKeyName::from_parts(group, sender.to_protocol_address().as_str())
}

impl Phone {
    /// The key by which others read what the phone writes to a group; made if there is none.
    ///
    /// # Errors
    /// [`SignalProtocolError`] if the key cannot be made.
    pub(crate) async fn sender_key(
        &mut self,
        group: &str,
        own: &Jid,
    ) -> std::result::Result<Vec<u8>, SignalProtocolError> {
        let share =
            create_sender_key_distribution_message(&name(group, own), &mut self.groups.keys, &mut self.rng).await?;
        Ok(share.serialized().to_vec())
    }

    /// Encrypts for a group; the key must have been made.
    ///
    /// # Errors
    /// [`SignalProtocolError`] if there is no key.
    pub(crate) async fn seal_group(
        &mut self,
        group: &str,
        own: &Jid,
        plaintext: &[u8],
    ) -> std::result::Result<Vec<u8>, SignalProtocolError> {
        let message = group_encrypt(&mut self.groups.keys, &name(group, own), plaintext, &mut self.rng).await?;
        Ok(message.serialized().to_vec())
    }

    /// Decrypts what a device wrote to a group.
    ///
    /// # Errors
    /// [`SignalProtocolError`] if its key is not known, or the message was read before.
    pub(crate) async fn open_group(
        &mut self,
        group: &str,
        sender: &Jid,
        ciphertext: &[u8],
    ) -> std::result::Result<Vec<u8>, SignalProtocolError> {
        group_decrypt(ciphertext, &mut self.groups.keys, &name(group, sender)).await
    }

    /// Learns the key of a device.
    ///
    /// # Errors
    /// [`SignalProtocolError`] if it is none.
    pub(crate) async fn learn(
        &mut self,
        group: &str,
        sender: &Jid,
        share: &[u8],
    ) -> std::result::Result<(), SignalProtocolError> {
        let share = SenderKeyDistributionMessage::try_from(share)?;
        process_sender_key_distribution_message(&name(group, sender), &share, &mut self.groups.keys).await
    }

    /// Whether the device has the phone's key; it has from now on.
    pub(crate) fn tells(&mut self, group: &str, device: &Jid) -> bool {
        self.groups
            .told
            .entry(group.to_owned())
            .or_default()
            .insert(device.to_string())
    }

    /// A device could not read the group: the next message brings the key again.
    pub(crate) fn forget_told(&mut self, group: &str, device: &Jid) {
        if let Some(told) = self.groups.told.get_mut(group) {
            told.remove(&device.to_string());
        }
    }

    /// Somebody left the group: the next message is under a new key.
    pub(crate) fn rotate(&mut self, group: &str, own: &Jid) {
        self.groups.told.remove(group);
        self.groups.keys.0.remove(name(group, own).cache_key());
    }
}

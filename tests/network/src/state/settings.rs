//! What an account's phone and its devices share beside messages (app state): collections of records, each version one
//! patch further than the one before. The key is the phone's; the server adds versions and reads nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rand::{CryptoRng, Rng as _};
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::{ExpandedAppStateKeys, decode_record, encode_record, expand_app_state_keys};
use waproto::buffa::MessageField;
use waproto::whatsapp::syncd_mutation::SyncdOperation;
use waproto::whatsapp::{KeyId, SyncActionValue, SyncdMutation, SyncdPatch, SyncdRecord, SyncdSnapshot, SyncdVersion};

use super::lock;
use crate::{NetworkError, SettingView};

/// The collections that WhatsApp's clients know.
const COLLECTIONS: [&str; 5] = [
    "critical_block",
    "critical_unblock_low",
    "regular_low",
    "regular_high",
    "regular",
];
/// At the end of what is encrypted is its MAC.
const MAC: usize = 32;

/// The key of an account's collections.
pub(crate) struct SettingsKey {
    pub(crate) id: Vec<u8>,
    pub(crate) data: [u8; 32],
}

/// The settings of one account.
pub(crate) struct Settings {
    pub(crate) key: SettingsKey,
    keys: ExpandedAppStateKeys,
    collections: Mutex<BTreeMap<String, Collection>>,
}

#[derive(Default)]
struct Collection {
    /// Its version, and the sum of what is in it.
    state: HashState,
    /// What is in it, by the MAC of its index.
    records: BTreeMap<Vec<u8>, SyncdRecord>,
    /// How it came to that; the patch of version 1 first.
    patches: Vec<SyncdPatch>,
}

/// What a device that asks for a collection gets.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct News {
    pub(crate) version: u64,
    /// All that is in it, for a device that has nothing yet.
    pub(crate) snapshot: Option<SyncdSnapshot>,
    /// What came after the version that the device has.
    pub(crate) patches: Vec<SyncdPatch>,
}

/// Something that a phone sets.
pub(crate) struct NewRecord<'a> {
    pub(crate) collection: &'static str,
    /// What it is about, for instance `["mute", "…@lid"]`.
    pub(crate) index: &'a [&'a str],
    pub(crate) value: SyncActionValue,
    /// The version of the action's form.
    pub(crate) version: i32,
}

impl Settings {
    /// Empty collections under a new key.
    pub(crate) fn new<R: CryptoRng>(rng: &mut R) -> Self {
        let mut data = [0; 32];
        rng.fill_bytes(&mut data);
        let mut id = vec![0; 6];
        if let Some(random) = id.get_mut(2..) {
            rng.fill_bytes(random);
        }
        Self {
            keys: expand_app_state_keys(&data),
            key: SettingsKey { id, data },
            collections: Mutex::default(),
        }
    }

    /// What is new in a collection for a device that has this version of it, or nothing.
    pub(crate) fn since(&self, name: &str, version: Option<u64>) -> News {
        let collections = lock(&self.collections);
        let Some(collection) = collections.get(name) else {
            return News::default();
        };
        let head = collection.state.version;
        match version.filter(|version| *version > 0) {
            None if head > 0 => News {
                version: head,
                snapshot: Some(collection.snapshot(name, &self.keys, &self.key.id)),
                patches: Vec::new(),
            },
            have => News {
                version: head,
                snapshot: None,
                patches: collection.after(have.unwrap_or_default()),
            },
        }
    }

    /// The phone sets something; returns the collection's new version.
    ///
    /// # Errors
    /// [`NetworkError::Internal`] if it cannot be written down.
    pub(crate) fn set(&self, new: &NewRecord<'_>) -> Result<u64, NetworkError> {
        let internal = |error: String| NetworkError::Internal(format!("a setting cannot be written: {error}"));
        let index = serde_json::to_vec(new.index).map_err(|error| internal(error.to_string()))?;
        let mut iv = [0; 16];
        rand::rng().fill_bytes(&mut iv);
        let (mutation, _) = encode_record(
            SyncdOperation::SET,
            &index,
            &new.value,
            &self.keys,
            &self.key.id,
            &iv,
            new.version,
        );
        let mut collections = lock(&self.collections);
        let collection = collections.entry(new.collection.to_owned()).or_default();
        let version = collection.apply(std::slice::from_ref(&mutation)).map_err(internal)?;
        let mut patch = SyncdPatch {
            version: wire_version(version),
            snapshot_mac: Some(
                collection
                    .state
                    .generate_snapshot_mac(new.collection, &self.keys.snapshot_mac),
            ),
            mutations: vec![mutation],
            key_id: key_id(&self.key.id),
            ..Default::default()
        };
        patch.patch_mac = Some(generate_patch_mac(
            &patch,
            new.collection,
            &self.keys.patch_mac,
            version,
        ));
        collection.patches.push(patch);
        Ok(version)
    }

    /// A device changes a collection of which it has this version; returns the new one, or `None` if another patch was
    /// faster.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] for a collection that does not exist or mutations that nobody can add up.
    pub(crate) fn take(&self, name: &str, base: u64, mut patch: SyncdPatch) -> Result<Option<u64>, NetworkError> {
        if !COLLECTIONS.contains(&name) {
            return Err(NetworkError::Invalid(format!("there is no collection {name:?}")));
        }
        let mut collections = lock(&self.collections);
        let collection = collections.entry(name.to_owned()).or_default();
        if collection.state.version != base {
            return Ok(None);
        }
        let version = collection
            .apply(&patch.mutations)
            .map_err(|error| NetworkError::Invalid(format!("the patch does not fit: {error}")))?;
        patch.version = wire_version(version);
        collection.patches.push(patch);
        Ok(Some(version))
    }

    /// What is set, as the phone reads it.
    pub(crate) fn view(&self) -> Vec<SettingView> {
        let collections = lock(&self.collections);
        let mut seen = Vec::new();
        for (name, collection) in collections.iter() {
            for record in collection.records.values() {
                let id = record.key_id.id.as_deref().unwrap_or_default();
                if let Ok((set, _)) = decode_record(SyncdOperation::SET, record, &self.keys, id, true) {
                    seen.push(SettingView {
                        collection: name.clone(),
                        version: collection.state.version,
                        index: set.index.clone(),
                        on: set.action_value.as_ref().and_then(is_on),
                    });
                }
            }
        }
        seen
    }
}

/// Whether a chat is archived, pinned or muted.
fn is_on(value: &SyncActionValue) -> Option<bool> {
    let archived = value
        .archive_chat_action
        .as_option()
        .and_then(|archive| archive.archived);
    let pinned = || value.pin_action.as_option().and_then(|pin| pin.pinned);
    let muted = || value.mute_action.as_option().and_then(|mute| mute.muted);
    archived.or_else(pinned).or_else(muted)
}

impl Collection {
    /// Adds up mutations; returns the new version.
    fn apply(&mut self, mutations: &[SyncdMutation]) -> Result<u64, String> {
        let records = &self.records;
        let (_, added_up) = self
            .state
            .update_hash(mutations, |index, _| Ok(records.get(index).and_then(value_mac)));
        added_up.map_err(|error| error.to_string())?;
        for mutation in mutations {
            let Some(record) = mutation.record.as_option() else {
                continue;
            };
            let index = record.index.blob.clone().unwrap_or_default();
            if mutation
                .operation
                .is_some_and(|operation| operation == SyncdOperation::REMOVE)
            {
                self.records.remove(&index);
            } else {
                self.records.insert(index, record.clone());
            }
        }
        self.state.version += 1;
        Ok(self.state.version)
    }

    fn after(&self, version: u64) -> Vec<SyncdPatch> {
        let passed = usize::try_from(version).unwrap_or(usize::MAX);
        self.patches.iter().skip(passed).cloned().collect()
    }

    fn snapshot(&self, name: &str, keys: &ExpandedAppStateKeys, id: &[u8]) -> SyncdSnapshot {
        SyncdSnapshot {
            version: wire_version(self.state.version),
            records: self.records.values().cloned().collect(),
            mac: Some(self.state.generate_snapshot_mac(name, &keys.snapshot_mac)),
            key_id: key_id(id),
        }
    }
}

fn value_mac(record: &SyncdRecord) -> Option<Vec<u8>> {
    let blob = record.value.blob.as_deref()?;
    Some(blob.get(blob.len().checked_sub(MAC)?..)?.to_vec())
}

fn wire_version(version: u64) -> MessageField<SyncdVersion> {
    MessageField::some(SyncdVersion { version: Some(version) })
}

fn key_id(id: &[u8]) -> MessageField<KeyId> {
    MessageField::some(KeyId { id: Some(id.to_vec()) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wacore::appstate::{process_patch, process_snapshot};
    use waproto::whatsapp::sync_action_value::PushNameSetting;

    use super::*;

    fn name(name: &str) -> NewRecord<'static> {
        NewRecord {
            collection: "critical_block",
            index: &["setting_pushName"],
            value: SyncActionValue {
                push_name_setting: MessageField::some(PushNameSetting {
                    name: Some(name.to_owned()),
                }),
                timestamp: Some(1),
                ..Default::default()
            },
            version: 1,
        }
    }

    #[test]
    fn a_snapshot_and_the_patches_after_it_are_what_a_device_can_check() {
        let settings = Settings::new(&mut rand::rng());
        let keys = Arc::new(expand_app_state_keys(&settings.key.data));
        assert_eq!(settings.since("critical_block", None), News::default());
        assert_eq!(settings.set(&name("Ana")).unwrap(), 1);
        assert_eq!(settings.set(&name("Ana Maria")).unwrap(), 2);
        let news = settings.since("critical_block", None);
        let mut state = HashState::default();
        let snapshot = news.snapshot.unwrap();
        let read = process_snapshot(&snapshot, &mut state, |_| Ok(Arc::clone(&keys)), true, "critical_block").unwrap();
        assert_eq!((read.mutations.len(), state.version, news.version), (1, 2, 2));
        assert_eq!(settings.set(&name("Bea")).unwrap(), 3);
        let news = settings.since("critical_block", Some(2));
        assert_eq!((news.snapshot.is_none(), news.patches.len()), (true, 1));
        let macs = &read.mutation_macs;
        let before = |index: &[u8]| {
            let known = macs.iter().find(|mac| mac.index_mac == index);
            Ok(known.map(|mac| mac.value_mac.clone()))
        };
        let patch = &news.patches[0];
        let read = process_patch(
            patch,
            &mut state,
            |_| Ok(Arc::clone(&keys)),
            before,
            true,
            "critical_block",
        )
        .unwrap();
        let value = read.mutations[0].action_value.as_ref().unwrap();
        assert_eq!(value.push_name_setting.name.as_deref(), Some("Bea"));
        assert_eq!(settings.since("critical_block", Some(3)).patches, []);
    }

    #[test]
    fn of_two_patches_on_one_version_the_first_counts() {
        let settings = Settings::new(&mut rand::rng());
        assert!(matches!(
            settings.take("other", 0, SyncdPatch::default()),
            Err(NetworkError::Invalid(_))
        ));
        assert_eq!(settings.take("regular", 0, SyncdPatch::default()).unwrap(), Some(1));
        assert_eq!(settings.take("regular", 0, SyncdPatch::default()).unwrap(), None);
        assert_eq!(settings.since("regular", Some(0)).version, 1);
    }
}

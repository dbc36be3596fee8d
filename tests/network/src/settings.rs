//! What an account's phone is set to: how it behaves towards its devices, and what it shares with them.

use waproto::buffa::MessageField;
use waproto::whatsapp::SyncActionValue;
use waproto::whatsapp::sync_action_value::{ContactAction, MuteAction, PushNameSetting};

use crate::network::Network;
use crate::serve;
use crate::state::{NewRecord, World};
use crate::{NetworkError, SettingView, clock};

/// How a phone behaves; what is left out stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhoneSettings {
    /// Whether it says by itself what was delivered; it does at first.
    pub delivery_receipts: Option<bool>,
    /// Whether it answers what its devices ask it, messages that they could not read and files that are gone; it does at
    /// first. A phone that is off does not.
    pub answers_devices: Option<bool>,
    /// Whether the account's chats with people go by hidden ids; they do at first. Devices are told when they are linked.
    pub lid_migrated: Option<bool>,
}

/// Something that a phone sets for the account, and tells all devices of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Setting {
    /// The name that others see.
    PushName(String),
    /// Somebody is in the address book.
    Contact {
        /// Their number.
        phone: String,
        /// What they are called there.
        name: String,
    },
    /// A chat is muted, or not any more.
    Mute {
        /// A number or a group.
        chat: String,
        /// Whether it is.
        muted: bool,
    },
}

impl Network {
    /// Says how an account's phone behaves.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist, [`NetworkError::Invalid`] if nothing is to be set.
    pub async fn set_phone(&self, phone: &str, settings: &PhoneSettings) -> Result<(), NetworkError> {
        if *settings == PhoneSettings::default() {
            return Err(NetworkError::Invalid(
                "nothing is to be set: delivery_receipts, answers_devices or lid_migrated is expected".to_owned(),
            ));
        }
        let account = self.world().account(phone)?;
        if let Some(by_itself) = settings.delivery_receipts {
            account.set_receipts(by_itself);
        }
        if let Some(answers) = settings.answers_devices {
            account.set_answers(answers);
        }
        if let Some(migrated) = settings.lid_migrated {
            account.set_lid_migrated(migrated);
        }
        Ok(())
    }

    /// The account's phone sets something (app state); its devices are told. Returns the new version of the collection that it
    /// is in.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account or the chat does not exist, [`NetworkError::Invalid`] if it has no name.
    pub async fn change_setting(&self, phone: &str, setting: &Setting) -> Result<u64, NetworkError> {
        let account = self.world().account(phone)?;
        if let Setting::PushName(name) = setting {
            account.rename(name);
        }
        let (collection, index, value, version) = record(self.world(), setting)?;
        let index: Vec<&str> = index.iter().map(String::as_str).collect();
        let version = account.settings.set(&NewRecord {
            collection,
            index: &index,
            value: SyncActionValue {
                timestamp: Some(clock::now_ms()),
                ..value
            },
            version,
        })?;
        serve::tell_settings(&account, None, collection, version);
        Ok(version)
    }

    /// What is set for an account, by its phone and its devices.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn settings(&self, phone: &str) -> Result<Vec<SettingView>, NetworkError> {
        Ok(self.world().account(phone)?.settings.view())
    }
}

/// Collection, index, value and version of form, as WhatsApp's phones have them.
type Record = (&'static str, Vec<String>, SyncActionValue, i32);

fn record(world: &World, setting: &Setting) -> Result<Record, NetworkError> {
    let named = |name: &str| match name.trim() {
        "" => Err(NetworkError::Invalid("the name is empty".to_owned())),
        name => Ok(Some(name.to_owned())),
    };
    Ok(match setting {
        Setting::PushName(name) => {
            let value = SyncActionValue {
                push_name_setting: MessageField::some(PushNameSetting { name: named(name)? }),
                ..Default::default()
            };
            ("critical_block", vec!["setting_pushName".to_owned()], value, 1)
        }
        Setting::Contact { phone, name } => {
            let other = world.account(phone)?;
            let value = SyncActionValue {
                contact_action: MessageField::some(ContactAction {
                    full_name: named(name)?,
                    lid_jid: Some(other.lid_jid().to_string()),
                    save_on_primary_addressbook: Some(true),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let index = vec!["contact".to_owned(), other.pn_jid().to_string()];
            ("critical_unblock_low", index, value, 2)
        }
        Setting::Mute { chat, muted } => {
            let value = SyncActionValue {
                mute_action: MessageField::some(MuteAction {
                    muted: Some(*muted),
                    // For ever.
                    mute_end_timestamp: muted.then_some(-1),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let index = vec!["mute".to_owned(), world.conversation(chat)?.jid().to_string()];
            ("regular_high", index, value, 2)
        }
    })
}

//! What an account shows of itself, as its phone sets it and as tests look at it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::network::Network;
use crate::state::Account;
use crate::{NetworkError, ProfileView, clock};

/// What a phone sets of its account's profile; what is left out stays, and an empty text takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileChange {
    /// What it says about itself.
    pub about: Option<String>,
    /// Its picture, in base64.
    pub picture: Option<String>,
    /// The name of a business that WhatsApp vouches for.
    pub verified_name: Option<String>,
    /// Whether nobody else sees what it says and its picture.
    pub hidden: Option<bool>,
    /// Whether the devices of others cannot put it into groups, and invite it instead.
    pub invite_only: Option<bool>,
    /// Numbers to block.
    pub block: Vec<String>,
    /// Numbers to block no more.
    pub unblock: Vec<String>,
}

impl Network {
    /// The account's phone changes its profile. Devices are not told.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if an account does not exist, [`NetworkError::Invalid`] if the picture is not base64.
    pub async fn change_profile(&self, phone: &str, change: &ProfileChange) -> Result<ProfileView, NetworkError> {
        let account = self.world().account(phone)?;
        let others = |phones: &[String]| -> Result<Vec<_>, NetworkError> {
            phones.iter().map(|phone| self.world().account(phone)).collect()
        };
        let (block, unblock) = (others(&change.block)?, others(&change.unblock)?);
        let (profile, now) = (&account.profile, clock::now_s());
        if let Some(picture) = &change.picture {
            let bytes = BASE64_STANDARD.decode(picture);
            let bytes = bytes.map_err(|error| NetworkError::Invalid(format!("picture is not base64: {error}")))?;
            let place = (!bytes.is_empty()).then(|| self.world().media.put(bytes));
            profile.set_picture(place, now);
        }
        if let Some(about) = &change.about {
            profile.set_about(about, now);
        }
        if let Some(name) = &change.verified_name {
            profile.set_verified_name(name);
        }
        if let Some(hidden) = change.hidden {
            profile.hide(hidden);
        }
        if let Some(invite_only) = change.invite_only {
            profile.only_invite(invite_only);
        }
        block.iter().for_each(|other| profile.block(&other.phone, true));
        unblock.iter().for_each(|other| profile.block(&other.phone, false));
        Ok(view(&account))
    }

    /// What the account shows of itself, and whom it has blocked.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn profile(&self, phone: &str) -> Result<ProfileView, NetworkError> {
        let account = self.world().account(phone)?;
        Ok(view(&account))
    }

    /// The account's picture.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist or has none.
    pub async fn picture(&self, phone: &str) -> Result<Vec<u8>, NetworkError> {
        let account = self.world().account(phone)?;
        let picture = account.profile.picture();
        let file = picture.and_then(|picture| self.world().media.get(&picture.place.direct_path));
        file.map(|file| file.to_vec())
            .ok_or_else(|| NetworkError::NotFound(format!("{} has no picture", account.phone)))
    }
}

fn view(account: &Account) -> ProfileView {
    let profile = &account.profile;
    ProfileView {
        name: account.name().to_string(),
        about: profile.about().map(|(about, _)| about),
        picture_id: profile.picture().map(|picture| picture.id),
        verified_name: profile.verified_name(),
        hidden: profile.is_hidden(),
        invite_only: profile.is_invite_only(),
        blocked: profile.blocked(),
    }
}

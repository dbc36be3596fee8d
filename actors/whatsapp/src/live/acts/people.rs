//! People: what they show of themselves, blocks, the own profile, calls that are turned down.

use wharf_domain::{
    PhoneNumber, Recipient,
    action::{Blocked, Business, ContactInfo, Done, Jpeg, Picture, ProfileInfo},
};
use whatsapp_rust::features::{BlockingError, BlocklistEntry, ContactError, ProfileError, UserInfo};
use whatsapp_rust::wacore::iq::profile::SetStatusTextSpec;
use whatsapp_rust::wacore_binary::{Jid, JidExt as _};
use whatsapp_rust::{CallError, ClientError};

use super::{Acting, UNANSWERED, changed, of_contact};
use crate::{
    SendError,
    live::{
        groups::{of_group, stopped},
        ids,
        send::{chat, of_client, of_iq, parsed},
        texts::{AsTexts, shown_name},
    },
};

impl Acting {
    pub(super) async fn contact(&self, who: &Recipient) -> Result<Done, SendError> {
        let (account, number) = match who {
            Recipient::Number(number) => (self.looked_up(number).await?, Some(number.as_str().to_owned())),
            _ => {
                let hidden = parsed(&who.jid())?;
                // The answer may name the number, which is remembered.
                let contacts = self.client.contacts();
                let asked = contacts.is_on_whatsapp(std::slice::from_ref(&hidden)).await;
                let answers = asked.map_err(of_contact)?;
                let there = answers.iter().any(|answer| answer.is_registered);
                (Some(hidden).filter(|_| there), None)
            }
        };
        let mut told = ContactInfo {
            number,
            ..ContactInfo::default()
        };
        let Some(account) = account else {
            return Ok(Done::Contact(Box::new(told)));
        };
        let shown = self.shown(&account).await?;
        let known = self.client.get_lid_pn_entry(&account).await.ok().flatten();
        let (by_number, hidden) = match account.is_pn() {
            true => (Some(account), known.map(|entry| Jid::lid(&*entry.lid))),
            false => (known.map(|entry| Jid::pn(&*entry.phone_number)), Some(account)),
        };
        told.exists = true;
        told.number = told
            .number
            .or_else(|| by_number.as_ref().map(|jid| jid.user_base().to_owned()));
        told.jid = by_number.as_ref().or(hidden.as_ref()).map(Jid::to_string);
        told.lid = hidden.map(|hidden| hidden.to_string());
        if let Some(shown) = shown {
            told.about = about_of(&shown);
            told.business = shown.is_business.then(|| Business {
                verified_name: shown.verified_name.and_then(|verified| verified.name),
            });
            told.picture_id = shown.picture_id;
            told.devices = shown.devices;
        }
        Ok(Done::Contact(Box::new(told)))
    }

    /// The account of a number, asked for anew.
    async fn looked_up(&self, number: &PhoneNumber) -> Result<Option<Jid>, SendError> {
        let asking = self.memory.numbers().ask_one(&self.client, number);
        asking.await.map_err(of_contact)
    }

    /// What somebody shows; one is asked for and one is answered, by whichever of their ids.
    async fn shown(&self, account: &Jid) -> Result<Option<UserInfo>, SendError> {
        let contacts = self.client.contacts();
        let asked = contacts.get_user_info(std::slice::from_ref(account)).await;
        Ok(asked.map_err(of_contact)?.into_values().next())
    }

    pub(super) async fn picture(&self, of: &Recipient, preview: bool) -> Result<Done, SendError> {
        let whose = chat(&self.client, &self.memory, of).await?;
        let found = self.client.contacts().get_profile_picture(&whose, preview).await;
        let found = found.map_err(|error| match error {
            ContactError::Iq(error) if whose.is_group() => of_group(error.into()),
            ContactError::Iq(error) => of_iq(&error),
            other => SendError::Failed(other.to_string()),
        })?;
        Ok(Done::Picture(found.map(|picture| Picture {
            id: picture.id,
            url: picture.url,
        })))
    }

    pub(super) async fn blocks(&self) -> Result<Done, SendError> {
        let entries = self.client.blocking().get_blocklist().await;
        let entries = entries.map_err(|error| match error {
            BlockingError::Iq(error) => of_iq(&error),
            other => SendError::Failed(other.to_string()),
        })?;
        let mut blocks = Vec::with_capacity(entries.len());
        for BlocklistEntry { jid, .. } in entries {
            blocks.push(Blocked {
                phone_number: self.number_of(&jid, None).await,
                jid: jid.to_string(),
            });
        }
        blocks.sort_by(|a, b| a.jid.cmp(&b.jid));
        Ok(Done::Blocks(blocks))
    }

    /// WhatsApp wants both ids of whom it is to block, and the hidden one of whom it is not to block any more.
    pub(super) async fn block(&self, who: &Recipient, blocked: bool) -> Result<Done, SendError> {
        let whom = self.look_up(self.whom(who, blocked)).await?;
        let blocking = self.client.blocking();
        let done = match blocked {
            true => blocking.block(&whom).await,
            false => blocking.unblock(&whom).await,
        };
        done.map(|()| Done::Done).map_err(|error| match error {
            BlockingError::Iq(error) => changed(&error),
            BlockingError::InvalidJid(why) => SendError::Impossible(why),
            other => SendError::Failed(other.to_string()),
        })
    }

    /// Whom to block or not, by an id of which the other one is known where WhatsApp wants both.
    async fn whom(&self, who: &Recipient, blocked: bool) -> Result<Jid, SendError> {
        let whom = chat(&self.client, &self.memory, who).await?;
        if (blocked || whom.is_pn()) && !self.has_both_ids(&whom).await {
            let contacts = self.client.contacts();
            let asked = contacts.is_on_whatsapp(std::slice::from_ref(&whom)).await;
            asked.map_err(of_contact)?;
            if !self.has_both_ids(&whom).await {
                let other = if whom.is_pn() { "hidden id" } else { "number" };
                return Err(SendError::Impossible(format!(
                    "WhatsApp does not tell the {other} of {who}, and blocks people by both only"
                )));
            }
        }
        Ok(whom)
    }

    async fn has_both_ids(&self, whom: &Jid) -> bool {
        matches!(self.client.get_lid_pn_entry(whom).await, Ok(Some(_)))
    }

    pub(super) async fn profile(&self) -> Result<Done, SendError> {
        let own = self.client.pn().ok_or(SendError::NotConnected)?.to_non_ad();
        let shown = self.shown(&own).await?;
        let name = Some(self.client.push_name()).filter(|name| !name.is_empty());
        Ok(Done::Profile(ProfileInfo {
            jid: own.to_string(),
            lid: self.client.lid().map(|lid| lid.to_non_ad().to_string()),
            name,
            about: shown.as_ref().and_then(about_of),
            picture_id: shown.and_then(|shown| shown.picture_id),
        }))
    }

    pub(super) async fn change_profile(&self, name: Option<String>, about: Option<String>) -> Result<Done, SendError> {
        let done: &[&str] = if name.is_some() { &["name"] } else { &[] };
        if let Some(name) = name {
            let name = shown_name(&name);
            self.client.profile().set_push_name(&name).await.map_err(of_profile)?;
            // The client tells of names that others set only.
            self.reporter.named(name);
        }
        if let Some(about) = about {
            let order = AsTexts(SetStatusTextSpec::new(about));
            let said = self.client.execute(order).await;
            said.map_err(|error| stopped("about", done, changed(&error)))?;
        }
        Ok(Done::Done)
    }

    /// Without a picture it is taken away.
    pub(super) async fn set_picture(&self, picture: Option<Jpeg>) -> Result<Done, SendError> {
        let profile = self.client.profile();
        let set = match picture {
            Some(Jpeg(picture)) => profile.set_profile_picture(picture).await,
            None => profile.remove_profile_picture().await,
        };
        set.map(|_| Done::Done).map_err(of_profile)
    }

    /// WhatsApp answers nothing to that, also where the call is over or none of this number's.
    pub(super) async fn reject_call(&self, call_id: &str, from: &Recipient) -> Result<Done, SendError> {
        let (caller, creator) = match self.memory.calls().parties(call_id) {
            Some(parties) => parties,
            // It rang before the program started, or on another link: callers are named by their hidden ids.
            None => {
                let caller = ids::called(&self.client, parsed(&from.jid())?, true).await;
                (caller.clone(), caller)
            }
        };
        let rejected = self.client.voip().reject_call(call_id, &caller, &creator).await;
        rejected.map(|()| Done::Done).map_err(|error| match error {
            CallError::Send(error) => of_told(&error),
            other => SendError::Failed(other.to_string()),
        })
    }
}

/// An empty text is one that is not shown.
fn about_of(shown: &UserInfo) -> Option<String> {
    shown.status.clone().filter(|about| !about.is_empty())
}

fn of_profile(error: ProfileError) -> SendError {
    match error {
        ProfileError::Iq(error) => changed(&error),
        ProfileError::Client(error) => of_told(&error),
        ProfileError::InvalidArgument(why) => SendError::Impossible(why),
        other => SendError::Failed(other.to_string()),
    }
}

/// Of what WhatsApp only hears, and does not answer.
fn of_told(error: &ClientError) -> SendError {
    match error {
        ClientError::Socket(_) | ClientError::EncryptSend(_) => SendError::Failed(UNANSWERED.to_owned()),
        other => of_client(other),
    }
}

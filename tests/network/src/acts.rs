//! What phones do beside writing: groups, files, receipts, presence, calls, history. What they are set to is in `settings`.

use crate::network::Network;
use crate::serve::{self, Change};
use crate::state::{Account, Group, digits};
use crate::{CallView, GroupView, NetworkError, PresenceRecord, reading};

/// What is to change about a group; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupChange {
    /// The account that does it, or the one that made the group.
    pub actor: Option<String>,
    /// Numbers that join.
    pub add: Vec<String>,
    /// Numbers that go; the actor's own number leaves.
    pub remove: Vec<String>,
    /// Numbers that become admins.
    pub promote: Vec<String>,
    /// Numbers that are admins no more.
    pub demote: Vec<String>,
    /// What it is called.
    pub subject: Option<String>,
    /// What it says of itself; an empty text takes it away.
    pub description: Option<String>,
    /// Only admins write.
    pub announcement: Option<bool>,
    /// Only admins change what it is called.
    pub locked: Option<bool>,
    /// Messages disappear after so many seconds; 0 lets them stay.
    pub ephemeral: Option<u32>,
    /// Who has the link is let in by admins.
    pub approval: Option<bool>,
    /// Members add others, and not only admins.
    pub members_add: Option<bool>,
    /// Its invitation link is another from now on.
    pub new_invite: bool,
    /// Numbers that have the link and ask to be let in.
    pub ask: Vec<String>,
    /// Numbers that asked and are let in.
    pub approve: Vec<String>,
    /// Numbers that asked and are not let in.
    pub reject: Vec<String>,
    /// Addresses of groups that come into this community.
    pub link: Vec<String>,
    /// Addresses of groups that leave this community.
    pub unlink: Vec<String>,
}

impl GroupChange {
    /// What happens to the group itself.
    fn steps(self) -> Vec<Change> {
        let some =
            |phones: Vec<String>, change: fn(Vec<String>) -> Change| (!phones.is_empty()).then(|| change(phones));
        [
            some(self.add, Change::Add),
            some(self.remove, Change::Remove),
            some(self.promote, Change::Promote),
            some(self.demote, Change::Demote),
            self.subject.map(Change::Subject),
            self.description.map(|text| Change::Description {
                text: (!text.is_empty()).then_some(text),
                id: None,
            }),
            self.announcement.map(Change::Announcement),
            self.locked.map(Change::Locked),
            self.approval.map(Change::Approval),
            self.members_add.map(Change::MembersAdd),
            self.new_invite.then_some(Change::NewInvite),
            self.ephemeral
                .map(|seconds| Change::Ephemeral((seconds > 0).then_some(seconds))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Network {
    /// Founds a group; its owner is in it with the others.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] without a subject, [`NetworkError::NotFound`] if an account does not exist.
    pub async fn create_group(
        &self,
        owner: &str,
        subject: &str,
        participants: &[String],
    ) -> Result<GroupView, NetworkError> {
        let group = serve::found(self.world(), owner, subject, participants, None).await?;
        Ok(group.view())
    }

    /// Founds a community, which has an announcement group of the same name; its owner is in both with the others.
    ///
    /// # Errors
    /// As [`Network::create_group`].
    pub async fn create_community(
        &self,
        owner: &str,
        subject: &str,
        participants: &[String],
    ) -> Result<GroupView, NetworkError> {
        let community = serve::found_community(self.world(), owner, subject, participants, false, None).await?;
        Ok(community.view())
    }

    /// Founds a group inside a community.
    ///
    /// # Errors
    /// As [`Network::create_group`]; [`NetworkError::NotFound`] if there is no such group, [`NetworkError::Conflict`] if it is
    /// no community or the owner is no admin of it.
    pub async fn create_group_inside(
        &self,
        community: &str,
        owner: &str,
        subject: &str,
        participants: &[String],
    ) -> Result<GroupView, NetworkError> {
        let group = serve::found_inside(self.world(), community, owner, subject, participants, None).await?;
        Ok(group.view())
    }

    /// All groups, oldest first.
    pub async fn groups(&self) -> Vec<GroupView> {
        self.world().groups().iter().map(|group| group.view()).collect()
    }

    /// One group.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if there is none.
    pub async fn group(&self, id: &str) -> Result<GroupView, NetworkError> {
        Ok(self.world().group(id)?.view())
    }

    /// Changes a group; members' devices are told.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the group or an account does not exist, [`NetworkError::Conflict`] if the actor may
    /// not do it or somebody is, or is not, in the group.
    pub async fn change_group(&self, id: &str, change: GroupChange) -> Result<GroupView, NetworkError> {
        let group = self.world().group(id)?;
        let actor = self.world().account(change.actor.as_deref().unwrap_or(&group.owner))?;
        let mut linked = Vec::new();
        if !change.link.is_empty() {
            linked = serve::link(self.world(), &group, &actor, &change.link, None).await?;
        }
        if !change.unlink.is_empty() {
            linked.extend(serve::unlink_groups(self.world(), &group, &actor, &change.unlink, false, None).await?);
        }
        if let Some((id, code)) = linked.first() {
            let detail = match code {
                403 => format!("{} is no admin of {id}", actor.phone),
                409 => format!("{id} is in a community already, or is one"),
                406 => format!("{id} is the announcement group and stays"),
                _ => format!("there is no group {id}, or it is not in this community"),
            };
            return Err(NetworkError::Conflict(detail));
        }
        let requests = (change.ask.clone(), change.approve.clone(), change.reject.clone());
        for step in change.steps() {
            let step = with_digits(step)?;
            let failed = serve::change(self.world(), &group, &actor, step, None).await?;
            if let Some((phone, code)) = failed.first() {
                let detail = match code {
                    409 => format!("{phone} is in the group already"),
                    406 => format!("{phone} made the group and stays its admin"),
                    _ => format!("{phone} is not in the group, or no account"),
                };
                return Err(NetworkError::Conflict(detail));
            }
        }
        self.requests(&group, &actor, requests).await?;
        Ok(group.view())
    }

    /// Some ask to be let in, some are, some are not.
    async fn requests(
        &self,
        group: &Group,
        actor: &Account,
        (ask, approve, reject): (Vec<String>, Vec<String>, Vec<String>),
    ) -> Result<(), NetworkError> {
        for phone in ask {
            let account = self.world().account(&phone)?;
            if !group.charter().approval || group.rank(&account.phone).is_some() {
                let detail = format!("{phone} is in the group, or nobody has to be asked (approval)");
                return Err(NetworkError::Conflict(detail));
            }
            serve::ask(self.world(), group, &account);
        }
        for (phones, lets_in) in [(approve, true), (reject, false)] {
            let phones = phones
                .iter()
                .map(|phone| digits(phone))
                .collect::<Result<Vec<_>, _>>()?;
            let failed = match phones.is_empty() {
                true => Vec::new(),
                false => serve::decide(self.world(), group, actor, &phones, lets_in, None).await?,
            };
            if let Some((phone, _)) = failed.first() {
                return Err(NetworkError::Conflict(format!("{phone} does not ask to be let in")));
            }
        }
        Ok(())
    }

    /// An account's phone gives a group a picture, or takes it away; members' devices are told.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the group or the account does not exist, [`NetworkError::Conflict`] if it may not,
    /// [`NetworkError::Invalid`] for what is no square JPEG of at most 640 pixels across.
    pub async fn set_group_picture(&self, id: &str, phone: &str, picture: Option<&[u8]>) -> Result<(), NetworkError> {
        let (group, account) = (self.world().group(id)?, self.world().account(phone)?);
        serve::set_picture(self.world(), &group, &account, picture, None).map(drop)
    }

    /// A group's picture.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if there is no such group, or it has none.
    pub async fn group_picture(&self, id: &str) -> Result<Vec<u8>, NetworkError> {
        let picture = self.world().group(id)?.charter().picture;
        let bytes = picture.and_then(|(_, path)| self.world().media.get(&path));
        let bytes = bytes.ok_or_else(|| NetworkError::NotFound(format!("{id} has no picture")))?;
        Ok(bytes.to_vec())
    }

    /// Ends a community, as the phone of its owner. Its announcement group goes with it, its other groups stand alone.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if there is no such group, [`NetworkError::Conflict`] if it is no community.
    pub async fn dissolve_community(&self, id: &str) -> Result<(), NetworkError> {
        let community = self.world().group(id)?;
        let owner = self.world().account(&community.owner)?;
        serve::dissolve(self.world(), &community, &owner, None)
    }

    /// The file of a message that the account's phone received or sent, decrypted.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account, the message or the file does not exist, [`NetworkError::Conflict`] if
    /// the file does not decrypt.
    pub async fn media(&self, phone: &str, id: &str) -> Result<Vec<u8>, NetworkError> {
        let world = self.world();
        let missing = || NetworkError::NotFound(format!("{phone} knows no message {id} with a file"));
        let known = world.account(phone)?.known(id).ok_or_else(missing)?;
        let message = known.message().ok_or_else(missing)?;
        let file = reading::file_of(&message).ok_or_else(missing)?;
        reading::file::plain(world, file)
            .await
            .map_err(|error| NetworkError::Conflict(format!("the file of {id} cannot be read: {error}")))
    }

    /// WhatsApp's hosts forget the file of a message that the account's phone received or sent; the phone has it still.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account, the message or the file does not exist.
    pub async fn expire_media(&self, phone: &str, id: &str) -> Result<(), NetworkError> {
        let world = self.world();
        let missing = || NetworkError::NotFound(format!("{phone} knows no message {id} whose file lies on the hosts"));
        let known = world.account(phone)?.known(id).ok_or_else(missing)?;
        let message = known.message().ok_or_else(missing)?;
        let path = reading::file_of(&message).and_then(|file| file.direct_path);
        let gone = path.is_some_and(|path| world.media.expire(&path));
        gone.then_some(()).ok_or_else(missing)
    }

    /// The small picture that a message shows before its file is there.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account or the message does not exist, or it has none.
    pub async fn thumbnail(&self, phone: &str, id: &str) -> Result<Vec<u8>, NetworkError> {
        let missing = || NetworkError::NotFound(format!("{phone} knows no message {id} with a thumbnail"));
        let known = self.world().account(phone)?.known(id).ok_or_else(missing)?;
        let message = known.message().ok_or_else(missing)?;
        reading::thumbnail_of(&message).ok_or_else(missing)
    }

    /// The account's phone sends a receipt (`read`, `played`, `delivery`, …) for messages that it received.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if it received no such message, [`NetworkError::Invalid`] for a type that does not
    /// exist.
    pub async fn send_receipts(&self, phone: &str, kind: &str, ids: &[String]) -> Result<(), NetworkError> {
        serve::send_receipts(self.world(), phone, kind, ids)
    }

    /// The account's phone is `available` or `unavailable`, or is `composing`, `recording` or `paused` in a chat.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if an account or group does not exist, [`NetworkError::Invalid`] for another state or
    /// without a chat.
    pub async fn show_presence(&self, phone: &str, state: &str, to: Option<&str>) -> Result<(), NetworkError> {
        serve::show_presence(self.world(), phone, state, to)
    }

    /// Who wrote or recorded to the account, oldest first.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn presence(&self, phone: &str) -> Result<Vec<PresenceRecord>, NetworkError> {
        Ok(self.world().account(phone)?.seen())
    }

    /// The account's phone calls an account or a group.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if either does not exist.
    pub async fn call(&self, phone: &str, to: &str, video: bool) -> Result<CallView, NetworkError> {
        serve::ring(self.world(), phone, to, video)
    }

    /// The account's phone hangs up.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if it makes no such call.
    pub async fn hang_up(&self, phone: &str, id: &str, reason: Option<&str>) -> Result<CallView, NetworkError> {
        serve::hang_up(self.world(), phone, id, reason)
    }

    /// The account's phone hands what it remembers to its devices, as after a pairing; returns how many messages it are.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn share_history(&self, phone: &str) -> Result<usize, NetworkError> {
        serve::share_history(self.world(), phone).await
    }

    /// The calls of the account's phone, oldest first.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist.
    pub async fn calls(&self, phone: &str) -> Result<Vec<CallView>, NetworkError> {
        Ok(self.world().account(phone)?.calls())
    }
}

/// Numbers as accounts have them, whatever people write between the digits.
fn with_digits(change: Change) -> Result<Change, NetworkError> {
    let all = |phones: Vec<String>| phones.iter().map(|phone| digits(phone)).collect::<Result<Vec<_>, _>>();
    Ok(match change {
        Change::Add(phones) => Change::Add(all(phones)?),
        Change::Remove(phones) => Change::Remove(all(phones)?),
        Change::Promote(phones) => Change::Promote(all(phones)?),
        Change::Demote(phones) => Change::Demote(all(phones)?),
        other => other,
    })
}

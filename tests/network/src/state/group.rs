//! A group: who is in it, what it is called, what it allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use wacore_binary::{Jid, Server};

use super::lock;
use crate::{GroupView, MemberView};

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Writes and reads.
    Member,
    /// Changes who is in it and what it is called.
    Admin,
    /// Made it.
    Owner,
}

impl Rank {
    /// The `type` of a participant on the wire; plain members have none.
    pub(crate) fn wire(self) -> Option<&'static str> {
        match self {
            Self::Member => None,
            Self::Admin => Some("admin"),
            Self::Owner => Some("superadmin"),
        }
    }

    /// Whether it is an admin's.
    pub(crate) fn rules(self) -> bool {
        self != Self::Member
    }
}

/// What a group is to a community.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing: it stands alone.
    #[default]
    Alone,
    /// It is one. It holds groups and has no chat itself.
    Community,
    /// It belongs to the one with this id.
    Linked { community: String, part: Part },
}

/// Which of a community's groups one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Where admins write and everybody in the community is.
    Announcement,
    /// Where everybody in the community writes.
    General,
    /// Any other.
    Plain,
}

/// An invitation that a member sent to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invitation {
    /// The number of who sent it.
    pub(crate) from: String,
    /// The number of whom it is for.
    pub(crate) whom: String,
    /// Until when it is good, in Unix seconds.
    pub(crate) expires: i64,
}

/// What can change about a group.
#[derive(Clone, Debug)]
pub(crate) struct Charter {
    pub(crate) subject: String,
    /// Who gave it the subject, and when in Unix seconds.
    pub(crate) subject_by: (String, u64),
    /// The description and its id.
    pub(crate) description: Option<(String, String)>,
    /// Members by number.
    pub(crate) members: BTreeMap<String, Rank>,
    /// Only admins write.
    pub(crate) announcement: bool,
    /// Only admins change what it is called.
    pub(crate) locked: bool,
    /// Messages disappear after so many seconds.
    pub(crate) ephemeral: Option<u32>,
    /// Who has the link is let in by admins.
    pub(crate) approval: bool,
    /// Members add others, and not only admins.
    pub(crate) members_add: bool,
    /// The id of its picture, and the path at which that lies in the media store.
    pub(crate) picture: Option<(String, String)>,
    /// Numbers that ask to be let in, and since when in Unix seconds.
    pub(crate) requests: BTreeMap<String, u64>,
    /// The code of its invitation link.
    pub(crate) invite: String,
    /// Codes that it had before.
    pub(crate) old_invites: BTreeSet<String>,
    /// Invitations that members sent to people, by code.
    pub(crate) invitations: BTreeMap<String, Invitation>,
    pub(crate) standing: Standing,
}

impl Charter {
    /// Whether that number may write, or why not.
    pub(crate) fn may_write(&self, phone: &str) -> Result<(), &'static str> {
        match self.members.get(phone) {
            None => Err("it is not in the group"),
            Some(_) if self.standing == Standing::Community => Err("a community has no chat, only its groups have"),
            Some(rank) if self.announcement && !rank.rules() => Err("only admins write there"),
            Some(_) => Ok(()),
        }
    }

    /// The id of the community that it belongs to.
    pub(crate) fn community(&self) -> Option<&str> {
        match &self.standing {
            Standing::Linked { community, .. } => Some(community),
            Standing::Alone | Standing::Community => None,
        }
    }

    /// Which part of a community it is.
    pub(crate) fn part(&self) -> Option<Part> {
        match self.standing {
            Standing::Linked { part, .. } => Some(part),
            Standing::Alone | Standing::Community => None,
        }
    }
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    /// The part before `@g.us`.
    pub(crate) id: String,
    /// The number of the account that made it.
    pub(crate) owner: String,
    /// Unix seconds.
    pub(crate) created: u64,
    charter: Mutex<Charter>,
}

impl Group {
    /// A new group; its maker is the owner.
    pub(crate) fn new(id: String, owner: &str, subject: &str, others: &[String], now: u64, invite: String) -> Self {
        let mut members: BTreeMap<_, _> = others.iter().map(|phone| (phone.clone(), Rank::Member)).collect();
        members.insert(owner.to_owned(), Rank::Owner);
        Self {
            id,
            owner: owner.to_owned(),
            created: now,
            charter: Mutex::new(Charter {
                subject: subject.to_owned(),
                subject_by: (owner.to_owned(), now),
                description: None,
                members,
                announcement: false,
                locked: false,
                ephemeral: None,
                approval: false,
                members_add: true,
                picture: None,
                requests: BTreeMap::new(),
                invite,
                old_invites: BTreeSet::new(),
                invitations: BTreeMap::new(),
                standing: Standing::Alone,
            }),
        }
    }

    /// Its address.
    pub(crate) fn jid(&self) -> Jid {
        Jid::new(self.id.as_str(), Server::Group)
    }

    /// What it is now.
    pub(crate) fn charter(&self) -> Charter {
        lock(&self.charter).clone()
    }

    /// Changes it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Charter) -> T) -> T {
        change(&mut lock(&self.charter))
    }

    /// A member's rank.
    pub(crate) fn rank(&self, phone: &str) -> Option<Rank> {
        lock(&self.charter).members.get(phone).copied()
    }

    /// The numbers of its members.
    pub(crate) fn members(&self) -> Vec<String> {
        lock(&self.charter).members.keys().cloned().collect()
    }

    /// What the admin routes show.
    pub(crate) fn view(&self) -> GroupView {
        let charter = self.charter();
        GroupView {
            is_community: charter.standing == Standing::Community,
            is_community_announce: charter.part() == Some(Part::Announcement),
            linked_parent: charter.community().map(|id| Jid::new(id, Server::Group).to_string()),
            id: self.jid().to_string(),
            subject: charter.subject,
            owner: self.owner.clone(),
            description: charter.description.map(|(_, text)| text),
            announcement: charter.announcement,
            locked: charter.locked,
            ephemeral: charter.ephemeral,
            approval: charter.approval,
            members_add: charter.members_add,
            picture: charter.picture.map(|(id, _)| id),
            invite: charter.invite,
            requests: charter.requests.into_keys().collect(),
            participants: charter
                .members
                .into_iter()
                .map(|(phone, rank)| MemberView {
                    phone,
                    role: rank.wire().unwrap_or("member").to_owned(),
                })
                .collect(),
        }
    }
}

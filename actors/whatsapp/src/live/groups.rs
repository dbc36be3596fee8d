//! Groups: listed, changed, left; their pictures. Who is in them is in `members`, how people come in by themselves in `invites`.

use wharf_domain::{
    GroupId, Timestamp,
    action::{Done, GroupInfo, GroupPatch, Jpeg, MemberAddMode, Participant},
};
use whatsapp_rust::features::{
    GroupDescription, GroupError, GroupMetadata, GroupParticipant, GroupSubject, MemberAddMode as AddMode,
    MembershipApprovalMode as ApprovalMode,
};
use whatsapp_rust::wacore::{
    iq::{
        groups::{GroupInfoOutcome, GroupQueryIq, LeaveGroupIq, SetGroupDescriptionIq, SetGroupSubjectIq},
        spec::IqSpec,
    },
    request::InfoQuery,
};
use whatsapp_rust::wacore_binary::{Jid, NodeRef};
use whatsapp_rust::{IqError, anyhow};

use super::{
    acts::{Acting, UNANSWERED, is_unanswered},
    ids,
    send::{of_iq, parsed},
    texts::AsTexts,
};
use crate::SendError;

/// How often a description is written over another that came in between.
const DESCRIPTION_TRIES: u32 = 2;
/// WhatsApp's code for a description that is not the one before any more.
const CONFLICT: u16 = 409;

impl Acting {
    pub(super) async fn groups(&self) -> Result<Done, SendError> {
        let found = self.client.groups().get_participating().await.map_err(of_group)?;
        let mut groups: Vec<GroupInfo> = found.into_values().map(told).collect();
        groups.sort_by(|a, b| (&a.subject, &a.id).cmp(&(&b.subject, &b.id)));
        Ok(Done::Groups(groups))
    }

    pub(super) async fn group(&self, group: &GroupId) -> Result<Done, SendError> {
        let question = GroupIq(GroupQueryIq::new(&parsed(group.as_str())?));
        let asked = self.client.execute(question).await;
        let (found, mode) = asked.map_err(|error| of_group(error.into()))?;
        let GroupInfoOutcome::Full(found) = found else {
            return Err(SendError::Failed("WhatsApp did not say what the group is".to_owned()));
        };
        let mut found = GroupMetadata {
            member_add_mode: mode,
            ..GroupMetadata::from(*found)
        };
        for person in &mut found.participants {
            if person.phone_number.is_none() {
                person.phone_number = self.number_of(&person.jid, None).await.map(Jid::pn);
            }
        }
        Ok(Done::Group(told(found)))
    }

    /// Changes one thing after another, and answers the group as it is then.
    pub(super) async fn patch(&self, group: &GroupId, patch: GroupPatch) -> Result<Done, SendError> {
        let jid = parsed(group.as_str())?;
        let mut changed = Vec::new();
        for (field, change) in changes(patch) {
            match self.settle(&jid, change).await {
                Ok(()) => changed.push(field),
                Err(error) => return Err(stopped(field, &changed, error)),
            }
        }
        self.group(group).await.map_err(|error| match changed.is_empty() {
            true => error,
            false => SendError::Failed(format!("the group is changed, but cannot be shown: {error}")),
        })
    }

    async fn settle(&self, group: &Jid, change: Change) -> Result<(), SendError> {
        let groups = self.client.groups();
        let settled = match change {
            Change::Subject(subject) => {
                let name = GroupSubject::new(subject.as_str()).map_err(of_limit)?;
                let order = AsTexts(SetGroupSubjectIq::new(group, name));
                let set = self.client.execute(order).await.map_err(GroupError::from);
                if set.is_ok() {
                    // WhatsApp tells the others only.
                    self.memory.subjects().learn(group, &subject);
                }
                set
            }
            Change::Description(text) => return self.describe(group, text).await,
            Change::Announce(on) => groups.set_announce(group.clone(), on).await,
            Change::Locked(on) => groups.set_locked(group.clone(), on).await,
            Change::Ephemeral(seconds) => {
                let set = groups.set_ephemeral(group.clone(), seconds).await;
                if set.is_ok() {
                    // WhatsApp tells the other devices only.
                    self.timers.set_now(group, seconds).await;
                }
                set
            }
            Change::JoinApproval(on) => {
                let mode = if on { ApprovalMode::On } else { ApprovalMode::Off };
                groups.set_membership_approval(group.clone(), mode).await
            }
            Change::MemberAddMode(mode) => {
                let mode = match mode {
                    MemberAddMode::Admins => AddMode::AdminAdd,
                    MemberAddMode::All => AddMode::AllMemberAdd,
                };
                groups.set_member_add_mode(group.clone(), mode).await
            }
        };
        settled.map_err(of_change)
    }

    /// WhatsApp takes a description only from whoever knows the one before: it is read, and once more if somebody was quicker.
    async fn describe(&self, group: &Jid, text: Option<String>) -> Result<(), SendError> {
        let groups = self.client.groups();
        let mut tries = 0;
        loop {
            tries += 1;
            let now = groups.get_metadata(group).await.map_err(of_group)?;
            if now.description.is_none() && text.is_none() {
                return Ok(());
            }
            let wanted = text.clone().map(GroupDescription::new).transpose().map_err(of_limit)?;
            let order = AsTexts(SetGroupDescriptionIq::new(group, wanted, now.description_id.as_deref()));
            match self.client.execute(order).await {
                Err(IqError::ServerError { code: CONFLICT, .. }) if tries < DESCRIPTION_TRIES => {}
                Err(IqError::ServerError { code: CONFLICT, .. }) => {
                    return Err(SendError::Refused {
                        code: CONFLICT.to_string(),
                        words: "somebody else changes the description at the same time, ask again".to_owned(),
                    });
                }
                settled => return settled.map_err(|error| of_change(error.into())),
            }
        }
    }

    pub(super) async fn leave(&self, group: &GroupId) -> Result<Done, SendError> {
        let group = parsed(group.as_str())?;
        let order = LeaveIq(LeaveGroupIq::new(&group));
        let left = self.client.execute(order).await;
        match left.map_err(|error| of_change(error.into()))? {
            None => {
                // The library forgets who is in a group with its own order only, which looks at no answer: by the time this number is
                // in it again, others may be, who could not read what it sends. A group that is left already stays so.
                if let Err(error) = self.client.groups().leave(group).await {
                    tracing::debug!(%error, "who was in a group that was left is still remembered");
                }
                Ok(Done::Done)
            }
            Some(code) => Err(SendError::Refused {
                code,
                words: "this number is not in the group, or there is no such group".to_owned(),
            }),
        }
    }

    /// Without a picture it is taken away.
    pub(super) async fn set_group_picture(&self, group: &GroupId, picture: Option<Jpeg>) -> Result<Done, SendError> {
        let group = parsed(group.as_str())?;
        let groups = self.client.groups();
        let set = match picture {
            Some(Jpeg(picture)) => groups.set_profile_picture(group, picture).await,
            None => groups.remove_profile_picture(group).await,
        };
        set.map(|_| Done::Done).map_err(of_change)
    }

    /// The number of somebody: as WhatsApp said it, or where it is known here.
    pub(super) async fn number_of(&self, person: &Jid, said: Option<String>) -> Option<String> {
        if said.is_some() {
            return said;
        }
        let known = ids::called(&self.client, person.clone(), false).await;
        known.is_pn().then(|| known.user_base().to_owned())
    }
}

/// The group, or the community, in an answer.
pub(super) fn group_in<'r>(response: &'r NodeRef<'_>) -> Option<&'r NodeRef<'r>> {
    response
        .get_optional_child("group")
        .or_else(|| response.get_optional_child("community"))
}

/// The library's order; it does not look at what became of it.
struct LeaveIq(LeaveGroupIq);

impl IqSpec for LeaveIq {
    /// WhatsApp's code, where the group was not left.
    type Response = Option<String>;

    fn build_iq(&self) -> InfoQuery<'static> {
        self.0.build_iq()
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> anyhow::Result<Self::Response> {
        let group = response.get_optional_child("leave").and_then(group_in);
        let error = group.and_then(|group| group.attrs().optional_string("error").map(|code| code.into_owned()));
        Ok(error)
    }
}

/// The library's question; it does not find in the answer who adds people.
struct GroupIq(GroupQueryIq);

impl IqSpec for GroupIq {
    type Response = (GroupInfoOutcome, Option<AddMode>);

    fn build_iq(&self) -> InfoQuery<'static> {
        self.0.build_iq()
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> anyhow::Result<Self::Response> {
        let group = group_in(response);
        let mode = group.and_then(|group| group.get_optional_child("member_add_mode"));
        let mode = mode.and_then(|mode| mode.content_as_string());
        let mode = mode.and_then(|mode| AddMode::try_from(mode.as_str()).ok());
        Ok((self.0.parse_response(response)?, mode))
    }
}

/// One of the things that a patch changes.
enum Change {
    Subject(String),
    Description(Option<String>),
    Announce(bool),
    Locked(bool),
    Ephemeral(u32),
    JoinApproval(bool),
    MemberAddMode(MemberAddMode),
}

/// What a patch changes, each with its field; who may write and change comes after what is written.
fn changes(patch: GroupPatch) -> impl Iterator<Item = (&'static str, Change)> {
    let GroupPatch {
        subject,
        description,
        announce,
        locked,
        ephemeral_seconds,
        join_approval,
        member_add_mode,
    } = patch;
    let all = [
        ("subject", subject.map(Change::Subject)),
        ("description", description.map(Change::Description)),
        ("ephemeral_seconds", ephemeral_seconds.map(Change::Ephemeral)),
        ("announce", announce.map(Change::Announce)),
        ("locked", locked.map(Change::Locked)),
        ("join_approval", join_approval.map(Change::JoinApproval)),
        ("member_add_mode", member_add_mode.map(Change::MemberAddMode)),
    ];
    all.into_iter().filter_map(|(field, change)| Some((field, change?)))
}

/// A change that was not made, with those that were before it.
pub(super) fn stopped(field: &str, changed: &[&str], error: SendError) -> SendError {
    let before = match changed {
        [] => String::new(),
        changed => format!("; changed before it: {}", changed.join(", ")),
    };
    match error {
        SendError::Refused { code, words } => {
            let is_gone = code == "404" && !changed.is_empty();
            let words = format!("{words} (at {field}{before})");
            let refused = SendError::Refused { code, words };
            match is_gone {
                // By this code it would be told as one that there is not, without what was changed before.
                true => SendError::Impossible(refused.to_string()),
                false => refused,
            }
        }
        // Nothing was done that would have to be told.
        other if changed.is_empty() => other,
        other => SendError::Failed(format!("{other} (at {field}{before})")),
    }
}

/// The domain has the same limits, and looked before.
#[expect(clippy::needless_pass_by_value, reason = "map_err passes values")]
fn of_limit(error: anyhow::Error) -> SendError {
    SendError::Impossible(error.to_string())
}

pub(super) fn told(group: GroupMetadata) -> GroupInfo {
    let owner = group.creator_pn.or(group.creator);
    let seconds = group.creation_time.and_then(|seconds| i64::try_from(seconds).ok());
    GroupInfo {
        id: group.id.to_string(),
        subject: group.subject,
        description: group.description,
        owner: owner.map(|owner| owner.user_base().to_owned()),
        created_at: seconds.map(Timestamp::from_seconds),
        announce: group.is_announcement,
        locked: group.is_locked,
        ephemeral_seconds: group.ephemeral.and_then(|set| set.expiration).unwrap_or(0),
        join_approval: group.membership_approval,
        member_add_mode: group.member_add_mode.map(|mode| match mode {
            AddMode::AdminAdd => MemberAddMode::Admins,
            AddMode::AllMemberAdd => MemberAddMode::All,
        }),
        is_community: group.is_parent_group,
        is_community_announce: group.is_default_sub_group,
        linked_parent: group.parent_group_jid.map(|parent| parent.to_string()),
        participants: group.participants.into_iter().map(participant).collect(),
        refused: Vec::new(),
    }
}

fn participant(person: GroupParticipant) -> Participant {
    let role = match (person.is_super_admin(), person.is_admin()) {
        (true, _) => "superadmin",
        (false, true) => "admin",
        (false, false) => "member",
    };
    let number = person
        .phone_number
        .or_else(|| Some(person.jid.clone()).filter(Jid::is_pn));
    Participant {
        jid: person.jid.to_string(),
        phone_number: number.map(|number| number.user_base().to_owned()),
        role: role.to_owned(),
    }
}

pub(super) fn of_group(error: GroupError) -> SendError {
    match error {
        GroupError::Iq(error) => match of_iq(&error) {
            SendError::Refused { code, words } if code == "401" || code == "403" => SendError::Refused {
                words: format!("{words}, this number is no admin of the group, or not in it"),
                code,
            },
            other => other,
        },
        GroupError::InvalidRequest(why) => SendError::Impossible(why),
        other => SendError::Failed(other.to_string()),
    }
}

/// Of what leaves something behind at WhatsApp: once the request is out, only its answer says what came of it.
pub(super) fn of_change(error: GroupError) -> SendError {
    match error {
        GroupError::Iq(error) if is_unanswered(&error) => SendError::Failed(UNANSWERED.to_owned()),
        other => of_group(other),
    }
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::IqError;

    use super::*;

    fn refused(code: &str) -> SendError {
        SendError::Refused {
            code: code.to_owned(),
            words: "forbidden".to_owned(),
        }
    }

    #[test]
    fn a_refused_change_says_which_one_and_what_was_changed_before() {
        let of = |changed: &[&str], error| stopped("locked", changed, error).to_string();
        assert_eq!(
            of(&[], refused("403")),
            "WhatsApp refused it: forbidden (at locked) (403)"
        );
        assert_eq!(
            of(&["subject", "announce"], refused("403")),
            "WhatsApp refused it: forbidden (at locked; changed before it: subject, announce) (403)"
        );
        let [none, gone] = [&[][..], &["subject"]].map(|changed| stopped("locked", changed, refused("404")));
        assert!(matches!(none, SendError::Refused { .. }), "it is told as no such group");
        assert!(matches!(gone, SendError::Impossible(_)), "with what was changed before");
        assert_eq!(
            of(&["subject"], refused("404")),
            "WhatsApp refused it: forbidden (at locked; changed before it: subject) (404)"
        );
        assert_eq!(stopped("locked", &[], SendError::NotConnected), SendError::NotConnected);
        let half_done = stopped("locked", &["subject"], SendError::NotConnected);
        assert!(
            matches!(&half_done, SendError::Failed(why) if why.contains("changed before it: subject")),
            "{half_done}"
        );
    }

    #[test]
    fn a_change_whose_answer_was_not_heard_may_have_been_made() {
        for closed in [|| IqError::InternalChannelClosed, || IqError::NotConnected] {
            let unknown = SendError::Failed(UNANSWERED.to_owned());
            assert_eq!(of_change(GroupError::Iq(closed())), unknown);
            let looked_up = of_group(GroupError::Iq(closed()));
            assert_eq!(looked_up, SendError::NotConnected, "a look-up leaves nothing behind");
        }
    }
}

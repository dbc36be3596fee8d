//! Groups, as a client asks for them and changes them; invite links and invitations (docs/SENDING.md).

use serde_json::Value;
use warp::http::StatusCode;
use wharf_domain::{
    GroupId, InvalidField, PhoneNumber, Recipient,
    action::{
        Action, Done, GroupPatch, Invitation, InviteCode, MemberAddMode, PARTICIPANTS_MAX, check_description,
        check_ephemeral, check_subject,
    },
};

use super::{
    actions::{act, answer, look},
    call::{Answer, Call, json},
    fields::{self, Fields},
    pictures,
    values::{checked, person, persons, phones},
};

/// `GET /api/whatsapp/connections/:phone_number/groups`
pub(super) async fn all(call: Call) -> Answer {
    answer(look(&call, Action::Groups).await?)
}

/// `GET /api/whatsapp/connections/:phone_number/groups/:group_id`
pub(super) async fn one(call: Call) -> Answer {
    let group = group_id(&call)?;
    answer(look(&call, Action::Group(group)).await?)
}

/// `POST /api/whatsapp/connections/:phone_number/groups`
pub(super) async fn create(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let subject = body.required("subject", checked(check_subject));
    let participants = body.required("participants", numbers);
    body.finish()?;
    let action = Action::CreateGroup {
        subject: subject?,
        participants: participants?,
    };
    match act(&call, action, "create group").await? {
        Done::Group(group) => json(StatusCode::CREATED, &group),
        other => answer(other),
    }
}

/// `POST /api/whatsapp/connections/:phone_number/groups/:group_id/participants`
pub(super) async fn participants(call: Call) -> Answer {
    let group = group_id(&call)?;
    let mut body = Fields::parse(&call.body)?;
    let [add, remove, promote, demote] =
        ["add", "remove", "promote", "demote"].map(|name| body.optional(name, members).map(Option::unwrap_or_default));
    let nothing = [&add, &remove, &promote, &demote]
        .iter()
        .all(|list| list.as_ref().is_ok_and(Vec::is_empty));
    if nothing {
        let missing = InvalidField::new("add", "is missing: at least one of add, remove, promote, demote");
        body.note(missing);
    }
    body.finish()?;
    let action = Action::ChangeParticipants {
        group,
        add: add?,
        remove: remove?,
        promote: promote?,
        demote: demote?,
    };
    answer(act(&call, action, "participants").await?)
}

/// `POST /api/whatsapp/connections/:phone_number/groups/:group_id/leave`
pub(super) async fn leave(call: Call) -> Answer {
    Fields::parse(&call.body)?.finish()?;
    let group = group_id(&call)?;
    answer(act(&call, Action::LeaveGroup(group), "leave").await?)
}

/// `PATCH /api/whatsapp/connections/:phone_number/groups/:group_id`
pub(super) async fn change(call: Call) -> Answer {
    let group = group_id(&call)?;
    let mut body = Fields::parse(&call.body)?;
    let subject = body.optional("subject", checked(check_subject));
    let description = body.optional("description", description_or_null);
    let announce = body.optional("announce", fields::boolean);
    let locked = body.optional("locked", fields::boolean);
    let ephemeral_seconds = body.optional("ephemeral_seconds", |name, value| {
        check_ephemeral(name, fields::unsigned(&value))
    });
    let join_approval = body.optional("join_approval", fields::boolean);
    let member_add_mode = body.optional("member_add_mode", member_add_mode);
    body.finish()?;
    let patch = GroupPatch {
        subject: subject?,
        description: description?,
        announce: announce?,
        locked: locked?,
        ephemeral_seconds: ephemeral_seconds?,
        join_approval: join_approval?,
        member_add_mode: member_add_mode?,
    };
    answer(act(&call, Action::ChangeGroup { group, patch }, "change group").await?)
}

/// `GET /api/whatsapp/connections/:phone_number/groups/:group_id/picture`
pub(super) async fn picture(call: Call) -> Answer {
    pictures::show(&call, Recipient::Group(group_id(&call)?)).await
}

/// `PUT /api/whatsapp/connections/:phone_number/groups/:group_id/picture`
pub(super) async fn set_picture(call: Call) -> Answer {
    let group = group_id(&call)?;
    pictures::set(call, Some(group)).await
}

/// `DELETE /api/whatsapp/connections/:phone_number/groups/:group_id/picture`
pub(super) async fn delete_picture(call: Call) -> Answer {
    pictures::remove(&call, Some(group_id(&call)?)).await
}

/// `GET /api/whatsapp/connections/:phone_number/groups/:group_id/invite`
pub(super) async fn invite(call: Call) -> Answer {
    let (group, reset) = (group_id(&call)?, false);
    answer(look(&call, Action::Invite { group, reset }).await?)
}

/// `POST /api/whatsapp/connections/:phone_number/groups/:group_id/invite/reset`
pub(super) async fn reset_invite(call: Call) -> Answer {
    Fields::parse(&call.body)?.finish()?;
    let (group, reset) = (group_id(&call)?, true);
    answer(act(&call, Action::Invite { group, reset }, "reset invite").await?)
}

/// `GET /api/whatsapp/connections/:phone_number/invites/:code`
pub(super) async fn invited_to(call: Call) -> Answer {
    let code = invite_code(&call)?;
    answer(look(&call, Action::InvitedTo(code)).await?)
}

/// `POST /api/whatsapp/connections/:phone_number/invites/:code/join`
pub(super) async fn join(call: Call) -> Answer {
    let code = invite_code(&call)?;
    let mut body = Fields::parse(&call.body)?;
    let invitation = body.object("invitation", |fields| {
        let group = fields.required("group", group);
        let from = fields.required("from", person);
        let expires_at = fields.optional("expires_at", fields::time);
        Ok(Invitation {
            group: group?,
            code: code.clone(),
            from: from?,
            expires_at: expires_at?,
        })
    });
    body.finish()?;
    let action = match invitation? {
        Some(invitation) => Action::AcceptInvitation(invitation),
        None => Action::JoinByInvite(code),
    };
    answer(act(&call, action, "join").await?)
}

/// `GET /api/whatsapp/connections/:phone_number/groups/:group_id/requests`
pub(super) async fn requests(call: Call) -> Answer {
    let group = group_id(&call)?;
    answer(look(&call, Action::JoinRequests(group)).await?)
}

/// `POST /api/whatsapp/connections/:phone_number/groups/:group_id/requests`
pub(super) async fn decide(call: Call) -> Answer {
    let group = group_id(&call)?;
    let mut body = Fields::parse(&call.body)?;
    let [approve, reject] =
        ["approve", "reject"].map(|name| body.optional(name, members).map(Option::unwrap_or_default));
    if let (Ok(approve), Ok(reject)) = (&approve, &reject) {
        let wrong = match (
            approve.is_empty() && reject.is_empty(),
            approve.iter().any(|one| reject.contains(one)),
        ) {
            (true, _) => Some(("approve", "is missing: at least one of approve, reject")),
            (_, true) => Some(("reject", "names somebody whom approve names too")),
            (false, false) => None,
        };
        if let Some((name, wrong)) = wrong {
            body.note(InvalidField::new(name, wrong));
        }
    }
    body.finish()?;
    let action = Action::DecideJoinRequests {
        group,
        approve: approve?,
        reject: reject?,
    };
    answer(act(&call, action, "join requests").await?)
}

/// Refuses the id of a group that is none, before the file of a request comes.
pub(super) fn check_group(call: &Call) -> Result<(), InvalidField> {
    group_id(call).map(drop)
}

fn group_id(call: &Call) -> Result<GroupId, InvalidField> {
    GroupId::parse("group_id", &call.second)
}

fn group(name: &'static str, value: Value) -> Result<GroupId, InvalidField> {
    GroupId::parse(name, &fields::string(name, value)?)
}

fn invite_code(call: &Call) -> Result<InviteCode, InvalidField> {
    InviteCode::parse("code", &call.second)
}

fn description_or_null(name: &'static str, value: Value) -> Result<Option<String>, InvalidField> {
    let text = fields::text_or_null(name, value)?.filter(|text| !text.is_empty());
    check_description(name, text.as_deref().unwrap_or_default()).map(|()| text)
}

fn member_add_mode(name: &'static str, value: Value) -> Result<MemberAddMode, InvalidField> {
    let known = value.as_str().and_then(MemberAddMode::from_word);
    known.ok_or_else(|| InvalidField::new(name, format!("must be one of {}", MemberAddMode::words())))
}

fn members(name: &'static str, value: Value) -> Result<Vec<Recipient>, InvalidField> {
    bounded(name, persons(name, value)?)
}

fn numbers(name: &'static str, value: Value) -> Result<Vec<PhoneNumber>, InvalidField> {
    bounded(name, phones(name, value)?)
}

fn bounded<T>(name: &'static str, people: Vec<T>) -> Result<Vec<T>, InvalidField> {
    match people.len() {
        1..=PARTICIPANTS_MAX => Ok(people),
        _ => Err(InvalidField::new(
            name,
            format!("must be 1 to {PARTICIPANTS_MAX} numbers"),
        )),
    }
}

//! People: what they show of themselves, blocks, the own profile, calls (docs/SENDING.md).

use serde_json::Value;
use warp::http::StatusCode;
use wharf_domain::{
    GroupId, InvalidField, Recipient,
    action::{Action, Done, check_about, check_call_id, check_name},
};

use super::{
    actions::{act, answer, look},
    call::{Answer, Call},
    fields::{self, Fields},
    idempotency::idempotency_key,
    messages::{self, person},
    problem::Problem,
    query::Query,
};

/// What is said where there is no picture: WhatsApp answers the same to all of it.
const NO_PICTURE: &str =
    "there is no picture to be had: none is set, or it is not shown to this number, or nobody has this id";

/// `GET /api/whatsapp/connections/:phone_number/contacts/:number`
pub(super) async fn contact(call: Call) -> Answer {
    let who = somebody(&call)?;
    answer(look(&call, Action::Contact(who)).await?)
}

/// `GET /api/whatsapp/connections/:phone_number/contacts/:number/picture`
pub(super) async fn picture(call: Call) -> Answer {
    show(&call, somebody(&call)?).await
}

/// The picture of somebody or of a group.
pub(super) async fn show(call: &Call, of: Recipient) -> Answer {
    let mut query = Query::parse(&call.query);
    let preview = query.optional("preview", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".into()),
    });
    query.finish()?;
    let preview = preview.unwrap_or(false);
    match look(call, Action::Picture { of, preview }).await? {
        Done::Picture(None) => Err(Problem::new(StatusCode::NOT_FOUND, NO_PICTURE)),
        found => answer(found),
    }
}

/// `GET /api/whatsapp/connections/:phone_number/blocks`
pub(super) async fn blocks(call: Call) -> Answer {
    answer(look(&call, Action::Blocks).await?)
}

/// `PUT /api/whatsapp/connections/:phone_number/blocks/:number`
pub(super) async fn block(call: Call) -> Answer {
    let who = somebody(&call)?;
    answer(act(&call, Action::Block(who), "block").await?)
}

/// `DELETE /api/whatsapp/connections/:phone_number/blocks/:number`
pub(super) async fn unblock(call: Call) -> Answer {
    let who = somebody(&call)?;
    answer(act(&call, Action::Unblock(who), "unblock").await?)
}

/// `GET /api/whatsapp/connections/:phone_number/profile`
pub(super) async fn profile(call: Call) -> Answer {
    answer(look(&call, Action::Profile).await?)
}

/// `PATCH /api/whatsapp/connections/:phone_number/profile`
pub(super) async fn update_profile(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let name = body.optional("name", |name, value| checked(name, value, check_name));
    let about = body.optional("about", |name, value| checked(name, value, check_about));
    body.finish()?;
    let action = Action::ChangeProfile {
        name: name?,
        about: about?,
    };
    answer(act(&call, action, "profile").await?)
}

/// `PUT /api/whatsapp/connections/:phone_number/profile/picture`
pub(super) async fn set_picture(call: Call) -> Answer {
    set(call, None).await
}

/// Shows another picture, of the account or of a group.
pub(super) async fn set(mut call: Call, group: Option<GroupId>) -> Answer {
    let phone = call.phone()?;
    let key = idempotency_key(&call, "picture")?;
    let picture = messages::picture(&mut call).await?;
    answer(call.desk.set_picture(call.client, &phone, group, picture, key).await?)
}

/// `DELETE /api/whatsapp/connections/:phone_number/profile/picture`
pub(super) async fn remove_picture(call: Call) -> Answer {
    remove(&call, None).await
}

/// Shows none, of the account or of a group.
pub(super) async fn remove(call: &Call, group: Option<GroupId>) -> Answer {
    let none = Action::SetPicture { group, picture: None };
    answer(act(call, none, "remove picture").await?)
}

/// `POST /api/whatsapp/connections/:phone_number/calls/:call_id/reject`
pub(super) async fn reject_call(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let from = body.required("from", person);
    body.finish()?;
    check_call_id("call_id", &call.second)?;
    let action = Action::RejectCall {
        call_id: call.second.clone(),
        from: from?,
    };
    answer(act(&call, action, "reject call").await?)
}

/// The person in the path: a number, written as freely as in a body, or a hidden id.
fn somebody(call: &Call) -> Result<Recipient, InvalidField> {
    Recipient::parse_person("number", &call.second)
}

fn checked(
    name: &'static str,
    value: Value,
    check: fn(&'static str, &str) -> Result<(), InvalidField>,
) -> Result<String, InvalidField> {
    let text = fields::string(name, value)?;
    check(name, &text).map(|()| text)
}

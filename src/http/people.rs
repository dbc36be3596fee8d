//! People: what they show of themselves, blocks, the own profile, calls (docs/SENDING.md).

use wharf_domain::{
    InvalidField, Recipient,
    action::{Action, check_about, check_call_id, check_name},
};

use super::{
    actions::{act, answer, look},
    call::{Answer, Call},
    fields::Fields,
    pictures,
    values::{checked, person},
};

/// `GET /api/whatsapp/connections/:phone_number/contacts/:number`
pub(super) async fn contact(call: Call) -> Answer {
    let who = somebody(&call)?;
    answer(look(&call, Action::Contact(who)).await?)
}

/// `GET /api/whatsapp/connections/:phone_number/contacts/:number/picture`
pub(super) async fn picture(call: Call) -> Answer {
    pictures::show(&call, somebody(&call)?).await
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
    let name = body.optional("name", checked(check_name));
    let about = body.optional("about", checked(check_about));
    body.finish()?;
    let action = Action::ChangeProfile {
        name: name?,
        about: about?,
    };
    answer(act(&call, action, "profile").await?)
}

/// `PUT /api/whatsapp/connections/:phone_number/profile/picture`
pub(super) async fn set_picture(call: Call) -> Answer {
    pictures::set(call, None).await
}

/// `DELETE /api/whatsapp/connections/:phone_number/profile/picture`
pub(super) async fn remove_picture(call: Call) -> Answer {
    pictures::remove(&call, None).await
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

//! Pictures of people, of groups and of the account (docs/SENDING.md).

use warp::http::StatusCode;
use wharf_domain::{
    GroupId, Recipient,
    action::{Action, Done},
};

use super::{
    actions::{act, answer, look},
    call::{Answer, Call},
    idempotency::idempotency_key,
    messages,
    problem::Problem,
    query::Query,
};

/// What is said where there is no picture: WhatsApp answers the same to all of it.
const NO_PICTURE: &str =
    "there is no picture to be had: none is set, or it is not shown to this number, or nobody has this id";

/// The picture of somebody or of a group.
pub(super) async fn show(call: &Call, of: Recipient) -> Answer {
    let mut query = Query::parse(&call.query);
    let preview = query.flag("preview");
    query.finish()?;
    let preview = preview.unwrap_or(false);
    match look(call, Action::Picture { of, preview }).await? {
        Done::Picture(None) => Err(Problem::new(StatusCode::NOT_FOUND, NO_PICTURE)),
        found => answer(found),
    }
}

/// Shows another picture, of the account or of a group.
pub(super) async fn set(mut call: Call, group: Option<GroupId>) -> Answer {
    let phone = call.phone()?;
    let key = idempotency_key(&call, "picture")?;
    let picture = messages::picture(&mut call).await?;
    answer(call.desk.set_picture(call.client, &phone, group, picture, key).await?)
}

/// Shows none, of the account or of a group.
pub(super) async fn remove(call: &Call, group: Option<GroupId>) -> Answer {
    let none = Action::SetPicture { group, picture: None };
    answer(act(call, none, "remove picture").await?)
}

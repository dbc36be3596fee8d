//! What a number does at WhatsApp besides sending messages: receipts, presence, look-ups (docs/SENDING.md). Groups are in `groups`,
//! people in `people`.

use serde_json::Value;
use warp::http::StatusCode;
use wharf_domain::{
    InvalidField, PhoneNumber, Recipient,
    action::{Action, Done, NUMBERS_MAX, PresenceState, READ_MAX},
    outgoing::check_message_id,
};

use super::{
    call::{Answer, Call, json, list, no_content},
    fields::{self, Fields},
    idempotency::idempotency_key,
    problem::{FieldError, Problem},
    query::Query,
    values::{each_once, of_entry, person, texts},
};

/// `POST /api/whatsapp/connections/:phone_number/read`
pub(super) async fn read(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let chat = body.optional("chat", |name, value| {
        Recipient::parse(name, &fields::string(name, value)?)
    });
    let from = body.optional("from", person);
    let message_ids = body.required("message_ids", message_ids);
    if let (Ok(chat), Ok(None)) = (&chat, &from) {
        let missing = match chat {
            None => Some(InvalidField::new("from", "is missing: the writer, or else chat")),
            Some(chat) if chat.is_for_many() => Some(InvalidField::new(
                "from",
                "is missing: in a group, and of status updates, it says who wrote the messages",
            )),
            Some(_) => None,
        };
        if let Some(missing) = missing {
            body.note(missing);
        }
    }
    body.finish()?;
    let (chat, from) = (chat?, from?);
    let action = match chat.or_else(|| from.clone()) {
        Some(chat) => Action::MarkRead {
            from: from.filter(|_| chat.is_for_many()),
            chat,
            message_ids: message_ids?,
        },
        None => return Err(Problem::internal()),
    };
    answer(act(&call, action, "read").await?)
}

/// `POST /api/whatsapp/connections/:phone_number/presence`
pub(super) async fn presence(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let to = body.optional("to", |name, value| {
        Recipient::parse_chat(name, &fields::string(name, value)?)
    });
    let state = body.required("state", |name, value| {
        let known = value.as_str().and_then(PresenceState::from_word);
        known.ok_or_else(|| InvalidField::new(name, format!("must be one of {}", PresenceState::words())))
    });
    if let (Ok(to), Ok(state)) = (&to, &state) {
        let wrong = match (to, state.is_of_a_chat()) {
            (None, true) => Some("is missing: this is shown in one chat"),
            (Some(_), false) => Some("is to be left out: this is shown to everybody"),
            (Some(_), true) | (None, false) => None,
        };
        if let Some(wrong) = wrong {
            body.note(InvalidField::new("to", wrong));
        }
    }
    body.finish()?;
    let action = Action::Presence { to: to?, state: state? };
    answer(act(&call, action, "presence").await?)
}

/// `GET /api/whatsapp/connections/:phone_number/contacts/check`
pub(super) async fn check(call: Call) -> Answer {
    let mut query = Query::parse(&call.query);
    let asked = query.optional("numbers", |text| {
        let numbers = text.split(',').filter(|number| !number.trim().is_empty());
        let number = |text| PhoneNumber::parse("numbers", text).map_err(|refusal| of_entry(text, refusal));
        let numbers = each_once(numbers.map(number));
        let numbers = numbers.map_err(|refusal| refusal.message)?;
        match numbers.len() {
            1..=NUMBERS_MAX => Ok(numbers),
            _ => Err(wanted_numbers()),
        }
    });
    query.finish()?;
    let Some(numbers) = asked else {
        return Err(Problem::invalid(vec![FieldError::new("numbers", wanted_numbers())]));
    };
    answer(look(&call, Action::CheckNumbers(numbers)).await?)
}

fn wanted_numbers() -> String {
    format!("must be 1 to {NUMBERS_MAX} phone numbers with commas between them")
}

/// Carries something out, once under an `Idempotency-Key`; `what` tells it apart from other things under the same key.
pub(super) async fn act(call: &Call, action: Action, what: &str) -> Result<Done, Problem> {
    let phone = call.phone()?;
    let key = idempotency_key(call, what)?;
    Ok(call.desk.act(call.client, &phone, action, key).await?)
}

/// Asks something. An `Idempotency-Key` means nothing here: what was asked stands in the query, which the key's hash does not
/// know, and an old answer to a new question would be wrong.
pub(super) async fn look(call: &Call, action: Action) -> Result<Done, Problem> {
    Ok(call.desk.act(call.client, &call.phone()?, action, None).await?)
}

/// What came of it, as the API shows it.
pub(super) fn answer(done: Done) -> Answer {
    match done {
        Done::Done => Ok(no_content()),
        Done::Numbers(numbers) => list(&numbers),
        Done::Contact(contact) => json(StatusCode::OK, &contact),
        Done::Picture(picture) => json(StatusCode::OK, &picture),
        Done::Blocks(blocks) => list(&blocks),
        Done::Profile(profile) => json(StatusCode::OK, &profile),
        Done::Groups(groups) => list(&groups),
        Done::Participants(changes) => list(&changes),
        Done::Group(group) => json(StatusCode::OK, &group),
        Done::Invite(link) => json(StatusCode::OK, &link),
        Done::InvitedTo(group) => json(StatusCode::OK, &group),
        Done::Joined(joined) if joined.is_requested() => json(StatusCode::ACCEPTED, &joined),
        Done::Joined(joined) => json(StatusCode::OK, &joined),
        Done::JoinRequests(requests) => list(&requests),
    }
}

fn message_ids(name: &'static str, value: Value) -> Result<Vec<String>, InvalidField> {
    let ids = texts(name, value)?;
    if !(1..=READ_MAX).contains(&ids.len()) {
        return Err(InvalidField::new(
            name,
            format!("must be 1 to {READ_MAX} ids of messages"),
        ));
    }
    ids.iter().try_for_each(|id| check_message_id(name, id))?;
    Ok(ids)
}

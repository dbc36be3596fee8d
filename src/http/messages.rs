//! Messages that go out: sent, seen, listed (docs/SENDING.md).

mod content;
mod file;
mod update;

use bytes::Bytes;
use warp::http::StatusCode;
use wharf_actors::{NewContent, NewMessage};
use wharf_domain::{
    InvalidField, Recipient, SendStatus,
    outgoing::{FileType, Mentions, Quote, STATUS_TYPES, StatusUpdate, check_message_id, check_typing, is_status_type},
};
use wharf_store::OutgoingFilter;

use super::{
    body::{BODY_MAX_BYTES, too_large},
    call::{Answer, Call, json, page},
    fields::{self, Fields, Refused},
    idempotency::idempotency_key,
    problem::Problem,
    query::Query,
};
use content::{TYPES, check_mentions, check_writer, content, quote};
pub(super) use file::picture;

/// Messages on a page at the most.
const MOST: u32 = 200;
/// Messages on a page when the client does not say.
const DEFAULT_LIMIT: u32 = 50;

/// `POST /api/whatsapp/connections/:phone_number/messages`
pub(super) async fn send(mut call: Call) -> Answer {
    let phone = call.phone()?;
    let key = idempotency_key(&call, "")?;
    check_large(&call)?;
    let draft = read(&call, &call.body, call.upload.is_some())?;
    let brings_file = matches!(&draft.content, Draft::File(file) if file.is_in_base64());
    if call.large.is_some() && !brings_file {
        return Err(too_large(BODY_MAX_BYTES));
    }
    // A large body is in the draft now.
    call.body = Bytes::new();
    let content = match draft.content {
        Draft::Whole(content) => content,
        Draft::File(file) => NewContent::Media(Box::new(file.with_file(&mut call).await?)),
    };
    call.large = None;
    let message = NewMessage {
        to: draft.to,
        content,
        reply_to: draft.reply_to,
        typing_seconds: draft.typing_seconds,
        update: draft.update,
        queue: draft.queue,
        wait: draft.wait,
    };
    let sent = call.desk.send(call.client, &phone, message, key).await?;
    let status = match sent.is_queued() {
        true => StatusCode::ACCEPTED,
        false => StatusCode::CREATED,
    };
    json(status, &sent)
}

/// A body may be large by its file, which is one long string: of values there are no more than in any other.
fn check_large(call: &Call) -> Result<(), Problem> {
    match call.large.is_some() && outside_strings(&call.body) > BODY_MAX_BYTES {
        true => Err(too_large(BODY_MAX_BYTES)),
        false => Ok(()),
    }
}

/// Bytes of JSON that are in none of its strings; each value has at least one.
fn outside_strings(json: &[u8]) -> usize {
    let (mut inside, mut escaped, mut outside) = (false, false, 0);
    for &byte in json {
        if !inside {
            outside += 1;
            inside = byte == b'"';
        } else if escaped {
            escaped = false;
        } else if byte == b'"' {
            inside = false;
        } else {
            escaped = byte == b'\\';
        }
    }
    outside
}

/// `GET /api/whatsapp/connections/:phone_number/messages/:message_id`
pub(super) async fn one(call: Call) -> Answer {
    let phone = call.phone()?;
    let found = call.desk.outgoing_message(call.client, &phone, &call.second).await?;
    json(StatusCode::OK, &found)
}

/// `GET /api/whatsapp/connections/:phone_number/messages`
pub(super) async fn all(call: Call) -> Answer {
    let phone = call.phone()?;
    let mut query = Query::parse(&call.query);
    let filter = OutgoingFilter {
        status: query.optional("status", |word| {
            SendStatus::from_word(word).ok_or_else(|| format!("must be one of {}", SendStatus::words()))
        }),
        // As `to` of one that is sent.
        chat: query.optional("chat", |text| {
            Recipient::parse("chat", text).map_err(|refusal| refusal.message)
        }),
        limit: query.limit(MOST).unwrap_or(DEFAULT_LIMIT),
        cursor: query.optional("cursor", |text| {
            let checked = check_message_id("cursor", text).map_err(|refusal| refusal.message);
            checked.map(|()| text.to_owned())
        }),
    };
    query.finish()?;
    let found = call.desk.outgoing_messages(call.client, &phone, filter).await?;
    page(&found.messages, found.next_cursor)
}

/// A message as the client wrote it.
struct Written {
    to: Recipient,
    content: Draft,
    reply_to: Option<Quote>,
    typing_seconds: Option<u8>,
    update: Option<StatusUpdate>,
    queue: bool,
    wait: bool,
}

/// What it is.
enum Draft {
    Whole(NewContent),
    /// Its file is to be looked after first.
    File(Box<file::Draft>),
}

impl Draft {
    /// Whom it mentions, if it can.
    fn mentions(&self) -> Option<&Mentions> {
        match self {
            Self::Whole(NewContent::Own(content) | NewContent::Previewed(content)) => content.mentions(),
            Self::Whole(_) => None,
            Self::File(file) => Some(file.mentions()),
        }
    }
}

/// Looks at a message whose file is still to come, so that nobody sends a hundred megabytes to learn of a wrong field. Answers whether
/// it may wait for its connection.
pub(super) fn check_before_file(call: &Call, message: &[u8]) -> Result<bool, Problem> {
    Ok(read(call, message, true)?.queue)
}

fn read(call: &Call, message: &[u8], is_part: bool) -> Result<Written, Problem> {
    let mut body = Fields::parse(message)?;
    let to = body.required("to", |name, value| {
        Recipient::parse(name, &fields::string(name, value)?)
    });
    let queue = body.optional("queue", fields::boolean);
    let kind = match body.optional("type", fields::string) {
        Ok(None) => body.refuse(InvalidField::new("type", format!("is missing: it {TYPES}"))),
        Ok(Some(kind)) => Ok(kind),
        Err(refused) => Err(refused),
    };
    let is_status = to.as_ref().ok().map(Recipient::is_status);
    let kind = match kind {
        Ok(kind) if is_status == Some(true) && !is_status_type(&kind) => {
            body.leave_rest();
            body.refuse(InvalidField::new("type", STATUS_TYPES))
        }
        kind => kind,
    };
    let update = match kind.as_deref() {
        Ok(kind) if is_status_type(kind) => update::read(&mut body, kind, is_status),
        _ => Ok(None),
    };
    let content = match &kind {
        Ok(kind) => draft(&mut body, kind, is_part),
        Err(_) => {
            body.leave_rest();
            Err(Refused)
        }
    };
    let in_group = matches!(&to, Ok(Recipient::Group(_)));
    let reply_to = match kind.as_deref() {
        Ok("text" | "location" | "contact" | "poll") => quote(&mut body, in_group),
        Ok(kind) if FileType::from_word(kind).is_some() => quote(&mut body, in_group),
        _ => Ok(None),
    };
    let typing_seconds = body.optional("typing_seconds", |name, value| match kind.as_deref() {
        Ok(about @ ("reaction" | "edit" | "revoke")) => {
            let wrong = format!("is of what is typed or recorded, and not of {about}: leave it out");
            Err(InvalidField::new(name, wrong))
        }
        _ => check_typing(name, fields::unsigned(&value)),
    });
    if let (Ok(to), Some(mentions)) = (&to, content.as_ref().ok().and_then(Draft::mentions)) {
        check_mentions(&mut body, to, mentions);
    }
    if let Ok(Draft::Whole(content)) = &content {
        check_writer(&mut body, &call.phone()?, in_group, content);
    }
    let mut query = Query::parse(&call.query);
    let wait = query.flag("wait");
    body.finish()?;
    query.finish()?;
    Ok(Written {
        to: to?,
        content: content?,
        reply_to: reply_to?,
        typing_seconds: typing_seconds?,
        update: update?,
        queue: queue?.unwrap_or(false),
        wait: wait.unwrap_or(true),
    })
}

fn draft(body: &mut Fields, kind: &str, is_part: bool) -> Result<Draft, Refused> {
    match FileType::from_word(kind) {
        Some(kind) => file::read(body, kind, is_part).map(|file| Draft::File(Box::new(file))),
        None if is_part => {
            body.leave_rest();
            let text = "must be one that has a file: image, video, audio, voice, document, sticker";
            body.refuse(InvalidField::new("type", text))
        }
        None => content(body, kind).map(Draft::Whole),
    }
}

#[cfg(test)]
mod tests {
    use super::outside_strings;

    #[test]
    fn what_lies_in_strings_costs_no_values() {
        assert_eq!(
            outside_strings(br#"{"a":"x\"y\\"}"#),
            5,
            "braces, colon, and the quotes that open"
        );
        assert_eq!(outside_strings(br#""\\",1"#), 3);
        assert_eq!(outside_strings(b"[[0],[0]]"), 9);
        assert_eq!(outside_strings(b"\"never ends"), 1);
    }
}

//! Events: seen, pulled, retried.

use warp::http::StatusCode;
use wharf_domain::{EventId, EventKind, EventStatus, PhoneNumber, Recipient, Timestamp, outgoing::STATUS};
use wharf_store::{ChatFilter, Cursor, EventFilter, FailedFilter, PullCursor, PullQuery};

use super::{
    call::{Answer, Call, json, list, page},
    fields::{self, Fields},
    problem::{FieldError, Problem},
    query::Query,
    values::error_prefix,
    webhooks::webhook_id,
};

/// Events on a page at the most.
const MOST: u32 = 200;
/// Events on a page when the client does not say.
const DEFAULT_LIMIT: u32 = 50;
/// Events retried together when the client does not say.
const DEFAULT_RETRIED: u32 = 1000;
/// The longest `chat` or `message_id`; WhatsApp's have a few dozen bytes.
const NAME_MAX_BYTES: usize = 256;

/// The servers of chats that nothing can be sent to, but that events may be of.
const OTHER_CHATS: [&str; 5] = ["broadcast", "newsletter", "bot", "interop", "msgr"];

/// `GET /api/webhooks/:webhook_id/events`
pub(super) async fn of_webhook(call: Call) -> Answer {
    let id = webhook_id(&call)?;
    let mut query = Query::parse(&call.query);
    let filter = EventFilter {
        status: query.optional("status", read_status),
        event: query.optional("event", read_event),
        chat: query.optional("chat", read_chat),
        message_id: query.optional("message_id", read_name),
        since: query.optional("since", read_time),
        until: query.optional("until", read_time),
        limit: query.limit(MOST).unwrap_or(DEFAULT_LIMIT),
        cursor: query.optional("cursor", read_cursor),
    };
    query.finish()?;
    check_range(filter.since, filter.until)?;
    let found = call.desk.events(call.client, id, filter).await?;
    page(&found.events, found.next_cursor)
}

/// `GET /api/events`
pub(super) async fn pull(call: Call) -> Answer {
    let mut query = Query::parse(&call.query);
    let pull = PullQuery {
        after: query.optional("after", |text| {
            text.parse::<PullCursor>().map_err(|refusal| refusal.message)
        }),
        phone_number: query.optional("phone_number", |text| {
            text.parse::<PhoneNumber>().map_err(|refusal| refusal.message)
        }),
        limit: query.limit(MOST).unwrap_or(DEFAULT_LIMIT),
    };
    query.finish()?;
    let pulled = call.desk.pull(call.client, pull).await?;
    page(&pulled.events, Some(pulled.next_cursor))
}

/// `GET /api/webhooks/events/:event_id`
pub(super) async fn one(call: Call) -> Answer {
    json(StatusCode::OK, &call.desk.event(call.client, call.id("event")?).await?)
}

/// `GET /api/webhooks/events/:event_id/attempts`
pub(super) async fn attempts(call: Call) -> Answer {
    list(&call.desk.attempts(call.client, call.id("event")?).await?)
}

/// `POST /api/webhooks/events/:event_id/retry`; a body is optional.
pub(super) async fn retry(call: Call) -> Answer {
    let id: EventId = call.id("event")?;
    let mut body = Fields::parse(&call.body)?;
    let force = body.optional("force", fields::boolean);
    body.finish()?;
    let event = call.desk.retry_event(call.client, id, force?.unwrap_or(false)).await?;
    json(StatusCode::ACCEPTED, &event)
}

/// `POST /api/webhooks/:webhook_id/retry`
pub(super) async fn retry_failed(call: Call) -> Answer {
    let id = webhook_id(&call)?;
    let mut body = Fields::parse(&call.body)?;
    let status = body.required("status", fields::failed);
    let since = body.optional("since", fields::time);
    let until = body.optional("until", fields::time);
    let error = body.optional("error", error_prefix);
    let limit = body.optional("limit", fields::retry_limit);
    body.finish()?;
    status?;
    let filter = FailedFilter {
        since: since?,
        until: until?,
        error: error?,
        limit: limit?.unwrap_or(DEFAULT_RETRIED),
    };
    check_range(filter.since, filter.until)?;
    json(
        StatusCode::ACCEPTED,
        &call.desk.retry_failed(call.client, id, filter).await?,
    )
}

/// A range that is empty was meant otherwise.
fn check_range(since: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), Problem> {
    match (since, until) {
        (Some(since), Some(until)) if until <= since => {
            let error = FieldError::new("until", "must be later than since");
            Err(Problem::invalid(vec![error]))
        }
        _ => Ok(()),
    }
}

fn read_event(text: &str) -> Result<EventKind, String> {
    EventKind::from_word(text).ok_or_else(|| format!("must be one of {}", EventKind::quoted_words()))
}

fn read_status(text: &str) -> Result<EventStatus, String> {
    EventStatus::from_word(text).ok_or_else(|| format!("must be one of {}", EventStatus::words()))
}

/// A JID has an `@`, a number has none. As where a message goes to, `@c.us` is `@s.whatsapp.net`, which is how chats are kept.
/// Events may be of chats that nothing can be sent to: of shorter numbers, too, and of the one in which somebody's status updates are.
fn read_chat(text: &str) -> Result<ChatFilter, String> {
    let wanted =
        || "must be a phone number of 8 to 15 digits, or a JID such as 5511999999999@s.whatsapp.net".to_owned();
    let Some((id, server)) = text.split_once('@') else {
        return text.parse().map(ChatFilter::Number).map_err(|_| wanted());
    };
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let jid = match server {
        "c.us" | "s.whatsapp.net" if is_number => format!("{id}@s.whatsapp.net"),
        _ if OTHER_CHATS.contains(&server) && !id.is_empty() => text.to_owned(),
        _ if text.strip_prefix(STATUS).is_some_and(|author| author.starts_with('/')) => text.to_owned(),
        _ => text.parse::<Recipient>().map_err(|_| wanted())?.jid(),
    };
    read_name(&jid).map(ChatFilter::Jid)
}

fn read_name(text: &str) -> Result<String, String> {
    if text.len() <= NAME_MAX_BYTES {
        Ok(text.to_owned())
    } else {
        Err(format!("must be at most {NAME_MAX_BYTES} bytes long"))
    }
}

fn read_time(text: &str) -> Result<Timestamp, String> {
    // In a query a + that was not encoded arrives as a space, and only an offset has one.
    Timestamp::from_rfc3339(text)
        .or_else(|| Timestamp::from_rfc3339(&text.replace(' ', "+")))
        .ok_or_else(|| fields::TIME_WANTED.to_owned())
}

fn read_cursor(text: &str) -> Result<Cursor, String> {
    text.parse::<Cursor>().map_err(|refusal| refusal.message)
}

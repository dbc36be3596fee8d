//! Webhooks and their events.

use std::time::Duration;

use warp::http::StatusCode;
use wharf_actors::NewWebhook;
use wharf_domain::{
    Courtesy, EventId, EventStatus, WebhookId,
    webhook::{DEFAULT_MAX_RETRIES, DEFAULT_OVERLAP_HOURS, WebhookPatch},
};
use wharf_store::{Cursor, EventFilter};

use super::{
    call::{Answer, Call, json, list, no_content},
    courtesy::Asked,
    fields::{self, Fields},
    problem::Problem,
    query::Query,
};

/// Events on a page when the client does not say.
const DEFAULT_LIMIT: u32 = 50;

/// `POST /api/webhooks/register`
pub(super) async fn register(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let phone_number = body.required("phone_number", fields::phone);
    let webhook_url = body.required("webhook_url", fields::url);
    let max_retries = body.optional("max_retries", fields::max_retries);
    let is_active = body.optional("is_active", fields::boolean);
    let metadata = body.optional("metadata", fields::metadata);
    let hub_signature = body.optional("hub_signature", fields::boolean);
    let asked = Asked::read(&mut body);
    body.finish()?;
    let (courtesy, headers) = asked.finish()?;
    let new = NewWebhook {
        phone_number: phone_number?,
        webhook_url: webhook_url?,
        max_retries: max_retries?.unwrap_or(DEFAULT_MAX_RETRIES),
        is_active: is_active?.unwrap_or(true),
        metadata: metadata?,
        hub_signature: hub_signature?.unwrap_or(false),
        courtesy: courtesy.apply(Courtesy::default()),
        headers: headers.unwrap_or_default(),
    };
    json(
        StatusCode::CREATED,
        &call.desk.register_webhook(call.client, new).await?,
    )
}

/// `GET /api/webhooks/list`
pub(super) async fn all(call: Call) -> Answer {
    list(&call.desk.webhooks(call.client).await?)
}

/// `GET /api/webhooks/:webhook_id`
pub(super) async fn one(call: Call) -> Answer {
    json(
        StatusCode::OK,
        &call.desk.webhook(call.client, webhook_id(&call)?).await?,
    )
}

/// `PATCH /api/webhooks/:webhook_id`; no body at all is an empty patch.
pub(super) async fn update(call: Call) -> Answer {
    let id = webhook_id(&call)?;
    let mut body = Fields::parse(&call.body)?;
    let webhook_url = body.optional("webhook_url", fields::url);
    let max_retries = body.optional("max_retries", fields::max_retries);
    let is_active = body.optional("is_active", fields::boolean);
    let metadata = body.optional("metadata", fields::metadata_or_null);
    let hub_signature = body.optional("hub_signature", fields::boolean);
    let asked = Asked::read(&mut body);
    body.finish()?;
    let (courtesy, headers) = asked.finish()?;
    let patch = WebhookPatch {
        webhook_url: webhook_url?,
        max_retries: max_retries?,
        is_active: is_active?,
        metadata: metadata?,
        hub_signature: hub_signature?,
        courtesy,
        headers,
    };
    json(StatusCode::OK, &call.desk.update_webhook(call.client, id, patch).await?)
}

/// `DELETE /api/webhooks/:webhook_id`
pub(super) async fn delete(call: Call) -> Answer {
    call.desk.delete_webhook(call.client, webhook_id(&call)?).await?;
    Ok(no_content())
}

/// `POST /api/webhooks/:webhook_id/rotate-secret`; a body is optional.
pub(super) async fn rotate_secret(call: Call) -> Answer {
    let id = webhook_id(&call)?;
    let mut body = Fields::parse(&call.body)?;
    let overlap_hours = body.optional("overlap_hours", fields::overlap_hours);
    body.finish()?;
    let overlap = Duration::from_hours(overlap_hours?.unwrap_or(DEFAULT_OVERLAP_HOURS).into());
    json(
        StatusCode::OK,
        &call.desk.rotate_secret(call.client, id, overlap).await?,
    )
}

/// `GET /api/webhooks/:webhook_id/events`
pub(super) async fn events(call: Call) -> Answer {
    let id = webhook_id(&call)?;
    let mut query = Query::parse(&call.query);
    let status = query.optional("status", read_status);
    let limit = query.optional("limit", read_limit);
    let cursor = query.optional("cursor", |text| {
        text.parse::<Cursor>().map_err(|refusal| refusal.message)
    });
    query.finish()?;
    let filter = EventFilter {
        status,
        limit: limit.unwrap_or(DEFAULT_LIMIT),
        cursor,
    };
    let page = call.desk.events(call.client, id, filter).await?;
    let next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
    json(
        StatusCode::OK,
        &Page {
            data: &page.events,
            next_cursor,
        },
    )
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

#[derive(serde::Serialize)]
struct Page<'a> {
    data: &'a [wharf_domain::Event],
    next_cursor: Option<String>,
}

fn webhook_id(call: &Call) -> Result<WebhookId, Problem> {
    call.id("webhook")
}

fn read_status(text: &str) -> Result<EventStatus, String> {
    EventStatus::from_word(text).ok_or_else(|| {
        let words: Vec<&str> = EventStatus::ALL.into_iter().map(EventStatus::as_str).collect();
        format!("must be one of {}", words.join(", "))
    })
}

fn read_limit(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(limit @ 1..=200) => Ok(limit),
        _ => Err("must be a whole number from 1 to 200".into()),
    }
}

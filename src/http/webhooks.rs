//! Webhooks.

use std::time::Duration;

use serde_json::Value;
use warp::http::StatusCode;
use wharf_actors::{GatewayError, NewWebhook};
use wharf_domain::{
    ChatKinds, DeliveryMode, EventKinds, InvalidField, Metadata, SenderShown, WebhookId,
    webhook::{self, DEFAULT_OVERLAP_HOURS, WebhookPatch},
};

use super::{
    call::{Answer, Call, json, no_content},
    courtesy,
    fields::{self, Fields, Refused},
    numbers::Asked,
    problem::Problem,
    values::url,
};

/// What stands for a value that is no whole number, where those below 0 are refused.
const NO_NUMBER: i64 = -1;
/// What only webhooks have that are pushed, besides their URL.
pub(super) const PUSHED_ONLY: [&str; 10] = [
    "max_retries",
    "is_active",
    "hub_signature",
    "max_in_flight",
    "max_per_second",
    "timeout_ms",
    "ordering",
    "retry_client_errors",
    "recovery",
    "headers",
];
/// What is said where there is none.
const NO_URL: &str = "is missing; to pull events instead of having them posted, say \"delivery\": \"pull\"";
const OF_PUSHED: &str = "belongs to webhooks that are pushed, and this one is pulled: leave it out";

/// `POST /api/webhooks/register`
pub(super) async fn register(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let phone_number = body.required("phone_number", fields::phone);
    let delivery = body.optional("delivery", delivery);
    let webhook_url = match delivery {
        Ok(Some(DeliveryMode::Pull)) => {
            refuse_of_pushed(&mut body);
            body.optional("webhook_url", no_url).map(|_| None)
        }
        Ok(_) => body.required_or("webhook_url", NO_URL, url).map(Some),
        Err(_) => body.optional("webhook_url", url).map(|_| None),
    };
    let asked = settings(&mut body, metadata);
    body.finish()?;
    let defaults = NewWebhook::pulled(phone_number?);
    let asked = asked?;
    let new = NewWebhook {
        webhook_url: webhook_url?,
        max_retries: asked.max_retries.unwrap_or(defaults.max_retries),
        is_active: asked.is_active.unwrap_or(defaults.is_active),
        metadata: asked.metadata.flatten(),
        events: asked.events.unwrap_or(defaults.events),
        chats: asked.chats.unwrap_or(defaults.chats),
        sender: asked.sender.unwrap_or(defaults.sender),
        hub_signature: asked.hub_signature.unwrap_or(defaults.hub_signature),
        courtesy: asked.courtesy.apply(defaults.courtesy),
        headers: asked.headers.unwrap_or_default(),
        ..defaults
    };
    json(
        StatusCode::CREATED,
        &call.desk.register_webhook(call.client, new).await?,
    )
}

/// `GET /api/webhooks/list`
pub(super) async fn all(call: Call) -> Answer {
    let asked = Asked::read(&call.query)?;
    let found = call.desk.webhooks(call.client, &asked.wanted()).await?;
    asked.answer(found, |webhook| &webhook.phone_number)
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
    body.absent("delivery", "cannot be changed: delete the webhook and register it anew");
    if ["webhook_url"].iter().chain(&PUSHED_ONLY).any(|name| body.has(name)) && is_pulled(&call, id).await? {
        let url = "cannot be given to a webhook that is pulled: delete it and register it anew";
        body.absent("webhook_url", url);
        refuse_of_pushed(&mut body);
    }
    let patch = settings(&mut body, metadata_or_null);
    body.finish()?;
    let patch = patch?;
    json(StatusCode::OK, &call.desk.update_webhook(call.client, id, patch).await?)
}

/// Whether a webhook is pulled, if there is one.
async fn is_pulled(call: &Call, id: WebhookId) -> Result<bool, Problem> {
    match call.desk.webhook(call.client, id).await {
        Ok(webhook) => Ok(webhook.is_pulled()),
        // Told when nothing is wrong with the fields.
        Err(GatewayError::NotFound(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
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
    let overlap_hours = body.optional("overlap_hours", overlap_hours);
    body.finish()?;
    let overlap = Duration::from_hours(overlap_hours?.unwrap_or(DEFAULT_OVERLAP_HOURS).into());
    json(
        StatusCode::OK,
        &call.desk.rotate_secret(call.client, id, overlap).await?,
    )
}

/// `GET /api/webhooks/:webhook_id/stats`
pub(super) async fn stats(call: Call) -> Answer {
    json(
        StatusCode::OK,
        &call.desk.webhook_stats(call.client, webhook_id(&call)?).await?,
    )
}

/// `POST /api/webhooks/:webhook_id/test`: 202 when the attempt has not ended in time.
pub(super) async fn test(call: Call) -> Answer {
    Fields::parse(&call.body)?.finish()?;
    let tested = call.desk.test_webhook(call.client, webhook_id(&call)?).await?;
    let status = if tested.attempt.is_some() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    json(status, &tested)
}

/// What a webhook's owner sets; whether null may stand for an object, `metadata` decides.
fn settings(
    body: &mut Fields,
    metadata: fn(&'static str, Value) -> Result<Option<Metadata>, InvalidField>,
) -> Result<WebhookPatch, Refused> {
    let webhook_url = body.optional("webhook_url", url);
    let max_retries = body.optional("max_retries", max_retries);
    let is_active = body.optional("is_active", fields::boolean);
    let metadata = body.optional("metadata", metadata);
    body.keeps_numbers_of("metadata");
    let events = body.optional("events", events);
    let chats = body.optional("chats", chats);
    let sender = body.optional("sender", sender);
    let hub_signature = body.optional("hub_signature", fields::boolean);
    let (courtesy, headers) = courtesy::read(body)?;
    Ok(WebhookPatch {
        webhook_url: webhook_url?,
        max_retries: max_retries?,
        is_active: is_active?,
        metadata: metadata?,
        events: events?,
        chats: chats?,
        sender: sender?,
        hub_signature: hub_signature?,
        courtesy,
        headers,
    })
}

/// Refuses what a webhook that is pulled does not have.
fn refuse_of_pushed(body: &mut Fields) {
    for name in PUSHED_ONLY {
        body.absent(name, OF_PUSHED);
    }
}

fn delivery(name: &'static str, value: Value) -> Result<DeliveryMode, InvalidField> {
    let word = value.as_str().and_then(DeliveryMode::from_word);
    word.ok_or_else(|| InvalidField::new(name, "must be \"push\" or \"pull\""))
}

/// The URL of a webhook that is pulled.
fn no_url(name: &'static str, value: Value) -> Result<(), InvalidField> {
    match value {
        Value::Null => Ok(()),
        _ => Err(InvalidField::new(name, OF_PUSHED)),
    }
}

/// What a webhook is told of.
fn events(_name: &'static str, value: Value) -> Result<EventKinds, InvalidField> {
    EventKinds::check(words(&value))
}

/// Of which chats.
fn chats(_name: &'static str, value: Value) -> Result<ChatKinds, InvalidField> {
    ChatKinds::check(words(&value))
}

/// What of who sent a message.
fn sender(name: &'static str, value: Value) -> Result<SenderShown, InvalidField> {
    let word = value.as_str().and_then(SenderShown::from_word);
    word.ok_or_else(|| InvalidField::new(name, "must be \"short\" or \"full\""))
}

/// What is no text is no word either.
fn words(value: &Value) -> impl Iterator<Item = &str> {
    let words = value.as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap_or_default())
}

/// A budget of attempts.
fn max_retries(_name: &'static str, value: Value) -> Result<u32, InvalidField> {
    webhook::check_max_retries(fields::integer(&value).unwrap_or(NO_NUMBER))
}

/// For how long a replaced secret goes on signing.
fn overlap_hours(_name: &'static str, value: Value) -> Result<u32, InvalidField> {
    webhook::check_overlap_hours(fields::integer(&value).unwrap_or(NO_NUMBER))
}

/// A client's own object.
fn metadata(name: &'static str, value: Value) -> Result<Option<Metadata>, InvalidField> {
    match value {
        Value::Object(object) => Metadata::new(&object).map(Some),
        _ => Err(InvalidField::new(name, "must be an object, or be left out")),
    }
}

/// A client's own object, or null to clear it.
fn metadata_or_null(name: &'static str, value: Value) -> Result<Option<Metadata>, InvalidField> {
    match value {
        Value::Null => Ok(None),
        Value::Object(object) => Metadata::new(&object).map(Some),
        _ => Err(InvalidField::new(name, "must be an object, or null to clear it")),
    }
}

pub(super) fn webhook_id(call: &Call) -> Result<WebhookId, Problem> {
    call.id("webhook")
}

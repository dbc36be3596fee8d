//! A webhook as the API shows it. Of one that is pulled nothing is shown that concerns deliveries only: there are none, and any
//! value would say that there are.

use serde::{Serialize, Serializer};

use super::{DeliveryMode, Metadata, Webhook, WebhookStatus};
use crate::{ChatKinds, ClientId, Courtesy, EventKinds, HeaderNames, PhoneNumber, Timestamp, WebhookId};

#[derive(Serialize)]
struct Shown<'w> {
    id: WebhookId,
    client_id: ClientId,
    phone_number: &'w PhoneNumber,
    delivery: DeliveryMode,
    webhook_url: Option<&'w str>,
    is_active: bool,
    status: WebhookStatus,
    #[serde(flatten)]
    went: Option<Went<'w>>,
    metadata: Option<&'w Metadata>,
    events: EventKinds,
    chats: ChatKinds,
    #[serde(flatten)]
    asked: Option<Asked<'w>>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// How its deliveries went.
#[derive(Serialize)]
struct Went<'w> {
    failure_count: u32,
    max_retries: u32,
    last_error: Option<&'w str>,
    last_success_at: Option<Timestamp>,
    last_attempt_at: Option<Timestamp>,
}

/// What they shall be like.
#[derive(Serialize)]
struct Asked<'w> {
    hub_signature: bool,
    #[serde(flatten)]
    courtesy: Courtesy,
    headers: &'w HeaderNames,
}

impl Serialize for Webhook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_pushed = !self.is_pulled();
        Shown {
            id: self.id,
            client_id: self.client_id,
            phone_number: &self.phone_number,
            delivery: self.delivery(),
            webhook_url: self.webhook_url.as_deref(),
            is_active: self.is_active,
            status: self.status,
            went: is_pushed.then_some(Went {
                failure_count: self.failure_count,
                max_retries: self.max_retries,
                last_error: self.last_error.as_deref(),
                last_success_at: self.last_success_at,
                last_attempt_at: self.last_attempt_at,
            }),
            metadata: self.metadata.as_ref(),
            events: self.events,
            chats: self.chats,
            asked: is_pushed.then_some(Asked {
                hub_signature: self.hub_signature,
                courtesy: self.courtesy,
                headers: &self.headers,
            }),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
        .serialize(serializer)
    }
}

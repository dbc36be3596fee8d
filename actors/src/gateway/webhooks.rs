//! Webhooks and their events.

use ractor::rpc::CallResult;
use uuid::Uuid;
use wharf_domain::{
    ClientId, ConnectionKey, Event, EventId, Webhook, WebhookId, address::check_url, webhook::WebhookPatch,
};
use wharf_store::{EventFilter, EventPage, Renewal};

use super::{Gateway, GatewayError, NewWebhook, RETRY_DEADLINE, restarting};
use crate::{
    delivery::{self, RetryReply},
    persistence::{Registration, Write},
    tenant,
};

impl Gateway {
    /// Registers a webhook and starts its delivery.
    ///
    /// # Errors
    /// `Invalid` for a target that may not be contacted, `Conflict` when the number has a webhook.
    pub async fn register_webhook(&self, client_id: ClientId, new: NewWebhook) -> Result<Webhook, GatewayError> {
        self.check_target(&new.webhook_url).await?;
        let NewWebhook {
            phone_number,
            webhook_url: url,
            max_retries,
            is_active,
            metadata,
        } = new;
        let key = ConnectionKey {
            client_id,
            phone_number,
        };
        let id = WebhookId(Uuid::now_v7());
        let registration = Registration {
            id,
            key,
            url,
            max_retries,
            is_active,
            metadata,
        };
        let made = self
            .shared
            .persistence
            .commit(Write::RegisterWebhook, registration)
            .await?;
        let webhook = made.ok_or_else(|| {
            GatewayError::Conflict("this phone_number has a webhook already; change or delete that one".to_owned())
        })?;
        let _restarting = self
            .tenant(client_id)
            .await?
            .cast(tenant::Message::WebhookRegistered(webhook.id));
        Ok(webhook)
    }

    async fn check_target(&self, url: &str) -> Result<(), GatewayError> {
        let url = check_url(self.shared.settings.targets, url)?;
        Ok(self.shared.poster.check_target(&url).await?)
    }

    /// The client's webhooks, oldest first.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn webhooks(&self, client: ClientId) -> Result<Vec<Webhook>, GatewayError> {
        Ok(self.shared.store.webhooks(client).await?)
    }

    /// One of the client's webhooks.
    ///
    /// # Errors
    /// `NotFound` when there is none, or not any more.
    pub async fn webhook(&self, client: ClientId, id: WebhookId) -> Result<Webhook, GatewayError> {
        let webhook = self.shared.store.webhook(client, id).await?;
        webhook
            .filter(|webhook| webhook.deleted_at.is_none())
            .ok_or(GatewayError::NotFound("webhook"))
    }

    /// Changes a webhook; an empty patch changes nothing.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` for a target that may not be contacted.
    pub async fn update_webhook(
        &self,
        client: ClientId,
        id: WebhookId,
        patch: WebhookPatch,
    ) -> Result<Webhook, GatewayError> {
        let present = self.webhook(client, id).await?;
        if patch == WebhookPatch::default() {
            return Ok(present);
        }
        if let Some(url) = &patch.webhook_url {
            self.check_target(url).await?;
        }
        let changed = self
            .shared
            .persistence
            .commit(Write::ChangeWebhook, (client, id, patch))
            .await?;
        let webhook = changed.ok_or(GatewayError::NotFound("webhook"))?;
        let message = tenant::Message::WebhookChanged(Box::new(webhook.clone()));
        let _restarting = self.tenant(client).await?.cast(message);
        Ok(webhook)
    }

    /// Deletes a webhook. Its waiting events end; its history stays until retention.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_webhook(&self, client: ClientId, id: WebhookId) -> Result<(), GatewayError> {
        if !self
            .shared
            .persistence
            .commit(Write::DeleteWebhook, (client, id))
            .await?
        {
            return Err(GatewayError::NotFound("webhook"));
        }
        let _restarting = self.tenant(client).await?.cast(tenant::Message::WebhookDeleted(id));
        Ok(())
    }

    /// A page of a webhook's events, newest first; also of a deleted webhook.
    ///
    /// # Errors
    /// `NotFound` when the client never had such a webhook.
    pub async fn events(
        &self,
        client: ClientId,
        id: WebhookId,
        filter: EventFilter,
    ) -> Result<EventPage, GatewayError> {
        if self.shared.store.webhook(client, id).await?.is_none() {
            return Err(GatewayError::NotFound("webhook"));
        }
        Ok(self.shared.store.events(client, id, &filter).await?)
    }

    /// Retries an event by hand (CONTRACT.md sections 4 and 7).
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it is delivered and not forced, or its webhook is inactive or deleted.
    pub async fn retry_event(&self, client: ClientId, id: EventId, force: bool) -> Result<Event, GatewayError> {
        let event = self.event(client, id).await?;
        let renewal = match self.shared.directory.delivery(event.webhook_id) {
            Some(delivery) => {
                let ask = |reply| delivery::Message::RetryEvent {
                    event_id: id,
                    force,
                    reply,
                };
                match delivery.call(ask, Some(RETRY_DEADLINE)).await {
                    Ok(CallResult::Success(RetryReply::UnderWay)) => return self.event(client, id).await,
                    Ok(CallResult::Success(RetryReply::Settled(renewal))) => *renewal,
                    Ok(CallResult::Success(RetryReply::Refused(error))) => return Err(error.into()),
                    _ => return Err(restarting()),
                }
            }
            // No delivery: deleted, or being restarted. The store knows which, and a restarted one reads the store.
            None => {
                self.shared
                    .persistence
                    .commit(Write::RenewEvent, (client, id, force))
                    .await?
            }
        };
        let conflict = |text: &str| Err(GatewayError::Conflict(text.to_owned()));
        match renewal {
            Renewal::Renewed { .. } => self.event(client, id).await,
            Renewal::NotFound => Err(GatewayError::NotFound("event")),
            Renewal::Delivered => conflict(r#"the event is delivered; to send it again, say {"force": true}"#),
            Renewal::Inactive => conflict("the event's webhook is inactive; set is_active first"),
            Renewal::WebhookDeleted => conflict("the event's webhook is deleted"),
        }
    }

    async fn event(&self, client: ClientId, id: EventId) -> Result<Event, GatewayError> {
        self.shared
            .store
            .event(client, id)
            .await?
            .ok_or(GatewayError::NotFound("event"))
    }
}

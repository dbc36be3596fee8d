//! Webhooks.

use std::time::Duration;

use uuid::Uuid;
use wharf_domain::{
    ClientId, ConnectionKey, OwnHeaders, Webhook, WebhookId, address::check_url, courtesy::check_max_in_flight,
    webhook::WebhookPatch,
};
use wharf_store::ByNumber;

use super::{Gateway, GatewayError, NewWebhook, RETRY_DEADLINE, WebhookWithSecret, at_limit, conflict, pulled};
use crate::{
    delivery,
    persistence::{Change, Registration, Rotation, SealedHeaders, Write},
    post::for_client,
    tenant,
};

impl Gateway {
    /// Registers a webhook. Its delivery is started by its first message.
    ///
    /// # Errors
    /// `Invalid` for a target that may not be contacted, `Conflict` when the number has a webhook, the client writes it in its
    /// other way elsewhere, or has as many as it may; `Busy` when the client changed as much of late as it may.
    pub async fn register_webhook(
        &self,
        client_id: ClientId,
        mut new: NewWebhook,
    ) -> Result<WebhookWithSecret, GatewayError> {
        self.shared.changes.take(client_id)?;
        self.check_max_in_flight(new.courtesy.max_in_flight)?;
        if let Some(url) = &new.webhook_url {
            self.check_target(client_id, url).await?;
        }
        let limit = self.shared.settings.limits.webhooks_per_client;
        if limit > 0 && self.shared.store.count_webhooks(client_id).await? >= u64::from(limit) {
            return Err(at_limit("webhooks", "webhooks_per_client", limit));
        }
        let number = ConnectionKey::new(client_id, new.phone_number.clone());
        let id = WebhookId(Uuid::now_v7());
        // Nothing is signed where nothing is sent.
        let made = new.webhook_url.is_some().then(|| self.shared.vault.make_secret(id));
        let (secret, sealed_secret) = made.transpose()?.unzip();
        let headers = std::mem::take(&mut new.headers);
        let registration = Registration {
            id,
            key: number.clone(),
            asked: new,
            headers: (!headers.is_empty()).then(|| self.seal(id, &headers)).transpose()?,
            sealed_secret,
            most: limit,
        };
        let made = self
            .shared
            .persistence
            .commit(Write::RegisterWebhook, registration)
            .await?;
        let Some(webhook) = made else {
            let again = "this phone_number has a webhook already; change or delete that one";
            let again = GatewayError::Conflict(again.to_owned());
            let full = at_limit("webhooks", "webhooks_per_client", limit);
            return Err(self.not_made(&number, limit, |is| is.webhook, again, full).await?);
        };
        Ok(WebhookWithSecret { webhook, secret })
    }

    /// Gives a webhook a new secret. What signed until now goes on signing for `overlap` besides it; attempts that
    /// begin after this returns are signed with the new one.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the webhook is pulled; `Busy` as for registering.
    pub async fn rotate_secret(
        &self,
        client_id: ClientId,
        webhook_id: WebhookId,
        overlap: Duration,
    ) -> Result<WebhookWithSecret, GatewayError> {
        let webhook = self.webhook(client_id, webhook_id).await?;
        if webhook.is_pulled() {
            return pulled("signed");
        }
        self.shared.changes.take(client_id)?;
        let (secret, sealed_secret) = self.shared.vault.make_secret(webhook_id)?;
        let rotation = Rotation {
            client_id,
            webhook_id,
            sealed_secret,
            overlap,
        };
        if !self.shared.persistence.commit(Write::RotateSecret, rotation).await? {
            return Err(GatewayError::NotFound("webhook"));
        }
        self.heard(client_id, webhook_id).await;
        let secret = Some(secret);
        Ok(WebhookWithSecret { webhook, secret })
    }

    /// Waits until the delivery has heard of changed secrets, which the writer told it. They are committed: whatever the delivery
    /// says, the change was made. By way of its tenant, as what the writer tells, and since one that goes to rest is not in the
    /// directory.
    async fn heard(&self, client_id: ClientId, webhook_id: WebhookId) {
        if let Some(tenant) = self.shared.directory.tenant(client_id) {
            let ask = |reply| tenant::Message::ForDelivery(webhook_id, Box::new(delivery::Message::Heard(reply)));
            let _not_there = tenant.call(ask, Some(RETRY_DEADLINE)).await;
        }
    }

    /// The configuration's cap is the owner's too.
    fn check_max_in_flight(&self, asked: Option<u32>) -> Result<(), GatewayError> {
        let most = self.shared.settings.max_in_flight_per_webhook;
        asked.map_or(Ok(()), |asked| check_max_in_flight(asked, most).map(drop))?;
        Ok(())
    }

    fn seal(&self, webhook_id: WebhookId, headers: &OwnHeaders) -> Result<SealedHeaders, GatewayError> {
        Ok(SealedHeaders {
            names: headers.names(),
            sealed: self.shared.vault.seal_headers(webhook_id, headers)?,
        })
    }

    async fn check_target(&self, client: ClientId, url: &str) -> Result<(), GatewayError> {
        let url = check_url(&self.shared.settings.targets, url)?;
        Ok(for_client(client, self.shared.poster.check_target(&url)).await?)
    }

    /// The client's webhooks, by number.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn webhooks(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Webhook>, GatewayError> {
        let _turn = self.shared.reads.turn(client).await?;
        Ok(self.shared.store.webhooks(client, part).await?)
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
    /// `NotFound`, `Invalid` for a target that may not be contacted, `Conflict` where it is pulled and the patch concerns
    /// deliveries, or `Busy` as for registering.
    pub async fn update_webhook(
        &self,
        client: ClientId,
        id: WebhookId,
        mut patch: WebhookPatch,
    ) -> Result<Webhook, GatewayError> {
        let present = self.webhook(client, id).await?;
        if patch == WebhookPatch::default() {
            return Ok(present);
        }
        self.shared.changes.take(client)?;
        if present.is_pulled() && patch.concerns_deliveries() {
            return conflict(
                "the webhook is pulled, not pushed: of it events, chats, sender and metadata can be changed; for anything else delete it and \
                 register it anew",
            );
        }
        if let Some(url) = &patch.webhook_url {
            self.check_target(client, url).await?;
        }
        self.check_max_in_flight(patch.courtesy.max_in_flight.flatten())?;
        let headers = patch.headers.take();
        let headers = headers.map(|headers| self.seal(id, &headers)).transpose()?;
        let new_headers = headers.is_some();
        let change = Change {
            client_id: client,
            webhook_id: id,
            patch,
            headers,
        };
        let changed = self.shared.persistence.commit(Write::ChangeWebhook, change).await?;
        let webhook = changed.ok_or(GatewayError::NotFound("webhook"))?;
        if new_headers {
            self.heard(client, id).await;
        }
        Ok(webhook)
    }

    /// Deletes a webhook. Its waiting events end; its history stays until retention.
    ///
    /// # Errors
    /// `NotFound`; `Busy` as for registering.
    pub async fn delete_webhook(&self, client: ClientId, id: WebhookId) -> Result<(), GatewayError> {
        self.shared.changes.take(client)?;
        let deleted = self.shared.persistence.commit(Write::DeleteWebhook, (client, id));
        let deleted = deleted.await?.ok_or(GatewayError::NotFound("webhook"))?;
        if !deleted.all_ended {
            // A backlog of thousands ends in steps, for which nobody has to wait; the janitor goes on where this ends.
            let persistence = self.shared.persistence.clone();
            tokio::spawn(async move { persistence.settle_deleted(id).await });
        }
        Ok(())
    }
}

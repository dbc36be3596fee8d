//! Writes of webhooks.

use sqlx::{SqliteConnection, query, query_as};
use uuid::Uuid;
use wharf_domain::{
    ClientId, ConnectionKey, Metadata, PhoneNumber, SenderShown, Timestamp, Webhook, WebhookId, retention::fitting,
    webhook::WebhookPatch,
};

use crate::{
    DeletedWebhook, Group, StoreError,
    codec::{At, json_text, number, size, webhook},
    courtesy, sql,
};

/// Waiting events that end with their webhook's deletion itself, by their weight: most have fewer.
const WITH_DELETION: u32 = 100;

impl Group<'_> {
    /// Registers a webhook, which is pulled where it has no URL. `None`: this client has one for this number, or a connection or webhook for the same account in
    /// its other way of writing ([`crate::Store::written_as`]): events of the one would never reach the other. The values were checked before (`https`,
    /// budget, size of the metadata); the database refuses a budget outside 1 to 20 too.
    ///
    /// # Errors
    /// `Rejected` when there is no such client or the budget is out of range.
    #[expect(clippy::too_many_arguments, reason = "a registration has this many parts")]
    pub async fn register_webhook(
        &mut self,
        id: WebhookId,
        key: &ConnectionKey,
        url: Option<&str>,
        max_retries: u32,
        is_active: bool,
        metadata: Option<&Metadata>,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        lines.forget_webhooks_of(key.client_id);
        let other = key.phone_number.other_writing();
        let result = async {
            let row = query(sql::REGISTER_WEBHOOK)
                .bind(key.client_id.0)
                .bind(id.0)
                .bind(key.phone_number.as_str())
                .bind(url)
                .bind(max_retries)
                .bind(is_active)
                .bind(metadata.map(Metadata::as_str))
                .bind(At(now))
                .bind(other.as_ref().map(PhoneNumber::as_str))
                .fetch_optional(connection)
                .await?;
            row.as_ref().map(webhook).transpose()
        };
        let result = result.await;
        self.leave(result)
    }

    /// Changes a webhook that is not deleted. An empty patch changes nothing, `updated_at` included. `None`: this
    /// client has no such webhook.
    ///
    /// # Errors
    /// `Rejected` when the budget is out of range.
    pub async fn update_webhook(
        &mut self,
        client: ClientId,
        id: WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        if patch.events.is_some() || patch.chats.is_some() {
            lines.forget_webhooks_of(client);
        }
        let result = update(connection, client, id, patch, now).await;
        self.leave(result)
    }

    /// Deletes a webhook: no message becomes an event of it any more, and its waiting events end `failed` with error
    /// `webhook deleted` (CONTRACT.md section 2); its row stays as long as it has events. Of a backlog of
    /// thousands this call ends the first few, and says that some may be left, which [`Group::settle_webhook`] ends. `None`: this
    /// client has no such webhook, or not any more.
    ///
    /// # Errors
    /// As every write.
    pub async fn delete_webhook(
        &mut self,
        client: ClientId,
        id: WebhookId,
        now: Timestamp,
    ) -> Result<Option<DeletedWebhook>, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        lines.forget_webhooks_of(client);
        let result = delete(connection, client, id, now).await;
        self.leave(result)
    }

    /// Goes on with what [`Group::delete_webhook`] began, `limit` events at a time, fewer where bodies are long. `true` when
    /// none is left, else call again.
    ///
    /// # Errors
    /// As every write.
    pub async fn settle_webhook(&mut self, deleted: WebhookId, limit: u32) -> Result<bool, StoreError> {
        let result = fail_events(self.enter()?, deleted.0, limit).await;
        self.leave(result)
    }
}

async fn update(
    connection: &mut SqliteConnection,
    client: ClientId,
    id: WebhookId,
    patch: &WebhookPatch,
    now: Timestamp,
) -> Result<Option<Webhook>, sqlx::Error> {
    if *patch == WebhookPatch::default() {
        let row = query(sql::WEBHOOK)
            .bind(client.0)
            .bind(id.0)
            .fetch_optional(connection)
            .await?;
        let found = row.as_ref().map(webhook).transpose()?;
        return Ok(found.filter(|webhook| webhook.deleted_at.is_none()));
    }
    courtesy::update(connection, client, id, patch.courtesy).await?;
    let metadata = patch.metadata.as_ref().and_then(Option::as_ref);
    let row = query(sql::UPDATE_WEBHOOK)
        .bind(client.0)
        .bind(id.0)
        .bind(patch.webhook_url.as_deref())
        .bind(patch.max_retries)
        .bind(patch.is_active)
        .bind(patch.metadata.is_some())
        .bind(metadata.map(Metadata::as_str))
        .bind(At(now))
        .bind(patch.hub_signature)
        .bind(patch.events.as_ref().map(json_text).transpose()?)
        .bind(patch.chats.as_ref().map(json_text).transpose()?)
        .bind(patch.sender.map(SenderShown::as_str))
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(webhook).transpose()
}

async fn delete(
    connection: &mut SqliteConnection,
    client: ClientId,
    id: WebhookId,
    now: Timestamp,
) -> Result<Option<DeletedWebhook>, sqlx::Error> {
    let deleted = query(sql::DELETE_WEBHOOK)
        .bind(client.0)
        .bind(id.0)
        .bind(At(now))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(deleted) = deleted else { return Ok(None) };
    let phone_number = number(&deleted, "phone_number")?;
    let all_ended = fail_events(connection, id.0, WITH_DELETION).await?;
    if all_ended {
        // Otherwise whoever registers and deletes over and over fills the disk, whatever the limit.
        query(sql::PURGE_EMPTY_WEBHOOK).bind(id.0).execute(connection).await?;
    }
    Ok(Some(DeletedWebhook {
        phone_number,
        all_ended,
    }))
}

/// Whether none is left. `limit` counts what bodies weigh, too: each row that ends is written anew with its body.
async fn fail_events(connection: &mut SqliteConnection, webhook: Uuid, limit: u32) -> Result<bool, sqlx::Error> {
    let limit = limit.max(1);
    let waiting: Vec<(i64, i64)> = query_as(sql::PENDING_OF_WEBHOOK)
        .bind(webhook)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    let (taken, _) = fitting(waiting.iter().map(|(_, weight)| size(*weight)), limit as usize);
    let seqs: Vec<i64> = waiting.iter().take(taken).map(|(seq, _)| *seq).collect();
    query(sql::FAIL_EVENTS)
        .bind(json_text(&seqs)?)
        .execute(connection)
        .await?;
    Ok(taken == waiting.len() && taken < limit as usize)
}

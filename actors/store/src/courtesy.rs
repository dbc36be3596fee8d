//! What a webhook's owner asks of its deliveries, and the headers that go with them. Here the headers' values are bytes
//! that the caller encrypted.

use sqlx::{Row, SqliteConnection, query};
use wharf_domain::{ClientId, CourtesyPatch, HeaderNames, Timestamp, Webhook, WebhookId};

use crate::{
    Group, Store, StoreError,
    codec::{At, json_text, webhook},
    sql,
};

impl Store {
    /// A webhook's URL and its own headers, as they were committed together; `None` when it has none.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn sealed_headers(
        &self,
        client: ClientId,
        id: WebhookId,
    ) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        let row = query(sql::SEALED_HEADERS)
            .bind(client.0)
            .bind(id.0)
            .fetch_optional(self.pool())
            .await;
        self.one(row, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }

    /// Any webhook's own headers, to try a key on; `None` when there are none.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn any_headers(&self) -> Result<Option<(WebhookId, Vec<u8>)>, StoreError> {
        let row = query(sql::ANY_HEADERS).fetch_optional(self.pool()).await;
        self.one(row, |row| Ok((WebhookId(row.try_get(0)?), row.try_get(1)?)))
    }
}

impl Group<'_> {
    /// Gives a webhook these headers in place of those that it has; no names take them away. `false`: this client has
    /// no such webhook.
    ///
    /// # Errors
    /// As every write.
    pub async fn set_headers(
        &mut self,
        client: ClientId,
        id: WebhookId,
        names: &HeaderNames,
        sealed: &[u8],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let result = set_headers(self.enter()?, client, id, names, sealed, now).await;
        self.leave(result)
    }

    /// Switches a webhook off and says why. `None`: this client has no such webhook, or it leads to another URL.
    ///
    /// # Errors
    /// As every write.
    pub async fn deactivate_webhook(
        &mut self,
        client: ClientId,
        id: WebhookId,
        url: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let connection = self.enter()?;
        let result = async {
            let row = query(sql::DEACTIVATE_WEBHOOK)
                .bind(client.0)
                .bind(id.0)
                .bind(reason)
                .bind(At(now))
                .bind(url)
                .fetch_optional(connection)
                .await?;
            row.as_ref().map(webhook).transpose()
        };
        let result = result.await;
        self.leave(result)
    }
}

async fn set_headers(
    connection: &mut SqliteConnection,
    client: ClientId,
    id: WebhookId,
    names: &HeaderNames,
    sealed: &[u8],
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let text = json_text(&names.0)?;
    let some = !names.0.is_empty();
    let done = query(sql::SET_HEADERS)
        .bind(client.0)
        .bind(id.0)
        .bind(some.then_some(text))
        .bind(some.then_some(sealed))
        .bind(At(now))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Changes what is asked for, on the way to [`Group::update_webhook`].
pub(crate) async fn update(
    connection: &mut SqliteConnection,
    client: ClientId,
    id: WebhookId,
    patch: CourtesyPatch,
) -> Result<(), sqlx::Error> {
    if patch == CourtesyPatch::default() {
        return Ok(());
    }
    let row = query(sql::WEBHOOK)
        .bind(client.0)
        .bind(id.0)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(before) = row.as_ref().map(webhook).transpose()? else {
        return Ok(());
    };
    let asked = patch.apply(before.courtesy);
    let codes: Vec<u16> = asked.retry_client_errors.codes().collect();
    let codes = json_text(&codes)?;
    query(sql::SET_COURTESY)
        .bind(client.0)
        .bind(id.0)
        .bind(asked.max_in_flight)
        .bind(asked.max_per_second)
        .bind(asked.timeout_ms)
        .bind(asked.ordering.as_str())
        .bind(codes)
        .bind(asked.recovery.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

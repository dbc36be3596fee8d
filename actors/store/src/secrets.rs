//! The secrets that sign a webhook's deliveries. Here they are bytes that the caller encrypted.

use sqlx::{Row, SqliteConnection, query};
use wharf_domain::{ClientId, Timestamp, WebhookId};

use crate::{Group, SealedSecret, Store, StoreError, codec::At, sql};

/// Secrets of one webhook at the most: the present one and four that were replaced. Each is a signature in the header,
/// and nobody needs more than the one or two that a lost answer leaves behind.
const SECRETS_KEPT: i64 = 5;

impl Store {
    /// A webhook's secrets, the present one first. Also those that have expired meanwhile.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn secrets(&self, client: ClientId, id: WebhookId) -> Result<Vec<SealedSecret>, StoreError> {
        let rows = query(sql::WEBHOOK_SECRETS)
            .bind(client.0)
            .bind(id.0)
            .fetch_all(self.pool())
            .await;
        self.all(rows, |row| {
            Ok(SealedSecret {
                sealed: row.try_get(0)?,
                expires_at: row.try_get::<Option<At>, _>(1)?.map(|at| at.0),
            })
        })
    }

    /// Any secret of any webhook, to try a key on; `None` when there is none.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn any_secret(&self) -> Result<Option<(WebhookId, Vec<u8>)>, StoreError> {
        let row = query(sql::ANY_SECRET).fetch_optional(self.pool()).await;
        self.one(row, |row| Ok((WebhookId(row.try_get(0)?), row.try_get(1)?)))
    }
}

impl Group<'_> {
    /// Gives a webhook a new secret. Those that it has go on signing until `others_until` at the latest, and are
    /// removed when that is not after `now`. `false`: this client has no such webhook.
    ///
    /// # Errors
    /// As every write.
    pub async fn add_secret(
        &mut self,
        client: ClientId,
        id: WebhookId,
        sealed: &[u8],
        others_until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let result = add(self.enter()?, client, id, sealed, others_until, now).await;
        self.leave(result)
    }
}

async fn add(
    connection: &mut SqliteConnection,
    client: ClientId,
    id: WebhookId,
    sealed: &[u8],
    others_until: Timestamp,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let added = query(sql::ADD_SECRET)
        .bind(client.0)
        .bind(id.0)
        .bind(sealed)
        .bind(At(now))
        .execute(&mut *connection)
        .await?;
    if added.rows_affected() == 0 {
        return Ok(false);
    }
    query(sql::EXPIRE_SECRETS)
        .bind(id.0)
        .bind(At(others_until))
        .execute(&mut *connection)
        .await?;
    query(sql::DROP_SECRETS)
        .bind(id.0)
        .bind(At(now))
        .bind(SECRETS_KEPT)
        .execute(connection)
        .await?;
    Ok(true)
}

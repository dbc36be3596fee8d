//! The handle on the database: reads of clients, webhooks and connections.

use std::{fs::File, path::Path, sync::Arc};

use sqlx::{Row, SqlitePool, query, query_scalar, sqlite::SqliteRow};
use uuid::Uuid;
use wharf_domain::{Client, ClientId, Connection, ConnectionKey, TokenHash, Webhook, WebhookId, Wishes};

use crate::{
    ByNumber, StoreError,
    codec::{self, of_number},
    place::Place,
    sql,
};

/// A handle on the database: a pool of connections that only read, and what it takes to open the one that writes.
/// Cheap to clone.
///
/// Each read sees what was committed when it began, so a read that overlaps a commit may answer without it. Every
/// read of a tenant's data takes the client first; another client's id answers like one that does not exist.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) pool: SqlitePool,
    pub(crate) place: Arc<Place>,
    /// Whether it may be a copy that nobody has made harmless, and is written to all the same: by who does that.
    pub(crate) takes_copies: bool,
    /// Held for its lock.
    pub(crate) _lock: Option<File>,
}

/// See [`Store::clients_counted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientsCounted {
    added: i64,
    there: i64,
    removed: i64,
    touched: i64,
}

impl ClientsCounted {
    /// Whether some were removed and are still there.
    pub fn some_removed(self) -> bool {
        self.removed > 0
    }
}

impl Store {
    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.inner.pool
    }

    /// How many connections read.
    pub fn readers(&self) -> u32 {
        self.inner.pool.options().get_max_connections()
    }

    pub(crate) fn error(&self, error: sqlx::Error) -> StoreError {
        self.inner.place.error(error)
    }

    /// The directory in which the URL names the database: what belongs to it is kept there too, also where its file is a link to
    /// another disk.
    pub fn directory(&self) -> &Path {
        &self.inner.place.home
    }

    pub(crate) fn all<T>(
        &self,
        rows: Result<Vec<SqliteRow>, sqlx::Error>,
        read: impl Fn(&SqliteRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, StoreError> {
        rows.and_then(|rows| rows.iter().map(read).collect())
            .map_err(|error| self.error(error))
    }

    pub(crate) fn one<T>(
        &self,
        row: Result<Option<SqliteRow>, sqlx::Error>,
        read: impl Fn(&SqliteRow) -> Result<T, sqlx::Error>,
    ) -> Result<Option<T>, StoreError> {
        row.and_then(|row| row.as_ref().map(read).transpose())
            .map_err(|error| self.error(error))
    }

    /// Finds out whether the database takes writes, by committing one: a small counter goes up. A write that is rolled
    /// back would not do, because it never reaches the disk. The commit is not synced, so with a connection for the moment this
    /// costs a millisecond or two, and goes in between two group commits like any other program's write. (A connection
    /// that stays would cost a thread with its schema and pages, for a question that is asked at the start and by `/readyz`.)
    ///
    /// # Errors
    /// `Unavailable` when it does not, `Corrupt` when it never will.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        let mut connection = self.inner.place.connect(&self.inner.place.probe()).await?;
        let written = query(sql::WRITE_CHECK).execute(&mut connection).await;
        written.map(drop).map_err(|error| self.error(error))
    }

    /// The client that a token belongs to, unless it was removed.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, as every read.
    pub async fn client_of_token(&self, token: &TokenHash) -> Result<Option<ClientId>, StoreError> {
        let id = query_scalar(sql::CLIENT_OF_TOKEN)
            .bind(token.0.as_slice())
            .fetch_optional(self.pool())
            .await;
        id.map(|id| id.map(ClientId)).map_err(|error| self.error(error))
    }

    /// The clients that were not removed, by id.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        self.all(query(sql::CLIENTS).fetch_all(self.pool()).await, codec::client)
    }

    /// What is equal only as long as no client is added, removed or purged, or gets another token; and whether some are removed and still there.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn clients_counted(&self) -> Result<ClientsCounted, StoreError> {
        let row = query(sql::CLIENTS_COUNTED).fetch_one(self.pool()).await;
        let read = |row: SqliteRow| {
            Ok(ClientsCounted {
                added: row.try_get(0)?,
                there: row.try_get(1)?,
                removed: row.try_get(2)?,
                touched: row.try_get(3)?,
            })
        };
        row.and_then(read).map_err(|error| self.error(error))
    }

    /// The clients that were removed and whose data is still there: their sessions are to be logged out, then
    /// [`crate::Group::purge_client`] ends it.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn removed_clients(&self) -> Result<Vec<ClientId>, StoreError> {
        let ids = query_scalar(sql::REMOVED_CLIENTS).fetch_all(self.pool()).await;
        ids.map(|ids| ids.into_iter().map(ClientId).collect())
            .map_err(|error| self.error(error))
    }

    /// Whether there was ever a client, be all of them gone by now.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn ever_had_clients(&self) -> Result<bool, StoreError> {
        let had = query_scalar(sql::EVER_HAD_CLIENTS).fetch_one(self.pool()).await;
        had.map_err(|error| self.error(error))
    }

    /// What tells this database, and copies of it, from every other one.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn installation(&self) -> Result<Uuid, StoreError> {
        let id = query_scalar(sql::INSTALLATION).fetch_one(self.pool()).await;
        id.map_err(|error| self.error(error))
    }

    /// A client's webhooks without the deleted ones, by number.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn webhooks(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Webhook>, StoreError> {
        let rows = query(sql::WEBHOOKS)
            .bind(client.0)
            .bind(part.after_text())
            .bind(part.limit);
        self.all(rows.fetch_all(self.pool()).await, codec::webhook)
    }

    /// The webhooks of a client that are switched on and have pending events, or parked ones to recover by themselves.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn webhooks_with_work(&self, client: ClientId) -> Result<Vec<WebhookId>, StoreError> {
        let rows = query(sql::WEBHOOKS_WITH_WORK).bind(client.0);
        self.all(rows.fetch_all(self.pool()).await, codec::webhook_id)
    }

    /// One webhook of a client, also a deleted one (`deleted_at` is set): its events stay readable.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn webhook(&self, client: ClientId, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        let row = query(sql::WEBHOOK)
            .bind(client.0)
            .bind(id.0)
            .fetch_optional(self.pool())
            .await;
        self.one(row, codec::webhook)
    }

    /// What the webhook of a number is told of, and how; where there is none, of nothing.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn wanted(&self, key: &ConnectionKey) -> Result<Wishes, StoreError> {
        let row = of_number(sql::WANTED, key);
        let wanted = self.one(row.fetch_optional(self.pool()).await, |row| {
            Ok(Wishes {
                events: codec::events(row)?,
                chats: codec::chats(row)?,
                sender: codec::sender(row)?,
            })
        })?;
        Ok(wanted.unwrap_or(Wishes::NONE))
    }

    /// A client's connections, by number.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn connections(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Connection>, StoreError> {
        let rows = query(sql::CONNECTIONS)
            .bind(client.0)
            .bind(part.after_text())
            .bind(part.limit);
        self.all(rows.fetch_all(self.pool()).await, codec::connection)
    }

    /// One connection.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn connection(&self, key: &ConnectionKey) -> Result<Option<Connection>, StoreError> {
        let row = of_number(sql::CONNECTION, key);
        self.one(row.fetch_optional(self.pool()).await, codec::connection)
    }
}

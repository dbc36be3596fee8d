//! How much there is of everything, and what nobody would miss: for the soak, which asks whether something grows that
//! should not.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Row, query, query_scalar};
use uuid::Uuid;
use wharf_domain::{AWAITS_MEDIA, ClientId, EventId};

use crate::{Store, StoreError, codec::At};

/// Tables that are counted by what a row is, with the column that says so.
const BY: [(&str, &str); 4] = [
    ("webhook_events", "status"),
    ("whatsapp_keys", "kind"),
    ("whatsapp_media", "state"),
    ("whatsapp_outgoing_messages", "status"),
];

/// What should not be there, beyond rows of clients that are not: what it is called, and how many there are.
const STRAYS: [(&str, &str); 5] = [
    (
        "keys of a device that WhatsApp does not know any more",
        "SELECT count(*) FROM whatsapp_keys k JOIN whatsapp_connections c USING (client_id, phone_number)
         WHERE c.status = 'logged_out' AND c.reason_code = 'unlinked'",
    ),
    (
        "places in the list of events without an event",
        "SELECT count(*) FROM webhook_event_list l WHERE NOT EXISTS (SELECT 1 FROM webhook_events e WHERE e.seq = l.seq)",
    ),
    (
        "events of a webhook that is not there",
        "SELECT count(*) FROM webhook_events e WHERE NOT EXISTS (SELECT 1 FROM whatsapp_webhooks w WHERE w.id = e.webhook_id)",
    ),
    (
        "events that wait for a file that nobody fetches",
        "SELECT count(*) FROM webhook_events e WHERE e.status = 'pending' AND e.next_retry_at = $1
         AND NOT EXISTS (SELECT 1 FROM whatsapp_media m WHERE m.id = e.id AND m.state = 'pending')",
    ),
    (
        "files that are fetched for an event that does not wait for them",
        "SELECT count(*) FROM whatsapp_media m WHERE m.state = 'pending'
         AND NOT EXISTS (SELECT 1 FROM webhook_events e WHERE e.id = m.id AND e.status = 'pending')",
    ),
];

impl Store {
    /// How many rows each table has; of some, those of each kind apart (`webhook_events.pending`). Goes over all of them.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, as every read.
    pub async fn census(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let counted = async {
            let mut counted = BTreeMap::new();
            for table in self.tables().await? {
                let by = BY.iter().find(|(of, _)| *of == table).map(|(_, column)| *column);
                let group = by.unwrap_or("NULL");
                // A statement takes no names as parameters; these are the schema's.
                let sql = format!("SELECT {group}, count(*) FROM {table} GROUP BY 1");
                for row in query(AssertSqlSafe(sql)).fetch_all(self.pool()).await? {
                    let (of, rows): (Option<String>, i64) = (row.try_get(0)?, row.try_get(1)?);
                    let name = of.map_or_else(|| table.clone(), |of| format!("{table}.{of}"));
                    counted.insert(name, u64::try_from(rows).unwrap_or(0));
                }
            }
            Ok::<_, sqlx::Error>(counted)
        };
        counted.await.map_err(|error| self.error(error))
    }

    /// What is left over of what went: rows of clients that are not there, keys of devices that were unlinked, events that
    /// wait in vain. One line for each kind; nothing when all is well.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, as every read.
    pub async fn strays(&self) -> Result<Vec<String>, StoreError> {
        let found = async {
            let mut found = Vec::new();
            for table in self.tables().await? {
                let columns = format!("SELECT count(*) FROM pragma_table_info('{table}') WHERE name = 'client_id'");
                let of_clients: i64 = query_scalar(AssertSqlSafe(columns)).fetch_one(self.pool()).await?;
                if of_clients > 0 {
                    let sql = format!("SELECT count(*) FROM {table} WHERE client_id NOT IN (SELECT id FROM clients)");
                    let rows: i64 = query_scalar(AssertSqlSafe(sql)).fetch_one(self.pool()).await?;
                    found.push((format!("rows of {table} of clients that are not there"), rows));
                }
            }
            for (what, sql) in STRAYS {
                found.push((
                    what.to_owned(),
                    query_scalar(sql).bind(At(AWAITS_MEDIA)).fetch_one(self.pool()).await?,
                ));
            }
            Ok::<_, sqlx::Error>(found)
        };
        let found = found.await.map_err(|error| self.error(error))?;
        let strays = found.into_iter().filter(|(_, rows)| *rows > 0);
        Ok(strays.map(|(what, rows)| format!("{rows} {what}")).collect())
    }

    /// Of which events files are kept, by the rows.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`, as every read.
    pub async fn kept_files(&self) -> Result<Vec<(ClientId, EventId)>, StoreError> {
        let rows: Result<Vec<(i64, Uuid)>, sqlx::Error> =
            sqlx::query_as("SELECT client_id, id FROM whatsapp_media WHERE state = 'kept'")
                .fetch_all(self.pool())
                .await;
        let kept = |(client, id)| (ClientId(client), EventId(id));
        rows.map(|rows| rows.into_iter().map(kept).collect())
            .map_err(|error| self.error(error))
    }

    async fn tables(&self) -> Result<Vec<String>, sqlx::Error> {
        query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
            .fetch_all(self.pool())
            .await
    }
}

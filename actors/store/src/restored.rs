//! A database that was put back from a copy: what is done to it once, before a server starts on it. It is older than what WhatsApp,
//! receivers, consumers and clients have seen since, and nothing in it says so.

use sqlx::{Row as _, SqliteConnection, query, query_scalar, sqlite::SqliteRow};
use wharf_domain::{ClientId, ConnectionKey, Timestamp, Webhook};

use crate::{
    Group, StoreError,
    codec::{At, number, webhook},
    sql,
};

/// `number_sequences.purged` counts in so many bits; those above them say when the database was last put back. The counter of a client
/// that comes to more, 268 million events removed, costs who pulls one 410 for nothing.
const COUNTING_BITS: u32 = 28;
/// What counts.
const COUNT: i64 = (1 << COUNTING_BITS) - 1;

/// Sequences that are left out in any case, and for each second since the copy: more than a number has ever had events.
const SEQUENCES: i64 = 1_000_000;
const SEQUENCES_A_SECOND: i64 = 100;
/// The same of clients' ids, for each minute.
const CLIENTS: i64 = 1_000;

/// Set in the place of how a webhook's last attempt ended.
const SWITCHED_OFF: &str = "switched off: the database was restored from a copy";

/// What was done to a database that was put back.
#[derive(Debug)]
pub struct Restored {
    /// When its server was last at work, to ten minutes; `None` where it never was.
    pub last_used_at: Option<Timestamp>,
    /// Numbers that would have connected by themselves, by client and number.
    pub disconnected: Vec<ConnectionKey>,
    /// Webhooks that were switched off, by client and number.
    pub switched_off: Vec<Webhook>,
    /// Webhooks that are pulled, which stay as they are, by client and number.
    pub pulled: Vec<Webhook>,
    /// Messages that waited to be sent, which the next start ends.
    pub messages: u64,
}

impl Group<'_> {
    /// Makes a database that was put back harmless. No number connects by itself: with old ratchets it would spoil what its contacts have.
    /// Nothing that waited is sent, since it may have been sent. Webhooks that are pushed are switched off unless they are to `stay`. Sequences and
    /// clients' ids that may have been given out since are not given out again, and each place of before, for who pulls, is gone.
    /// Deletions that were under way stay so. It does no harm twice.
    ///
    /// # Errors
    /// As every write.
    pub async fn restored(&mut self, now: Timestamp, webhooks_stay: bool) -> Result<Restored, StoreError> {
        let (connection, lines) = self.enter_with_lines()?;
        lines.forget();
        let result = restore(connection, now, webhooks_stay).await;
        self.leave(result)
    }
}

async fn restore(db: &mut SqliteConnection, now: Timestamp, webhooks_stay: bool) -> Result<Restored, sqlx::Error> {
    let seen: Option<At> = query_scalar(sql::RETENTION_SEEN_AT).fetch_optional(&mut *db).await?;
    let last_used_at = seen.map(|at| at.0);
    let age = last_used_at.map_or(0, |at| i64::try_from(now.since(at).as_secs()).unwrap_or(i64::MAX));

    let rows = query(sql::DISCONNECT_ALL).bind(At(now)).fetch_all(&mut *db).await?;
    let mut disconnected = rows.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
    disconnected.sort_unstable();

    let begun = query(sql::BEGIN_ALL_QUEUED).execute(&mut *db).await?;

    let mut switched_off = Vec::new();
    if !webhooks_stay {
        let rows = query(sql::DEACTIVATE_ALL).bind(At(now)).bind(SWITCHED_OFF);
        switched_off = by_number(&rows.fetch_all(&mut *db).await?)?;
    }
    let pulled = by_number(&query(sql::ALL_PULLED).fetch_all(&mut *db).await?)?;

    for statement in [sql::SEQUENCE_OF_EACH_WEBHOOK, sql::SEQUENCE_OF_EACH_CONNECTION] {
        query(statement).execute(&mut *db).await?;
    }
    query(sql::LEAVE_OUT_SEQUENCES)
        .bind(age.saturating_mul(SEQUENCES_A_SECOND).saturating_add(SEQUENCES))
        .bind(COUNT)
        .bind((now.0 / 1000) << COUNTING_BITS)
        .execute(&mut *db)
        .await?;
    query(sql::LEAVE_OUT_CLIENTS)
        .bind(CLIENTS.saturating_add(age / 60))
        .execute(&mut *db)
        .await?;
    // Somebody stands there: the time since the copy was made is no reason to doubt the clock.
    query(sql::NOTE_RETENTION).bind(At(now)).execute(&mut *db).await?;
    query(sql::IS_NO_COPY).execute(&mut *db).await?;
    Ok(Restored {
        last_used_at,
        disconnected,
        switched_off,
        pulled,
        messages: begun.rows_affected(),
    })
}

fn by_number(rows: &[SqliteRow]) -> Result<Vec<Webhook>, sqlx::Error> {
    let mut webhooks = rows.iter().map(webhook).collect::<Result<Vec<_>, _>>()?;
    webhooks.sort_by_cached_key(Webhook::key);
    Ok(webhooks)
}

fn key_of(row: &SqliteRow) -> Result<ConnectionKey, sqlx::Error> {
    let client = ClientId(row.try_get("client_id")?);
    Ok(ConnectionKey::new(client, number(row, "phone_number")?))
}

/// Whether the database was put back between two counts of a client's removed events.
pub(crate) const fn was_put_back(before: i64, now: i64) -> bool {
    before >> COUNTING_BITS != now >> COUNTING_BITS
}

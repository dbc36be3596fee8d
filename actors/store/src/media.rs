//! Files that messages came with: which are to be downloaded, which are kept, and until when.
//!
//! The row is made with its event, in one commit, and the event waits ([`AWAITS_MEDIA`]) until [`Group::end_media`] says
//! what became of the download: that commit makes the event due, or delivered if it is pulled, and its payload final.

use sqlx::{Row, SqliteConnection, query, query_scalar, sqlite::SqliteRow};
use uuid::Uuid;
use wharf_domain::{
    AWAITS_MEDIA, ClientId, ConnectionKey, EventId, Timestamp, download::LONGEST_WAIT, message::MediaError,
};

use crate::{
    Group, NewEvent, RecordedEvent, Store, StoreError,
    codec::{At, broken, count, number, recorded},
    retention::delete_each,
    sql,
};

/// A file whose time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiredMedia {
    /// Whose it is.
    pub client_id: ClientId,
    /// The event that it came with.
    pub id: EventId,
    /// When its time passed.
    pub expires_at: Timestamp,
    /// Whether its event still waits for its receiver, is parked until that recovers by itself, or was delivered too lately for the
    /// receiver to have fetched the file.
    pub is_needed: bool,
}

/// A download that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueMedia {
    /// The event that waits for it.
    pub id: EventId,
    /// The number that received it.
    pub key: ConnectionKey,
    /// Downloads that failed so far.
    pub attempts: u32,
    /// Where it is and its key, encrypted.
    pub sealed: Vec<u8>,
    /// The message that it came with; `None` when its event is gone.
    pub message: Option<MediaMessage>,
}

/// The message that a file came with, as WhatsApp names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaMessage {
    /// The chat's JID.
    pub chat: String,
    /// The sender's JID.
    pub sender: String,
    /// WhatsApp's id.
    pub message_id: String,
}

/// Where a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaState {
    /// It is to be downloaded.
    Pending,
    /// It is here.
    Kept,
    /// There is none.
    Failed(MediaError),
}

/// A file that a message came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRow {
    /// Where it stands.
    pub state: MediaState,
    /// Its bytes.
    pub size: u64,
    /// What it is, as the sender says.
    pub mime_type: String,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// When it goes.
    pub expires_at: Timestamp,
}

/// What became of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaOutcome {
    /// The event that waits for the file.
    pub id: EventId,
    /// The size of the file that is kept, or why there is none.
    pub result: Result<u64, MediaError>,
    /// What the event goes out with, where that changes.
    pub payload: Option<String>,
    /// When the file goes, where that changes.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Downloads that are due, of clients after `after`: at most `per_client` of each and `limit` in all, by client.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn due_media(
        &self,
        now: Timestamp,
        after: ClientId,
        per_client: usize,
        limit: usize,
    ) -> Result<Vec<DueMedia>, StoreError> {
        let rows = query(sql::DUE_MEDIA)
            .bind(At(now))
            .bind(after.0)
            .bind(count(per_client))
            .bind(count(limit))
            .bind(At(now + LONGEST_WAIT))
            .fetch_all(self.pool())
            .await;
        self.all(rows, due)
    }

    /// A file of a client.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn media(&self, client: ClientId, id: EventId) -> Result<Option<MediaRow>, StoreError> {
        let row = query(sql::MEDIA).bind(client.0).bind(id.0);
        self.one(row.fetch_optional(self.pool()).await, media_row)
    }

    /// Bytes of the files that a client has here.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn media_bytes(&self, client: ClientId) -> Result<u64, StoreError> {
        let bytes: Result<i64, sqlx::Error> = query_scalar(sql::MEDIA_BYTES)
            .bind(client.0)
            .fetch_one(self.pool())
            .await;
        bytes
            .map(|bytes| u64::try_from(bytes).unwrap_or(0))
            .map_err(|error| self.error(error))
    }

    /// Whether any client has a file here.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn has_media(&self) -> Result<bool, StoreError> {
        let has = query_scalar(sql::HAS_MEDIA).fetch_one(self.pool()).await;
        has.map_err(|error| self.error(error))
    }

    /// Files whose time has passed, so many of them, those behind `after`. They are needed where their event was not `delivered` before
    /// `fetched_by`, and may still be.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn expired_media(
        &self,
        now: Timestamp,
        fetched_by: Timestamp,
        limit: u32,
        after: Option<ExpiredMedia>,
    ) -> Result<Vec<ExpiredMedia>, StoreError> {
        let after = after.map_or((Timestamp(i64::MIN), Uuid::nil()), |file| (file.expires_at, file.id.0));
        let rows = query(sql::EXPIRED_MEDIA)
            .bind(At(now))
            .bind(limit)
            .bind(At(after.0))
            .bind(after.1)
            .bind(At(fetched_by))
            .fetch_all(self.pool())
            .await;
        self.all(rows, |row| {
            Ok(ExpiredMedia {
                client_id: ClientId(row.try_get(0)?),
                id: EventId(row.try_get(1)?),
                expires_at: row.try_get::<At, _>(2)?.0,
                is_needed: row.try_get(3)?,
            })
        })
    }
}

impl Group<'_> {
    /// Ends a download at `now`: its event goes out, with what became of it. `None` when no event waits for it any more, the
    /// download had ended before, or the event is pulled and counts as delivered from now on.
    ///
    /// # Errors
    /// As every write.
    pub async fn end_media(
        &mut self,
        outcome: &MediaOutcome,
        now: Timestamp,
    ) -> Result<Option<RecordedEvent>, StoreError> {
        let result = end(self.enter()?, outcome, now).await;
        self.leave(result)
    }

    /// A download failed and is tried again at `due_at`; with what it needs now, where that has changed.
    ///
    /// # Errors
    /// As every write.
    pub async fn postpone_media(
        &mut self,
        id: EventId,
        attempts: u32,
        due_at: Timestamp,
        sealed: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let statement = query(sql::POSTPONE_MEDIA)
            .bind(id.0)
            .bind(attempts)
            .bind(At(due_at))
            .bind(sealed);
        self.execute(statement).await.map(|_| ())
    }

    /// Files stay until another time, also those whose time has passed. Returns how many there are.
    ///
    /// # Errors
    /// As every write.
    pub async fn prolong_media(&mut self, media: &[EventId], until: Timestamp) -> Result<u64, StoreError> {
        let mut prolonged = 0;
        for id in media {
            let statement = query(sql::PROLONG_MEDIA).bind(id.0).bind(At(until));
            prolonged += self.execute(statement).await?;
        }
        Ok(prolonged)
    }

    /// Removes the rows of files whose time has passed; those that [`Store::expired_media`] found. Returns how many went.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_media(&mut self, media: &[EventId]) -> Result<u64, StoreError> {
        let ids = media.iter().map(|id| id.0);
        let result = delete_each(self.enter()?, sql::PURGE_MEDIA, ids).await;
        self.leave(result)
    }
}

/// Has the events of messages with media wait for it. `recorded` are those that were made, in the order of `messages`.
pub(crate) async fn hold(
    connection: &mut SqliteConnection,
    messages: impl Iterator<Item = &NewEvent>,
    recorded: &mut [RecordedEvent],
) -> Result<(), sqlx::Error> {
    let mut made = recorded.iter_mut();
    for new in messages.filter(|new| new.message.awaited_media().is_some()) {
        // One that was recorded before made none.
        let Some(place) = made.as_slice().iter().position(|recorded| recorded.event.id == new.id) else {
            continue;
        };
        if let Some(recorded) = made.nth(place) {
            keep(connection, new).await?;
            let held = query(sql::HOLD_EVENT).bind(recorded.event.seq).bind(At(AWAITS_MEDIA));
            held.execute(&mut *connection).await?;
            recorded.event.next_retry_at = Some(AWAITS_MEDIA);
        }
    }
    Ok(())
}

async fn keep(connection: &mut SqliteConnection, new: &NewEvent) -> Result<(), sqlx::Error> {
    let (Some(media), Some(awaited)) = (new.message.media(), new.message.awaited_media()) else {
        return Ok(());
    };
    query(sql::KEEP_MEDIA)
        .bind(new.id.0)
        .bind(new.key.client_id.0)
        .bind(new.key.phone_number.as_str())
        .bind(At(new.created_at))
        .bind(i64::try_from(media.size).unwrap_or(i64::MAX))
        .bind(media.mime_type.as_str())
        .bind(media.sha256.as_str())
        .bind(awaited.sealed.as_slice())
        .bind(At(awaited.expires_at))
        .execute(connection)
        .await
        .map(|_| ())
}

async fn end(
    connection: &mut SqliteConnection,
    outcome: &MediaOutcome,
    now: Timestamp,
) -> Result<Option<RecordedEvent>, sqlx::Error> {
    let (state, size, error) = match outcome.result {
        Ok(size) => ("kept", Some(i64::try_from(size).unwrap_or(i64::MAX)), None),
        Err(error) => ("failed", None, Some(error.as_str())),
    };
    let ended = query(sql::END_MEDIA)
        .bind(outcome.id.0)
        .bind(state)
        .bind(size)
        .bind(error)
        .bind(outcome.expires_at.map(At))
        .execute(&mut *connection)
        .await?;
    if ended.rows_affected() == 0 {
        return Ok(None);
    }
    let row = query(sql::RELEASE_EVENT)
        .bind(outcome.id.0)
        .bind(At(AWAITS_MEDIA))
        .bind(outcome.payload.as_deref())
        .bind(At(now))
        .fetch_optional(connection)
        .await?;
    match row {
        Some(row) if !row.try_get::<bool, _>(10)? => recorded(&row).map(Some),
        _ => Ok(None),
    }
}

fn due(row: &SqliteRow) -> Result<DueMedia, sqlx::Error> {
    let message = match row.try_get::<Option<String>, _>(5)? {
        None => None,
        Some(chat) => Some(MediaMessage {
            chat,
            sender: row.try_get(6)?,
            message_id: row.try_get(7)?,
        }),
    };
    Ok(DueMedia {
        id: EventId(row.try_get::<Uuid, _>(0)?),
        key: ConnectionKey {
            client_id: ClientId(row.try_get(1)?),
            phone_number: number(row, "phone_number")?,
        },
        attempts: row.try_get(3)?,
        sealed: row.try_get(4)?,
        message,
    })
}

fn media_row(row: &SqliteRow) -> Result<MediaRow, sqlx::Error> {
    let state = match (row.try_get::<&str, _>(0)?, row.try_get::<Option<&str>, _>(5)?) {
        ("pending", _) => Some(MediaState::Pending),
        ("kept", _) => Some(MediaState::Kept),
        (_, error) => error.and_then(MediaError::from_word).map(MediaState::Failed),
    };
    Ok(MediaRow {
        state: state.ok_or_else(|| broken("error", "an unknown word"))?,
        size: u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0),
        mime_type: row.try_get(2)?,
        sha256: row.try_get(3)?,
        expires_at: row.try_get::<At, _>(4)?.0,
    })
}

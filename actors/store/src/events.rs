//! Reads of events: one, a page of a webhook's, a payload.

use std::time::Instant;

use bytes::Bytes;
use futures::stream::BoxStream;
use sqlx::{Row, SqliteConnection, query, query_scalar, sqlite::SqliteRow};
use wharf_domain::{ClientId, Event, EventId, EventKind, EventStatus, WebhookId};

use crate::{
    ChatFilter, Cursor, EventFilter, EventPage, Store, StoreError, codec,
    page::EventRows,
    sql,
    walk::{Pieces, Places, VISITED, bounds, floor},
};

impl Store {
    /// One event of a client.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn event(&self, client: ClientId, id: EventId) -> Result<Option<Event>, StoreError> {
        let row = query(sql::EVENT)
            .bind(client.0)
            .bind(id.0)
            .fetch_optional(self.pool())
            .await;
        self.one(row, codec::event)
    }

    /// A page of a webhook's events, newest first. A webhook of another client has none. `None` when the cursor's event is
    /// another webhook's, or gone: failed ones that are older may well be there still. A page with a filter that no index
    /// answers ends after 10,000 rows looked at, or after a while: then it has a cursor although it is not full.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn events(
        &self,
        client: ClientId,
        webhook: WebhookId,
        filter: &EventFilter,
    ) -> Result<Option<EventPage>, StoreError> {
        let page = async {
            // One transaction, so that all of its statements see the same rows.
            let mut connection = self.pool().begin().await?;
            page(&mut connection, client, webhook, filter).await
        };
        page.await.map_err(|error| self.error(error))
    }

    /// The body of an event's attempts. Not asked for by a tenant but by the actor that delivers the event, hence
    /// without a client.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn payload(&self, id: EventId) -> Result<Option<Bytes>, StoreError> {
        let row = query(sql::PAYLOAD).bind(id.0).fetch_optional(self.pool()).await;
        self.one(row, |row| row.try_get::<Vec<u8>, _>(0).map(Bytes::from))
    }
}

async fn page(
    connection: &mut SqliteConnection,
    client: ClientId,
    webhook: WebhookId,
    filter: &EventFilter,
) -> Result<Option<EventPage>, sqlx::Error> {
    let before = match filter.cursor {
        None => i64::MAX,
        Some(cursor) => {
            let seq = query_scalar(sql::EVENT_SEQ)
                .bind(client.0)
                .bind(webhook.0)
                .bind(cursor.0.0);
            match seq.fetch_optional(&mut *connection).await? {
                Some(seq) => seq,
                None => return Ok(None),
            }
        }
    };
    // One more than asked for says whether a next page exists.
    let wanted = i64::from(filter.limit) + 1;
    let indexed = match filter.status {
        None => Some(sql::EVENTS_ALL),
        Some(EventStatus::Pending) => Some(sql::EVENTS_PENDING),
        Some(EventStatus::Failed) => Some(sql::EVENTS_FAILED),
        Some(EventStatus::Delivered) => None,
    };
    if let Some(statement) = indexed.filter(|_| !is_narrow(filter)) {
        let rows = query(statement)
            .bind(client.0)
            .bind(webhook.0)
            .bind(before)
            .bind(wanted);
        let mut taken = EventRows::default();
        taken.take(rows.fetch(connection)).await?;
        return cut(&taken, filter.limit, None).map(Some);
    }
    let owned = query(sql::WEBHOOK).bind(client.0).bind(webhook.0);
    if owned.fetch_optional(&mut *connection).await?.is_none() {
        return cut(&EventRows::default(), filter.limit, None).map(Some);
    }
    let places = Places { before, ..Places::ALL };
    let places = places.within(connection, filter.since, filter.until).await?;
    let undelivered = filter.status.filter(|status| *status != EventStatus::Delivered);
    let undelivered = undelivered.map(EventStatus::as_str);
    let (rows, floor) = walk(connection, client, webhook, filter, (places, undelivered)).await?;
    let floor = match floor {
        Some(seq) => Some(Cursor(EventId(
            query_scalar(sql::EVENT_AT)
                .bind(seq)
                .fetch_one(&mut *connection)
                .await?,
        ))),
        None => None,
    };
    cut(&rows, filter.limit, floor).map(Some)
}

/// The rows that match, one more than asked for if there are more and they have room on a page; and where the walk ended before all was seen.
async fn walk(
    connection: &mut SqliteConnection,
    client: ClientId,
    webhook: WebhookId,
    filter: &EventFilter,
    (mut places, undelivered): (Places, Option<&str>),
) -> Result<(EventRows, Option<i64>), sqlx::Error> {
    let wanted = filter.limit as usize + 1;
    let mut rows = EventRows::default();
    let mut pieces = Pieces::new(VISITED);
    loop {
        let begun = Instant::now();
        let floor = floor(connection, webhook, places, undelivered, pieces.size()).await?;
        let piece = Places {
            after: floor.map_or(places.after, |floor| floor - 1),
            ..places
        };
        let missing = codec::count(wanted - rows.len());
        let found = matching(connection, client, webhook, filter, piece, missing);
        rows.take(found).await?;
        let full = rows.is_full() || rows.len() >= wanted;
        match floor {
            Some(floor) if !full && pieces.another(begun.elapsed()) => places.before = floor,
            floor => return Ok((rows, floor)),
        }
    }
}

/// Whether it asks for something that no index answers.
fn is_narrow(filter: &EventFilter) -> bool {
    let of_content = filter.event.is_some() || filter.chat.is_some() || filter.message_id.is_some();
    of_content || filter.since.is_some() || filter.until.is_some()
}

fn matching<'c>(
    connection: &'c mut SqliteConnection,
    client: ClientId,
    webhook: WebhookId,
    filter: &EventFilter,
    places: Places,
    wanted: i64,
) -> BoxStream<'c, Result<SqliteRow, sqlx::Error>> {
    let (since, until) = bounds(filter.since, filter.until);
    let (jid, number) = match &filter.chat {
        None => (None, None),
        Some(ChatFilter::Jid(jid)) => (Some(jid.clone()), None),
        Some(ChatFilter::Number(number)) => (Some(format!("{number}@s.whatsapp.net")), Some(number.to_string())),
    };
    let statement = match filter.status {
        None | Some(EventStatus::Delivered) => sql::EVENTS_MATCHING,
        Some(EventStatus::Pending | EventStatus::Failed) => sql::UNDELIVERED_MATCHING,
    };
    query(statement)
        .bind(client.0)
        .bind(webhook.0)
        .bind(places.before)
        .bind(wanted)
        .bind(places.after)
        .bind(since)
        .bind(until)
        .bind(filter.message_id.clone())
        .bind(jid)
        .bind(number)
        .bind(filter.status.map(EventStatus::as_str))
        .bind(filter.event.map(EventKind::as_str))
        .fetch(connection)
}

/// A page of `rows`, of which one more than `limit` was asked for. `floor` is where the walk ended before all was seen.
fn cut(rows: &EventRows, limit: u32, floor: Option<Cursor>) -> Result<EventPage, sqlx::Error> {
    let events = rows.events(limit as usize)?;
    let next_cursor = if rows.is_full() || rows.len() > events.len() {
        events.last().map(|event| Cursor(event.id))
    } else {
        floor
    };
    Ok(EventPage { events, next_cursor })
}

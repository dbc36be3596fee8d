//! A client's events in the order of arrival, for consumers that pull.

use sqlx::{Row, SqliteConnection, query, query_scalar};
use uuid::Uuid;
use wharf_domain::{ClientId, Event, EventId};

use crate::{
    PullCursor, PullPage, PullQuery, Pulled, Store, StoreError,
    codec::{count, json_text},
    page::EventRows,
    restored::was_put_back,
    sql,
};

/// So many webhooks are looked at one by one.
const FEW_WEBHOOKS: i64 = 128;

impl Store {
    /// The events of all webhooks of a client after a place, in the order in which they were committed, also those of
    /// deleted webhooks: nothing that is committed later comes before what was pulled. The cost is a look into the list
    /// of each webhook of the client, or at as many events where these are enough, and the page. A place of another
    /// client is one that does not exist.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn pull(&self, client: ClientId, pull: &PullQuery) -> Result<Pulled, StoreError> {
        let pulled = async {
            // One transaction: what is entered into the list meanwhile is seen once, in its old place.
            let mut connection = self.pool().begin().await?;
            page(&mut connection, client, pull).await
        };
        pulled.await.map_err(|error| self.error(error))
    }
}

async fn page(connection: &mut SqliteConnection, client: ClientId, pull: &PullQuery) -> Result<Pulled, sqlx::Error> {
    let number = pull.phone_number.as_ref().map(|number| number.as_str());
    let removed = query(sql::PURGED)
        .bind(client.0)
        .bind(number)
        .fetch_one(&mut *connection)
        .await?;
    let (purged, purged_up_to): (i64, i64) = (removed.try_get(0)?, removed.try_get(1)?);
    let purged_last: Option<Uuid> = removed.try_get(2)?;
    let after = match pull.after {
        None => 0,
        Some(cursor) => {
            let place = query_scalar(sql::PLACE_OF).bind(client.0).bind(cursor.event.0);
            match place.fetch_optional(&mut *connection).await? {
                // What was committed behind it may be in no row, nor in any count of what was removed.
                _ if was_put_back(cursor.purged, purged) => return Ok(Pulled::Gone),
                // Nothing was removed since, or nothing after it: without a gap.
                Some(place) if purged == cursor.purged || purged_up_to < place => place,
                // Nothing of what there was then, which was nothing, was removed since.
                None if cursor.event.0.is_nil() && (purged == cursor.purged || purged_up_to == 0) => 0,
                // It is the last one that was removed itself: of who has got everything, and for whom nothing has come for long.
                None if purged_last == Some(cursor.event.0) => purged_up_to,
                _ => return Ok(Pulled::Gone),
            }
        }
    };
    let places = places(connection, client, after, number, pull.limit).await?;
    let events = read(connection, client, &places).await?;
    let place = |event| PullCursor { event, purged };
    // Who has got nothing yet has a place, too, or would not hear of what is removed before the next page.
    let next_cursor = match events.last() {
        Some(last) => place(last.id),
        None => pull.after.unwrap_or(place(EventId(Uuid::nil()))),
    };
    Ok(Pulled::Page(PullPage { events, next_cursor }))
}

/// The places of the first events after a place.
async fn places(
    connection: &mut SqliteConnection,
    client: ClientId,
    after: i64,
    number: Option<&str>,
    limit: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    let missing = |places: &[i64]| i64::from(limit).saturating_sub(count(places.len()));
    let (mut places, walked_up_to) = match number {
        None => walked(connection, client, after, limit).await?,
        Some(_) => (Vec::new(), Some(after)),
    };
    let Some(after) = walked_up_to else { return Ok(places) };
    if missing(&places) > 0 {
        places.extend(listed(connection, client, after, number, missing(&places)).await?);
    }
    if missing(&places) > 0 {
        places.extend(unlisted(connection, client, after, number, missing(&places)).await?);
    }
    Ok(places)
}

/// The first events of a client with many webhooks, as far as they are found by going over everybody's, and where that
/// ended; `None` at the end of all. Whoever keeps up with what comes finds it at once, and who has much of everything a page;
/// a look into the list of each webhook is a page of the database for each.
async fn walked(
    connection: &mut SqliteConnection,
    client: ClientId,
    after: i64,
    limit: u32,
) -> Result<(Vec<i64>, Option<i64>), sqlx::Error> {
    let webhooks: i64 = query_scalar(sql::COUNT_WEBHOOKS_OF)
        .bind(client.0)
        .fetch_one(&mut *connection)
        .await?;
    if webhooks <= FEW_WEBHOOKS {
        return Ok((Vec::new(), Some(after)));
    }
    let next = query(sql::NEXT_CREATED).bind(after.saturating_add(1));
    let Some(next) = next.fetch_optional(&mut *connection).await? else {
        return Ok((Vec::new(), None));
    };
    // As many rows as it has webhooks: no more than the other way would cost.
    let up_to = next.try_get::<i64, _>(0)?.saturating_add(webhooks);
    let places: Vec<i64> = query_scalar(sql::PULL_WALKED)
        .bind(client.0)
        .bind(after)
        .bind(up_to)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    let last: Option<i64> = query_scalar(sql::LAST_PLACE).fetch_one(connection).await?;
    let over = last.is_none_or(|last| last <= up_to) || places.len() >= limit as usize;
    Ok((places, (!over).then_some(up_to)))
}

/// The first listed events, by their places. All of them are before those that are not listed.
async fn listed(
    connection: &mut SqliteConnection,
    client: ClientId,
    after: i64,
    number: Option<&str>,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    let heads = query_scalar::<_, Option<i64>>(sql::PULL_HEADS)
        .bind(client.0)
        .bind(after)
        .bind(number)
        .fetch_all(&mut *connection)
        .await?;
    let mut heads: Vec<i64> = heads.into_iter().flatten().collect();
    heads.sort_unstable();
    // The page ends at the latest with the first event of as many webhooks, and those of the others come after it.
    let limit_as_count = usize::try_from(limit).unwrap_or(usize::MAX);
    heads.truncate(limit_as_count);
    let end = match heads.last() {
        Some(last) if heads.len() == limit_as_count => *last,
        Some(_) => i64::MAX,
        None => return Ok(heads),
    };
    let heads = json_text(&heads)?;
    let mut places: Vec<i64> = query_scalar(sql::PULL_LISTED)
        .bind(client.0)
        .bind(heads)
        .bind(limit)
        .bind(end)
        .fetch_all(connection)
        .await?;
    places.sort_unstable();
    places.truncate(limit_as_count);
    Ok(places)
}

async fn unlisted(
    connection: &mut SqliteConnection,
    client: ClientId,
    after: i64,
    number: Option<&str>,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    query_scalar(sql::PULL_UNLISTED)
        .bind(client.0)
        .bind(after)
        .bind(number)
        .bind(limit)
        .fetch_all(connection)
        .await
}

async fn read(connection: &mut SqliteConnection, client: ClientId, places: &[i64]) -> Result<Vec<Event>, sqlx::Error> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let places = json_text(places)?;
    let rows = query(sql::PULL_EVENTS).bind(client.0).bind(places);
    let mut taken = EventRows::default();
    taken.take(rows.fetch(connection)).await?;
    taken.events(taken.len())
}

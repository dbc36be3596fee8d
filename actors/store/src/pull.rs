//! A client's events in the order of arrival, for consumers that pull.

use sqlx::{Row, SqliteConnection, query, query_scalar};
use wharf_domain::{ClientId, Event};

use crate::{PullCursor, PullPage, PullQuery, Pulled, Store, StoreError, codec, sql};

impl Store {
    /// The events of all webhooks of a client after a place, in the order in which they were committed, also those of
    /// deleted webhooks: nothing that is committed later comes before what was pulled. The cost is a look into the list
    /// of each webhook of the client, and the page. A place of another client is one that does not exist.
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
    let after = match pull.after {
        None => 0,
        Some(cursor) => {
            let place = query_scalar(sql::PLACE_OF).bind(client.0).bind(cursor.event.0);
            match place.fetch_optional(&mut *connection).await? {
                // Nothing was removed since, or nothing after it: without a gap.
                Some(place) if purged == cursor.purged || purged_up_to < place => place,
                _ => return Ok(Pulled::Gone),
            }
        }
    };
    let limit = pull.limit as usize;
    let mut places = listed(connection, client, after, number, pull.limit).await?;
    if places.len() < limit {
        let missing = limit - places.len();
        places.extend(unlisted(connection, client, after, number, missing).await?);
    }
    let events = read(connection, client, &places).await?;
    let last = events.last().map(|event| PullCursor {
        event: event.id,
        purged,
    });
    Ok(Pulled::Page(PullPage {
        events,
        next_cursor: last.or(pull.after),
    }))
}

/// The first listed events, by their places. All of them are before those that are not listed.
async fn listed(
    connection: &mut SqliteConnection,
    client: ClientId,
    after: i64,
    number: Option<&str>,
    limit: u32,
) -> Result<Vec<i64>, sqlx::Error> {
    let heads = query_scalar::<_, Option<i64>>(sql::PULL_HEADS)
        .bind(client.0)
        .bind(after)
        .bind(number)
        .fetch_all(&mut *connection)
        .await?;
    let mut heads: Vec<i64> = heads.into_iter().flatten().collect();
    if heads.is_empty() {
        return Ok(heads);
    }
    heads.sort_unstable();
    // The page ends at the latest with the first event of as many webhooks.
    let end = heads.get((limit as usize).saturating_sub(1)).copied();
    let mut places: Vec<i64> = query_scalar(sql::PULL_LISTED)
        .bind(client.0)
        .bind(after)
        .bind(number)
        .bind(limit)
        .bind(end.unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    places.sort_unstable();
    places.truncate(limit as usize);
    Ok(places)
}

async fn unlisted(
    connection: &mut SqliteConnection,
    client: ClientId,
    after: i64,
    number: Option<&str>,
    limit: usize,
) -> Result<Vec<i64>, sqlx::Error> {
    query_scalar(sql::PULL_UNLISTED)
        .bind(client.0)
        .bind(after)
        .bind(number)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
}

async fn read(connection: &mut SqliteConnection, client: ClientId, places: &[i64]) -> Result<Vec<Event>, sqlx::Error> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let places = serde_json::to_string(places).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let rows = query(sql::PULL_EVENTS)
        .bind(client.0)
        .bind(places)
        .fetch_all(connection)
        .await?;
    rows.iter().map(codec::event).collect()
}

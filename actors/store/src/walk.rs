//! How far a request goes through the events of a webhook: the list has no index on what a filter asks for, so a page
//! ends after so many rows looked at, or after so long, and a range of time is found by halving.

use std::time::Duration;

use sqlx::{Row, SqliteConnection, query, query_scalar};
use wharf_domain::{Timestamp, WebhookId};

use crate::{codec::At, sql};

/// Rows that one page of a filtered list looks at.
pub(crate) const VISITED: i64 = 10_000;
/// How far clocks may have been set back without an event being overlooked: the time in the rows follows their order
/// only as far as the clock did.
const CLOCK_SLACK_MS: i64 = 3_600_000;
/// Of so few events the slack costs nothing worth mentioning. Of more it is looked whether the clock was set back at all.
const FEW: i64 = 4096;
/// Events that are looked at for that, evenly spread: a clock set back by two of the sixty minutes is noticed.
const LOOKED_AT: i64 = 32;
/// What may have been set back unnoticed then, twice over.
const UNNOTICED_MS: i64 = 2 * CLOCK_SLACK_MS / LOOKED_AT;

/// How long a walk may take: its rows lie on as many pages, and a disk that has to fetch each of ten thousand takes some ten
/// seconds, while others wait for the connection.
const PATIENCE: Duration = Duration::from_millis(300);
/// Rows of a walk's first piece,
const FIRST_PIECE: i64 = 256;
/// and of one at the most: a walk that comes from pages in memory to such as are not ends with that piece.
const LARGEST_PIECE: i64 = 512;

/// Places in the order of arrival: after `after` and before `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) after: i64,
    pub(crate) before: i64,
}

impl Places {
    pub(crate) const ALL: Self = Self {
        after: 0,
        before: i64::MAX,
    };

    /// Narrows to where events created from `since` and before `until` can be, if those are given.
    pub(crate) async fn within(
        self,
        connection: &mut SqliteConnection,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Self, sqlx::Error> {
        let mut places = self;
        if let Some(since) = since {
            let exact = first_from(connection, places, since.0).await?;
            let early = first_from(connection, places, since.0.saturating_sub(CLOCK_SLACK_MS))
                .await?
                .min(exact);
            let before = (i64::MIN, since.0);
            let first = if exact - early > FEW && in_order(connection, (early, exact), before).await? {
                let near = first_from(connection, places, since.0.saturating_sub(UNNOTICED_MS)).await?;
                near.min(exact - FEW)
            } else {
                early
            };
            places.after = places.after.max(first.saturating_sub(1));
        }
        if let Some(until) = until {
            let exact = first_from(connection, places, until.0).await?;
            let late = first_from(connection, places, until.0.saturating_add(CLOCK_SLACK_MS))
                .await?
                .max(exact);
            let from = (until.0, i64::MAX);
            let first = if late - exact > FEW && in_order(connection, (exact, late), from).await? {
                let near = first_from(connection, places, until.0.saturating_add(UNNOTICED_MS)).await?;
                near.max(exact + FEW)
            } else {
                late
            };
            places.before = places.before.min(first);
        }
        Ok(places)
    }
}

/// Whether the times of the events from one place to another, those that are looked at, lie from `times.0` up to `times.1`
/// and follow the places: the clock was not set back among them.
async fn in_order(
    connection: &mut SqliteConnection,
    (from, to): (i64, i64),
    times: (i64, i64),
) -> Result<bool, sqlx::Error> {
    let mut earliest = times.0;
    for step in 0..LOOKED_AT {
        let place = from + (to - from) * step / LOOKED_AT;
        let row = query(sql::NEXT_CREATED)
            .bind(place)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(row) = row else { break };
        if row.try_get::<i64, _>(0)? >= to {
            break;
        }
        let created: i64 = row.try_get(1)?;
        if created < earliest || created >= times.1 {
            return Ok(false);
        }
        earliest = created;
    }
    Ok(true)
}

/// A place within `places` at which an event was created at `time` or later and none just before it was; the end of
/// them when there is none. By halving: where times follow places there is only one.
async fn first_from(connection: &mut SqliteConnection, places: Places, time: i64) -> Result<i64, sqlx::Error> {
    let last: Option<i64> = query_scalar(sql::LAST_PLACE).fetch_one(&mut *connection).await?;
    let end = last.unwrap_or(0).saturating_add(1).min(places.before);
    let (mut low, mut high) = (places.after.saturating_add(1), end);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = query(sql::NEXT_CREATED)
            .bind(middle)
            .fetch_optional(&mut *connection)
            .await?;
        match found {
            Some(row) if row.try_get::<i64, _>(1)? < time => low = row.try_get::<i64, _>(0)?.saturating_add(1),
            _ => high = middle,
        }
    }
    Ok(low.min(high))
}

/// The pieces of a walk: small at first, then somewhat larger if they take no time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces {
    left: i64,
    size: i64,
    spent: Duration,
}

impl Pieces {
    /// Of a walk over `most` rows at the most.
    pub(crate) fn new(most: i64) -> Self {
        Self {
            left: most,
            size: FIRST_PIECE.min(most),
            spent: Duration::ZERO,
        }
    }

    /// Rows of the next piece.
    pub(crate) fn size(self) -> i64 {
        self.size
    }

    /// Whether the walk goes on, after a piece that took so long.
    pub(crate) fn another(&mut self, took: Duration) -> bool {
        self.left -= self.size;
        self.spent += took;
        let time = PATIENCE.saturating_sub(self.spent);
        if took * 4 < time {
            self.size = (self.size * 2).min(LARGEST_PIECE);
        }
        // Who goes on all the same goes on in pieces that are worth it.
        self.size = if self.left > 0 {
            self.size.min(self.left)
        } else {
            FIRST_PIECE
        };
        self.left > 0 && !time.is_zero()
    }
}

/// The last row of a piece of a webhook's events, of all statuses or of one that is not `delivered`; `None` when the piece
/// reaches the last of them.
pub(crate) async fn floor(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    places: Places,
    undelivered: Option<&str>,
    size: i64,
) -> Result<Option<i64>, sqlx::Error> {
    let statement = if undelivered.is_some() {
        sql::UNDELIVERED_FLOOR
    } else {
        sql::LIST_FLOOR
    };
    let mut statement = query_scalar::<_, i64>(statement)
        .bind(webhook.0)
        .bind(places.before)
        .bind(places.after)
        .bind(size - 1);
    if let Some(status) = undelivered {
        statement = statement.bind(status);
    }
    // The last row that may be looked at, and whether another one follows.
    let last = statement.fetch_all(connection).await?;
    Ok(match last.as_slice() {
        [floor, _] => Some(*floor),
        _ => None,
    })
}

/// The bounds of a range of time as the statements take them.
pub(crate) fn bounds(since: Option<Timestamp>, until: Option<Timestamp>) -> (At, At) {
    (
        At(since.unwrap_or(Timestamp(i64::MIN))),
        At(until.unwrap_or(Timestamp(i64::MAX))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of the pieces of a walk whose rows take so long.
    fn walk(most: i64, per_row: Duration) -> Vec<i64> {
        let mut pieces = Pieces::new(most);
        let mut sizes = vec![pieces.size()];
        while pieces.another(per_row * u32::try_from(pieces.size()).unwrap()) {
            sizes.push(pieces.size());
        }
        sizes
    }

    #[test]
    fn a_walk_ends_with_its_rows_and_with_its_time() {
        let fast = walk(VISITED, Duration::from_micros(3));
        assert_eq!(fast.iter().sum::<i64>(), VISITED);
        assert_eq!(fast[..3], [256, 512, 512]);
        let slow = walk(VISITED, Duration::from_millis(1));
        assert!(
            slow.iter().sum::<i64>() <= 512,
            "a disk that takes a millisecond: {slow:?}"
        );
        assert_eq!(walk(10, Duration::ZERO), [10]);
        // From pages in memory to such as are not: 5,000 rows that take nothing, then a disk that takes a millisecond.
        let mut pieces = Pieces::new(VISITED);
        let (mut rows, mut slow) = (0, 0);
        loop {
            rows += pieces.size();
            let took = if rows > 5_000 { pieces.size() } else { 0 };
            slow += took;
            if !pieces.another(Duration::from_millis(u64::try_from(took).unwrap())) {
                break;
            }
        }
        assert!((300..=1_000).contains(&slow), "{slow} ms");
        let between = walk(VISITED, Duration::from_micros(50));
        let rows: i64 = between.iter().sum();
        assert!((2_000..=8_000).contains(&rows), "{between:?}");
    }
}

//! How far a request goes through the events of a webhook: the list has no index on what a filter asks for, so a page
//! ends after so many rows looked at, and a range of time is found by halving.

use sqlx::{Row, SqliteConnection, query, query_scalar};
use wharf_domain::{Timestamp, WebhookId};

use crate::{codec::At, sql};

/// Rows that one page of a filtered list looks at.
const VISITED: i64 = 10_000;
/// How far clocks may have been set back without an event being overlooked: the time in the rows follows their order
/// only as far as the clock did.
const CLOCK_SLACK_MS: i64 = 3_600_000;

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
            let first = first_from(connection, places, since.0.saturating_sub(CLOCK_SLACK_MS)).await?;
            places.after = places.after.max(first.saturating_sub(1));
        }
        if let Some(until) = until {
            let first = first_from(connection, places, until.0.saturating_add(CLOCK_SLACK_MS)).await?;
            places.before = places.before.min(first);
        }
        Ok(places)
    }
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

/// Which rows a filtered page walks over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    /// The last row that is looked at, when the walk ends before the rows do.
    pub(crate) floor: Option<i64>,
}

impl Walk {
    /// Over the webhook's events of all statuses, or of one that is not `delivered`.
    pub(crate) async fn begin(
        connection: &mut SqliteConnection,
        webhook: WebhookId,
        places: Places,
        undelivered: Option<&str>,
    ) -> Result<Self, sqlx::Error> {
        let statement = if undelivered.is_some() {
            sql::UNDELIVERED_FLOOR
        } else {
            sql::LIST_FLOOR
        };
        let mut statement = query_scalar::<_, i64>(statement)
            .bind(webhook.0)
            .bind(places.before)
            .bind(places.after)
            .bind(VISITED - 1);
        if let Some(status) = undelivered {
            statement = statement.bind(status);
        }
        // The last row that may be looked at, and whether another one follows.
        let last = statement.fetch_all(connection).await?;
        let floor = match last.as_slice() {
            [floor, _] => Some(*floor),
            _ => None,
        };
        Ok(Self { floor })
    }
}

/// The bounds of a range of time as the statements take them.
pub(crate) fn bounds(since: Option<Timestamp>, until: Option<Timestamp>) -> (At, At) {
    (
        At(since.unwrap_or(Timestamp(i64::MIN))),
        At(until.unwrap_or(Timestamp(i64::MAX))),
    )
}

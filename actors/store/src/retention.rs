//! What is old enough goes, a bounded step at a time. For the janitor.

use sqlx::{Row, SqliteConnection, query};
use wharf_domain::Timestamp;

use crate::{Group, PurgedEvents, StoreError, codec::At, sql};

impl Group<'_> {
    /// One step of the retention: looks at `visit` events in the order of arrival, from after `after`, and removes the
    /// delivered and failed ones that were created before `before`. It ends at the first step that meets a younger
    /// one. Go on with `next` until it is `None`.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_events(
        &mut self,
        after: Option<i64>,
        before: Timestamp,
        visit: u32,
    ) -> Result<PurgedEvents, StoreError> {
        let result = purge(self.enter()?, after.unwrap_or(0), before, visit.max(1)).await;
        self.leave(result)
    }

    /// Removes the webhooks that were deleted before `before` and have no events any more; returns how many.
    ///
    /// # Errors
    /// As every write.
    pub async fn purge_webhooks(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let result = query(sql::PURGE_WEBHOOKS).bind(At(before)).execute(self.enter()?).await;
        self.leave(result.map(|result| result.rows_affected()))
    }
}

async fn purge(
    connection: &mut SqliteConnection,
    after: i64,
    before: Timestamp,
    visit: u32,
) -> Result<PurgedEvents, sqlx::Error> {
    let step = query(sql::RETENTION_STEP)
        .bind(after)
        .bind(visit)
        .fetch_one(&mut *connection)
        .await?;
    let (last, visited): (Option<i64>, u32) = (step.try_get(0)?, step.try_get(1)?);
    let newest = step.try_get::<Option<At>, _>(2)?.map(|at| at.0);
    let (Some(last), Some(newest)) = (last, newest) else {
        return Ok(PurgedEvents { removed: 0, next: None });
    };
    query(sql::PURGE_LIST)
        .bind(after)
        .bind(last)
        .bind(At(before))
        .execute(&mut *connection)
        .await?;
    let result = query(sql::PURGE_EVENTS)
        .bind(after)
        .bind(last)
        .bind(At(before))
        .execute(connection)
        .await?;
    let next = (visited == visit && newest < before).then_some(last);
    Ok(PurgedEvents {
        removed: result.rows_affected(),
        next,
    })
}

//! Reads of the backlog: which chats of a webhook have something to deliver, and their first events.

mod by_time;
mod singles;

use std::cmp::min;

use sqlx::{Row, SqliteConnection, query_scalar};
use wharf_domain::{AWAITS_MEDIA, Ordering, PendingEvent, Timestamp, WebhookId};

use crate::{
    DueChat, DuePage, DueQuery, DueScope, Store, StoreError,
    codec::{self, At, json_text, kept_payload_bytes, pending_event},
    sql,
};

/// A chat with pending events, and when the first of them is due.
struct Head {
    chat: Box<str>,
    next_retry_at: Option<Timestamp>,
}

impl Store {
    /// The first pending events of a webhook's chats; see [`DueQuery`] and [`DuePage`].
    ///
    /// Costs the chats looked at and the events returned, never the backlog. The statements inside see commits that
    /// land between them: an event may come back that is finished a moment later, and whoever asked knows which
    /// events it has finished itself.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn due_chats(&self, webhook: WebhookId, query: &DueQuery) -> Result<DuePage, StoreError> {
        let page = async {
            let mut connection = self.pool().acquire().await?;
            let mut page = match (query.scope, query.ordering) {
                (DueScope::Named, _) => by_time::named_page(&mut connection, webhook, query).await,
                (DueScope::Times, _) => by_time::due_page(&mut connection, webhook, query).await,
                (DueScope::Chats, Ordering::Chat) => due_page(&mut connection, webhook, query).await,
                (DueScope::Chats, Ordering::None) => singles::due_page(&mut connection, webhook, query).await,
            }?;
            page.next_due_at = next_due_at(&mut connection, webhook, query.now).await?;
            Ok(page)
        };
        page.await.map_err(|error: sqlx::Error| self.error(error))
    }
}

async fn due_page(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    query: &DueQuery,
) -> Result<DuePage, sqlx::Error> {
    let heads = read_heads(connection, webhook, query).await?;
    let plan = choose(&heads, query);
    let chosen: Vec<&str> = plan.chosen.iter().map(|&place| &*heads[place].chat).collect();
    let (chats, cut) = read_chats(connection, webhook, query, &chosen).await?;
    // When there was no room for events before the chats ended, the plan was carried out up to the first chat without.
    let visited = cut.map_or(plan.visited, |chats| plan.chosen[chats]);
    let skipped = visited - plan.chosen.iter().filter(|&&place| place < visited).count();
    let cursor = if visited < heads.len() {
        heads[..visited].last().map(|head| head.chat.clone())
    } else {
        None
    };
    Ok(DuePage {
        chats,
        cursor,
        skipped,
        ..DuePage::default()
    })
}

/// When the next of a webhook's pending events becomes due after `now`; a time that has come is no timer's.
async fn next_due_at(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    now: Timestamp,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let next = query_scalar::<_, Option<At>>(sql::NEXT_DUE_AT)
        .bind(webhook.0)
        .bind(At(now))
        .fetch_one(connection)
        .await?;
    Ok(next.map(|at| at.0).filter(|at| *at != AWAITS_MEDIA))
}

/// At most one head more than `query` allows to look at, which says that more follow.
async fn read_heads(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    query: &DueQuery,
) -> Result<Vec<Head>, sqlx::Error> {
    // Every chat counts as due when it does not matter.
    let due_until = if query.only_due { query.now } else { Timestamp(i64::MAX) };
    let rows = sqlx::query(sql::DUE_HEADS)
        .bind(webhook.0)
        .bind(query.after.as_deref().unwrap_or_default())
        .bind(At(due_until))
        .bind(count(query.room))
        .bind(count(query.visit))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let next_retry_at = row.try_get::<Option<At>, _>(1)?.map(|at| at.0);
            Ok(Head {
                chat: row.try_get::<&str, _>(0)?.into(),
                next_retry_at,
            })
        })
        .collect()
}

/// Which heads to return, and how many to have looked at.
struct Plan {
    chosen: Vec<usize>,
    visited: usize,
}

fn choose(heads: &[Head], query: &DueQuery) -> Plan {
    let mut plan = Plan {
        chosen: Vec::new(),
        visited: 0,
    };
    for (place, head) in heads.iter().enumerate() {
        let due = !query.only_due || head.next_retry_at.is_none_or(|at| at <= query.now);
        if place == query.visit.max(1) || (due && plan.chosen.len() == query.room.max(1)) {
            break;
        }
        if due {
            plan.chosen.push(place);
        }
        plan.visited = place + 1;
    }
    plan
}

/// The first events of `chosen`, and how many of the chats were read if `query.room` did not suffice for all.
async fn read_chats(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    query: &DueQuery,
    chosen: &[&str],
) -> Result<(Vec<DueChat>, Option<usize>), sqlx::Error> {
    if chosen.is_empty() {
        return Ok((Vec::new(), None));
    }
    let (per_chat, room) = (query.per_chat.max(1), query.room.max(1));
    let names = json_text(chosen)?;
    // One more of each chat, and of all, says whether more follow.
    let rows = sqlx::query(sql::DUE_EVENTS)
        .bind(webhook.0)
        .bind(names)
        .bind(count(per_chat).saturating_add(1))
        .bind(count(room).saturating_add(count(chosen.len())).saturating_add(1))
        .bind(kept_payload_bytes())
        .fetch_all(connection)
        .await?;
    let mut found: Vec<Vec<PendingEvent>> = chosen.iter().map(|_| Vec::new()).collect();
    for row in &rows {
        let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
        if let Some(chat) = found.get_mut(place) {
            chat.push(pending_event(row)?);
        }
    }
    Ok(fill(found, per_chat, room))
}

/// Keeps `per_chat` events of each chat and `room` in all.
fn fill(found: Vec<Vec<PendingEvent>>, per_chat: usize, mut room: usize) -> (Vec<DueChat>, Option<usize>) {
    let mut chats = Vec::with_capacity(found.len());
    for (place, mut events) in found.into_iter().enumerate() {
        if room == 0 {
            return (chats, Some(place));
        }
        let keep = min(per_chat, room);
        let more = events.len() > keep;
        events.truncate(keep);
        room -= events.len();
        // Empty when its events ended between the two statements.
        if !events.is_empty() {
            chats.push(DueChat { events, more });
        }
    }
    (chats, None)
}

/// A limit as the database takes it: at least one.
fn count(limit: usize) -> i64 {
    codec::count(limit.max(1))
}

//! The backlog of a webhook of which most waits, or is held: chats by their names, and what has become due, in the order
//! of the times.

use std::collections::HashSet;

use serde::Serialize;
use sqlx::{Row, SqliteConnection, query_scalar};
use wharf_domain::{Ordering, PendingEvent, Timestamp, WebhookId};

use super::{count, read_chats};
use crate::{
    DueChat, DuePage, DueQuery,
    codec::{At, json_text, kept_payload_bytes, pending_event, size},
    sql,
};

/// Waiting events that are counted, at the most: whoever asks holds fewer in memory.
const COUNTED: i64 = 1024;

/// An event whose time has come.
struct Due {
    seq: i64,
    at: Timestamp,
    chat: Box<str>,
    is_first: bool,
}

/// See [`crate::Store::due_chats`]: the named chats alone.
pub(super) async fn named_page(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    query: &DueQuery,
) -> Result<DuePage, sqlx::Error> {
    let mut page = DuePage::default();
    read_named(connection, webhook, query, &mut page).await?;
    Ok(page)
}

/// See [`crate::Store::due_chats`]. The cursor is `TIME SEQ` of the last event looked at.
pub(super) async fn due_page(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    query: &DueQuery,
) -> Result<DuePage, sqlx::Error> {
    let mut page = DuePage::default();
    read_named(connection, webhook, query, &mut page).await?;
    let due = read_due(connection, webhook, query).await?;
    let visit = query.visit.max(1);
    let taken: HashSet<&str> = query.named.iter().map(|chat| &**chat).collect();
    let is_head = |due: &Due| query.ordering == Ordering::None || (due.is_first && !taken.contains(&*due.chat));
    let held: usize = page.chats.iter().map(|chat| chat.events.len()).sum();
    let room = query.room.max(1).saturating_sub(held);
    // What is looked at: up to the first head that there is no room for.
    let heads = due.iter().enumerate().take(visit).filter(|(_, due)| is_head(due));
    let heads: Vec<usize> = heads.map(|(place, _)| place).collect();
    let chosen = &heads[..heads.len().min(room)];
    let mut visited = heads.get(room).copied().unwrap_or(visit.min(due.len()));
    if !chosen.is_empty() {
        let heads: Vec<&Due> = chosen.iter().map(|place| &due[*place]).collect();
        let (found, cut) = match query.ordering {
            Ordering::Chat => {
                let names: Vec<&str> = heads.iter().map(|due| &*due.chat).collect();
                let query = DueQuery { room, ..query.clone() };
                read_chats(connection, webhook, &query, &names).await?
            }
            Ordering::None => {
                let places: Vec<i64> = heads.iter().map(|due| due.seq).collect();
                (
                    read_singles(connection, webhook, sql::DUE_SINGLES_AT, &places).await?,
                    None,
                )
            }
        };
        page.chats.extend(found);
        visited = cut.map_or(visited, |heads| chosen[heads]);
    }
    if visited < due.len() {
        let last = visited.checked_sub(1).map(|place| &due[place]);
        let cursor = last.map(|due| format!("{} {}", due.at.0, due.seq).into());
        page.cursor = cursor.or_else(|| query.after.clone()).or_else(|| Some("".into()));
    } else {
        let waiting: i64 = query_scalar(sql::COUNT_WAITING)
            .bind(webhook.0)
            .bind(At(query.now))
            .bind(COUNTED)
            .fetch_one(&mut *connection)
            .await?;
        page.skipped = size(waiting);
    }
    Ok(page)
}

/// The named chats with their first events, those whose first one is due if that is asked for, as far as there is room.
async fn read_named(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    query: &DueQuery,
    page: &mut DuePage,
) -> Result<(), sqlx::Error> {
    let names: Vec<&str> = query.named.iter().map(|chat| &**chat).collect();
    let (found, cut) = match query.ordering {
        Ordering::Chat => read_chats(connection, webhook, query, &names).await?,
        Ordering::None => {
            let room = names.len().min(query.room.max(1));
            let found = read_singles(connection, webhook, sql::DUE_SINGLES_NAMED, &names[..room]).await?;
            (found, Some(room))
        }
    };
    let is_wanted = |chat: &DueChat| {
        let first = chat.events.first().and_then(|event| event.next_retry_at);
        !query.only_due || first.is_none_or(|at| at <= query.now)
    };
    page.chats.extend(found.into_iter().filter(is_wanted));
    page.left
        .extend(query.named.iter().skip(cut.unwrap_or(usize::MAX)).cloned());
    Ok(())
}

/// What is due after the cursor; one more than is to be visited says that more follow.
async fn read_due(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    query: &DueQuery,
) -> Result<Vec<Due>, sqlx::Error> {
    let (at, seq) = place(query.after.as_deref());
    let rows = sqlx::query(sql::DUE_BY_TIME)
        .bind(webhook.0)
        .bind(At(query.now))
        .bind(at)
        .bind(seq)
        .bind(count(query.visit).saturating_add(1))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Due {
                seq: row.try_get(0)?,
                at: row.try_get::<At, _>(1)?.0,
                chat: row.try_get::<&str, _>(2)?.into(),
                is_first: row.try_get(3)?,
            })
        })
        .collect()
}

/// The events of a statement's list, by their places or ids, that are pending still, each as a chat of its own.
pub(super) async fn read_singles(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    statement: &'static str,
    list: &[impl Serialize],
) -> Result<Vec<DueChat>, sqlx::Error> {
    let list = json_text(list)?;
    let rows = sqlx::query(statement)
        .bind(webhook.0)
        .bind(list)
        .bind(kept_payload_bytes())
        .fetch_all(connection)
        .await?;
    let events: Vec<PendingEvent> = rows.iter().map(pending_event).collect::<Result<_, _>>()?;
    let alone = |event| DueChat {
        events: vec![event],
        more: false,
    };
    Ok(events.into_iter().map(alone).collect())
}

fn place(cursor: Option<&str>) -> (i64, i64) {
    let parts = cursor.and_then(|cursor| cursor.split_once(' '));
    let parsed = parts.and_then(|(at, seq)| Some((at.parse().ok()?, seq.parse().ok()?)));
    parsed.unwrap_or((i64::MIN, 0))
}

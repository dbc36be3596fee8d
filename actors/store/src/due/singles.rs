//! The backlog of a webhook whose events do not wait for each other: each is a chat of its own.

use sqlx::{Row, SqliteConnection};
use wharf_domain::WebhookId;

use super::{by_time::read_singles, count};
use crate::{
    DuePage, DueQuery,
    codec::{self, At},
    sql,
};

/// Events looked at by one read at the most.
const VISIT: usize = 512;

/// See [`crate::Store::due_chats`]. The cursor is `SEQ CHAT` of the last event looked at.
pub(super) async fn due_page(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    query: &DueQuery,
) -> Result<DuePage, sqlx::Error> {
    let (after_seq, after_chat) = place(query.after.as_deref());
    let visit = query.visit.clamp(1, VISIT);
    // One more says whether more follow.
    let wanted = count(visit) + 1;
    let mut rows = sqlx::query(sql::DUE_SINGLES_OF_CHAT)
        .bind(webhook.0)
        .bind(after_chat)
        .bind(after_seq)
        .bind(wanted)
        .fetch_all(&mut *connection)
        .await?;
    if rows.len() <= visit {
        let rest = sqlx::query(sql::DUE_SINGLES_AFTER_CHAT)
            .bind(webhook.0)
            .bind(after_chat)
            .bind(wanted.saturating_sub(codec::count(rows.len())))
            .fetch_all(&mut *connection)
            .await?;
        rows.extend(rest);
    }
    let mut page = DuePage::default();
    let (mut last, mut taken) = (None, Vec::new());
    for (visited, row) in rows.iter().enumerate() {
        if visited == visit || taken.len() >= query.room.max(1) {
            page.cursor = last;
            break;
        }
        let (seq, chat): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
        last = Some(format!("{seq} {chat}").into());
        let due_at = row.try_get::<Option<At>, _>(2)?.map(|at| at.0);
        if query.only_due && due_at.is_some_and(|at| at > query.now) {
            page.skipped += 1;
        } else {
            taken.push(seq);
        }
    }
    page.chats = read_singles(connection, webhook, sql::DUE_SINGLES_AT, &taken).await?;
    Ok(page)
}

fn place(cursor: Option<&str>) -> (i64, &str) {
    let parts = cursor.and_then(|cursor| cursor.split_once(' '));
    parts.map_or((0, ""), |(seq, chat)| (seq.parse().unwrap_or_default(), chat))
}

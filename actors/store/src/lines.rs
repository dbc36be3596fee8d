//! What the writer remembers of the numbers that messages come in for: where they go, and the last sequence given out.
//! Only the writer changes either, so it need not ask the database for each message.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection, query, query_scalar};
use wharf_domain::{
    ChatKinds, ClientId, ConnectionKey, EventKind, EventKinds, IncomingMessage, WebhookId, message::is_test_chat,
};

use crate::{
    codec::{self, of_number},
    sql,
};

/// Numbers remembered; with more of them all are forgotten and asked for again.
const REMEMBERED: usize = 16 * 1024;

/// Events that are not in the list of events yet, at the most: whoever reads a webhook's events goes over all of them.
const UNLISTED: i64 = 1024;

/// The webhook that takes an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taker {
    pub(crate) webhook_id: WebhookId,
    /// Whether nothing of it is sent anywhere.
    pub(crate) is_pulled: bool,
}

/// A number with a live webhook.
#[derive(Debug, Clone, Copy)]
struct Line {
    webhook: Taker,
    /// What it is told of.
    events: EventKinds,
    /// Of which chats.
    chats: ChatKinds,
    /// The last sequence given out.
    sequence: i64,
}

/// What the writer remembers. It is true of what its present transaction would commit; whoever does not commit forgets.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// `None`: no live webhook.
    known: HashMap<ConnectionKey, Option<Line>>,
    /// The last event that the list of events has; unknown at first.
    listed_up_to: Option<i64>,
    /// The newest event.
    newest: i64,
}

impl Line {
    /// The webhook, if it wants this; it always wants its own tests.
    fn taker(&self, message: &IncomingMessage) -> Option<Taker> {
        let wanted = self.events.contains(message.event()) && self.chats.take(&message.chat);
        (wanted || is_test_chat(&message.chat)).then_some(self.webhook)
    }
}

impl Lines {
    /// Something was rolled back, or changed in a way of its own: nothing is certain any more.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
        self.listed_up_to = None;
    }

    /// Webhooks of a client come and go: what is known of others' numbers stays.
    pub(crate) fn forget_webhooks_of(&mut self, client: ClientId) {
        self.known.retain(|key, _| key.client_id != client);
    }

    /// Forgets when it is time to. Only where every sequence given out has been written.
    pub(crate) fn make_room(&mut self) {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
    }

    /// The live webhook of a number, if it wants to be told of this.
    pub(crate) async fn webhook_for(
        &mut self,
        connection: &mut SqliteConnection,
        key: &ConnectionKey,
        message: &IncomingMessage,
    ) -> Result<Option<Taker>, sqlx::Error> {
        let line = self.line(connection, key).await?;
        Ok(line.and_then(|line| line.taker(message)))
    }

    /// Whether a number's webhook wants to be told of such.
    pub(crate) async fn wants(
        &mut self,
        connection: &mut SqliteConnection,
        key: &ConnectionKey,
        kind: EventKind,
    ) -> Result<bool, sqlx::Error> {
        self.make_room();
        let line = self.line(connection, key).await?;
        Ok(line.is_some_and(|line| line.events.contains(kind)))
    }

    /// The same, if it can be said without asking the database.
    pub(crate) fn known_taker(&self, key: &ConnectionKey, message: &IncomingMessage) -> Option<Taker> {
        self.known.get(key).copied().flatten()?.taker(message)
    }

    async fn line(
        &mut self,
        connection: &mut SqliteConnection,
        key: &ConnectionKey,
    ) -> Result<Option<Line>, sqlx::Error> {
        if let Some(line) = self.known.get(key) {
            return Ok(*line);
        }
        let row = of_number(sql::LINE, key).fetch_optional(connection).await?;
        let read = |row: sqlx::sqlite::SqliteRow| {
            Ok::<_, sqlx::Error>(Line {
                webhook: Taker {
                    webhook_id: WebhookId(row.try_get(0)?),
                    is_pulled: row.try_get(4)?,
                },
                sequence: row.try_get(1)?,
                events: codec::events(&row)?,
                chats: codec::chats(&row)?,
            })
        };
        let line = row.map(read).transpose()?;
        self.known.insert(key.clone(), line);
        Ok(line)
    }

    /// Gives out the next sequence of a number whose webhook was asked for.
    pub(crate) fn next_sequence(&mut self, key: &ConnectionKey) -> i64 {
        let Some(Some(line)) = self.known.get_mut(key) else {
            return 1;
        };
        line.sequence += 1;
        line.sequence
    }

    /// Takes sequences back.
    pub(crate) fn set_sequence(&mut self, key: &ConnectionKey, last: i64) {
        if let Some(Some(line)) = self.known.get_mut(key) {
            line.sequence = last;
        }
    }

    /// Notes the newest event.
    pub(crate) fn note_newest(&mut self, seq: i64) {
        self.newest = seq;
    }

    /// Whether the next event is one too many that the list of events does not have, as far as is known.
    pub(crate) fn is_list_due(&self) -> bool {
        self.listed_up_to
            .is_none_or(|listed| self.newest + 1 - listed >= UNLISTED)
    }

    /// Enters the events up to `newest` into the list, if there are so many.
    pub(crate) async fn keep_list(
        &mut self,
        connection: &mut SqliteConnection,
        newest: i64,
    ) -> Result<(), sqlx::Error> {
        self.newest = newest;
        let listed = match self.listed_up_to {
            Some(listed) => listed,
            None => query_scalar(sql::LISTED_UP_TO).fetch_one(&mut *connection).await?,
        };
        self.listed_up_to = Some(listed);
        if newest - listed >= UNLISTED {
            for statement in [sql::LIST_EVENTS, sql::LIST_UP_TO] {
                query(statement).bind(newest).execute(&mut *connection).await?;
            }
            self.listed_up_to = Some(newest);
        }
        Ok(())
    }
}

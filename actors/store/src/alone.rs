//! What has a transaction of its own, from its beginning to its commit in one hop to the connection's thread.
//!
//! In a quiet gateway most groups are one message, or the outcome of one attempt. A hop and back wakes two threads, and a group
//! has three of them at least: with nothing else to do that is most of what an event costs, and on a machine whose processors
//! are busy with something else each thread waits for its turn.

use std::borrow::Borrow;

use sqlx::{Connection as _, Row as _, SqliteConnection, query};
use wharf_domain::{AttemptOutcome, EventKind, Timestamp};

use crate::{
    NewEvent, RecordedEvent, StoreError, Writer,
    bulk::{LARGEST, RECORD_OUTCOMES_ALONE},
    inbound::{Numbered, bind_event, event},
    lines::Taker,
    outcomes::{self, has_many_attempts},
    sql::RECORD_MESSAGE,
};

impl Writer {
    /// [`Group::record_inbound`](crate::Group::record_inbound) in a transaction of its own, committed when this returns.
    ///
    /// # Errors
    /// As beginning a group, the call, and the commit. One that is cancelled may have committed.
    pub async fn record_inbound<N: Borrow<NewEvent> + Sync>(
        &mut self,
        messages: &[N],
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        if let [message] = messages
            && let Some(taker) = self.taker(message.borrow())
        {
            return self.record_message(message.borrow(), taker).await;
        }
        let mut group = self.begin().await?;
        let recorded = group.record_inbound(messages).await?;
        group.commit().await?;
        Ok(recorded)
    }

    /// [`Group::record_outcomes`](crate::Group::record_outcomes) in a transaction of its own, committed when this returns.
    ///
    /// # Errors
    /// As beginning a group, the call, and the commit. One that is cancelled may have committed.
    pub async fn record_outcomes<O: Borrow<AttemptOutcome> + Sync>(
        &mut self,
        outcomes: &[O],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let all: Vec<&AttemptOutcome> = outcomes.iter().map(Borrow::borrow).collect();
        if all.len() <= LARGEST && !all.iter().any(|outcome| has_many_attempts(outcome)) {
            let bulk = &RECORD_OUTCOMES_ALONE;
            return self
                .alone(async |connection| outcomes::record_chunk(connection, bulk, &all, now).await)
                .await;
        }
        let mut group = self.begin().await?;
        group.record_outcomes(&all, now).await?;
        group.commit().await
    }

    /// Who takes a message that needs nothing but its row; `None`: that cannot be said without asking the database.
    fn taker(&self, new: &NewEvent) -> Option<Taker> {
        let plain = new.message.event() != EventKind::Status && new.message.awaited_media().is_none();
        // After a group that was not committed nothing is certain that is remembered.
        let certain = plain && !self.open && !self.lines.is_list_due();
        let taker = self.lines.known_taker(&new.key, &new.message);
        taker.filter(|taker| certain && !taker.is_pulled)
    }

    async fn record_message(&mut self, new: &NewEvent, taker: Taker) -> Result<Vec<RecordedEvent>, StoreError> {
        let numbered = Numbered::new(new, taker, self.lines.next_sequence(&new.key));
        // Until it is known to be committed.
        self.open = true;
        let seq = self
            .alone(async |connection| insert(connection, &numbered).await)
            .await?;
        self.open = false;
        let Some(seq) = seq else {
            self.lines.set_sequence(&new.key, numbered.sequence - 1);
            return Ok(Vec::new());
        };
        self.lines.note_newest(seq);
        Ok(vec![event(&numbered, seq)])
    }

    /// Has `work` carry out a transaction of its own. After an error, or when it is cancelled, nobody knows how far it came: its
    /// connection is closed, which rolls back what was not committed.
    async fn alone<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let mut connection = self.take().await?;
        match work(&mut connection).await {
            Ok(value) => {
                self.connection = Some(connection);
                Ok(value)
            }
            Err(error) => {
                // Waits until its thread has let go of the file.
                let _ = connection.close().await;
                Err(self.inner.place.error(error))
            }
        }
    }
}

/// Answers the place of the event, if it is new.
async fn insert(connection: &mut SqliteConnection, numbered: &Numbered<'_>) -> Result<Option<i64>, sqlx::Error> {
    let key = &numbered.new.key;
    let made = bind_event(query(RECORD_MESSAGE), numbered)
        .bind(key.client_id.0)
        .bind(key.phone_number.as_str())
        .bind(numbered.sequence)
        // All rows, though there is one at the most: the statements after it are carried out with those that follow.
        .fetch_all(connection);
    made.await?.pop().map(|row| row.try_get(0)).transpose()
}

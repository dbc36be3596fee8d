//! Changes of what devices keep.

use std::collections::HashSet;

use sqlx::SqliteConnection;
use wharf_domain::ConnectionKey;

use super::{KeyKind, StoredKey};
use crate::{
    Group, StoreError,
    bulk::{PUT_KEYS, REMOVE_KEYS, chunks},
    codec::of_number,
    sql,
};

/// One change of what a number's device keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// Keeps this, in the place of what has its name. Of two [`KeyKind::MessageSecret`]s the later times stay.
    Put(StoredKey),
    /// Forgets one.
    Remove(KeyKind, Vec<u8>),
    /// Keeps a token that was received, unless a newer one is there. When ours was sent stays as it is.
    ReceiveToken(StoredKey),
    /// Notes when a token of ours was sent (Unix seconds), unless a later time is there. Makes a row without a token when
    /// there is none.
    TokenSent(Vec<u8>, i64),
}

impl Group<'_> {
    /// Changes what devices keep, in the order in which the changes are given.
    ///
    /// # Errors
    /// `Rejected` when there is no such connection (any more); as every write.
    pub async fn change_keys(&mut self, changes: &[(&ConnectionKey, &[KeyChange])]) -> Result<(), StoreError> {
        let result = change(self.enter()?, changes).await;
        self.leave(result)
    }

    /// Removes up to `limit` keys that a device left which is gone: none if the number has a device. `true` when none are
    /// left, else call again.
    ///
    /// # Errors
    /// As every write.
    pub async fn remove_left_keys(&mut self, of: &ConnectionKey, limit: u32) -> Result<bool, StoreError> {
        let limit = limit.max(1);
        let statement = of_number(sql::REMOVE_LEFT_KEYS, of).bind(limit);
        Ok(self.execute(statement).await? < u64::from(limit))
    }
}

async fn change(
    connection: &mut SqliteConnection,
    changes: &[(&ConnectionKey, &[KeyChange])],
) -> Result<(), sqlx::Error> {
    let mut simple = Simple::default();
    for &(of, changes) in changes {
        for change in changes {
            match change {
                KeyChange::Put(key) => simple.put(of, key),
                KeyChange::Remove(kind, name) => simple.remove((of, *kind, name)),
                // The rest looks at rows, so what was said before has to be there.
                other => {
                    simple.write(connection).await?;
                    carry_out(connection, of, other).await?;
                }
            }
        }
    }
    simple.write(connection).await
}

/// Which row.
type Place<'a> = (&'a ConnectionKey, KeyKind, &'a [u8]);

/// Puts and removals that were not written yet: all removals, then all puts, give what their own order would. A message
/// that waited for a commit of this very group is never written at all.
#[derive(Default)]
struct Simple<'a> {
    puts: Vec<(&'a ConnectionKey, &'a StoredKey)>,
    put: HashSet<Place<'a>>,
    removals: Vec<Place<'a>>,
}

impl<'a> Simple<'a> {
    fn put(&mut self, of: &'a ConnectionKey, key: &'a StoredKey) {
        self.put.insert((of, key.kind, &key.name));
        self.puts.push((of, key));
    }

    fn remove(&mut self, place: Place<'a>) {
        if self.put.remove(&place) {
            self.puts
                .retain(|(of, key)| (*of, key.kind, key.name.as_slice()) != place);
        }
        self.removals.push(place);
    }

    async fn write(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        for chunk in chunks(&self.removals) {
            let statement = REMOVE_KEYS
                .of_size(chunk.len())
                .rows(chunk, |statement, (of, kind, name)| {
                    statement
                        .bind(of.client_id.0)
                        .bind(of.phone_number.as_str())
                        .bind(kind.as_str())
                        .bind(*name)
                });
            statement.done().execute(&mut *connection).await?;
        }
        for chunk in chunks(&self.puts) {
            let statement = PUT_KEYS.of_size(chunk.len()).rows(chunk, |statement, (of, key)| {
                statement
                    .bind(of.client_id.0)
                    .bind(of.phone_number.as_str())
                    .bind(key.kind.as_str())
                    .bind(key.name.as_slice())
                    .bind(key.value.as_slice())
                    .bind(key.at)
                    .bind(key.also)
            });
            statement.done().execute(&mut *connection).await?;
        }
        *self = Self::default();
        Ok(())
    }
}

async fn carry_out(
    connection: &mut SqliteConnection,
    of: &ConnectionKey,
    change: &KeyChange,
) -> Result<(), sqlx::Error> {
    let statement = match change {
        // Written in bulk by the caller.
        KeyChange::Put(_) | KeyChange::Remove(..) => return Ok(()),
        KeyChange::ReceiveToken(key) => of_number(sql::RECEIVE_TOKEN, of)
            .bind(key.name.as_slice())
            .bind(key.value.as_slice())
            .bind(key.at),
        KeyChange::TokenSent(name, at) => of_number(sql::TOKEN_SENT, of).bind(name.as_slice()).bind(*at),
    };
    statement.execute(connection).await.map(drop)
}

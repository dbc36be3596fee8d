//! Statements that write many rows at once. Each statement is a hop to the connection's thread and back, and a
//! transaction of 64 rows in one hop takes a fraction of the time of 64 hops.

use std::sync::{Arc, LazyLock};

use sqlx::{AssertSqlSafe, Sqlite, query, query::Query, sqlite::SqliteArguments};

/// The sizes in which rows are written: few, so that each stays in the connection's cache of prepared statements.
///
/// Measured for a message in and its outcome, in CPU time: 16 rows at a time 40 µs, 64 rows 35 µs, 256 rows 85 µs.
const SIZES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Rows of nothing that a statement may carry: their cost is less than that of another statement's hop.
const PADDING: usize = 24;

/// One bulk statement, laid out for each size of chunk.
#[derive(Debug)]
pub(crate) struct Bulk {
    columns: usize,
    texts: [Arc<str>; SIZES.len()],
}

/// One event per message (see the SQL file).
pub(crate) static RECORD_INBOUND: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/record_inbound.sql"), 10));
/// The last numbers given out (see the SQL file).
pub(crate) static ADVANCE_SEQUENCES: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/advance_sequences.sql"), 3));
/// One row per attempt (see the SQL file).
pub(crate) static RECORD_ATTEMPTS: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/record_attempts.sql"), 8));
/// The counters of webhooks (see the SQL file).
pub(crate) static COUNT_ATTEMPTS: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/count_attempts.sql"), 5));
/// What became of attempts (see the SQL file).
pub(crate) static RECORD_OUTCOMES: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/record_outcomes.sql"), 8));
/// What devices keep (see the SQL file).
pub(crate) static PUT_KEYS: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/put_keys.sql"), 7));
/// What devices forget (see the SQL file).
pub(crate) static REMOVE_KEYS: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/remove_keys.sql"), 4));

impl Bulk {
    /// Puts rows of `columns` parameters where `template` says `/*rows*/`.
    fn new(template: &str, columns: usize) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        Self {
            columns,
            texts: SIZES.map(|rows| {
                template
                    .replace("/*rows*/", &vec![row.as_str(); rows].join(", "))
                    .into()
            }),
        }
    }

    /// The text for the smallest size that holds `rows` rows.
    pub(crate) fn for_rows(&self, rows: usize) -> Arc<str> {
        let place = SIZES.iter().position(|&size| size >= rows).unwrap_or(SIZES.len() - 1);
        Arc::clone(&self.texts[place])
    }

    /// The statement for `rows`, which is a piece that [`chunks`] gave; `bind` binds the columns of one of them. Rows
    /// that are missing to the statement's size are nulls, which no key equals: they write nothing. The text is made of
    /// this crate's own files and question marks only.
    pub(crate) fn statement<'q, T>(
        &self,
        rows: &'q [T],
        bind: impl Fn(Statement<'q>, &'q T) -> Statement<'q>,
    ) -> Statement<'q> {
        let statement = query(AssertSqlSafe(self.for_rows(rows.len())));
        let statement = rows.iter().fold(statement, bind);
        let missing = padded(rows.len()).saturating_sub(rows.len()) * self.columns;
        (0..missing).fold(statement, |statement, _| statement.bind(None::<i64>))
    }
}

/// A statement that is being given its parameters.
pub(crate) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The size of the statement that takes `rows` rows.
fn padded(rows: usize) -> usize {
    SIZES.into_iter().find(|&size| size >= rows).unwrap_or(rows)
}

/// Cuts `items` into pieces for which there is a statement, the largest first.
pub(crate) fn chunks<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let largest = SIZES.into_iter().rfind(|&size| size <= items.len())?;
        let fits = items.len() < SIZES[SIZES.len() - 1] && padded(items.len()) - items.len() <= PADDING;
        let (chunk, rest) = items.split_at(if fits { items.len() } else { largest });
        items = rest;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_everything_in_order() {
        for length in 0..400 {
            let items: Vec<usize> = (0..length).collect();
            let sizes: Vec<usize> = chunks(&items).map(<[usize]>::len).collect();
            let fits = |&size: &usize| SIZES.into_iter().any(|rows| (size..=size + PADDING).contains(&rows));
            assert!(sizes.iter().all(fits), "{sizes:?}");
            assert_eq!(chunks(&items).flatten().copied().collect::<Vec<_>>(), items);
        }
    }

    #[test]
    fn a_text_has_as_many_parameters_as_its_rows_need() {
        for rows in SIZES {
            assert_eq!(RECORD_INBOUND.for_rows(rows).matches('?').count(), rows * 10);
            assert_eq!(ADVANCE_SEQUENCES.for_rows(rows).matches('?').count(), rows * 3);
            assert_eq!(RECORD_ATTEMPTS.for_rows(rows).matches('?').count(), rows * 8);
            assert_eq!(COUNT_ATTEMPTS.for_rows(rows).matches('?').count(), rows * 5);
            assert_eq!(RECORD_OUTCOMES.for_rows(rows).matches('?').count(), rows * 8);
            assert_eq!(PUT_KEYS.for_rows(rows).matches('?').count(), rows * 7);
            assert_eq!(REMOVE_KEYS.for_rows(rows).matches('?').count(), rows * 4);
        }
    }
}

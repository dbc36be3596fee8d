//! Statements that write many rows at once. Each statement is a hop to the connection's thread and back, and a
//! transaction of 64 rows in one hop takes a fraction of the time of 64 hops.

use std::sync::{Arc, LazyLock};

use sqlx::{AssertSqlSafe, Sqlite, query, query::Query, sqlite::SqliteArguments};

/// The sizes in which rows are written: few, so that each stays in the connection's cache of prepared statements.
///
/// Measured for a message in and its outcome, in CPU time: 16 rows at a time 40 µs, 64 rows 35 µs, 256 rows 85 µs.
const SIZES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// The most rows that a statement takes.
pub(crate) const LARGEST: usize = SIZES[SIZES.len() - 1];
/// Rows of nothing that a statement may carry: their cost is less than that of another statement's hop.
const PADDING: usize = 24;

/// What writes many rows at once, laid out for each size of chunk. Its file may have several statements, each with rows of its
/// own: they go to the connection's thread together.
#[derive(Debug)]
pub(crate) struct Bulk {
    /// Of the rows of each statement.
    columns: Vec<usize>,
    texts: [Arc<str>; SIZES.len()],
}

/// Messages as events, and the last numbers given out (see the SQL file).
pub(crate) static RECORD_INBOUND: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/record_inbound.sql")));
/// What became of attempts: their rows, the events, the webhooks' counters (see the SQL file).
pub(crate) static RECORD_OUTCOMES: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/record_outcomes.sql")));
/// The same as a whole transaction.
pub(crate) static RECORD_OUTCOMES_ALONE: LazyLock<Bulk> = LazyLock::new(|| {
    let outcomes = include_str!("../queries/sqlite/record_outcomes.sql");
    Bulk::new(&format!("BEGIN IMMEDIATE;\n{outcomes};\nCOMMIT"))
});
/// What devices keep (see the SQL file).
pub(crate) static PUT_KEYS: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/put_keys.sql")));
/// What devices forget (see the SQL file).
pub(crate) static REMOVE_KEYS: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new(include_str!("../queries/sqlite/remove_keys.sql")));

impl Bulk {
    /// Puts rows of N parameters where `template` says `/*rows of N*/`.
    fn new(template: &str) -> Self {
        let mut pieces = template.split("/*rows of ");
        let first = pieces.next().unwrap_or_default();
        // What is no number gives rows of nothing, which no database takes.
        let places: Vec<(usize, &str)> = pieces
            .filter_map(|piece| piece.split_once("*/"))
            .map(|(columns, rest)| (columns.parse().unwrap_or_default(), rest))
            .collect();
        let text = |rows| {
            let places = places.iter().map(|&(columns, rest)| {
                let row = format!("({})", vec!["?"; columns].join(", "));
                vec![row; rows].join(", ") + rest
            });
            (first.to_owned() + &places.collect::<String>()).into()
        };
        Self {
            columns: places.iter().map(|&(columns, _)| columns).collect(),
            texts: SIZES.map(text),
        }
    }

    /// The statements with one row each.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.texts[0].split(';').map(str::trim)
    }

    /// The statements for at most `rows` rows each, to be given their rows. The text is made of this crate's own files and
    /// question marks only.
    pub(crate) fn of_size<'q>(&self, rows: usize) -> Rows<'q, '_> {
        let place = SIZES.iter().position(|&size| size >= rows).unwrap_or(SIZES.len() - 1);
        Rows {
            query: query(AssertSqlSafe(Arc::clone(&self.texts[place]))),
            columns: &self.columns,
            size: SIZES[place],
        }
    }
}

/// A statement that is being given its parameters.
pub(crate) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Statements that are being given their rows, each statement after the one before.
pub(crate) struct Rows<'q, 'b> {
    query: Statement<'q>,
    /// Of the statements that have no rows yet.
    columns: &'b [usize],
    size: usize,
}

impl<'q> Rows<'q, '_> {
    /// Gives the next statement its rows, each by `bind`, which binds one value for each column. Rows that are missing to the
    /// statement's size are nulls, which no key equals: they write nothing.
    pub(crate) fn rows<T>(mut self, rows: &'q [T], bind: impl Fn(Statement<'q>, &'q T) -> Statement<'q>) -> Self {
        let columns = self.columns.split_off_first().copied().unwrap_or_default();
        let missing = self.size.saturating_sub(rows.len()) * columns;
        let query = rows.iter().fold(self.query, bind);
        self.query = (0..missing).fold(query, |query, _| query.bind(None::<i64>));
        self
    }

    /// The statements with all their rows.
    pub(crate) fn done(self) -> Statement<'q> {
        self.query
    }
}

/// The size of the statements that take `rows` rows.
fn padded(rows: usize) -> usize {
    SIZES.into_iter().find(|&size| size >= rows).unwrap_or(rows)
}

/// Cuts `items` into pieces for which there is a statement, the largest first.
pub(crate) fn chunks<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let largest = SIZES.into_iter().rfind(|&size| size <= items.len())?;
        let fits = items.len() < LARGEST && padded(items.len()) - items.len() <= PADDING;
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
        for (bulk, columns) in [
            (&RECORD_INBOUND, &[10, 4][..]),
            (&RECORD_OUTCOMES, &[8, 8, 6]),
            (&PUT_KEYS, &[7]),
            (&REMOVE_KEYS, &[4]),
        ] {
            for (text, rows) in bulk.texts.iter().zip(SIZES) {
                assert_eq!(bulk.columns, columns);
                let parameters: Vec<usize> = text.split(';').map(|part| part.matches('?').count() / rows).collect();
                assert_eq!(parameters, columns);
                assert_eq!(text.matches('?').count(), rows * columns.iter().sum::<usize>());
            }
        }
    }
}

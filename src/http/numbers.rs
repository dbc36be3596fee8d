//! Lists in the order of phone numbers, page by page.

use serde::Serialize;
use wharf_domain::PhoneNumber;
use wharf_store::ByNumber;

use super::{
    call::{Answer, page},
    problem::Problem,
    query::Query,
};

/// Rows on a page at the most, and when the client does not say.
const MOST: u32 = 1000;

/// Which page a client asks for.
pub(super) struct Asked(ByNumber);

impl Asked {
    /// Reads `limit` and `cursor`.
    pub(super) fn read(query: &str) -> Result<Self, Problem> {
        let mut query = Query::parse(query);
        let limit = query.limit(MOST);
        let after = query.optional("cursor", |text| {
            let number = text.parse::<PhoneNumber>();
            number.map_err(|_| "is not one that this API gave out; take next_cursor as it is".to_owned())
        });
        query.finish()?;
        Ok(Self(ByNumber {
            after,
            limit: limit.unwrap_or(MOST),
        }))
    }

    /// What to look up: one more than asked for says whether a next page exists.
    pub(super) fn wanted(&self) -> ByNumber {
        ByNumber {
            limit: self.0.limit + 1,
            ..self.0.clone()
        }
    }

    /// The page, of what was found.
    pub(super) fn answer<T: Serialize>(&self, mut found: Vec<T>, number: fn(&T) -> &PhoneNumber) -> Answer {
        let limit = self.0.limit as usize;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more).map(number);
        page(&found, last)
    }
}

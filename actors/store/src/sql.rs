//! Every statement, by name. What SQLite and PostgreSQL both understand stands here once; what only one of them does
//! (bulk writes, the loose index scan) stands under `queries/`.

use crate::bulk::{PUT_KEYS, RECORD_INBOUND, RECORD_OUTCOMES, REMOVE_KEYS};

/// A message, its sequence, and their commit in one text (see the SQL file).
pub(crate) const RECORD_MESSAGE: &str = include_str!("../queries/sqlite/record_message.sql");

/// Statements of one sense, and all of them with their names.
macro_rules! statements {
    ($($name:ident = $text:expr;)*) => {
        $(pub(crate) const $name: &str = $text;)*

        pub(super) fn all() -> Vec<(&'static str, String)> {
            vec![$((stringify!($name), $name.to_owned())),*]
        }
    };
}

/// What it takes to write the row of event e anew: pages that its body has to itself are written with it.
macro_rules! row_weight {
    () => {
        "1 + octet_length(e.payload) / 4096"
    };
}
/// What it takes to remove event e: rows of its own and of its attempts, and pages that its body has to itself.
macro_rules! event_weight {
    () => {
        concat!(row_weight!(), " + min(e.attempt_count, 1000)")
    };
}

/// That client $1 has nothing for the number in a parameter: no connection, no webhook. Null is no number.
macro_rules! not_written_as {
    ($number:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM whatsapp_connections o WHERE o.client_id = $1 AND o.phone_number = ",
            $number,
            ") AND NOT EXISTS (SELECT 1 FROM whatsapp_webhooks o \
                WHERE o.client_id = $1 AND o.phone_number = ",
            $number,
            " AND o.deleted_at IS NULL)"
        )
    };
}

mod clients;
mod connections;
mod events;
mod keys;
mod media;
mod messages;
mod retention;
mod webhooks;

pub(crate) use self::{
    clients::*, connections::*, events::*, keys::*, media::*, messages::*, retention::*, webhooks::*,
};

/// Every statement of the store with its name, so that a test can prepare each one on each database and look at its plan. The
/// bulk statements are here with a single row.
pub fn statements() -> Vec<(&'static str, String)> {
    let mut all = [
        clients::all(),
        connections::all(),
        webhooks::all(),
        events::all(),
        keys::all(),
        messages::all(),
        media::all(),
        retention::all(),
    ]
    .concat();
    for (name, bulk) in [
        ("RECORD_INBOUND", &RECORD_INBOUND),
        ("RECORD_OUTCOMES", &RECORD_OUTCOMES),
        ("PUT_KEYS", &PUT_KEYS),
        ("REMOVE_KEYS", &REMOVE_KEYS),
    ] {
        all.extend(bulk.parts().map(|part| (name, part.to_owned())));
    }
    all.extend(
        RECORD_MESSAGE
            .split(';')
            .map(|part| ("RECORD_MESSAGE", part.to_owned())),
    );
    all
}

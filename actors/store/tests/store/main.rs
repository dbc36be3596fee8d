//! What every database of Wharf's does: one suite, against the public API only, run on each database. What only
//! SQLite has (files, locks, full disks, query plans) stands in `failures`, `full` and `plans`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "what fails in a helper fails the test"
)]

mod alone;
mod attempts;
mod awaited;
mod backup;
mod clients;
mod connections;
mod considerate;
mod database;
mod due;
mod failures;
mod filters;
mod full;
mod groups;
mod idempotency;
mod inbound;
mod integrity;
mod keys;
mod listing;
mod log;
mod media;
mod outcomes;
mod outgoing;
mod plans;
mod polls;
mod pull;
mod pulled;
mod renewals;
mod restored;
mod retention;
mod retry_failed;
mod secrets;
mod upgrades;
mod wanted;
mod webhooks;

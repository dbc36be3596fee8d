//! The whole program over real sockets: test network ↔ gateway ↔ receiver.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "what fails in a helper fails the test"
)]

mod again;
mod api;
mod attachments;
mod beside;
mod command_line;
mod communities;
mod considerate;
mod copies;
mod crash;
mod delivery;
mod events;
mod faults;
mod groups;
#[path = "../../examples/crash/harness.rs"]
mod harness;
mod history;
mod keys;
mod kinds;
mod link_page;
mod linking;
mod media;
mod messages;
mod order;
mod people;
mod pulling;
mod reasons;
mod restoring;
mod routes;
mod sending;
mod signing;
mod statuses;
mod visible;
mod world;

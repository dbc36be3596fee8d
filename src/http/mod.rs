//! The REST facade (CONTRACT.md sections 1, 2 and 7): bytes in, domain words to the [`Desk`], bytes out. No decision
//! about messages, webhooks or sessions is taken here.
//!
//! One warp filter takes every request apart; one table ([`routes`]) says what there is. warp's own path filters would
//! answer 404, 405 and 415 by the order in which filters reject, which is not exact enough for the contract: `Allow`,
//! "401 before 404" and "every error is a problem document" all need the whole table at once.
//!
//! ```text
//! socket ─ server.rs ─ dispatch.rs ─ routes.rs ─ webhooks.rs, messages.rs, watch.rs, … ─ Desk
//!          connections  request id,   table,       one short function per route
//!          and stopping token, body   404/405
//!                            ├ media.rs: files, by signed links and without a token
//!                            ├ link_page.rs: pages to link a number on, by their links
//!                            └ upload.rs: messages that bring their file along, and pictures
//! ```

mod actions;
mod bare;
mod body;
mod call;
mod chats;
mod connections;
mod courtesy;
mod description;
mod desk;
mod dispatch;
mod events;
mod fields;
mod groups;
mod health;
mod held;
mod idempotency;
mod json;
mod link_page;
mod media;
mod messages;
mod numbers;
mod people;
mod pictures;
mod problem;
mod qr;
mod query;
mod refusals;
mod routes;
mod seats;
mod server;
mod token;
mod upload;
mod values;
mod watch;
mod webhooks;

#[cfg(test)]
mod tests;

pub use desk::Desk;
pub use server::{ServerLimits, serve};

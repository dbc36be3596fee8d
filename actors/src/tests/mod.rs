//! Tests of the tree: real store, real sockets to a receiver, scripted links; children made to fail.

mod bounds;
mod deletion;
mod early;
mod events;
mod failures;
mod flow;
mod held;
mod history;
mod kept;
mod keys;
mod late_words;
mod marks;
mod media;
mod metrics;
mod outbound;
mod pace;
mod reads;
mod removal;
mod rest;
mod sending;
mod sessions;
mod statuses;
mod storage;
mod storm;
mod told;
mod world;

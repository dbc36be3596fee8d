//! Outcomes of attempts for which nothing waits: kept for a moment, so that they are a group of their own.

use std::time::Duration;

use ractor::ActorRef;

use super::{Message, State, Write};

/// How long outcomes for which nothing waits are kept. A crash meanwhile has their attempts made again, as one before the commit
/// always has.
const KEPT_FOR: Duration = Duration::from_millis(20);
/// How many of them at the most: what the store commits in one hop.
const KEPT: usize = 64;

/// A write that came: it waits for the next group, or is kept.
pub(super) fn take_in(myself: &ActorRef<Message>, state: &mut State, write: Box<Write>) {
    if write.may_wait() && !state.ordered && state.flushes.is_empty() {
        if state.kept.is_empty() {
            state.keeping.tell_after(KEPT_FOR, myself, || Message::Hurry);
        }
        state.kept.push(write);
        if state.kept.len() >= KEPT {
            release_kept(state);
        }
        return;
    }
    if write.is_ordered() {
        release_kept(state);
        state.ordered = true;
    }
    state.waiting.push(write);
}

/// Outcomes that were kept are among those that wait, from here on.
pub(super) fn release_kept(state: &mut State) {
    if state.kept.is_empty() {
        return;
    }
    state.keeping.clear();
    state.waiting.append(&mut state.kept);
    state.ordered = true;
}

//! What is done while the store takes no writes.

use std::{mem, time::Duration};

use ractor::ActorRef;
use wharf_store::{Store, StoreError};

use super::{Message, State, WriteError, answer_flushes, kept::release_kept, run};

/// The pause before a store that refused to open or to commit is tried again.
const PROBE_AFTER: Duration = Duration::from_millis(500);

/// Opens the writing connection, and looks whether it can write.
pub(super) fn open(myself: &ActorRef<Message>, store: &Store) {
    let (myself, store) = (myself.clone(), store.clone());
    tokio::spawn(async move {
        // A connection to a read-only file opens, too.
        let opened = async {
            let writer = store.writer().await?;
            store.check_writable().await.map(|()| writer)
        };
        let message = match opened.await {
            Ok(writer) => Message::Opened(Box::new(writer)),
            Err(error) => Message::NotOpened(error),
        };
        let _stopped = myself.cast(message);
    });
}

pub(super) fn on_not_opened(myself: &ActorRef<Message>, state: &mut State, error: &StoreError) {
    tracing::error!(%error, "the store cannot be opened for writing");
    state.args.health.store_refused(error.to_string());
    release_kept(state);
    refuse_waiting(state, error);
    answer_flushes(state);
    probe_later(myself, state);
}

/// Nothing waits for a store that is away: callers are told, and try again. They would give up in any case, and offer again what
/// still waits here.
pub(super) fn refuse_waiting(state: &mut State, error: &StoreError) {
    let refusal = Err(WriteError::from(error));
    for write in mem::take(&mut state.waiting) {
        write.answer(&refusal);
    }
    state.ordered = false;
}

pub(super) fn probe_later(myself: &ActorRef<Message>, state: &mut State) {
    state.probe.tell_after(PROBE_AFTER, myself, || Message::Probe);
}

/// Tries whether the store takes writes again, so that it resumes without waiting for a caller.
pub(super) fn on_probe(myself: &ActorRef<Message>, state: &mut State) {
    if state.args.health.store_refusal().is_none() {
        return;
    }
    if state.committing {
        // Behind the group that runs, and before the next one: there may be a next one without end.
        state.probe_is_due = true;
        return;
    }
    match state.writer.take() {
        Some(mut writer) => run(myself, state, true, async move {
            let refused = writer.probe().await.err();
            (writer, refused)
        }),
        None => open(myself, &state.args.store),
    }
}

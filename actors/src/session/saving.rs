//! The state of a session is written to its row, with what its webhooks are told of it: one write at a time, and again until the
//! store takes it. What its owner wants is written before it is done, once: a store that does not take it refuses the wish.

use std::time::Duration;

use ractor::{ActorRef, RpcReplyPort};
use wharf_domain::session::{ReasonCode, SessionEvent, SessionView};
use wharf_store::ConnectionRecord;

use super::{Message, State};
use crate::{
    clock,
    persistence::{Reached, Write, WriteError},
    supervision::guarded,
};

/// The pause before a state that the store refused is written again.
const SAVE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What became of a write.
pub(crate) enum Saving {
    /// What was to be in the row is, or is not; `false` when there is no row any more.
    Written(Result<bool, WriteError>),
    /// Write the state again.
    Again,
}

/// What the owner wants of a session, and who waits until it is kept.
pub(crate) struct Wish {
    pub(crate) event: SessionEvent,
    pub(crate) reply: RpcReplyPort<Result<(), WriteError>>,
}

pub(super) fn on_saving(myself: &ActorRef<Message>, state: &mut State, saving: Saving) {
    match saving {
        Saving::Written(result) => on_written(myself, state, result),
        Saving::Again => save(myself, state),
    }
}

/// Has what the owner wants kept, and then done.
pub(super) fn on_wish(myself: &ActorRef<Message>, state: &mut State, wish: Wish) {
    // Who waits for one that comes too late hears that it is not done.
    if state.stopping.is_empty() {
        state.wishes.push_back(wish);
        keep_next(myself, state);
    }
}

/// Those that change no row are done at once.
fn keep_next(myself: &ActorRef<Message>, state: &mut State) {
    while !state.saving
        && let Some(wish) = state.wishes.pop_front()
    {
        let Some(machine) = &state.machine else { return };
        // Whoever waited for it has given up, and was told that it is not done.
        if wish.reply.is_closed() {
            continue;
        }
        let change = machine.would_say(clock::now(), wish.event.clone());
        // What is so already need not be in the row yet.
        match change.or_else(|| state.unsaved.then(|| machine.view().clone())) {
            Some(view) => keep(myself, state, wish, view),
            None => grant(myself, state, wish),
        }
    }
}

fn keep(myself: &ActorRef<Message>, state: &mut State, wish: Wish, view: SessionView) {
    state.told.foretell(&state.args.key, &view, clock::now());
    state.keeping = Some(wish);
    write(myself, state, view);
}

fn grant(myself: &ActorRef<Message>, state: &mut State, wish: Wish) {
    super::step(myself, state, wish.event);
    let _asker_gone = wish.reply.send(Ok(()));
}

/// What the owner wanted may be in the row, and told, and is not done: what is so is written and told after it.
fn take_back(state: &mut State) {
    if let Some(machine) = &state.machine {
        state.told.say(&state.args.key, machine.view(), clock::now());
        state.unsaved = true;
    }
}

/// Writes the present state. While a write is under way the next one waits, and then writes what is true by then.
pub(super) fn save(myself: &ActorRef<Message>, state: &mut State) {
    let Some(machine) = &state.machine else { return };
    let view = machine.view().clone();
    state.unsaved = state.saving;
    if !state.saving {
        write(myself, state, view);
    }
}

fn save_later(myself: &ActorRef<Message>, state: &mut State) {
    let again = || Message::Saving(Saving::Again);
    state.save_timer.tell_after(SAVE_AGAIN_AFTER, myself, again);
}

/// Writes the present state behind a write that is under way: for the end, which does not wait for that.
fn save_at_last(myself: &ActorRef<Message>, state: &mut State) {
    if state.saving {
        state.told.have_not_told();
        state.saving = false;
    }
    save(myself, state);
}

/// What is last true of a connection that is being deleted is in its row before the actor ends: whoever goes on with the deletion
/// asks the row whether there is a device.
pub(super) fn save_deleted(myself: &ActorRef<Message>, state: &mut State) {
    let machine = state.machine.as_ref();
    let is_deleted = machine.is_some_and(|machine| machine.view().reason_code == ReasonCode::BeingDeleted);
    if is_deleted && state.unsaved {
        save_at_last(myself, state);
    }
}

/// The program stops, and the state does not say so yet. What waits to be written is; a wish of which nobody has heard whether it is
/// kept is not done: the next start must not do it either.
pub(super) fn on_stop(myself: &ActorRef<Message>, state: &mut State) {
    state.wishes.clear();
    if state.keeping.take().is_some() {
        take_back(state);
    }
    if state.unsaved {
        save_at_last(myself, state);
    }
}

/// The one place that writes the row: with what is to be told of it, in one commit. A change that is in the row is not told by the
/// next start.
fn write(myself: &ActorRef<Message>, state: &mut State, view: SessionView) {
    state.saving = true;
    let reached = Reached {
        record: ConnectionRecord {
            key: state.args.key.clone(),
            view,
            updated_at: clock::now(),
        },
        told: state.told.tell(),
    };
    let written = (state.args.shared.persistence).commit(Write::RecordConnection, reached);
    let lost = {
        let (myself, error) = (myself.clone(), WriteError::Unknown("saving it panicked".to_owned()));
        move || drop(myself.cast(Message::Saving(Saving::Written(Err(error)))))
    };
    let myself = myself.clone();
    let writing = async move {
        let result = written.await;
        let _stopped = myself.cast(Message::Saving(Saving::Written(result)));
    };
    state.tasks.spawn(guarded(writing, lost));
}

fn on_written(myself: &ActorRef<Message>, state: &mut State, result: Result<bool, WriteError>) {
    state.saving = false;
    let wish = state.keeping.take();
    match result {
        Ok(_) => {
            state.told.have_told();
            match wish {
                // It took so long that whoever waited for it was told that it is not done.
                Some(wish) if wish.reply.is_closed() => take_back(state),
                Some(wish) => grant(myself, state, wish),
                None => {}
            }
            keep_next(myself, state);
            if state.unsaved {
                save(myself, state);
            }
        }
        Err(error) => {
            // What the store refuses for what it is, it refuses for ever: the row is worth more than the word of it.
            match error.is_passing() || wish.is_some() {
                true => state.told.have_not_told(),
                false => state.told.have_told(),
            }
            match wish {
                Some(wish) => not_kept(state, wish, error),
                None => {
                    state.unsaved = true;
                    tracing::warn!(number = %state.args.key.phone_number, %error, "a session's state was not written; trying again");
                }
            }
            if state.unsaved {
                save_later(myself, state);
            }
            keep_next(myself, state);
        }
    }
}

fn not_kept(state: &mut State, wish: Wish, error: WriteError) {
    match &error {
        WriteError::Unknown(_) => take_back(state),
        _ => {
            if let Some(machine) = &state.machine {
                state.told.have_said(machine.view().clone());
            }
        }
    }
    let _asker_gone = wish.reply.send(Err(error));
}

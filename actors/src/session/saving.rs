//! The state of a session is written to its row, with what its webhooks are told of it: one write at a time, and again until the
//! store takes it. What its owner wants is written before it is done, once: a store that does not take it refuses the wish.

use std::time::Duration;

use ractor::{ActorRef, RpcReplyPort};
use wharf_domain::session::{ReasonCode, SessionEvent, SessionView};
use wharf_store::ConnectionRecord;

use super::{Message, State};
use crate::{
    clock,
    persistence::{Write, WriteError},
    supervision::guarded,
};

/// The pause before a state that the store refused is written again.
const SAVE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What became of a write.
pub(crate) enum Saving {
    /// The state was written, or not; `false` when there is no row for it any more.
    Saved(Result<bool, WriteError>),
    /// So was what the owner wants.
    Kept(Wish, Result<bool, WriteError>),
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
        Saving::Saved(result) => on_saved(myself, state, result),
        Saving::Kept(wish, result) => on_kept(myself, state, wish, result),
        Saving::Again => save(myself, state),
    }
}

/// Has what the owner wants kept, and then done.
pub(super) fn on_wish(myself: &ActorRef<Message>, state: &mut State, wish: Wish) {
    state.wishes.push_back(wish);
    keep_next(myself, state);
}

/// Those that change no row are done at once.
fn keep_next(myself: &ActorRef<Message>, state: &mut State) {
    while !state.saving
        && let Some(wish) = state.wishes.pop_front()
    {
        let Some(machine) = &state.machine else { return };
        let change = machine.would_say(clock::now(), wish.event.clone());
        // What is so already need not be in the row yet.
        match change.or_else(|| state.unsaved.then(|| machine.view().clone())) {
            Some(view) => keep(myself, state, wish, view),
            None => grant(myself, state, wish),
        }
    }
}

fn keep(myself: &ActorRef<Message>, state: &mut State, wish: Wish, view: SessionView) {
    state.saving = true;
    let kept = (state.args.shared.persistence).commit(Write::RecordConnection, record(state, view));
    let lost = lost(myself);
    let myself = myself.clone();
    let keeping = async move {
        let result = kept.await;
        let _stopped = myself.cast(Message::Saving(Saving::Kept(wish, result)));
    };
    state.tasks.spawn(guarded(keeping, lost));
}

fn on_kept(myself: &ActorRef<Message>, state: &mut State, wish: Wish, result: Result<bool, WriteError>) {
    state.saving = false;
    match result {
        Ok(_) => {
            grant(myself, state, wish);
            write_next(myself, state);
        }
        Err(error) => {
            // It may be in the row all the same, and is not done.
            state.unsaved |= !matches!(error, WriteError::Unavailable(_));
            if state.unsaved {
                save_later(myself, state);
            }
            let _asker_gone = wish.reply.send(Err(error));
            keep_next(myself, state);
        }
    }
}

/// The store takes writes.
fn write_next(myself: &ActorRef<Message>, state: &mut State) {
    keep_next(myself, state);
    if state.unsaved {
        save(myself, state);
    }
}

fn grant(myself: &ActorRef<Message>, state: &mut State, wish: Wish) {
    super::step(myself, state, wish.event);
    let _asker_gone = wish.reply.send(Ok(()));
}

fn record(state: &State, view: SessionView) -> ConnectionRecord {
    ConnectionRecord {
        key: state.args.key.clone(),
        view,
        updated_at: clock::now(),
    }
}

/// What is heard of a write whose task died.
fn lost(myself: &ActorRef<Message>) -> impl FnOnce() + Send + use<> {
    let (myself, error) = (myself.clone(), WriteError::Unknown("saving it panicked".to_owned()));
    move || drop(myself.cast(Message::Saving(Saving::Saved(Err(error)))))
}

fn save_later(myself: &ActorRef<Message>, state: &mut State) {
    let again = || Message::Saving(Saving::Again);
    state.save_timer.tell_after(SAVE_AGAIN_AFTER, myself, again);
}

/// Writes the present state. While a write is under way the next one waits, and then writes what is true by then.
pub(super) fn save(myself: &ActorRef<Message>, state: &mut State) {
    let Some(machine) = &state.machine else { return };
    if state.saving {
        state.unsaved = true;
        return;
    }
    (state.saving, state.unsaved) = (true, false);
    let record = record(state, machine.view().clone());
    let lost = lost(myself);
    let (myself, persistence) = (myself.clone(), &state.args.shared.persistence);
    let told = state.told.tell();
    let told = (!told.is_empty()).then(|| persistence.commit(Write::RecordInbound, told));
    let saved = persistence.commit(Write::RecordConnection, record);
    let saving = async move {
        let told = match told {
            Some(told) => told.await,
            None => Ok(()),
        };
        let saved = saved.await;
        let result = match told {
            Err(error) if error.is_passing() => Err(error),
            _ => saved,
        };
        let _stopped = myself.cast(Message::Saving(Saving::Saved(result)));
    };
    state.tasks.spawn(guarded(saving, lost));
}

/// What is last true of a connection that is being deleted is in its row before the actor ends: whoever goes on with the deletion
/// asks the row whether there is a device.
pub(super) fn save_deleted(myself: &ActorRef<Message>, state: &mut State) {
    let machine = state.machine.as_ref();
    let is_deleted = machine.is_some_and(|machine| machine.view().reason_code == ReasonCode::BeingDeleted);
    if is_deleted && state.unsaved {
        state.saving = false;
        save(myself, state);
    }
}

/// The state was written, or not.
fn on_saved(myself: &ActorRef<Message>, state: &mut State, result: Result<bool, WriteError>) {
    state.saving = false;
    match result {
        Ok(_) => {
            state.told.have_told();
            write_next(myself, state);
        }
        Err(error) => {
            state.told.have_not_told();
            state.unsaved = true;
            tracing::warn!(number = %state.args.key.phone_number, %error, "a session's state was not written; trying again");
            save_later(myself, state);
            keep_next(myself, state);
        }
    }
}

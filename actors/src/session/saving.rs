//! The state of a session is written to its row, with what its webhooks are told of it: one write at a time, and again until the
//! store takes it.

use std::time::Duration;

use ractor::ActorRef;
use wharf_domain::session::ReasonCode;
use wharf_store::ConnectionRecord;

use super::{Message, State};
use crate::{
    clock,
    persistence::{Write, WriteError},
    supervision::guarded,
};

/// The pause before a state that the store refused is written again.
const SAVE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Writes the present state. While a write is under way the next one waits, and then writes what is true by then.
pub(super) fn save(myself: &ActorRef<Message>, state: &mut State) {
    let Some(machine) = &state.machine else { return };
    if state.saving {
        state.unsaved = true;
        return;
    }
    (state.saving, state.unsaved) = (true, false);
    let record = ConnectionRecord {
        key: state.args.key.clone(),
        view: machine.view().clone(),
        updated_at: clock::now(),
    };
    let (myself, persistence) = (myself.clone(), &state.args.shared.persistence);
    let told = state.told.tell();
    let told = (!told.is_empty()).then(|| persistence.commit(Write::RecordInbound, told));
    let saved = persistence.commit(Write::RecordConnection, record);
    let lost = {
        let (myself, error) = (myself.clone(), WriteError::Unknown("saving it panicked".to_owned()));
        move || drop(myself.cast(Message::Saved(Err(error))))
    };
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
        let _stopped = myself.cast(Message::Saved(result));
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
pub(super) fn on_saved(myself: &ActorRef<Message>, state: &mut State, result: Result<bool, WriteError>) {
    state.saving = false;
    match &result {
        Ok(_) => state.told.have_told(),
        Err(_) => state.told.have_not_told(),
    }
    match result {
        Ok(_) if state.unsaved => save(myself, state),
        Ok(_) => {}
        Err(error) => {
            state.unsaved = true;
            tracing::warn!(number = %state.args.key.phone_number, %error, "a session's state was not written; trying again");
            let again = || Message::SaveAgain;
            state.save_timer.tell_after(SAVE_AGAIN_AFTER, myself, again);
        }
    }
}

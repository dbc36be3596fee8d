//! The beginning of a session: its rows are read before all else. One that cannot begin does nothing of what came for it, says so,
//! and then ends, for its supervisor to go on with.

use ractor::{ActorProcessingErr, ActorRef};
use wharf_domain::{
    ConnectionKey,
    session::{ReasonCode, Session, SessionView},
};

use super::{
    Args, Message, State, carry_out,
    outbox::{self, Undone},
    publish, saving,
};
use crate::{clock, persistence::WriteError, shared::Shared, supervision::GONE};

/// Why a session has not begun.
pub(super) enum Unbegun {
    /// There is no row.
    Gone,
    /// The rows cannot be read now.
    Failed(ActorProcessingErr),
}

impl Unbegun {
    fn undone(&self) -> Undone {
        match self {
            Self::Gone => Undone::Gone,
            Self::Failed(_) => {
                let why = "the number's session is being started again; nothing was sent";
                Undone::NotRecorded(WriteError::Unavailable(why.to_owned()))
            }
        }
    }
}

/// Reads the rows and begins; whether it has.
pub(super) async fn begin(myself: &ActorRef<Message>, state: &mut State) -> Result<bool, ActorProcessingErr> {
    if state.machine.is_some() {
        return Ok(true);
    }
    if state.unbegun.is_none() {
        state.unbegun = match on_begin(myself, state).await {
            Ok(true) => return Ok(true),
            Ok(false) => Some(Unbegun::Gone),
            Err(error) => Some(Unbegun::Failed(error)),
        };
        // What was cast to it until now is answered before that: who waits for an actor that is gone can only be told that it may
        // have been done. From here on nobody finds it any more.
        let Args { key, shared } = &state.args;
        shared.directory.retract_session(key, myself.get_id());
        myself.cast(Message::GiveUp)?;
    }
    Ok(false)
}

/// Answers what came for a session that has not begun.
pub(super) fn turn_away(
    myself: &ActorRef<Message>,
    state: &mut State,
    message: Message,
) -> Result<(), ActorProcessingErr> {
    let Some(unbegun) = &state.unbegun else { return Ok(()) };
    match message {
        Message::Send(request, reply) => {
            // Its file first: whoever hears of the refusal finds nothing left of it.
            drop(request);
            let _caller_gone = reply.send(Err(unbegun.undone()));
        }
        Message::CheckSend { reply, .. } => {
            let _caller_gone = reply.send(Err(unbegun.undone()));
        }
        Message::Act(_, reply) => {
            let _caller_gone = reply.send(Err(unbegun.undone()));
        }
        // There is nothing to delete. Whoever waits for a device to be unlinked asks the next one.
        Message::Delete(reply) if matches!(unbegun, Unbegun::Gone) => {
            let _caller_gone = reply.send(());
        }
        Message::GiveUp => match state.unbegun.take() {
            Some(Unbegun::Failed(error)) => return Err(error),
            _ => myself.stop(Some(GONE.to_owned())),
        },
        // Whoever waits for another answer hears that it has ended.
        _ => {}
    }
    Ok(())
}

/// Waits for the store inside the handler: there is nothing else that the actor could do before. What may fail comes before what is
/// begun. Answers whether there is a row.
async fn on_begin(myself: &ActorRef<Message>, state: &mut State) -> Result<bool, ActorProcessingErr> {
    let Args { key, shared } = &state.args;
    let Some(row) = shared.store.connection(key).await? else {
        return Ok(false);
    };
    state.told.wanted().events.found(shared.store.wanted(key).await?);
    state.told.wanted().settings.found((&row).into());
    let queued = outbox::queued(shared, key).await?;
    state.told.have_said(told_last(shared, key, row.session.clone()));
    let machine = Session::new(key.phone_number.clone(), row.session);
    let mut machine = machine.with_patience(shared.settings.patience);
    let now = clock::now();
    let effects = machine.start(now, clock::jitter());
    let is_told = state.told.say(key, machine.view(), now);
    state.machine = Some(machine);
    carry_out(myself, state, effects);
    if is_told {
        // Only then is the row written: a thousand sessions that start do not all have to.
        saving::save(myself, state);
    }
    publish(state);
    outbox::take_up(myself, state, queued);
    Ok(true)
}

/// What the number's webhook was told last: what the row says, unless the actor before failed, which its tenant has told.
fn told_last(shared: &Shared, key: &ConnectionKey, row: SessionView) -> SessionView {
    let shown = shared.directory.session(key).map(|entry| entry.view);
    let failed = |view: &SessionView| matches!(view.reason_code, ReasonCode::Restarting | ReasonCode::Parked);
    shown.filter(failed).unwrap_or(row)
}

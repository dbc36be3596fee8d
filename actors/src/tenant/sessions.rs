//! Sessions of a tenant: started for what was announced, started again, and looked for once more.

use std::sync::Arc;

use futures::TryFutureExt as _;
use ractor::{ActorProcessingErr, ActorRef, ActorRuntime};
use wharf_domain::{
    Connection, ConnectionStatus, PhoneNumber,
    restart::Restart,
    session::{ReasonCode, SessionView},
};

use super::{ChildKey, Message, State, key};
use crate::{
    clock, deletions,
    persistence::{Write, WriteError, insist},
    session::{self, SessionActor, told},
    supervision::Failed,
};

/// Starts the session of a connection that there is now, unless one is known.
pub(super) fn start(
    myself: &ActorRef<Message>,
    state: &mut State,
    connection: &Connection,
) -> Result<(), ActorProcessingErr> {
    let number = connection.phone_number.clone();
    if state.ending.is_some() {
        return Ok(());
    }
    if state.children.contains(&ChildKey::Session(number.clone())) {
        state.announced_again.insert(number);
        return Ok(());
    }
    let mut view = connection.session.clone();
    if view.wanted {
        // Until its actor says otherwise; the row may say `connected` from before.
        (view.status, view.reason_code) = (ConnectionStatus::Connecting, ReasonCode::Starting);
        view.connected_since = None;
    }
    state.args.shared.directory.announce_session(&connection.key(), view);
    spawn(myself, state, number)?;
    if connection.session.reason_code == ReasonCode::BeingDeleted {
        // Somebody had begun, and the end of the session or of the process cut it short.
        let _goes_on = deletions::begin(&state.args.shared, connection);
    }
    Ok(())
}

/// A session has ended. Starts another if its number has a connection that was announced meanwhile, unless that one is on its
/// way out itself. Nobody else looks, so it is looked for until the store can be read.
pub(super) fn look_again(myself: &ActorRef<Message>, state: &mut State, number: PhoneNumber) {
    if !state.announced_again.remove(&number) {
        return;
    }
    let (myself, shared, key) = (myself.clone(), Arc::clone(&state.args.shared), key(state, number));
    tokio::spawn(async move {
        let again = |error: &WriteError| {
            tracing::warn!(number = %key.phone_number, %error, "cannot look for a number's connection; trying again");
            !shared.notes.is_closed()
        };
        let look = || shared.store.connection(&key).map_err(WriteError::from);
        match insist(again, look).await {
            Ok(Some(connection)) if !shared.deletions.has(&connection) => {
                let _stopped = myself.cast(Message::ConnectionCreated(Box::new(connection)));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(number = %key.phone_number, %error, "cannot look for a number's connection; the next request does");
            }
        }
    });
}

/// A session failed: shows when it is started again, and tells the number's webhook, since no session is there to do that.
pub(super) fn show_failed(state: &State, number: &PhoneNumber, failed: &Failed<ChildKey>) {
    let (shared, key) = (&state.args.shared, key(state, number.clone()));
    shared.directory.publish_session(&key, None, failed.restarts);
    let Some(before) = shared.directory.session(&key).map(|entry| entry.view) else {
        return;
    };
    let (status, code, what) = match failed.restart {
        Restart::After(_) => (ConnectionStatus::Connecting, ReasonCode::Restarting, "restarting"),
        Restart::Park(_) => {
            let what = "parked after repeated failures, next try";
            (ConnectionStatus::Failed, ReasonCode::Parked, what)
        }
    };
    let (wait, now) = (failed.restart.wait(), clock::now());
    let after = SessionView {
        status,
        reason_code: code,
        reason: Some(format!("{what} in {} s: {}", wait.as_secs(), failed.reason)),
        retry_at: Some(now + wait),
        connected_since: None,
        qr: None,
        pair_code: None,
        ..before.clone()
    };
    // Behind whatever the session had told before it failed, and before whatever the next one tells.
    if let Some(event) = told::change(&shared.directory.wanted(&key), &key, &before, &after, now) {
        let told = shared.persistence.commit(Write::RecordInbound, vec![event]);
        let number = number.clone();
        tokio::spawn(async move {
            if let Err(error) = told.await {
                tracing::warn!(%number, %error, "the failure of a session is not told");
            }
        });
    }
    shared.directory.publish_view(&key, after);
}

/// Starts sessions that are waiting for their restart, and do not have to any more.
pub(super) fn restart_waiting(myself: &ActorRef<Message>, state: &mut State) -> Result<(), ActorProcessingErr> {
    let waiting = state.children.waiting().filter_map(|child| match child {
        ChildKey::Session(number) => Some(number.clone()),
        ChildKey::Delivery(_) => None,
    });
    for number in waiting.collect::<Vec<_>>() {
        spawn(myself, state, number)?;
    }
    Ok(())
}

/// Starts a session on its client's thread: ractor spawns on the runtime that is entered.
pub(super) fn spawn(
    myself: &ActorRef<Message>,
    state: &mut State,
    number: PhoneNumber,
) -> Result<(), ActorProcessingErr> {
    let shared = Arc::clone(&state.args.shared);
    let key = key(state, number.clone());
    let args = session::Args {
        key: key.clone(),
        shared: Arc::clone(&shared),
    };
    let entered = state.bulkhead.as_ref().map(|bulkhead| bulkhead.enter());
    let (actor, _started) = ActorRuntime::spawn_linked_instant(None, SessionActor, args, myself.get_cell())?;
    drop(entered);
    let child = ChildKey::Session(number);
    state.children.started(child.clone(), actor.get_cell());
    shared
        .directory
        .publish_session(&key, Some(actor), state.children.restarts(&child));
    Ok(())
}

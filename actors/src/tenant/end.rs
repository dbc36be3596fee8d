//! The end of a tenant: with the tree, or because its client was removed.

use std::time::Duration;

use futures::future::join_all;
use ractor::{ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};
use wharf_domain::ConnectionKey;

use super::{Args, ChildKey, Message, State, key, sessions};
use crate::{delivery, session, shared::Shared, supervision::guarded};

/// How long sessions may take to close their links when the tree stops.
const SESSIONS_DEADLINE: Duration = Duration::from_secs(8);
/// How long deliveries get when the tree stops: the 10 s of running attempts (CONTRACT.md section 5), and a little for their commit.
const DELIVERIES_DEADLINE: Duration = Duration::from_secs(11);
/// How long a removed client's devices may take to log out, once those that have no link have had their turn for that.
const LOGOUT_DEADLINE: Duration = Duration::from_secs(30);
/// The pause before a removed client whose rows did not go is begun with again: its tenant is started anew for that, and a store
/// that refuses would have that every second.
const PURGE_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// The pause before a session that is being started again is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Sessions and deliveries end side by side; a task waits for them, the actor stays free for their deaths.
pub(super) fn on_stop(myself: &ActorRef<Message>, state: &mut State, reply: RpcReplyPort<()>) {
    (state.ending, state.removing) = (Some(reply), false);
    // The next start goes on with it.
    state.removal.clear();
    let sessions = sessions(state);
    let deliveries: Vec<_> = state.deliveries.values().cloned().collect();
    let myself = myself.clone();
    tokio::spawn(async move {
        let close_sessions = join_all(
            sessions
                .iter()
                .map(|actor| actor.call(session::Message::Shutdown, Some(SESSIONS_DEADLINE))),
        );
        let close_deliveries = join_all(deliveries.iter().map(close_delivery));
        tokio::join!(close_sessions, close_deliveries);
        let _stopped = myself.cast(Message::Ended);
    });
}

async fn close_delivery(actor: &ActorRef<delivery::Message>) {
    if actor.cast(delivery::Message::CloseSoon).is_ok() {
        let _late = actor.wait(Some(DELIVERIES_DEADLINE)).await;
    }
}

fn sessions(state: &State) -> Vec<ActorRef<session::Message>> {
    let keys = session_keys(state).into_iter();
    keys.filter_map(|key| state.args.shared.directory.session_actor(&key))
        .collect()
}

fn session_keys(state: &State) -> Vec<ConnectionKey> {
    let numbers = state.children.keys().filter_map(|child| match child {
        ChildKey::Session(number) => Some(number.clone()),
        ChildKey::Delivery(_) => None,
    });
    numbers.map(|number| key(state, number)).collect()
}

/// A removed client: its devices are unlinked first, then its rows go. Only a session that runs can unlink its device.
pub(super) fn on_remove(
    myself: &ActorRef<Message>,
    state: &mut State,
    reply: RpcReplyPort<()>,
) -> Result<(), ActorProcessingErr> {
    sessions::restart_waiting(myself, state)?;
    (state.ending, state.removing) = (Some(reply), true);
    let keys = session_keys(state);
    let deliveries: Vec<_> = state.deliveries.values().cloned().collect();
    let lost = {
        let myself = myself.clone();
        move || drop(myself.cast(Message::RemovalLost))
    };
    let removal = remove(myself.clone(), state.args.clone(), keys, deliveries);
    state.removal.set(guarded(removal, lost));
    Ok(())
}

async fn remove(
    myself: ActorRef<Message>,
    args: Args,
    keys: Vec<ConnectionKey>,
    deliveries: Vec<ActorRef<delivery::Message>>,
) {
    let shared = &args.shared;
    // No session of the process, whose ever it is, waits for more than one turn before theirs.
    let turns = shared.pacer.longest(shared.directory.statuses().len());
    let log_out = join_all(keys.iter().map(|key| log_out(shared, key, LOGOUT_DEADLINE + turns)));
    let close_deliveries = join_all(deliveries.iter().map(close_delivery));
    let (logged_out, _) = tokio::join!(log_out, close_deliveries);
    let late: Vec<_> = keys.iter().zip(logged_out).filter(|(_, in_time)| !in_time).collect();
    for (key, _) in &late {
        session::stays_linked(
            &key.phone_number,
            "its client is removed, and the link could not be logged out in time",
        );
    }
    let purged = shared.persistence.purge_client(args.client_id).await;
    shared.media.files.forget(args.client_id).await;
    shared.media.forget(|key| key.client_id == args.client_id);
    shared.backlog.forget(args.client_id);
    shared.directory.forget_client(args.client_id);
    match purged {
        Ok(()) => {
            // Whatever links they still have end. Their keys are gone with the rows.
            let forgetting = join_all(late.iter().map(|(key, _)| shared.links.forget(key)));
            let _late = tokio::time::timeout(LOGOUT_DEADLINE, forgetting).await;
            tracing::info!(client = %args.client_id, "a removed client is gone");
        }
        Err(error) => {
            tracing::warn!(client = %args.client_id, %error, "a removed client's rows are not all gone; trying again");
            tokio::time::sleep(PURGE_AGAIN_AFTER).await;
        }
    }
    let _stopped = myself.cast(Message::Ended);
}

/// Whether the number's device is unlinked in time. A session that fails meanwhile is started again, and asked again.
async fn log_out(shared: &Shared, key: &ConnectionKey, within: Duration) -> bool {
    let unlinked = async {
        // One without an entry was deleted meanwhile.
        while let Some(entry) = shared.directory.session(key) {
            if let Some(actor) = entry.actor
                && let Ok(CallResult::Success(())) = actor.call(session::Message::Delete, None).await
            {
                return;
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    };
    tokio::time::timeout(within, unlinked).await.is_ok()
}

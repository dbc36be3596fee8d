//! The end of a tenant: with the tree, or because its client was removed.

use std::time::Duration;

use futures::future::join_all;
use ractor::{ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};
use wharf_domain::ConnectionKey;

use super::{ChildKey, Message, State, key, sessions};
use crate::{delivery, session, shared::Shared};

/// How long sessions may take to close their links when the tree stops.
const SESSIONS_DEADLINE: Duration = Duration::from_secs(8);
/// How long running attempts get when the tree stops (CONTRACT.md section 5), and a little for their commit.
const DELIVERIES_DEADLINE: Duration = Duration::from_millis(10_500);
/// How long a removed client's devices may take to log out, once those that have no link have had a turn for that.
const LOGOUT_DEADLINE: Duration = Duration::from_secs(30);
/// The pause before a removed client whose rows did not go is begun with again: its tenant is started anew for that, and a store
/// that refuses would have that every second.
const PURGE_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// The pause before a session that is being started again is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Sessions and deliveries end side by side; a task waits for them, the actor stays free for their deaths.
pub(super) fn on_stop(myself: &ActorRef<Message>, state: &mut State, reply: RpcReplyPort<()>) {
    (state.ending, state.removing) = (Some(reply), false);
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
    if actor.cast(delivery::Message::Close).is_ok() {
        let _late = actor.wait(Some(DELIVERIES_DEADLINE)).await;
    }
}

fn sessions(state: &State) -> Vec<ActorRef<session::Message>> {
    let keys = session_keys(state).into_iter();
    keys.filter_map(|key| state.args.shared.directory.session(&key)?.actor)
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
    let (myself, args) = (myself.clone(), state.args.clone());
    tokio::spawn(async move {
        let turns =
            u32::try_from(keys.len()).unwrap_or(u32::MAX) / args.shared.settings.session_starts_per_second.max(1);
        let within = LOGOUT_DEADLINE + Duration::from_secs(turns.into());
        let log_out = join_all(keys.iter().map(|key| log_out(&args.shared, key, within)));
        let close_deliveries = join_all(deliveries.iter().map(close_delivery));
        let (logged_out, _) = tokio::join!(log_out, close_deliveries);
        let late = logged_out.iter().filter(|logged_out| !**logged_out).count();
        if late > 0 {
            tracing::warn!(client = %args.client_id, late, "some devices of a removed client could not be logged out");
        }
        let purged = args.shared.persistence.purge_client(args.client_id).await;
        args.shared.media.files.forget(args.client_id).await;
        args.shared.media.forget(|key| key.client_id == args.client_id);
        args.shared.backlog.forget(args.client_id);
        for key in &keys {
            args.shared.directory.remove_session(key);
        }
        match purged {
            Ok(()) => tracing::info!(client = %args.client_id, "a removed client is gone"),
            Err(error) => {
                tracing::warn!(client = %args.client_id, %error, "a removed client's rows are not all gone; trying again");
                tokio::time::sleep(PURGE_AGAIN_AFTER).await;
            }
        }
        let _stopped = myself.cast(Message::Ended);
    });
    Ok(())
}

/// Whether the number's device is unlinked in time. A session that fails meanwhile is started again, and asked again.
async fn log_out(shared: &Shared, key: &ConnectionKey, within: Duration) -> bool {
    let unlinked = async {
        loop {
            let actor = shared.directory.session(key).and_then(|entry| entry.actor);
            if let Some(actor) = actor
                && let Ok(CallResult::Success(())) = actor.call(session::Message::Delete, None).await
            {
                return;
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    };
    tokio::time::timeout(within, unlinked).await.is_ok()
}

//! Deliveries that have nothing to do are not there: a hundred thousand quiet webhooks cost rows, not actors.
//!
//! A delivery is started when its webhook has something pending, and rests when it has had nothing for a while. Resting
//! takes two steps, so that no wake-up falls between them. The tenant takes the delivery out of the directory first, so
//! that wake-ups come here, and then asks it to stop; a delivery that got something to do before it was asked says so,
//! and is put back. What came here meanwhile is passed on as "look at the store", which has it.

use std::{
    collections::{HashSet, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use ractor::{ActorProcessingErr, ActorRef};
use wharf_domain::WebhookId;

use super::{ChildKey, Message, State, start_delivery};
use crate::{delivery, task::OwnedTask};

/// How often deliveries are asked whether they can rest.
const ROUND_EVERY: Duration = Duration::from_secs(60);
/// Every how many rounds the store is asked for work that nobody was woken up for.
const LOOK_EVERY: u32 = 10;

/// Rounds, for as long as the actor lives.
pub(super) fn rounds(myself: ActorRef<Message>) -> OwnedTask {
    let mut timer = OwnedTask::default();
    timer.set(async move {
        for round in 1_u32.. {
            tokio::time::sleep(ROUND_EVERY).await;
            let look = round.is_multiple_of(LOOK_EVERY);
            if myself.cast(Message::Round { look }).is_err() {
                return;
            }
        }
    });
    timer
}

pub(super) fn on_round(myself: &ActorRef<Message>, state: &State, look: bool) {
    for actor in state.deliveries.values() {
        let _restarting = actor.cast(delivery::Message::RestIfIdle);
    }
    if look {
        let (myself, shared, client) = (myself.clone(), Arc::clone(&state.args.shared), state.args.client_id);
        let running: HashSet<WebhookId> = state.deliveries.keys().copied().collect();
        tokio::spawn(async move {
            match shared.store.webhooks_with_work(client).await {
                // Those that run look by themselves (the janitor's rounds).
                Ok(work) => work.into_iter().filter(|id| !running.contains(id)).for_each(|id| {
                    let _stopped = myself.cast(Message::Wake(id));
                }),
                Err(error) => tracing::warn!(%client, %error, "cannot look for work; the next round tries again"),
            }
        });
    }
}

/// Something may be pending for a webhook whose delivery the directory does not have.
pub(super) fn on_wake(myself: &ActorRef<Message>, state: &mut State, id: WebhookId) -> Result<(), ActorProcessingErr> {
    if let Some(woken) = state.resting.get_mut(&id) {
        *woken = true;
    } else if let Some(actor) = state.deliveries.get(&id) {
        let _restarting = actor.cast(delivery::Message::LOOK_AGAIN);
    } else {
        start_delivery(myself, state, id)?;
    }
    Ok(())
}

/// A delivery has nothing to do, or has something to do after all.
pub(super) fn on_rests(state: &mut State, id: WebhookId, idle: bool) {
    let Some(actor) = state.deliveries.get(&id) else { return };
    let (directory, client) = (&state.args.shared.directory, state.args.client_id);
    if idle {
        // Asked once: a second word from it must not undo that it was woken up since.
        if let Entry::Vacant(resting) = state.resting.entry(id) {
            resting.insert(false);
            directory.publish_delivery(client, id, None);
            let _restarting = actor.cast(delivery::Message::Rest);
        }
    } else if let Some(woken) = state.resting.remove(&id) {
        // Before the directory has it: what came here is older than what it is told directly from then on.
        if woken {
            let _restarting = actor.cast(delivery::Message::LOOK_AGAIN);
        }
        directory.publish_delivery(client, id, Some(actor.clone()));
    }
}

/// A delivery has ended as it should.
pub(super) fn on_done(myself: &ActorRef<Message>, state: &mut State, id: WebhookId) -> Result<(), ActorProcessingErr> {
    state.deliveries.remove(&id);
    state
        .args
        .shared
        .directory
        .publish_delivery(state.args.client_id, id, None);
    if state.resting.remove(&id) == Some(true) && !state.children.contains(&ChildKey::Delivery(id)) {
        start_delivery(myself, state, id)?;
    }
    Ok(())
}

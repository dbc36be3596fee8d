//! What the machine wants done, carried out.

use std::sync::Arc;

use ractor::ActorRef;
use wharf_domain::{
    Timestamp,
    delivery::{DeliveryEvent, Effect},
};

use super::{
    Message, State, attempt,
    calls::{deactivate, load, load_parked, record, revive},
};
use crate::{
    clock,
    persistence::Ended,
    supervision::{DONE, guarded},
};

pub(super) fn carry_out(myself: &ActorRef<Message>, state: &mut State, effects: Vec<Effect>) {
    let shared = Arc::clone(&state.args.shared);
    let webhook @ (_, webhook_id) = (state.args.client_id, state.args.webhook_id);
    for effect in effects {
        match effect {
            Effect::Attempt { next, standing } => attempt::make(myself, state, next, standing),
            Effect::Reconsider(standing) => shared.slots.reconsider(webhook.0, webhook_id, standing),
            Effect::Record(outcome) => {
                let machine = state.machine.as_ref();
                let may_wait = machine.is_some_and(|machine| machine.may_wait(outcome.event_id));
                let task = record(myself.clone(), &shared, Ended { outcome, may_wait });
                spawn(myself, state, task);
            }
            Effect::Hurry => shared.persistence.hurry(),
            Effect::Load { generation, query } => {
                let task = load(myself.clone(), Arc::clone(&shared), webhook, generation, query);
                state.loading.set(guarded(task, tells_of_loss(myself)));
            }
            Effect::LoadParked {
                generation,
                after,
                limit,
            } => {
                let task = load_parked(
                    myself.clone(),
                    Arc::clone(&shared),
                    webhook_id,
                    generation,
                    after,
                    limit,
                );
                spawn(myself, state, task);
            }
            Effect::Revive(events) => {
                let task = revive(myself.clone(), Arc::clone(&shared), webhook_id, events);
                spawn(myself, state, task);
            }
            Effect::Deactivate(reason) => {
                let task = deactivate(Arc::clone(&shared), webhook, state.aim.url.clone(), reason);
                spawn(myself, state, task);
            }
            Effect::SetTimer { at, generation } => set_timer(myself, state, at, generation),
            Effect::Finished => myself.stop(Some(DONE.to_owned())),
        }
    }
}

/// Begins a task that ends with the actor.
pub(super) fn spawn(myself: &ActorRef<Message>, state: &mut State, task: impl Future<Output = ()> + Send + 'static) {
    state.tasks.spawn(guarded(task, tells_of_loss(myself)));
}

fn tells_of_loss(myself: &ActorRef<Message>) -> impl FnOnce() + Send + use<> {
    let myself = myself.clone();
    move || {
        let _stopped = myself.cast(Message::TaskLost);
    }
}

fn set_timer(myself: &ActorRef<Message>, state: &mut State, at: Timestamp, generation: u64) {
    let fired = move || Message::Happened(DeliveryEvent::TimerFired { generation });
    state.timer.tell_after(clock::until(at), myself, fired);
}

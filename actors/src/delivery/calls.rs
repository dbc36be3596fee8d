//! What the machine asks of the store, each in a task that reports back.

use std::sync::Arc;

use ractor::{ActorRef, RpcReplyPort};
use wharf_domain::{
    ClientId, EventId, WebhookId,
    delivery::{DeliveryEvent, DueQuery, RetryAnswer},
};

use super::{Message, RetryReply, State, effects::spawn};
use crate::{
    persistence::{Ended, Retry, Write, WriteError, insist},
    shared::Shared,
};

/// The outcome is on its way when this returns: an older counter of the webhook must not be committed after a newer one.
pub(super) fn record(
    myself: ActorRef<Message>,
    shared: &Shared,
    ended: Ended,
) -> impl Future<Output = ()> + Send + use<> {
    let (event_id, attempt) = (ended.outcome.event_id, ended.outcome.attempt);
    let committed = shared.persistence.commit(Write::RecordOutcome, ended);
    async move {
        let event = match committed.await {
            Ok(()) => DeliveryEvent::OutcomeCommitted { event_id, attempt },
            Err(error) => {
                tracing::warn!(event = %event_id, attempt, %error, "an outcome was not committed; trying again");
                DeliveryEvent::OutcomeRefused { event_id, attempt }
            }
        };
        let _stopped = myself.cast(Message::Happened(event));
    }
}

pub(super) async fn load(
    myself: ActorRef<Message>,
    shared: Arc<Shared>,
    (client_id, webhook_id): (ClientId, WebhookId),
    generation: u64,
    query: DueQuery,
) {
    let _turn = shared.reads.backlog_turn(client_id).await;
    let event = match shared.store.due_chats(webhook_id, &query).await {
        Ok(page) => DeliveryEvent::Loaded { generation, page },
        Err(error) => {
            tracing::warn!(webhook = %webhook_id, %error, "cannot read pending events; trying again");
            DeliveryEvent::LoadFailed { generation }
        }
    };
    let _stopped = myself.cast(Message::Happened(event));
}

pub(super) async fn load_parked(
    myself: ActorRef<Message>,
    shared: Arc<Shared>,
    webhook_id: WebhookId,
    generation: u64,
    after: i64,
    limit: usize,
) {
    let parked = shared.store.parked_events(webhook_id, after, limit).await;
    let parked = parked
        .inspect_err(|error| tracing::warn!(webhook = %webhook_id, %error, "cannot read parked events; trying again"));
    let parked = parked.ok();
    let _stopped = myself.cast(Message::Happened(DeliveryEvent::ParkedLoaded { generation, parked }));
}

pub(super) async fn revive(
    myself: ActorRef<Message>,
    shared: Arc<Shared>,
    webhook_id: WebhookId,
    events: Vec<EventId>,
) {
    for event_id in events {
        let revived = shared
            .persistence
            .commit(Write::ReviveEvent, (webhook_id, event_id))
            .await;
        let_go(&myself, event_id, revived.is_err());
    }
}

/// One that is pending again was told by its commit, before the answer: told by this, it might be out already, and go out once more.
/// Any other is held no longer.
fn let_go(myself: &ActorRef<Message>, event_id: EventId, unknown: bool) {
    let _stopped = myself.cast(Message::Happened(DeliveryEvent::NotRenewed(event_id)));
    if unknown {
        // It may be committed all the same, and its commit told to one that was not here.
        let _stopped = myself.cast(Message::LOOK_AGAIN);
    }
}

/// Ends when the store has it, or will never take it: until then a restart would begin anew, and be told `410` again.
pub(super) async fn deactivate(
    shared: Arc<Shared>,
    (client_id, webhook_id): (ClientId, WebhookId),
    url: String,
    reason: &'static str,
) {
    let again = |error: &WriteError| {
        tracing::warn!(webhook = %webhook_id, %error, "a webhook was not switched off; trying again");
        true
    };
    let write = || (client_id, webhook_id, url.clone(), reason);
    match insist(again, || shared.persistence.commit(Write::DeactivateWebhook, write())).await {
        // Its tenant tells this delivery, in the order of the commits.
        Ok(Some(_)) => tracing::info!(webhook = %webhook_id, reason, "a webhook was switched off"),
        // Deleted meanwhile, or it leads elsewhere.
        Ok(None) => {}
        Err(error) => tracing::error!(webhook = %webhook_id, %error, "a webhook cannot be switched off"),
    }
}

pub(super) fn on_retry(myself: &ActorRef<Message>, state: &mut State, retry: Retry, reply: RpcReplyPort<RetryReply>) {
    let event_id = retry.event_id;
    let Some(machine) = state.machine.as_mut() else {
        let starting = WriteError::Unavailable("the webhook's delivery is starting".to_owned());
        let _asker_gone = reply.send(Err(starting));
        return;
    };
    if machine.request_retry(event_id) == RetryAnswer::UnderWay {
        let _asker_gone = reply.send(Ok(None));
        return;
    }
    let (teller, shared) = (myself.clone(), Arc::clone(&state.args.shared));
    let task = async move {
        let settled = shared.persistence.commit(Write::RenewEvent, retry).await;
        let_go(&teller, event_id, settled.is_err());
        let _asker_gone = reply.send(settled.map(|renewal| Some(Box::new(renewal))));
    };
    spawn(myself, state, task);
}

//! The delivery actor: one per webhook.
//!
//! Owns the webhook's window of events, its retry timer and its failure counter, by way of the machine in
//! `wharf_domain::delivery`, whose effects it carries out. Supervised by its tenant. Restarts from the store: the
//! webhook's row and its pending events. Stops when the webhook is deleted or the tree stops, after the attempts under
//! way have ended.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use wharf_domain::{
    AttemptOutcome, AttemptResult, AttemptTiming, ClientId, EventId, PendingEvent, Timestamp, Webhook, WebhookId,
    delivery::{Delivery, DeliveryConfig, DeliveryEvent, DeliverySnapshot, DueQuery, Effect, RetryAnswer},
};
use wharf_store::Renewal;

#[cfg(test)]
use crate::supervision::Crash;
use crate::{
    clock,
    keyring::Keyring,
    persistence::{Write, WriteError},
    post::Post,
    shared::Shared,
    supervision::{DONE, guarded},
    tenant,
    timer::Timer,
};

/// How long a delivery waits for something to do before it rests: a webhook that gets a message a minute stays awake.
const REST_AFTER: Duration = Duration::from_secs(60);
/// The pause before the payload of an attempt is asked for again when the store cannot be read.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What the actor is started with.
pub(crate) struct Args {
    pub(crate) client_id: ClientId,
    pub(crate) webhook_id: WebhookId,
    /// The client's slots for attempts.
    pub(crate) client_slots: Arc<Semaphore>,
    pub(crate) shared: Arc<Shared>,
}

/// The answer to a manual retry.
#[derive(Debug)]
pub(crate) enum RetryReply {
    /// An attempt is under way already.
    UnderWay,
    /// The store's answer.
    Settled(Box<Renewal>),
    /// The store gave none.
    Refused(WriteError),
}

/// What the actor can be told.
pub(crate) enum Message {
    /// Read the webhook and begin.
    Begin,
    /// An event was committed.
    Arrived(PendingEvent),
    /// The webhook was changed.
    Changed(Box<Webhook>),
    /// The webhook's secrets were changed; answers when what begins from here on is signed with the new ones.
    SecretsChanged(RpcReplyPort<()>),
    /// A client wants an event retried.
    RetryEvent {
        event_id: EventId,
        force: bool,
        reply: RpcReplyPort<RetryReply>,
    },
    /// Something that was begun has ended.
    Happened(DeliveryEvent),
    /// Tell the tenant if there has been nothing to do for a while.
    RestIfIdle,
    /// Stop, if there is nothing to do still; else say so.
    Rest,
    /// A task of this actor panicked: what it was to report will not come.
    TaskLost,
    /// Start nothing new, and stop when what is under way has ended.
    Close,
    /// What a person may want to see.
    #[cfg_attr(not(test), allow(dead_code))]
    Snapshot(RpcReplyPort<Option<DeliverySnapshot>>),
    /// Die, for the tests of the tree.
    #[cfg(test)]
    Crash(Crash),
}

impl Message {
    /// The store may have something that this delivery was not told of.
    pub(crate) const LOOK_AGAIN: Self = Self::Happened(DeliveryEvent::LookAgain);
}

/// See the module.
pub(crate) struct DeliveryActor;

pub(crate) struct State {
    args: Args,
    /// There from `Begin` on.
    machine: Option<Delivery>,
    /// Changes with a PATCH.
    url: Arc<str>,
    /// What signs. Attempts look here when they have their slots, which may be long after they were begun.
    keyring: watch::Sender<Arc<Keyring>>,
    hub_signature: bool,
    /// When the machine was last told something, by the steady clock.
    last_step: Timestamp,
    timer: Timer,
    /// Attempts and store calls under way; they end with the actor, so that a restarted one is alone.
    tasks: JoinSet<()>,
}

impl Actor for DeliveryActor {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, myself: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        myself.cast(Message::Begin)?;
        let keyring = Keyring::new(args.client_id, args.webhook_id, false);
        Ok(State {
            args,
            machine: None,
            url: "".into(),
            keyring: watch::Sender::new(Arc::new(keyring)),
            hub_signature: false,
            last_step: clock::steady(),
            timer: Timer::default(),
            tasks: JoinSet::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Begin => Box::pin(on_begin(&myself, state)).await?,
            Message::Arrived(event) => step(&myself, state, DeliveryEvent::Arrived(event)),
            Message::Changed(webhook) => on_changed(&myself, state, &webhook),
            Message::SecretsChanged(reply) => {
                renew_keyring(state);
                let _asker_gone = reply.send(());
            }
            Message::RetryEvent { event_id, force, reply } => on_retry(&myself, state, event_id, force, reply),
            Message::Happened(event) => step(&myself, state, event),
            Message::RestIfIdle => {
                if is_idle(state) && clock::steady().since(state.last_step) >= REST_AFTER {
                    tell_tenant(state, true);
                }
            }
            Message::Rest if is_idle(state) => myself.stop(Some(DONE.to_owned())),
            Message::Rest => tell_tenant(state, false),
            Message::TaskLost => return Err("a task panicked".into()),
            Message::Close => step(&myself, state, DeliveryEvent::Closing),
            Message::Snapshot(reply) => {
                let _asker_gone = reply.send(state.machine.as_ref().map(Delivery::snapshot));
            }
            #[cfg(test)]
            Message::Crash(how) => return how.carry_out(),
        }
        Ok(())
    }
}

/// Waits for the store inside the handler: there is nothing else that the actor could do before.
async fn on_begin(myself: &ActorRef<Message>, state: &mut State) -> Result<(), ActorProcessingErr> {
    let Args {
        client_id,
        webhook_id,
        shared,
        ..
    } = &state.args;
    let webhook = shared.store.webhook(*client_id, *webhook_id).await?;
    let Some(webhook) = webhook.filter(|webhook| webhook.deleted_at.is_none()) else {
        myself.stop(Some(DONE.to_owned()));
        return Ok(());
    };
    take_over(state, &webhook);
    let mut machine = Delivery::new(webhook.id, config(state, &webhook), webhook.failure_count);
    let now = clock::now();
    machine.keep_time(now, clock::steady());
    let effects = machine.start(now);
    state.machine = Some(machine);
    carry_out(myself, state, effects);
    Ok(())
}

fn config(state: &State, webhook: &Webhook) -> DeliveryConfig {
    DeliveryConfig {
        is_active: webhook.is_active,
        max_retries: webhook.max_retries,
        max_in_flight: state.args.shared.settings.max_in_flight_per_webhook,
    }
}

fn on_changed(myself: &ActorRef<Message>, state: &mut State, webhook: &Webhook) {
    take_over(state, webhook);
    let config = config(state, webhook);
    step(myself, state, DeliveryEvent::Configured(config));
}

/// What attempts are made with; the machine knows nothing of it.
fn take_over(state: &mut State, webhook: &Webhook) {
    state.url = webhook.webhook_url.as_str().into();
    if state.hub_signature != webhook.hub_signature {
        state.hub_signature = webhook.hub_signature;
        renew_keyring(state);
    }
}

/// The next attempt reads the secrets anew.
fn renew_keyring(state: &State) {
    let Args {
        client_id, webhook_id, ..
    } = state.args;
    let keyring = Keyring::new(client_id, webhook_id, state.hub_signature);
    state.keyring.send_replace(Arc::new(keyring));
}

fn step(myself: &ActorRef<Message>, state: &mut State, event: DeliveryEvent) {
    while state.tasks.try_join_next().is_some() {}
    // Before `Begin` has read the store there is nothing to tell: it will read all of it.
    let Some(machine) = state.machine.as_mut() else {
        if event == DeliveryEvent::Closing {
            myself.stop(Some(DONE.to_owned()));
        }
        return;
    };
    let now = clock::now();
    state.last_step = clock::steady();
    machine.keep_time(now, state.last_step);
    let effects = machine.step(now, event);
    carry_out(myself, state, effects);
}

/// Whether stopping would forget nothing that the store does not tell.
fn is_idle(state: &State) -> bool {
    state.machine.as_ref().is_some_and(Delivery::is_idle)
}

fn tell_tenant(state: &State, idle: bool) {
    let Args {
        client_id,
        webhook_id: webhook,
        shared,
        ..
    } = &state.args;
    if let Some(tenant) = shared.directory.tenant(*client_id) {
        let _restarting = tenant.cast(tenant::Message::Rests {
            webhook: *webhook,
            idle,
        });
    }
}

fn carry_out(myself: &ActorRef<Message>, state: &mut State, effects: Vec<Effect>) {
    for effect in effects {
        match effect {
            Effect::Attempt {
                event_id,
                sequence,
                attempt,
                payload,
            } => {
                let task = attempt_task(myself.clone(), state, event_id, sequence, attempt, payload);
                spawn(myself, state, task);
            }
            Effect::Record(outcome) => {
                let task = record(myself.clone(), Arc::clone(&state.args.shared), outcome);
                spawn(myself, state, task);
            }
            Effect::Load { generation, query } => {
                let (shared, webhook_id) = (Arc::clone(&state.args.shared), state.args.webhook_id);
                let task = load(myself.clone(), shared, webhook_id, generation, query);
                spawn(myself, state, task);
            }
            Effect::SetTimer { at, generation } => set_timer(myself, state, at, generation),
            Effect::Finished => myself.stop(Some(DONE.to_owned())),
        }
    }
}

fn spawn(myself: &ActorRef<Message>, state: &mut State, task: impl Future<Output = ()> + Send + 'static) {
    let myself = myself.clone();
    state.tasks.spawn(guarded(task, move || {
        let _stopped = myself.cast(Message::TaskLost);
    }));
}

fn set_timer(myself: &ActorRef<Message>, state: &mut State, at: Timestamp, generation: u64) {
    let myself = myself.clone();
    state.timer.set(async move {
        tokio::time::sleep(clock::until(at)).await;
        let _stopped = myself.cast(Message::Happened(DeliveryEvent::TimerFired { generation }));
    });
}

/// One attempt: waits for a slot of the client and then for one of the process, so that a client which has used its
/// slots up holds none that others could use; then posts, and reports.
fn attempt_task(
    myself: ActorRef<Message>,
    state: &State,
    event_id: EventId,
    sequence: i64,
    attempt: u32,
    payload: Option<bytes::Bytes>,
) -> impl Future<Output = ()> + Send + 'static {
    let (shared, client_slots) = (Arc::clone(&state.args.shared), Arc::clone(&state.args.client_slots));
    let (url, keyring) = (Arc::clone(&state.url), state.keyring.subscribe());
    async move {
        let Ok(_client_slot) = client_slots.acquire().await else {
            return;
        };
        let Ok(_slot) = shared.slots.acquire().await else {
            return;
        };
        let (started_at, began) = (clock::now(), Instant::now());
        let result = match read_payload(&shared, event_id, payload).await {
            Some(body) => {
                let keyring = Arc::clone(&keyring.borrow());
                match keyring.signer(&shared).await {
                    Ok(signer) => {
                        let timestamp = clock::now();
                        let post = Post {
                            url: &url,
                            event_id,
                            sequence,
                            attempt,
                            timestamp,
                            signatures: signer.sign(event_id, timestamp, &body),
                            body,
                        };
                        shared.poster.post(post).await
                    }
                    Err(error) => AttemptResult::Blocked {
                        detail: error.to_string(),
                    },
                }
            }
            // Retention cannot have taken it: it is pending. Somebody deleted the row by hand.
            None => AttemptResult::Blocked {
                detail: "the event's row is gone".to_owned(),
            },
        };
        tracing::debug!(event = %event_id, attempt, ?result, "attempt ended");
        let jitter = clock::jitter();
        let event = DeliveryEvent::AttemptFinished {
            event_id,
            attempt,
            result,
            timing: AttemptTiming {
                started_at,
                took: began.elapsed(),
            },
            jitter,
        };
        let _stopped = myself.cast(Message::Happened(event));
    }
}

async fn read_payload(shared: &Shared, event_id: EventId, known: Option<bytes::Bytes>) -> Option<bytes::Bytes> {
    if known.is_some() {
        return known;
    }
    loop {
        match shared.store.payload(event_id).await {
            Ok(payload) => return payload,
            Err(error) => {
                tracing::warn!(event = %event_id, %error, "cannot read a payload; trying again");
                tokio::time::sleep(READ_AGAIN_AFTER).await;
            }
        }
    }
}

async fn record(myself: ActorRef<Message>, shared: Arc<Shared>, outcome: AttemptOutcome) {
    let (event_id, attempt) = (outcome.event_id, outcome.attempt);
    let event = match shared.persistence.commit(Write::RecordOutcome, outcome).await {
        Ok(()) => DeliveryEvent::OutcomeCommitted { event_id, attempt },
        Err(error) => {
            tracing::warn!(event = %event_id, attempt, %error, "an outcome was not committed; trying again");
            DeliveryEvent::OutcomeRefused { event_id, attempt }
        }
    };
    let _stopped = myself.cast(Message::Happened(event));
}

async fn load(myself: ActorRef<Message>, shared: Arc<Shared>, webhook_id: WebhookId, generation: u64, query: DueQuery) {
    let event = match shared.store.due_chats(webhook_id, &query).await {
        Ok(page) => DeliveryEvent::Loaded { generation, page },
        Err(error) => {
            tracing::warn!(webhook = %webhook_id, %error, "cannot read pending events; trying again");
            DeliveryEvent::LoadFailed { generation }
        }
    };
    let _stopped = myself.cast(Message::Happened(event));
}

fn on_retry(
    myself: &ActorRef<Message>,
    state: &mut State,
    event_id: EventId,
    force: bool,
    reply: RpcReplyPort<RetryReply>,
) {
    let Some(machine) = state.machine.as_mut() else {
        let starting = WriteError::Unavailable("the webhook's delivery is starting".to_owned());
        let _asker_gone = reply.send(RetryReply::Refused(starting));
        return;
    };
    if machine.request_retry(event_id) == RetryAnswer::UnderWay {
        let _asker_gone = reply.send(RetryReply::UnderWay);
        return;
    }
    let (teller, shared, client_id) = (myself.clone(), Arc::clone(&state.args.shared), state.args.client_id);
    let task = async move {
        let settled = shared
            .persistence
            .commit(Write::RenewEvent, (client_id, event_id, force))
            .await;
        let event = match &settled {
            Ok(Renewal::Renewed { event, .. }) => DeliveryEvent::Renewed(event.clone()),
            _ => DeliveryEvent::NotRenewed(event_id),
        };
        let _stopped = teller.cast(Message::Happened(event));
        if settled.is_err() {
            // It may be committed all the same, its answer lost.
            let _stopped = teller.cast(Message::Happened(DeliveryEvent::LookAgain));
        }
        let answer = settled.map_or_else(RetryReply::Refused, |renewal| RetryReply::Settled(Box::new(renewal)));
        let _asker_gone = reply.send(answer);
    };
    spawn(myself, state, task);
}

//! The delivery actor: one per webhook.
//!
//! Owns the webhook's window of events, its retry timer and its failure counter, by way of the machine in
//! `wharf_domain::delivery`, whose effects it carries out. Supervised by its tenant. Restarts from the store: the
//! webhook's row and its pending events. Stops when it has had nothing to do for a while (`tenant/rest.rs`), or
//! when the webhook is deleted or the tree stops, after the attempts under way have ended.

mod attempt;
mod calls;
mod effects;

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wharf_domain::{
    AttemptResult, ClientId, HeaderNames, PendingEvent, Timestamp, Webhook, WebhookId,
    delivery::{Delivery, DeliveryConfig, DeliveryEvent, NextAttempt},
};
use wharf_store::Renewal;

#[cfg(test)]
use crate::supervision::Crash;
use crate::{
    clock,
    delivery::{
        attempt::Aim,
        calls::on_retry,
        effects::{carry_out, spawn},
    },
    keyring::Keyring,
    persistence::{Retry, WriteError},
    shared::Shared,
    slots::Permit,
    supervision::DONE,
    task::OwnedTask,
    tenant,
};

/// How long a delivery waits for something to do before it rests: a webhook that gets a message a minute stays awake.
const REST_AFTER: Duration = if cfg!(test) {
    Duration::ZERO
} else {
    Duration::from_secs(60)
};
/// Events that all deliveries together hold, as long as each may have the least that a machine holds.
const HELD_EVENTS: usize = 256_000;
/// How long the attempts under way get when the program stops (CONTRACT.md section 5).
const GRACE: Duration = Duration::from_secs(10);

/// What the actor is started with.
pub(crate) struct Args {
    pub(crate) client_id: ClientId,
    pub(crate) webhook_id: WebhookId,
    pub(crate) shared: Arc<Shared>,
    /// Whether it follows one that died: what that one had written may still be on its way.
    pub(crate) follows: bool,
}

/// The store's answer to a manual retry; `None` when an attempt is under way already.
pub(crate) type RetryReply = Result<Option<Box<Renewal>>, WriteError>;

/// What the actor can be told.
pub(crate) enum Message {
    /// Read the webhook and begin.
    Begin,
    /// An event was committed.
    Arrived(PendingEvent),
    /// The webhook was changed; `secrets`: and what its headers say.
    Changed { webhook: Box<Webhook>, secrets: bool },
    /// The webhook's secrets were changed.
    SecretsChanged,
    /// Answer: what begins from here on is made with everything that this was told before.
    Heard(RpcReplyPort<()>),
    /// A client wants an event retried.
    RetryEvent {
        retry: Retry,
        reply: RpcReplyPort<RetryReply>,
    },
    /// An attempt that waited for a slot has one.
    SlotGranted(NextAttempt, Permit),
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
    /// The same, with 10 s for what is under way.
    CloseSoon,
    /// Say where it stands, for the tests of the tree.
    #[cfg(test)]
    Snapshot(RpcReplyPort<Option<wharf_domain::delivery::DeliverySnapshot>>),
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
    /// What attempts are made at from here on.
    aim: Arc<Aim>,
    /// What signs them, and what it was made of.
    keyring: Arc<Keyring>,
    hub_signature: bool,
    /// When the machine was last told something, by the steady clock.
    last_step: Timestamp,
    headers: HeaderNames,
    timer: OwnedTask,
    /// The one look at the backlog that is wanted: whoever has it begun anew over and over reads it once at a time.
    loading: OwnedTask,
    /// Cancelled when the attempts under way are waited for no longer.
    grace: CancellationToken,
    /// Attempts and other store calls under way; they end with the actor, so that a restarted one is alone.
    tasks: JoinSet<()>,
}

impl Actor for DeliveryActor {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, myself: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        myself.cast(Message::Begin)?;
        let keyring = Keyring::new(args.client_id, args.webhook_id, false, false);
        let unknown = AttemptResult::Blocked {
            detail: "the webhook has not been read yet".to_owned(),
        };
        Ok(State {
            args,
            machine: None,
            aim: Arc::new(Aim {
                number: 0,
                url: String::new(),
                target: Err(unknown),
                timeout: Duration::ZERO,
            }),
            keyring: Arc::new(keyring),
            hub_signature: false,
            last_step: clock::steady(),
            headers: HeaderNames::default(),
            timer: OwnedTask::default(),
            loading: OwnedTask::default(),
            grace: CancellationToken::new(),
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
            Message::Changed { webhook, secrets } => on_changed(&myself, state, &webhook, secrets),
            Message::SecretsChanged => renew_keyring(state),
            Message::Heard(reply) => {
                let _asker_gone = reply.send(());
            }
            Message::RetryEvent { retry, reply } => on_retry(&myself, state, retry, reply),
            Message::SlotGranted(attempt, permit) => attempt::on_granted(&myself, state, attempt, permit),
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
            Message::CloseSoon => on_close_soon(&myself, state),
            #[cfg(test)]
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
        follows,
    } = &state.args;
    if *follows {
        // An event whose outcome is being committed would be posted once more.
        shared.persistence.settled().await?;
    }
    let webhook = shared.store.webhook(*client_id, *webhook_id).await?;
    // Nobody starts the delivery of one that is pulled, but for a wake-up by mistake.
    let Some(webhook) = webhook.filter(|webhook| webhook.deleted_at.is_none() && !webhook.is_pulled()) else {
        myself.stop(Some(DONE.to_owned()));
        return Ok(());
    };
    take_over(state, &webhook);
    let machine = Delivery::new(webhook.id, config(state, &webhook), webhook.failure_count);
    let deliveries = state.args.shared.directory.count_deliveries();
    let mut machine = machine.holding(HELD_EVENTS / deliveries.max(1));
    let now = clock::now();
    machine.keep_time(now, clock::steady());
    let effects = machine.start(now);
    state.machine = Some(machine);
    carry_out(myself, state, effects);
    Ok(())
}

fn config(state: &State, webhook: &Webhook) -> DeliveryConfig {
    let most = state.args.shared.settings.max_in_flight_per_webhook;
    let asked = webhook
        .courtesy
        .max_in_flight
        .and_then(|asked| usize::try_from(asked).ok());
    DeliveryConfig {
        is_active: webhook.is_active,
        max_retries: webhook.max_retries,
        target: state.aim.number,
        // The configuration may allow less than it did when the webhook was registered.
        max_in_flight: asked.map_or(most, |asked| asked.min(most)),
        courtesy: webhook.courtesy,
    }
}

fn on_changed(myself: &ActorRef<Message>, state: &mut State, webhook: &Webhook, secrets: bool) {
    take_over(state, webhook);
    if secrets {
        // The headers' names may be the same as before.
        renew_keyring(state);
    }
    let config = config(state, webhook);
    step(myself, state, DeliveryEvent::Configured(config));
}

/// An attempt that has longer ends with an outcome all the same: the next one then has another number, by which the receiver
/// knows it from one that was made twice.
fn on_close_soon(myself: &ActorRef<Message>, state: &mut State) {
    let grace = state.grace.clone();
    let over = async move {
        tokio::time::sleep(GRACE).await;
        grace.cancel();
    };
    spawn(myself, state, over);
    step(myself, state, DeliveryEvent::Closing);
}

/// What attempts are made with; of this the machine only knows when it is another target.
fn take_over(state: &mut State, webhook: &Webhook) {
    let url = webhook.webhook_url.clone().unwrap_or_default();
    let elsewhere = state.aim.url != url;
    state.aim = Arc::new(Aim {
        number: state.aim.number + u64::from(elsewhere),
        target: state.args.shared.poster.target(&url),
        url,
        timeout: webhook.courtesy.timeout(),
    });
    if elsewhere || (state.hub_signature, &state.headers) != (webhook.hub_signature, &webhook.headers) {
        state.hub_signature = webhook.hub_signature;
        state.headers.clone_from(&webhook.headers);
        renew_keyring(state);
    }
}

/// The next attempt reads the secrets anew.
fn renew_keyring(state: &mut State) {
    let Args {
        client_id, webhook_id, ..
    } = state.args;
    let has_headers = !state.headers.0.is_empty();
    state.keyring = Arc::new(Keyring::new(client_id, webhook_id, state.hub_signature, has_headers));
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
fn is_idle(state: &mut State) -> bool {
    let now = clock::now();
    state.machine.as_mut().is_some_and(|machine| machine.is_idle(now))
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

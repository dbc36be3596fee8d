//! The tenant actor: one per client. A client's trouble ends here.
//!
//! Supervises the client's sessions and deliveries. Supervised by the tenants actor.
//! Restarts from the store: it starts a child for every connection, and for every webhook that has something pending; the
//! others are started when something comes (`rest`). Stops when the client is removed, after
//! its devices were unlinked, or when the tree stops.

mod end;
mod rest;
mod sessions;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, ActorRuntime, RpcReplyPort, SupervisionEvent};
use wharf_domain::{ClientId, Connection, ConnectionKey, PhoneNumber, Webhook, WebhookId};
use wharf_store::ByNumber;

#[cfg(test)]
use crate::supervision::Crash;
use crate::{
    bulkhead::Bulkhead,
    delivery::{self, DeliveryActor},
    shared::Shared,
    supervision::{Children, DONE, Death, Failed},
    task::OwnedTask,
};

/// What the actor is started with.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) client_id: ClientId,
    pub(crate) shared: Arc<Shared>,
}

/// What the actor can be told.
pub(crate) enum Message {
    /// Read the store and start the children.
    Begin,
    /// A connection was created: start its session.
    ConnectionCreated(Box<Connection>),
    /// A connection's row is gone.
    ConnectionDeleted(PhoneNumber),
    /// Something may be pending for this webhook.
    Wake(WebhookId),
    /// A webhook was changed; `secrets`: and what its headers say.
    WebhookChanged { webhook: Box<Webhook>, secrets: bool },
    /// What a delivery is to hear if it is there, be it on its way to rest.
    ForDelivery(WebhookId, Box<delivery::Message>),
    /// Deliveries that are idle may rest; `look`: and the store may have work that nobody was woken up for.
    Round { look: bool },
    /// A delivery has nothing to do, or has something to do after all.
    Rests { webhook: WebhookId, idle: bool },
    /// A child's restart is due.
    Restart { child: ChildKey, generation: u64 },
    /// Close every child, answer, and stop.
    Stop(RpcReplyPort<()>),
    /// The client was removed: unlink its devices, delete its rows, answer, and stop.
    Remove(RpcReplyPort<()>),
    /// Every child has ended.
    Ended,
    /// The end of a removed client panicked.
    RemovalLost,
    /// Die, for the tests of the tree.
    #[cfg(test)]
    Crash(Crash),
}

/// A child of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ChildKey {
    /// The session of a number.
    Session(PhoneNumber),
    /// The delivery of a webhook.
    Delivery(WebhookId),
}

impl ChildKey {
    const fn name(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::Delivery(_) => "delivery",
        }
    }
}

/// See the module.
pub(crate) struct TenantActor;

pub(crate) struct State {
    args: Args,
    /// Whether the rows were read.
    begun: bool,
    /// Where sessions run; `None`: where everything else does.
    bulkhead: Option<Arc<Bulkhead>>,
    children: Children<ChildKey>,
    deliveries: HashMap<WebhookId, ActorRef<delivery::Message>>,
    /// Deliveries that were asked to stop because they were idle, and whether they were woken up since.
    resting: HashMap<WebhookId, bool>,
    /// Numbers of which a connection was announced although a session was known: when that ends there may be another to start.
    announced_again: HashSet<PhoneNumber>,
    _rounds: OwnedTask,
    /// Set when the end has begun: no child is started any more.
    ending: Option<RpcReplyPort<()>>,
    /// Set while the client's devices are being unlinked, which only sessions that run can do.
    removing: bool,
    removal: OwnedTask,
}

impl Actor for TenantActor {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, myself: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        // Nothing that can fail: ractor tells nobody of an actor that did not come up.
        myself.cast(Message::Begin)?;
        Ok(State {
            args,
            begun: false,
            bulkhead: None,
            children: Children::default(),
            deliveries: HashMap::new(),
            resting: HashMap::new(),
            announced_again: HashSet::new(),
            _rounds: rest::rounds(myself),
            ending: None,
            removing: false,
            removal: OwnedTask::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        // Something may be in the mailbox before `Begin`: whatever comes first, the rows are read first.
        if !state.begun && !matches!(message, Message::Stop(_)) {
            Box::pin(on_begin(&myself, state)).await?;
        }
        match message {
            Message::Begin => {}
            Message::ConnectionCreated(connection) => sessions::start(&myself, state, &connection)?,
            Message::ConnectionDeleted(number) => {
                state.children.forget(&ChildKey::Session(number.clone()));
                state.announced_again.remove(&number);
                state.args.shared.directory.remove_session(&key(state, number));
            }
            Message::Wake(id) => rest::on_wake(&myself, state, id)?,
            Message::WebhookChanged { webhook, secrets } => on_webhook_changed(&myself, state, webhook, secrets)?,
            Message::ForDelivery(id, message) => {
                if let Some(actor) = state.deliveries.get(&id) {
                    let _restarting = actor.cast(*message);
                }
            }
            Message::Round { look } => rest::on_round(&myself, state, look),
            Message::Rests { webhook, idle } => rest::on_rests(state, webhook, idle),
            Message::Restart { child, generation } => on_restart(&myself, state, child, generation)?,
            Message::Stop(reply) => end::on_stop(&myself, state, reply),
            Message::Remove(reply) => end::on_remove(&myself, state, reply)?,
            Message::Ended => {
                if let Some(reply) = state.ending.take() {
                    let _asker_gone = reply.send(());
                }
                myself.stop(Some(DONE.to_owned()));
            }
            // Its next actor begins anew.
            Message::RemovalLost => return Err("the removal of the client panicked".into()),
            #[cfg(test)]
            Message::Crash(how) => return how.carry_out(),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match state.children.death(&event) {
            None => {}
            Some(Death::Done(ChildKey::Delivery(id)) | Death::Gone(ChildKey::Delivery(id))) => {
                rest::on_done(&myself, state, id)?;
            }
            Some(Death::Done(ChildKey::Session(number))) => {
                let directory = &state.args.shared.directory;
                directory.publish_session(&key(state, number.clone()), None, 0);
                sessions::look_again(&myself, state, number);
            }
            Some(Death::Gone(ChildKey::Session(number))) => {
                // It was started with a row that had been read before it went.
                let directory = &state.args.shared.directory;
                directory.remove_session(&key(state, number.clone()));
                sessions::look_again(&myself, state, number);
            }
            Some(Death::Failed(failed)) => on_failed(&myself, state, failed),
        }
        Ok(())
    }
}

fn key(state: &State, phone_number: PhoneNumber) -> ConnectionKey {
    ConnectionKey::new(state.args.client_id, phone_number)
}

/// Waits for the store inside the handler: there is nothing else that the actor could do before.
async fn on_begin(myself: &ActorRef<Message>, state: &mut State) -> Result<(), ActorProcessingErr> {
    // Before the rows are read: what is committed after that is told to whoever is in the directory.
    let tenant = Some(myself.clone());
    state.args.shared.directory.publish_tenant(state.args.client_id, tenant);
    state.bulkhead = state.args.shared.bulkheads.place().await?;
    // What the deliveries of a tenant that died had written may still be on its way.
    state.args.shared.persistence.settled().await?;
    let (store, client) = (&state.args.shared.store, state.args.client_id);
    let (work, connections) = (
        store.webhooks_with_work(client).await?,
        store.connections(client, &ByNumber::ALL).await?,
    );
    for id in work {
        start_delivery(myself, state, id)?;
    }
    for connection in connections {
        sessions::start(myself, state, &connection)?;
    }
    state.begun = true;
    Ok(())
}

/// One that is not there may have to do something now, because it was switched on.
fn on_webhook_changed(
    myself: &ActorRef<Message>,
    state: &mut State,
    webhook: Box<Webhook>,
    secrets: bool,
) -> Result<(), ActorProcessingErr> {
    let id = webhook.id;
    match state.deliveries.get(&id) {
        Some(actor) => {
            let _restarting = actor.cast(delivery::Message::Changed { webhook, secrets });
            if let Some(woken) = state.resting.get_mut(&id) {
                *woken = true;
            }
            Ok(())
        }
        None if webhook.is_active && !webhook.is_pulled() => start_delivery(myself, state, id),
        None => Ok(()),
    }
}

fn start_delivery(myself: &ActorRef<Message>, state: &mut State, id: WebhookId) -> Result<(), ActorProcessingErr> {
    let child = ChildKey::Delivery(id);
    if state.ending.is_some() || state.children.contains(&child) {
        return Ok(());
    }
    spawn_delivery(myself, state, id, false)
}

fn spawn_delivery(
    myself: &ActorRef<Message>,
    state: &mut State,
    id: WebhookId,
    follows: bool,
) -> Result<(), ActorProcessingErr> {
    let args = delivery::Args {
        client_id: state.args.client_id,
        webhook_id: id,
        shared: Arc::clone(&state.args.shared),
        follows,
    };
    let (actor, _started) = ActorRuntime::spawn_linked_instant(None, DeliveryActor, args, myself.get_cell())?;
    state.children.started(ChildKey::Delivery(id), actor.get_cell());
    state.deliveries.insert(id, actor.clone());
    // Its predecessor may have said that it rests, and died before that was read.
    state.resting.remove(&id);
    let (directory, client) = (&state.args.shared.directory, state.args.client_id);
    directory.publish_delivery(client, id, Some(actor));
    Ok(())
}

fn on_restart(
    myself: &ActorRef<Message>,
    state: &mut State,
    child: ChildKey,
    generation: u64,
) -> Result<(), ActorProcessingErr> {
    if !state.children.may_start(&child, generation) {
        return Ok(());
    }
    let ending = state.ending.is_some();
    match child {
        ChildKey::Delivery(id) if !ending => spawn_delivery(myself, state, id, true),
        ChildKey::Session(number) if !ending || state.removing => sessions::spawn(myself, state, number),
        _ => Ok(()),
    }
}

fn on_failed(myself: &ActorRef<Message>, state: &mut State, failed: Failed<ChildKey>) {
    let (client, child, restart) = (state.args.client_id, &failed.key, failed.restart);
    tracing::error!(%client, ?child, ?restart, reason = failed.reason, "a child failed");
    state.args.shared.metrics.restarted(child.name());
    match child {
        ChildKey::Delivery(id) => {
            state.resting.remove(id);
            state.args.shared.directory.publish_delivery(client, *id, None);
        }
        ChildKey::Session(number) => sessions::show_failed(state, number, &failed),
    }
    let Failed {
        key: child, generation, ..
    } = failed;
    let message = move || Message::Restart {
        child: child.clone(),
        generation,
    };
    myself.send_after(restart.wait(), message);
}

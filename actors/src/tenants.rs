//! The tenants actor: supervises one tenant per client and keeps to the clients that the store has.
//!
//! Supervised by the gateway. Restarts from the store. `wharf client` writes to the store from another process, so the
//! store is looked at every second. Stops when the tree stops, after every tenant has stopped.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::join_all};
use ractor::{Actor, ActorProcessingErr, ActorRef, ActorRuntime, RpcReplyPort, SupervisionEvent};
use wharf_domain::ClientId;

#[cfg(test)]
use crate::supervision::Crash;
use crate::{
    shared::Shared,
    supervision::{Children, DONE, Death, Failed},
    task::OwnedTask,
    tenant::{self, TenantActor},
};

/// How often the store's clients are looked at. A request of a new client does not wait for it, see `Ensure`.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a tenant may take to stop: its sessions and deliveries take up to 11 s.
const STOP_DEADLINE: Duration = Duration::from_millis(11_500);

/// What the actor can be told.
pub(crate) enum Message {
    /// The store's clients, and those that are to be removed.
    Clients {
        present: Vec<ClientId>,
        removed: Vec<ClientId>,
    },
    /// A client was seen that may be new; answers when its tenant has been started.
    Ensure(ClientId, RpcReplyPort<()>),
    /// A tenant's restart is due.
    Restart { client: ClientId, generation: u64 },
    /// Stop every tenant, answer, and stop.
    Stop(RpcReplyPort<()>),
    /// Every tenant has stopped.
    Ended(RpcReplyPort<()>),
    /// Die, for the tests of the tree.
    #[cfg(test)]
    Crash(Crash),
}

/// See the module.
pub(crate) struct TenantsActor;

pub(crate) struct State {
    shared: Arc<Shared>,
    children: Children<ClientId>,
    removing: HashSet<ClientId>,
    ending: bool,
    /// Looks at the store, again and again.
    _looking: OwnedTask,
}

impl Actor for TenantsActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, myself: ActorRef<Message>, shared: Arc<Shared>) -> Result<State, ActorProcessingErr> {
        let mut looking = OwnedTask::default();
        looking.set(look(myself, Arc::clone(&shared)));
        Ok(State {
            shared,
            children: Children::default(),
            removing: HashSet::new(),
            ending: false,
            _looking: looking,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Clients { present, removed } => on_clients(&myself, state, present, removed)?,
            Message::Ensure(client, reply) => {
                start(&myself, state, client)?;
                let _asker_gone = reply.send(());
            }
            Message::Restart { client, generation } => {
                if !state.ending && state.children.may_start(&client, generation) {
                    spawn(&myself, state, client)?;
                }
            }
            Message::Stop(reply) => on_stop(&myself, state, reply),
            Message::Ended(reply) => {
                let _asker_gone = reply.send(());
                myself.stop(Some(DONE.to_owned()));
            }
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
            Some(Death::Done(client) | Death::Gone(client)) => {
                state.removing.remove(&client);
                state.shared.directory.publish_tenant(client, None);
            }
            Some(Death::Failed(Failed {
                key: client,
                generation,
                restart,
                reason,
                ..
            })) => {
                tracing::error!(%client, ?restart, reason, "a tenant failed");
                state.removing.remove(&client);
                state.shared.directory.publish_tenant(client, None);
                state.shared.metrics.restarted("tenant");
                myself.send_after(restart.wait(), move || Message::Restart { client, generation });
            }
        }
        Ok(())
    }
}

async fn look(myself: ActorRef<Message>, shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        ticks.tick().await;
        let clients = async {
            // First: who comes in between, or gets another token, is met with the next look. Those that are being removed are looked after each time.
            let counted = shared.store.clients_counted().await?;
            if seen == Some(counted) && !counted.some_removed() {
                return Ok(None);
            }
            let (present, removed) = (shared.store.clients().await?, shared.store.removed_clients().await?);
            Ok::<_, wharf_store::StoreError>(Some((counted, present, removed)))
        };
        // Nothing else would look for new clients, or for removed ones.
        match AssertUnwindSafe(clients).catch_unwind().await {
            Err(_) => tracing::error!("looking for the clients panicked; trying again"),
            Ok(Ok(None)) => {}
            Ok(Ok(Some((counted, present, removed)))) => {
                seen = Some(counted);
                shared.tokens.send_replace(());
                let present = present.into_iter().map(|client| client.id).collect();
                if myself.cast(Message::Clients { present, removed }).is_err() {
                    return;
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "cannot read the clients; trying again"),
        }
    }
}

fn on_clients(
    myself: &ActorRef<Message>,
    state: &mut State,
    present: Vec<ClientId>,
    removed: Vec<ClientId>,
) -> Result<(), ActorProcessingErr> {
    for client in present {
        start(myself, state, client)?;
    }
    for client in removed {
        // Started if need be: only a running session can log its device out.
        start(myself, state, client)?;
        if !state.ending && !state.removing.contains(&client) {
            remove(state, client);
        }
    }
    state.shared.health.set_tree_up(!state.ending);
    Ok(())
}

fn remove(state: &mut State, client: ClientId) {
    let Some(tenant) = state.shared.directory.tenant(client) else {
        return;
    };
    state.removing.insert(client);
    tokio::spawn(async move {
        let _restarting = tenant.call(tenant::Message::Remove, None).await;
    });
}

fn start(myself: &ActorRef<Message>, state: &mut State, client: ClientId) -> Result<(), ActorProcessingErr> {
    if state.ending || state.children.contains(&client) {
        return Ok(());
    }
    spawn(myself, state, client)
}

fn spawn(myself: &ActorRef<Message>, state: &mut State, client: ClientId) -> Result<(), ActorProcessingErr> {
    let args = tenant::Args {
        client_id: client,
        shared: Arc::clone(&state.shared),
    };
    let (actor, _started) = ActorRuntime::spawn_linked_instant(None, TenantActor, args, myself.get_cell())?;
    state.children.started(client, actor.get_cell());
    state.shared.directory.publish_tenant(client, Some(actor));
    Ok(())
}

fn on_stop(myself: &ActorRef<Message>, state: &mut State, reply: RpcReplyPort<()>) {
    state.ending = true;
    state.shared.health.set_tree_up(false);
    let tenants: Vec<_> = state
        .children
        .keys()
        .filter_map(|client| state.shared.directory.tenant(*client))
        .collect();
    let myself = myself.clone();
    tokio::spawn(async move {
        join_all(
            tenants
                .iter()
                .map(|tenant| tenant.call(tenant::Message::Stop, Some(STOP_DEADLINE))),
        )
        .await;
        let _stopped = myself.cast(Message::Ended(reply));
    });
}

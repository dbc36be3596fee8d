//! The root of the tree, the gateway actor: start order, stop order, restarts of its four children, nothing else.
//!
//! Starts persistence, then media, the tenants and the janitor; stops them the other way round, persistence after a last
//! commit. Owns no data. Nobody supervises it: if it fails, the process ends (`Gateway::ended`), and whoever runs it starts it again.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, ActorRuntime, RpcReplyPort, SupervisionEvent};
use wharf_domain::restart::Restart;

use crate::{
    janitor::JanitorActor,
    media::MediaActor,
    persistence::{self, PersistenceActor},
    shared::Shared,
    supervision::{Children, DONE, Death, Failed},
    tenants::{self, TenantsActor},
};

/// Persistence and the tenants are the whole service: however often they fail, they are not left alone for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long the tenants may take to stop.
const TENANTS_DEADLINE: Duration = Duration::from_secs(12);
/// How long it may take to write what became of the last messages, where the store did not take it at once.
const NOTES_DEADLINE: Duration = Duration::from_secs(3);
/// How long the last commit may take.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// What the actor can be told.
pub(crate) enum Message {
    /// A child's restart is due.
    Restart { child: ChildKey, generation: u64 },
    /// Make sure that a client's tenant runs.
    Ensure(wharf_domain::ClientId, RpcReplyPort<()>),
    /// Stop everything in order, answer, and stop.
    Stop(RpcReplyPort<()>),
    /// Everything has stopped.
    Ended(RpcReplyPort<()>),
    /// Hand a child's actor out, for the tests of the tree.
    #[cfg(test)]
    Tenants(RpcReplyPort<Option<ActorRef<tenants::Message>>>),
}

/// A child of the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ChildKey {
    /// The only writer.
    Persistence,
    /// Downloads.
    Media,
    /// All clients.
    Tenants,
    /// Periodic work.
    Janitor,
}

impl ChildKey {
    const fn name(self) -> &'static str {
        match self {
            Self::Persistence => "persistence",
            Self::Media => "media",
            Self::Tenants => "tenants",
            Self::Janitor => "janitor",
        }
    }
}

/// See the module.
pub(crate) struct RootActor;

pub(crate) struct State {
    shared: Arc<Shared>,
    children: Children<ChildKey>,
    tenants: Option<ActorRef<tenants::Message>>,
    ending: bool,
}

impl Actor for RootActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, _myself: ActorRef<Message>, shared: Arc<Shared>) -> Result<State, ActorProcessingErr> {
        Ok(State {
            shared,
            children: Children::default(),
            tenants: None,
            ending: false,
        })
    }

    async fn post_start(&self, myself: ActorRef<Message>, state: &mut State) -> Result<(), ActorProcessingErr> {
        for child in [
            ChildKey::Persistence,
            ChildKey::Media,
            ChildKey::Tenants,
            ChildKey::Janitor,
        ] {
            start(&myself, state, child)?;
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Restart { child, generation } => {
                // What ends until the last commit has something to write.
                let wanted = !state.ending || child == ChildKey::Persistence;
                if wanted && state.children.may_start(&child, generation) {
                    start(&myself, state, child)?;
                }
            }
            Message::Ensure(client, reply) => {
                if let Some(tenants) = &state.tenants {
                    let _restarting = tenants.cast(tenants::Message::Ensure(client, reply));
                }
            }
            Message::Stop(reply) => on_stop(&myself, state, reply),
            Message::Ended(reply) => {
                state.children.cells().for_each(|cell| cell.stop(Some(DONE.to_owned())));
                let _asker_gone = reply.send(());
                myself.stop(Some(DONE.to_owned()));
            }
            #[cfg(test)]
            Message::Tenants(reply) => {
                let _asker_gone = reply.send(state.tenants.clone());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(Death::Failed(Failed {
            key: child,
            generation,
            restart,
            reason,
            ..
        })) = state.children.death(&event)
        {
            let wait = match restart {
                Restart::After(wait) => wait,
                Restart::Park(wait) => wait.min(LONGEST_WAIT),
            };
            tracing::error!(?child, ?wait, reason, "a part of the tree failed; it is started again");
            state.shared.metrics.restarted(child.name());
            match child {
                ChildKey::Persistence => state.shared.directory.publish_persistence(None),
                // Until the next ones have read who the clients are.
                ChildKey::Tenants => state.shared.health.set_tree_up(false),
                ChildKey::Media | ChildKey::Janitor => {}
            }
            myself.send_after(wait, move || Message::Restart { child, generation });
        }
        Ok(())
    }
}

fn start(myself: &ActorRef<Message>, state: &mut State, child: ChildKey) -> Result<(), ActorProcessingErr> {
    let (shared, supervisor) = (Arc::clone(&state.shared), myself.get_cell());
    let cell = match child {
        ChildKey::Persistence => {
            let args = persistence::Args {
                store: shared.store.clone(),
                directory: Arc::clone(&shared.directory),
                health: Arc::clone(&shared.health),
                metrics: Arc::clone(&shared.metrics),
            };
            let (actor, _started) = ActorRuntime::spawn_linked_instant(None, PersistenceActor, args, supervisor)?;
            shared.directory.publish_persistence(Some(actor.clone()));
            actor.get_cell()
        }
        ChildKey::Media => {
            let args = Arc::clone(&shared);
            let (actor, _started) = ActorRuntime::spawn_linked_instant(None, MediaActor, args, supervisor)?;
            shared.directory.publish_media(actor.clone());
            actor.get_cell()
        }
        ChildKey::Tenants => {
            let (actor, _started) = ActorRuntime::spawn_linked_instant(None, TenantsActor, shared, supervisor)?;
            state.tenants = Some(actor.clone());
            actor.get_cell()
        }
        ChildKey::Janitor => {
            let (actor, _started) = ActorRuntime::spawn_linked_instant(None, JanitorActor, shared, supervisor)?;
            actor.get_cell()
        }
    };
    state.children.started(child, cell);
    Ok(())
}

fn on_stop(myself: &ActorRef<Message>, state: &mut State, reply: RpcReplyPort<()>) {
    state.ending = true;
    let (myself, shared, tenants) = (myself.clone(), Arc::clone(&state.shared), state.tenants.clone());
    tokio::spawn(async move {
        if let Some(tenants) = tenants {
            let _late = tenants.call(tenants::Message::Stop, Some(TENANTS_DEADLINE)).await;
        }
        shared.notes.close();
        let _late = tokio::time::timeout(NOTES_DEADLINE, shared.notes.wait()).await;
        shared.persistence.flush(FLUSH_DEADLINE).await;
        let _stopped = myself.cast(Message::Ended(reply));
    });
}

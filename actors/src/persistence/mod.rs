//! The persistence actor: the only writer.
//!
//! Owns the writing connection. Supervised by the gateway. Restarts from nothing: what was being committed answers its
//! callers by itself, what was waiting is refused, and callers try again. Stops when the tree stops, after a last commit.
//!
//! Group commit without a clock: while one commit runs, writes gather; when it ends, all that gathered are the next.

mod group;
mod handle;
mod write;

use std::{mem, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use wharf_store::{Store, StoreError, Writer};

#[cfg(test)]
use crate::supervision::Crash;
use crate::{directory::Directory, health::Health, timer::Timer};
pub(crate) use handle::{Persistence, WriteError};
pub(crate) use write::{Claim, Job, Registration, Rotation, Settlement, Write};

/// Writes in one group at the most: enough to make the sync cheap (STACK.md: 256 to 1024 rows), few enough that a
/// waiting caller sees its commit within milliseconds.
const GROUP: usize = 512;
/// The pause before a store that refused to open or to commit is tried again.
const PROBE_AFTER: Duration = Duration::from_millis(500);

/// What the actor is started with.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) store: Store,
    pub(crate) directory: Arc<Directory>,
    pub(crate) health: Arc<Health>,
}

/// What the actor can be told.
pub(crate) enum Message {
    /// Commit this; the answer comes after the commit.
    Commit(Box<Write>),
    /// The writing connection is open.
    Opened(Box<Writer>),
    /// The writing connection could not be opened.
    NotOpened(StoreError),
    /// A group has ended and its callers have their answers.
    GroupEnded {
        writer: Box<Writer>,
        refused: Option<StoreError>,
    },
    /// The task that committed a group panicked.
    GroupLost(String),
    /// Try whether the store takes writes again.
    Probe,
    /// Answer when everything told so far is committed.
    Flush(RpcReplyPort<()>),
    /// Die, for the tests of the tree.
    #[cfg(test)]
    Crash(Crash),
}

/// See the module.
pub(crate) struct PersistenceActor;

pub(crate) struct State {
    args: Args,
    /// Here while no group is being committed.
    writer: Option<Box<Writer>>,
    waiting: Vec<Write>,
    flushes: Vec<RpcReplyPort<()>>,
    committing: bool,
    probe: Timer,
}

impl Actor for PersistenceActor {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, myself: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        open(&myself, &args.store);
        Ok(State {
            args,
            writer: None,
            waiting: Vec::new(),
            flushes: Vec::new(),
            committing: false,
            probe: Timer::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Commit(write) => {
                state.waiting.push(*write);
                begin_group(&myself, state);
            }
            Message::Opened(writer) => {
                state.args.health.store_took_writes();
                state.writer = Some(writer);
                begin_group(&myself, state);
            }
            Message::NotOpened(error) => on_not_opened(&myself, state, &error),
            Message::GroupEnded { writer, refused } => on_group_ended(&myself, state, writer, refused),
            Message::GroupLost(reason) => return Err(format!("a commit panicked: {reason}").into()),
            Message::Probe => on_probe(&myself, state),
            Message::Flush(reply) => {
                state.flushes.push(reply);
                begin_group(&myself, state);
            }
            #[cfg(test)]
            Message::Crash(how) => return how.carry_out(),
        }
        Ok(())
    }
}

fn open(myself: &ActorRef<Message>, store: &Store) {
    let (myself, store) = (myself.clone(), store.clone());
    tokio::spawn(async move {
        let message = match store.writer().await {
            Ok(writer) => Message::Opened(Box::new(writer)),
            Err(error) => Message::NotOpened(error),
        };
        let _stopped = myself.cast(message);
    });
}

/// Nothing waits for a store that is away: callers are told, and try again.
fn on_not_opened(myself: &ActorRef<Message>, state: &mut State, error: &StoreError) {
    tracing::error!(%error, "the store cannot be opened for writing");
    state.args.health.store_refused(error.to_string());
    for write in mem::take(&mut state.waiting) {
        write.refuse(&WriteError::from_store(error));
    }
    answer_flushes(state);
    probe_later(myself, state);
}

fn on_group_ended(myself: &ActorRef<Message>, state: &mut State, writer: Box<Writer>, refused: Option<StoreError>) {
    state.committing = false;
    state.writer = Some(writer);
    match refused {
        None => state.args.health.store_took_writes(),
        Some(error) => {
            if state.args.health.store_refused(error.to_string()) {
                tracing::error!(%error, "the store takes no writes");
            }
            probe_later(myself, state);
        }
    }
    begin_group(myself, state);
}

/// Commits what has gathered, unless a commit is under way.
fn begin_group(myself: &ActorRef<Message>, state: &mut State) {
    if state.committing {
        return;
    }
    if state.waiting.is_empty() {
        answer_flushes(state);
        return;
    }
    let Some(writer) = state.writer.take() else { return };
    let rest = if state.waiting.len() > GROUP {
        state.waiting.split_off(GROUP)
    } else {
        Vec::new()
    };
    let writes = mem::replace(&mut state.waiting, rest);
    start(myself, state, writer, writes);
}

fn start(myself: &ActorRef<Message>, state: &mut State, writer: Box<Writer>, writes: Vec<Write>) {
    state.committing = true;
    let directory = Arc::clone(&state.args.directory);
    let committing = tokio::spawn(group::commit(writer, writes, directory));
    let myself = myself.clone();
    tokio::spawn(async move {
        let message = match committing.await {
            Ok((writer, refused)) => Message::GroupEnded { writer, refused },
            Err(error) => Message::GroupLost(error.to_string()),
        };
        let _stopped = myself.cast(message);
    });
}

fn answer_flushes(state: &mut State) {
    for reply in state.flushes.drain(..) {
        let _asker_gone = reply.send(());
    }
}

fn probe_later(myself: &ActorRef<Message>, state: &mut State) {
    let myself = myself.clone();
    state.probe.set(async move {
        tokio::time::sleep(PROBE_AFTER).await;
        let _stopped = myself.cast(Message::Probe);
    });
}

/// An empty group tells whether the store takes writes again, so that it resumes without waiting for a caller.
fn on_probe(myself: &ActorRef<Message>, state: &mut State) {
    if state.committing || state.args.health.store_refusal().is_none() {
        return;
    }
    match state.writer.take() {
        Some(writer) => start(myself, state, writer, vec![Write::probe()]),
        None => open(myself, &state.args.store),
    }
}

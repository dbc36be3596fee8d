//! The persistence actor: the only writer.
//!
//! Owns the writing connection. Supervised by the gateway. Restarts from nothing: what was being committed is committed
//! all the same, before anything else, and answers its callers by itself; what was waiting is refused, and callers try
//! again. Stops when the tree stops, after a last commit.
//!
//! Group commit without a clock: while one commit runs, writes gather; when it ends, all that gathered are the next. Only
//! outcomes of attempts for which nothing waits are kept apart for a moment, and become a group of their own.

#![expect(
    clippy::vec_box,
    reason = "a write is large, and lists of them are made and moved for every group"
)]

mod availability;
mod group;
mod handle;
mod input;
mod kept;
mod keys;
mod steps;
mod write;

use std::{mem, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use wharf_store::{Store, StoreError, Writer};

#[cfg(test)]
use crate::supervision::Crash;
use crate::{directory::Directory, health::Health, metrics::Metrics, task::OwnedTask};
use availability::{on_not_opened, on_probe, open, probe_later, refuse_waiting};
use kept::{release_kept, take_in};

pub(crate) use handle::{AGAIN_AFTER, Persistence, WriteError, insist};
pub(crate) use input::{
    Arrival, Arrived, Change, Claim, Ended, Learned, Missed, Poll, Postponed, Reached, Registration, Retry, Rotation,
    SealedHeaders, Settlement, new_event,
};
pub(crate) use keys::{Keeper, KeyChanges};
pub(crate) use steps::{Stepped, Work};
pub(crate) use write::{Job, Write};

/// Writes in one group at the most: enough to make the sync cheap (from 256 rows on it is), few enough that a
/// waiting caller sees its commit within milliseconds.
const GROUP: usize = 512;
/// And by their weight, but for a single one: what one group does has all others wait.
const HEAVIEST_GROUP: usize = 2048;
/// Writes (by their weight) after which the log is carried over into the database: some 8 MB of it.
const CHECKPOINT_AFTER: usize = 4096;
/// What a commit logs at the least, as a weight: seven pages mostly, the last ones of its tables and indexes. A log that stays small is
/// written over again and again, and a sync of that writes what was logged; one that grows has the file's own blocks to write as well.
const LEAST_LOGGED: usize = 12;
/// A group of so many takes along what is kept: its commit costs the same, and there is much to do.
const LARGE_GROUP: usize = 32;

/// What the actor is started with.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) store: Store,
    pub(crate) directory: Arc<Directory>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
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
        /// Whether it was a probe.
        probed: bool,
    },
    /// The task that committed a group panicked.
    GroupLost(String),
    /// Most of the log has been carried over, or could not be.
    CheckpointEnded,
    /// Commit what was kept.
    Hurry,
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
    waiting: Vec<Box<Write>>,
    /// Whether one of them has its place among the writes: what comes now goes behind it.
    ordered: bool,
    /// Outcomes for which nothing waits.
    kept: Vec<Box<Write>>,
    keeping: OwnedTask,
    flushes: Vec<RpcReplyPort<()>>,
    committing: bool,
    /// The weight of the writes since the log was last carried over.
    logged: usize,
    checkpoint: Checkpoint,
    probe: OwnedTask,
    /// It came while a group was being committed.
    probe_is_due: bool,
}

/// Where carrying the log over stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checkpoint {
    /// There is little to carry over.
    Idle,
    /// It is being carried over, beside the commits.
    Running,
    /// What is left is carried over after the next group.
    Finishing,
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
            ordered: false,
            kept: Vec::new(),
            keeping: OwnedTask::default(),
            flushes: Vec::new(),
            committing: false,
            logged: 0,
            checkpoint: Checkpoint::Idle,
            probe: OwnedTask::default(),
            probe_is_due: false,
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
                take_in(&myself, state, write);
                begin_group(&myself, state);
            }
            Message::Hurry => {
                release_kept(state);
                begin_group(&myself, state);
            }
            Message::Opened(writer) => {
                state.args.health.store_took_writes();
                state.writer = Some(writer);
                begin_group(&myself, state);
            }
            Message::NotOpened(error) => on_not_opened(&myself, state, &error),
            Message::GroupEnded {
                writer,
                refused,
                probed,
            } => on_group_ended(&myself, state, writer, refused, probed),
            Message::GroupLost(reason) => return Err(format!("a commit panicked: {reason}").into()),
            Message::CheckpointEnded => {
                state.checkpoint = Checkpoint::Finishing;
                begin_group(&myself, state);
            }
            Message::Probe => on_probe(&myself, state),
            Message::Flush(reply) => {
                release_kept(state);
                state.flushes.push(reply);
                begin_group(&myself, state);
            }
            #[cfg(test)]
            Message::Crash(how) => return how.carry_out(),
        }
        Ok(())
    }
}

fn on_group_ended(
    myself: &ActorRef<Message>,
    state: &mut State,
    writer: Box<Writer>,
    refused: Option<StoreError>,
    probed: bool,
) {
    state.committing = false;
    state.writer = Some(writer);
    match refused {
        // On a full disk a row can often still be changed where none can be added: once a write was refused, only a
        // probe says that there is room again.
        None if probed => state.args.health.store_took_writes(),
        None => {}
        Some(error) => {
            if state.args.health.store_refused(error.to_string()) {
                tracing::error!(%error, "the store takes no writes");
            }
            // What comes from here on has another try.
            refuse_waiting(state, &error);
            probe_later(myself, state);
        }
    }
    match mem::take(&mut state.probe_is_due) && state.args.health.store_refusal().is_some() {
        true => on_probe(myself, state),
        false => begin_group(myself, state),
    }
}

/// Commits what has gathered, unless a commit is under way.
fn begin_group(myself: &ActorRef<Message>, state: &mut State) {
    if state.committing {
        return;
    }
    if state.waiting.is_empty() {
        answer_flushes(state);
        // A group of nothing proves nothing about a store that refuses.
        if state.checkpoint != Checkpoint::Finishing || state.args.health.store_refusal().is_some() {
            return;
        }
    }
    let Some(writer) = state.writer.take() else { return };
    if state.waiting.len() >= LARGE_GROUP {
        release_kept(state);
    }
    let rest = state.waiting.split_off(group_of(&state.waiting));
    state.ordered = rest.iter().any(|write| write.is_ordered());
    let writes = mem::replace(&mut state.waiting, rest);
    start(myself, state, writer, writes);
}

/// How many of those that wait are the next group.
fn group_of(waiting: &[Box<Write>]) -> usize {
    let mut weight = 0;
    let light = waiting.iter().take(GROUP).take_while(|write| {
        weight += write.weight();
        weight <= HEAVIEST_GROUP
    });
    light.count().max(1).min(waiting.len())
}

fn start(myself: &ActorRef<Message>, state: &mut State, writer: Box<Writer>, writes: Vec<Box<Write>>) {
    let weight: usize = writes.iter().map(|write| write.weight()).sum();
    state.logged += weight.max(LEAST_LOGGED);
    let finish = state.checkpoint == Checkpoint::Finishing;
    if finish {
        (state.checkpoint, state.logged) = (Checkpoint::Idle, 0);
    } else if state.checkpoint == Checkpoint::Idle && state.logged >= CHECKPOINT_AFTER {
        state.checkpoint = Checkpoint::Running;
        checkpoint(myself.clone(), state.args.store.clone());
    }
    let (directory, metrics) = (Arc::clone(&state.args.directory), Arc::clone(&state.args.metrics));
    let health = Arc::clone(&state.args.health);
    run(myself, state, false, async move {
        let (mut writer, refused) = group::commit(writer, writes, directory, metrics, health).await;
        if finish && let Err(error) = writer.finish_checkpoint().await {
            tracing::warn!(%error, "the log was not carried over into the database; trying again later");
        }
        (writer, refused)
    });
}

/// Has the writing connection at work until `work` gives it back.
fn run(
    myself: &ActorRef<Message>,
    state: &mut State,
    probed: bool,
    work: impl Future<Output = (Box<Writer>, Option<StoreError>)> + Send + 'static,
) {
    state.committing = true;
    let turn = Arc::clone(state.args.directory.writing());
    // Taken here and not in the task: from the moment on at which a group has begun nobody takes it for ended.
    let at_once = Arc::clone(&turn).try_lock_owned();
    let committing = tokio::spawn(async move {
        let _turn = match at_once {
            Ok(turn) => turn,
            Err(_) => turn.lock_owned().await,
        };
        work.await
    });
    let myself = myself.clone();
    tokio::spawn(async move {
        let message = match committing.await {
            Ok((writer, refused)) => Message::GroupEnded {
                writer,
                refused,
                probed,
            },
            Err(error) => Message::GroupLost(error.to_string()),
        };
        let _stopped = myself.cast(message);
    });
}

/// Beside the commits; whatever comes of it, the next step is the writer's.
fn checkpoint(myself: ActorRef<Message>, store: Store) {
    tokio::spawn(async move {
        if let Err(error) = store.checkpoint().await {
            tracing::warn!(%error, "the log was not carried over into the database; trying again later");
        }
        let _stopped = myself.cast(Message::CheckpointEnded);
    });
}

fn answer_flushes(state: &mut State) {
    for reply in state.flushes.drain(..) {
        let _asker_gone = reply.send(());
    }
}

//! What the supervisors share: children by key, each with its own restart budget, and the rule when a failed one is
//! started again. ractor restarts nothing by itself and hands every death of a child to its supervisor.
//!
//! One-for-one: a failure concerns no sibling. A child that uses its budget up is parked, visibly, and tried again
//! later. There is no escalation: a failing child costs its supervisor nothing, so there is nothing to protect by
//! taking the siblings down with it.

use std::{collections::HashMap, hash::Hash, panic::AssertUnwindSafe};

use futures::FutureExt;
use ractor::{ActorCell, ActorId, SupervisionEvent};
use wharf_domain::restart::{Restart, RestartBudget};

use crate::clock;

/// The reason with which a child stops when its work is done; anything else is a failure.
pub(crate) const DONE: &str = "done";
/// The reason with which a child stops that has found nothing of what it was started for.
pub(crate) const GONE: &str = "gone";

/// A child's record; it outlives the actors that come and go under its key.
#[derive(Debug, Default)]
struct Child {
    cell: Option<ActorCell>,
    /// Counts the actors under this key, so that a late restart timer does not start a second one.
    generation: u64,
    budget: RestartBudget,
}

/// The death of a child, and what its supervisor does about it.
#[derive(Debug, PartialEq)]
pub(crate) enum Death<K> {
    /// Its work was done; the record is gone.
    Done(K),
    /// There was nothing to do it for; the record is gone.
    Gone(K),
    /// It failed: start it again after the wait, by a message with its generation.
    Failed(Failed<K>),
}

/// A child that failed.
#[derive(Debug, PartialEq)]
pub(crate) struct Failed<K> {
    /// Which child.
    pub(crate) key: K,
    /// To be given to [`Children::may_start`].
    pub(crate) generation: u64,
    /// When to start it again.
    pub(crate) restart: Restart,
    /// Restarts so far, this one included.
    pub(crate) restarts: u32,
    /// What it died of.
    pub(crate) reason: String,
}

/// The children of one supervisor.
#[derive(Debug)]
pub(crate) struct Children<K> {
    by_key: HashMap<K, Child>,
    by_id: HashMap<ActorId, K>,
}

impl<K> Default for Children<K> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            by_id: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> Children<K> {
    /// Notes that the child of `key` runs as `cell`.
    pub(crate) fn started(&mut self, key: K, cell: ActorCell) {
        self.by_id.insert(cell.get_id(), key.clone());
        let child = self.by_key.entry(key).or_default();
        child.generation += 1;
        child.cell = Some(cell);
    }

    /// Whether a child of this key is known, running or waiting for its restart.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.by_key.contains_key(key)
    }

    /// Whether the restart that was set up for this generation is still wanted.
    pub(crate) fn may_start(&self, key: &K, generation: u64) -> bool {
        self.by_key
            .get(key)
            .is_some_and(|child| child.generation == generation && child.cell.is_none())
    }

    /// Restarts of a child so far.
    pub(crate) fn restarts(&self, key: &K) -> u32 {
        self.by_key.get(key).map_or(0, |child| child.budget.restarts())
    }

    /// The keys of all children.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.by_key.keys()
    }

    /// The keys of those that wait for their restart.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &K> {
        let waiting = self.by_key.iter().filter(|(_, child)| child.cell.is_none());
        waiting.map(|(key, _)| key)
    }

    /// The running children.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &ActorCell> {
        self.by_key.values().filter_map(|child| child.cell.as_ref())
    }

    /// Forgets a child; its end will not be reported. Answers its actor, if it runs.
    pub(crate) fn forget(&mut self, key: &K) -> Option<ActorCell> {
        let cell = self.by_key.remove(key)?.cell?;
        self.by_id.remove(&cell.get_id());
        Some(cell)
    }

    /// Reads a supervision event; `None` when it concerns nobody that is known, or is no death.
    pub(crate) fn death(&mut self, event: &SupervisionEvent) -> Option<Death<K>> {
        let (cell, reason) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, reason) => (
                cell,
                reason
                    .clone()
                    .unwrap_or_else(|| "stopped without being asked".to_owned()),
            ),
            _ => return None,
        };
        let key = self.by_id.remove(&cell.get_id())?;
        let ended = matches!(event, SupervisionEvent::ActorTerminated(..));
        if ended && [DONE, GONE].contains(&reason.as_str()) {
            self.by_key.remove(&key);
            let of = if reason == GONE { Death::Gone } else { Death::Done };
            return Some(of(key));
        }
        let child = self.by_key.get_mut(&key)?;
        child.cell = None;
        let restart = child.budget.failed(clock::steady(), clock::jitter());
        Some(Death::Failed(Failed {
            generation: child.generation,
            restart,
            restarts: child.budget.restarts(),
            reason,
            key,
        }))
    }
}

/// Runs a task of an actor; `lost` tells the actor when it panicked. A task that ends without a report would leave its
/// actor waiting for ever, so the actor fails with it and starts again from the store.
pub(crate) async fn guarded(task: impl Future<Output = ()>, lost: impl FnOnce()) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        lost();
    }
}

/// How an actor is made to die, for the tests of the tree.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Crash {
    /// By a panic.
    Panic,
    /// By an error that its handler answers.
    Fail,
}

#[cfg(test)]
impl Crash {
    /// Both, for tests that try each.
    pub(crate) const BOTH: [Self; 2] = [Self::Panic, Self::Fail];

    pub(crate) fn carry_out(self) -> Result<(), ractor::ActorProcessingErr> {
        match self {
            Self::Panic => panic!("asked to"),
            Self::Fail => Err("asked to".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_told_and_another_is_not() {
        let told = Cell::new(0);
        guarded(async {}, || told.set(told.get() + 1)).await;
        assert_eq!(told.get(), 0);
        guarded(async { panic!("asked to") }, || told.set(told.get() + 1)).await;
        assert_eq!(told.get(), 1);
    }
}

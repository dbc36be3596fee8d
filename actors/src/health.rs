//! Whether the gateway can do its work, for `/readyz`.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wharf_store::{Store, StoreError};

/// An answer of the store is good for this long: `/readyz` needs no token, and asking is a write.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The store has this long to answer. A database that is held longer than that takes no writes, for the time being.
const ASK_DEADLINE: Duration = Duration::from_secs(3);

/// Shared by the tree.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Why the store took no writes, the last time it was asked to.
    refusal: Mutex<Option<String>>,
    /// What was damaged in the database when a write met it.
    damage: OnceLock<String>,
    tree_is_up: AtomicBool,
    /// When the store was asked, and what it said.
    asked: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Health {
    /// A commit succeeded.
    pub(crate) fn store_took_writes(&self) {
        *self.refusal.lock() = None;
    }

    /// A commit failed. Answers whether that is news.
    pub(crate) fn store_refused(&self, why: String) -> bool {
        self.refusal.lock().replace(why).is_none()
    }

    /// Why the store takes no writes, if it does not.
    pub(crate) fn store_refusal(&self) -> Option<String> {
        self.refusal.lock().clone()
    }

    /// A write was refused. One that met a damaged page says of all the others that they cannot be trusted: a small write beside it
    /// may go well, so that only a start with another file ends this.
    pub(crate) fn write_failed(&self, error: &StoreError) {
        if let StoreError::Corrupt(why) = error
            && self.damage.set(why.clone()).is_ok()
        {
            tracing::error!(%error, "the database is damaged");
        }
    }

    /// The tree is up, or is being taken down.
    pub(crate) fn set_tree_up(&self, up: bool) {
        self.tree_is_up.store(up, Ordering::Release);
    }

    /// Whether the clients have been read and their tenants started, since the last time that all of these failed.
    pub(crate) fn tree_is_up(&self) -> bool {
        self.tree_is_up.load(Ordering::Acquire)
    }

    /// `Err` says what is missing. When no write is known to have failed the store is asked: nobody may have written
    /// since its disk was filled or its file was locked.
    pub(crate) async fn check(&self, store: &Store) -> Result<(), String> {
        if !self.tree_is_up() {
            return Err("the supervision tree is not up".to_owned());
        }
        let answer = match self.damage.get().cloned().or_else(|| self.store_refusal()) {
            Some(why) => Err(why),
            None => self.ask(store).await,
        };
        answer.map_err(|why| format!("the store takes no writes: {why}"))
    }

    async fn ask(&self, store: &Store) -> Result<(), String> {
        let mut asked = self.asked.lock().await;
        if let Some((_, answer)) = asked.as_ref().filter(|(at, _)| at.elapsed() < ASK_EVERY) {
            return answer.clone();
        }
        let answer = match tokio::time::timeout(ASK_DEADLINE, store.check_writable()).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!(
                "it did not answer within {ASK_DEADLINE:?}; another program may hold it"
            )),
        };
        *asked = Some((Instant::now(), answer.clone()));
        answer
    }
}

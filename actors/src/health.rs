//! Whether the gateway can do its work, for `/readyz`.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Shared by the tree.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Why the store took no writes, the last time it was asked to.
    refusal: Mutex<Option<String>>,
    tree_is_up: AtomicBool,
}

impl Health {
    /// A commit succeeded.
    pub(crate) fn store_took_writes(&self) {
        *self.lock() = None;
    }

    /// A commit failed. Answers whether that is news.
    pub(crate) fn store_refused(&self, why: String) -> bool {
        self.lock().replace(why).is_none()
    }

    /// Why the store takes no writes, if it does not.
    pub(crate) fn store_refusal(&self) -> Option<String> {
        self.lock().clone()
    }

    /// The tree is up, or is being taken down.
    pub(crate) fn set_tree_up(&self, up: bool) {
        self.tree_is_up.store(up, Ordering::Release);
    }

    /// Whether the clients have been read and their tenants started.
    pub(crate) fn tree_is_up(&self) -> bool {
        self.tree_is_up.load(Ordering::Acquire)
    }

    /// `Err` says what is missing.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.tree_is_up() {
            return Err("the supervision tree is not up".to_owned());
        }
        self.store_refusal()
            .map_or(Ok(()), |why| Err(format!("the store takes no writes: {why}")))
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

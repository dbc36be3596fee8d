//! A task of which an actor has one at a time.

use std::future::Future;

use tokio::task::JoinHandle;

/// A task that ends with its owner: neither a restarted nor a stopped actor leaves one behind.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<JoinHandle<()>>);

impl Timer {
    /// Replaces what was set before by `task`.
    pub(crate) fn set(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.clear();
        self.0 = Some(tokio::spawn(task));
    }

    /// Whether nothing that was set runs any more.
    pub(crate) fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes back what was set.
    pub(crate) fn clear(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}

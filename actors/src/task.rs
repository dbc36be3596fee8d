//! A task of which an actor has one at a time.

use std::{future::Future, time::Duration};

use ractor::{ActorRef, Message};
use tokio_util::task::AbortOnDropHandle;

/// Tells an actor that something is due, at once and then again and again, until it stops.
pub(crate) async fn tick<M: Message>(actor: ActorRef<M>, every: Duration, message: impl Fn() -> M) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        if actor.cast(message()).is_err() {
            return;
        }
    }
}

/// A task that ends with its owner: neither a restarted nor a stopped actor leaves one behind.
#[derive(Debug, Default)]
pub(crate) struct OwnedTask(Option<AbortOnDropHandle<()>>);

impl OwnedTask {
    /// Replaces what was set before by `task`.
    pub(crate) fn set(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.clear();
        self.0 = Some(AbortOnDropHandle::new(tokio::spawn(task)));
    }

    /// Replaces what was set before by a timer, after which `actor` is told `message`.
    pub(crate) fn tell_after<M: Message>(
        &mut self,
        wait: Duration,
        actor: &ActorRef<M>,
        message: impl FnOnce() -> M + Send + 'static,
    ) {
        let actor = actor.clone();
        self.set(async move {
            tokio::time::sleep(wait).await;
            let _stopped = actor.cast(message());
        });
    }

    /// Whether nothing that was set runs any more.
    pub(crate) fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(AbortOnDropHandle::is_finished)
    }

    /// Takes back what was set.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

//! The client's runtime: everything it starts stays on the link's own tokio runtime and can be waited for.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use whatsapp_rust::wacore::runtime::{AbortHandle, Runtime};

type BoxedTask = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Spawns on the runtime that opened the link, whoever calls (a send may come from another one), and counts.
///
/// whatsapp-rust's own `TokioRuntime` never yields because it expects several worker threads; ours serves
/// current-thread runtimes, where a long loop of one number would hold up all the others.
#[derive(Clone)]
pub(crate) struct LinkRuntime {
    handle: Handle,
    tasks: TaskTracker,
    kill: CancellationToken,
    failed: CancellationToken,
}

impl LinkRuntime {
    /// On the runtime that polls the caller; `None` outside of one.
    pub(crate) fn current() -> Option<Self> {
        let handle = Handle::try_current().ok()?;
        Some(Self {
            handle,
            tasks: TaskTracker::new(),
            kill: CancellationToken::new(),
            failed: CancellationToken::new(),
        })
    }

    /// Starts a task whose result is wanted; ends early, with `None`, when the link is torn down by force.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let kill = self.kill.clone();
        self.tasks
            .spawn_on(async move { kill.run_until_cancelled(task).await }, &self.handle)
    }

    /// Resolves when a task of the client has panicked. The client goes on without it and looks alive: a chat that this task served hears
    /// nothing any more, or nothing is acknowledged.
    pub(crate) async fn failed(&self) {
        self.failed.cancelled().await;
    }

    async fn watched(failed: CancellationToken, task: BoxedTask) {
        if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
            failed.cancel();
            resume_unwind(panic);
        }
    }

    /// Starts a task that does not count as the link's: the one that waits for all the others.
    pub(crate) fn start_driver(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    /// Waits until every task has ended: `gently` for them to end by themselves, then as long again after telling them
    /// to stop where they are. `false` when some did not even then.
    pub(crate) async fn wind_down(&self, gently: Duration) -> bool {
        self.tasks.close();
        if tokio::time::timeout(gently, self.tasks.wait()).await.is_ok() {
            return true;
        }
        tracing::debug!(
            left = self.tasks.len(),
            "tasks of a closed link linger; ending them by force"
        );
        self.kill.cancel();
        tokio::time::timeout(gently, self.tasks.wait()).await.is_ok()
    }
}

#[async_trait]
impl Runtime for LinkRuntime {
    fn spawn(&self, future: BoxedTask) -> AbortHandle {
        let task = self.start(Self::watched(self.failed.clone(), future));
        AbortHandle::new(move || task.abort())
    }

    fn spawn_detached(&self, future: BoxedTask) {
        drop(self.start(Self::watched(self.failed.clone(), future)));
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { tokio::time::sleep(duration).await })
    }

    fn spawn_blocking(&self, f: Box<dyn FnOnce() + Send + 'static>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let handle = self.handle.clone();
        Box::pin(async move {
            // A panic of `f` shows at its caller, who misses the result that `f` should have sent.
            let _ = handle.spawn_blocking(f).await;
        })
    }

    fn yield_now(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        Some(Box::pin(tokio::task::yield_now()))
    }

    fn yield_frequency(&self) -> u32 {
        // What the trait asks of single-threaded runtimes.
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_tasks_and_then_ends_them() {
        let runtime = LinkRuntime::current().unwrap();
        runtime.spawn_detached(Box::pin(async { tokio::task::yield_now().await }));
        assert!(runtime.wind_down(Duration::from_secs(5)).await);

        let runtime = LinkRuntime::current().unwrap();
        let stuck = runtime.start(std::future::pending::<()>());
        assert!(runtime.wind_down(Duration::from_millis(10)).await);
        assert_eq!(stuck.await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_task_of_the_client_that_panics_is_noticed() {
        let runtime = LinkRuntime::current().unwrap();
        runtime.spawn_detached(Box::pin(async {}));
        runtime.spawn(Box::pin(std::future::pending())).abort();
        assert!(runtime.wind_down(Duration::from_secs(5)).await && runtime.failed().now_or_never().is_none());
        let runtime = LinkRuntime::current().unwrap();
        runtime.spawn_detached(Box::pin(async { panic!("a bug of the client") }));
        runtime.failed().await;
    }

    #[tokio::test]
    async fn a_dropped_handle_aborts_and_a_detached_one_does_not() {
        let runtime = LinkRuntime::current().unwrap();
        let (kept, kept_ran) = tokio::sync::oneshot::channel();
        let (dropped, dropped_ran) = tokio::sync::oneshot::channel::<()>();
        runtime.spawn(Box::pin(async move { kept.send(()).unwrap() })).detach();
        drop(runtime.spawn(Box::pin(async move {
            std::future::pending::<()>().await;
            drop(dropped);
        })));
        assert!(kept_ran.await.is_ok());
        assert!(dropped_ran.await.is_err());
        assert!(runtime.wind_down(Duration::from_secs(5)).await);
    }
}

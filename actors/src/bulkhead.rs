//! Bulkheads: the threads on which sessions run, apart from HTTP and deliveries.
//!
//! Signal cryptography takes CPU in bursts. A client whose sessions burn it shall slow down itself only, so sessions run on
//! actix Arbiters, single-threaded runtimes: one for each client as long as there are enough, more than cores, because it is
//! the kernel that parts the cores among them; everything else stays on tokio's own workers. The ractor actor itself runs on
//! the Arbiter's thread and stays in the tree: a panic is reported to its supervisor and the Arbiter lives on.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use actix::{Arbiter, System};
use futures::future::join_all;
use thiserror::Error;
use tokio::{
    runtime::{Builder, EnterGuard, Handle, Runtime, RuntimeMetrics},
    sync::{Mutex, oneshot},
    time::timeout,
};

/// A thread on which nothing begins for this long stands still, whatever more there is to know.
const STANDS_STILL: Duration = Duration::from_secs(1);

/// The Arbiters could not be started.
#[derive(Debug, Error)]
pub enum BulkheadError {
    /// The operating system refused a thread.
    #[error("cannot start a thread for sessions: {0}")]
    Thread(#[from] io::Error),
    /// The thread ended before it was up.
    #[error("a thread for sessions ended while starting")]
    Ended,
}

/// A thread that sessions run on. Clients hold it; so many as hold it share it.
#[derive(Debug)]
pub(crate) struct Bulkhead(Handle);

impl Bulkhead {
    /// What is spawned while the answer lives, runs here.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.0.enter()
    }
}

/// The threads that sessions run on, started as clients come; ends them when dropped.
#[derive(Debug)]
pub(crate) struct Bulkheads {
    most: usize,
    /// `None` without threads of their own.
    system: Option<System>,
    started: Mutex<Vec<Arc<Bulkhead>>>,
}

impl Bulkheads {
    /// Will start `most` threads at the most. With 0 there are none, and sessions run on tokio's workers with everything else.
    pub(crate) async fn start(most: usize) -> Result<Self, BulkheadError> {
        let system = match most {
            0 => None,
            _ => Some(start_system().await?),
        };
        Ok(Self {
            most,
            system,
            started: Mutex::default(),
        })
    }

    /// The thread for a client's sessions, for as long as the answer is held: one of its own as long as there are enough,
    /// the one that the fewest clients share otherwise. `None` when sessions run with everything else.
    pub(crate) async fn place(&self) -> Result<Option<Arc<Bulkhead>>, BulkheadError> {
        let Some(system) = &self.system else { return Ok(None) };
        let mut started = self.started.lock().await;
        // This list holds each of them once.
        let clients = |thread: &&Arc<Bulkhead>| Arc::strong_count(thread) - 1;
        let emptiest = started.iter().min_by_key(clients).cloned();
        if let Some(emptiest) = &emptiest
            && (started.len() >= self.most || Arc::strong_count(emptiest) == 2)
        {
            return Ok(Some(Arc::clone(emptiest)));
        }
        match (start_thread(system).await, emptiest) {
            (Ok(thread), _) => {
                let thread = Arc::new(thread);
                started.push(Arc::clone(&thread));
                Ok(Some(thread))
            }
            (Err(error), Some(shared)) => {
                tracing::warn!(%error, "clients share a thread for sessions");
                Ok(Some(shared))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// How long it takes until a task begins, on the thread where that takes longest; about a second when it takes longer. A link
    /// that never lets go of its thread would take the sessions there along, and their own timers with them.
    pub(crate) async fn delay(&self) -> Duration {
        let threads: Vec<Handle> = self
            .started
            .lock()
            .await
            .iter()
            .map(|thread| thread.0.clone())
            .collect();
        let begun = Instant::now();
        let begin = threads.iter().map(|thread| thread.spawn(async {}));
        let _longer = timeout(STANDS_STILL, join_all(begin)).await;
        begun.elapsed()
    }

    /// What the threads' runtimes count.
    pub(crate) async fn metrics(&self) -> Vec<RuntimeMetrics> {
        self.started
            .lock()
            .await
            .iter()
            .map(|thread| thread.0.metrics())
            .collect()
    }
}

async fn start_system() -> Result<System, BulkheadError> {
    let (tell, up) = oneshot::channel();
    // `System::run` blocks its thread until the system is stopped.
    thread::Builder::new().name("bulkheads".into()).spawn(move || {
        let runner = System::new();
        let _receiver_gone = tell.send(System::current());
        if let Err(error) = runner.run() {
            tracing::error!(%error, "the bulkheads ended");
        }
    })?;
    up.await.map_err(|_| BulkheadError::Ended)
}

/// An Arbiter starts on the system's thread only. It panics there when the operating system refuses a thread, which ends
/// nothing but the task.
async fn start_thread(system: &System) -> Result<Bulkhead, BulkheadError> {
    let (tell, up) = oneshot::channel();
    system.arbiter().spawn(async move {
        Arbiter::with_tokio_rt(runtime).spawn(async move {
            let _receiver_gone = tell.send(Handle::current());
        });
    });
    up.await.map(Bulkhead).map_err(|_| BulkheadError::Ended)
}

/// A session's keys are read and written on blocking threads; a start of many sessions shall not make hundreds of them.
const BLOCKING_THREADS: usize = 8;

/// Runs on the new thread.
#[expect(
    clippy::expect_used,
    reason = "nothing but the start of this thread ends; the operating system refused a runtime"
)]
fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .expect("a runtime for sessions")
}

impl Bulkheads {
    /// Ends the threads, whatever runs on them.
    pub(crate) fn stop(&self) {
        if let Some(system) = &self.system {
            system.stop();
        }
    }
}

impl Drop for Bulkheads {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_share_a_thread_only_when_there_are_no_more() {
        let bulkheads = Bulkheads::start(2).await.unwrap();
        assert_eq!(bulkheads.metrics().await.len(), 0, "none before a client comes");
        let place = async || bulkheads.place().await.unwrap().unwrap();
        let (first, second) = (place().await, place().await);
        assert!(!Arc::ptr_eq(&first, &second));
        let third = place().await;
        assert_eq!(bulkheads.metrics().await.len(), 2, "no more than two");
        drop((first, third));
        let fourth = place().await;
        assert!(!Arc::ptr_eq(&fourth, &second), "where nobody is");
        assert_eq!(bulkheads.metrics().await.len(), 2);
    }

    #[tokio::test]
    async fn a_thread_that_stands_still_shows() {
        let bulkheads = Bulkheads::start(2).await.unwrap();
        let (first, second) = (bulkheads.place().await.unwrap(), bulkheads.place().await.unwrap());
        wharf_support::wait_until("they go", Duration::from_secs(30), || async {
            bulkheads.delay().await < STANDS_STILL
        })
        .await;
        let (go_on, waits) = std::sync::mpsc::channel::<()>();
        let task = {
            let _entered = second.as_ref().unwrap().enter();
            tokio::spawn(async move { waits.recv() })
        };
        assert!(bulkheads.delay().await >= STANDS_STILL);
        drop(go_on);
        assert!(task.await.unwrap().is_err());
        drop(first);
    }

    #[tokio::test]
    async fn sessions_run_on_the_thread_of_their_client() {
        let bulkheads = Bulkheads::start(1).await.unwrap();
        let place = bulkheads.place().await.unwrap().unwrap();
        let task = {
            let _entered = place.enter();
            tokio::spawn(async { thread::current().id() })
        };
        assert_ne!(task.await.unwrap(), thread::current().id());
        assert!(Bulkheads::start(0).await.unwrap().place().await.unwrap().is_none());
    }
}

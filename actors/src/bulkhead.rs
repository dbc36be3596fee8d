//! Bulkheads: the threads on which sessions run, apart from HTTP and deliveries.
//!
//! Signal cryptography takes CPU in bursts. A client whose sessions burn it shall slow down its own shard only, so
//! sessions run on actix Arbiters, single-threaded runtimes, over which clients are sharded; everything else stays on
//! tokio's own workers. The ractor actor itself runs on the Arbiter's thread and stays in the tree: a panic is reported
//! to its supervisor and the Arbiter lives on.

use std::{io, thread};

use actix::{Arbiter, System};
use thiserror::Error;
use tokio::{
    runtime::{Builder, Handle, Runtime, RuntimeMetrics},
    sync::oneshot,
};
use wharf_domain::ClientId;

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

/// The runtimes that sessions run on; ends them when dropped.
#[derive(Debug)]
pub(crate) struct Bulkheads {
    runtimes: Vec<Handle>,
    /// `None` without Arbiters.
    system: Option<System>,
}

impl Bulkheads {
    /// Starts `count` Arbiters. With 0 there are none, and sessions run on tokio's workers with everything else.
    pub(crate) async fn start(count: usize) -> Result<Self, BulkheadError> {
        if count == 0 {
            return Ok(Self {
                runtimes: Vec::new(),
                system: None,
            });
        }
        let (tell, up) = oneshot::channel();
        // `System::run` blocks its thread until the system is stopped.
        thread::Builder::new().name("bulkheads".into()).spawn(move || {
            let runner = System::new();
            let system = System::current();
            let arbiters: Vec<Arbiter> = (0..count).map(|_| Arbiter::with_tokio_rt(runtime)).collect();
            let _receiver_gone = tell.send((system, arbiters.iter().map(Arbiter::handle).collect::<Vec<_>>()));
            if let Err(error) = runner.run() {
                tracing::error!(%error, "the bulkheads ended");
            }
        })?;
        let (system, arbiters) = up.await.map_err(|_| BulkheadError::Ended)?;
        let mut runtimes = Vec::with_capacity(count);
        for arbiter in arbiters {
            let (tell, runtime) = oneshot::channel();
            arbiter.spawn(async move {
                let _receiver_gone = tell.send(Handle::current());
            });
            runtimes.push(runtime.await.map_err(|_| BulkheadError::Ended)?);
        }
        Ok(Self {
            runtimes,
            system: Some(system),
        })
    }

    /// What the Arbiters count.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = RuntimeMetrics> {
        self.runtimes.iter().map(Handle::metrics)
    }

    /// The runtime of a client's sessions; `None` without Arbiters.
    pub(crate) fn runtime(&self, client: ClientId) -> Option<&Handle> {
        let shard = usize::try_from(client.0.unsigned_abs()).unwrap_or(0) % self.runtimes.len().max(1);
        self.runtimes.get(shard)
    }
}

/// A session's keys are read and written on blocking threads; a start of many sessions shall not make hundreds of them.
const BLOCKING_THREADS: usize = 8;

#[allow(
    clippy::expect_used,
    reason = "runs while the program starts; the operating system refused a runtime"
)]
fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .expect("a runtime for sessions")
}

impl Drop for Bulkheads {
    fn drop(&mut self) {
        if let Some(system) = &self.system {
            system.stop();
        }
    }
}

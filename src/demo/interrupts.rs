//! Ctrl-C and SIGTERM, one at a time: the first ends the writing, the next one the waiting.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::DemoError;

/// Requests to stop.
#[derive(Debug)]
pub struct Interrupts {
    pub(super) received: mpsc::Receiver<()>,
}

impl Interrupts {
    /// The signals of this process.
    ///
    /// # Errors
    /// They cannot be received.
    pub fn of_process() -> Result<Self, DemoError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(DemoError::Signals)?;
        let (sender, received) = mpsc::channel(8);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { received })
    }

    /// Ends at the next one.
    pub(super) async fn next(&mut self) {
        if self.received.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

//! Whether what waited at WhatsApp for a number is in. Until then its client holds back what it is to send.
//!
//! A message that is handed over meanwhile goes out when the client gets to it, which may be a minute later, and nobody who
//! gave up waiting knows whether it will. So none is handed over before.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use whatsapp_rust::Client;

use super::runtime::LinkRuntime;

/// See the module. One for each link.
pub(crate) struct CaughtUp {
    is_so: watch::Sender<bool>,
    is_waited_for: AtomicBool,
}

impl Default for CaughtUp {
    fn default() -> Self {
        Self {
            is_so: watch::Sender::new(false),
            is_waited_for: AtomicBool::new(false),
        }
    }
}

impl CaughtUp {
    /// Waits for it, but not longer than until `by`.
    pub(crate) async fn wait(self: &Arc<Self>, client: &Arc<Client>, runtime: &LinkRuntime, by: Instant) -> bool {
        let mut is_so = self.is_so.subscribe();
        if !*is_so.borrow_and_update() && !self.is_waited_for.swap(true, Ordering::Relaxed) {
            // In a task of its own: after a minute the client waits no longer, and only if somebody waited for so long.
            drop(runtime.start(see_to(Arc::clone(self), Arc::clone(client))));
        }
        timeout_at(by, is_so.wait_for(|is_so| *is_so))
            .await
            .is_ok_and(|is_so| is_so.is_ok())
    }
}

async fn see_to(caught_up: Arc<CaughtUp>, client: Arc<Client>) {
    if let Some(own) = client.pn() {
        // Asks for nothing: with its own phone a device has a session since its login. But as each message it comes behind the
        // backlog.
        if let Err(error) = client.signal().assert_sessions(&[own.to_non_ad()]).await {
            tracing::debug!(%error, "there is no session with the own phone");
        }
    }
    caught_up.is_so.send_replace(true);
}

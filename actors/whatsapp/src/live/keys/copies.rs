//! The copies of decrypted messages come before the ratchets that decrypting them moved.
//!
//! A message whose ratchet is on the disk and whose copy is not would be lost: WhatsApp brings it again, it cannot be
//! decrypted a second time, and whatsapp-rust takes it for one that it had. whatsapp-rust writes ratchets by themselves, a
//! little later and again until they are written, whatever became of the copies. So here they wait for the copies that
//! are under way, which are insisted on; and once a copy was given up, nothing more is written for its link. The next
//! link begins with what is on the disk, and the message is decrypted anew.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::{CloseReason, KeysError, live::reporter::Reporter};

/// The pause before a refused copy is asked for again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Copies {
    link: Arc<Reporter>,
    patience: Duration,
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    under_way: BTreeSet<u64>,
    given_up: bool,
}

/// A copy that is being written. One that is dropped before it is written was given up.
struct UnderWay<'a> {
    copies: &'a Copies,
    number: u64,
    written: bool,
}

impl Copies {
    /// Those of a link, which is ended when one cannot be written within `patience`.
    pub(super) fn new(link: Arc<Reporter>, patience: Duration) -> Self {
        Self {
            link,
            patience,
            state: Mutex::default(),
            ended: Notify::new(),
        }
    }

    /// Writes a copy: asks, and again for a while if the store takes no writes.
    ///
    /// # Errors
    /// What was said last. The link ends then.
    pub(super) async fn write<T, F: Future<Output = Result<T, KeysError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, KeysError> {
        let mut copy = self.begin();
        let deadline = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match ask().await {
                Ok(done) => {
                    copy.written = true;
                    return Ok(done);
                }
                Err(error) => error,
            };
            let worth_it = matches!(error, KeysError::Unavailable(_)) && !self.link.is_leaving();
            if !worth_it || Instant::now() + pause >= deadline || self.link.over().is_cancelled() {
                // A device that is being unlinked still needs its connection, to say so.
                if !self.link.is_leaving() {
                    self.link
                        .end(CloseReason::Lost(format!("messages could not be stored: {error}")));
                }
                return Err(error);
            }
            tracing::debug!(%error, "a message could not be kept; trying again");
            tokio::select! {
                () = sleep(pause) => {}
                () = self.link.over().cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until the copies that are under way now are written or given up.
    pub(super) async fn settled(&self) {
        let until = self.state.lock().next;
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.state.lock().under_way.first().is_none_or(|first| *first >= until) {
                return;
            }
            ended.await;
        }
    }

    /// Whether one was given up.
    pub(super) fn are_given_up(&self) -> bool {
        self.state.lock().given_up
    }

    fn begin(&self) -> UnderWay<'_> {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number);
        UnderWay {
            copies: self,
            number,
            written: false,
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.copies.state.lock();
        state.under_way.remove(&self.number);
        state.given_up |= !self.written;
        drop(state);
        self.copies.ended.notify_waiters();
    }
}

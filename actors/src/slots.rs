//! Slots for attempts, and for whatever else clients share, given out fairly: the waiting and waking around
//! `wharf_domain::fair`, which decides.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use wharf_domain::{
    ClientId, WebhookId,
    fair::{Caps, Fair, Slot, Standing},
};

type Waiting = oneshot::Sender<Permit>;

/// Slots that clients share fairly. Clones are the same slots.
#[derive(Clone)]
pub struct Slots(Arc<Mutex<Fair<Waiting>>>);

/// A slot, held until it is dropped.
pub struct Permit {
    slots: Slots,
    slot: Slot,
    given_back: bool,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slot.fmt(f)
    }
}

impl Slots {
    /// With these caps, for clients of the same weight.
    pub fn new(caps: Caps) -> Self {
        Self::weighted(caps, HashMap::new())
    }

    /// With these caps; a client that `weights` does not name has weight 1.
    pub(crate) fn weighted(caps: Caps, weights: HashMap<ClientId, u32>) -> Self {
        Self(Arc::new(Mutex::new(Fair::new(caps, weights))))
    }

    /// A slot at once, if one is free.
    pub(crate) fn take(&self, client: ClientId, standing: Standing) -> Option<Permit> {
        let slot = self.0.lock().take(client, standing)?;
        Some(self.permit(slot))
    }

    /// A slot when it is this one's turn. The place in the queue is taken when this is called, not when it is awaited.
    pub(crate) fn wait(
        &self,
        client: ClientId,
        receiver: Option<WebhookId>,
        standing: Standing,
    ) -> impl Future<Output = Option<Permit>> + use<> {
        let (ticket, slot) = oneshot::channel();
        self.0.lock().wait(client, receiver, standing, ticket);
        self.give_out();
        async { slot.await.ok() }
    }

    /// A slot, at once or when it is this client's turn. Whoever stops waiting leaves the queue. `None` when nobody can give
    /// one any more.
    pub async fn turn(&self, client: ClientId) -> Option<Permit> {
        self.wait(client, None, Standing::Sound).await
    }

    /// More is known of a receiver than when its attempts asked for their slots.
    pub(crate) fn reconsider(&self, client: ClientId, receiver: WebhookId, standing: Standing) {
        self.0.lock().reconsider(client, receiver, standing);
        self.give_out();
    }

    /// Slots that are held, and how many wait for one.
    pub(crate) fn used(&self) -> (usize, usize) {
        let fair = self.0.lock();
        (fair.held(), fair.waiting())
    }

    fn give_out(&self) {
        loop {
            let Some((ticket, slot)) = self.0.lock().next_granted() else {
                return;
            };
            // One whose waiter is gone comes back here and not by being dropped: thousands may be gone together, and each
            // would be dropped within the drop of the one before.
            if let Err(mut gave_up) = ticket.send(self.permit(slot)) {
                gave_up.given_back = true;
                self.0.lock().release(slot);
            }
        }
    }

    fn permit(&self, slot: Slot) -> Permit {
        Permit {
            slots: self.clone(),
            slot,
            given_back: false,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.given_back {
            self.slots.0.lock().release(self.slot);
            self.slots.give_out();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps {
        total: 2,
        per_client: 2,
    };

    #[tokio::test]
    async fn a_slot_goes_to_whoever_waits_and_still_wants_it() {
        let slots = Slots::new(CAPS);
        let (one, two) = (ClientId(1), ClientId(2));
        let held: Vec<_> = (0..2).map(|_| slots.take(one, Standing::Sound).unwrap()).collect();
        assert!(slots.take(one, Standing::Sound).is_none());
        let gave_up = slots.wait(two, None, Standing::Sound);
        let waits = slots.wait(two, None, Standing::Sound);
        let last = slots.wait(one, None, Standing::Sound);
        drop(gave_up);
        drop(held);
        let permit = waits.await.unwrap();
        assert_eq!(permit.slot.client, two);
        assert_eq!(last.await.unwrap().slot.client, one);
        drop(permit);
        let all: Vec<_> = (0..2).filter_map(|_| slots.take(two, Standing::Sound)).collect();
        assert_eq!(all.len(), 2, "all of them came back");
    }

    /// As when a client is removed that has thousands of webhooks with dead receivers.
    #[tokio::test]
    async fn any_number_may_stop_waiting_together() {
        let slots = Slots::new(CAPS);
        let client = ClientId(1);
        let held: Vec<_> = (0..2).map(|_| slots.take(client, Standing::Sound).unwrap()).collect();
        let gone: Vec<_> = (0..200_000)
            .map(|_| slots.wait(client, None, Standing::Sound))
            .collect();
        let waits = slots.wait(client, None, Standing::Sound);
        drop(gone);
        drop(held);
        assert!(waits.await.is_some());
        let all: Vec<_> = (0..3).filter_map(|_| slots.take(client, Standing::Sound)).collect();
        assert_eq!(all.len(), 2, "all of them came back");
    }
}

//! One webhook: its machine, and what is around it.

use fastrand::Rng;
use uuid::Uuid;
use wharf_domain::{Recovery, Timestamp, WebhookId, delivery::Delivery};

use super::{
    BEGIN,
    law::{Books, law},
    owner::random_config,
    receiver::Receiver,
    store::Store,
};

pub(super) struct Hook {
    pub(super) machine: Delivery,
    pub(super) life: u64,
    pub(super) receiver: Receiver,
    pub(super) store: Store,
    pub(super) books: Books,
    /// Commits come in their order, and so does what is told of events and what is told of the webhook.
    pub(super) committed_at: Timestamp,
    pub(super) told_at: Timestamp,
    pub(super) news_at: Timestamp,
    /// Chats that write to it.
    pub(super) chats: u32,
    /// From when on nothing but recovery was in the way of what is parked.
    pub(super) well_since: Option<Timestamp>,
}

impl Hook {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let config = random_config(rng, true);
        Self {
            machine: Delivery::new(WebhookId(Uuid::nil()), config, 0),
            life: 0,
            receiver: Receiver::new(rng),
            store: Store::new(config),
            books: Books::new(config),
            committed_at: BEGIN,
            told_at: BEGIN,
            news_at: BEGIN,
            chats: [1, 3, 10, 50, 300, 2000][rng.usize(..6)],
            well_since: None,
        }
    }

    pub(super) fn is_auto(&self) -> bool {
        self.store.webhook.courtesy.recovery == Recovery::Auto
    }

    /// What recovery has promised by the end.
    pub(super) fn recovered(&self) -> Result<(), String> {
        if !self.is_auto() {
            return Ok(());
        }
        let (parked, rows) = (self.store.parked(), self.store.rows.len());
        law!(parked == 0, "{parked} events are left parked");
        let Some(well_since) = self.well_since else {
            return Ok(());
        };
        let per_second = self.store.webhook.courtesy.max_per_second;
        let plain = self.receiver.is_plain();
        self.books.recovery.close(well_since, rows, per_second, plain)
    }
}

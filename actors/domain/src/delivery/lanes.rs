//! Events without an order: each is a chat of its own, and all the rest is the same.

use super::{Delivery, DuePage};
use crate::{Ordering, PendingEvent, message::is_test_chat};

impl Delivery {
    /// Without an order every event is a chat of its own, and all the rest is the same. A test event is one anyway, and is
    /// known by its chat.
    pub(super) fn in_lane(&self, event: PendingEvent) -> PendingEvent {
        match self.ordering {
            Ordering::None if !is_test_chat(&event.chat) => PendingEvent {
                chat: event.id.to_string().into(),
                ..event
            },
            _ => event,
        }
    }

    pub(super) fn page_in_lanes(&self, mut page: DuePage) -> DuePage {
        if self.ordering == Ordering::None {
            for chat in &mut page.chats {
                let events = std::mem::take(&mut chat.events);
                chat.events = events.into_iter().map(|event| self.in_lane(event)).collect();
            }
        }
        page
    }

    /// Another ordering cuts the queue into other lanes: what is under way ends under the old one, then the store is
    /// read anew under the new one.
    pub(super) fn change_ordering(&mut self) {
        let wanted = self.config.courtesy.ordering;
        if self.ordering != wanted && self.window.in_flight() == 0 {
            self.window.drop_idle();
            self.catch_up.start_over();
            self.ordering = wanted;
        }
    }
}

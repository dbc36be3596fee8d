//! The machine's own time: nobody puts it forward or back.
//!
//! Waits are kept as moments. When the wall clock is put back by hours, a moment five seconds away is hours away, and
//! an event would wait that long for its retry. So the machine counts in the time that elapses; what comes from the
//! store, and what goes out to it and to people, is the wall's.

use super::{Delivery, DeliveryEvent, Effect};
use crate::{AWAITS_MEDIA, PendingEvent, Timestamp, retry};

/// How far the machine's time is ahead of the wall's, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SteadyClock(i64);

impl Delivery {
    /// Says what the wall clock shows and what a clock shows that nobody puts forward or back, before a step that is
    /// given the wall's. Machines that are never told take the wall's for both.
    pub fn keep_time(&mut self, wall: Timestamp, steady: Timestamp) {
        self.clock.0 = steady.0.saturating_sub(wall.0);
    }
}

impl SteadyClock {
    /// The machine's time when it is `wall`.
    pub(super) fn read(self, wall: Timestamp) -> Timestamp {
        Timestamp(wall.0.saturating_add(self.0))
    }

    fn wall(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_sub(self.0))
    }

    /// Times that come from the store, in the machine's time.
    pub(super) fn inward(self, now: Timestamp, event: &mut DeliveryEvent) {
        match event {
            DeliveryEvent::Arrived(event) | DeliveryEvent::Renewed(event) => self.inward_of(now, event),
            DeliveryEvent::Loaded { page, .. } => {
                let events = page.chats.iter_mut().flat_map(|chat| &mut chat.events);
                events.for_each(|event| self.inward_of(now, event));
                // As the question: rather early than late.
                page.next_due_at = page.next_due_at.map(|at| at.min(self.read(at)));
            }
            DeliveryEvent::AttemptFinished(ended) => ended.retry_after = ended.retry_after.map(|at| self.read(at)),
            DeliveryEvent::ParkedLoaded { parked, .. } => {
                let longest = now + retry::LONGEST_WAIT;
                for event in parked.iter_mut().flatten() {
                    event.next_retry_at = self.read(event.next_retry_at).min(longest);
                }
            }
            _ => {}
        }
    }

    /// No schedule gives a longer wait than [`retry::LONGEST_WAIT`]: a row that says more was written before the clock
    /// was put back, and maybe before a restart, so that nobody knows any more when its time would be. Waiting for media
    /// is no matter of time.
    fn inward_of(self, now: Timestamp, event: &mut PendingEvent) {
        let longest = now + retry::LONGEST_WAIT;
        event.next_retry_at = event.next_retry_at.map(|at| match at {
            AWAITS_MEDIA => at,
            at => self.read(at).min(longest),
        });
    }

    /// Times that leave the machine, as the wall has them.
    pub(super) fn outward(self, effects: &mut [Effect]) {
        if self.0 == 0 {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Record(outcome) => {
                    outcome.finished_at = self.wall(outcome.finished_at);
                    outcome.next_retry_at = outcome.next_retry_at.map(|at| self.wall(at));
                }
                Effect::SetTimer { at, .. } => *at = self.wall(*at),
                // Of rows from before and after a jump some are due by one clock and some by the other. One that is
                // read early waits in the window.
                Effect::Load { query, .. } => query.now = query.now.max(self.wall(query.now)),
                _ => {}
            }
        }
    }
}

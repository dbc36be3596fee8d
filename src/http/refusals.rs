//! How fast a client that is told to ask again later (429) is told so. One that heeds `retry-after` never waits here; one that
//! asks on at once gets its next answers later and later, and holds nobody's processor and nobody's place meanwhile: a
//! connection whose request is refused makes room for others (`seats`).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wharf_domain::ClientId;

/// Refusals of one client in a second, in the long run.
const PER_SECOND: u32 = 20;
/// Time whose refusals may come at once: clients do send bursts.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The longest that one waits: below the patience of clients, and far below that of a stopping server.
const LONGEST: Duration = Duration::from_secs(5);

/// Who is refused: a client itself, or somebody who has a signed link of it. What these do delays no answer of the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    Client(ClientId),
    ByLink(ClientId),
}

/// Up to when each asker's refusals reach, at the pace that is allowed.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    until: Mutex<HashMap<Asker, Instant>>,
}

impl Refusals {
    /// Counts a refusal; answers how long it is to be held back.
    pub(super) fn hold_back(&self, asker: Asker) -> Duration {
        self.hold_back_at(Instant::now(), asker)
    }

    fn hold_back_at(&self, now: Instant, asker: Asker) -> Duration {
        let mut until = self.until.lock();
        until.retain(|_, until| *until > now);
        let reaches = until.get(&asker).copied().unwrap_or(now);
        let ahead = reaches.saturating_duration_since(now);
        // What is beyond the longest wait is not counted: whoever begins to behave has done with it soon.
        let counted = (ahead + Duration::from_secs(1) / PER_SECOND).min(AT_ONCE + LONGEST);
        until.insert(asker, now + counted);
        ahead.saturating_sub(AT_ONCE).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUDE: Asker = Asker::Client(ClientId(1));

    #[test]
    fn refusals_come_at_once_then_at_their_pace_then_after_the_longest_wait() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let waits: Vec<Duration> = (0..500).map(|_| refusals.hold_back_at(now, RUDE)).collect();
        assert!(waits[..=20].iter().all(Duration::is_zero), "{waits:?}");
        assert_eq!(waits[40], Duration::from_secs(1));
        assert!(waits.windows(2).all(|two| two[0] <= two[1]));
        assert_eq!(*waits.last().unwrap(), LONGEST);
        for other in [Asker::Client(ClientId(2)), Asker::ByLink(ClientId(1))] {
            assert_eq!(refusals.hold_back_at(now, other), Duration::ZERO, "{other:?}");
        }
        let later = now + LONGEST + AT_ONCE;
        assert_eq!(refusals.hold_back_at(later, RUDE), Duration::ZERO, "it is forgiven");
        assert_eq!(refusals.until.lock().len(), 1, "and forgotten");
    }

    #[test]
    fn whoever_waits_as_told_is_never_held_back() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        for second in 0..100 {
            for _ in 0..PER_SECOND {
                let now = begun + Duration::from_secs(second);
                assert_eq!(refusals.hold_back_at(now, RUDE), Duration::ZERO);
            }
        }
    }

    #[test]
    fn a_few_connections_get_so_many_answers_a_second() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        // Ten connections that ask again at once.
        let mut next = [begun; 10];
        let mut answers = 0;
        while let Some(at) = next
            .iter_mut()
            .min()
            .filter(|at| **at < begun + Duration::from_secs(60))
        {
            *at += refusals.hold_back_at(*at, RUDE).max(Duration::from_millis(1));
            answers += 1;
        }
        assert!((1100..1300).contains(&answers), "{answers} in a minute");
    }
}

//! Whether a receiver answers: what decides which of the slots its attempts may use (`wharf_domain::fair`).

use std::time::Duration;

use crate::{Timestamp, fair::Standing};

/// Attempts at once at a receiver of which nothing is known yet; more of them are doubtful.
const UNTRIED: u32 = 1;
/// A receiver with attempts under way that answers none of them for so long is in doubt. Half of a client's 64 slots and
/// one more for each of 25 dead receivers leave some; with two each nothing was left (`load fair --rate 100`).
const SILENCE: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Whether the last attempt that ended had an answer; `None` before the first, and while none held its slot for long.
    answers: Option<bool>,
    /// Attempts that have begun and not ended. An outcome that is on its way to the store is none: nothing is heard of it.
    under_way: u32,
    /// While attempts are under way: when the first of them began, or when something was last heard.
    silent_since: Option<Timestamp>,
}

impl Doubt {
    /// `failing`: what was last known of the receiver is that events failed.
    pub(super) fn new(failing: bool) -> Self {
        Self {
            answers: failing.then_some(false),
            ..Self::default()
        }
    }

    pub(super) fn started(&mut self, now: Timestamp) {
        self.under_way = self.under_way.saturating_add(1);
        self.silent_since.get_or_insert(now);
    }

    /// Takes the last [`Doubt::started`] back.
    pub(super) fn not_started(&mut self) {
        self.one_less();
    }

    /// An attempt ended, with an answer or without. One that failed at once (a refused connection, say) held no slot that
    /// another could have used.
    pub(super) fn ended(&mut self, now: Timestamp, answered: bool, took: Duration) {
        if answered {
            self.silent_since = Some(now);
        }
        if answered || took > SILENCE {
            self.answers = Some(answered);
        }
        self.one_less();
    }

    /// Where nothing is under way nothing is silent.
    fn one_less(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        if self.under_way == 0 {
            self.silent_since = None;
        }
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        let silent = self.silent_since.is_some_and(|since| now.since(since) > SILENCE);
        match self.answers {
            Some(true) if !silent => Standing::Sound,
            None if !silent && self.under_way <= UNTRIED => Standing::Untried,
            _ => Standing::Doubtful,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(3);
    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_receiver_is_in_doubt_while_it_is_silent() {
        let at = Timestamp;
        let mut doubt = Doubt::default();
        for n in 0..UNTRIED {
            doubt.started(at(0));
            assert_eq!(doubt.standing(at(0)), Standing::Untried, "{n}");
        }
        doubt.started(at(1));
        assert_eq!(doubt.standing(at(1)), Standing::Doubtful, "nothing was heard of it yet");
        doubt.ended(at(20), true, SHORT);
        assert_eq!(doubt.standing(at(20)), Standing::Sound);
        assert_eq!(doubt.standing(at(520)), Standing::Sound);
        assert_eq!(doubt.standing(at(521)), Standing::Doubtful, "silent for half a second");
        doubt.ended(at(1500), false, LONG);
        doubt.started(at(9000));
        assert_eq!(
            doubt.standing(at(9000)),
            Standing::Doubtful,
            "the last one had no answer"
        );
        doubt.ended(at(9001), true, SHORT);
        assert_eq!(doubt.standing(at(99_000)), Standing::Sound, "idle is not silent");
    }

    #[test]
    fn a_receiver_that_failed_before_is_in_doubt_until_it_answers() {
        let at = Timestamp;
        let mut doubt = Doubt::new(true);
        doubt.started(at(0));
        assert_eq!(doubt.standing(at(0)), Standing::Doubtful);
        doubt.ended(at(20), true, SHORT);
        assert_eq!(doubt.standing(at(20)), Standing::Sound);
        assert_eq!(Doubt::new(false).standing(at(0)), Standing::Untried);
    }

    #[test]
    fn an_attempt_that_waits_for_its_slot_leaves_the_silence_of_an_older_one() {
        let at = Timestamp;
        let mut doubt = Doubt::default();
        doubt.started(at(0));
        doubt.ended(at(5), true, SHORT);
        doubt.started(at(10));
        doubt.started(at(400));
        doubt.not_started();
        assert_eq!(doubt.standing(at(511)), Standing::Doubtful);
        doubt.ended(at(600), true, SHORT);
        assert_eq!(doubt.standing(at(9000)), Standing::Sound);
    }

    #[test]
    fn a_failure_at_once_says_nothing_of_how_long_a_slot_is_held() {
        let at = Timestamp;
        for (answers, standing) in [(None, Standing::Untried), (Some(true), Standing::Sound)] {
            let mut doubt = Doubt {
                answers,
                ..Doubt::default()
            };
            doubt.started(at(0));
            doubt.ended(at(3), false, SHORT);
            assert_eq!(doubt.standing(at(3)), standing);
            doubt.started(at(4));
            doubt.ended(at(10_004), false, LONG);
            assert_eq!(doubt.standing(at(10_004)), Standing::Doubtful);
        }
    }
}

//! Whether a receiver answers: what decides which half of the slots its attempts may use (`wharf_domain::fair`).

use std::time::Duration;

use crate::{Timestamp, fair::Standing};

/// Attempts at once at a receiver that has not answered anything yet; more of them are doubtful.
const UNHEARD: u32 = 1;
/// A receiver with attempts under way that answers none of them for so long is in doubt. Half of a client's 64 slots and
/// one more for each of 25 dead receivers leave some; with two each nothing was left (`load fair --rate 100`).
const SILENCE: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Whether the last attempt that ended had an answer; `None` before the first.
    answers: Option<bool>,
    /// Attempts that began since something was heard.
    unheard: u32,
    /// When the first of those began, or when something was last heard while others were under way.
    silent_since: Option<Timestamp>,
}

impl Doubt {
    pub(super) fn started(&mut self, now: Timestamp) {
        self.unheard = self.unheard.saturating_add(1);
        self.silent_since.get_or_insert(now);
    }

    /// Takes the last [`Doubt::started`] back.
    pub(super) fn not_started(&mut self) {
        self.unheard = self.unheard.saturating_sub(1);
        if self.unheard == 0 {
            self.silent_since = None;
        }
    }

    /// An attempt ended, with an answer or without; `others` are still under way.
    pub(super) fn ended(&mut self, now: Timestamp, answered: bool, others: bool) {
        self.answers = Some(answered);
        if answered || !others {
            self.unheard = 0;
            self.silent_since = others.then_some(now);
        }
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        let silent = self.silent_since.is_some_and(|since| now.since(since) > SILENCE);
        let sound = match self.answers {
            Some(answers) => answers && !silent,
            None => self.unheard <= UNHEARD && !silent,
        };
        if sound { Standing::Sound } else { Standing::Doubtful }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_in_doubt_while_it_is_silent() {
        let at = Timestamp;
        let mut doubt = Doubt::default();
        for n in 0..UNHEARD {
            doubt.started(at(0));
            assert_eq!(doubt.standing(at(0)), Standing::Sound, "{n}");
        }
        doubt.started(at(1));
        assert_eq!(doubt.standing(at(1)), Standing::Doubtful, "nothing was heard of it yet");
        doubt.ended(at(20), true, true);
        assert_eq!(doubt.standing(at(20)), Standing::Sound);
        assert_eq!(doubt.standing(at(520)), Standing::Sound);
        assert_eq!(doubt.standing(at(521)), Standing::Doubtful, "silent for half a second");
        doubt.ended(at(1500), false, true);
        doubt.ended(at(1501), false, false);
        doubt.started(at(9000));
        assert_eq!(
            doubt.standing(at(9000)),
            Standing::Doubtful,
            "the last one had no answer"
        );
        doubt.ended(at(9001), true, false);
        assert_eq!(doubt.standing(at(99_000)), Standing::Sound, "idle is not silent");
    }
}

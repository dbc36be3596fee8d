//! A least pace of what comes in: whoever drips holds a turn that others wait for.

use std::time::Duration;

use wharf_domain::pace::LEAST_BYTES_PER_SECOND;

/// How fast something comes at the least.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeastPace {
    pub(crate) bytes_per_second: u32,
    /// Over how long: a stall shorter than this is made up for.
    pub(crate) window: Duration,
}

/// As much as is asked of those who send us files.
pub(crate) const LEAST_PACE: LeastPace = LeastPace {
    bytes_per_second: LEAST_BYTES_PER_SECOND,
    window: Duration::from_secs(10),
};

/// What has come within the present window.
#[derive(Debug)]
pub(crate) struct Coming {
    pub(crate) pace: LeastPace,
    waited: Duration,
    bytes: u64,
}

impl Coming {
    /// Nothing yet.
    pub(crate) fn at(pace: LeastPace) -> Self {
        Self {
            pace,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Counts a piece and how long it was waited for, which is not how long we took to use the one before; `false` when a
    /// window is over and too little came in it.
    pub(crate) fn is_in_time(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.pace.window {
            return true;
        }
        let (waited, bytes) = (std::mem::take(&mut self.waited), std::mem::take(&mut self.bytes));
        u128::from(bytes) * 1000 >= u128::from(self.pace.bytes_per_second) * waited.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_that_of_a_window() {
        let seconds = Duration::from_secs;
        let mut coming = Coming::at(LeastPace {
            bytes_per_second: 1000,
            window: seconds(10),
        });
        assert!(coming.is_in_time(seconds(9), 0), "it may be made up for");
        assert!(coming.is_in_time(seconds(1), 10_000));
        assert!(coming.is_in_time(seconds(5), 1_000_000));
        assert!(coming.is_in_time(seconds(5), 0));
        assert!(
            !coming.is_in_time(seconds(19), 18_999),
            "what came before counts no more"
        );
    }
}

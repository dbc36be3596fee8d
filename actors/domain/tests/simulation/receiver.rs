//! Receivers, each with a nature of its own.

use std::time::Duration;

use fastrand::Rng;
use wharf_domain::{AttemptResult, Timestamp};

use super::{BEGIN, LOAD_MS};

/// The deadline of an attempt (CONTRACT.md section 4), in milliseconds.
const DEADLINE_MS: i64 = 10_000;

#[derive(Debug, Clone, Copy)]
enum Nature {
    /// Answers 200 within 50 ms.
    Fine,
    /// One answer in so many is none that a client wants.
    Flaky(u32),
    /// Up for a while, then down for a while; milliseconds of each.
    OffAndOn { up: i64, down: i64 },
    /// Takes long, and too long now and then.
    Slow,
    /// One answer in so many is a 4xx.
    Picky(u32),
    /// Never answers.
    Dead,
    /// Answers 200, but refuses connections for a long time.
    Gone { from: Timestamp, until: Timestamp },
}

#[derive(Debug)]
pub(super) struct Receiver {
    nature: Nature,
    /// From then on it answers 200 within 50 ms, whatever its nature was.
    well_from: Option<Timestamp>,
}

impl Receiver {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let nature = match rng.u32(..23) {
            0..=8 => Nature::Fine,
            9..=11 => Nature::Flaky(rng.u32(2..30)),
            12..=15 => Nature::OffAndOn {
                up: rng.i64(5_000..600_000),
                down: rng.i64(5_000..300_000),
            },
            16..=17 => Nature::Picky(rng.u32(3..30)),
            18 => Nature::Slow,
            19 => Nature::Dead,
            _ => {
                let from = Timestamp(BEGIN.0 + rng.i64(0..LOAD_MS));
                Nature::Gone {
                    from,
                    until: from + Duration::from_secs(rng.u64(600..30_000)),
                }
            }
        };
        Self {
            nature,
            well_from: None,
        }
    }

    /// Whatever it is, it gets well in the end; answers when. One that is gone comes back at its own time, and is as before.
    pub(super) fn recover_at(&mut self, at: Timestamp) -> Timestamp {
        let well_from = match self.nature {
            Nature::Gone { until, .. } => until,
            _ => at,
        };
        self.well_from = Some(well_from);
        well_from
    }

    /// Whether it never was but well or not there at all.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.nature, Nature::Fine | Nature::Gone { .. })
    }

    /// Whether nobody listens at present.
    pub(super) fn is_down(&self, now: Timestamp) -> bool {
        match self.nature {
            _ if self.well_from.is_some_and(|at| at <= now) => false,
            Nature::OffAndOn { up, down } => now.0 % (up + down) >= up,
            Nature::Gone { from, until } => (from..until).contains(&now),
            _ => false,
        }
    }

    /// How an attempt that begins now will end, and after how many milliseconds.
    pub(super) fn answer(&self, now: Timestamp, rng: &mut Rng) -> (AttemptResult, i64) {
        let answered = |http_status| AttemptResult::Answered {
            http_status,
            response: None,
        };
        let soon = rng.i64(1..50);
        match self.nature {
            _ if self.well_from.is_some_and(|at| at <= now) => (answered(200), soon),
            Nature::Flaky(of) if rng.u32(..of) == 0 => (answered([500, 502, 503, 308][rng.usize(..4)]), soon),
            Nature::Picky(of) if rng.u32(..of) == 0 => (answered([400, 404, 422, 429][rng.usize(..4)]), soon),
            Nature::OffAndOn { .. } | Nature::Gone { .. } if self.is_down(now) => {
                let refused = AttemptResult::Failed {
                    code: "ECONNREFUSED",
                    detail: String::new(),
                };
                (refused, 1)
            }
            Nature::Slow => match rng.i64(100..14_000) {
                DEADLINE_MS.. => (AttemptResult::TimedOut, DEADLINE_MS),
                takes => (answered(200), takes),
            },
            Nature::Dead => (AttemptResult::TimedOut, DEADLINE_MS),
            _ => (answered(200), soon),
        }
    }
}

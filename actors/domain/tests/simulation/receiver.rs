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
    /// One answer in so many asks to be left alone for a while.
    Busy(u32),
    /// One answer in so many says that it is gone for good.
    Leaving(u32),
    /// Never answers.
    Dead,
    /// Answers 200, but refuses connections for a long time.
    Gone { from: Timestamp, until: Timestamp },
}

/// What an attempt comes to.
pub(super) struct Answer {
    pub(super) result: AttemptResult,
    /// How long it takes, in milliseconds.
    pub(super) after: i64,
    /// How long the receiver wants to be left alone from then on.
    pub(super) retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Receiver {
    nature: Nature,
    /// From then on it answers 200 within 50 ms, whatever its nature was.
    well_from: Option<Timestamp>,
}

impl Receiver {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let nature = match rng.u32(..30) {
            0..=8 => Nature::Fine,
            9..=11 => Nature::Flaky(rng.u32(2..30)),
            12..=15 => Nature::OffAndOn {
                up: rng.i64(5_000..600_000),
                down: rng.i64(5_000..300_000),
            },
            16..=17 => Nature::Picky(rng.u32(3..30)),
            18..=20 => Nature::Slow,
            21 => Nature::Dead,
            22..=25 => Nature::Busy(rng.u32(3..60)),
            26 => Nature::Leaving(rng.u32(20..400)),
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

    /// How an attempt that begins now will end.
    pub(super) fn answer(&self, now: Timestamp, rng: &mut Rng) -> Answer {
        let http_status = match self.nature {
            _ if self.well_from.is_some_and(|at| at <= now) => 200,
            Nature::Flaky(of) if rng.u32(..of) == 0 => [500, 502, 503, 308][rng.usize(..4)],
            Nature::Picky(of) if rng.u32(..of) == 0 => [400, 404, 408, 422, 425, 429][rng.usize(..6)],
            Nature::Leaving(of) if rng.u32(..of) == 0 => 410,
            Nature::Busy(of) if rng.u32(..of) == 0 => return busy(rng),
            Nature::OffAndOn { .. } | Nature::Gone { .. } if self.is_down(now) => {
                let refused = AttemptResult::Failed {
                    code: "ECONNREFUSED",
                    detail: String::new(),
                };
                return ends(refused, 1);
            }
            Nature::Slow => match rng.i64(100..14_000) {
                DEADLINE_MS.. => return ends(AttemptResult::TimedOut, DEADLINE_MS),
                takes => return ends(answered(200), takes),
            },
            Nature::Dead => return ends(AttemptResult::TimedOut, DEADLINE_MS),
            _ => 200,
        };
        ends(answered(http_status), rng.i64(1..50))
    }
}

fn answered(http_status: u16) -> AttemptResult {
    AttemptResult::Answered {
        http_status,
        response: None,
    }
}

fn ends(result: AttemptResult, after: i64) -> Answer {
    Answer {
        result,
        after,
        retry_after: None,
    }
}

/// Rarely for longer than is granted. A `Retry-After` of another status means nothing.
fn busy(rng: &mut Rng) -> Answer {
    let seconds = match rng.u8(..64) {
        0 => 90_000,
        1..4 => 900,
        other => [0, 1, 2, 5, 30, 90][usize::from(other) % 6],
    };
    Answer {
        retry_after: Some(Duration::from_secs(seconds)),
        ..ends(answered([429, 503, 503, 429, 500, 404][rng.usize(..6)]), rng.i64(1..50))
    }
}

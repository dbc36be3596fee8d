//! Receivers, each with a nature of its own.

use fastrand::Rng;
use wharf_domain::{AttemptResult, Timestamp};

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
}

#[derive(Debug)]
pub(super) struct Receiver(Nature);

impl Receiver {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self(match rng.u32(..20) {
            0..=8 => Nature::Fine,
            9..=11 => Nature::Flaky(rng.u32(2..30)),
            12..=15 => Nature::OffAndOn {
                up: rng.i64(5_000..600_000),
                down: rng.i64(5_000..300_000),
            },
            16..=17 => Nature::Picky(rng.u32(3..30)),
            18 => Nature::Slow,
            _ => Nature::Dead,
        })
    }

    /// Whether nobody listens at present.
    pub(super) fn is_down(&self, now: Timestamp) -> bool {
        matches!(self.0, Nature::OffAndOn { up, down } if now.0 % (up + down) >= up)
    }

    /// How an attempt that begins now will end, and after how many milliseconds.
    pub(super) fn answer(&self, now: Timestamp, rng: &mut Rng) -> (AttemptResult, i64) {
        let answered = |http_status| AttemptResult::Answered {
            http_status,
            response: None,
        };
        let soon = rng.i64(1..50);
        match self.0 {
            Nature::Flaky(of) if rng.u32(..of) == 0 => (answered([500, 502, 503, 308][rng.usize(..4)]), soon),
            Nature::Picky(of) if rng.u32(..of) == 0 => (answered([400, 404, 422, 429][rng.usize(..4)]), soon),
            Nature::OffAndOn { .. } if self.is_down(now) => {
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

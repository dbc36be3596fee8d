//! What a webhook's owner may ask of its deliveries beyond the target and the budget: how many at once, how fast, how
//! long, in which order, and what happens after a failure. The defaults are CONTRACT.md section 4 as it stands.

mod headers;

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::{InvalidField, words};

pub use headers::{HEADERS_MAX_BYTES, HEADERS_MAX_COUNT, HeaderNames, OwnHeaders};

/// The deadline of one attempt when the owner does not say (CONTRACT.md section 4), in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u32 = 10_000;
/// The fastest pace that can be asked for, in attempts per second: a pace beyond it is the same as none.
pub const FASTEST_PER_SECOND: u32 = 1000;

words! {
    /// Which events of a webhook wait for each other.
    #[derive(Default)]
    pub enum Ordering {
        /// Those of one chat, in the order in which they arrived.
        #[default]
        Chat = "chat",
        /// None of them.
        None = "none",
    }
}

words! {
    /// What becomes of events whose budget is used up.
    #[derive(Default)]
    pub enum Recovery {
        /// They wait for a person.
        #[default]
        Manual = "manual",
        /// They go out again once the receiver is well.
        Auto = "auto",
    }
}

/// The client errors after which an event is attempted again: a set of 400 to 499. 410 is never in it, by which a receiver says
/// that it is gone for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClientErrors(u128);

impl ClientErrors {
    /// The empty set.
    pub const NONE: Self = Self(0);

    const FIRST: u16 = 400;
    const LAST: u16 = 499;
    const GONE: u16 = 410;

    /// The bit that stands for this status, if it may be in a set.
    fn bit(http_status: u16) -> Option<u128> {
        let may_be = (Self::FIRST..=Self::LAST).contains(&http_status) && http_status != Self::GONE;
        may_be.then(|| 1 << (http_status - Self::FIRST))
    }

    /// Whether this status is in the set.
    pub fn contains(self, http_status: u16) -> bool {
        Self::bit(http_status).is_some_and(|bit| self.0 & bit != 0)
    }

    /// The statuses in the set, ascending.
    pub fn codes(self) -> impl Iterator<Item = u16> {
        (Self::FIRST..=Self::LAST).filter(move |code| self.contains(*code))
    }

    /// The set of these statuses; the same one twice is once. `None` when one may not be in it.
    pub fn of(codes: impl IntoIterator<Item = u64>) -> Option<Self> {
        codes.into_iter().try_fold(Self::NONE, |set, code| {
            let bit = u16::try_from(code).ok().and_then(Self::bit)?;
            Some(Self(set.0 | bit))
        })
    }
}

impl Serialize for ClientErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.codes())
    }
}

/// What the owner asked for, but for the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Courtesy {
    /// Attempts at once; `None` is as many as the configuration allows.
    pub max_in_flight: Option<u32>,
    /// Attempts that start in any second, at the most; `None` is no pace.
    pub max_per_second: Option<u32>,
    /// An attempt's time for everything, in milliseconds.
    pub timeout_ms: u32,
    /// Which events wait for each other.
    pub ordering: Ordering,
    /// Client errors that are worth another attempt.
    pub retry_client_errors: ClientErrors,
    /// What becomes of events whose budget is used up.
    pub recovery: Recovery,
}

impl Default for Courtesy {
    fn default() -> Self {
        Self {
            max_in_flight: None,
            max_per_second: None,
            timeout_ms: DEFAULT_TIMEOUT_MS,
            ordering: Ordering::Chat,
            retry_client_errors: ClientErrors::default(),
            recovery: Recovery::Manual,
        }
    }
}

impl Courtesy {
    /// An attempt's time for everything.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}

/// A change; `None` leaves a value as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CourtesyPatch {
    /// `Some(None)` goes back to the configuration's.
    pub max_in_flight: Option<Option<u32>>,
    /// `Some(None)` takes the pace away.
    pub max_per_second: Option<Option<u32>>,
    /// A new deadline.
    pub timeout_ms: Option<u32>,
    /// A new order.
    pub ordering: Option<Ordering>,
    /// A new set.
    pub retry_client_errors: Option<ClientErrors>,
    /// The new recovery.
    pub recovery: Option<Recovery>,
}

impl CourtesyPatch {
    /// What `courtesy` becomes.
    #[must_use]
    pub fn apply(self, courtesy: Courtesy) -> Courtesy {
        Courtesy {
            max_in_flight: self.max_in_flight.unwrap_or(courtesy.max_in_flight),
            max_per_second: self.max_per_second.unwrap_or(courtesy.max_per_second),
            timeout_ms: self.timeout_ms.unwrap_or(courtesy.timeout_ms),
            ordering: self.ordering.unwrap_or(courtesy.ordering),
            retry_client_errors: self.retry_client_errors.unwrap_or(courtesy.retry_client_errors),
            recovery: self.recovery.unwrap_or(courtesy.recovery),
        }
    }
}

impl From<Courtesy> for CourtesyPatch {
    fn from(courtesy: Courtesy) -> Self {
        Self {
            max_in_flight: Some(courtesy.max_in_flight),
            max_per_second: Some(courtesy.max_per_second),
            timeout_ms: Some(courtesy.timeout_ms),
            ordering: Some(courtesy.ordering),
            retry_client_errors: Some(courtesy.retry_client_errors),
            recovery: Some(courtesy.recovery),
        }
    }
}

/// Checks how many attempts a webhook may have at once, against what the configuration allows.
///
/// # Errors
/// `InvalidField` when it is not 1 to `most`.
pub fn check_max_in_flight(asked: u32, most: usize) -> Result<u32, InvalidField> {
    if asked >= 1 && usize::try_from(asked).is_ok_and(|asked| asked <= most) {
        return Ok(asked);
    }
    Err(InvalidField::new(
        "max_in_flight",
        format!("must be null or a whole number from 1 to {most} (delivery.max_in_flight_per_webhook)"),
    ))
}

/// Checks a pace.
///
/// # Errors
/// `InvalidField` when it is not 1 to 1000 a second.
pub fn check_max_per_second(asked: i64) -> Result<u32, InvalidField> {
    match u32::try_from(asked) {
        Ok(value @ 1..=FASTEST_PER_SECOND) => Ok(value),
        _ => Err(InvalidField::new(
            "max_per_second",
            "must be null or a whole number from 1 to 1000",
        )),
    }
}

/// Checks the deadline of an attempt.
///
/// # Errors
/// `InvalidField` when it is not 1000 to 30000 ms.
pub fn check_timeout_ms(asked: i64) -> Result<u32, InvalidField> {
    match u32::try_from(asked) {
        Ok(value @ 1000..=30_000) => Ok(value),
        _ => Err(InvalidField::new(
            "timeout_ms",
            "must be a whole number from 1000 to 30000",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_errors_are_a_set_without_410() {
        let set = ClientErrors::of([429, 408, 429]).unwrap();
        assert_eq!(set.codes().collect::<Vec<_>>(), [408, 429]);
        assert!(set.contains(408) && !set.contains(425) && !set.contains(404));
        assert_eq!(serde_json::to_string(&set).unwrap(), "[408,429]");
        let all = ClientErrors::of((400..500).filter(|code| *code != 410)).unwrap();
        assert_eq!(all.codes().count(), 99);
        assert!(all.contains(400) && all.contains(499) && !all.contains(410) && !all.contains(503));
        for never in [0, 200, 399, 410, 500, 503, 65_536 + 404] {
            assert_eq!(ClientErrors::of([408, never]), None, "{never}");
        }
        assert_eq!(ClientErrors::of([]), Some(ClientErrors::NONE));
        assert_eq!(serde_json::to_string(&ClientErrors::default()).unwrap(), "[]");
    }

    #[test]
    fn limits_are_where_the_contract_has_them() {
        assert_eq!(check_timeout_ms(1000), Ok(1000));
        assert_eq!(check_timeout_ms(30_000), Ok(30_000));
        for bad in [999, 30_001, -1, i64::MAX] {
            assert_eq!(check_timeout_ms(bad).unwrap_err().field, "timeout_ms");
        }
        assert_eq!(check_max_per_second(1000), Ok(1000));
        for bad in [0, 1001, -5] {
            assert_eq!(check_max_per_second(bad).unwrap_err().field, "max_per_second");
        }
        for all in [1, 16] {
            assert_eq!(check_max_in_flight(all, 16), Ok(all));
        }
        for bad in [0, 17] {
            assert!(check_max_in_flight(bad, 16).unwrap_err().message.contains("1 to 16"));
        }
    }

    #[test]
    fn a_patch_leaves_the_rest_alone() {
        // Nothing of it is what is meant by itself.
        let asked = Courtesy {
            max_in_flight: Some(3),
            max_per_second: Some(5),
            timeout_ms: 7000,
            ordering: Ordering::None,
            retry_client_errors: ClientErrors::of([429]).unwrap(),
            recovery: Recovery::Auto,
        };
        assert_eq!(CourtesyPatch::default().apply(asked), asked);
        assert_eq!(CourtesyPatch::from(asked).apply(Courtesy::default()), asked);
        let patch = CourtesyPatch {
            max_per_second: Some(None),
            ..CourtesyPatch::default()
        };
        assert_eq!(
            patch.apply(asked),
            Courtesy {
                max_per_second: None,
                ..asked
            }
        );
    }
}

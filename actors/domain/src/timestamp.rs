//! Points in time.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Unix milliseconds, UTC. RFC 3339 in JSON, an integer in SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The last moment that RFC 3339 can write (year 9999); later ones are shown as this.
    const MAX_WRITABLE: i64 = 253_402_300_799_999;
    /// The first one (year 0).
    const MIN_WRITABLE: i64 = -62_167_219_200_000;

    /// From Unix seconds, as WhatsApp gives them.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// From RFC 3339, with any offset; below a millisecond it is cut. `None` when it is none.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        Some(Self(time.timestamp_millis()))
    }

    /// Whole Unix seconds, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long from `earlier` to this, zero if it is not later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 with whole seconds, as the payload has it (CONTRACT.md section 3).
    pub fn to_rfc3339_seconds(self) -> String {
        self.format(SecondsFormat::Secs)
    }

    fn format(self, precision: SecondsFormat) -> String {
        let writable = self.0.clamp(Self::MIN_WRITABLE, Self::MAX_WRITABLE);
        DateTime::from_timestamp_millis(writable)
            .unwrap_or_default()
            .to_rfc3339_opts(precision, true)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(duration)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format(SecondsFormat::Millis))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_rfc3339(&text).ok_or_else(|| D::Error::custom("not a time as RFC 3339 has it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_rfc3339_utc() {
        let time = Timestamp(1_762_352_580_123);
        assert_eq!(time.to_string(), "2025-11-05T14:23:00.123Z");
        assert_eq!(time.to_rfc3339_seconds(), "2025-11-05T14:23:00Z");
    }

    #[test]
    fn is_read_from_rfc3339_with_any_offset() {
        for text in [
            "2025-11-05T14:23:00.123Z",
            "2025-11-05T11:23:00.123-03:00",
            "2025-11-05t14:23:00.1234z",
        ] {
            assert_eq!(
                Timestamp::from_rfc3339(text),
                Some(Timestamp(1_762_352_580_123)),
                "{text}"
            );
        }
        for text in [
            "",
            "2025-11-05",
            "1762352580",
            "2025-11-05T14:23:00",
            "2025-13-05T14:23:00Z",
        ] {
            assert_eq!(Timestamp::from_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn extremes_are_written_not_panicked_on() {
        for time in [
            Timestamp(i64::MAX),
            Timestamp(i64::MIN),
            Timestamp::from_seconds(i64::MAX),
        ] {
            assert!(time.to_string().ends_with('Z'));
            assert_eq!((time + Duration::MAX).0, time.0.saturating_add(i64::MAX));
        }
    }
}

//! When a download that failed is tried again. Its event waits meanwhile, and the chat behind it: so the tries are few,
//! and the longest wait is a matter of a minute.

use std::time::Duration;

use crate::message::MediaError;

/// The wait before the second try; three times as long before each further one (2, 6, 18, 54 s).
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Tries, where WhatsApp could not be reached or what came was damaged.
pub const MOST_TRIES: u32 = 5;
/// Tries, where WhatsApp says that it has no such file: its hosts do not learn of one at the same moment.
const TRIES_WHEN_GONE: u32 = 2;

/// How long to wait after try number `tries` failed with `error`; `None` when that was the last one.
pub fn wait(error: MediaError, tries: u32) -> Option<Duration> {
    let most = match error {
        MediaError::Unreachable | MediaError::ProxyFailed | MediaError::Corrupt | MediaError::Storage => MOST_TRIES,
        MediaError::Gone => TRIES_WHEN_GONE,
        MediaError::Incomplete | MediaError::Quota => 1,
    };
    (tries < most).then(|| FIRST_WAIT.saturating_mul(3_u32.saturating_pow(tries.saturating_sub(1))))
}

/// How long one try may take for a file of `bytes`: two minutes, and a second for each 64 KiB. One of which nobody says how large it is
/// has the two minutes: its chat waits, whatever room there is for it.
pub fn deadline(bytes: Option<u64>) -> Duration {
    Duration::from_secs(120_u64.saturating_add(bytes.unwrap_or(0) / (64 * 1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_and_end() {
        let waits = |error| -> Vec<Option<u64>> {
            (1..=MOST_TRIES)
                .map(|tries| wait(error, tries).map(|wait| wait.as_secs()))
                .collect()
        };
        let patient = [Some(2), Some(6), Some(18), Some(54), None];
        assert_eq!(waits(MediaError::Unreachable), patient);
        assert_eq!(waits(MediaError::ProxyFailed), patient);
        assert_eq!(waits(MediaError::Corrupt), patient);
        assert_eq!(waits(MediaError::Storage), patient);
        assert_eq!(waits(MediaError::Gone), [Some(2), None, None, None, None]);
        assert_eq!(waits(MediaError::Quota), [None; 5]);
        assert_eq!(waits(MediaError::Incomplete), [None; 5]);
        assert_eq!(wait(MediaError::Corrupt, u32::MAX), None);
    }

    #[test]
    fn a_large_file_has_more_time() {
        assert_eq!(deadline(Some(0)), Duration::from_secs(120));
        assert_eq!(deadline(Some(64 << 20)), Duration::from_secs(120 + 1024));
        assert_eq!(deadline(None), deadline(Some(0)));
    }
}

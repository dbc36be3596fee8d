//! When a download that failed is tried again. Its event waits meanwhile, and the chat behind it: so the tries are few, but where
//! the file would be lost for want of room on the disk, and the longest wait is a minute.

use std::time::Duration;

use crate::message::{Asked, MediaError};

/// The wait before the second try; three times as long before each further one (2, 6, 18, 54 s).
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// None is longer, see [`wait`].
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Tries. Those of a file that WhatsApp's hosts do not have may end before, see [`when_gone`].
pub const MOST_TRIES: u32 = 5;

/// Tries while it is this machine that cannot keep the file: about an hour, in which somebody may make room on its disk. What is
/// not kept then is lost.
const STORAGE_TRIES: u32 = MOST_TRIES + 60;

/// How long to wait after try number `tries` failed with `error`; `None` when that was the last one.
pub fn wait(error: MediaError, tries: u32) -> Option<Duration> {
    let most = match error {
        MediaError::Unreachable | MediaError::ProxyFailed | MediaError::Corrupt | MediaError::Gone => MOST_TRIES,
        MediaError::Storage => STORAGE_TRIES,
        MediaError::Incomplete | MediaError::Quota => 1,
    };
    let longer = 3_u32.saturating_pow(tries.saturating_sub(1));
    (tries < most).then(|| FIRST_WAIT.saturating_mul(longer).min(LONGEST_WAIT))
}

/// What follows when one of WhatsApp's hosts says that it has no such file. They do not learn of one at the same moment, so that
/// the other one, which the next try asks, has a word, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenGone {
    /// The account's phone is asked to upload it again.
    Ask,
    /// The other host is asked; afterwards this is what the phone did.
    OtherHost(Asked),
    /// Nobody has it.
    End,
}

/// See [`WhenGone`].
pub fn when_gone(asked: Asked) -> WhenGone {
    match asked {
        Asked::No => WhenGone::Ask,
        Asked::Uploaded => WhenGone::OtherHost(Asked::UploadedAndGone),
        Asked::Refused | Asked::UploadedAndGone => WhenGone::End,
    }
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
        let hour: Duration = (1..)
            .map_while(|tries| wait(MediaError::Storage, tries))
            .inspect(|wait| assert!(*wait <= LONGEST_WAIT))
            .sum();
        assert!((3_600..3_900).contains(&hour.as_secs()), "{hour:?}");
        assert_eq!(waits(MediaError::Gone), patient);
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

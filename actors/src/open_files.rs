//! How many files and sockets the process may have open at once.
//!
//! Shells and service managers begin a process with 1,024, for the sake of programs that use `select`, and let it have far
//! more when it asks. A gateway asks: it needs one for each number, each connection of the API and each delivery under way.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What macOS lets a process have where it says that there is no limit (`OPEN_MAX` in `sys/syslimits.h`); more is `EINVAL`.
const OPEN_MAX: u64 = 10_240;

/// Raises the limit as far as the process may without anybody's leave, and answers what it is then; `None` when there is none.
pub fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    for current in better(limit.current, limit.maximum) {
        let raised = Rlimit {
            current,
            maximum: limit.maximum,
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => return current,
            Err(error) => tracing::debug!(%error, ?current, "the limit of open files cannot be this"),
        }
    }
    limit.current
}

/// What the limit may be raised to, the highest first.
fn better(current: Option<u64>, maximum: Option<u64>) -> impl Iterator<Item = Option<u64>> {
    let known = current.filter(|current| maximum.is_none() && *current < OPEN_MAX);
    let best = (current != maximum).then_some(maximum);
    best.into_iter().chain(known.map(|_| Some(OPEN_MAX)))
}

/// How many of `wanted` connections the API may have: half of what may be open at the most, so that whoever opens
/// connections to it, which needs no token, cannot take the numbers' and the deliveries' away.
pub fn for_the_api(wanted: usize, limit: Option<u64>) -> usize {
    let half = limit.map_or(u64::MAX, |limit| (limit / 2).max(1));
    wanted.min(usize::try_from(half).unwrap_or(usize::MAX))
}

/// Whether the process, or the machine, has as many files open as it may.
pub(crate) fn is_shortage_of_files(error: &io::Error) -> bool {
    /// `ENFILE` and `EMFILE`, the same on every Unix.
    const CODES: [i32; 2] = [23, 24];
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_has_half_of_what_may_be_open_at_the_most() {
        assert_eq!(for_the_api(1024, Some(524_288)), 1024);
        assert_eq!(for_the_api(1024, Some(1024)), 512);
        assert_eq!(for_the_api(1024, None), 1024);
        assert_eq!(for_the_api(1024, Some(0)), 1);
    }

    #[test]
    fn a_limit_that_is_said_to_be_none_is_tried_and_then_what_macos_has() {
        let better = |current, maximum| better(current, maximum).collect::<Vec<_>>();
        assert_eq!(better(Some(256), None), [None, Some(10_240)]);
        assert_eq!(better(Some(1024), Some(524_288)), [Some(524_288)]);
        assert_eq!(better(Some(20_000), None), [None], "nothing is lowered");
        assert_eq!(better(Some(1024), Some(1024)), []);
        assert_eq!(better(None, None), []);
    }

    #[test]
    fn the_limit_is_what_the_process_may_have() {
        let limit = raise();
        assert_eq!(getrlimit(Resource::Nofile).current, limit);
        assert_eq!(raise(), limit, "a second time changes nothing");
    }
}

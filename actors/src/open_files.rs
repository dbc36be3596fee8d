//! How many files and sockets the process may have open at once.
//!
//! Shells and service managers begin a process with 1,024, for the sake of programs that use `select`, and let it have far
//! more when it asks. A gateway asks: it needs one for each number, each connection of the API and each delivery under way.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the process may without anybody's leave, and answers what it is then; `None` when there is none.
pub fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current == raised.current {
        return limit.current;
    }
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it was");
            limit.current
        }
    }
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
    fn the_limit_is_what_the_process_may_have() {
        let limit = raise();
        assert_eq!(getrlimit(Resource::Nofile).current, limit);
        assert_eq!(raise(), limit, "a second time changes nothing");
    }
}

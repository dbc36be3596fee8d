//! Waiting on a condition.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Short enough not to slow a test down, long enough not to busy a core.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What a probe says: there yet, or why not.
pub trait Verdict {
    /// What the wait returns when it is there.
    type Value;

    /// The value, or what is missing.
    fn verdict(self) -> Result<Self::Value, String>;
}

impl Verdict for bool {
    type Value = ();

    fn verdict(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("it is false".into()) }
    }
}

impl<T> Verdict for Option<T> {
    type Value = T;

    fn verdict(self) -> Result<T, String> {
        self.ok_or_else(|| "there is none".into())
    }
}

impl<T, E: Display> Verdict for Result<T, E> {
    type Value = T;

    fn verdict(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// Asks `probe` until it says yes and returns what it gave. A probe answers with a `bool`, an `Option`, or a `Result`
/// whose error says what it saw instead.
///
/// # Panics
/// When `within` has passed, with `what`, the place of the call and the last thing the probe said. A probe that itself
/// hangs is cut off then, too.
#[track_caller]
pub fn wait_until<P, F>(what: &str, within: Duration, probe: P) -> impl Future<Output = <F::Output as Verdict>::Value>
where
    P: FnMut() -> F,
    F: Future,
    F::Output: Verdict,
{
    // Taken here: an async function does not know its caller.
    let place = std::panic::Location::caller();
    wait(what.to_owned(), place, within, probe)
}

async fn wait<P, F>(
    what: String,
    place: &'static std::panic::Location<'static>,
    within: Duration,
    mut probe: P,
) -> <F::Output as Verdict>::Value
where
    P: FnMut() -> F,
    F: Future,
    F::Output: Verdict,
{
    let deadline = Instant::now() + within;
    let mut pause = FIRST_PAUSE;
    let mut seen = "nothing was seen".to_owned();
    loop {
        match tokio::time::timeout_at(deadline.into(), probe())
            .await
            .map(Verdict::verdict)
        {
            Ok(Ok(value)) => return value,
            Ok(Err(missing)) => seen = missing,
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            panic!("waited {within:?} in vain for: {what} (at {place}); last: {seen}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_what_the_probe_found() {
        let mut asked = 0;
        let value = wait_until("the third time", Duration::from_secs(5), || {
            asked += 1;
            std::future::ready((asked == 3).then_some(asked))
        });
        assert_eq!(value.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "in vain for: rain (at tests/support/src/wait.rs")]
    async fn says_what_it_waited_for_and_where() {
        wait_until("rain", Duration::from_millis(20), || async { Err::<(), _>("the sun") }).await;
    }

    #[tokio::test]
    #[should_panic(expected = "nothing was seen")]
    async fn a_probe_that_hangs_is_cut_off() {
        wait_until("an answer", Duration::from_millis(20), std::future::pending::<bool>).await;
    }
}

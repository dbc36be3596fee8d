//! Which bodies are kept in memory, and which the store is asked for.

use std::time::Duration;

use super::{desk::*, store::body};
use crate::KEPT_PAYLOAD_BYTES;

/// Events from this one on have bodies that are not kept.
const LARGE: usize = 10_000;

#[test]
fn a_large_body_is_there_for_an_attempt_that_begins_at_once_and_for_no_other() {
    assert!(body(LARGE).len() > KEPT_PAYLOAD_BYTES && body(9).len() <= KEPT_PAYLOAD_BYTES);
    let mut desk = Desk::new(CONFIG);
    assert_eq!(desk.arrive(LARGE, "a"), [attempt(LARGE, 1)]);
    assert_eq!(desk.arrive(LARGE + 1, "a"), []);
    assert_eq!(desk.arrive(LARGE + 2, "b"), [attempt(LARGE + 2, 1)]);
    assert_eq!(desk.arrive(LARGE + 3, "c"), []);
    assert_eq!(desk.arrive(9, "d"), []);
    desk.end(LARGE, 1, answered(200));
    assert_eq!(desk.commit(LARGE, 1), [without_body(LARGE + 3, 1)]);
    desk.end(LARGE + 3, 1, answered(200));
    assert_eq!(desk.commit(LARGE + 3, 1), [attempt(9, 1)]);
    desk.end(9, 1, answered(200));
    assert_eq!(desk.commit(9, 1), [without_body(LARGE + 1, 1)]);
}

#[test]
fn what_is_behind_an_event_that_waits_is_left_to_the_store() {
    let mut desk = Desk::new(CONFIG);
    assert_eq!(desk.arrive(1, "a"), [attempt(1, 1)]);
    assert_eq!(desk.arrive(2, "a"), []);
    desk.end(1, 1, answered(500));
    let timer = desk.commit(1, 1);
    assert_eq!(desk.arrive(3, "a"), []);
    assert_eq!(desk.wait(&timer, Duration::from_secs(5)), [attempt(1, 2)]);
    assert_eq!(desk.arrive(4, "a"), []);
    desk.end(1, 2, answered(200));
    assert_eq!(desk.commit(1, 2), [without_body(2, 1)]);
    desk.end(2, 1, answered(200));
    assert_eq!(desk.commit(2, 1), [without_body(3, 1)]);
    desk.end(3, 1, answered(200));
    assert_eq!(
        desk.commit(3, 1),
        [attempt(4, 1)],
        "it came when the first one was being attempted"
    );
}

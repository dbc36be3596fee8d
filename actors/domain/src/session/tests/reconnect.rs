//! How long it waits before it tries again.

use std::time::Duration;

use super::{super::*, desk::*};

/// The link is lost; how long until the next one opens, which it then does.
fn pause(desk: &mut Desk) -> Duration {
    desk.link(lost());
    desk.timer = None;
    assert_eq!(desk.gone(), []);
    let (at, _) = desk.timer.expect("a pause");
    let pause = at.since(desk.now);
    assert_eq!(desk.fire(), [open(desk.generation())]);
    pause
}

#[test]
fn failures_in_a_row_double_the_pause_up_to_a_minute() {
    for (jitter, expected) in [
        (0.0, [1, 2, 4, 8, 16, 30, 30, 30]),
        (1.0, [2, 4, 8, 16, 32, 60, 60, 60]),
    ] {
        let mut desk = Desk::at(Place::Opening);
        desk.jitter = jitter;
        for (n, seconds) in (1..).zip(expected) {
            assert_eq!(pause(&mut desk), Duration::from_secs(seconds));
            assert_eq!(desk.machine.view().reconnect_attempts, n);
        }
        desk.link(connected());
        assert_eq!(desk.machine.view().reconnect_attempts, 0);
    }
}

#[test]
fn the_back_off_holds_for_any_level_and_jitter() {
    for level in [0, 1, 5, 6, 7, 31, 32, 64, u32::MAX] {
        for jitter in [-1.0, 0.0, 0.5, 1.0, 9.0] {
            let wait = backoff::wait(level, jitter);
            assert!(
                wait >= Duration::from_millis(500) && wait <= Duration::from_secs(60),
                "{wait:?}"
            );
        }
    }
    assert_eq!(backoff::wait(0, 1.0), Duration::from_secs(1));
}

#[test]
fn a_steady_connection_makes_the_next_reconnect_quick_and_a_flapping_one_does_not() {
    let mut desk = Desk::at(Place::Opening);
    desk.jitter = 1.0;
    let mut after = |lasts: u64| {
        desk.link(connected());
        desk.pass(lasts);
        pause(&mut desk).as_secs()
    };
    assert_eq!([29, 0, 3, 29, 1].map(&mut after), [2, 4, 8, 16, 32], "it flaps");
    assert_eq!([30, 31, 86_400].map(&mut after), [1, 1, 1], "it was steady");
    assert_eq!(after(29), 2);
}

#[test]
fn connect_starts_the_back_off_anew() {
    for when in [Place::Pausing, Place::Reopening] {
        let mut desk = Desk::at(Place::Opening);
        desk.jitter = 1.0;
        for _ in 0..4 {
            pause(&mut desk);
        }
        desk.link(lost());
        if when == Place::Pausing {
            desk.gone();
            desk.step(SessionEvent::Connect);
        } else {
            desk.step(SessionEvent::Connect);
            desk.gone();
        }
        assert_eq!(pause(&mut desk), Duration::from_secs(2), "{when:?}");
    }
}

#[test]
fn a_ban_that_is_over_by_our_clock_is_not_hammered_on() {
    let mut desk = Desk::at(Place::Opening);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let detail = "temporary ban".to_owned();
        let until = Some(Timestamp(desk.now.0 - 1_000_000));
        desk.link(LinkEvent::Closed(CloseReason::Banned { detail, until }));
        desk.timer = None;
        assert_eq!(desk.gone(), []);
        pauses.push(desk.timer.unwrap().0.since(desk.now).as_secs());
        desk.fire();
    }
    assert_eq!(pauses, [4, 4, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn a_ban_without_reachable_end_overflows_nothing() {
    let mut desk = Desk::at(Place::Opening);
    let detail = String::new();
    let until = Some(Timestamp(i64::MAX));
    desk.link(LinkEvent::Closed(CloseReason::Banned { detail, until }));
    assert_eq!(desk.gone(), []);
    assert_eq!(desk.step(SessionEvent::Connect), [open(3), SessionEffect::Save]);
}

/// The timer sleeps a length of time; a clock that was set back meanwhile is no reason to sleep again.
#[test]
fn a_clock_that_is_set_back_does_not_prolong_a_pause() {
    let year = 365 * 86_400_000;
    let mut desk = Desk::at(Place::Reopening);
    desk.now = Timestamp(NOW.0 - year);
    assert_eq!(desk.gone(), []);
    let (at, generation) = desk.timer.unwrap();
    assert!(at.since(desk.now) <= Duration::from_secs(60), "{at}");
    desk.now = Timestamp(desk.now.0 - year);
    assert_eq!(desk.step(SessionEvent::TimerFired { generation }), [open(3)]);
}

#[test]
fn what_logged_out_or_failed_stays_so_until_connect() {
    for (place, status) in [
        (Place::LoggedOut, ConnectionStatus::LoggedOut),
        (Place::Failed, ConnectionStatus::Failed),
    ] {
        let mut desk = Desk::at(place);
        let generation = desk.machine.timer_generation;
        for event in [
            SessionEvent::TimerFired { generation },
            SessionEvent::Disconnect,
            SessionEvent::LinkGone { generation: 2 },
        ] {
            assert_eq!(desk.step(event), []);
            assert_eq!((desk.shown().0, desk.shown().2), (status, false));
            assert!(desk.shown().1.is_some(), "it still says why");
        }
        assert_eq!(desk.step(SessionEvent::Connect), [open(3), SessionEffect::Save]);
    }
}

//! How long it waits before it tries again.

use std::time::Duration;

use super::{super::*, desk::*};

/// The link is lost; how long until the next one opens, which it then does.
fn pause(desk: &mut Desk) -> Duration {
    pause_after(desk, lost())
}

fn pause_after(desk: &mut Desk, end: LinkEvent) -> Duration {
    desk.link(end);
    desk.timer = None;
    assert_eq!(desk.gone(), []);
    let (at, _) = desk.timer.expect("a pause");
    let pause = at.since(desk.now);
    assert_eq!(desk.fire(), [open(desk.generation())]);
    pause
}

#[test]
fn failures_in_a_row_double_the_pause_up_to_forty_seconds() {
    for (jitter, expected) in [
        (0.0, [1, 2, 4, 8, 16, 20, 20, 20]),
        (1.0, [2, 4, 8, 16, 32, 40, 40, 40]),
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
                wait >= Duration::from_millis(500) && wait <= Duration::from_secs(40),
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
fn a_link_that_was_given_up_for_what_it_did_not_bring_was_none_that_is_steady() {
    let mut desk = Desk::at(Place::Opening);
    desk.jitter = 1.0;
    for seconds in [2, 4, 8] {
        desk.link(connected());
        desk.pass(180);
        let end = LinkEvent::Closed(CloseReason::Incomplete("no settings".to_owned()));
        assert_eq!(pause_after(&mut desk, end).as_secs(), seconds);
    }
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
        desk.fire();
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
    assert_eq!(pauses, [4, 4, 4, 8, 16, 20, 20, 20]);
}

#[test]
fn a_ban_without_reachable_end_overflows_nothing_and_is_doubted_after_a_month() {
    let mut desk = Desk::at(Place::Opening);
    desk.link(LinkEvent::Closed(ban(Timestamp(i64::MAX))));
    desk.timer = None;
    assert_eq!(desk.gone(), []);
    assert_eq!(desk.step(SessionEvent::Connect), [], "it waits all the same");
    let month = Duration::from_secs(30 * 86_400);
    assert_eq!(desk.set_for(), Some(month + Duration::from_secs(4)));
}

fn ban(until: Timestamp) -> CloseReason {
    let detail = "temporary ban 104".to_owned();
    CloseReason::Banned {
        detail,
        until: Some(until),
    }
}

#[test]
fn nothing_is_attempted_before_the_end_of_a_ban() {
    let until = NOW + Duration::from_secs(7200);
    let banned = |desk: &Desk| {
        assert_eq!(desk.machine.view().status, ConnectionStatus::Failed);
        assert_eq!(desk.machine.view().reason_code, ReasonCode::TemporarilyBanned);
        assert!(
            desk.machine
                .view()
                .reason
                .as_ref()
                .unwrap()
                .contains(&until.to_string())
        );
    };
    let mut desk = Desk::at(Place::Opening);
    desk.link(LinkEvent::Closed(ban(until)));
    assert_eq!(
        desk.machine.view().retry_at,
        Some(until + Duration::from_secs(4)),
        "shown"
    );
    desk.timer = None;
    desk.gone();
    banned(&desk);
    assert_eq!(desk.step(SessionEvent::Connect), []);
    let timer = desk.timer;
    assert_eq!(
        desk.step(SessionEvent::Renew),
        [],
        "the new way is for the time after it"
    );
    assert_eq!(desk.timer, timer);
    assert_eq!(desk.step(SessionEvent::Disconnect), [SessionEffect::Save]);
    assert_eq!(desk.machine.view().retry_at, None);
    desk.pass(60);
    assert_eq!(desk.step(SessionEvent::Connect), [SessionEffect::Save]);
    banned(&desk);
    let behind = Duration::from_secs(4);
    assert_eq!(desk.timer.unwrap().0, until + behind);
    assert_eq!(desk.fire(), [open(3), SessionEffect::Save]);
    assert_eq!(desk.shown().0, ConnectionStatus::Connecting);
    desk.link(connected());
    assert_eq!(desk.machine.view().banned_until, None);

    // From its row, as after a restart of the program.
    let mut desk = Desk::at(Place::Opening);
    desk.link(LinkEvent::Closed(ban(until)));
    let row = desk.machine.view().clone();
    let mut machine = Session::new(NUMBER.parse().unwrap(), row);
    let later = NOW + Duration::from_secs(200);
    assert_eq!(machine.start(later, 0.0), [close(1)]);
    let effects = machine.step(later, 0.0, SessionEvent::LinkGone { generation: 1 });
    let after = Duration::from_secs(7000) + behind;
    assert_eq!(effects, [SessionEffect::TakeTurn { after, generation: 1 }]);
    assert_eq!(machine.view().reason_code, ReasonCode::TemporarilyBanned);
    let said = machine.view().reason.as_ref().unwrap();
    assert!(said.contains("temporary ban 104"), "{said}: as WhatsApp said it");
}

#[test]
fn a_deletion_during_a_ban_does_not_log_in() {
    let mut desk = Desk::at(Place::Opening);
    desk.link(LinkEvent::Closed(ban(NOW + Duration::from_secs(7200))));
    desk.gone();
    let effects = desk.step(SessionEvent::Delete);
    let why = "the account is banned".to_owned();
    let said = SessionEffect::StaysLinked { why };
    assert_eq!(
        effects,
        [said, closing(3, Parting::LogOut), SessionEffect::Save],
        "the keys go"
    );
    assert_eq!(desk.gone(), [deleted()]);
}

#[test]
fn a_client_that_is_turned_down_tries_ever_more_slowly_and_is_healed_at_once() {
    let mut desk = Desk::at(Place::Opening);
    desk.jitter = 1.0;
    let turned_down = |desk: &mut Desk, reason: CloseReason, code| {
        desk.link(LinkEvent::Closed(reason));
        assert_eq!(desk.shown().0, ConnectionStatus::Failed);
        assert_eq!(desk.machine.view().reason_code, code);
        desk.timer = None;
        desk.gone();
        let pause = desk.timer.unwrap().0.since(desk.now).as_secs();
        desk.fire();
        pause
    };
    let outdated = |desk: &mut Desk| turned_down(desk, CloseReason::Outdated, ReasonCode::Outdated);
    let pauses: Vec<u64> = (0..7).map(|_| outdated(&mut desk)).collect();
    assert_eq!(pauses, [60, 240, 960, 3840, 15_360, 21_600, 21_600]);
    desk.link(connected());
    assert_eq!(outdated(&mut desk), 60, "it was accepted in between");
    desk.link(connected());
    let unwanted = |desk: &mut Desk| turned_down(desk, CloseReason::Unwanted("409".into()), ReasonCode::Refused);
    let pauses: Vec<u64> = (0..5).map(|_| unwanted(&mut desk)).collect();
    assert_eq!(pauses, [60, 240, 960, 3600, 3600]);
    desk.link(LinkEvent::Closed(CloseReason::Unwanted("409".into())));
    desk.gone();
    desk.step(SessionEvent::Connect);
    desk.fire();
    assert_eq!(unwanted(&mut desk), 60, "its owner asked for it");
    for jitter in [-1.0, 0.0, 2.0] {
        for times in [0, 1, 9, u32::MAX] {
            let wait = backoff::outdated(times, jitter).as_secs();
            assert!((30..=21_600).contains(&wait), "{wait}");
            let wait = backoff::unwanted(times, jitter).as_secs();
            assert!((30..=3600).contains(&wait), "{wait}");
        }
    }
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
        assert_eq!(desk.step(SessionEvent::Connect), [SessionEffect::Save]);
        assert_eq!(desk.fire(), [open(3)]);
    }
}

//! What a receiver asks for: that it is left alone for a while, or for good.

use std::time::Duration;

use super::{
    super::*,
    courtesies::{asking, ends, ends_at},
    desk::*,
};
use crate::EventStatus;

#[test]
fn a_machine_whose_receiver_wants_to_be_left_alone_is_not_idle() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    ends(&mut desk, 1, 1, 429, Some(Duration::from_secs(30)));
    desk.commit(1, 1);
    let now = desk.now;
    assert_eq!(desk.machine.snapshot().window, 0);
    assert!(!desk.machine.is_idle(now), "one that is made anew would not know of it");
    assert!(desk.machine.is_idle(now + Duration::from_secs(31)));
}

#[test]
fn retry_after_holds_the_whole_webhook() {
    for (http_status, status) in [(503, EventStatus::Pending), (429, EventStatus::Failed)] {
        let mut desk = Desk::new(asking(COURTESY));
        desk.arrive(1, "a");
        let outcome = ends(&mut desk, 1, 1, http_status, Some(Duration::from_secs(30)));
        assert_eq!(outcome.status, status);
        assert_eq!(
            seconds(&outcome),
            (http_status == 503).then_some(5),
            "the pause is the webhook's and not the event's"
        );
        desk.commit(1, 1);
        let effects = desk.arrive(2, "b");
        assert!(
            !effects.iter().any(|effect| matches!(effect, Effect::Attempt { .. })),
            "{effects:?}"
        );
        desk.now = desk.now + Duration::from_secs(30);
        let effects = desk.step(DeliveryEvent::Configured(asking(COURTESY)));
        assert!(effects.contains(&attempt(2, 1)), "{effects:?}");
    }
}

#[test]
fn retry_after_is_heeded_on_429_and_503_only_and_for_an_hour_at_most() {
    for (http_status, paused) in [
        (500, None),
        (200, None),
        (404, None),
        (503, Some(3600)),
        (429, Some(3600)),
    ] {
        let mut desk = Desk::new(asking(COURTESY));
        desk.arrive(1, "a");
        ends(&mut desk, 1, 1, http_status, Some(Duration::from_secs(90_000)));
        desk.commit(1, 1);
        let now = desk.now;
        let until = desk.machine.pace.paused_until(now);
        assert_eq!(until.map(|at| at.since(now).as_secs()), paused, "{http_status}");
    }
}

#[test]
fn an_event_that_was_asked_to_wait_goes_when_its_time_has_come_and_the_pause_has_ended() {
    let pause = Duration::from_secs(600);
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    ends(&mut desk, 1, 1, 503, Some(pause));
    let timer = desk.commit(1, 1);
    let timer = desk.wait(&timer, Duration::from_secs(5));
    assert_eq!(desk.wait(&timer, pause - Duration::from_secs(5)), [attempt(1, 2)]);

    // Switched off and on, a pause has ended for the event that heard of it, too.
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    ends(&mut desk, 1, 1, 503, Some(pause));
    desk.commit(1, 1);
    let off = DeliveryConfig {
        is_active: false,
        ..asking(COURTESY)
    };
    desk.step(DeliveryEvent::Configured(off));
    desk.now = desk.now + Duration::from_secs(5);
    let effects = desk.step(DeliveryEvent::Configured(asking(COURTESY)));
    assert_eq!(effects, [attempt(1, 2)]);
}

#[test]
fn what_the_old_receiver_asked_for_does_not_hold_up_the_new_one() {
    let pause = Some(Duration::from_secs(600));
    let elsewhere = DeliveryConfig {
        target: 1,
        ..asking(COURTESY)
    };
    let mut desk = Desk::new(asking(COURTESY));
    for (number, chat) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        desk.arrive(number, chat);
    }
    ends(&mut desk, 1, 1, 429, pause);
    desk.commit(1, 1);
    desk.arrive(5, "e");
    assert_eq!(
        desk.step(DeliveryEvent::Configured(elsewhere)),
        [attempt(5, 1)],
        "a pause that was heard of before"
    );
    let outcome = ends_at(&mut desk, 0, 2, 1, 410, None);
    assert_eq!(outcome.status, EventStatus::Failed);
    assert_eq!(desk.arrive(6, "f"), [attempt(6, 1)], "an end that is heard of late");
    assert_eq!(desk.commit(2, 1), [], "it switches nothing off");
    ends_at(&mut desk, 0, 3, 1, 503, pause);
    assert_eq!(desk.arrive(7, "g"), [attempt(7, 1)], "a pause that is heard of late");
    ends(&mut desk, 5, 1, 410, None);
    let effects = desk.commit(5, 1);
    assert!(
        matches!(effects.as_slice(), [Effect::Deactivate(_)]),
        "its own answers count: {effects:?}"
    );
}

#[test]
fn a_webhook_that_leads_elsewhere_by_the_commit_of_an_end_goes_on() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    ends(&mut desk, 1, 1, 410, None);
    assert_eq!(desk.arrive(2, "b"), []);
    let elsewhere = DeliveryConfig {
        target: 1,
        ..asking(COURTESY)
    };
    assert_eq!(desk.step(DeliveryEvent::Configured(elsewhere)), [attempt(2, 1)]);
    assert_eq!(desk.commit(1, 1), []);
}

#[test]
fn switching_a_webhook_on_ends_a_pause() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    ends(&mut desk, 1, 1, 429, Some(Duration::from_secs(600)));
    desk.commit(1, 1);
    desk.arrive(2, "a");
    let off = DeliveryConfig {
        is_active: false,
        ..asking(COURTESY)
    };
    desk.step(DeliveryEvent::Configured(off));
    assert_eq!(desk.step(DeliveryEvent::Configured(asking(COURTESY))), [attempt(2, 1)]);
}

#[test]
fn gone_switches_the_webhook_off_once_the_outcome_is_committed() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    desk.arrive(2, "a");
    let outcome = ends(&mut desk, 1, 1, 410, None);
    assert_eq!(
        (outcome.status, outcome.error.as_deref()),
        (EventStatus::Failed, Some("Client error (410)"))
    );
    assert_eq!(desk.arrive(3, "b"), [], "nothing starts any more");
    let effects = desk.commit(1, 1);
    let [Effect::Deactivate(reason)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert!(reason.starts_with("Client error (410)"));
    assert_eq!(desk.machine.snapshot().window, 2, "its events stay");
}

#[test]
fn a_change_that_is_older_than_the_end_of_a_receiver_does_not_begin_anew() {
    let mut desk = Desk::new(asking(COURTESY));
    let pause = Duration::from_secs(600);
    desk.arrive(1, "a");
    desk.arrive(2, "b");
    ends(&mut desk, 2, 1, 429, Some(pause));
    ends(&mut desk, 1, 1, 410, None);
    desk.arrive(3, "c");
    // The store does not have it yet that the webhook is off, but something else that was changed.
    let patched = DeliveryConfig {
        max_retries: 5,
        ..asking(COURTESY)
    };
    desk.step(DeliveryEvent::Configured(patched));
    let until = desk.machine.pace.paused_until(desk.now);
    assert_eq!(until, Some(desk.now + pause), "nobody switched it on");
    desk.now = desk.now + pause;
    assert_eq!(desk.step(DeliveryEvent::Configured(patched)), []);
    let effects = desk.commit(1, 1);
    assert!(matches!(effects.as_slice(), [Effect::Deactivate(_)]), "{effects:?}");
    assert_eq!(desk.step(DeliveryEvent::Configured(patched)), []);
    let off = DeliveryConfig {
        is_active: false,
        ..patched
    };
    assert_eq!(desk.step(DeliveryEvent::Configured(off)), []);
    let effects = desk.step(DeliveryEvent::Configured(patched));
    assert_eq!(effects, [attempt(3, 1)], "its owner did");
}

#[test]
fn a_machine_whose_webhook_is_to_be_switched_off_is_not_idle() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    ends(&mut desk, 1, 1, 410, None);
    desk.commit(1, 1);
    assert!(!desk.machine.is_idle(desk.now), "its end would end the write");
    let off = DeliveryConfig {
        is_active: false,
        ..asking(COURTESY)
    };
    desk.step(DeliveryEvent::Configured(off));
    assert!(desk.machine.is_idle(desk.now));
}

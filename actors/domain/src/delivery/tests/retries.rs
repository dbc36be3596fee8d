//! Manual retries, as CONTRACT.md sections 4 and 7 have them.

use std::time::Duration;

use super::{super::*, desk::*, store::id};
use crate::EventStatus;

/// Ends `number` at its `n`-th attempt as `failed`, with a budget of one.
fn fail(desk: &mut Desk, number: usize, n: u32) {
    assert_eq!(desk.end(number, n, answered(500)).status, EventStatus::Failed);
    assert_eq!(desk.commit(number, n), []);
}

#[test]
fn a_manual_retry_gives_a_fresh_budget() {
    let mut desk = Desk::new(CONFIG);
    let mut effects = desk.arrive(1, "a");
    for (n, wait) in [(1, 5), (2, 10)] {
        assert_eq!(effects, [attempt(1, n)]);
        desk.end(1, n, answered(500));
        effects = desk.commit(1, n);
        effects = desk.wait(&effects, Duration::from_secs(wait));
    }
    fail(&mut desk, 1, 3);
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::UnderWay, "asked twice");
    let renewed = PendingEvent {
        attempt_count: 3,
        budget_start: 3,
        ..event(1, "a")
    };
    effects = desk.step(DeliveryEvent::Renewed(renewed));
    for (n, wait) in [(4, 5), (5, 10), (6, 20)] {
        assert_eq!(effects, [if n == 4 { with_body(1, n) } else { attempt(1, n) }]);
        let outcome = desk.end(1, n, answered(500));
        assert_eq!(
            (outcome.attempt, seconds(&outcome)),
            (n, Some(wait)),
            "the schedule starts anew, the count goes on"
        );
        assert_eq!(outcome.status == EventStatus::Failed, n == 6);
        effects = desk.commit(1, n);
        if n < 6 {
            effects = desk.wait(&effects, Duration::from_secs(wait));
        }
    }
}

#[test]
fn a_manual_retry_while_an_attempt_or_its_commit_is_under_way() {
    let mut desk = Desk::new(CONFIG);
    desk.arrive(1, "a");
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::UnderWay);
    desk.end(1, 1, answered(500));
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::UnderWay);
    desk.commit(1, 1);
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
}

#[test]
fn a_manual_retry_of_a_waiting_event_drops_its_timer() {
    let mut desk = Desk::new(CONFIG);
    desk.arrive(1, "a");
    desk.end(1, 1, answered(500));
    let effects = desk.commit(1, 1);
    let [Effect::SetTimer { generation, .. }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    let renewed = PendingEvent {
        attempt_count: 1,
        budget_start: 1,
        ..event(1, "a")
    };
    assert_eq!(desk.step(DeliveryEvent::Renewed(renewed)), [with_body(1, 2)]);
    desk.now = desk.now + Duration::from_secs(5);
    assert_eq!(
        desk.step(DeliveryEvent::TimerFired {
            generation: *generation
        }),
        [],
        "the old timer"
    );
    assert_eq!(seconds(&desk.end(1, 2, answered(500))), Some(5));
}

#[test]
fn a_refused_manual_retry_lets_the_event_go_on() {
    let mut desk = Desk::new(CONFIG);
    desk.arrive(1, "a");
    desk.end(1, 1, answered(500));
    desk.commit(1, 1);
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    let effects = desk.step(DeliveryEvent::NotRenewed(id(1)));
    // The timer was set before and has not been replaced: it is due all the same.
    assert_eq!(effects, []);
    desk.now = desk.now + Duration::from_secs(5);
    assert_eq!(desk.step(DeliveryEvent::Configured(CONFIG)), [attempt(1, 2)]);
}

#[test]
fn a_renewed_event_goes_before_the_later_ones_of_its_chat() {
    let config = DeliveryConfig {
        max_retries: 1,
        ..CONFIG
    };
    let mut desk = Desk::new(config);
    desk.arrive(1, "a");
    assert_eq!(desk.arrive(2, "a"), []);
    assert_eq!(desk.arrive(3, "a"), []);
    desk.end(1, 1, answered(500));
    assert_eq!(desk.commit(1, 1), [attempt(2, 1)]);
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    let renewed = PendingEvent {
        attempt_count: 1,
        budget_start: 1,
        ..event(1, "a")
    };
    assert_eq!(desk.step(DeliveryEvent::Renewed(renewed)), [], "the second is running");
    // The second has attempts left, but it has to let the first pass.
    desk.step(DeliveryEvent::Configured(CONFIG));
    desk.end(2, 1, answered(500));
    assert_eq!(desk.commit(2, 1), [with_body(1, 2)]);
    desk.end(1, 2, answered(200));
    let effects = desk.commit(1, 2);
    assert_eq!(desk.wait(&effects, Duration::from_secs(5)), [attempt(2, 2)]);
}

/// The commit tells what was renewed, and then whoever asked for it is answered.
#[test]
fn the_answer_to_a_retry_changes_nothing_about_what_was_told_before() {
    let mut desk = Desk::new(CONFIG);
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    assert_eq!(desk.step(DeliveryEvent::Renewed(event(1, "a"))), [attempt(1, 1)]);
    let answer = DeliveryEvent::NotRenewed(id(1));
    assert_eq!(desk.step(answer.clone()), []);
    desk.end(1, 1, answered(200));
    assert_eq!(desk.step(answer.clone()), []);
    desk.commit(1, 1);
    assert_eq!(desk.step(answer), []);
    assert_eq!(desk.machine.snapshot().window, 0);
}

#[test]
fn an_event_that_arrives_while_its_retry_is_under_way_is_held() {
    let mut desk = Desk::new(CONFIG);
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    assert_eq!(desk.arrive(1, "a"), []);
    assert_eq!(desk.step(DeliveryEvent::Renewed(event(1, "a"))), [attempt(1, 1)]);
}

#[test]
fn in_a_full_window_a_renewed_event_does_not_push_an_earlier_one_out() {
    let mut desk = Desk::new(DeliveryConfig {
        max_retries: 1,
        max_in_flight: 1,
        ..CONFIG
    });
    for number in [1, 3, 5] {
        desk.arrive(number, "a");
    }
    for number in [1, 3] {
        desk.end(number, 1, answered(500));
        desk.commit(number, 1);
    }
    let renewed = |number| PendingEvent {
        attempt_count: 1,
        budget_start: 1,
        ..event(number, "a")
    };
    desk.step(DeliveryEvent::Renewed(renewed(1)));
    for number in 10..10 + WINDOW - 2 {
        desk.arrive(number, &number.to_string());
    }
    assert_eq!(desk.machine.snapshot().window, WINDOW);
    desk.step(DeliveryEvent::Renewed(renewed(3)));
    assert!(desk.machine.window.contains(id(1)) && !desk.machine.window.contains(id(3)));
    // An earlier one takes the place of a later one, and beside a lone running one there is always place.
    desk.step(DeliveryEvent::Renewed(renewed(0)));
    assert!(desk.machine.window.contains(id(0)) && !desk.machine.window.contains(id(1)));
    assert_eq!(desk.machine.snapshot().window, WINDOW);
}

#[test]
fn what_found_a_place_beside_a_running_event_leaves_it_when_that_one_waits_again() {
    let mut desk = Desk::new(DeliveryConfig {
        max_in_flight: 1,
        ..CONFIG
    });
    desk.arrive(2, "a");
    for number in 10..10 + WINDOW - 1 {
        desk.arrive(number, &number.to_string());
    }
    let renewed = PendingEvent {
        attempt_count: 1,
        budget_start: 1,
        ..event(1, "a")
    };
    desk.step(DeliveryEvent::Renewed(renewed));
    assert_eq!(desk.machine.snapshot().window, WINDOW + 1);
    desk.end(2, 1, answered(500));
    assert_eq!(desk.commit(2, 1), [attempt(10, 1)]);
    assert_eq!(desk.machine.snapshot().window, WINDOW);
    assert!(desk.machine.window.contains(id(1)) && !desk.machine.window.contains(id(2)));
    // It is not forgotten: when its chat has nothing more here, the store is asked.
    for number in 10..10 + WINDOW - 1 {
        desk.end(number, 1, answered(200));
        desk.commit(number, 1);
    }
    desk.end(1, 2, answered(200));
    let effects = desk.commit(1, 2);
    assert!(matches!(effects.as_slice(), [Effect::Load { .. }]), "{effects:?}");
}

#[test]
fn the_first_attempt_of_a_manual_retry_and_no_other_is_called_manual() {
    let mut desk = Desk::new(CONFIG);
    desk.arrive(1, "a");
    assert!(!desk.end(1, 1, answered(500)).manual);
    let timer = desk.commit(1, 1);
    desk.wait(&timer, Duration::from_secs(5));
    assert!(!desk.end(1, 2, answered(500)).manual);
    desk.commit(1, 2);
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    desk.step(DeliveryEvent::Renewed(PendingEvent {
        attempt_count: 2,
        budget_start: 2,
        ..event(1, "a")
    }));
    assert!(desk.end(1, 3, answered(500)).manual);
    let timer = desk.commit(1, 3);
    desk.wait(&timer, Duration::from_secs(5));
    assert!(!desk.end(1, 4, answered(500)).manual);
}

#[test]
fn a_test_event_has_one_attempt() {
    let mut desk = Desk::new(CONFIG);
    let chat = crate::IncomingMessage::test(uuid::Uuid::nil(), &"5511888888888".parse().unwrap(), NOW).chat;
    desk.arrive(1, &chat);
    fail(&mut desk, 1, 1);
    desk.arrive(3, &chat);
    let not_made = crate::AttemptResult::NotMade {
        detail: "too many open files".into(),
    };
    assert_eq!(
        desk.end(3, 1, not_made).status,
        EventStatus::Failed,
        "whoever asks has the answer"
    );
    desk.commit(3, 1);
    desk.arrive(2, "test-1@g.us");
    assert_eq!(
        desk.end(2, 1, answered(500)).status,
        EventStatus::Pending,
        "a chat of WhatsApp's"
    );
}

#[test]
fn events_renewed_in_bulk_wait_for_their_times_and_hold_their_chat_in_order() {
    let mut desk = Desk::new(CONFIG);
    desk.arrive(3, "a");
    desk.end(3, 1, answered(500));
    desk.commit(3, 1);
    let due = |seconds| Some(NOW + Duration::from_secs(seconds));
    let renewed = |number, seconds| PendingEvent {
        attempt_count: 3,
        budget_start: 3,
        next_retry_at: due(seconds),
        ..event(number, "a")
    };
    desk.step(DeliveryEvent::Renewed(renewed(1, 1)));
    let effects = desk.step(DeliveryEvent::Renewed(renewed(2, 2)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Attempt { .. })));
    desk.now = NOW + Duration::from_secs(30);
    let generation = desk.machine.timer.unwrap().1;
    assert_eq!(desk.step(DeliveryEvent::TimerFired { generation }), [attempt(1, 4)]);
    assert!(desk.end(1, 4, answered(200)).manual);
    let next = desk.commit(1, 4);
    assert!(
        next.contains(&attempt(2, 4)),
        "before the one that came later: {next:?}"
    );
}

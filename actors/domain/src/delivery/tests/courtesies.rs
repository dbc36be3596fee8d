//! What an owner asks for, one thing at a time.

use std::time::Duration;

use super::{super::*, desk::*, store::id};
use crate::{AttemptOutcome, Courtesy, EventStatus, courtesy::ClientErrors};

pub(super) fn asking(courtesy: Courtesy) -> DeliveryConfig {
    DeliveryConfig {
        max_in_flight: 8,
        courtesy,
        ..CONFIG
    }
}

pub(super) fn ends(
    desk: &mut Desk,
    number: usize,
    n: u32,
    http_status: u16,
    retry_after: Option<Duration>,
) -> AttemptOutcome {
    let target = desk.machine.config.target;
    ends_at(desk, target, number, n, http_status, retry_after)
}

pub(super) fn ends_at(
    desk: &mut Desk,
    target: u64,
    number: usize,
    n: u32,
    http_status: u16,
    retry_after: Option<Duration>,
) -> AttemptOutcome {
    let effects = desk.step(DeliveryEvent::AttemptFinished(EndedAttempt {
        event_id: id(number),
        attempt: n,
        result: answered(http_status),
        timing: TIMING,
        jitter: 0.0,
        retry_after: retry_after.map(|wait| desk.now + wait),
        target,
        body_bytes: 0,
    }));
    match effects.into_iter().next() {
        Some(Effect::Record(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_an_order_events_of_one_chat_run_side_by_side() {
    let mut desk = Desk::new(asking(Courtesy {
        ordering: Ordering::None,
        ..COURTESY
    }));
    for number in 1..=3 {
        assert_eq!(desk.arrive(number, "a"), [attempt(number, 1)]);
    }
    ends(&mut desk, 1, 1, 503, None);
    desk.commit(1, 1);
    assert_eq!(desk.arrive(4, "a"), [attempt(4, 1)], "the first one waits for its time");
}

#[test]
fn an_outcome_may_wait_until_something_waits_for_it() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    desk.arrive(2, "b");
    ends(&mut desk, 1, 1, 200, None);
    assert!(
        desk.machine.may_wait(id(1)),
        "an attempt in another chat waits for nothing"
    );
    assert_eq!(
        desk.arrive(3, "b"),
        [Effect::Hurry],
        "it waits for a place, for all that is known"
    );
    assert!(!desk.machine.may_wait(id(1)));
    ends(&mut desk, 2, 1, 200, None);
    assert!(!desk.machine.may_wait(id(2)), "the next one of its chat waits");
    desk.commit(1, 1);
    assert_eq!(desk.commit(2, 1), [attempt(3, 1)]);
    ends(&mut desk, 3, 1, 503, None);
    assert!(
        !desk.machine.may_wait(id(3)),
        "its next attempt is due when that is committed"
    );
}

#[test]
fn nothing_is_told_to_hurry_that_does_not_wait() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    ends(&mut desk, 1, 1, 200, None);
    desk.commit(1, 1);
    desk.arrive(2, "a");
    ends(&mut desk, 2, 1, 200, None);
    desk.step(DeliveryEvent::OutcomeRefused {
        event_id: id(2),
        attempt: 1,
    });
    assert_eq!(desk.arrive(3, "a"), [], "refused: it is offered again at its time");
    assert!(!desk.machine.may_wait(id(2)));
}

#[test]
fn an_earlier_attempts_report_does_not_make_an_outcome_hurried() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    ends(&mut desk, 1, 1, 503, None);
    let timer = desk.commit(1, 1);
    assert_eq!(desk.wait(&timer, Duration::from_secs(5)), [attempt(1, 2)]);
    ends(&mut desk, 1, 2, 200, None);
    assert!(desk.machine.may_wait(id(1)));
    let (event_id, attempt) = (id(1), 1);
    for stale in [
        DeliveryEvent::OutcomeCommitted { event_id, attempt },
        DeliveryEvent::OutcomeRefused { event_id, attempt },
    ] {
        assert_eq!(desk.step(stale), []);
        assert!(desk.machine.may_wait(id(1)));
    }
    assert_eq!(
        desk.arrive(2, "a"),
        [Effect::Hurry],
        "what waits behind it is still told to the store"
    );
}

#[test]
fn a_test_s_outcome_does_not_wait_nor_any_while_the_delivery_ends() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "test-1");
    ends(&mut desk, 1, 1, 200, None);
    assert!(!desk.machine.may_wait(id(1)), "somebody waits for its answer");
    desk.commit(1, 1);
    desk.arrive(2, "a");
    ends(&mut desk, 2, 1, 200, None);
    assert!(desk.machine.may_wait(id(2)));
    assert_eq!(desk.step(DeliveryEvent::Closing), [Effect::Hurry]);
}

#[test]
fn another_order_takes_over_when_nothing_is_under_way() {
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    desk.arrive(2, "a");
    let none = asking(Courtesy {
        ordering: Ordering::None,
        ..COURTESY
    });
    assert_eq!(desk.step(DeliveryEvent::Configured(none)), []);
    assert_eq!(desk.arrive(3, "b"), [], "until what is under way has ended");
    ends(&mut desk, 1, 1, 200, None);
    let effects = desk.commit(1, 1);
    let [Effect::Load { generation, query }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(query.ordering, Ordering::None);
    let single = |number, chat| DueChat {
        events: vec![event(number, chat)],
        more: false,
    };
    let page = DuePage {
        chats: vec![single(2, "a"), single(4, "a"), single(3, "b")],
        ..DuePage::default()
    };
    let effects = desk.step(DeliveryEvent::Loaded {
        generation: *generation,
        page,
    });
    assert_eq!(effects, [attempt(2, 1), attempt(4, 1), attempt(3, 1)]);
}

#[test]
fn client_errors_that_were_asked_for_are_tried_again() {
    let config = asking(Courtesy {
        retry_client_errors: ClientErrors::of([408, 429]).unwrap(),
        ..COURTESY
    });
    for (http_status, again) in [(408, true), (429, true), (425, false), (404, false)] {
        let mut desk = Desk::new(config);
        desk.arrive(1, "a");
        let outcome = ends(&mut desk, 1, 1, http_status, None);
        assert_eq!(outcome.status == EventStatus::Pending, again, "{http_status}");
        assert_eq!(seconds(&outcome), again.then_some(5));
        assert_eq!(outcome.error, Some(format!("Client error ({http_status})")));
    }
}

#[test]
fn a_machine_whose_webhook_is_off_is_idle_once_nothing_is_under_way() {
    let off = DeliveryConfig {
        is_active: false,
        ..asking(COURTESY)
    };
    let mut desk = Desk::new(asking(COURTESY));
    desk.arrive(1, "a");
    desk.arrive(2, "b");
    ends(&mut desk, 1, 1, 503, Some(Duration::from_secs(600)));
    desk.commit(1, 1);
    desk.step(DeliveryEvent::Configured(off));
    assert!(!desk.machine.is_idle(desk.now), "an attempt is under way");
    ends(&mut desk, 2, 1, 503, None);
    assert!(!desk.machine.is_idle(desk.now), "its outcome is not committed");
    desk.commit(2, 1);
    assert!(desk.machine.is_idle(desk.now), "what waits has the store");
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    assert!(!desk.machine.is_idle(desk.now));
    let mut fresh = Delivery::new(WebhookId(uuid::Uuid::nil()), off, 0);
    assert_eq!(fresh.start(NOW), []);
    assert!(fresh.is_idle(NOW));
}

#[test]
fn a_test_event_is_attempted_once_without_an_order_too() {
    let mut desk = Desk::new(asking(Courtesy {
        ordering: Ordering::None,
        ..COURTESY
    }));
    let chat = crate::IncomingMessage::test(uuid::Uuid::nil(), &"5511888888888".parse().unwrap(), NOW).chat;
    desk.arrive(1, &chat);
    let outcome = ends(&mut desk, 1, 1, 503, None);
    assert_eq!((outcome.status, outcome.next_retry_at), (EventStatus::Failed, None));
}

#[test]
fn an_attempt_that_waited_for_its_slot_is_not_made_when_its_webhook_was_switched_off() {
    let mut desk = Desk::new(asking(COURTESY));
    assert_eq!(desk.arrive(1, "a"), [attempt(1, 1)]);
    desk.machine.awaits_slot(Standing::Sound);
    let off = DeliveryConfig {
        is_active: false,
        ..asking(COURTESY)
    };
    desk.step(DeliveryEvent::Configured(off));
    assert_eq!(desk.machine.granted(desk.now, id(1), 1), (false, vec![]));
    desk.machine.window.check();
    assert_eq!(
        (desk.machine.snapshot().in_flight, desk.machine.snapshot().window),
        (0, 1)
    );
    assert_eq!(desk.step(DeliveryEvent::Configured(asking(COURTESY))), [attempt(1, 1)]);
    desk.machine.awaits_slot(Standing::Sound);
    assert_eq!(desk.machine.granted(desk.now, id(1), 1), (true, vec![]));
    assert_eq!(
        desk.machine.granted(desk.now, id(2), 1),
        (false, vec![]),
        "one that is not under way"
    );
}

#[test]
fn no_more_attempts_begin_than_are_wanted_when_they_have_their_slots() {
    let mut desk = Desk::new(asking(COURTESY));
    for (number, chat) in [(1, "a"), (2, "b"), (3, "c")] {
        assert_eq!(desk.arrive(number, chat), [attempt(number, 1)]);
        desk.machine.awaits_slot(Standing::Sound);
    }
    let fewer = DeliveryConfig {
        max_in_flight: 1,
        ..asking(COURTESY)
    };
    desk.step(DeliveryEvent::Configured(fewer));
    for number in [1, 2] {
        assert_eq!(desk.machine.granted(desk.now, id(number), 1), (false, vec![]));
    }
    assert_eq!(desk.machine.granted(desk.now, id(3), 1), (true, vec![]));
    desk.end(3, 1, answered(200));
    assert_eq!(desk.commit(3, 1), [attempt(1, 1)]);
}

#[test]
fn a_pace_spaces_attempts_out() {
    let mut desk = Desk::new(asking(Courtesy {
        max_per_second: Some(4),
        ..COURTESY
    }));
    assert_eq!(desk.arrive(1, "a"), [attempt(1, 1)]);
    let timer = desk.arrive(2, "b");
    assert_eq!(desk.arrive(3, "c"), []);
    let effects = desk.wait(&timer, Duration::from_millis(250));
    assert_eq!(effects.first(), Some(&attempt(2, 1)));
    let effects = desk.wait(&effects[1..], Duration::from_millis(250));
    assert_eq!(effects, [attempt(3, 1)]);
}

#[test]
fn an_attempt_that_waits_for_its_slot_takes_no_turn_of_the_pace() {
    let mut desk = Desk::new(asking(Courtesy {
        max_per_second: Some(4),
        ..COURTESY
    }));
    assert_eq!(desk.arrive(1, "a"), [attempt(1, 1)]);
    desk.machine.awaits_slot(Standing::Sound);
    assert_eq!(desk.arrive(2, "b"), [attempt(2, 1)], "nothing has begun");
    let (begins, timer) = desk.machine.granted(desk.now, id(1), 1);
    assert!(!begins, "another one has begun just now");
    assert_eq!(desk.wait(&timer, Duration::from_millis(250)), [attempt(1, 1)]);
}

#[test]
fn a_machine_that_waited_for_a_retry_is_idle_when_that_was_asked_for_before() {
    let mut desk = Desk::new(CONFIG);
    desk.arrive(1, "a");
    desk.end(1, 1, answered(500));
    assert!(matches!(desk.commit(1, 1).as_slice(), [Effect::SetTimer { .. }]));
    assert!(!desk.machine.is_idle(desk.now));
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    let renewed = PendingEvent {
        attempt_count: 1,
        ..event(1, "a")
    };
    assert_eq!(desk.step(DeliveryEvent::Renewed(renewed)), [with_body(1, 2)]);
    desk.end(1, 2, answered(200));
    assert_eq!(desk.commit(1, 2), []);
    assert!(desk.machine.is_idle(desk.now));
}

//! `recovery: auto`: probes while the receiver is down, then everything that was parked, in order.

use std::time::Duration;

use super::{super::*, desk::*, store::id};
use crate::Courtesy;
use crate::EventStatus;

pub(super) fn config() -> DeliveryConfig {
    DeliveryConfig {
        max_retries: 1,
        max_in_flight: 4,
        courtesy: Courtesy {
            recovery: Recovery::Auto,
            ..COURTESY
        },
        ..CONFIG
    }
}

/// A machine that has asked for parked events and heard that there are none.
pub(super) fn desk() -> Desk {
    let mut machine = Delivery::new(WebhookId(uuid::Uuid::nil()), config(), 0);
    let effects = machine.start(NOW);
    let [
        Effect::Load { generation: load, .. },
        Effect::LoadParked { generation, .. },
    ] = effects.as_slice()
    else {
        panic!("{effects:?}")
    };
    let mut desk = Desk {
        machine,
        now: NOW,
        standing: None,
    };
    let page = DuePage::default();
    assert_eq!(
        desk.step(DeliveryEvent::Loaded {
            generation: *load,
            page
        }),
        []
    );
    assert_eq!(desk.answer(*generation, &[]), []);
    desk
}

impl Desk {
    pub(super) fn answer(&mut self, generation: u64, parked: &[(usize, Timestamp)]) -> Vec<Effect> {
        let parked = parked.iter().map(|(number, next_retry_at)| ParkedEvent {
            id: id(*number),
            seq: i64::try_from(*number).unwrap(),
            next_retry_at: *next_retry_at,
        });
        self.step(DeliveryEvent::ParkedLoaded {
            generation,
            parked: Some(parked.collect()),
        })
    }

    pub(super) fn revived(&mut self, number: usize, attempts: u32) -> Vec<Effect> {
        self.step(DeliveryEvent::Renewed(PendingEvent {
            attempt_count: attempts,
            ..event(number, "a")
        }))
    }
}

pub(super) fn read(effects: &[Effect]) -> (u64, i64, usize) {
    let read = effects.iter().find_map(|effect| match effect {
        Effect::LoadParked {
            generation,
            after,
            limit,
        } => Some((*generation, *after, *limit)),
        _ => None,
    });
    read.unwrap_or_else(|| panic!("{effects:?}"))
}

#[test]
fn the_oldest_parked_event_is_the_probe_and_its_success_lets_the_others_out() {
    let mut desk = desk();
    desk.arrive(1, "a");
    let outcome = desk.end(1, 1, answered(503));
    assert_eq!((outcome.status, seconds(&outcome)), (EventStatus::Failed, Some(5)));
    let effects = desk.commit(1, 1);
    let (generation, after, limit) = read(&effects);
    assert_eq!((after, limit), (-1, 1), "the oldest alone");
    let due = desk.now + Duration::from_secs(5);
    let timer = desk.answer(generation, &[(1, due)]);

    // Not before its schedule says; then the store is asked again, for what may have changed.
    let effects = desk.wait(&timer, Duration::from_secs(5));
    let effects = desk.answer(read(&effects).0, &[(1, due)]);
    assert_eq!(effects, [Effect::Revive(vec![id(1)])]);
    assert_eq!(desk.revived(1, 1), [with_body(1, 2)]);
    let outcome = desk.end(1, 2, answered(503));
    assert_eq!(
        (outcome.status, seconds(&outcome)),
        (EventStatus::Failed, Some(10)),
        "5 s·2^n goes on"
    );
    assert_eq!(outcome.webhook_failure_count, 1, "the same event is not counted twice");
    let effects = desk.commit(1, 2);
    let due = desk.now + Duration::from_secs(10);
    let timer = desk.answer(read(&effects).0, &[(1, due)]);
    let effects = desk.wait(&timer, Duration::from_secs(10));
    assert_eq!(
        desk.answer(read(&effects).0, &[(1, due)]),
        [Effect::Revive(vec![id(1)])]
    );
    desk.revived(1, 2);
    assert_eq!(desk.end(1, 3, answered(200)).status, EventStatus::Delivered);

    // The receiver is well: the others follow, half of the slots at a time.
    let effects = desk.commit(1, 3);
    let (generation, after, limit) = read(&effects);
    assert_eq!((after, limit), (-1, 2));
    let later = desk.now + Duration::from_secs(3000);
    let effects = desk.answer(generation, &[(2, later), (3, later)]);
    assert_eq!(effects, [Effect::Revive(vec![id(2), id(3)])], "whatever their schedule");
}

#[test]
fn a_success_while_the_store_is_read_lets_the_others_out() {
    let mut desk = desk();
    desk.arrive(1, "a");
    desk.end(1, 1, answered(503));
    let (generation, ..) = read(&desk.commit(1, 1));
    desk.arrive(2, "b");
    assert_eq!(desk.end(2, 1, answered(200)).status, EventStatus::Delivered);
    assert_eq!(desk.commit(2, 1), []);
    let due = desk.now + Duration::from_secs(3600);
    // Not when its schedule says, but after the least rest between two passes.
    let timer = desk.answer(generation, &[(1, due)]);
    let effects = desk.wait(&timer, Duration::from_secs(5));
    let (generation, after, limit) = read(&effects);
    assert_eq!((after, limit), (-1, 2));
    assert_eq!(desk.answer(generation, &[(1, due)]), [Effect::Revive(vec![id(1)])]);
}

#[test]
fn a_probe_that_leaves_another_one_due_is_followed_after_a_pause() {
    let mut desk = desk();
    desk.arrive(1, "a");
    desk.end(1, 1, answered(503));
    let (generation, ..) = read(&desk.commit(1, 1));
    let past = desk.now;
    desk.answer(generation, &[(1, past)]);
    desk.revived(1, 1);
    // It is not parked again, and the next one has been due for long.
    assert_eq!(desk.end(1, 2, answered(404)).next_retry_at, None);
    let (generation, ..) = read(&desk.commit(1, 2));
    let timer = desk.answer(generation, &[(2, past)]);
    let effects = desk.wait(&timer, Duration::from_millis(250));
    let (generation, ..) = read(&effects);
    assert_eq!(desk.answer(generation, &[(2, past)]), [Effect::Revive(vec![id(2)])]);
}

#[test]
fn a_pass_does_not_wait_for_a_chat_that_waits_for_its_time() {
    let mut desk = desk();
    let later = desk.now + Duration::from_secs(3600);
    desk.step(DeliveryEvent::Arrived(PendingEvent {
        next_retry_at: Some(later),
        ..event(1, "a")
    }));
    desk.arrive(9, "b");
    desk.end(9, 1, answered(503));
    let (generation, ..) = read(&desk.commit(9, 1));
    let past = desk.now;
    desk.answer(generation, &[(9, past)]);
    desk.step(DeliveryEvent::Renewed(event(9, "b")));
    desk.end(9, 1, answered(200));
    let (generation, ..) = read(&desk.commit(9, 1));
    let effects = desk.answer(generation, &[(2, later), (3, later)]);
    assert!(effects.contains(&Effect::Revive(vec![id(2), id(3)])), "{effects:?}");
    let revived = |number, chat| {
        DeliveryEvent::Renewed(PendingEvent {
            attempt_count: 1,
            ..event(number, chat)
        })
    };
    assert_eq!(desk.step(revived(2, "a")), [], "behind the first of its chat");
    assert_eq!(desk.step(revived(3, "c")), [with_body(3, 2)]);
    desk.end(3, 2, answered(200));
    let timer = desk.commit(3, 2);
    let effects = desk.wait(&timer, Duration::from_millis(250));
    assert_eq!(read(&effects).1, 3, "the pass goes on behind the third");
    // In its turn it is what it was: counted when it failed first.
    desk.now = later;
    desk.step(DeliveryEvent::LookAgain);
    assert_eq!(desk.end(1, 1, answered(404)).webhook_failure_count, 1);
    desk.commit(1, 1);
    assert_eq!(desk.end(2, 2, answered(503)).webhook_failure_count, 1);
}

#[test]
fn another_ordering_does_not_end_the_round_of_what_still_waits() {
    let mut desk = desk();
    desk.arrive(9, "b");
    desk.end(9, 1, answered(503));
    let (generation, ..) = read(&desk.commit(9, 1));
    desk.answer(generation, &[(9, NOW)]);
    desk.step(DeliveryEvent::Renewed(event(9, "b")));
    desk.end(9, 1, answered(200));
    let (generation, ..) = read(&desk.commit(9, 1));
    desk.answer(generation, &[(2, NOW), (3, NOW)]);
    let mut config = config();
    config.courtesy.max_per_second = Some(1);
    desk.step(DeliveryEvent::Configured(config));
    desk.revived(2, 1);
    let waits = PendingEvent {
        attempt_count: 1,
        ..event(3, "c")
    };
    desk.step(DeliveryEvent::Renewed(waits.clone()));
    desk.end(2, 2, answered(200));
    desk.commit(2, 2);
    // The third has its turn in a second, and is a chat of its own from here on.
    config.courtesy.ordering = Ordering::None;
    let effects = desk.step(DeliveryEvent::Configured(config));
    let [Effect::Load { generation, .. }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let single = DueChat {
        events: vec![waits],
        more: false,
    };
    let page = DuePage {
        chats: vec![single],
        ..DuePage::default()
    };
    let generation = *generation;
    desk.step(DeliveryEvent::Loaded { generation, page });
    desk.now = NOW + Duration::from_millis(300);
    assert_eq!(desk.step(DeliveryEvent::Configured(config)), [], "one round at a time");
    desk.now = NOW + Duration::from_secs(1);
    assert_eq!(desk.step(DeliveryEvent::Configured(config)), [with_body(3, 2)]);
    desk.end(3, 2, answered(200));
    assert_eq!(read(&desk.commit(3, 2)).1, 3, "the pass goes on");
}

#[test]
fn a_machine_that_waits_for_parked_events_is_not_idle() {
    let mut desk = desk();
    assert!(desk.machine.is_idle(desk.now));
    desk.arrive(1, "a");
    desk.end(1, 1, answered(503));
    let (generation, ..) = read(&desk.commit(1, 1));
    assert!(!desk.machine.is_idle(desk.now), "nobody would hear the answer");
    desk.answer(generation, &[]);
    assert!(desk.machine.is_idle(desk.now));
}

#[test]
fn a_store_that_refuses_is_not_hammered() {
    let mut desk = desk();
    desk.arrive(1, "a");
    desk.end(1, 1, answered(503));
    let effects = desk.commit(1, 1);
    let past = desk.now;
    assert_eq!(
        desk.answer(read(&effects).0, &[(1, past)]),
        [Effect::Revive(vec![id(1)])]
    );
    let timer = desk.step(DeliveryEvent::NotRenewed(id(1)));
    let effects = desk.wait(&timer, Duration::from_secs(1));
    let generation = read(&effects).0;
    let timer = desk.step(DeliveryEvent::ParkedLoaded {
        generation,
        parked: None,
    });
    let effects = desk.wait(&timer, Duration::from_secs(1));
    assert_eq!(
        desk.answer(read(&effects).0, &[(1, past)]),
        [Effect::Revive(vec![id(1)])]
    );
}

/// A desk at which the event 1 of chat `a` was revived; the event 2 of the same chat is being attempted, so that it waits.
fn revived_behind_another() -> Desk {
    let mut desk = desk();
    desk.arrive(1, "a");
    desk.arrive(2, "a");
    assert_eq!(desk.end(1, 1, answered(503)).webhook_failure_count, 1);
    let effects = desk.commit(1, 1);
    assert!(effects.contains(&attempt(2, 1)), "{effects:?}");
    let past = desk.now;
    assert_eq!(
        desk.answer(read(&effects).0, &[(1, past)]),
        [Effect::Revive(vec![id(1)])]
    );
    assert_eq!(desk.revived(1, 1), []);
    desk
}

/// Its round ends with its attempt, and it is not counted a second time.
fn ends_its_round(desk: &mut Desk) {
    desk.end(2, 1, answered(404));
    assert_eq!(desk.commit(2, 1), [with_body(1, 2)], "no other round begins meanwhile");
    assert_eq!(desk.end(1, 2, answered(503)).webhook_failure_count, 2);
    let effects = desk.commit(1, 2);
    let [Effect::LoadParked { .. }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
}

#[test]
fn a_refused_manual_retry_of_a_revived_event_does_not_end_its_round() {
    let mut desk = revived_behind_another();
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    assert_eq!(desk.step(DeliveryEvent::NotRenewed(id(1))), []);
    ends_its_round(&mut desk);
}

#[test]
fn a_stale_refusal_does_not_end_the_round() {
    let mut desk = revived_behind_another();
    assert_eq!(desk.step(DeliveryEvent::NotRenewed(id(1))), []);
    ends_its_round(&mut desk);
}

#[test]
fn a_round_that_is_under_way_when_recovery_is_switched_off_and_on_goes_on() {
    let mut desk = revived_behind_another();
    assert_eq!(desk.step(DeliveryEvent::Configured(CONFIG)), []);
    assert_eq!(desk.step(DeliveryEvent::Configured(config())), []);
    ends_its_round(&mut desk);
}

#[test]
fn nothing_is_revived_that_nobody_wants_any_more() {
    let inactive = DeliveryConfig {
        is_active: false,
        ..config()
    };
    for (change, on) in [
        (DeliveryEvent::Configured(inactive), true),
        (DeliveryEvent::Configured(CONFIG), true),
        (DeliveryEvent::Closing, false),
    ] {
        let mut desk = desk();
        desk.arrive(1, "a");
        desk.end(1, 1, answered(503));
        let (generation, ..) = read(&desk.commit(1, 1));
        desk.step(change);
        let past = desk.now;
        assert_eq!(desk.answer(generation, &[(1, past)]), []);
        desk.now = desk.now + Duration::from_secs(1);
        let effects = desk.step(DeliveryEvent::Configured(config()));
        assert_eq!(!effects.is_empty(), on, "{effects:?}");
    }
}

#[test]
fn by_hand_nothing_is_read_at_all() {
    let mut desk = Desk::new(DeliveryConfig {
        max_retries: 1,
        ..CONFIG
    });
    desk.arrive(1, "a");
    desk.end(1, 1, answered(503));
    assert_eq!(desk.commit(1, 1), []);
}

/// The others take turns with a probe that has failed often; it takes none of them itself.
#[test]
fn a_probe_is_attempted_at_the_times_of_its_schedule_only() {
    let mut desk = desk();
    desk.arrive(1, "a");
    desk.end(1, 1, answered(503));
    let mut effects = desk.commit(1, 1);
    for attempt in 2..10 {
        let due = desk.now + Duration::from_secs(3600);
        let (mut generation, mut after, _) = read(&effects);
        if attempt > 6 {
            assert_eq!(after, 1, "whose turn it is: of those behind the probe");
            (generation, after, _) = read(&desk.answer(generation, &[]));
        }
        assert_eq!(after, -1);
        let timer = desk.answer(generation, &[(1, due)]);
        let effects_then = desk.wait(&timer, Duration::from_secs(3600));
        let revive = desk.answer(read(&effects_then).0, &[(1, due)]);
        assert_eq!(revive, [Effect::Revive(vec![id(1)])]);
        desk.revived(1, attempt - 1);
        desk.end(1, attempt, answered(503));
        effects = desk.commit(1, attempt);
    }
}

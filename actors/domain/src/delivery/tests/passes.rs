//! When a pass over parked events begins and ends, and what begins one.

use std::time::Duration;

use super::{
    super::*,
    desk::*,
    recoveries::{config, desk, read},
    store::id,
};
use crate::retry::LONGEST_WAIT;

/// When the probe's schedule goes on, in these tests.
fn late(desk: &Desk) -> Timestamp {
    desk.now + Duration::from_secs(3000)
}

/// An event ends well or not; what follows from that, and from its commit.
fn ends(desk: &mut Desk, number: usize, attempt: u32, http_status: u16) -> Vec<Effect> {
    let mut effects = desk.ended(number, attempt, answered(http_status));
    effects.extend(desk.commit(number, attempt));
    effects.retain(|effect| !matches!(effect, Effect::Record(_) | Effect::Hurry));
    effects
}

/// The first event is parked, and the next probe far away.
fn waiting() -> Desk {
    let mut desk = desk();
    desk.arrive(1, "a");
    let effects = ends(&mut desk, 1, 1, 503);
    let due = late(&desk);
    desk.answer(read(&effects).0, &[(1, due)]);
    // The first look of all was a pass too, and found nothing.
    desk.now = desk.now + Duration::from_secs(10);
    desk
}

#[test]
fn whatever_is_delivered_says_that_the_receiver_is_well() {
    let mut desk = waiting();
    desk.arrive(2, "b");
    let (_, after, limit) = read(&ends(&mut desk, 2, 1, 200));
    assert_eq!((after, limit), (-1, 2), "a pass, long before the next probe");
}

#[test]
fn what_is_parked_while_the_store_is_read_is_not_forgotten() {
    let mut machine = Delivery::new(WebhookId(uuid::Uuid::nil()), config(), 0);
    let effects = machine.start(NOW);
    let (now, standing) = (NOW, None);
    let mut desk = Desk { machine, now, standing };
    let Effect::Load { generation, .. } = effects[0] else {
        panic!("{effects:?}")
    };
    let page = DuePage::default();
    desk.step(DeliveryEvent::Loaded { generation, page });
    desk.arrive(1, "a");
    assert_eq!(ends(&mut desk, 1, 1, 503), []);
    read(&desk.answer(read(&effects).0, &[]));
}

#[test]
fn a_pass_ends_with_a_batch_of_which_nothing_was_taken() {
    let mut desk = waiting();
    desk.arrive(2, "b");
    let effects = ends(&mut desk, 2, 1, 200);
    let due = late(&desk);
    let revived = desk.answer(read(&effects).0, &[(3, due), (4, due)]);
    assert_eq!(revived, [Effect::Revive(vec![id(3), id(4)])]);
    for number in [3, 4] {
        desk.step(DeliveryEvent::Renewed(PendingEvent {
            attempt_count: 1,
            ..event(number, &number.to_string())
        }));
    }
    ends(&mut desk, 3, 2, 200);
    let timer = ends(&mut desk, 4, 2, 200);
    let (generation, after, limit) = read(&desk.wait(&timer, Duration::from_millis(250)));
    assert_eq!((after, limit), (4, 2), "it goes on");
    desk.answer(generation, &[(5, due), (6, due)]);
    for number in [5, 6] {
        desk.step(DeliveryEvent::Renewed(PendingEvent {
            attempt_count: 1,
            ..event(number, &number.to_string())
        }));
    }
    ends(&mut desk, 5, 2, 503);
    let timer = ends(&mut desk, 6, 2, 503);
    let (_, after, limit) = read(&desk.wait(&timer, Duration::from_millis(250)));
    assert_eq!(
        (after, limit),
        (-1, 1),
        "the receiver is down: one is asked for at a time"
    );
}

#[test]
fn passes_that_deliver_nothing_come_ever_more_slowly() {
    let mut desk = waiting();
    let due = late(&desk);
    for (number, (after, rest)) in (100..).zip([(-1, 0), (100, 5), (101, 10), (102, 20)]) {
        // It takes what is new, and none of what is parked.
        desk.arrive(number - 50, &number.to_string());
        let mut effects = ends(&mut desk, number - 50, 1, 200);
        if rest > 0 {
            effects = desk.wait(&effects, Duration::from_secs(rest) - Duration::from_millis(250));
        }
        let (generation, begins, limit) = read(&effects);
        assert_eq!((begins, limit), (after, 2), "a pass");
        desk.answer(generation, &[(number, due)]);
        desk.revived(number, 1);
        let effects = ends(&mut desk, number, 2, 503);
        let effects = desk.wait(&effects, Duration::from_millis(250));
        desk.answer(read(&effects).0, &[(1, due)]);
    }
}

#[test]
fn a_probe_waits_no_longer_than_the_schedule_whatever_the_clock_was_when_it_was_written() {
    let mut desk = desk();
    desk.arrive(1, "a");
    desk.end(1, 1, answered(503));
    let (generation, ..) = read(&desk.commit(1, 1));
    let timer = desk.answer(generation, &[(1, desk.now + Duration::from_secs(36_000))]);
    read(&desk.wait(&timer, LONGEST_WAIT));
}

//! When a pass over parked events begins and ends, and what begins one.

use std::time::Duration;

use super::{
    super::*,
    desk::*,
    recoveries::{config, desk, read},
};
use crate::retry::LONGEST_WAIT;

/// An event ends well or not.
fn ends(desk: &mut Desk, number: usize, attempt: u32, http_status: u16) -> Vec<Effect> {
    desk.ended(number, attempt, answered(http_status));
    desk.commit(number, attempt)
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
fn a_probe_waits_no_longer_than_the_schedule_whatever_the_clock_was_when_it_was_written() {
    let mut desk = desk();
    desk.arrive(1, "a");
    desk.end(1, 1, answered(503));
    let (generation, ..) = read(&desk.commit(1, 1));
    let timer = desk.answer(generation, &[(1, desk.now + Duration::from_secs(36_000))]);
    read(&desk.wait(&timer, LONGEST_WAIT));
}

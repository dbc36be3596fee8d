//! Events that wait for their media.

use super::{
    super::*,
    desk::*,
    store::{body, id},
};
use crate::AWAITS_MEDIA;

fn waiting(number: usize, chat: &str) -> PendingEvent {
    PendingEvent {
        next_retry_at: Some(AWAITS_MEDIA),
        ..event(number, chat)
    }
}

#[test]
fn an_event_waits_for_its_media_and_holds_its_chat_only() {
    let mut desk = Desk::new(CONFIG);
    assert_eq!(
        desk.step(DeliveryEvent::Arrived(waiting(1, "a"))),
        [],
        "no attempt, no timer"
    );
    assert_eq!(desk.arrive(2, "a"), []);
    assert_eq!(desk.arrive(3, "b"), [attempt(3, 1)]);
    // What it goes out with is what the commit says that ends the wait.
    let ended = PendingEvent {
        payload: Some(body(9)),
        ..event(1, "a")
    };
    let Some(Effect::Attempt { next, .. }) = desk.step(DeliveryEvent::Renewed(ended)).pop() else {
        panic!("it goes out")
    };
    assert_eq!((next.event_id, next.payload), (id(1), Some(body(9))));
    desk.end(1, 1, answered(200));
    assert_eq!(desk.commit(1, 1), [without_body(2, 1)]);
}

#[test]
fn no_time_that_goes_by_ends_the_wait() {
    let mut desk = Desk::new(CONFIG);
    desk.step(DeliveryEvent::Arrived(waiting(1, "a")));
    assert!(!desk.machine.is_idle(desk.now), "it would not hear of the end");
    for hours in [1, 2, 24 * 365] {
        desk.now = desk.now + Duration::from_hours(hours);
        desk.machine.keep_time(desk.now, Timestamp(desk.now.0 / 2));
        assert_eq!(desk.step(DeliveryEvent::Configured(CONFIG)), []);
    }
}

#[test]
fn a_manual_retry_does_not_end_the_wait() {
    let mut desk = Desk::new(CONFIG);
    desk.step(DeliveryEvent::Arrived(waiting(1, "a")));
    assert_eq!(desk.machine.request_retry(id(1)), RetryAnswer::Renew);
    assert_eq!(desk.step(DeliveryEvent::NotRenewed(id(1))), []);
    assert_eq!(desk.step(DeliveryEvent::Renewed(event(1, "a"))), [attempt(1, 1)]);
}

#[test]
fn many_chats_that_wait_leave_room_for_others() {
    let mut desk = Desk::new(CONFIG);
    let mut load = None;
    let mut arrives = |desk: &mut Desk, event: PendingEvent| {
        for effect in desk.step(DeliveryEvent::Arrived(event)) {
            match effect {
                Effect::Load { generation, query } => load = Some((generation, query)),
                effect => panic!("{effect:?}"),
            }
        }
    };
    for number in 1..=2 * WINDOW {
        arrives(&mut desk, waiting(number, &format!("chat {number}")));
    }
    let other = 2 * WINDOW + 1;
    arrives(&mut desk, event(other, "b"));
    // The store alone has some of them now: it is asked for what is due, and the others stay there.
    let (generation, query) = load.expect("a look at the store");
    assert!(query.only_due);
    let page = DuePage {
        chats: vec![DueChat {
            events: vec![event(other, "b")],
            more: false,
        }],
        skipped: 2 * WINDOW,
        ..DuePage::default()
    };
    let effects = desk.step(DeliveryEvent::Loaded { generation, page });
    assert!(effects.contains(&attempt(other, 1)), "{effects:?}");
}

//! As what attempts ask for their slots.

use std::time::Duration;

use super::{super::*, desk::*};
use crate::fair::Standing;

const WIDE: DeliveryConfig = DeliveryConfig {
    max_in_flight: 8,
    ..CONFIG
};

#[test]
fn a_receiver_that_leaves_one_of_two_unanswered_is_silent() {
    let mut desk = Desk::new(WIDE);
    desk.arrive(1, "a");
    desk.arrive(2, "b");
    desk.end(1, 1, answered(200));
    desk.now = desk.now + Duration::from_millis(501);
    desk.arrive(3, "c");
    assert_eq!(desk.standing, Some(Standing::Doubtful));
}

#[test]
fn what_waits_for_its_slot_hears_of_answers_alone() {
    let mut desk = Desk::new(WIDE);
    desk.arrive(1, "a");
    desk.arrive(2, "b");
    desk.machine.awaits_slot(Standing::Doubtful);
    let effects = desk.ended(1, 1, crate::AttemptResult::TimedOut);
    assert!(matches!(effects.as_slice(), [Effect::Record(_)]), "{effects:?}");
}

#[test]
fn what_is_on_its_way_to_the_store_is_not_silent() {
    let mut desk = Desk::new(WIDE);
    desk.arrive(1, "a");
    desk.arrive(2, "b");
    desk.end(1, 1, answered(200));
    // Neither outcome is committed yet.
    desk.end(2, 1, answered(200));
    desk.commit(1, 1);
    desk.commit(2, 1);
    desk.now = desk.now + Duration::from_secs(5);
    desk.arrive(3, "a");
    assert_eq!(
        desk.standing,
        Some(Standing::Sound),
        "it answered all that it was asked"
    );
}

#[test]
fn a_receiver_whose_events_failed_is_in_doubt_after_a_restart() {
    let mut machine = Delivery::new(WebhookId(uuid::Uuid::nil()), WIDE, 1);
    let load = machine.start(NOW);
    let [Effect::Load { generation, .. }] = load.as_slice() else {
        panic!("{load:?}")
    };
    let page = DuePage {
        chats: vec![DueChat {
            events: vec![event(1, "a")],
            more: false,
        }],
        ..DuePage::default()
    };
    let generation = *generation;
    let effects = machine.step(NOW, DeliveryEvent::Loaded { generation, page });
    assert!(
        matches!(
            effects.as_slice(),
            [Effect::Attempt {
                standing: Standing::Doubtful,
                ..
            }]
        ),
        "{effects:?}"
    );
}

#[test]
fn of_two_that_begin_together_at_an_untried_receiver_the_second_is_in_doubt() {
    let mut machine = Delivery::new(WebhookId(uuid::Uuid::nil()), WIDE, 0);
    let load = machine.start(NOW);
    let [Effect::Load { generation, .. }] = load.as_slice() else {
        panic!("{load:?}")
    };
    let single = |number, chat| DueChat {
        events: vec![event(number, chat)],
        more: false,
    };
    let page = DuePage {
        chats: vec![single(1, "a"), single(2, "b")],
        ..DuePage::default()
    };
    let generation = *generation;
    let effects = machine.step(NOW, DeliveryEvent::Loaded { generation, page });
    let standings = effects.iter().filter_map(|effect| match effect {
        Effect::Attempt { standing, .. } => Some(*standing),
        _ => None,
    });
    assert_eq!(standings.collect::<Vec<_>>(), [Standing::Untried, Standing::Doubtful]);
}

#[test]
fn an_answer_and_another_receiver_are_told_to_what_waits_for_its_slot() {
    let mut desk = Desk::new(WIDE);
    desk.arrive(1, "a");
    desk.arrive(2, "b");
    desk.machine.awaits_slot(Standing::Doubtful);
    let (config, now) = (WIDE, desk.now);
    let elsewhere = desk.step(DeliveryEvent::Configured(DeliveryConfig { target: 1, ..config }));
    assert_eq!(elsewhere, [Effect::Reconsider(Standing::Untried)]);
    let finished = |number, target| {
        DeliveryEvent::AttemptFinished(EndedAttempt {
            event_id: event(number, "a").id,
            attempt: 1,
            result: answered(200),
            timing: TIMING,
            jitter: 0.0,
            retry_after: None,
            target,
            body_bytes: 0,
        })
    };
    let of_the_old_one = desk.step(finished(1, 0));
    assert!(
        matches!(of_the_old_one.as_slice(), [Effect::Record(_)]),
        "{of_the_old_one:?}"
    );
    desk.arrive(3, "c");
    assert_eq!(desk.standing, Some(Standing::Untried), "it says nothing of the new one");
    let answer = desk.step(finished(3, 1));
    assert!(
        matches!(
            answer.as_slice(),
            [Effect::Reconsider(Standing::Sound), Effect::Record(_)]
        ),
        "{answer:?}"
    );
    assert!(desk.machine.granted(now, event(2, "b").id, 1).0);
    desk.arrive(4, "d");
    assert!(
        matches!(desk.step(finished(4, 1)).as_slice(), [Effect::Record(_)]),
        "nothing waits"
    );
}

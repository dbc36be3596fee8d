//! As what attempts ask for their slots.

use std::time::Duration;

use super::{super::*, desk::*};
use crate::fair::Standing;

const WIDE: DeliveryConfig = DeliveryConfig {
    max_in_flight: 8,
    ..CONFIG
};

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
fn the_first_of_two_that_begin_together_is_not_in_doubt() {
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
    assert_eq!(standings.collect::<Vec<_>>(), [Standing::Sound, Standing::Doubtful]);
}

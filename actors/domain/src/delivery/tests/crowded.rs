//! A window that a few chats fill: the others do not wait for them.

use super::{super::*, desk::*, store::id};

/// What a load is asked for, and its generation.
fn load(effects: &[Effect]) -> (u64, DueQuery) {
    match effects {
        [Effect::Load { generation, query }] => (*generation, query.clone()),
        other => panic!("{other:?}"),
    }
}

fn found(events: Vec<PendingEvent>, more: bool) -> DuePage {
    DuePage {
        chats: vec![DueChat { events, more }],
        ..DuePage::default()
    }
}

#[test]
fn a_chat_that_fills_the_window_does_not_keep_another_out() {
    let mut desk = Desk::new(CONFIG);
    assert_eq!(desk.arrive(1, "a"), [attempt(1, 1)]);
    for number in 2..=WINDOW {
        assert_eq!(desk.arrive(number, "a"), []);
    }
    // Its receiver takes its time; there is another slot.
    let (generation, query) = load(&desk.arrive(100, "b"));
    assert!(query.room > 0);
    let page = found(vec![event(100, "b")], false);
    let effects = desk.step(DeliveryEvent::Loaded { generation, page });
    assert_eq!(effects, [attempt(100, 1)]);
    // What was left to the store comes in its turn.
    let kept = desk.machine.snapshot().window - 1;
    for number in 1..kept {
        desk.end(number, 1, answered(200));
        assert_eq!(desk.commit(number, 1), [attempt(number + 1, 1)]);
    }
    desk.end(kept, 1, answered(200));
    let (generation, _) = load(&desk.commit(kept, 1));
    let page = found(vec![event(kept + 1, "a")], true);
    let effects = desk.step(DeliveryEvent::Loaded { generation, page });
    assert_eq!(effects, [attempt(kept + 1, 1)]);
}

#[test]
fn an_event_that_waits_again_does_not_go_before_those_that_were_left_to_the_store() {
    let mut desk = Desk::new(CONFIG);
    // Many are renewed beside a later one that is being attempted, and fill the window.
    assert_eq!(desk.arrive(50, "a"), [attempt(50, 1)]);
    for number in 1..WINDOW {
        desk.step(DeliveryEvent::Renewed(event(number, "a")));
    }
    let (generation, _) = load(&desk.arrive(100, "b"));
    let page = found(vec![event(100, "b")], false);
    assert_eq!(desk.step(DeliveryEvent::Loaded { generation, page }), [attempt(100, 1)]);
    let kept = desk.machine.snapshot().window - 2;
    assert!(kept < WINDOW - 1, "{kept} are left");
    desk.end(50, 1, answered(500));
    assert_eq!(desk.commit(50, 1), [attempt(1, 1)]);
    assert!(!desk.machine.window.contains(id(50)), "the store has it");
    for number in 1..kept {
        desk.end(number, 1, answered(200));
        assert_eq!(desk.commit(number, 1), [attempt(number + 1, 1)]);
    }
    desk.end(kept, 1, answered(200));
    load(&desk.commit(kept, 1));
}

#[test]
fn a_machine_among_thousands_holds_less() {
    for (asked, holds) in [
        (0, LEAST_WINDOW),
        (LEAST_WINDOW + 1, LEAST_WINDOW + 1),
        (usize::MAX, WINDOW),
    ] {
        let mut machine = Delivery::new(WebhookId(uuid::Uuid::nil()), CONFIG, 0).holding(asked);
        let (generation, _) = load(&machine.start(NOW));
        let page = DuePage::default();
        machine.step(NOW, DeliveryEvent::Loaded { generation, page });
        for number in 1..=2 * WINDOW {
            machine.step(NOW, DeliveryEvent::Arrived(event(number, &format!("{number}"))));
        }
        assert_eq!(machine.snapshot().window, holds, "{asked}");
    }
}

/// Where more comes than goes out, a look that began anew each time would only ever see the first chats.
#[test]
fn another_look_goes_on_where_a_sweep_is_and_follows_it() {
    let mut machine = Delivery::new(WebhookId(uuid::Uuid::nil()), CONFIG, 0);
    let (mut generation, first) = load(&machine.start(NOW));
    assert_eq!(first.after, None);
    for (cursor, looks_again, next) in [
        (Some("m"), false, Some("m")),
        (Some("p"), true, Some("p")),
        (None, false, None),
    ] {
        let page = DuePage {
            cursor: cursor.map(Into::into),
            ..DuePage::default()
        };
        let mut effects = machine.step(NOW, DeliveryEvent::Loaded { generation, page });
        if looks_again {
            effects = machine.step(NOW, DeliveryEvent::LookAgain);
        }
        let (number, query) = load(&effects);
        assert_eq!(query.after.as_deref(), next);
        generation = number;
    }
    let page = DuePage::default();
    assert_eq!(machine.step(NOW, DeliveryEvent::Loaded { generation, page }), []);
    assert!(machine.snapshot().following);
}

#[test]
fn what_made_place_for_a_renewed_event_is_asked_for_when_its_chat_has_drained() {
    let mut desk = Desk::new(DeliveryConfig {
        max_in_flight: 1,
        ..CONFIG
    });
    let mut effects = desk.arrive(100, "x");
    for number in [2, 3] {
        assert_eq!(desk.arrive(number, "a"), []);
    }
    for number in 10..10 + WINDOW - 3 {
        assert_eq!(desk.arrive(number, &number.to_string()), []);
    }
    desk.step(DeliveryEvent::Renewed(event(1, "a")));
    assert!(desk.machine.window.contains(id(1)) && !desk.machine.window.contains(id(3)));
    let mut made = Vec::new();
    while let [Effect::Attempt { next, .. }] = effects.as_slice() {
        let (event_id, attempt) = (next.event_id, next.attempt);
        made.push(event_id);
        desk.ended(super::store::number(event_id), attempt, answered(200));
        effects = desk.step(DeliveryEvent::OutcomeCommitted { event_id, attempt });
    }
    // Whatever went before, the third of them is not forgotten.
    let (_, query) = load(&effects);
    assert_eq!(query.named, ["a".into()]);
    let of_chat: Vec<_> = made
        .into_iter()
        .filter(|made| *made == id(1) || *made == id(2))
        .collect();
    assert_eq!(of_chat, [id(1), id(2)]);
}

//! CONTRACT.md section 4, row by row, through the machine.

use std::time::Duration;

use uuid::Uuid;

use super::{super::*, desk::*, store::id};
use crate::{AttemptOutcome, AttemptResult, EventStatus, fair::Standing};

#[test]
fn every_outcome() {
    use EventStatus::{Delivered, Failed, Pending};
    let network = |code| AttemptResult::Failed {
        code,
        detail: String::new(),
    };
    let rows = [
        (answered(200), Delivered, None, None, 0),
        (answered(299), Delivered, None, None, 0),
        (answered(400), Failed, Some("Client error (400)"), None, 1),
        (answered(404), Failed, Some("Client error (404)"), None, 1),
        (answered(429), Failed, Some("Client error (429)"), None, 1),
        (answered(503), Pending, Some("Server error (503)"), Some(5), 0),
        (answered(308), Pending, Some("Unexpected status (308)"), Some(5), 0),
        (answered(101), Pending, Some("Unexpected status (101)"), Some(5), 0),
        (AttemptResult::TimedOut, Pending, Some("Connection timeout"), Some(5), 0),
        (network("ECONNREFUSED"), Pending, Some("ECONNREFUSED"), Some(5), 0),
        (
            AttemptResult::Blocked {
                detail: "loopback".into(),
            },
            Failed,
            Some("EBLOCKED: loopback"),
            None,
            1,
        ),
    ];
    for (result, status, error, wait, failures) in rows {
        let mut desk = Desk::new(CONFIG);
        assert_eq!(desk.arrive(1, "a"), [attempt(1, 1)]);
        let outcome = desk.end(1, 1, result.clone());
        assert_eq!(
            (outcome.status, outcome.error.as_deref(), seconds(&outcome)),
            (status, error, wait),
            "{result:?}"
        );
        assert_eq!(outcome.http_status, result.http_status());
        assert_eq!(
            outcome.response.is_some(),
            matches!(result, AttemptResult::Answered { .. })
        );
        assert_eq!(
            (outcome.attempt, outcome.finished_at, outcome.webhook_failure_count),
            (1, NOW, failures)
        );
        assert_eq!(desk.machine.snapshot().in_flight, 1, "until the commit");
        let effects = desk.commit(1, 1);
        assert_eq!(effects.is_empty(), status != Pending, "{effects:?}");
        let snapshot = desk.machine.snapshot();
        assert_eq!(
            (snapshot.window, snapshot.in_flight),
            (usize::from(status == Pending), 0)
        );
    }
}

#[test]
fn budgets_of_one_three_and_twenty() {
    for max_retries in [1, 3, 20] {
        let mut desk = Desk::new(DeliveryConfig { max_retries, ..CONFIG });
        let mut effects = desk.arrive(1, "a");
        for n in 1..=max_retries {
            assert_eq!(effects, [attempt(1, n)]);
            let outcome = desk.end(1, n, answered(500));
            let wait = (5 << (n - 1)).min(3600);
            assert_eq!(
                seconds(&outcome),
                Some(wait),
                "an exhausted event keeps its next_retry_at"
            );
            let last = n == max_retries;
            assert_eq!(
                outcome.status,
                if last {
                    EventStatus::Failed
                } else {
                    EventStatus::Pending
                }
            );
            assert_eq!(outcome.webhook_failure_count, u32::from(last), "once per event");
            effects = desk.commit(1, n);
            if !last {
                effects = desk.wait(&effects, Duration::from_secs(wait));
            }
        }
        assert_eq!(effects, []);
        // The next success sets the counter back.
        assert_eq!(desk.arrive(2, "a"), [attempt(2, 1)]);
        assert_eq!(desk.end(2, 1, answered(204)).webhook_failure_count, 0);
    }
}

#[test]
fn an_inactive_webhook_holds_and_an_active_one_sends_again() {
    let inactive = DeliveryConfig {
        is_active: false,
        ..CONFIG
    };
    let mut desk = Desk::new(CONFIG);
    desk.arrive(1, "a");
    assert_eq!(desk.step(DeliveryEvent::Configured(inactive)), []);
    assert_eq!(desk.arrive(2, "b"), []);
    desk.end(1, 1, answered(200));
    assert_eq!(desk.commit(1, 1), [], "what was running is recorded");
    assert_eq!(desk.step(DeliveryEvent::Configured(CONFIG)), [attempt(2, 1)]);
}

#[test]
fn closing_records_what_runs_and_starts_nothing() {
    let mut desk = Desk::new(CONFIG);
    for (number, chat) in [(1, "a"), (2, "a"), (3, "b"), (4, "c")] {
        desk.arrive(number, chat);
    }
    assert_eq!(desk.machine.request_retry(id(4)), RetryAnswer::Renew);
    assert_eq!(desk.step(DeliveryEvent::Closing), []);
    assert_eq!(desk.machine.request_retry(id(2)), RetryAnswer::UnderWay);
    desk.end(1, 1, answered(500));
    assert_eq!(desk.commit(1, 1), [], "no timer for what waits");
    assert_eq!(desk.step(DeliveryEvent::Renewed(event(4, "c"))), []);
    assert_eq!(desk.arrive(5, "d"), []);
    desk.end(3, 1, answered(200));
    assert_eq!(desk.commit(3, 1), [Effect::Finished]);
    assert_eq!(desk.commit(3, 1), []);
    assert_eq!(Desk::new(CONFIG).step(DeliveryEvent::Closing), [Effect::Finished]);
}

#[test]
fn a_refused_outcome_is_offered_again() {
    let mut desk = Desk::new(DeliveryConfig {
        max_retries: 1,
        ..CONFIG
    });
    desk.arrive(1, "a");
    desk.arrive(2, "b");
    assert_eq!(desk.arrive(3, "a"), []);
    let outcome = desk.end(1, 1, answered(500));
    assert_eq!(outcome.webhook_failure_count, 1);
    let refused = DeliveryEvent::OutcomeRefused {
        event_id: id(1),
        attempt: 1,
    };
    let effects = desk.step(refused.clone());
    assert_eq!(desk.step(refused), [], "told twice");
    assert_eq!(desk.machine.snapshot().window, 3, "nothing leaves, nothing overtakes");
    // A success in between: the counter of the older outcome must not undo it.
    desk.end(2, 1, answered(200));
    assert_eq!(desk.commit(2, 1), []);
    let again = AttemptOutcome {
        webhook_failure_count: 0,
        ..outcome
    };
    assert_eq!(desk.wait(&effects, Duration::from_secs(1)), [Effect::Record(again)]);
    assert_eq!(desk.commit(1, 1), [attempt(3, 1)]);
}

/// A machine whose first load is under way, and the load's generation.
fn loading() -> (Delivery, u64) {
    let mut machine = Delivery::new(WebhookId(Uuid::nil()), CONFIG, 0);
    match machine.start(NOW).as_slice() {
        [Effect::Load { generation, .. }] => (machine, *generation),
        effects => panic!("{effects:?}"),
    }
}

/// The first attempt at all.
fn first(number: usize) -> Effect {
    let Effect::Attempt { next, .. } = attempt(number, 1) else {
        unreachable!("an attempt")
    };
    let standing = Standing::Untried;
    Effect::Attempt { next, standing }
}

fn page(numbers: &[usize], chat: &str) -> DuePage {
    let events = numbers.iter().map(|number| event(*number, chat)).collect();
    let chats = vec![DueChat { events, more: false }];
    DuePage {
        chats,
        ..DuePage::default()
    }
}

#[test]
fn a_busy_chat_is_not_kept_out_by_its_own_arrivals() {
    let (mut machine, generation) = loading();
    assert_eq!(machine.step(NOW, DeliveryEvent::Arrived(event(2, "a"))), []);
    let page = page(&[1], "a");
    let effects = machine.step(NOW, DeliveryEvent::Loaded { generation, page });
    assert!(effects.contains(&first(1)), "{effects:?}");
}

#[test]
fn what_came_while_its_chat_was_read_is_not_forgotten() {
    let (machine, generation) = loading();
    let (now, standing) = (NOW, None);
    let mut desk = Desk { machine, now, standing };
    assert_eq!(desk.arrive(2, "a"), []);
    let mut effects = desk.step(DeliveryEvent::Loaded {
        generation,
        page: page(&[1], "a"),
    });
    // What is read by its name meanwhile says no more of a chat that is held.
    if let Some(Effect::Load { generation, .. }) = effects.pop_if(|effect| matches!(effect, Effect::Load { .. })) {
        desk.step(DeliveryEvent::Loaded {
            generation,
            page: page(&[1, 2], "a"),
        });
    }
    desk.end(1, 1, answered(200));
    let effects = desk.commit(1, 1);
    let [Effect::Load { generation, .. }] = effects[..] else {
        panic!("{effects:?}")
    };
    let page = page(&[2], "a");
    assert_eq!(desk.step(DeliveryEvent::Loaded { generation, page }), [attempt(2, 1)]);
}

#[test]
fn a_page_that_is_older_than_a_renewal_is_read_again() {
    let (mut machine, generation) = loading();
    assert_eq!(machine.step(NOW, DeliveryEvent::Renewed(event(1, "a"))), []);
    let effects = machine.step(
        NOW,
        DeliveryEvent::Loaded {
            generation,
            page: page(&[2], "a"),
        },
    );
    let [Effect::Load { generation, .. }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let loaded = DeliveryEvent::Loaded {
        generation: *generation,
        page: page(&[1, 2], "a"),
    };
    assert_eq!(machine.step(NOW, loaded), [first(1)]);
}

#[test]
fn a_second_look_finds_what_was_lost_in_a_chat_that_is_held() {
    let mut desk = Desk::new(CONFIG);
    desk.arrive(1, "a");
    let effects = desk.step(DeliveryEvent::LookAgain);
    let [Effect::Load { generation, .. }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(
        desk.step(DeliveryEvent::Loaded {
            generation: *generation,
            page: page(&[1, 2], "a")
        }),
        []
    );
    desk.end(1, 1, answered(200));
    let effects = desk.commit(1, 1);
    assert!(matches!(effects.as_slice(), [Effect::Load { .. }]), "{effects:?}");
}

#[test]
fn an_attempt_that_a_stop_interrupts_is_counted_and_ends_no_event() {
    let once = DeliveryConfig {
        max_retries: 1,
        ..CONFIG
    };
    let mut desk = Desk::new(once);
    desk.arrive(1, "a");
    desk.step(DeliveryEvent::Closing);
    let outcome = desk.end(1, 1, AttemptResult::Interrupted);
    assert_eq!(
        (outcome.status, outcome.attempt, outcome.webhook_failure_count),
        (EventStatus::Pending, 1, 0)
    );
    assert_eq!(
        outcome.next_retry_at,
        Some(NOW),
        "whoever starts next makes the next one at once"
    );
    assert!(
        !desk.machine.may_wait(outcome.event_id),
        "the stop waits for its commit"
    );
    assert_eq!(desk.commit(1, 1), [Effect::Finished]);
}

/// Nobody waits for it after the next start, and it is attempted once.
#[test]
fn a_test_event_that_a_stop_interrupts_has_had_its_attempt() {
    let mut desk = Desk::new(CONFIG);
    desk.arrive(1, "test-1");
    desk.step(DeliveryEvent::Closing);
    let outcome = desk.end(1, 1, AttemptResult::Interrupted);
    assert_eq!(
        (outcome.status, outcome.next_retry_at, outcome.webhook_failure_count),
        (EventStatus::Failed, None, 0)
    );
}

#[test]
fn an_attempt_that_this_machine_could_not_make_uses_nothing_up() {
    let once = DeliveryConfig {
        max_retries: 1,
        ..CONFIG
    };
    let not_made = || AttemptResult::NotMade {
        detail: "Too many open files".into(),
    };
    let mut desk = Desk::new(once);
    desk.arrive(1, "a");
    desk.arrive(2, "a");
    for _ in 0..3 {
        let timer = desk.ended(1, 1, not_made());
        let effects = desk.wait(&timer, Duration::from_secs(5));
        assert_eq!(effects, [without_body(1, 1)], "the same one, after a pause");
        assert_eq!(desk.standing, Some(Standing::Untried), "its receiver is not to blame");
    }
    assert_eq!(desk.end(1, 1, answered(200)).status, EventStatus::Delivered);
    assert_eq!(desk.commit(1, 1), [without_body(2, 1)]);
    desk.step(DeliveryEvent::Closing);
    assert_eq!(desk.ended(2, 1, not_made()), [Effect::Finished], "the store has it");
}

#[test]
fn a_report_of_another_event_of_the_chat_is_not_taken_for_that_of_the_first() {
    let mut desk = Desk::new(CONFIG);
    assert_eq!(desk.arrive(1, "a"), [attempt(1, 1)]);
    assert_eq!(desk.arrive(2, "a"), []);
    assert_eq!(desk.ended(2, 1, answered(200)), [], "it is not its turn");
    assert_eq!(desk.commit(2, 1), []);
    assert_eq!(desk.end(1, 1, answered(200)).event_id, id(1));
    assert_eq!(desk.commit(1, 1), [attempt(2, 1)]);
}

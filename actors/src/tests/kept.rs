//! Outcomes for which nothing waits: they are committed together, in a moment or when somebody asks.

use std::time::{Duration, Instant};

use wharf_domain::{AttemptOutcome, AttemptTiming, EventStatus, Webhook};
use wharf_support::wait_until;

use super::world::{WITHIN, World, message};
use crate::{
    clock,
    persistence::{Ended, Write},
};

/// A world whose only event was delivered.
async fn delivered() -> (World, Webhook) {
    let world = World::start().await;
    let (_, webhook, link) = world.client_with_webhook("/ok").await;
    link.deliver(vec![message("5511999999999", "M1", "1")]).await.unwrap();
    world.wait_for_delivered(&webhook, 1).await;
    world.cleaned().await;
    (world, webhook)
}

/// That it was delivered once more.
async fn again(world: &World, webhook: &Webhook, attempt: u32) -> Ended {
    let event = world.events(webhook).await.remove(0);
    let outcome = AttemptOutcome {
        event_id: event.id,
        seq: 1,
        webhook_id: webhook.id,
        status: EventStatus::Delivered,
        attempt,
        manual: false,
        timing: AttemptTiming {
            started_at: clock::now(),
            took: Duration::from_millis(1),
        },
        http_status: Some(204),
        response: None,
        error: None,
        next_retry_at: None,
        finished_at: clock::now(),
        webhook_failure_count: 0,
        body_bytes: 0,
    };
    Ended {
        outcome,
        may_wait: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_for_which_nothing_waits_goes_before_the_next_ordered_write() {
    let (world, webhook) = delivered().await;
    let persistence = &world.gateway.shared.persistence;
    // More than once: whoever stands still between the two calls for long enough has the first go alone.
    wait_until("both are one commit", WITHIN, || async {
        let ended = again(&world, &webhook, 2).await;
        let before = world.gateway.commits();
        let outcome = persistence.commit(Write::RecordOutcome, ended);
        let next = persistence.commit(Write::Settle, ());
        let (outcome, next) = futures::join!(outcome, next);
        outcome.unwrap();
        next.unwrap();
        let now = world.gateway.commits();
        (now.writes - before.writes, now.commits - before.commits) == (2, 1)
    })
    .await;
    assert_eq!(world.events(&webhook).await[0].http_status, Some(204));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_itself_it_is_committed_in_a_moment() {
    let (world, webhook) = delivered().await;
    let persistence = &world.gateway.shared.persistence;
    for attempt in 2..=4 {
        let ended = again(&world, &webhook, attempt).await;
        let begun = Instant::now();
        persistence.commit(Write::RecordOutcome, ended).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(20));
        assert_eq!(world.events(&webhook).await[0].attempt_count, attempt);
    }
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stops_takes_it_along() {
    let (world, webhook) = delivered().await;
    let ended = again(&world, &webhook, 2).await;
    let outcome = world.gateway.shared.persistence.commit(Write::RecordOutcome, ended);
    world.gateway.stop().await;
    outcome.await.unwrap();
}

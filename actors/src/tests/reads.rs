//! What clients read in bulk: bounded for each, and by turns.

use std::task::Poll;

use futures::future::join_all;
use uuid::Uuid;
use wharf_domain::{EventId, Webhook};
use wharf_store::{ByNumber, EventFilter, FailedFilter, OutgoingFilter, PullQuery};

use super::world::{World, number};
use crate::{Gateway, GatewayError};

/// Each kind of read in bulk, and whether it is refused.
async fn refusals(gateway: &Gateway, webhook: &Webhook) -> [Result<(), GatewayError>; 8] {
    let (client, id) = (webhook.client_id, webhook.id);
    let failed = FailedFilter {
        limit: 10,
        ..FailedFilter::default()
    };
    [
        gateway.webhooks(client, &ByNumber::ALL).await.map(drop),
        gateway.connections(client, &ByNumber::ALL).await.map(drop),
        gateway.events(client, id, EventFilter::default()).await.map(drop),
        match gateway.attempts(client, EventId(Uuid::nil())).await {
            // There is no event; that it is looked for is enough.
            Err(GatewayError::NotFound(_)) => Ok(()),
            read => read.map(drop),
        },
        gateway.webhook_stats(client, id).await.map(drop),
        gateway.pull(client, PullQuery::default()).await.map(drop),
        gateway.retry_failed(client, id, failed).await.map(drop),
        gateway
            .outgoing_messages(client, &webhook.phone_number, OutgoingFilter::default())
            .await
            .map(drop),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_all_it_may_is_told_and_another_one_reads_on() {
    let world = World::start().await;
    let (greedy, other) = (world.add_client("a").await, world.add_client("b").await);
    let (webhook, _link) = world.linked(greedy.id, &number(1), "/hook").await;
    let (others, _link) = world.linked(other.id, &number(1), "/hook").await;
    let gateway = &world.gateway;
    // All that it may, of which all but the last are being read.
    let turns = (usize::try_from(world.store.readers()).unwrap() - 1).max(1);
    let mut held = Vec::new();
    for _ in 0..turns {
        held.push(gateway.shared.reads.turn(greedy.id).await.unwrap());
    }
    let mut waiting: Vec<_> = (turns..32)
        .map(|_| Box::pin(gateway.webhooks(greedy.id, &ByNumber::ALL)))
        .collect();
    for read in &mut waiting {
        assert!(matches!(futures::poll!(read), Poll::Pending));
    }
    for (kind, refused) in refusals(gateway, &webhook).await.into_iter().enumerate() {
        assert!(matches!(refused, Err(GatewayError::Busy(_))), "{kind}: {refused:?}");
    }
    // What is no list is answered at once, and another client's list by the next turn.
    assert_eq!(gateway.webhook(greedy.id, webhook.id).await.unwrap().id, webhook.id);
    let mut next = Box::pin(gateway.webhooks(other.id, &ByNumber::ALL));
    assert!(matches!(futures::poll!(&mut next), Poll::Pending));
    held.pop();
    assert_eq!(next.await.unwrap()[0].id, others.id, "while the first one's wait");
    for read in &mut waiting[1..] {
        assert!(matches!(futures::poll!(read), Poll::Pending));
    }
    drop(held);
    assert!(join_all(waiting).await.into_iter().all(|read| read.is_ok()));
    for (kind, answered) in refusals(gateway, &webhook).await.into_iter().enumerate() {
        assert!(answered.is_ok(), "{kind}: {answered:?}");
    }
    world.gateway.stop().await;
}

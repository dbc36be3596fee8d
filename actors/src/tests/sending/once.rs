//! What was asked for under a key is done once, and what a caller was told is written.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sends_once_and_acts_once() {
    let world = World::start().await;
    let client = world.add_client("a").await.id;
    let link = world.connected(client, &number(1)).await;
    let key = |body: u8| {
        Some(IdempotencyKey {
            key: "k".into(),
            body_hash: [body; 32],
        })
    };
    let first = world
        .gateway
        .send(client, &number(1), text("once"), key(1))
        .await
        .unwrap();
    let again = world
        .gateway
        .send(client, &number(1), text("once"), key(1))
        .await
        .unwrap();
    assert_eq!(first, again);
    assert_eq!(link.sent().len(), 1);
    let shown = || Action::Presence {
        to: Some(TO.parse().unwrap()),
        state: PresenceState::Typing,
    };
    let other = world.gateway.act(client, &number(1), shown(), key(2)).await;
    assert!(matches!(other, Err(GatewayError::Conflict(_))));
    let act = || async {
        let key = IdempotencyKey {
            key: "p".into(),
            body_hash: [3; 32],
        };
        world.gateway.act(client, &number(1), shown(), Some(key)).await.unwrap()
    };
    assert_eq!((act().await, act().await), (Done::Done, Done::Done));
    assert_eq!(link.acts(), [shown()]);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_a_keys_request_is_kept_also_when_the_store_is_away_just_then() {
    let world = World::start().await;
    let client = world.add_client("a").await.id;
    let link = world.connected(client, &number(1)).await;
    let under = |key: &str| {
        let (gateway, key) = (world.gateway.clone(), key.to_owned());
        let key = IdempotencyKey {
            key,
            body_hash: [1; 32],
        };
        async move { gateway.send(client, &number(1), text("once"), Some(key)).await }
    };
    let directory = &world.gateway.shared.directory;
    // The one is sent, and nobody sends it again; the other is not, and somebody may.
    for (key, outcome) in [
        ("sent", SendScript::Accept),
        ("refused", SendScript::Refuse("463".into())),
    ] {
        let before = link.sent().len();
        link.on_send(SendScript::Slow(Duration::from_millis(200)));
        let asking = tokio::spawn(under(key));
        wait_until("it is handed over", WITHIN, || async { link.sent().len() > before }).await;
        let writer = directory.persistence();
        directory.publish_persistence(None);
        link.on_send(outcome.clone());
        let first = asking.await.unwrap();
        assert_eq!(first.is_ok(), matches!(outcome, SendScript::Accept), "{first:?}");
        directory.publish_persistence(writer);
        link.on_send(SendScript::Accept);
        let again = wait_until("it is said what became of it", WITHIN, || async {
            let again = under(key).await;
            (!matches!(again, Err(GatewayError::Conflict(_)))).then_some(again)
        })
        .await;
        match first {
            Ok(first) => assert_eq!(again, Ok(first)),
            Err(_) => assert!(again.is_ok(), "{again:?}"),
        }
    }
    assert_eq!(link.sent().len(), 3);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_was_told_is_written_also_when_the_session_dies_while_the_store_is_away() {
    let world = World::start().await;
    let client = world.add_client("a").await.id;
    let link = world.connected(client, &number(1)).await;
    link.on_send(SendScript::Slow(Duration::from_millis(200)));
    let gateway = world.gateway.clone();
    let asking = tokio::spawn(async move { gateway.send(client, &number(1), text("once"), None).await });
    wait_until("it is handed over", WITHIN, || async { !link.sent().is_empty() }).await;
    let directory = &world.gateway.shared.directory;
    let writer = directory.persistence();
    directory.publish_persistence(None);
    link.on_send(SendScript::Accept);
    let sent = asking.await.unwrap().unwrap();
    assert!(!sent.is_queued());
    directory.publish_persistence(writer);
    let key = wharf_domain::ConnectionKey {
        client_id: client,
        phone_number: number(1),
    };
    let session = directory.session(&key).unwrap().actor.unwrap();
    session.cast(session::Message::Crash(Crash::Fail)).unwrap();
    until(&world, client, &sent.message_id, SendStatus::Sent).await;
    world.gateway.stop().await;
}

//! What tenants are told of changes: everything that is committed, in the order of the commits, whatever became of who asked.

use std::time::Duration;

use uuid::Uuid;
use wharf_domain::{
    ConnectionKey, EventId, EventKind, EventKinds, EventStatus, OwnHeaders, TokenHash, Webhook, WebhookId,
    signing::sign, webhook::WebhookPatch,
};
use wharf_store::{ConnectionSettings, NewEvent};
use wharf_support::{Reply, wait_until};

use super::world::{WITHIN, World, message, number};
use crate::{
    GatewayError, NewWebhook, clock, delivery,
    persistence::{Change, Registration, Rotation, SealedHeaders, Write},
    tenant,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_although_nobody_waits_for_its_commit() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/hook").await;
    let (persistence, directory) = (&world.gateway.shared.persistence, &world.gateway.shared.directory);
    let change = |is_active| Change {
        client_id: client,
        webhook_id: webhook.id,
        patch: WebhookPatch {
            is_active: Some(is_active),
            ..WebhookPatch::default()
        },
        headers: None,
    };
    persistence.commit(Write::ChangeWebhook, change(false)).await.unwrap();
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    wait_until("its delivery runs", WITHIN, || async {
        directory.delivery(webhook.id).is_some()
    })
    .await;
    // As of a caller whose time is up.
    drop(persistence.commit(Write::ChangeWebhook, change(true)));
    world.wait_for_events(&webhook, EventStatus::Delivered, 1).await;

    drop(persistence.commit(Write::DeleteWebhook, (client, webhook.id)));
    wait_until("its delivery has ended", WITHIN, || async {
        directory.delivery(webhook.id).is_none()
    })
    .await;

    let key = ConnectionKey::new(client, number(2));
    let new = ConnectionSettings::none(key.clone());
    drop(persistence.commit(Write::CreateConnection, (new, 0)));
    let wait = tokio::time::timeout(WITHIN, world.links.wait_for_link(&key));
    assert!(wait.await.is_ok(), "its session does not start");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_wanted_of_a_number_whose_webhook_was_deleted_until_the_next_one() {
    let world = World::start().await;
    let (client, webhook, _link) = world.client_with_webhook("/hook").await;
    let shared = &world.gateway.shared;
    let key = webhook.key();
    let wanted = shared.directory.wanted(&key);
    let presence = EventKinds::of([EventKind::Presence]);
    let patch = WebhookPatch {
        events: Some(presence),
        ..WebhookPatch::default()
    };
    let changed = world.gateway.update_webhook(client, webhook.id, patch).await;
    changed.unwrap();
    assert_eq!(wanted.get(), presence);
    world.gateway.delete_webhook(client, webhook.id).await.unwrap();
    assert_eq!(wanted.get(), EventKinds::NONE);

    // One goes and another comes in one commit: what is written meanwhile gathers.
    let old = world.webhook(client, &number(1), "/old").await;
    let mut writer = world.store.writer().await.unwrap();
    let blocker = writer.begin().await.unwrap();
    let id = WebhookId(Uuid::now_v7());
    let (_, sealed_secret) = shared.vault.make_secret(id).unwrap();
    let registration = Registration {
        id,
        asked: NewWebhook {
            events: presence,
            ..NewWebhook::new(key.phone_number.clone(), world.receiver.url("/new"))
        },
        key,
        headers: None,
        sealed_secret: Some(sealed_secret),
        most: 0,
    };
    let first = shared.persistence.commit(Write::Settle, ());
    let deleted = shared.persistence.commit(Write::DeleteWebhook, (client, old.id));
    let registered = shared.persistence.commit(Write::RegisterWebhook, registration);
    drop(blocker);
    let (first, deleted, registered) = tokio::join!(first, deleted, registered);
    first.unwrap();
    assert!(deleted.unwrap().is_some() && registered.unwrap().is_some());
    assert_eq!(wanted.get(), presence);
    world.gateway.stop().await;
}

/// Another URL and another header, in one change.
fn moved(world: &World, webhook: &Webhook, path: &str, value: &str) -> Change {
    let headers = OwnHeaders::check([("authorization", value)]).unwrap();
    let vault = &world.gateway.shared.vault;
    Change {
        client_id: webhook.client_id,
        webhook_id: webhook.id,
        patch: WebhookPatch {
            webhook_url: Some(world.receiver.url(path)),
            ..WebhookPatch::default()
        },
        headers: Some(SealedHeaders {
            names: headers.names(),
            sealed: vault.seal_headers(webhook.id, &headers).unwrap(),
        }),
    }
}

/// Returns when the webhook's delivery has heard of everything.
async fn told(world: &World, webhook: &Webhook) {
    let tenant = world.gateway.shared.directory.tenant(webhook.client_id).unwrap();
    let ask = |reply| tenant::Message::ForDelivery(webhook.id, Box::new(delivery::Message::Heard(reply)));
    let _not_there = tenant.call(ask, Some(WITHIN)).await;
}

/// An attempt that begins before its delivery hears of the change finds the new headers, and knows the old URL only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_receivers_headers_are_not_shown_to_the_old_one() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/one").await;
    let persistence = &world.gateway.shared.persistence;
    // It stays awake for this one's next attempt.
    world.receiver.script("/one", [Reply::Status(503)]);
    link.deliver(vec![message("5511000000001", "M1", "1")]).await.unwrap();
    wait_until("it was refused", WITHIN, || async {
        world.events(&webhook).await[0].attempt_count == 1
    })
    .await;
    let change = moved(&world, &webhook, "/one", "one");
    persistence.commit(Write::ChangeWebhook, change).await.unwrap();
    told(&world, &webhook).await;

    // One commit: the event is told first, and then the change.
    let mut writer = world.store.writer().await.unwrap();
    let blocker = writer.begin().await.unwrap();
    let first = persistence.commit(Write::Settle, ());
    let (id, key, now) = (EventId(Uuid::now_v7()), webhook.key(), clock::now());
    let message = message("5511000000002", "M2", "2");
    let new = NewEvent {
        id,
        payload: message.payload(client, &key.phone_number),
        key,
        message,
        created_at: now,
    };
    let recorded = persistence.commit(Write::RecordInbound, vec![new]);
    let changed = persistence.commit(Write::ChangeWebhook, moved(&world, &webhook, "/two", "two"));
    drop(blocker);
    let (first, recorded, changed) = tokio::join!(first, recorded, changed);
    first.unwrap();
    recorded.unwrap();
    assert!(changed.unwrap().is_some());
    for request in world.receiver.wait_for(2, WITHIN).await {
        let shown = request.header("authorization").unwrap_or("one");
        assert_eq!(request.path.trim_start_matches('/'), shown, "{request:?}");
    }
    world.gateway.stop().await;
}

/// Neither do the headers stay behind at the old values while the URL is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_secrets_are_told_with_the_new_target_although_nobody_waits_for_their_commit() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_with_webhook("/hook").await;
    let shared = &world.gateway.shared;
    let mut delivered = 0;
    let mut deliver = async || {
        delivered += 1;
        let message = message("5511000000001", &format!("M{delivered}"), "1");
        link.deliver(vec![message]).await.unwrap();
        world.wait_for_events(&webhook, EventStatus::Delivered, delivered).await;
        world.receiver.requests().pop().unwrap()
    };
    for (path, value) in [("/one", "1"), ("/two", "2"), ("/three", "3")] {
        let change = moved(&world, &webhook, path, value);
        shared.persistence.commit(Write::ChangeWebhook, change).await.unwrap();
        told(&world, &webhook).await;
        let request = deliver().await;
        assert_eq!((&*request.path, request.header("authorization")), (path, Some(value)));
    }
    let (secret, sealed_secret) = shared.vault.make_secret(webhook.id).unwrap();
    let rotation = Rotation {
        client_id: client,
        webhook_id: webhook.id,
        sealed_secret,
        overlap: Duration::ZERO,
    };
    assert!(shared.persistence.commit(Write::RotateSecret, rotation).await.unwrap());
    told(&world, &webhook).await;
    let request = deliver().await;
    let id = request.header("webhook-id").unwrap();
    let timestamp = request.header("webhook-timestamp").unwrap().parse().unwrap();
    let signature = sign(&secret, id, timestamp, &request.body);
    assert_eq!(request.header("webhook-signature"), Some(signature.as_str()));
    world.gateway.stop().await;
}

/// Whoever deletes a connection and whoever makes it anew are two requests, which end in any order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_follows_a_deleted_one_at_once_keeps_its_session() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    let key = ConnectionKey::new(client.id, number(1));
    for _ in 0..20 {
        world.gateway.create_connection(client.id, number(1)).await.unwrap();
        world.links.wait_for_link(&key).await;
        let make = async || {
            loop {
                match world.gateway.create_connection(client.id, number(1)).await {
                    Err(GatewayError::Conflict(_)) => tokio::task::yield_now().await,
                    made => break made.unwrap(),
                }
            }
        };
        let old = number(1);
        let (deleted, ..) = tokio::join!(world.gateway.delete_connection(client.id, &old), make());
        deleted.unwrap();
        let session = wait_until("the new one has a session", WITHIN, || async {
            let entry = world.gateway.shared.directory.session(&key)?;
            entry.actor
        })
        .await;
        // Its tenant has heard of everything.
        let tenant = world.gateway.shared.directory.tenant(client.id).unwrap();
        tenant.cast(crate::tenant::Message::Round { look: false }).unwrap();
        world.links.wait_for_link(&key).await;
        let entry = world
            .gateway
            .shared
            .directory
            .session(&key)
            .expect("the session is known");
        assert_eq!(entry.actor.map(|actor| actor.get_id()), Some(session.get_id()));
        world.gateway.delete_connection(client.id, &number(1)).await.unwrap();
    }
    assert_eq!(world.links.counters().overlaps, 0);
    world.gateway.stop().await;
}

/// The command line gives clients new tokens behind the gateway's back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_hears_of_new_tokens() {
    let world = World::start().await;
    let client = world.add_client("a").await;
    let mut tokens = world.gateway.token_changes();
    // That there is a client at all may be told late.
    let quiet = Duration::from_secs(3);
    while tokio::time::timeout(quiet, tokens.changed()).await.is_ok() {}
    let mut writer = world.store.writer().await.unwrap();
    let mut group = writer.begin().await.unwrap();
    let token = TokenHash([9; 32]);
    group
        .rotate_client(client.id, &token, clock::now())
        .await
        .unwrap()
        .unwrap();
    group.commit().await.unwrap();
    let told = tokio::time::timeout(WITHIN, tokens.changed()).await;
    told.expect("it is told").unwrap();
    world.gateway.stop().await;
}

//! Webhooks that are pulled: their events wait for nobody, and nothing runs for them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use wharf_domain::{ClientId, EventKind, EventKinds, EventStatus, Webhook, WebhookId, webhook::WebhookPatch};
use wharf_store::{FailedFilter, PullQuery};
use wharf_support::wait_until;
use wharf_whatsapp::ScriptedHandle;

use super::{
    bounds::toggle,
    world::{WITHIN, World, message, number, settings},
};
use crate::{GatewayError, Limits, NewWebhook, Settings, tenant};

/// Whose deliveries are woken.
type Woken = Arc<Mutex<Vec<WebhookId>>>;

/// Passes on what a tenant is told, and notes whose delivery it is to wake.
struct Listener;

impl Actor for Listener {
    type Msg = tenant::Message;
    type State = (ActorRef<tenant::Message>, Woken);
    type Arguments = (ActorRef<tenant::Message>, Woken);

    async fn pre_start(
        &self,
        _myself: ActorRef<tenant::Message>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(args)
    }

    async fn handle(
        &self,
        _myself: ActorRef<tenant::Message>,
        message: tenant::Message,
        (tenant, woken): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let tenant::Message::Wake(webhook) = &message {
            woken.lock().unwrap().push(*webhook);
        }
        Ok(tenant.cast(message)?)
    }
}

impl World {
    /// A client whose number 1 is linked, and has a webhook that is pulled.
    pub(super) async fn client_that_pulls(&self) -> (ClientId, Webhook, ScriptedHandle) {
        let client = self.add_client("a").await.id;
        let new = NewWebhook::pulled(number(1));
        let made = self.gateway.register_webhook(client, new).await.unwrap();
        assert_eq!(made.secret, None);
        (client, made.webhook, self.connected(client, &number(1)).await)
    }

    /// Whose deliveries a client's tenant is to wake from now on.
    pub(super) async fn woken(&self, client: ClientId) -> Woken {
        let (directory, woken) = (&self.gateway.shared.directory, Woken::default());
        let args = (directory.tenant(client).unwrap(), Arc::clone(&woken));
        let (listener, _running) = Actor::spawn(None, Listener, args).await.unwrap();
        directory.publish_tenant(client, Some(listener));
        woken
    }

    /// The texts that a client pulls.
    async fn pulled(&self, client: ClientId) -> Vec<String> {
        let query = PullQuery {
            limit: 100,
            ..PullQuery::default()
        };
        let page = self.gateway.pull(client, query).await.unwrap();
        page.events.into_iter().filter_map(|event| event.content).collect()
    }
}

fn is_conflict<T: std::fmt::Debug>(result: Result<T, GatewayError>) {
    match result {
        Err(GatewayError::Conflict(why)) => assert!(why.contains("is pulled"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pulled_is_delivered_at_once_without_a_delivery_or_a_limit() {
    let mut world = World::start_with(Settings {
        limits: Limits {
            pending_per_client: 2,
            ..Limits::default()
        },
        ..settings()
    })
    .await;
    let (client, webhook, link) = world.client_that_pulls().await;
    let (pushed, other) = world.linked(client, &number(2), "/ok").await;
    let woken = world.woken(client).await;
    let texts: Vec<String> = (0..12).map(|n| format!("{n:02}")).collect();
    for text in &texts {
        link.deliver(vec![message("5511999999999", text, text)]).await.unwrap();
    }
    for event in world.events(&webhook).await {
        assert_eq!((event.status, event.attempt_count), (EventStatus::Delivered, 0));
        assert_eq!(event.delivered_at, Some(event.created_at));
        assert_eq!(world.gateway.attempts(client, event.id).await.unwrap(), []);
    }
    assert_eq!(world.pulled(client).await, texts);
    other
        .deliver(vec![message("5511999999999", "M", "pushed")])
        .await
        .unwrap();
    world.wait_for_events(&pushed, EventStatus::Delivered, 1).await;
    assert_eq!(*woken.lock().unwrap(), [pushed.id], "of what is pulled nobody is woken");
    let no_delivery = |world: &World| world.gateway.shared.directory.delivery(webhook.id).is_none();
    assert!(no_delivery(&world));
    assert_eq!(world.receiver.count(), 1);
    let stats = world.gateway.webhook_stats(client, webhook.id).await.unwrap();
    assert_eq!((stats.last_hour.delivered, stats.last_hour.latency_ms), (12, None));

    // Nothing was sealed for it that a start could try its key on.
    world.restart_with("").await;
    let link = world.relink(client, &number(1)).await;
    link.connect("5511800000001:1@s.whatsapp.net", None);
    link.deliver(vec![message("5511999999999", "late", "late")])
        .await
        .unwrap();
    assert_eq!(world.events(&webhook).await.len(), 13);
    assert!(no_delivery(&world));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_tried_retried_or_signed_and_a_change_starts_no_delivery() {
    let world = World::start().await;
    let (client, webhook, link) = world.client_that_pulls().await;
    link.deliver(vec![message("5511999999999", "M1", "1")]).await.unwrap();
    let event = world.events(&webhook).await.remove(0);
    let gateway = &world.gateway;
    for force in [false, true] {
        is_conflict(gateway.retry_event(client, event.id, force).await);
    }
    is_conflict(gateway.test_webhook(client, webhook.id).await);
    let all = FailedFilter {
        limit: 10,
        ..FailedFilter::default()
    };
    is_conflict(gateway.retry_failed(client, webhook.id, all).await);
    is_conflict(gateway.rotate_secret(client, webhook.id, Duration::ZERO).await);
    is_conflict(gateway.update_webhook(client, webhook.id, toggle(false)).await);
    let calls = WebhookPatch {
        events: Some(EventKinds::of([EventKind::Call])),
        ..WebhookPatch::default()
    };
    let changed = gateway.update_webhook(client, webhook.id, calls).await.unwrap();
    assert!(changed.is_pulled() && changed.is_active);
    link.deliver(vec![message("5511999999999", "M2", "2")]).await.unwrap();
    assert_eq!(
        world.events(&webhook).await.len(),
        1,
        "it is not told of messages any more"
    );
    // Whatever the tenant was told before this is done.
    let (pushed, other) = world.linked(client, &number(2), "/ok").await;
    other.deliver(vec![message("5511999999999", "M3", "3")]).await.unwrap();
    world.wait_for_events(&pushed, EventStatus::Delivered, 1).await;
    assert!(gateway.shared.directory.delivery(webhook.id).is_none());
    // One that is woken by mistake looks, and is gone.
    gateway.shared.directory.wake_resting(client, webhook.id);
    other.deliver(vec![message("5511999999999", "M4", "4")]).await.unwrap();
    world.wait_for_events(&pushed, EventStatus::Delivered, 2).await;
    wait_until("it is gone", WITHIN, || async {
        gateway.shared.directory.delivery(webhook.id).is_none()
    })
    .await;
    assert_eq!(world.receiver.count(), 2);
    world.gateway.stop().await;
}

//! A gateway with everything real but WhatsApp.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;
use wharf_domain::{
    Client, ClientId, ConnectionKey, ConnectionStatus, Event, EventStatus, IncomingMessage, MessageKind, PhoneNumber,
    Timestamp, TokenHash, Webhook, address::TargetPolicy,
};
use wharf_store::{EventFilter, Store, StoreOptions};
use wharf_support::{Receiver, wait_until};
use wharf_whatsapp::{ScriptedFactory, ScriptedHandle};

use crate::{ConnectionPatch, Gateway, NewWebhook, Settings, clock};

/// Long enough for a loaded machine; a passing test waits for a fraction of it.
pub(super) const WITHIN: Duration = Duration::from_secs(30);

pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) store: Store,
    pub(super) links: ScriptedFactory,
    pub(super) receiver: Receiver,
    pub(super) gateway: Gateway,
    _threads: Threads,
}

/// Ends the threads of the gateway's sessions with the test: they outlive the test's runtime, and on them sessions that hold
/// the database's files open.
struct Threads(Gateway);

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.end_threads();
    }
}

pub(super) fn number(n: u64) -> PhoneNumber {
    format!("55118{n:08}").parse().unwrap()
}

pub(super) fn message(chat: &str, id: &str, text: &str) -> IncomingMessage {
    IncomingMessage {
        chat: format!("{chat}@s.whatsapp.net"),
        sender: format!("{chat}@s.whatsapp.net"),
        message_id: id.to_owned(),
        from: chat.to_owned(),
        timestamp: Timestamp::from_seconds(1_762_352_580),
        kind: MessageKind::Text,
        details: None,
        content: text.to_owned(),
    }
}

pub(super) async fn open_store(dir: &TempDir) -> Store {
    open_store_with(&url(dir, "")).await
}

fn url(dir: &TempDir, parameters: &str) -> String {
    format!("sqlite://{}{parameters}", dir.path().join("wharf.db").display())
}

pub(super) async fn open_store_with(url: &str) -> Store {
    Store::open(&StoreOptions {
        url: url.to_owned(),
        readers: 2,
        exclusive: false,
    })
    .await
    .unwrap()
}

pub(super) fn settings() -> Settings {
    Settings {
        targets: TargetPolicy {
            allow_http: true,
            allow_private_networks: true,
            ..TargetPolicy::default()
        },
        session_starts_per_second: 1000,
        ..Settings::default()
    }
}

/// A connection's own proxy.
fn through(proxy: &str) -> ConnectionPatch {
    ConnectionPatch {
        proxy: Some(Some(proxy.to_owned())),
        ..ConnectionPatch::default()
    }
}

impl World {
    pub(super) async fn start() -> Self {
        Self::start_in("", settings()).await
    }

    pub(super) async fn start_with(settings: Settings) -> Self {
        Self::start_in("", settings).await
    }

    /// With these parameters of the database.
    pub(super) async fn start_on(parameters: &str) -> Self {
        Self::start_in(parameters, settings()).await
    }

    pub(super) async fn start_in(parameters: &str, settings: Settings) -> Self {
        // Tests that run side by side, and gateways that were not stopped, have more than the 1,024 that a shell allows.
        crate::open_files::raise();
        let dir = wharf_support::temp_dir();
        let store = open_store_with(&url(&dir, parameters)).await;
        let links = ScriptedFactory::new();
        let gateway = Gateway::start(settings, store.clone(), Arc::new(links.clone()))
            .await
            .unwrap();
        let world = Self {
            dir,
            store,
            links,
            receiver: Receiver::start().await,
            _threads: Threads(gateway.clone()),
            gateway,
        };
        // It may have the writer when a test wants it, and do what a test wants to find undone.
        world.cleaned().await;
        world
    }

    /// Stops the gateway and starts another on the same database, with these parameters.
    pub(super) async fn restart_with(&mut self, parameters: &str) {
        self.gateway.stop().await;
        self.store = open_store_with(&url(&self.dir, parameters)).await;
        self.links = ScriptedFactory::new();
        self.gateway = Gateway::start(settings(), self.store.clone(), Arc::new(self.links.clone()))
            .await
            .unwrap();
    }

    /// Waits until the janitor has been through its first round: nothing of it is committed for a long time then.
    pub(super) async fn cleaned(&self) {
        let mut cleaned = self.gateway.shared.cleaned.subscribe();
        let round = cleaned.wait_for(|rounds| rounds.removed.min(rounds.cleaned) > 0);
        tokio::time::timeout(WITHIN, round)
            .await
            .expect("a round ends")
            .unwrap();
    }

    /// The link that a restarted gateway opens for a number.
    pub(super) async fn relink(&self, client: ClientId, number: &PhoneNumber) -> ScriptedHandle {
        let key = ConnectionKey::new(client, number.clone());
        self.links.wait_for_link(&key).await
    }

    pub(super) async fn add_client(&self, name: &str) -> Client {
        let mut writer = self.store.writer().await.unwrap();
        let mut group = writer.begin().await.unwrap();
        let mut hash = [0; 32];
        hash.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        let client = group.add_client(name, &TokenHash(hash), clock::now()).await.unwrap();
        group.commit().await.unwrap();
        client
    }

    /// A client whose number 1 is linked.
    pub(super) async fn client_with_number(&self) -> (ClientId, ScriptedHandle) {
        let client = self.add_client("a").await.id;
        (client, self.connected(client, &number(1)).await)
    }

    /// A client whose number 1 is linked, and has a webhook to `path` of the receiver.
    pub(super) async fn client_with_webhook(&self, path: &str) -> (ClientId, Webhook, ScriptedHandle) {
        let client = self.add_client("a").await.id;
        let (webhook, link) = self.linked(client, &number(1), path).await;
        (client, webhook, link)
    }

    /// A linked number with a webhook to `path` of the receiver.
    pub(super) async fn linked(&self, client: ClientId, number: &PhoneNumber, path: &str) -> (Webhook, ScriptedHandle) {
        let webhook = self.webhook(client, number, path).await;
        (webhook, self.connected(client, number).await)
    }

    pub(super) async fn webhook(&self, client: ClientId, number: &PhoneNumber, path: &str) -> Webhook {
        let new = NewWebhook::new(number.clone(), self.receiver.url(path));
        self.gateway.register_webhook(client, new).await.unwrap().webhook
    }

    pub(super) async fn connected(&self, client: ClientId, number: &PhoneNumber) -> ScriptedHandle {
        let created = self.gateway.create_connection(client, number.clone()).await.unwrap();
        let link = self.links.wait_for_link(&created.key()).await;
        link.pair(&format!("{number}:1@s.whatsapp.net"), number.as_str());
        link.connect(&format!("{number}:1@s.whatsapp.net"), Some("Test"));
        self.wait_for_status(client, number, ConnectionStatus::Connected).await;
        link
    }

    /// A linked number whose traffic goes through a proxy.
    pub(super) async fn connected_through(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        proxy: &str,
    ) -> ScriptedHandle {
        let created = self
            .gateway
            .create_connection_with(client, number.clone(), through(proxy));
        let created = created.await.unwrap();
        let link = self.links.wait_for_link(&created.key()).await;
        link.connect(&format!("{number}:1@s.whatsapp.net"), None);
        self.wait_for_status(client, number, ConnectionStatus::Connected).await;
        link
    }

    /// Changes the proxy of a linked number; answers its new link.
    pub(super) async fn goes_through(
        &self,
        link: &ScriptedHandle,
        client: ClientId,
        number: &PhoneNumber,
        proxy: &str,
    ) -> ScriptedHandle {
        let changed = self.gateway.update_connection(client, number, through(proxy)).await;
        changed.unwrap();
        wait_until("the old way is closed", WITHIN, || async { link.is_closed() }).await;
        self.relinked(client, number).await
    }

    pub(super) async fn wait_for_status(&self, client: ClientId, number: &PhoneNumber, status: ConnectionStatus) {
        wait_until(&format!("{number} is {}", status.as_str()), WITHIN, || async {
            self.gateway
                .connection(client, number)
                .await
                .is_ok_and(|connection| connection.session.status == status)
        })
        .await;
    }

    /// The number's next open link, logged in.
    pub(super) async fn relinked(&self, client: ClientId, number: &PhoneNumber) -> ScriptedHandle {
        let key = ConnectionKey::new(client, number.clone());
        let link = wait_until("a new link is open", WITHIN, || async {
            self.links.link(&key).filter(|link| !link.is_closed())
        })
        .await;
        link.connect(&format!("{number}:1@s.whatsapp.net"), Some("Test"));
        self.wait_for_status(client, number, ConnectionStatus::Connected).await;
        link
    }

    pub(super) async fn events(&self, webhook: &Webhook) -> Vec<Event> {
        let filter = EventFilter {
            limit: 200,
            ..EventFilter::default()
        };
        self.store
            .events(webhook.client_id, webhook.id, &filter)
            .await
            .unwrap()
            .unwrap()
            .events
    }

    /// How many events there are, once that many are delivered; more than a page of them.
    pub(super) async fn wait_for_delivered(&self, webhook: &Webhook, count: usize) -> usize {
        wait_until(&format!("{count} events are delivered"), WITHIN, || async {
            let (mut cursor, mut all, mut delivered) = (None, 0, 0);
            loop {
                let filter = EventFilter {
                    status: None,
                    limit: 200,
                    cursor,
                    ..EventFilter::default()
                };
                let page = self.store.events(webhook.client_id, webhook.id, &filter).await.unwrap();
                let page = page.unwrap();
                let done = |event: &&Event| event.status == EventStatus::Delivered;
                all += page.events.len();
                delivered += page.events.iter().filter(done).count();
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            (delivered == count).then_some(all)
        })
        .await
    }

    pub(super) async fn wait_for_events(&self, webhook: &Webhook, status: EventStatus, count: usize) -> Vec<Event> {
        let what = format!("{count} events are {}", status.as_str());
        wait_until(&what, WITHIN, || async {
            let events = self.events(webhook).await;
            (events.iter().filter(|event| event.status == status).count() == count).then_some(events)
        })
        .await
    }
}

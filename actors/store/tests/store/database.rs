//! A fresh database per test, and the sentences that the tests are written in.

use std::{collections::BTreeMap, time::Duration};

use tempfile::TempDir;
use uuid::Uuid;
use wharf_domain::{
    AttemptOutcome, AttemptTiming, Client, ClientId, ConnectionKey, Event, EventId, EventStatus, IncomingMessage,
    MessageKind, PendingEvent, Timestamp, TokenHash, Webhook, WebhookId,
};
use wharf_store::{
    ConnectionSettings, EventFilter, Group, NewEvent, RecordedEvent, Store, StoreError, StoreOptions, Writer,
};

/// Turns `async fn name(db: &mut Database)` into one test per database.
macro_rules! on_every_database {
    ($(async fn $name:ident($db:ident: &mut Database) $body:block)+) => {
        $(mod $name {
            use super::*;

            async fn test($db: &mut Database) $body

            #[tokio::test]
            async fn sqlite() {
                test(&mut Database::sqlite().await).await;
            }
        })+
    };
}
pub(crate) use on_every_database;

pub const NOW: Timestamp = Timestamp(1_762_352_580_000);

/// `seconds` after the tests' present.
pub fn later(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1000)
}

pub fn key(client: ClientId, number: &str) -> ConnectionKey {
    ConnectionKey::new(client, number.parse().unwrap())
}

pub fn plain(key: &ConnectionKey) -> ConnectionSettings {
    ConnectionSettings::none(key.clone())
}

pub fn token(byte: u8) -> TokenHash {
    TokenHash([byte; 32])
}

pub fn options(dir: &TempDir, parameters: &str) -> StoreOptions {
    let url = format!("sqlite://{}/wharf.db{parameters}", dir.path().display());
    StoreOptions {
        url,
        readers: 2,
        exclusive: false,
    }
}

pub struct Database {
    pub store: Store,
    pub writer: Writer,
    pub dir: TempDir,
    made: u128,
    alone: bool,
}

impl Database {
    pub async fn sqlite() -> Self {
        Self::sqlite_with("").await
    }

    pub async fn sqlite_with(parameters: &str) -> Self {
        Self::at_with(TempDir::new().unwrap(), parameters).await
    }

    /// The one that is there already.
    pub async fn at(dir: TempDir) -> Self {
        let mut db = Self::at_with(dir, "").await;
        // Beyond the ids that are in it.
        db.made = 1 << 32;
        db
    }

    async fn at_with(dir: TempDir, parameters: &str) -> Self {
        let store = Store::open(&options(&dir, parameters)).await.unwrap();
        let writer = store.writer().await.unwrap();
        Self {
            store,
            writer,
            dir,
            made: 0,
            alone: false,
        }
    }

    /// A UUID that this test has not had.
    pub fn uuid(&mut self) -> Uuid {
        self.made += 1;
        Uuid::from_u128(self.made)
    }

    /// One committed transaction.
    pub async fn write<T>(&mut self, work: impl AsyncFnOnce(&mut Group<'_>) -> Result<T, StoreError>) -> T {
        self.try_write(work).await.unwrap()
    }

    pub async fn try_write<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Group<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut group = self.writer.begin().await?;
        let value = work(&mut group).await?;
        group.commit().await?;
        Ok(value)
    }

    pub async fn client(&mut self, name: &str) -> Client {
        let made = self.uuid().as_u128();
        let mut hash = TokenHash([0; 32]);
        hash.0[..16].copy_from_slice(&made.to_be_bytes());
        self.write(async |group| group.add_client(name, &hash, NOW).await).await
    }

    pub async fn webhook(&mut self, key: &ConnectionKey) -> Webhook {
        self.webhook_to(key, Some("https://example.com/hook")).await
    }

    /// One that is pulled where it has no URL.
    pub async fn webhook_to(&mut self, key: &ConnectionKey, url: Option<&str>) -> Webhook {
        let id = WebhookId(self.uuid());
        self.write(async |group| group.register_webhook(id, key, url, 3, true, None, NOW).await)
            .await
            .unwrap()
    }

    /// A client with a webhook for its number.
    pub async fn tenant(&mut self, name: &str) -> (Client, Webhook) {
        let client = self.client(name).await;
        let webhook = self.webhook(&key(client.id, "5511888888888")).await;
        (client, webhook)
    }

    pub fn message(&mut self, key: &ConnectionKey, chat: &str, message_id: &str) -> NewEvent {
        let message = IncomingMessage {
            chat: chat.to_owned(),
            sender: chat.to_owned(),
            message_id: message_id.to_owned(),
            from: "5511999999999".to_owned(),
            timestamp: NOW,
            kind: MessageKind::Text,
            details: None,
            content: format!("{message_id} in {chat}"),
        };
        let payload = message.payload(key.client_id, &key.phone_number);
        NewEvent {
            id: EventId(self.uuid()),
            key: key.clone(),
            message,
            payload,
            created_at: NOW,
        }
    }

    /// Events of new messages with bodies of so many bytes and a few more, each of a chat of its own.
    pub async fn long_events(&mut self, webhook: &Webhook, sizes: &[usize]) -> Vec<PendingEvent> {
        let mut events = Vec::new();
        for size in sizes {
            let id = self.uuid().to_string();
            let mut new = self.message(&webhook.key(), &id, &id);
            new.message.content = "x".repeat(*size);
            new.payload = new.message.payload(new.key.client_id, &new.key.phone_number);
            events.push(self.record(&[new]).await.remove(0).event);
        }
        events
    }

    /// In a transaction with others or of its own, in turn: it must make no difference.
    pub async fn record(&mut self, messages: &[NewEvent]) -> Vec<RecordedEvent> {
        if self.next_is_alone() {
            return self.writer.record_inbound(messages).await.unwrap();
        }
        self.write(async |group| group.record_inbound(messages).await).await
    }

    fn next_is_alone(&mut self) -> bool {
        self.alone = !self.alone;
        self.alone
    }

    /// Events of new messages, one for each chat named.
    pub async fn events(&mut self, webhook: &Webhook, chats: &[&str]) -> Vec<PendingEvent> {
        let messages: Vec<NewEvent> = chats
            .iter()
            .map(|chat| {
                let id = self.uuid().to_string();
                self.message(&webhook.key(), chat, &id)
            })
            .collect();
        let recorded = self.record(&messages).await;
        assert_eq!(recorded.len(), chats.len());
        recorded.into_iter().map(|recorded| recorded.event).collect()
    }

    /// In a transaction with others or of its own, in turn, as messages.
    pub async fn outcomes(&mut self, outcomes: &[AttemptOutcome]) {
        self.outcomes_at(outcomes, later(3600)).await;
    }

    /// The same at this time.
    pub async fn outcomes_at(&mut self, outcomes: &[AttemptOutcome], now: Timestamp) {
        if self.next_is_alone() {
            return self.writer.record_outcomes(outcomes, now).await.unwrap();
        }
        self.write(async |group| group.record_outcomes(outcomes, now).await)
            .await;
    }

    pub async fn event(&self, webhook: &Webhook, id: EventId) -> Event {
        self.store.event(webhook.client_id, id).await.unwrap().unwrap()
    }

    pub async fn statuses(&self, webhook: &Webhook) -> BTreeMap<&'static str, usize> {
        let filter = EventFilter {
            limit: 1_000_000,
            ..Default::default()
        };
        let page = self
            .store
            .events(webhook.client_id, webhook.id, &filter)
            .await
            .unwrap()
            .unwrap();
        let mut counts = BTreeMap::new();
        for event in page.events {
            *counts.entry(event.status.as_str()).or_default() += 1;
        }
        counts
    }

    pub async fn reread(&self, webhook: &Webhook) -> Webhook {
        self.store
            .webhook(webhook.client_id, webhook.id)
            .await
            .unwrap()
            .unwrap()
    }
}

/// The first attempt of an event, delivered one second after the tests' present.
pub fn delivered(webhook: &Webhook, event: &PendingEvent) -> AttemptOutcome {
    AttemptOutcome {
        event_id: event.id,
        seq: event.seq,
        manual: false,
        timing: AttemptTiming {
            started_at: NOW,
            took: Duration::from_millis(7),
        },
        webhook_id: webhook.id,
        status: EventStatus::Delivered,
        attempt: 1,
        http_status: Some(200),
        response: Some("ok".to_owned()),
        error: None,
        next_retry_at: None,
        finished_at: later(1),
        webhook_failure_count: 0,
        body_bytes: 0,
    }
}

/// The first attempt of an event, refused; the next is due `seconds` after the tests' present.
pub fn postponed(webhook: &Webhook, event: &PendingEvent, seconds: i64) -> AttemptOutcome {
    AttemptOutcome {
        status: EventStatus::Pending,
        http_status: Some(503),
        response: Some("busy".to_owned()),
        error: Some("Server error (503)".to_owned()),
        next_retry_at: Some(later(seconds)),
        ..delivered(webhook, event)
    }
}

/// The first attempt of an event, refused for good.
pub fn failed(webhook: &Webhook, event: &PendingEvent) -> AttemptOutcome {
    AttemptOutcome {
        status: EventStatus::Failed,
        http_status: Some(404),
        error: Some("Client error (404)".to_owned()),
        webhook_failure_count: 1,
        ..delivered(webhook, event)
    }
}
